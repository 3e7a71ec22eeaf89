// SPDX-License-Identifier: GPL-2.0

//! Socket buffers: the payload handles of the engine.

use core::mem::{forget, size_of, MaybeUninit};
use core::ptr::{addr_of_mut, NonNull};

use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::Discard;
use pgm_wire::{checksum::Sum, Extent, Packet, Tsi, PLAIN_DATA};

use super::address::{self, SocketAddress};
use super::membership::Arrival;
use crate::sock::PgmSock;

/// An owned socket buffer.
pub(crate) struct SkBuff(NonNull<b::sk_buff>);

// SAFETY: An skb that has one owner may be used and freed on any CPU.
unsafe impl Send for SkBuff {}

impl Drop for SkBuff {
    fn drop(&mut self) {
        // SAFETY: We own the skb.
        unsafe { b::consume_skb(self.0.as_ptr()) };
    }
}

/// What recvmsg() must know of a buffer in the receive queue. It lies behind the part of the
/// control block that IP keeps using for its control messages.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct RxInfo {
    pub(crate) tsi: Tsi,
    pub(crate) sqn: u32,
    /// Bytes of the APDU from this buffer's first byte on.
    pub(crate) apdu_left: u32,
    /// Bytes of this buffer that were read already.
    pub(crate) read: u16,
    pub(crate) kind: RxKind,
    /// The last buffer of its APDU.
    pub(crate) last: bool,
}

/// What a buffer in the receive queue belongs to.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RxKind {
    Message,
    /// The first message of its session.
    First,
    /// No message but a `pgm_notification`.
    Notification,
}

/// What is looked at of a packet's head at once, if it is there: enough for data with its options.
const LOOK: usize = 64;

const IP_CB: usize = size_of::<b::inet_skb_parm>();
const _: () = assert!(IP_CB == size_of::<b::inet6_skb_parm>());
// The last four bytes are the kernel's, for SO_RXQ_OVFL.
const _: () = assert!(IP_CB % 4 == 0 && IP_CB + size_of::<RxInfo>() <= 48 - 4);

impl SkBuff {
    /// # Safety
    ///
    /// The caller owns `skb` and gives it away.
    pub(crate) unsafe fn from_raw(skb: *mut b::sk_buff) -> Option<Self> {
        NonNull::new(skb).map(Self)
    }

    pub(crate) fn as_ptr(&self) -> *mut b::sk_buff {
        self.0.as_ptr()
    }

    pub(crate) fn into_raw(self) -> *mut b::sk_buff {
        let skb = self.0.as_ptr();
        forget(self);
        skb
    }

    /// Frees the buffer as one that was dropped, not used.
    pub(crate) fn discard(self) {
        // SAFETY: We own the skb and give it away.
        unsafe { b::pgm_drop(core::ptr::null_mut(), self.into_raw()) };
    }

    /// Another reference to the same bytes, with a head of its own.
    pub(crate) fn share(&self) -> Option<Self> {
        // SAFETY: We own the skb; the clone, if any, is ours.
        unsafe { Self::from_raw(b::skb_clone(self.as_ptr(), b::GFP_ATOMIC_)) }
    }

    pub(crate) fn len(&self) -> usize {
        // SAFETY: We own the skb.
        unsafe { (*self.as_ptr()).len as usize }
    }

    /// What its memory counts.
    pub(crate) fn truesize(&self) -> u32 {
        // SAFETY: We own the skb.
        unsafe { (*self.as_ptr()).truesize }
    }

    /// How many of its first bytes are contiguous.
    fn linear(&self) -> usize {
        // SAFETY: We own the skb.
        unsafe { (*self.as_ptr()).len.wrapping_sub((*self.as_ptr()).data_len) as usize }
    }

