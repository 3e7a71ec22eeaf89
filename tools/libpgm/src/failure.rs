// SPDX-License-Identifier: GPL-2.0

//! Why a call failed, in OpenPGM's terms.

use std::ffi::c_int;
use std::io;

use crate::abi::*;

/// What becomes a `pgm_error_t`.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub domain: c_int,
    pub code: c_int,
    pub message: String,
}

impl Failure {
    /// Of sockets.
    pub fn socket(code: c_int, message: impl Into<String>) -> Self {
        Self {
            domain: PGM_ERROR_DOMAIN_SOCKET,
            code,
            message: message.into(),
        }
    }

    /// Of interfaces and addresses.
    pub fn network(code: c_int, message: impl Into<String>) -> Self {
        Self {
            domain: PGM_ERROR_DOMAIN_IF,
            code,
            message: message.into(),
        }
    }

    /// What the kernel said to a socket.
    pub fn system(what: &str, error: &io::Error) -> Self {
        let code = error.raw_os_error().map_or(PGM_ERROR_FAILED, from_errno);
        Self::socket(code, format!("{what}: {error}"))
    }
}

/// The code of an errno.
pub fn from_errno(errno: c_int) -> c_int {
    match errno {
        libc::EAFNOSUPPORT => PGM_ERROR_AFNOSUPPORT,
        libc::EAGAIN => PGM_ERROR_AGAIN,
        libc::EBADF => PGM_ERROR_BADF,
        libc::ECONNRESET => PGM_ERROR_CONNRESET,
        libc::EFAULT => PGM_ERROR_FAULT,
        libc::EINTR => PGM_ERROR_INTR,
        libc::EINVAL => PGM_ERROR_INVAL,
        libc::EMFILE => PGM_ERROR_MFILE,
        libc::ENFILE => PGM_ERROR_NFILE,
        libc::ENOBUFS => PGM_ERROR_NOBUFS,
        libc::ENODEV => PGM_ERROR_NODEV,
        libc::ENOENT => PGM_ERROR_NOENT,
        libc::ENOMEM => PGM_ERROR_NOMEM,
        libc::ENOPROTOOPT => PGM_ERROR_NOPROTOOPT,
        libc::ENOSYS => PGM_ERROR_NOSYS,
        libc::ENXIO => PGM_ERROR_NXIO,
        libc::EPERM | libc::EACCES => PGM_ERROR_PERM,
        libc::EPROTO => PGM_ERROR_PROTO,
        libc::ERANGE => PGM_ERROR_RANGE,
        libc::ESOCKTNOSUPPORT => PGM_ERROR_SOCKTNOSUPPORT,
        libc::EXDEV => PGM_ERROR_XDEV,
        _ => PGM_ERROR_FAILED,
    }
}

/// The code of an error of getaddrinfo(3).
pub fn from_eai(eai: c_int, errno: c_int) -> c_int {
    match eai {
        libc::EAI_AGAIN => PGM_ERROR_AGAIN,
        libc::EAI_BADFLAGS => PGM_ERROR_INVAL,
        libc::EAI_FAIL => PGM_ERROR_FAIL,
        libc::EAI_FAMILY => PGM_ERROR_AFNOSUPPORT,
        libc::EAI_MEMORY => PGM_ERROR_NOMEM,
        libc::EAI_NODATA => PGM_ERROR_NODATA,
        libc::EAI_NONAME => PGM_ERROR_NONAME,
        libc::EAI_SERVICE => PGM_ERROR_SERVICE,
        libc::EAI_SOCKTYPE => PGM_ERROR_SOCKTNOSUPPORT,
        libc::EAI_SYSTEM if errno != 0 => from_errno(errno),
        libc::EAI_SYSTEM => PGM_ERROR_SYSTEM,
        _ => PGM_ERROR_FAILED,
    }
}

/// The code of an error of gethostbyname(3).
pub fn from_h_errno(h_errno: c_int) -> c_int {
    match h_errno {
        1 => PGM_ERROR_NONAME, // HOST_NOT_FOUND
        2 => PGM_ERROR_AGAIN,  // TRY_AGAIN
        3 => PGM_ERROR_FAIL,   // NO_RECOVERY
        4 => PGM_ERROR_NODATA, // NO_DATA
        _ => PGM_ERROR_FAILED,
    }
}
