// SPDX-License-Identifier: GPL-2.0

//! Data packets in one buffer. PGM's headers are payload to UDP, so that packets of one size can go
//! through IP and the device together as segments of UDP (UDP_L4 GSO); who cannot take them so gets
//! them cut by the stack.

use pgm_bindings as b;
use pgm_wire::{Addr, PacketType};

use super::output::{self, Path, Segments, Way};
use super::skb::SkBuff;
use crate::counters::{self, Counter};
use crate::sock::PgmSock;

/// As many as the receiver's side of UDP joins.
pub(crate) const PACKETS_MAX: u32 = 64;
/// The lengths of IPv4 and UDP count 16 bits; headers in front come on top.
const BYTES_MAX: u32 = 65_535 - 128;

/// The packets of one turn that wait to leave together. They leave before its lock is released.
pub(crate) struct Burst(Option<Open>);

struct Open {
    skb: SkBuff,
    way: Way,
    segments: Segments,
    packets_max: u32,
    bytes_max: u32,
    /// The last packet was shorter than the others: nothing can follow.
    full: bool,
}

impl Burst {
    pub(crate) const EMPTY: Self = Self(None);

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds a data packet for the group. `more`: it is not the last one that waits. `false`: it is not
    /// in the burst, and must go alone or after it.
    ///
    /// # Safety
    ///
    /// `sk` is locked and encapsulated; `payload` is of a packet in the window that was never sent.
    pub(crate) unsafe fn add(
        &mut self,
        sk: *mut PgmSock,
        path: &Path,
        header: &[u8],
        payload: *const b::pgm_tsdu,
        more: bool,
    ) -> bool {
        // SAFETY: By the caller.
        unsafe {
            match &mut self.0 {
                Some(open) => open.add(header, payload),
                None if more => {
                    self.0 = Open::new(sk, path, header, payload);
                    self.0.is_some()
                }
                None => false,
            }
        }
    }

    /// Sends what was added.
    ///
    /// # Safety
    ///
    /// `sk` is locked; it and `path` are those of all packets.
    pub(crate) unsafe fn flush(&mut self, sk: *mut PgmSock, path: &Path) {
        if let Some(open) = self.0.take() {
            let (skb, segments) = (open.skb.into_raw(), open.segments);
            // SAFETY: By the caller. As with any packet, what cannot be sent is lost.
            unsafe {
                if output::send_segments(sk, open.way, path, skb, segments).is_ok() {
                    let sent = Counter::sent(PacketType::Odata);
                    counters::count(sk.cast(), sent, segments.count.into());
                }
            }
        }
    }
}

impl Open {
    /// # Safety
    ///
    /// As for [`Burst::add`].
    unsafe fn new(
        sk: *mut PgmSock,
        path: &Path,
        header: &[u8],
        payload: *const b::pgm_tsdu,
    ) -> Option<Self> {
        // SAFETY: By the caller.
        unsafe {
            // Each message has its time stamp, a buffer only one.
            if b::pgm_stamps_packets(sk.cast()) {
                return None;
            }
            let way = Way::cached(sk.cast(), path.source)?;
            let (packets, bytes) = way.gso_limits();
            let size = length(header, payload)?;
            let v6 = matches!(path.group, Addr::V6(_));
            let whole = size.checked_add(output::overhead(v6, (*sk).encap, None))?;
            if packets < 2 || whole > path.mtu {
                return None;
            }
            let mut open = Self {
                skb: SkBuff::from_raw(output::allocate(&[]).ok()?)?,
                way,
                segments: Segments { size, count: 0 },
                packets_max: packets.min(PACKETS_MAX),
                bytes_max: bytes.min(BYTES_MAX),
                full: false,
            };
            open.add(header, payload).then_some(open)
        }
    }

    /// # Safety
    ///
    /// As for [`Burst::add`].
    unsafe fn add(&mut self, header: &[u8], payload: *const b::pgm_tsdu) -> bool {
        // SAFETY: By the caller; the buffer is ours.
        unsafe {
            let Some(size) = length(header, payload) else {
                return false;
            };
            let skb = self.skb.as_ptr();
            if self.full
                || size > self.segments.size
                || self.segments.count >= self.packets_max
                || (*skb).len.saturating_add(size) > self.bytes_max
                || b::pgm_append_packet(skb, payload, header.as_ptr().cast(), header.len() as u32)
                    == 0
            {
                return false;
            }
            self.full = size < self.segments.size;
        }
        self.segments.count = self.segments.count.saturating_add(1);
        true
    }
}

/// # Safety
///
/// `payload` is valid.
unsafe fn length(header: &[u8], payload: *const b::pgm_tsdu) -> Option<u32> {
    // SAFETY: By the caller.
    let payload = unsafe { (*payload).len };
    u32::try_from(header.len())
        .ok()?
        .checked_add(payload.into())
}