    /// The first `len` bytes, made contiguous.
    fn head(&mut self, len: usize) -> Result<&[u8], Discard> {
        let pull = u32::try_from(len).map_err(|_| Discard::Truncated)?;
        if len > self.len() {
            return Err(Discard::Truncated);
        }
        // SAFETY: We own the skb; after a successful pull `len` bytes at `data` are readable.
        unsafe {
            if self.linear() < len && !b::pgm_may_pull(self.as_ptr(), pull) {
                return Err(Discard::NoMemory);
            }
            Ok(core::slice::from_raw_parts(
                (*self.as_ptr()).data.cast_const(),
                len,
            ))
        }
    }

    /// The bytes of header, body and options, made contiguous.
    pub(crate) fn pgm_header(&mut self) -> Result<&[u8], Discard> {
        let total = self.len();
        // What is contiguous already is looked at at once: nearly always that is enough, and to make
        // more so costs more.
        let mut need = self.linear().clamp(PLAIN_DATA, LOOK).min(total);
        // Each round learns of a longer part: of a NAK its start, two NLAs of IPv6 in two rounds each,
        // where its options end, and the options.
        for _ in 0..8 {
            match pgm_wire::extent(self.head(need)?, total)? {
                Extent::Whole(len) => return self.head(len),
                Extent::More(len) => need = len,
            }
        }
        Err(Discard::Truncated)
    }

    /// The packet, if it is what nearly all are: sound data without options.
    pub(crate) fn plain_data(&mut self) -> Option<Packet<'static>> {
        let total = self.len();
        let header = self.head(PLAIN_DATA).ok()?.first_chunk()?;
        Packet::parse_plain(header, total)
    }

    /// Whether the checksum over the whole packet is wrong (RFC 3208 §8: no pseudo-header).
    pub(crate) fn checksum_is_bad(&self) -> bool {
        // SAFETY: We own the skb, whose data begin at the PGM header.
        unsafe { b::pgm_checksum_bad(self.as_ptr()) }
    }

    /// Drops the first `len` bytes, which [`SkBuff::pgm_header`] made contiguous.
    pub(crate) fn pull(&mut self, len: usize) -> Result<(), Discard> {
        if len > self.linear() {
            return Err(Discard::Truncated);
        }
        // SAFETY: We own the skb, in which so much is contiguous.
        unsafe {
            let skb = self.as_ptr();
            (*skb).len = (*skb).len.wrapping_sub(len as u32);
            (*skb).data = (*skb).data.add(len);
        }
        Ok(())
    }

    /// Where the packet came from and in.
    pub(crate) fn arrival(&self) -> Arrival {
        // SAFETY: We own the skb. A received one keeps its network header and IP's control block.
        unsafe {
            let skb = self.as_ptr();
            if b::pgm_is_ipv6(skb) {
                return Arrival {
                    group: address::v6(b::pgm_ip6_daddr(skb)),
                    source: address::v6(b::pgm_ip6_saddr(skb)),
                    iif: b::pgm_iif6(skb),
                    sdif: b::pgm_sdif6(skb),
                    near: b::pgm_ip6_hop_limit(skb) <= 1,
                };
            }
            let ip = b::pgm_ip_hdr(skb);
            let addrs = (*ip).__bindgen_anon_1.__bindgen_anon_1;
            Arrival {
                group: address::v4(addrs.daddr),
                source: address::v4(addrs.saddr),
                iif: b::pgm_iif(skb),
                sdif: b::pgm_sdif(skb),
                near: (*ip).ttl <= 1,
            }
        }
    }

    /// The sender of a packet that [`SkBuff::into_raw`] gave away, with this data-source port.
    ///
    /// # Safety
    ///
    /// `skb` is a received packet.
    pub(crate) unsafe fn sender(skb: *mut b::sk_buff, port: u16) -> SocketAddress {
        // SAFETY: By the caller; the network header and IP's control block are kept.
        let (addr, iif) = unsafe {
            if b::pgm_is_ipv6(skb) {
                (address::v6(b::pgm_ip6_saddr(skb)), b::pgm_iif6(skb))
            } else {
                let ip = b::pgm_ip_hdr(skb);
                (
                    address::v4((*ip).__bindgen_anon_1.__bindgen_anon_1.saddr),
                    0,
                )
            }
        };
        let scope = if address::needs_scope(addr) { iif } else { 0 };
        SocketAddress {
            addr,
            port,
            scope: scope.unsigned_abs(),
        }
    }

    /// What the socket's filter says of the packet, which it sees from the PGM header on.
    ///
    /// # Safety
    ///
    /// `sk` is locked; nothing but the header was pulled.
    pub(crate) unsafe fn is_refused(&mut self, sk: *mut PgmSock) -> bool {
        // SAFETY: By the caller; what is pushed was there before it was pulled.
        unsafe { b::pgm_filter_refuses(sk.cast(), self.as_ptr()) }
    }

    /// Charges the buffer to the receive memory of `sk`, and forgets route, device and connection
    /// tracking: it may wait there for long.
    pub(crate) fn keep(&mut self, sk: *mut PgmSock) {
        // SAFETY: We own the skb, and it is freed before the socket: the windows and the queue
        // belong to the socket.
        unsafe { b::pgm_keep_received(self.as_ptr(), sk.cast()) };
    }

    /// Where [`RxInfo`] is kept.
    pub(crate) fn rx_info(skb: *mut b::sk_buff) -> *mut RxInfo {
        // SAFETY: The address is computed inside the control block (see the assertion above).
        unsafe { addr_of_mut!((*skb).cb).cast::<u8>().add(IP_CB).cast() }
    }
}

