// SPDX-License-Identifier: GPL-2.0

//! shutdown() and close(). A source outlives its descriptor: it says FIN and repairs until the
//! window's time is over (RFC 3208 §9.7.2).

use kernel::ffi::{c_int, c_long};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::{settings, Duration};

use crate::net::lock::{Locked, UserLock};
use crate::net::timer;
use crate::net::tray::Trays;
use crate::net::udp::UdpPorts;
use crate::sock::{PgmSock, Receive};
use crate::{account, demux, engine, listener, netns};

/// `proto_ops.shutdown`.
///
/// # Safety
///
/// Called by the kernel for a process.
pub(crate) unsafe extern "C" fn shutdown(sock: *mut b::socket, how: c_int) -> c_int {
    // SHUT_RD, SHUT_WR, SHUT_RDWR are 0, 1, 2; the kernel's bits are 1, 2, 3.
    let bits = how.wrapping_add(1) as u32;
    if bits == 0 || bits & !b::SHUTDOWN_MASK != 0 {
        return EINVAL.to_errno();
    }
    // SAFETY: By the caller.
    unsafe {
        let Some(mut sk) = UserLock::new((*sock).sk) else {
            return EINVAL.to_errno();
        };
        if sk.source.is_none() && !matches!(sk.receive, Receive::Session(_)) {
            return ENOTCONN.to_errno();
        }
        (*sk.sock()).sk_shutdown |= bits as u8;
        if bits & b::SEND_SHUTDOWN != 0 {
            let now = timer::now();
            // A message that was not completed is none.
            sk.cork.clear();
            if let Some(source) = &mut sk.source {
                source.fin(now);
            }
            engine::turn(&mut sk, timer::now());
        }
        b::pgm_state_change(sk.sock());
    }
    0
}

/// `proto.close`: `timeout` is that of SO_LINGER, in jiffies.
///
/// # Safety
///
/// Called once by the kernel, which gives up its reference.
pub(crate) unsafe extern "C" fn close(sk: *mut b::sock, timeout: c_long) {
    // SAFETY: By the caller.
    unsafe {
        listener::leave(sk);
        let Some(mut lock) = UserLock::new(sk) else {
            return;
        };
        (*sk).sk_shutdown = b::SHUTDOWN_MASK as u8;
        // A closed source repairs for the time of its window, and no longer than this: it keeps its
        // namespace and the module in use.
        let repair_max = netns::setting(b::pgm_sock_net(sk), &settings::REPAIR_MAX);
        // One too many says RST, once.
        let cut = lock.source.is_some() && !account::may_linger(&lock);
        let most = Duration::from_millis(if cut { 0 } else { repair_max });
        lock.closing = Some(timer::now().after(most));
        listener::drain(&mut lock);
        demux::remove_receiver(lock.as_ptr());
        lock.receive = Receive::Idle;
        lock.cork.clear();
        b::pgm_purge_receive(sk);
        lock.trays = Trays::NONE;

        let abort = b::pgm_sock_flag(sk, b::sock_flags_SOCK_LINGER) && (*sk).sk_lingertime == 0;
        let now = timer::now();
        if let Some(source) = &mut lock.source {
            if abort || cut {
                source.abort(now, 0, true);
            } else {
                source.fin(now);
            }
        }
        // The background's reference; finish() gives it up.
        b::pgm_sock_hold(sk);
        engine::turn(&mut lock, timer::now());
        let mut timeo = timeout;
        while timeo > 0 && lock.source.is_some() && !b::pgm_signal_pending() {
            lock.wait(&mut timeo);
        }
        b::pgm_sock_orphan(sk);
        drop(lock);
        b::pgm_sock_put(sk);
    }
}

/// Nothing is left to do for a closed socket: takes it out of the world.
pub(crate) fn finish(sk: &mut Locked<'_>) {
    if sk.closing.take().is_none() {
        return;
    }
    release(sk);
    // SAFETY: The lock is held by somebody with a reference of his own: the timer, the backlog or
    // close(). The one given up is the background's.
    unsafe {
        b::pgm_state_change(sk.sock());
        b::pgm_sock_put(sk.sock());
    }
}

/// Ends everything a socket does. Its memory goes with the last reference.
pub(crate) fn release(sk: &mut Locked<'_>) {
    let this: *mut PgmSock = sk.as_ptr();
    sk.closing = None;
    sk.ended = true;
    sk.source = None;
    sk.receive = Receive::Idle;
    sk.udp = UdpPorts::NONE;
    // SAFETY: The lock is held.
    unsafe {
        timer::cancel(this);
        demux::remove(this);
        b::pgm_sk_set_state(this.cast(), b::TCP_CLOSE as c_int);
        b::pgm_purge_receive(this.cast());
        sk.trays = Trays::NONE;
        b::pgm_free_policy(this.cast());
    }
    account::settle(sk);
}
