// SPDX-License-Identifier: GPL-2.0

//! The socket lock, the only lock of a socket. Holding it is the only way to its [`State`].

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use kernel::prelude::*;
use pgm_bindings as b;

use crate::sock::{PgmSock, State};

/// Proof that the socket lock is held: by a process (`lock_sock`) or, with bottom halves off and no
/// process inside, by its spin lock.
pub(crate) struct Locked<'a> {
    sk: NonNull<PgmSock>,
    _held: PhantomData<&'a mut State>,
}

impl Locked<'_> {
    /// # Safety
    ///
    /// The lock of `sk` is held for as long as the result lives, and there is only one such proof.
    pub(crate) unsafe fn assume(sk: NonNull<PgmSock>) -> Self {
        Self {
            sk,
            _held: PhantomData,
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut PgmSock {
        self.sk.as_ptr()
    }

    pub(crate) fn sock(&self) -> *mut b::sock {
        self.sk.as_ptr().cast()
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        // SAFETY: The lock is held, and the state lives as long as the socket.
        unsafe { &*(*self.sk.as_ptr()).state }
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        // SAFETY: The lock is held, and this is its only proof.
        unsafe { &mut *(*self.sk.as_ptr()).state }
    }
}

/// The lock as a process takes it: it may sleep inside, softirqs queue to the backlog.
pub(crate) struct UserLock<'a>(Locked<'a>);

impl UserLock<'_> {
    /// # Safety
    ///
    /// `sk` is a PGM socket that the calling process has a reference to; it holds no lock.
    pub(crate) unsafe fn new(sk: *mut b::sock) -> Option<Self> {
        let sk = NonNull::new(sk.cast::<PgmSock>())?;
        // SAFETY: By the caller.
        unsafe {
            b::pgm_lock_sock(sk.as_ptr().cast());
            Some(Self(Locked::assume(sk)))
        }
    }

    /// Sleeps until the socket's state may have changed, a signal came or `timeo` jiffies passed.
    /// The lock is released meanwhile.
    pub(crate) fn wait(&mut self, timeo: &mut kernel::ffi::c_long) {
        // SAFETY: We hold the lock as a process. Nothing borrowed from the state lives across.
        unsafe {
            b::pgm_leave_and_wait(self.0.sock(), timeo, false);
            b::pgm_lock_sock(self.0.sock());
        }
    }

    /// As [`UserLock::wait`], for a call that fails when its time is over or a signal came.
    pub(crate) fn sleep(&mut self, timeo: &mut kernel::ffi::c_long) -> Result {
        may_sleep(*timeo)?;
        self.wait(timeo);
        Ok(())
    }

    /// As [`UserLock::sleep`], for a call that begins anew without the lock, and tells of errors.
    pub(crate) fn leave_and_sleep(self, timeo: &mut kernel::ffi::c_long) -> Result {
        may_sleep(*timeo)?;
        let sk = self.0.sock();
        core::mem::forget(self);
        // SAFETY: We held the lock as a process; it is given up.
        unsafe { b::pgm_leave_and_wait(sk, timeo, true) };
        Ok(())
    }
}

/// Whether a call has time left, and no signal came.
fn may_sleep(timeo: kernel::ffi::c_long) -> Result {
    if timeo == 0 {
        return Err(EAGAIN);
    }
    // SAFETY: Both are always safe to call.
    unsafe {
        if b::pgm_signal_pending() {
            return Err(Error::from_errno(b::pgm_intr_errno(timeo)));
        }
    }
    Ok(())
}

impl<'a> Deref for UserLock<'a> {
    type Target = Locked<'a>;

    fn deref(&self) -> &Locked<'a> {
        &self.0
    }
}

impl<'a> DerefMut for UserLock<'a> {
    fn deref_mut(&mut self) -> &mut Locked<'a> {
        &mut self.0
    }
}

impl Drop for UserLock<'_> {
    fn drop(&mut self) {
        // SAFETY: Taken in `new`.
        unsafe { b::release_sock(self.0.sock()) };
    }
}

