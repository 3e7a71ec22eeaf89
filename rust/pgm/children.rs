// SPDX-License-Identifier: GPL-2.0

//! The sessions a listener keeps: a queue linked through the sockets, so that it needs no memory.

use core::ptr::{null_mut, NonNull};

use crate::sock::PgmSock;

/// Sessions in the order they came. The queue owns one reference to each, and only the lock of
/// its listener protects it.
pub(crate) struct Children {
    head: *mut PgmSock,
    tail: *mut PgmSock,
    len: usize,
}

// SAFETY: The sockets are reached only under the lock of the listener.
unsafe impl Send for Children {}

impl Children {
    pub(crate) const fn new() -> Self {
        Self {
            head: null_mut(),
            tail: null_mut(),
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes over the caller's reference.
    ///
    /// # Safety
    ///
    /// `child` is a session in no queue.
    pub(crate) unsafe fn push(&mut self, child: NonNull<PgmSock>) {
        let child = child.as_ptr();
        // SAFETY: The queue's references keep its sockets; `next` is ours alone.
        unsafe {
            (*child).next = null_mut();
            match NonNull::new(self.tail) {
                Some(tail) => (*tail.as_ptr()).next = child,
                None => self.head = child,
            }
        }
        self.tail = child;
        self.len = self.len.wrapping_add(1);
    }

    /// Takes the caller's reference back: `child` is the oldest again.
    ///
    /// # Safety
    ///
    /// As for [`Children::push`].
    pub(crate) unsafe fn push_front(&mut self, child: NonNull<PgmSock>) {
        // SAFETY: As in `push`.
        unsafe { (*child.as_ptr()).next = self.head };
        self.head = child.as_ptr();
        if self.tail.is_null() {
            self.tail = child.as_ptr();
        }
        self.len = self.len.wrapping_add(1);
    }

    /// Gives up the oldest and its reference.
    pub(crate) fn pop(&mut self) -> Option<NonNull<PgmSock>> {
        let first = NonNull::new(self.head)?;
        self.unlink(null_mut(), first);
        Some(first)
    }

    /// Gives up `child` and its reference, if it is here.
    pub(crate) fn remove(&mut self, child: NonNull<PgmSock>) -> Option<NonNull<PgmSock>> {
        let mut before = null_mut();
        let mut at = self.head;
        while let Some(here) = NonNull::new(at) {
            if here == child {
                self.unlink(before, here);
                return Some(here);
            }
            before = at;
            // SAFETY: As in `push`.
            at = unsafe { (*here.as_ptr()).next };
        }
        None
    }

    /// Takes out `child`, which stands behind `before` or, without one, first.
    fn unlink(&mut self, before: *mut PgmSock, child: NonNull<PgmSock>) {
        // SAFETY: As in `push`.
        unsafe {
            let next = (*child.as_ptr()).next;
            match NonNull::new(before) {
                Some(before) => (*before.as_ptr()).next = next,
                None => self.head = next,
            }
            if self.tail == child.as_ptr() {
                self.tail = before;
            }
            (*child.as_ptr()).next = null_mut();
        }
        self.len = self.len.wrapping_sub(1);
    }
}
