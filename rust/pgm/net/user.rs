// SPDX-License-Identifier: GPL-2.0

//! Option values to and from the caller of setsockopt() and getsockopt().

use core::mem::{size_of, MaybeUninit};

use kernel::ffi::{c_char, c_int};
use kernel::prelude::*;
use pgm_bindings as b;

/// Types that any bit pattern fills, and that have no padding to leak.
///
/// # Safety
///
/// Both of the above hold.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: Integers, and structs of integers without padding (see include/uapi/linux/pgm.h).
unsafe impl Plain for u32 {}
// SAFETY: As above.
unsafe impl Plain for c_int {}
// SAFETY: As above.
unsafe impl Plain for [u32; 32] {}
// SAFETY: As above.
unsafe impl Plain for b::pgm_send_window {}
// SAFETY: As above.
unsafe impl Plain for b::pgm_udp_encap {}
// SAFETY: As above.
unsafe impl Plain for b::pgm_tsi {}
// SAFETY: As above.
unsafe impl Plain for b::pgm_loss {}
// SAFETY: As above.
unsafe impl Plain for b::pgm_rcvinfo {}
// SAFETY: As above.
unsafe impl Plain for b::pgm_sender_stats {}
// SAFETY: As above.
unsafe impl Plain for b::pgm_receiver_stats {}

/// What setsockopt() was given.
pub(crate) struct Input {
    value: b::sockptr_t,
    len: usize,
}

impl Input {
    /// # Safety
    ///
    /// `value` and `len` are those of one setsockopt() call.
    pub(crate) unsafe fn new(value: b::sockptr_t, len: u32) -> Self {
        Self {
            value,
            len: len as usize,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value, which must be at least as long as `T`.
    pub(crate) fn read<T: Plain>(&self) -> Result<T> {
        if self.len < size_of::<T>() {
            return Err(EINVAL);
        }
        self.read_bytes(size_of::<T>())
    }

    /// The first `len` bytes of a `T`, the rest zero; `len` is at most the size of `T`.
    pub(crate) fn read_bytes<T: Plain>(&self, len: usize) -> Result<T> {
        let mut value = MaybeUninit::<T>::zeroed();
        let len = len.min(size_of::<T>()).min(self.len);
        // SAFETY: `value` has room for `len` bytes; the copy checks the user's pointer.
        kernel::error::to_result(unsafe {
            b::pgm_from_sockptr(value.as_mut_ptr().cast(), self.value, len)
        })?;
        // SAFETY: `T` is `Plain`: zeroes and user bytes are valid.
        Ok(unsafe { value.assume_init() })
    }
}

/// Where getsockopt() wants its answer.
pub(crate) struct Output {
    value: *mut c_char,
    len: *mut c_int,
}

impl Output {
    /// # Safety
    ///
    /// The pointers are those of one getsockopt() call.
    pub(crate) unsafe fn new(value: *mut c_char, len: *mut c_int) -> Self {
        Self { value, len }
    }

    /// Writes as much of `answer` as the caller has room for, and says how much.
    pub(crate) fn write<T: Plain>(&self, answer: &T) -> Result {
        let mut room: c_int = 0;
        // SAFETY: `len` is a user pointer, which get_user checks.
        kernel::error::to_result(unsafe { b::pgm_get_user_int(&mut room, self.len) })?;
        let room = usize::try_from(room).map_err(|_| EINVAL)?;
        let len = room.min(size_of::<T>());
        // SAFETY: `answer` has `len` bytes without padding; the copies check the user's pointers.
        unsafe {
            kernel::error::to_result(b::pgm_put_user_int(len as c_int, self.len))?;
            kernel::error::to_result(b::pgm_to_user(
                self.value.cast(),
                core::ptr::from_ref(answer).cast(),
                len,
            ))
        }
    }
}
