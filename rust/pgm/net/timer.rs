// SPDX-License-Identifier: GPL-2.0

//! The one timer of a socket: a soft hrtimer that holds a reference to its socket while it is
//! armed.

use core::ptr::{addr_of, addr_of_mut};
use core::sync::atomic::{AtomicU8, Ordering};

use pgm_bindings as b;
use pgm_core::Instant;

use super::lock::Locked;
use crate::sock::PgmSock;

/// How far the timer's function is.
pub(crate) struct Progress(AtomicU8);

impl Progress {
    /// It does not run, or has nothing more to do with the socket.
    const NONE: u8 = 0;
    /// It has not come to the socket yet.
    const BEFORE: u8 = 1;
    /// It has the lock.
    const INSIDE: u8 = 2;

    /// The timer fired.
    pub(crate) fn begin(&self) {
        self.0.store(Self::BEFORE, Ordering::Relaxed);
    }

    /// The function has the socket's lock.
    pub(crate) fn enter(&self) {
        self.0.store(Self::INSIDE, Ordering::Relaxed);
    }

    /// It gives up the lock.
    pub(crate) fn leave(&self) {
        self.0.store(Self::NONE, Ordering::Relaxed);
    }
}

/// The time of the engine: the monotonic clock.
pub(crate) fn now() -> Instant {
    // SAFETY: Always safe to call.
    Instant::from_nanos(unsafe { b::pgm_now() })
}

/// Makes the timer usable; `fire` gets the socket's timer.
///
/// # Safety
///
/// `sk` is a socket that nobody else can see yet.
pub(crate) unsafe fn setup(
    sk: *mut PgmSock,
    fire: unsafe extern "C" fn(*mut b::hrtimer) -> b::hrtimer_restart,
) {
    // SAFETY: The timer lives in the socket, which the caller owns.
    unsafe { b::pgm_timer_setup(addr_of_mut!((*sk).timer), Some(fire)) };
}

/// Fires at `at` or earlier. An armed timer is only ever moved forward: it then finds nothing due
/// and is armed again, which is cheaper than moving it for each packet.
///
/// # Safety
///
/// The socket lock is held.
pub(crate) unsafe fn arm(sk: *mut PgmSock, at: Instant) {
    // SAFETY: The timer lives in the socket; the lock serialises arming and cancelling, and each
    // armed timer owns one reference.
    unsafe {
        let timer = addr_of_mut!((*sk).timer);
        loop {
            match armed_for(sk) {
                None => {
                    b::pgm_sock_hold(sk.cast());
                    break;
                }
                Some(armed) if armed <= at => return,
                Some(_) => {}
            }
            if b::hrtimer_try_to_cancel(timer) == 1 {
                break;
            }
            // Its function runs: an armed timer cannot be stopped then, and does not fire.
            match (*sk).firing.0.load(Ordering::Relaxed) {
                // It will come to the socket after us, and arm itself.
                Progress::BEFORE => return,
                // It is who calls.
                Progress::INSIDE => break,
                // It is about to return.
                _ => core::hint::spin_loop(),
            }
        }
        b::pgm_timer_start(timer, at.nanos());
    }
}

/// When it fires, if it is armed.
///
/// # Safety
///
/// The socket lock is held.
unsafe fn armed_for(sk: *mut PgmSock) -> Option<Instant> {
    // SAFETY: The timer lives in the socket; the lock serialises arming and cancelling, so that it can
    // only be taken off its queue meanwhile, to fire.
    unsafe {
        let timer = addr_of!((*sk).timer);
        let is_queued = addr_of!((*timer).is_queued).read_volatile();
        is_queued.then(|| Instant::from_nanos((*timer).node.expires.unsigned_abs()))
    }
}

/// Whether it is armed: then it sees to whatever is due.
pub(crate) fn is_armed(sk: &Locked<'_>) -> bool {
    // SAFETY: The lock is held.
    unsafe { armed_for(sk.as_ptr()) }.is_some()
}

/// Whether it is not armed, or is about to fire: only then something may have been due before now.
pub(crate) fn is_due(sk: &Locked<'_>, now: Instant) -> bool {
    // SAFETY: The lock is held.
    unsafe { armed_for(sk.as_ptr()) }.is_none_or(|at| at <= now)
}

/// Whether it is armed for no later than `at`.
pub(crate) fn fires_by(sk: &Locked<'_>, at: Instant) -> bool {
    // SAFETY: The lock is held.
    unsafe { armed_for(sk.as_ptr()) }.is_some_and(|armed| armed <= at)
}

/// Stops the timer for good: nothing arms it again. While its function runs for the last time, an
/// armed timer cannot be stopped: [`crate::engine::turn`] comes here again for a socket that was
/// released, so that the timer does not hold it until it is due.
///
/// # Safety
///
/// The socket lock is held.
pub(crate) unsafe fn cancel(sk: *mut PgmSock) {
    // SAFETY: As in `arm`; the caller still has a reference of its own.
    unsafe {
        let timer = addr_of_mut!((*sk).timer);
        loop {
            match b::hrtimer_try_to_cancel(timer) {
                0 => return,
                1 => return b::pgm_sock_put(sk.cast()),
                _ => {}
            }
            match (*sk).firing.0.load(Ordering::Relaxed) {
                // It will come to the socket after us, and here.
                Progress::BEFORE => return,
                // It is who calls. If it was armed meanwhile it fires at once instead, and finds
                // nothing to do.
                Progress::INSIDE => {
                    if armed_for(sk).is_some() {
                        b::pgm_timer_start(timer, 0);
                    }
                    return;
                }
                // It is about to return, or to begin.
                _ => core::hint::spin_loop(),
            }
        }
    }
}
