// SPDX-License-Identifier: GPL-2.0

//! recv(): one call, one APDU; losses and the end in their place.

use core::ptr::{addr_of_mut, NonNull};

use kernel::ffi::{c_int, c_long, c_void};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::settings;
use pgm_wire::Tsi;

use crate::account;
use crate::engine;
use crate::net::address;
use crate::net::lock::{BhLock, Locked, UserLock};
use crate::net::skb::{RxInfo, RxKind, SkBuff};
use crate::net::timer;
use crate::options::uapi_tsi;
use crate::sock::{pgm, Receive};

/// `proto_ops.recvmsg`.
///
/// # Safety
///
/// Called by the kernel for a process, with its message.
pub(crate) unsafe extern "C" fn recvmsg(
    sock: *mut b::socket,
    msg: *mut b::msghdr,
    len: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        if flags as u32 & b::MSG_ERRQUEUE != 0 {
            return b::inet_recv_error((*sock).sk, msg, len as c_int);
        }
        let sk = (*sock).sk;
        let mut timeo = b::pgm_rcvtimeo(sk, flags as u32 & b::MSG_DONTWAIT != 0);
        loop {
            let result = match take(sk, len, flags as u32, &mut timeo) {
                Found::Message(taken) => give(sk, taken, msg).map(Some),
                Found::Nothing => Ok(None),
                Found::Other => match UserLock::new(sk) {
                    Some(mut sk) => match receive(&mut sk, msg, len, flags as u32) {
                        Ok(None) => sk.leave_and_sleep(&mut timeo).map(|()| None),
                        result => result,
                    },
                    None => Err(EINVAL),
                },
            };
            match result {
                Ok(Some(len)) => return len,
                Ok(None) => {}
                Err(error) => return error.to_errno(),
            }
        }
    }
}

/// A message taken out of the queue, with what the socket knows of it.
struct Taken {
    skb: SkBuff,
    info: RxInfo,
    rcvinfo: bool,
    throttled: bool,
}

/// What [`take`] finds.
enum Found {
    Message(Taken),
    /// There was none, but it waited.
    Nothing,
    /// Something that needs the lock of a process.
    Other,
}

/// The usual case, without the lock of a process: the next message is one buffer, and fits; or there is
/// none, and nothing else to tell.
///
/// # Safety
///
/// `sk` is a PGM socket of a recvmsg() call; the caller holds no lock.
unsafe fn take(sk: *mut b::sock, len: usize, flags: u32, timeo: &mut c_long) -> Found {
    let Some(this) = pgm(sk).filter(|_| flags & (b::MSG_PEEK | b::MSG_OOB) == 0) else {
        return Found::Other;
    };
    // SAFETY: By the caller. Each buffer in the queue has its `RxInfo`.
    unsafe {
        let mut lock = BhLock::new(this);
        let Some(mut state) = lock.state() else {
            return Found::Other;
        };
        // What was read before is given back.
        account::settle_received(&mut state);
        let Some(skb) = NonNull::new(b::pgm_peek_receive(sk)) else {
            if state.trays.is_any() {
                drop_trays(&mut state);
            }
            if is_told(&state) || *timeo == 0 || b::pgm_signal_pending() {
                return Found::Other;
            }
            lock.leave_and_wait(timeo);
            return Found::Nothing;
        };
        let skb = skb.as_ptr();
        let info = SkBuff::rx_info(skb).read();
        let whole = info.last && info.read == 0 && info.apdu_left == (*skb).len;
        if !whole || (*skb).len as usize > len {
            return Found::Other;
        }
        b::pgm_unlink_receive(sk, skb);
        let Some(skb) = SkBuff::from_raw(skb) else {
            return Found::Other;
        };
        Found::Message(Taken {
            skb,
            info,
            rcvinfo: state.options.numbers.get(&settings::RECVRCVINFO) != 0,
            throttled: state.throttled || engine::lacks_room(&state),
        })
    }
}

/// What was read gives back the memory that it shared as well.
#[cold]
#[inline(never)]
fn drop_trays(sk: &mut Locked<'_>) {
    sk.trays.drop_empty();
    account::settle_received(sk);
}

