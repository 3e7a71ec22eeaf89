// SPDX-License-Identifier: GPL-2.0

//! ICMP errors about packets that this host sent.
//!
//! They change no session by themselves: what is lost is repaired, and a source that fell silent expires.
//! Two things come of them. A smaller path MTU makes the source's new APDUs smaller. And a socket that asked
//! by IP_RECVERR gets each error as a UDP socket would.

use core::ptr::{addr_of, addr_of_mut, NonNull};
use core::sync::atomic::Ordering;

use kernel::ffi::c_int;
use pgm_bindings as b;
use pgm_wire::{Gsi, PacketType, Tsi};

use crate::net::address;
use crate::net::rcu::{Chain, Node, ReadGuard};
use crate::netns;
use crate::sock::PgmSock;
use crate::{demux, link};

/// Bytes of the PGM header that name the session.
const NAMED: u32 = 14;

/// What an error says.
struct Report {
    skb: *mut b::sk_buff,
    errno: c_int,
    info: u32,
    /// The MTU, if this is "fragmentation needed".
    mtu: Option<u32>,
    /// The packet that it is about, from its PGM header on.
    packet: *mut u8,
}

/// `net_protocol.err_handler`.
///
/// # Safety
///
/// Called by ICMP in a softirq, in an RCU read section; the data begin at the header of the IPv4
/// packet that we sent.
pub(crate) unsafe extern "C" fn error(skb: *mut b::sk_buff, info: u32) -> c_int {
    // SAFETY: ICMP made the IPv4 header contiguous; the rest is checked before it is read.
    unsafe {
        let header = u32::from((*skb).data.read() & 0xf) * 4;
        if !b::pgm_may_pull(skb, header + NAMED) {
            return 0;
        }
        let ip = (*skb).data.cast::<b::iphdr>();
        let group = address::v4((*ip).__bindgen_anon_1.__bindgen_anon_1.daddr);
        let packet = (*skb).data.add(header as usize);
        let bytes = packet.cast::<[u8; NAMED as usize]>().read_unaligned();
        let [s0, s1, d0, d1, kind, _, _, _, gsi @ ..] = bytes;
        let Some(kind) = PacketType::from_wire(kind) else {
            return 0;
        };
        let icmp = b::pgm_icmp_hdr(skb);
        let Some((errno, mtu)) = meaning((*icmp).type_, (*icmp).code, info) else {
            return 0;
        };
        let report = Report {
            skb,
            errno,
            info,
            mtu,
            packet,
        };
        let sport = if kind.is_downstream() {
            [s0, s1]
        } else {
            [d0, d1]
        };
        let tsi = Tsi {
            gsi: Gsi(gsi),
            sport: u16::from_be_bytes(sport),
        };
        let guard = ReadGuard::new();
        let tables = netns::of(b::pgm_skb_net(skb));
        if kind.is_downstream() {
            if let Some(sk) = demux::find_source(&guard, tables, tsi) {
                if addr_of!((*sk.as_ptr()).key).read().group == group {
                    report.to_source(sk);
                }
            }
        } else {
            let bucket = demux::bucket_of_tsi(tables, tsi);
            let sessions = addr_of_mut!((*tables).sessions[bucket]);
            for sk in Chain::new(&guard, sessions, Node::Main) {
                if addr_of!((*sk.as_ptr()).key).read().tsi == tsi {
                    report.queue(sk);
                }
            }
        }
    }
    0
}

/// The errno of an error, as UDP has it, and the MTU of "fragmentation needed".
///
/// # Safety
///
/// None needed but the kernel's table.
unsafe fn meaning(kind: u8, code: u8, info: u32) -> Option<(c_int, Option<u32>)> {
    match u32::from(kind) {
        b::ICMP_DEST_UNREACH if u32::from(code) == b::ICMP_FRAG_NEEDED => {
            Some((b::EMSGSIZE as c_int, Some(info)))
        }
        b::ICMP_DEST_UNREACH if u32::from(code) <= b::NR_ICMP_UNREACH => {
            // SAFETY: The table has NR_ICMP_UNREACH + 1 rows.
            let row = unsafe {
                addr_of!(b::icmp_err_convert)
                    .cast::<b::icmp_err>()
                    .add(code.into())
            };
            // SAFETY: As above.
            Some((unsafe { (*row).errno }, None))
        }
        b::ICMP_TIME_EXCEEDED => Some((b::EHOSTUNREACH as c_int, None)),
        b::ICMP_PARAMETERPROB => Some((b::EPROTO as c_int, None)),
        _ => None,
    }
}

impl Report {
    /// # Safety
    ///
    /// `sk` was found inside a read section that still lasts.
    unsafe fn to_source(&self, sk: NonNull<PgmSock>) {
        // SAFETY: By the caller.
        unsafe {
            if let Some(mtu) = self.mtu {
                (*sk.as_ptr()).pmtu.store(mtu, Ordering::Relaxed);
                link::notice(sk);
            }
            self.queue(sk);
        }
    }

    /// For IP_RECVERR: into the error queue, and the next call fails.
    ///
    /// # Safety
    ///
    /// As for [`Self::to_source`].
    unsafe fn queue(&self, sk: NonNull<PgmSock>) {
        let sk: *mut b::sock = sk.as_ptr().cast();
        // SAFETY: By the caller; the skb is a received one, the packet lies inside it.
        unsafe {
            if b::pgm_wants_errors(sk) {
                b::ip_icmp_error(sk, self.skb, self.errno, 0, self.info, self.packet);
                b::pgm_report_error(sk, self.errno);
            }
        }
    }
}
