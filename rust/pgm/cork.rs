// SPDX-License-Identifier: GPL-2.0

//! One message from several calls of send(): MSG_MORE, as UDP's cork, and PGM_MESSAGE_BOUNDARY.

use core::mem::zeroed;

use kernel::ffi::c_void;
use kernel::prelude::*;
use pgm_bindings as b;

/// The beginning of a message whose rest other calls bring. It is no packet yet: how a message is
/// cut depends on its length.
#[derive(Default)]
pub(crate) struct Cork {
    /// The gathered bytes are the first `len` of its capacity; as a vector it stays empty, since
    /// the arithmetic of its own methods can panic.
    pieces: KVVec<u8>,
    len: usize,
    /// A call said MSG_MORE, maybe with no bytes.
    open: bool,
    /// PGM_MESSAGE_BOUNDARY: the length of this message, or of the next one; 0: each call is one.
    boundary: u32,
}

/// What becomes of the bytes of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// They are a message.
    Whole,
    /// More will follow.
    Piece,
    /// They complete the message.
    Last,
}

impl Cork {
    /// Whether a message has begun.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Bytes gathered.
    pub(crate) fn len(&self) -> u32 {
        self.len as u32
    }

    /// Bytes of memory.
    pub(crate) fn capacity(&self) -> usize {
        self.pieces.capacity()
    }

    pub(crate) fn boundary(&self) -> u32 {
        self.boundary
    }

    /// The next message has this length.
    pub(crate) fn set_boundary(&mut self, len: u32) {
        self.boundary = len;
    }

    /// Drops what was gathered: the message is never sent.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A message was sent.
    pub(crate) fn end(&mut self) {
        if self.open {
            self.clear();
        }
        self.boundary = 0;
    }

    /// What `len` more bytes are. A message above `limit` is dropped as a whole.
    pub(crate) fn part(&mut self, len: u32, more: bool, limit: u32) -> Result<Part> {
        self.look(len, more, limit).inspect_err(|_| self.clear())
    }

    /// As [`Cork::part`], but a message of others is not dropped.
    pub(crate) fn look(&self, len: u32, more: bool, limit: u32) -> Result<Part> {
        let total = self.len().saturating_add(len);
        let bound = if self.boundary == 0 {
            limit
        } else {
            self.boundary
        };
        if total > bound || bound > limit {
            return Err(EMSGSIZE);
        }
        let ends = match self.boundary {
            0 => !more,
            boundary => total == boundary,
        };
        Ok(match (ends, self.open) {
            (true, false) => Part::Whole,
            (true, true) => Part::Last,
            (false, _) => Part::Piece,
        })
    }

    /// Appends the next `len` bytes of `from`, or nothing.
    ///
    /// # Safety
    ///
    /// `from` is the iterator of a sendmsg() call.
    pub(crate) unsafe fn append(&mut self, from: *mut b::iov_iter, len: u32) -> Result {
        let len = len as usize;
        self.grow(len)?;
        // SAFETY: There is room for `len` bytes behind the others; the copy checks the user's
        // memory.
        unsafe {
            let to = self.pieces.as_mut_ptr().add(self.len);
            kernel::error::to_result(b::pgm_copy_from_iter(to.cast(), len, from))?;
        }
        self.len = self.len.saturating_add(len);
        self.open = true;
        Ok(())
    }

    /// Makes room for `len` bytes more.
    fn grow(&mut self, len: usize) -> Result {
        let total = self.len.saturating_add(len);
        if self.pieces.capacity() >= total {
            return Ok(());
        }
        let mut pieces = KVVec::with_capacity(total.saturating_mul(2), GFP_KERNEL_ACCOUNT)?;
        let (from, to) = (self.pieces.as_mut_ptr(), pieces.as_mut_ptr());
        // SAFETY: The old buffer has so many bytes, the new one has room for more.
        unsafe { core::ptr::copy_nonoverlapping(from, to, self.len) };
        self.pieces = pieces;
        Ok(())
    }

    /// Takes the last `len` bytes back: the call that brought them fails.
    pub(crate) fn take_back(&mut self, len: u32) {
        self.len = self.len.saturating_sub(len as usize);
    }

    /// Calls `with` with an iterator over what was gathered, which it must not keep.
    pub(crate) fn read<R>(&mut self, with: impl FnOnce(*mut b::iov_iter) -> R) -> R {
        // SAFETY: All-zero is a valid iterator and a valid vector; the bytes outlive the call.
        unsafe {
            let mut iter: b::iov_iter = zeroed();
            let vector = b::kvec {
                iov_base: self.pieces.as_mut_ptr().cast::<c_void>(),
                iov_len: self.len,
            };
            b::iov_iter_kvec(&mut iter, b::ITER_SOURCE_, &vector, 1, self.len);
            with(&mut iter)
        }
    }
}