/// Whether a call that finds no message has something else to tell; see [`receive`].
fn is_told(sk: &Locked<'_>) -> bool {
    // SAFETY: The lock is held.
    let (error, shutdown) = unsafe { ((*sk.sock()).sk_err, (*sk.sock()).sk_shutdown) };
    matches!(sk.receive, Receive::Listener(_))
        || sk.loss.is_some()
        || sk.ended
        || error != 0
        || u32::from(shutdown) & b::RCV_SHUTDOWN != 0
}

/// Copies a message that [`take`] got. If the caller's memory is bad, it goes back to its place.
///
/// # Safety
///
/// As for [`take`]; `msg` is that of the call.
unsafe fn give(sk: *mut b::sock, taken: Taken, msg: *mut b::msghdr) -> Result<c_int> {
    let Taken {
        skb,
        info,
        rcvinfo,
        throttled,
    } = taken;
    // SAFETY: By the caller; the buffer is ours.
    unsafe {
        let len = (*skb.as_ptr()).len as c_int;
        let copy = b::pgm_copy_datagram(skb.as_ptr(), 0, msg, len);
        if copy != 0 {
            let _lock = UserLock::new(sk);
            b::pgm_requeue_receive(sk, skb.into_raw());
            return Err(Error::from_errno(copy));
        }
        describe(sk, msg, skb.as_ptr(), &info, rcvinfo);
        (*msg).msg_flags |= b::MSG_EOR;
        drop(skb);
        if throttled {
            if let Some(mut sk) = UserLock::new(sk) {
                refill(&mut sk);
            }
        }
        Ok(len)
    }
}

/// Every other case. `None`: there is nothing to tell yet.
///
/// # Safety
///
/// `msg` is that of a recvmsg() call on this socket.
unsafe fn receive(
    sk: &mut UserLock<'_>,
    msg: *mut b::msghdr,
    len: usize,
    flags: u32,
) -> Result<Option<c_int>> {
    if flags & b::MSG_OOB != 0 {
        return Err(EOPNOTSUPP);
    }
    if let Receive::Listener(_) = sk.receive {
        return Err(ENOTCONN);
    }
    let peek = flags & b::MSG_PEEK != 0;
    account::settle(sk);
    // SAFETY: The lock is held; `msg` is that of this call.
    unsafe {
        let skb = b::pgm_peek_receive(sk.sock());
        if !skb.is_null() {
            return read(sk, msg, len, flags).map(Some);
        }
    }
    if let Some(loss) = sk.loss {
        // Everything before the loss was read: now it is reported, once.
        sk.last_loss = Some(loss);
        if !peek {
            sk.loss = None;
            engine::turn(sk, timer::now());
        }
        return Err(ENOBUFS);
    }
    // SAFETY: The lock is held.
    kernel::error::to_result(unsafe { b::pgm_sock_error(sk.sock()) })?;
    if sk.ended {
        return Ok(Some(0));
    }
    // SAFETY: The lock is held.
    if unsafe { u32::from((*sk.sock()).sk_shutdown) & b::RCV_SHUTDOWN != 0 } {
        return Ok(Some(0));
    }
    Ok(None)
}

