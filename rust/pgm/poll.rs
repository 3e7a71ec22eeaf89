// SPDX-License-Identifier: GPL-2.0

//! poll(), select() and epoll.

use pgm_bindings as b;

use crate::engine;
use crate::listener;
use crate::net::lock::UserLock;
use crate::sock::Receive;

/// `proto_ops.poll`.
///
/// # Safety
///
/// Called by the kernel for a process.
pub(crate) unsafe extern "C" fn poll(
    file: *mut b::file,
    sock: *mut b::socket,
    wait: *mut b::poll_table,
) -> b::__poll_t {
    // SAFETY: By the caller. The wait queue is joined before the state is looked at.
    unsafe {
        b::pgm_poll_wait(file, sock, wait);
        let Some(mut sk) = UserLock::new((*sock).sk) else {
            return b::POLL_ERR_;
        };
        let shutdown = u32::from((*sk.sock()).sk_shutdown);
        let mut mask = 0;
        if (*sk.sock()).sk_err != 0 || !b::pgm_error_queue_empty(sk.sock()) {
            mask |= b::POLL_ERR_;
        }
        if let Receive::Listener(_) = sk.receive {
            if listener::has_sessions(&sk) {
                mask |= b::POLL_IN_;
            }
            return mask;
        }
        if shutdown & b::RCV_SHUTDOWN != 0 || sk.ended {
            mask |= b::POLL_IN_ | b::POLL_RDHUP_;
        }
        if shutdown == b::SHUTDOWN_MASK {
            mask |= b::POLL_HUP_;
        }
        if !b::pgm_receive_empty(sk.sock()) {
            mask |= b::POLL_IN_;
        } else if sk.loss.is_some() {
            mask |= b::POLL_IN_ | b::POLL_ERR_;
        }
        // After shutdown() send() fails at once, and does not wait either.
        let sends = !matches!(sk.receive, Receive::Session(_));
        if sends && (shutdown & b::SEND_SHUTDOWN != 0 || engine::writable(&sk)) {
            mask |= b::POLL_OUT_;
        } else {
            engine::wait_for_room(&mut sk);
        }
        mask
    }
}