/// Holds softirqs back on this CPU: what is sent meanwhile is received together, if a receiver is on
/// this host, and not packet by packet in between.
pub(crate) struct BhOff(PhantomData<*mut ()>);

impl BhOff {
    pub(crate) fn new() -> Self {
        // SAFETY: Always safe to call; the guard lets them run again.
        unsafe { b::pgm_bh_disable() };
        Self(PhantomData)
    }
}

impl Drop for BhOff {
    fn drop(&mut self) {
        // SAFETY: Pairs with `new`, on this CPU.
        unsafe { b::pgm_bh_enable() };
    }
}

/// The lock as a softirq takes it.
pub(crate) struct BhLock<'a> {
    sk: NonNull<PgmSock>,
    /// What gives it back.
    unlock: unsafe extern "C" fn(*mut b::sock),
    _held: PhantomData<&'a mut State>,
}

impl BhLock<'_> {
    /// # Safety
    ///
    /// `sk` is kept alive by a reference or an RCU read section, and is not locked by this CPU.
    pub(crate) unsafe fn new(sk: NonNull<PgmSock>) -> Self {
        // SAFETY: By the caller.
        unsafe { b::pgm_bh_lock_sock(sk.as_ptr().cast()) };
        Self {
            sk,
            unlock: b::pgm_bh_unlock_sock,
            _held: PhantomData,
        }
    }

    /// As [`BhLock::new`], where bottom halves are off anyway.
    ///
    /// # Safety
    ///
    /// As for `new`, in a softirq.
    pub(crate) unsafe fn in_softirq(sk: NonNull<PgmSock>) -> Self {
        // SAFETY: By the caller.
        unsafe { b::pgm_softirq_lock_sock(sk.as_ptr().cast()) };
        Self {
            sk,
            unlock: b::pgm_softirq_unlock_sock,
            _held: PhantomData,
        }
    }

    /// As [`BhLock::new`], inside the lock of a listener.
    ///
    /// # Safety
    ///
    /// As for `new`; `sk` is a child of the locked listener.
    pub(crate) unsafe fn new_nested(sk: NonNull<PgmSock>) -> Self {
        // SAFETY: By the caller.
        unsafe { b::pgm_bh_lock_sock_nested(sk.as_ptr().cast()) };
        Self {
            sk,
            unlock: b::pgm_bh_unlock_sock,
            _held: PhantomData,
        }
    }

    /// Gives it up and sleeps as [`UserLock::leave_and_sleep`] does: a message that comes meanwhile, or an
    /// error, wakes the sleeper.
    pub(crate) fn leave_and_wait(self, timeo: &mut kernel::ffi::c_long) {
        let sk = self.sk.as_ptr().cast();
        core::mem::forget(self);
        // SAFETY: By a process, which [`BhLock::new`] took it for; it is given up.
        unsafe { b::pgm_bh_leave_and_wait(sk, timeo) };
    }

    /// The state, unless a process is inside.
    pub(crate) fn state(&mut self) -> Option<Locked<'_>> {
        // SAFETY: The spin lock is held; without an owner it is the whole lock.
        unsafe {
            if b::pgm_sock_owned(self.sk.as_ptr().cast()) {
                return None;
            }
            Some(Locked::assume(self.sk))
        }
    }
}

impl Drop for BhLock<'_> {
    fn drop(&mut self) {
        // SAFETY: Taken when this was made, on this CPU.
        unsafe { (self.unlock)(self.sk.as_ptr().cast()) };
    }
}

/// While it lasts, what is allocated is charged to the memory cgroup of a socket, whoever is at work.
/// What a listener does with a child is charged to the listener.
pub(crate) struct Charged {
    before: *mut b::mem_cgroup,
}

impl Charged {
    pub(crate) fn to(sk: &Locked<'_>) -> Self {
        // SAFETY: The socket keeps its cgroup.
        let before = unsafe { b::pgm_charge_owner(sk.sock()) };
        Self { before }
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        // SAFETY: Whoever was charged before is still at work.
        unsafe { b::pgm_charge_again(self.before) };
    }
}
