// SPDX-License-Identifier: GPL-2.0

//! The five system calls that no crate wraps for our options, with all `unsafe` that these take. The
//! tool and tools/libpgm share this file.
//!
//! Options cross this boundary as bytes, so nothing here depends on the layout of a structure.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// setsockopt(2) with an option that is so many bytes.
pub fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let len = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` is readable for `len` bytes; the kernel keeps no pointer to it.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) })
}

/// getsockopt(2); returns how many bytes of `value` the kernel filled.
pub fn get_option(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &mut [u8],
) -> io::Result<usize> {
    let mut len = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` is writable for `len` bytes, and `len` lives across the call.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
            &mut len,
        )
    })?;
    usize::try_from(len).map_err(io::Error::other)
}

/// The index of a network interface.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: `name` ends in a zero byte and lives across the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// flock(2): nobody else locks the file while it is open; fails at once if somebody has.
#[allow(dead_code)] // the tool's
pub fn lock_file(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })
}

/// What recvmsg(2) said about one message.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Bytes of the message in the buffer.
    pub len: usize,
    /// Bytes of control messages in the control buffer.
    pub control: usize,
    /// `MSG_*` as the kernel returned them.
    pub flags: i32,
}

/// recvmsg(2) into one buffer and a buffer for control messages.
pub fn receive(
    fd: BorrowedFd<'_>,
    data: &mut [u8],
    control: &mut [u8],
    flags: i32,
) -> io::Result<Received> {
    let mut piece = libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: data.len(),
    };
    // SAFETY: all zeroes is a valid msghdr: no name, no buffers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = ptr::null_mut();
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len() as _;
    // SAFETY: `piece`, `data` and `control` are writable, outlive the call and are not used meanwhile.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    Ok(Received {
        len,
        #[allow(clippy::unnecessary_cast)] // the field's type differs between C libraries
        control: message.msg_controllen as usize,
        flags: message.msg_flags,
    })
}