/// Copies from the buffers of the first APDU in the queue, which is there as a whole.
///
/// # Safety
///
/// The queue is not empty; `msg` is that of this recvmsg() call.
unsafe fn read(
    sk: &mut UserLock<'_>,
    msg: *mut b::msghdr,
    len: usize,
    flags: u32,
) -> Result<c_int> {
    let peek = flags & b::MSG_PEEK != 0;
    let sock = sk.sock();
    // SAFETY: The lock is held: nobody else takes buffers from the queue. Each buffer has its
    // `RxInfo`, and the queue holds its APDU up to the last piece.
    unsafe {
        let first = b::pgm_peek_receive(sock);
        let info = SkBuff::rx_info(first).read();
        let whole = info.apdu_left.saturating_sub(info.read.into()) as usize;
        let rcvinfo = sk.options.numbers.get(&settings::RECVRCVINFO) != 0;
        describe(sock, msg, first, &info, rcvinfo);

        let mut copied = 0;
        let mut complete = false;
        let mut skb = first;
        loop {
            let info = SkBuff::rx_info(skb);
            let have = (*skb).len.saturating_sub((*info).read.into()) as usize;
            let part = have.min(len.saturating_sub(copied));
            let copy = b::pgm_copy_datagram(skb, c_int::from((*info).read), msg, part as c_int);
            if copy != 0 {
                // What was copied before is gone from the queue, unless this was a peek.
                return if copied > 0 && !peek {
                    Ok(copied as c_int)
                } else {
                    Err(Error::from_errno(copy))
                };
            }
            copied = copied.saturating_add(part);
            let emptied = part == have;
            let last = (*info).last;
            if !peek {
                (*info).read = (*info).read.saturating_add(part as u16);
            }
            if !emptied {
                break;
            }
            let next = if last {
                complete = true;
                core::ptr::null_mut()
            } else {
                b::pgm_next_receive(sock, skb)
            };
            if !peek {
                b::pgm_unlink_receive(sock, skb);
                drop(SkBuff::from_raw(skb));
            }
            if next.is_null() {
                break;
            }
            skb = next;
        }
        if complete {
            (*msg).msg_flags |= b::MSG_EOR;
        }
        if !peek {
            account::settle(sk);
            refill(sk);
        }
        let result = if flags & b::MSG_TRUNC != 0 {
            whole
        } else {
            copied
        };
        Ok(result as c_int)
    }
}

/// Source address and control messages of the message that `skb` begins.
///
/// # Safety
///
/// `skb` is in the queue of the locked socket or the caller's, `msg` is that of this recvmsg() call.
unsafe fn describe(
    sk: *mut b::sock,
    msg: *mut b::msghdr,
    skb: *mut b::sk_buff,
    info: &RxInfo,
    rcvinfo: bool,
) {
    // SAFETY: By the caller.
    unsafe {
        if info.kind == RxKind::Notification {
            (*msg).msg_flags |= b::MSG_NOTIFICATION;
            return;
        }
        if !(*msg).msg_name.is_null() {
            SkBuff::sender(skb, info.tsi.sport).write(msg);
        }
        if address::is_v6(sk) {
            b::pgm_recv_cmsgs6(msg, sk, skb);
        } else {
            b::pgm_recv_cmsgs(msg, sk, skb);
        }
        if rcvinfo {
            put_rcvinfo(msg, info.tsi, info);
        }
    }
}

/// # Safety
///
/// `msg` is that of a recvmsg() call.
unsafe fn put_rcvinfo(msg: *mut b::msghdr, tsi: Tsi, info: &RxInfo) {
    let mut value = b::pgm_rcvinfo {
        tsi: uapi_tsi(tsi),
        sqn: info.sqn,
        flags: match info.kind {
            RxKind::First => b::PGM_RCV_SYN,
            _ => 0,
        },
    };
    // SAFETY: The value is as long as said; put_cmsg() checks the user's room.
    unsafe {
        b::put_cmsg(
            msg,
            b::IPPROTO_PGM as c_int,
            b::PGM_RCVINFO as c_int,
            core::mem::size_of::<b::pgm_rcvinfo>() as c_int,
            addr_of_mut!(value).cast::<c_void>(),
        );
    }
}

/// SIOCINQ: what the next recv() could return.
pub(crate) fn next_len(sk: &Locked<'_>) -> c_int {
    // SAFETY: The lock is held; each buffer in the queue has its `RxInfo`.
    unsafe {
        let skb = b::pgm_peek_receive(sk.sock());
        if skb.is_null() {
            return 0;
        }
        let info = SkBuff::rx_info(skb).read();
        info.apdu_left
            .saturating_sub(info.read.into())
            .try_into()
            .unwrap_or(c_int::MAX)
    }
}

/// The reader made room: go on asking for what is missing.
fn refill(sk: &mut Locked<'_>) {
    if engine::congested(sk) {
        return;
    }
    if sk.throttled {
        engine::note_congestion(sk);
    } else if !engine::make_room(sk) {
        return;
    }
    engine::turn(sk, timer::now());
}
