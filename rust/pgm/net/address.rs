// SPDX-License-Identifier: GPL-2.0

//! Addresses: the engine's [`Addr`], as sockets and socket addresses of the kernel have them.

use core::mem::{size_of, zeroed};
use core::ptr::{addr_of, copy_nonoverlapping};

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_wire::Addr;

/// No address, or any.
pub(crate) const ANY4: Addr = v4(0);

/// An IPv4 address of the kernel's.
pub(crate) const fn v4(addr: u32) -> Addr {
    Addr::V4(addr.to_ne_bytes())
}

/// An IPv4 address for the kernel.
pub(crate) fn be32(addr: Addr) -> Result<u32> {
    match addr {
        Addr::V4(bytes) => Ok(u32::from_ne_bytes(bytes)),
        Addr::V6(_) => Err(EAFNOSUPPORT),
    }
}

/// A socket address of the kernel's.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) union Name {
    v4: b::sockaddr_in,
}

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketAddress {
    pub(crate) addr: Addr,
    pub(crate) port: u16,
}

impl SocketAddress {
    /// # Safety
    ///
    /// `name` points to `len` bytes in kernel memory.
    pub(crate) unsafe fn read(name: *const u8, len: usize) -> Result<Self> {
        if len < size_of::<b::sockaddr_in>() {
            return Err(EINVAL);
        }
        // SAFETY: Long enough, by the check.
        let sin = unsafe { name.cast::<b::sockaddr_in>().read_unaligned() };
        if u32::from(sin.sin_family) != b::AF_INET {
            return Err(EAFNOSUPPORT);
        }
        Ok(Self {
            addr: v4(sin.sin_addr.s_addr),
            port: u16::from_be(sin.sin_port),
        })
    }

    /// The socket address, and its length.
    pub(crate) fn to_kernel(self) -> (Name, c_int) {
        // SAFETY: All-zero socket addresses are valid.
        let mut name: Name = unsafe { zeroed() };
        match self.addr {
            Addr::V4(bytes) => {
                let sin = b::sockaddr_in {
                    sin_family: b::AF_INET as u16,
                    sin_port: self.port.to_be(),
                    sin_addr: b::in_addr {
                        s_addr: u32::from_ne_bytes(bytes),
                    },
                    ..pin_init::zeroed()
                };
                name.v4 = sin;
                (name, size_of::<b::sockaddr_in>() as c_int)
            }
            Addr::V6(_) => (name, 0),
        }
    }

    /// Answers recvmsg(), if it asks for a name.
    ///
    /// # Safety
    ///
    /// `msg` is that of a recvmsg() call: a name has room for a sockaddr_storage.
    pub(crate) unsafe fn write(self, msg: *mut b::msghdr) {
        // SAFETY: By the caller.
        unsafe {
            let to: *mut u8 = (*msg).msg_name.cast();
            if to.is_null() {
                return;
            }
            let (name, len) = self.to_kernel();
            let from = addr_of!(name).cast::<u8>();
            copy_nonoverlapping(from, to, len as usize);
            (*msg).msg_namelen = len;
        }
    }
}

/// The address that bind() named, or none.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn bound(sk: *const b::sock) -> Addr {
    // SAFETY: By the caller.
    v4(unsafe { b::pgm_sk_rcv_saddr(sk) })
}

/// # Safety
///
/// `sk` is locked, or nobody else's yet.
pub(crate) unsafe fn set_bound(sk: *mut b::sock, addr: Addr) {
    if let Ok(addr) = be32(addr) {
        // SAFETY: By the caller.
        unsafe { b::pgm_sk_set_rcv_saddr(sk, addr) };
    }
}

/// What getsockname() answers for a source.
///
/// # Safety
///
/// As for [`set_bound`].
pub(crate) unsafe fn set_source(sk: *mut b::sock, addr: Addr) {
    let inet: *mut b::inet_sock = sk.cast();
    if let Ok(addr) = be32(addr) {
        // SAFETY: By the caller.
        unsafe { (*inet).inet_saddr = addr };
    }
}

/// What getpeername() answers.
///
/// # Safety
///
/// As for [`set_bound`].
pub(crate) unsafe fn set_peer(sk: *mut b::sock, peer: SocketAddress) {
    // SAFETY: By the caller.
    unsafe {
        if let Ok(addr) = be32(peer.addr) {
            b::pgm_sk_set_daddr(sk, addr);
        }
        b::pgm_sk_set_dport(sk, peer.port.to_be());
    }
}
