// SPDX-License-Identifier: GPL-2.0

//! Sending and receiving.

use std::ffi::{c_int, c_uint, c_void};
use std::io::IoSlice;
use std::ptr;
use std::sync::PoisonError;

use super::memory::Buffer;
use super::sockets::pgm_sock_t;
use super::{guard, report};
use crate::abi::*;
use crate::failure::Failure;
use crate::gsi;
use crate::sock::{Arrival, Refusal, PIECE};

fn status(refusal: Refusal) -> c_int {
    match refusal {
        Refusal::Full => PGM_IO_STATUS_WOULD_BLOCK,
        Refusal::Later => PGM_IO_STATUS_RATE_LIMITED,
        Refusal::Error => PGM_IO_STATUS_ERROR,
    }
}

/// # Safety
///
/// `memory` can be read for `len` bytes during 'a, or is NULL.
unsafe fn slice<'a>(memory: *const c_void, len: usize) -> IoSlice<'a> {
    match memory.is_null() {
        true => IoSlice::new(&[]),
        // SAFETY: as the caller vouches.
        false => IoSlice::new(unsafe { std::slice::from_raw_parts(memory.cast(), len) }),
    }
}

/// Sends messages, or one of several pieces; goes on where a call that would block stopped.
fn send(sock: &pgm_sock_t, pieces: &[IoSlice<'_>], as_one: bool, written: *mut usize) -> c_int {
    let mut sent = sock.sent.lock().unwrap_or_else(PoisonError::into_inner);
    let result = if as_one {
        sock.sock.send(pieces).map(|_| ())
    } else {
        let mut rest = pieces.iter().skip(*sent);
        rest.try_for_each(|piece| {
            sock.sock.send(&[*piece])?;
            *sent += 1;
            Ok(())
        })
    };
    match result {
        Ok(()) => {
            *sent = 0;
            // SAFETY: the caller of a send function gives NULL or a place for a number.
            if let Some(written) = unsafe { written.as_mut() } {
                *written = pieces.iter().map(|piece| piece.len()).sum();
            }
            PGM_IO_STATUS_NORMAL
        }
        Err(refusal) => {
            if refusal == Refusal::Error {
                *sent = 0;
            }
            status(refusal)
        }
    }
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_send(
    sock: *mut pgm_sock_t,
    data: *const c_void,
    len: usize,
    written: *mut usize,
) -> c_int {
    // SAFETY: as the caller vouches.
    let (Some(sock), piece) = (unsafe { (sock.as_ref(), slice(data, len)) }) else {
        return PGM_IO_STATUS_ERROR;
    };
    guard(PGM_IO_STATUS_ERROR, || send(sock, &[piece], true, written))
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_sendv(
    sock: *mut pgm_sock_t,
    vector: *const pgm_iovec,
    count: c_uint,
    is_one_apdu: bool,
    written: *mut usize,
) -> c_int {
    // SAFETY: as the caller vouches.
    let Some(sock) = (unsafe { sock.as_ref() }) else {
        return PGM_IO_STATUS_ERROR;
    };
    if vector.is_null() || count == 0 {
        return PGM_IO_STATUS_ERROR;
    }
    guard(PGM_IO_STATUS_ERROR, || {
        // SAFETY: as the caller vouches, there are `count` pieces, each as long as it says.
        let pieces: Vec<_> = unsafe {
            let vector = std::slice::from_raw_parts(vector, count as usize);
            vector
                .iter()
                .map(|piece| slice(piece.iov_base, piece.iov_len))
                .collect()
        };
        send(sock, &pieces, is_one_apdu, written)
    })
}

/// The buffers belong to the library when they were sent.
///
/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_send_skbv(
    sock: *mut pgm_sock_t,
    vector: *mut *mut pgm_sk_buff_t,
    count: c_uint,
    is_one_apdu: bool,
    written: *mut usize,
) -> c_int {
    // SAFETY: as the caller vouches.
    let Some(sock) = (unsafe { sock.as_ref() }) else {
        return PGM_IO_STATUS_ERROR;
    };
    if vector.is_null() || count == 0 {
        return PGM_IO_STATUS_ERROR;
    }
    guard(PGM_IO_STATUS_ERROR, || {
        // SAFETY: as the caller vouches, there are `count` valid buffers.
        let (buffers, pieces): (_, Vec<_>) = unsafe {
            let buffers = std::slice::from_raw_parts(vector, count as usize);
            let piece = |skb: &*mut pgm_sk_buff_t| slice((**skb).data, (**skb).len.into());
            (buffers, buffers.iter().map(piece).collect())
        };
        let status = send(sock, &pieces, is_one_apdu, written);
        if status == PGM_IO_STATUS_NORMAL {
            buffers.iter().for_each(|skb| drop(Buffer(*skb)));
        }
        status
    })
}

/// Fills `vector`; what it is filled with is valid until the next call.
fn receive(
    sock: &pgm_sock_t,
    vector: &mut [pgm_msgv_t],
    flags: c_int,
    error: *mut *mut pgm_error_t,
) -> (c_int, usize) {
    let mut lent = sock.lent.lock().unwrap_or_else(PoisonError::into_inner);
    lent.clear();
    let this = ptr::from_ref(sock).cast_mut();
    let (mut count, mut total) = (0usize, 0usize);
    for place in vector {
        let wait = count == 0 && flags & libc::MSG_DONTWAIT == 0;
        match sock.sock.receive(wait) {
            Ok(None) => break,
            Ok(Some(Arrival::Message {
                bytes,
                tsi,
                sequence,
            })) => {
                place.msgv_len = 0;
                // A message of no bytes is one piece, too.
                let pieces = bytes
                    .chunks(PIECE)
                    .chain(bytes.is_empty().then_some(&bytes[..]));
                for (slot, piece) in place.msgv_skb.iter_mut().zip(pieces) {
                    let buffer = Buffer::new(this, piece, tsi, sequence);
                    *slot = buffer.0;
                    lent.push(buffer);
                    place.msgv_len += 1;
                }
                count += 1;
                total += bytes.len();
            }
            Ok(Some(lost @ Arrival::Lost { .. })) if count > 0 => {
                // First what came before.
                sock.sock.put_back(lost);
                break;
            }
            Ok(Some(Arrival::Lost { tsi, count })) => {
                if flags & libc::MSG_ERRQUEUE != 0 {
                    // The program frees it; it stays valid until the next call all the same, because
                    // ZeroMQ looks at the TSI afterwards.
                    let buffer = Buffer::new(this, &[], tsi, count.unwrap_or(0));
                    (place.msgv_len, place.msgv_skb[0]) = (1, buffer.shared());
                    lent.push(buffer);
                }
                let failure = Failure {
                    domain: PGM_ERROR_DOMAIN_RECV,
                    code: PGM_ERROR_CONNRESET,
                    message: match count {
                        Some(count) => {
                            format!("{count} packets of {} were lost", gsi::tsi_text(tsi))
                        }
                        None => format!("{} has fallen silent", gsi::tsi_text(tsi)),
                    },
                };
                report(error, &failure);
                return (PGM_IO_STATUS_RESET, 0);
            }
            Err(cause) if count == 0 => {
                report(error, &Failure::system("cannot receive", &cause));
                return (PGM_IO_STATUS_ERROR, 0);
            }
            Err(_) => break,
        }
    }
    match count {
        0 => (PGM_IO_STATUS_WOULD_BLOCK, 0),
        _ => (PGM_IO_STATUS_NORMAL, total),
    }
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_recvmsgv(
    sock: *mut pgm_sock_t,
    vector: *mut pgm_msgv_t,
    count: usize,
    flags: c_int,
    read: *mut usize,
    error: *mut *mut pgm_error_t,
) -> c_int {
    // SAFETY: as the caller vouches.
    let Some(sock) = (unsafe { sock.as_ref() }) else {
        return PGM_IO_STATUS_ERROR;
    };
    if vector.is_null() || count == 0 {
        return PGM_IO_STATUS_ERROR;
    }
    guard(PGM_IO_STATUS_ERROR, || {
        // SAFETY: as the caller vouches, there are `count`. They may not be initialized, but any bytes
        // are a pgm_msgv_t, and none is read before it is written.
        let vector = unsafe { std::slice::from_raw_parts_mut(vector, count) };
        let (status, total) = receive(sock, vector, flags, error);
        // SAFETY: as the caller vouches.
        if let Some(read) = unsafe { read.as_mut() } {
            *read = total;
        }
        status
    })
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_recvmsg(
    sock: *mut pgm_sock_t,
    message: *mut pgm_msgv_t,
    flags: c_int,
    read: *mut usize,
    error: *mut *mut pgm_error_t,
) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { pgm_recvmsgv(sock, message, 1, flags, read, error) }
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_recv(
    sock: *mut pgm_sock_t,
    data: *mut c_void,
    len: usize,
    flags: c_int,
    read: *mut usize,
    error: *mut *mut pgm_error_t,
) -> c_int {
    let (from, from_len) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: as the caller vouches.
    unsafe { pgm_recvfrom(sock, data, len, flags, read, from, from_len, error) }
}

/// A message that is larger than the buffer loses its end.
///
/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_recvfrom(
    sock: *mut pgm_sock_t,
    data: *mut c_void,
    len: usize,
    flags: c_int,
    read: *mut usize,
    from: *mut pgm_sockaddr_t,
    from_len: *mut libc::socklen_t,
    error: *mut *mut pgm_error_t,
) -> c_int {
    // SAFETY: as the caller vouches.
    let Some(sock) = (unsafe { sock.as_ref() }) else {
        return PGM_IO_STATUS_ERROR;
    };
    if data.is_null() && len > 0 {
        return PGM_IO_STATUS_ERROR;
    }
    guard(PGM_IO_STATUS_ERROR, || {
        let mut message = [pgm_msgv_t {
            msgv_len: 0,
            msgv_skb: [ptr::null_mut(); MAX_FRAGMENTS],
        }];
        let flags = flags & !libc::MSG_ERRQUEUE;
        let (status, _) = receive(sock, &mut message, flags, error);
        let mut copied = 0;
        let [message] = &message;
        for skb in message.msgv_skb.iter().take(message.msgv_len as usize) {
            // SAFETY: receive() gave so many valid buffers, which live until the next call; `data` can
            // take `len` bytes, as the caller vouches, and `from` an address.
            unsafe {
                let skb = &**skb;
                let count = usize::from(skb.len).min(len - copied);
                ptr::copy_nonoverlapping(skb.data, data.add(copied), count);
                copied += count;
                if let Some(from) = from.as_mut() {
                    from.sa_port = sock.sock.port();
                    from.sa_addr = skb.tsi;
                    if let Some(size) = from_len.as_mut() {
                        *size = size_of::<pgm_sockaddr_t>() as libc::socklen_t;
                    }
                }
            }
        }
        // SAFETY: as the caller vouches.
        if let Some(read) = unsafe { read.as_mut() } {
            *read = copied;
        }
        status
    })
}