/// One TSDU waiting in the transmit window: pages that repairs share.
pub(crate) struct TxPayload(b::pgm_tsdu);

// SAFETY: The pages have one owner.
unsafe impl Send for TxPayload {}

impl TxPayload {
    /// Copies the next `len` bytes of the message, and sums them on the way. In front of them `room`
    /// bytes stay free for a header.
    ///
    /// # Safety
    ///
    /// The socket lock is held by a process, `from` is the iterator of its message.
    pub(crate) unsafe fn read(
        sk: *mut PgmSock,
        from: *mut b::iov_iter,
        len: u16,
        room: u16,
    ) -> Result<(Self, Sum)> {
        let mut sum = 0u32;
        let mut tsdu = b::pgm_tsdu {
            len,
            room,
            ..pin_init::zeroed()
        };
        // SAFETY: The copy checks the user's memory; the pages become ours if there is no error.
        kernel::error::to_result(unsafe {
            b::pgm_read_tsdu(sk.cast(), from, &mut tsdu, &mut sum)
        })?;
        Ok((Self(tsdu), Sum::from_wsum(sum)))
    }

    pub(crate) fn as_ptr(&self) -> *const b::pgm_tsdu {
        &self.0
    }
}

impl Drop for TxPayload {
    fn drop(&mut self) {
        // SAFETY: The pages are ours.
        unsafe { b::pgm_free_tsdu(&self.0) };
    }
}

/// Parses a packet from a copy of its header, so that the buffer itself can be given away.
pub(crate) struct HeaderCopy {
    /// The first `len` of them are written.
    bytes: [MaybeUninit<u8>; Self::MAX],
    len: usize,
    total: usize,
}

impl HeaderCopy {
    /// Longer option areas than any packet of the RFC needs are refused.
    const MAX: usize = 512;

    pub(crate) fn new(skb: &mut SkBuff) -> Result<Self, Discard> {
        let total = skb.len();
        let header = skb.pgm_header()?;
        let len = header.len();
        if len > Self::MAX {
            return Err(Discard::Options);
        }
        let mut bytes = [const { MaybeUninit::uninit() }; Self::MAX];
        // SAFETY: Both have so many bytes.
        unsafe {
            let to = bytes.as_mut_ptr().cast::<u8>();
            core::ptr::copy_nonoverlapping(header.as_ptr(), to, len);
        }
        Ok(Self { bytes, len, total })
    }

    pub(crate) fn packet(&self) -> Result<Packet<'_>, Discard> {
        // SAFETY: `new` wrote so many bytes.
        let header =
            unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast::<u8>(), self.len) };
        Ok(Packet::parse_header(header, self.total)?)
    }
}
