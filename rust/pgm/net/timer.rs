// SPDX-License-Identifier: GPL-2.0

//! The one timer of a socket: a soft hrtimer that holds a reference to its socket while it is
//! armed.

use core::ptr::addr_of_mut;

use pgm_bindings as b;
use pgm_core::Instant;

use crate::sock::PgmSock;

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
        if b::pgm_timer_queued(timer) {
            if b::pgm_timer_expires(timer) <= at.nanos() {
                return;
            }
            if b::hrtimer_try_to_cancel(timer) != 1 {
                // It fires at this moment and arms itself again.
                return;
            }
        } else {
            b::pgm_sock_hold(sk.cast());
        }
        b::pgm_timer_start(timer, at.nanos());
    }
}

/// Stops the timer. One that is just firing finds the socket closed.
///
/// # Safety
///
/// The socket lock is held.
pub(crate) unsafe fn cancel(sk: *mut PgmSock) {
    // SAFETY: As in `arm`; the caller still has a reference of its own.
    unsafe {
        if b::hrtimer_try_to_cancel(addr_of_mut!((*sk).timer)) == 1 {
            b::pgm_sock_put(sk.cast());
        }
    }
}
