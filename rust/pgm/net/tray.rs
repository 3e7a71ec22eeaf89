// SPDX-License-Identifier: GPL-2.0

//! Trays: while the reader is behind, small packets lie side by side in one buffer.
//!
//! A packet occupies what was made for it on its way, often twice what it carries. In a tray it is a
//! clone of the tray's buffer that shows its own part: a socket buffer still, with all its headers,
//! time stamp and control block, and nothing above knows.
//!
//! A tray is charged to its socket as a whole, from when it is made until the last packet in it is
//! freed: one that stays behind holds no more than is charged for it.

use core::mem::size_of;
use core::sync::atomic::{AtomicU32, Ordering};

use kernel::ffi::{c_int, c_void};
use pgm_bindings as b;

use super::lock::Locked;
use super::skb::SkBuff;
use crate::account;

/// Nothing is copied while less than this waits. A burst that is read as soon as it is whole is less.
const BEHIND: c_int = 256 << 10;
/// Of its headers and its payload. A larger packet would leave too much of a tray unused, and has
/// little to gain.
const PACKET_MAX: usize = 4096;
/// From the first header to the payload.
const HEADERS_MAX: usize = 256;
/// What a packet of a tray occupies outside of it, and a tray of its memory.
const OUTSIDE: u32 = size_of::<b::sk_buff>().next_multiple_of(64) as u32;
/// Of a tray's memory.
const SIZE: u32 = 32 << 10;
/// What a tray counts.
const CHARGE: u32 = SIZE + OUTSIDE;
/// Headers keep the alignment that they had.
const ALIGN: u32 = 4;

/// What a packet is to wait in. Those of the queue are freed in the order in which they came: of its
/// trays one is being filled and one emptied, and all between are full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Queue,
    Window,
}

/// The trays of a socket that are being filled.
pub(crate) struct Trays {
    queue: Option<Tray>,
    window: Option<Tray>,
}

/// One of them. Those that are full belong to their packets alone.
struct Tray {
    base: SkBuff,
    sk: *mut b::sock,
}

// SAFETY: The socket outlives its state, which owns the tray.
unsafe impl Send for Tray {}

/// A tray's memory begins with the number of its users: its packets, and one while it is being filled.
const HEAD: u32 = size_of::<AtomicU32>() as u32;

/// Charges a packet to the socket that keeps it and `used` bytes, as [`SkBuff::keep`] does, perhaps in
/// a tray. `proven`: whether its session is, see [`account::may_keep`].
#[inline(always)]
pub(crate) fn keep(sk: &mut Locked<'_>, skb: &mut SkBuff, used: c_int, lane: Lane, proven: bool) {
    if used > BEHIND {
        if let Some(small) = copy(sk, skb, lane, proven) {
            *skb = small;
            return;
        }
    }
    skb.keep(sk.as_ptr());
}

/// The packet in a tray, or `None` if it does not pay or there is no memory.
#[cold]
#[inline(never)]
fn copy(sk: &mut Locked<'_>, skb: &SkBuff, lane: Lane, proven: bool) -> Option<SkBuff> {
    let sock = sk.sock();
    // SAFETY: The lock is held. Who is alone with a packet holds all its memory; what belongs to the
    // buffer and not to its head, a time stamp of the device's and what GSO says, gets no copy.
    unsafe {
        // A reader that keeps up with this packet is not behind, whatever waits in windows.
        if lane == Lane::Queue && b::pgm_receive_empty(sock)
            || b::pgm_is_shared(skb.as_ptr())
            || b::pgm_is_gso(skb.as_ptr())
            || b::pgm_has_device_stamp(skb.as_ptr())
        {
            return None;
        }
    }
    let headers = headers(skb)?;
    let total = headers.saturating_add(skb.len());
    let inside = u32::try_from(total).ok().filter(|_| total <= PACKET_MAX)?;
    // Below a quarter the gain is not worth a copy.
    let after = inside.saturating_add(OUTSIDE);
    if skb.truesize().saturating_mul(3) < after.saturating_mul(4) {
        return None;
    }
    let open = sk.trays.lane(lane).as_mut();
    if !open.is_some_and(|tray| tray.fits(inside)) {
        let tray = Tray::new(sk, proven)?;
        *sk.trays.lane(lane) = Some(tray);
    }
    let open = sk.trays.lane(lane).as_mut()?;
    open.put(skb, headers, inside)
}

/// The bytes in front of the payload that whoever looks at headers may look at.
fn headers(skb: &SkBuff) -> Option<usize> {
    // SAFETY: We own the skb, whose data lie in the memory that begins at its head.
    let (headers, room) = unsafe {
        let raw = skb.as_ptr();
        let room = (*raw).data.offset_from((*raw).head);
        (b::pgm_headers_len(raw), room)
    };
    let (headers, room) = (usize::try_from(headers).ok()?, usize::try_from(room).ok()?);
    (headers <= room.min(HEADERS_MAX)).then_some(headers)
}

impl Trays {
    pub(crate) const NONE: Self = Self {
        queue: None,
        window: None,
    };

    fn lane(&mut self, lane: Lane) -> &mut Option<Tray> {
        match lane {
            Lane::Queue => &mut self.queue,
            Lane::Window => &mut self.window,
        }
    }

