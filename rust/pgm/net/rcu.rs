// SPDX-License-Identifier: GPL-2.0

//! RCU read sections and the hash chains of sockets walked inside them.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use pgm_bindings as b;

use crate::sock::PgmSock;

/// An RCU read-side critical section.
pub(crate) struct ReadGuard(PhantomData<*mut ()>);

impl ReadGuard {
    pub(crate) fn new() -> Self {
        // SAFETY: Always safe to call; the guard unlocks.
        unsafe { b::pgm_rcu_read_lock() };
        Self(PhantomData)
    }

    /// For one that somebody else ends.
    ///
    /// # Safety
    ///
    /// It lasts longer than the guard lives.
    pub(crate) unsafe fn inside() -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self(PhantomData))
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        // SAFETY: Pairs with the lock in `new`.
        unsafe { b::pgm_rcu_read_unlock() };
    }
}

/// Which list node of a socket a chain is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// Ports and sessions.
    Main,
    /// Sources.
    Bind,
}

/// The sockets of one bucket. They stay allocated as long as the guard lives
/// (SOCK_RCU_FREE), even if they are unhashed meanwhile.
pub(crate) struct Chain<'a> {
    next: *mut b::sock,
    node: Node,
    _guard: PhantomData<&'a ReadGuard>,
}

impl<'a> Chain<'a> {
    /// # Safety
    ///
    /// `head` is a bucket whose sockets are [`PgmSock`]s linked by `node`.
    pub(crate) unsafe fn new(_guard: &'a ReadGuard, head: *mut b::hlist_head, node: Node) -> Self {
        // SAFETY: By the caller, inside the read section that `_guard` proves.
        let next = unsafe {
            match node {
                Node::Main => b::pgm_first_rcu(head),
                Node::Bind => b::pgm_first_bind_rcu(head),
            }
        };
        Self {
            next,
            node,
            _guard: PhantomData,
        }
    }
}

impl Iterator for Chain<'_> {
    type Item = NonNull<PgmSock>;

    fn next(&mut self) -> Option<NonNull<PgmSock>> {
        let this = NonNull::new(self.next)?;
        // SAFETY: `this` was reached inside the read section, so it is still allocated.
        self.next = unsafe {
            match self.node {
                Node::Main => b::pgm_next_rcu(this.as_ptr()),
                Node::Bind => b::pgm_next_bind_rcu(this.as_ptr()),
            }
        };
        Some(this.cast())
    }
}
