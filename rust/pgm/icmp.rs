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
use pgm_wire::{Addr, Gsi, PacketType, Tsi};

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
    /// Of IP.
    version: u8,
}

/// `net_protocol.err_handler`.
///
/// # Safety
///
/// Called by ICMP in a softirq, in an RCU read section; the data begin at the header of the IPv4
/// packet that we sent.
pub(crate) unsafe extern "C" fn error(skb: *mut b::sk_buff, info: u32) -> c_int {
    // SAFETY: ICMP made the IPv4 header contiguous.
    unsafe {
        let header = u32::from((*skb).data.read() & 0xf) * 4;
        let ip = (*skb).data.cast::<b::iphdr>();
        let group = address::v4((*ip).__bindgen_anon_1.__bindgen_anon_1.daddr);
        let icmp = b::pgm_icmp_hdr(skb);
        if let Some((errno, mtu)) = meaning((*icmp).type_, (*icmp).code, info) {
            let report = Report {
                skb,
                errno,
                info,
                mtu,
                version: 4,
            };
            report.deliver(group, header);
        }
    }
    0
}

/// `inet6_protocol.err_handler`.
///
/// # Safety
///
/// Called by ICMPv6 in a softirq, in an RCU read section; the data begin at the header of the IPv6
/// packet that we sent, and our header is at `offset`.
pub(crate) unsafe extern "C" fn error6(
    skb: *mut b::sk_buff,
    _opt: *mut b::inet6_skb_parm,
    kind: u8,
    code: u8,
    offset: c_int,
    info: u32,
) -> c_int {
    let Ok(offset) = u32::try_from(offset) else {
        return 0;
    };
    let info = u32::from_be(info);
    // SAFETY: ICMPv6 made the IPv6 header contiguous.
    unsafe {
        let group = address::v6(b::pgm_quoted_daddr6(skb));
        let mut errno = 0;
        b::icmpv6_err_convert(kind, code, &mut errno);
        let report = Report {
            skb,
            errno,
            info,
            mtu: (u32::from(kind) == b::ICMPV6_PKT_TOOBIG).then_some(info),
            version: 6,
        };
        report.deliver(group, offset);
    }
    0
}

/// The errno of an error, as UDP has it, and the MTU of "fragmentation needed".
fn meaning(kind: u8, code: u8, info: u32) -> Option<(c_int, Option<u32>)> {
    match u32::from(kind) {
        b::ICMP_DEST_UNREACH if u32::from(code) == b::ICMP_FRAG_NEEDED => {
            Some((b::EMSGSIZE as c_int, Some(info)))
        }
        b::ICMP_DEST_UNREACH if u32::from(code) <= b::NR_ICMP_UNREACH => {
            // SAFETY: The kernel's table has NR_ICMP_UNREACH + 1 rows.
            Some((unsafe { b::pgm_icmp_errno(code) }, None))
        }
        b::ICMP_TIME_EXCEEDED => Some((b::EHOSTUNREACH as c_int, None)),
        b::ICMP_PARAMETERPROB => Some((b::EPROTO as c_int, None)),
        _ => None,
    }
}

impl Report {
    /// Finds whom it is about: a source by what it sent, the sessions that sent a NAK or SPMR.
    ///
    /// # Safety
    ///
    /// In an RCU read section; `group` is the destination of the packet that is quoted, whose PGM
    /// header begins at `offset` of the data.
    unsafe fn deliver(&self, group: Addr, offset: u32) {
        let Some(end) = offset.checked_add(NAMED) else {
            return;
        };
        // SAFETY: By the caller; nothing is read that was not made contiguous.
        unsafe {
            if !b::pgm_may_pull(self.skb, end) {
                return;
            }
            let packet = (*self.skb).data.add(offset as usize);
            let bytes = packet.cast::<[u8; NAMED as usize]>().read_unaligned();
            let [s0, s1, d0, d1, kind, _, _, _, gsi @ ..] = bytes;
            let Some(kind) = PacketType::from_wire(kind) else {
                return;
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
            let tables = netns::of_skb(self.skb);
            if kind.is_downstream() {
                if let Some(sk) = demux::find_source(&guard, tables, tsi) {
                    if addr_of!((*sk.as_ptr()).key).read().group == group {
                        self.to_source(sk, packet);
                    }
                }
                return;
            }
            let bucket = demux::bucket_of_tsi(tables, tsi);
            let sessions = addr_of_mut!((*tables).sessions[bucket]);
            for sk in Chain::new(&guard, sessions, Node::Main) {
                let key = addr_of!((*sk.as_ptr()).key).read();
                if key.tsi == tsi && key.group.is_v4() == group.is_v4() {
                    self.queue(sk, packet);
                }
            }
        }
    }

    /// # Safety
    ///
    /// `sk` was found inside a read section that still lasts.
    unsafe fn to_source(&self, sk: NonNull<PgmSock>, packet: *mut u8) {
        // SAFETY: By the caller.
        unsafe {
            if let Some(mtu) = self.mtu {
                (*sk.as_ptr()).pmtu.store(mtu, Ordering::Relaxed);
                link::notice(sk);
            }
            self.queue(sk, packet);
        }
    }

    /// For IP_RECVERR and IPV6_RECVERR: into the error queue, and the next call fails.
    ///
    /// # Safety
    ///
    /// As for [`Self::to_source`].
    unsafe fn queue(&self, sk: NonNull<PgmSock>, packet: *mut u8) {
        let sk: *mut b::sock = sk.as_ptr().cast();
        let (skb, errno, info) = (self.skb, self.errno, self.info);
        // SAFETY: By the caller; the skb is a received one, the packet lies inside it.
        unsafe {
            match self.version {
                4 if b::pgm_wants_errors(sk) => b::ip_icmp_error(sk, skb, errno, 0, info, packet),
                6 if b::pgm_wants_errors6(sk) => {
                    b::ipv6_icmp_error(sk, skb, errno, 0, info, packet);
                }
                _ => return,
            }
            b::pgm_report_error(sk, errno);
        }
    }
}