    /// Whether there is one, be it empty.
    #[inline(always)]
    pub(crate) fn is_any(&self) -> bool {
        self.queue.is_some() || self.window.is_some()
    }

    /// Gives up those that hold no packet.
    #[cold]
    #[inline(never)]
    pub(crate) fn drop_empty(&mut self) {
        for lane in [Lane::Queue, Lane::Window] {
            self.lane(lane).take_if(|tray| tray.is_empty());
        }
    }
}

impl Tray {
    /// `None`: there is no room for it, or no memory.
    fn new(sk: &Locked<'_>, proven: bool) -> Option<Self> {
        account::may_keep(sk, CHARGE, false, proven, false).ok()?;
        let sock = sk.sock();
        // SAFETY: The lock is held. The new buffer is ours; its memory is aligned for anything.
        unsafe {
            let used = b::pgm_rmem_alloc(sock).saturating_add(CHARGE as c_int);
            if used > account::receive_limit(sock) {
                return None;
            }
            let base = SkBuff::from_raw(b::pgm_new_tray(SIZE))?;
            let users: *mut AtomicU32 = b::skb_put(base.as_ptr(), HEAD).cast();
            users.write(AtomicU32::new(1));
            b::pgm_rmem_add(sock, CHARGE as c_int);
            Some(Self { base, sk: sock })
        }
    }

    fn is_empty(&self) -> bool {
        // SAFETY: We are a user. Only we add packets; with the last one's end we see all of it.
        unsafe { users_of(self.base.as_ptr()).load(Ordering::Acquire) == 1 }
    }

    /// Whether so many bytes fit, if they are aligned as they were before.
    fn fits(&mut self, bytes: u32) -> bool {
        let base = self.base.as_ptr();
        // SAFETY: We own the buffer. If no packet is in it, nobody looks at what was.
        unsafe {
            if self.is_empty() {
                b::skb_trim(base, HEAD);
            }
            b::pgm_tailroom(base) >= bytes.saturating_add(ALIGN - 1)
        }
    }

    /// Copies a packet that fits.
    fn put(&mut self, skb: &SkBuff, headers: usize, total: u32) -> Option<SkBuff> {
        let base = self.base.as_ptr();
        let begin = self.base.len() as u32;
        // SAFETY: We own both buffers. `headers` bytes lie in front of the data of `skb`, and all that
        // is written was just taken from the end of the tray: the clone, which is ours, ends where
        // that does, and its data begin where the copied ones do.
        unsafe {
            let from = (*skb.as_ptr()).data.sub(headers);
            let to = (*base).head.add(begin as usize);
            let skip = (from.addr().wrapping_sub(to.addr()) % ALIGN as usize) as u32;
            let to: *mut c_void = b::skb_put(base, skip.saturating_add(total))
                .cast::<u8>()
                .add(skip as usize)
                .cast();
            let first = (headers as c_int).wrapping_neg();
            let copied = b::skb_copy_bits(skb.as_ptr(), first, to, total as c_int) == 0;
            let clone = if copied { self.base.share() } else { None };
            let Some(clone) = clone else {
                b::skb_trim(base, begin);
                return None;
            };
            let raw = clone.as_ptr();
            b::skb_copy_header(raw, skb.as_ptr());
            let ahead = begin.saturating_add(skip);
            b::skb_pull(raw, ahead.saturating_add(headers as u32));
            let offset = |skb: *mut b::sk_buff| (*skb).data.offset_from((*skb).head);
            let moved = offset(raw).saturating_sub(offset(skb.as_ptr()));
            b::skb_headers_offset_update(raw, moved as c_int);
            (*raw).mac_len = (*skb.as_ptr()).mac_len;
            (*raw).truesize = OUTSIDE;
            b::pgm_keep_received(raw, self.sk);
            users_of(base).fetch_add(1, Ordering::Relaxed);
            (*raw).__bindgen_anon_3.__bindgen_anon_1.destructor = Some(free);
            Some(clone)
        }
    }
}

impl Drop for Tray {
    fn drop(&mut self) {
        // SAFETY: We are a user.
        unsafe { leave(self.base.as_ptr(), self.sk) };
    }
}

/// The destructor of a packet in a tray.
///
/// # Safety
///
/// Called by the kernel, once, before the memory is given up; the socket lives.
unsafe extern "C" fn free(skb: *mut b::sk_buff) {
    // SAFETY: By the caller. The packet was a user.
    unsafe {
        leave(skb, (*skb).sk);
        b::sock_rfree(skb);
    }
}

/// The tray of `skb` loses a user; with the last one it is not charged any more.
///
/// # Safety
///
/// The caller is a user of a tray of `sk`, and gives that up.
unsafe fn leave(skb: *mut b::sk_buff, sk: *mut b::sock) {
    // SAFETY: By the caller.
    unsafe {
        if users_of(skb).fetch_sub(1, Ordering::AcqRel) == 1 {
            b::pgm_rmem_add(sk, (CHARGE as c_int).wrapping_neg());
        }
    }
}

/// # Safety
///
/// `skb` is a tray's, or a packet's in a tray, and lives as long as the result.
unsafe fn users_of<'a>(skb: *mut b::sk_buff) -> &'a AtomicU32 {
    // SAFETY: By the caller; all of them share the memory that begins at their head.
    unsafe { &*(*skb).head.cast() }
}
