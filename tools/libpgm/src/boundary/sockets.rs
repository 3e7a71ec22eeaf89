// SPDX-License-Identifier: GPL-2.0

//! Sockets, their options, and how event loops wait for them.

use std::ffi::{c_int, c_short, c_void};
use std::ptr;
use std::sync::Mutex;

use super::memory::Buffer;
use super::{done, guard, report, reported, set_errno};
use crate::abi::*;
use crate::options::IPPROTO_PGM;
use crate::sock::{Link, Sock, RETRY};

/// `pgm_sock_t`
pub struct pgm_sock_t {
    pub sock: Sock,
    /// What the last call of a recv function lent to the program.
    pub lent: Mutex<Vec<Buffer>>,
    /// How many messages of a vector an interrupted pgm_sendv() has sent.
    pub sent: Mutex<usize>,
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_socket(
    result: *mut *mut pgm_sock_t,
    family: libc::sa_family_t,
    kind: c_int,
    protocol: c_int,
    error: *mut *mut pgm_error_t,
) -> bool {
    // SAFETY: as the caller vouches.
    let Some(result) = (unsafe { result.as_mut() }) else {
        return false;
    };
    guard(false, || match Sock::new(family.into(), kind, protocol) {
        Ok(sock) => {
            *result = Box::into_raw(Box::new(pgm_sock_t {
                sock,
                lent: Mutex::default(),
                sent: Mutex::default(),
            }));
            true
        }
        Err(failure) => {
            report(error, &failure);
            false
        }
    })
}

/// # Safety
///
/// As of pgm_bind3().
#[no_mangle]
pub unsafe extern "C" fn pgm_bind(
    sock: *mut pgm_sock_t,
    address: *const pgm_sockaddr_t,
    len: libc::socklen_t,
    error: *mut *mut pgm_error_t,
) -> bool {
    // SAFETY: as the caller vouches.
    unsafe { pgm_bind3(sock, address, len, ptr::null(), 0, ptr::null(), 0, error) }
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_bind3(
    sock: *mut pgm_sock_t,
    address: *const pgm_sockaddr_t,
    _len: libc::socklen_t,
    send: *const pgm_interface_req_t,
    _send_len: libc::socklen_t,
    receive: *const pgm_interface_req_t,
    _receive_len: libc::socklen_t,
    error: *mut *mut pgm_error_t,
) -> bool {
    // SAFETY: as the caller vouches.
    let (sock, address, send, receive) = unsafe {
        (
            sock.as_ref(),
            address.as_ref(),
            send.as_ref(),
            receive.as_ref(),
        )
    };
    let (Some(sock), Some(address)) = (sock, address) else {
        return false;
    };
    let link = |request: Option<&pgm_interface_req_t>| {
        request.map_or(Link::default(), |request| Link {
            index: request.ir_interface,
            address: request
                .ir_address
                .address()
                .filter(|address| !address.is_unspecified()),
        })
    };
    guard(false, || {
        reported(sock.sock.bind(*address, link(receive), link(send)), error)
    })
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_connect(sock: *mut pgm_sock_t, error: *mut *mut pgm_error_t) -> bool {
    // SAFETY: as the caller vouches.
    let Some(sock) = (unsafe { sock.as_ref() }) else {
        return false;
    };
    guard(false, || reported(sock.sock.connect(), error))
}

/// The kernel ends the session (FIN) and goes on with repairs, whether or not `flush`.
///
/// # Safety
///
/// `sock` is of pgm_socket() and not used after this, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_close(sock: *mut pgm_sock_t, _flush: bool) -> bool {
    if sock.is_null() {
        return false;
    }
    guard(false, || {
        // SAFETY: as the caller vouches, it is the Box of pgm_socket().
        drop(unsafe { Box::from_raw(sock) });
        true
    })
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_setsockopt(
    sock: *mut pgm_sock_t,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: libc::socklen_t,
) -> bool {
    // SAFETY: as the caller vouches.
    let Some(sock) = (unsafe { sock.as_ref() }) else {
        return false;
    };
    if value.is_null() {
        set_errno(libc::EFAULT);
        return false;
    }
    // SAFETY: as the caller vouches, `len` bytes can be read.
    let value = unsafe { std::slice::from_raw_parts(value.cast(), len as usize) };
    guard(false, || done(sock.sock.set(level, name, value)))
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_getsockopt(
    sock: *mut pgm_sock_t,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut libc::socklen_t,
) -> bool {
    // SAFETY: as the caller vouches.
    let (Some(sock), Some(len)) = (unsafe { (sock.as_ref(), len.as_mut()) }) else {
        return false;
    };
    guard(false, || {
        let bytes = match name {
            PGM_TIME_REMAIN | PGM_RATE_REMAIN if level == IPPROTO_PGM => {
                // struct timeval. The kernel has timers of its own: only a refused message waits.
                let micros = i64::try_from(RETRY.as_micros()).unwrap_or(0);
                [0i64.to_ne_bytes(), micros.to_ne_bytes()].concat()
            }
            _ => match sock.sock.get(level, name) {
                Ok(number) => number.to_ne_bytes().to_vec(),
                Err(error) => return done(Err(error)),
            },
        };
        if value.is_null() || (*len as usize) < bytes.len() {
            set_errno(libc::EINVAL);
            return false;
        }
        // SAFETY: as the caller vouches, `len` bytes can be written.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), bytes.len()) };
        *len = libc::socklen_t::try_from(bytes.len()).unwrap_or(0);
        true
    })
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_getsockname(
    sock: *mut pgm_sock_t,
    address: *mut pgm_sockaddr_t,
    len: *mut libc::socklen_t,
) -> bool {
    // SAFETY: as the caller vouches.
    let parts = unsafe { (sock.as_ref(), address.as_mut(), len.as_mut()) };
    let (Some(sock), Some(address), Some(len)) = parts else {
        return false;
    };
    guard(false, || match sock.sock.name() {
        Some(name) if *len as usize >= size_of::<pgm_sockaddr_t>() => {
            *address = name;
            true
        }
        _ => {
            set_errno(libc::EINVAL);
            false
        }
    })
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_poll_info(
    sock: *mut pgm_sock_t,
    list: *mut libc::pollfd,
    count: *mut c_int,
    events: c_short,
) -> c_int {
    // SAFETY: as the caller vouches.
    let (Some(sock), Some(count)) = (unsafe { (sock.as_ref(), count.as_mut()) }) else {
        set_errno(libc::EINVAL);
        return -1;
    };
    guard(-1, || {
        let (read, write) = sock.sock.descriptors();
        let read = read.into_iter().map(|fd| (fd, libc::POLLIN));
        let all = read.chain(write.map(|fd| (fd, libc::POLLOUT)));
        let wanted: Vec<_> = all.filter(|(_, event)| events & event != 0).collect();
        if list.is_null() || usize::try_from(*count).unwrap_or(0) < wanted.len() {
            set_errno(libc::EINVAL);
            return -1;
        }
        for (n, (fd, events)) in wanted.iter().enumerate() {
            let entry = libc::pollfd {
                fd: *fd,
                events: *events,
                revents: 0,
            };
            // SAFETY: as the caller vouches, there is room for `count`, which is no less than this.
            unsafe { list.add(n).write(entry) };
        }
        *count = c_int::try_from(wanted.len()).unwrap_or(0);
        *count
    })
}

/// # Safety
///
/// All pointers are valid for what <pgm/socket.h> says, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_select_info(
    sock: *mut pgm_sock_t,
    read: *mut libc::fd_set,
    write: *mut libc::fd_set,
    count: *mut c_int,
) -> c_int {
    // SAFETY: as the caller vouches.
    let (Some(sock), Some(count)) = (unsafe { (sock.as_ref(), count.as_mut()) }) else {
        set_errno(libc::EINVAL);
        return -1;
    };
    guard(-1, || {
        let (readable, writable) = sock.sock.descriptors();
        let read = readable.into_iter().map(|fd| (fd, read));
        let all: Vec<_> = read.chain(writable.map(|fd| (fd, write))).collect();
        for (fd, set) in all.into_iter().filter(|(_, set)| !set.is_null()) {
            if usize::try_from(fd).unwrap_or(usize::MAX) >= libc::FD_SETSIZE {
                set_errno(libc::EINVAL);
                return -1;
            }
            // SAFETY: as the caller vouches; the descriptor fits the set.
            unsafe { libc::FD_SET(fd, set) };
            *count = (*count).max(fd + 1);
        }
        *count
    })
}

/// # Safety
///
/// `sock` is of pgm_socket(), or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_epoll_ctl(
    sock: *mut pgm_sock_t,
    epoll: c_int,
    operation: c_int,
    events: c_int,
) -> c_int {
    // SAFETY: as the caller vouches.
    let Some(this) = (unsafe { sock.as_ref() }) else {
        set_errno(libc::EINVAL);
        return -1;
    };
    guard(-1, || {
        let (read, write) = this.sock.descriptors();
        let both = libc::EPOLLIN | libc::EPOLLOUT;
        let read = read.into_iter().map(|fd| (fd, libc::EPOLLIN));
        for (fd, wanted) in read.chain(write.map(|fd| (fd, libc::EPOLLOUT))) {
            if events & wanted == 0 {
                continue;
            }
            let mut event = libc::epoll_event {
                // EPOLLET and its like are for all of them.
                events: (events & !both | wanted) as u32,
                u64: sock as u64,
            };
            // SAFETY: `event` lives across the call.
            if unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) } < 0 {
                return -1;
            }
        }
        0
    })
}
