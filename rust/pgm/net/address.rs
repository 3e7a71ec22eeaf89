// SPDX-License-Identifier: GPL-2.0

//! Addresses: the engine's [`Addr`], as sockets and socket addresses of the kernel have them. The
//! family of a socket decides; an IPv6 socket has nothing to do with IPv4.

use core::mem::{size_of, zeroed};
use core::ptr::{addr_of, addr_of_mut, copy_nonoverlapping};

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_wire::Addr;

/// No address, or any.
pub(crate) const ANY4: Addr = Addr::V4([0; 4]);
pub(crate) const ANY6: Addr = Addr::V6([0; 16]);

/// sockaddr_in6 without its scope id, as RFC 2133 has it.
const SIN6_LEN_RFC2133: usize = 24;

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

/// An IPv6 address of the kernel's.
///
/// # Safety
///
/// `addr` is readable.
pub(crate) unsafe fn v6(addr: *const b::in6_addr) -> Addr {
    // SAFETY: By the caller; the type is 16 bytes of address.
    Addr::V6(unsafe { addr.cast::<[u8; 16]>().read_unaligned() })
}

/// An IPv6 address for the kernel.
pub(crate) fn in6(addr: Addr) -> Result<b::in6_addr> {
    match addr {
        Addr::V4(_) => Err(EAFNOSUPPORT),
        // SAFETY: Both are 16 bytes, and any of them make an address.
        Addr::V6(bytes) => Ok(unsafe { core::mem::transmute::<[u8; 16], b::in6_addr>(bytes) }),
    }
}

/// Whether the address means something on its own link only: fe80::/10, ff01::/16 and ff02::/16
/// with their flags (RFC 4291).
pub(crate) fn needs_scope(addr: Addr) -> bool {
    match addr {
        Addr::V4(_) => false,
        Addr::V6([0xff, flags, ..]) => matches!(flags & 0x0f, 1 | 2),
        Addr::V6([first, second, ..]) => first == 0xfe && second & 0xc0 == 0x80,
    }
}

/// ::ffff:0:0/96: IPv4 behind an IPv6 socket, which PGM has not.
fn is_mapped(addr: Addr) -> bool {
    matches!(
        addr,
        Addr::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..])
    )
}

/// A socket address of the kernel's.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) union Name {
    v4: b::sockaddr_in,
    v6: b::sockaddr_in6,
}

/// An address and a port.
#[derive(Clone, Copy)]
pub(crate) struct SocketAddress {
    pub(crate) addr: Addr,
    pub(crate) port: u16,
    /// The interface of an address that needs one; 0 if there is none.
    pub(crate) scope: u32,
}

impl SocketAddress {
    /// Reads a name that must be of the family of `sk`.
    ///
    /// # Safety
    ///
    /// `name` points to `len` bytes in kernel memory; `sk` is a live socket.
    pub(crate) unsafe fn read(sk: *const b::sock, name: *const u8, len: usize) -> Result<Self> {
        if len < size_of::<u16>() {
            return Err(EINVAL);
        }
        // SAFETY: By the caller and the checks of the length.
        unsafe {
            let family = u32::from(name.cast::<u16>().read_unaligned());
            if family != family_of(sk) {
                return Err(EAFNOSUPPORT);
            }
            if family == b::AF_INET {
                if len < size_of::<b::sockaddr_in>() {
                    return Err(EINVAL);
                }
                let sin = name.cast::<b::sockaddr_in>().read_unaligned();
                return Ok(Self {
                    addr: v4(sin.sin_addr.s_addr),
                    port: u16::from_be(sin.sin_port),
                    scope: 0,
                });
            }
            if len < SIN6_LEN_RFC2133 {
                return Err(EINVAL);
            }
            let mut sin6: b::sockaddr_in6 = zeroed();
            let to = addr_of_mut!(sin6).cast::<u8>();
            copy_nonoverlapping(name, to, len.min(size_of::<b::sockaddr_in6>()));
            Ok(Self {
                addr: v6(addr_of!(sin6.sin6_addr)),
                port: u16::from_be(sin6.sin6_port),
                scope: sin6.sin6_scope_id,
            })
        }
    }

    /// The socket address, and its length.
    pub(crate) fn to_kernel(self) -> (Name, c_int) {
        // SAFETY: All-zero socket addresses are valid.
        let mut name: Name = unsafe { zeroed() };
        match (self.addr, in6(self.addr)) {
            (Addr::V4(bytes), _) => {
                name.v4 = b::sockaddr_in {
                    sin_family: b::AF_INET as u16,
                    sin_port: self.port.to_be(),
                    sin_addr: b::in_addr {
                        s_addr: u32::from_ne_bytes(bytes),
                    },
                    ..pin_init::zeroed()
                };
                (name, size_of::<b::sockaddr_in>() as c_int)
            }
            (_, Ok(addr)) => {
                name.v6 = b::sockaddr_in6 {
                    sin6_family: b::AF_INET6 as u16,
                    sin6_port: self.port.to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: addr,
                    sin6_scope_id: self.scope,
                };
                (name, size_of::<b::sockaddr_in6>() as c_int)
            }
            (Addr::V6(_), Err(_)) => (name, 0),
        }
    }

    /// Answers a recvmsg() that asks for a name.
    ///
    /// # Safety
    ///
    /// `msg` is that of such a call: the name has room for a sockaddr_storage.
    pub(crate) unsafe fn write(self, msg: *mut b::msghdr) {
        // SAFETY: By the caller.
        unsafe {
            let (name, len) = self.to_kernel();
            let from = addr_of!(name).cast::<u8>();
            copy_nonoverlapping(from, (*msg).msg_name.cast(), len as usize);
            (*msg).msg_namelen = len;
        }
    }
}

/// AF_INET or AF_INET6.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn family_of(sk: *const b::sock) -> u32 {
    // SAFETY: By the caller.
    u32::from(unsafe { b::pgm_sk_family(sk) })
}

/// # Safety
///
/// As for [`family_of`].
pub(crate) unsafe fn is_v6(sk: *const b::sock) -> bool {
    // SAFETY: By the caller.
    unsafe { family_of(sk) == b::AF_INET6 }
}

/// The address that bind() named, or none.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn bound(sk: *const b::sock) -> Addr {
    // SAFETY: By the caller.
    unsafe {
        if is_v6(sk) {
            v6(b::pgm_sk_v6_rcv_saddr(sk.cast_mut()))
        } else {
            v4(b::pgm_sk_rcv_saddr(sk))
        }
    }
}

/// # Safety
///
/// `sk` is locked, or nobody else's yet.
pub(crate) unsafe fn set_bound(sk: *mut b::sock, addr: Addr) {
    // SAFETY: By the caller.
    unsafe {
        match (be32(addr), in6(addr)) {
            (Ok(addr), _) => b::pgm_sk_set_rcv_saddr(sk, addr),
            (_, Ok(addr)) => *b::pgm_sk_v6_rcv_saddr(sk) = addr,
            _ => {}
        }
    }
}

/// The source address of a socket: what bind() named, what connect() found, or none.
///
/// # Safety
///
/// As for [`set_bound`].
pub(crate) unsafe fn source(sk: *const b::sock) -> Addr {
    let inet: *const b::inet_sock = sk.cast();
    // SAFETY: By the caller.
    unsafe {
        if is_v6(sk) {
            v6(addr_of!((*(*inet).pinet6).saddr))
        } else {
            v4((*inet).inet_saddr)
        }
    }
}

/// What getsockname() answers for a source.
///
/// # Safety
///
/// As for [`set_bound`].
pub(crate) unsafe fn set_source(sk: *mut b::sock, addr: Addr) {
    let inet: *mut b::inet_sock = sk.cast();
    // SAFETY: By the caller.
    unsafe {
        match (be32(addr), in6(addr)) {
            (Ok(addr), _) => (*inet).inet_saddr = addr,
            (_, Ok(addr)) => (*(*inet).pinet6).saddr = addr,
            _ => {}
        }
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
        match (be32(peer.addr), in6(peer.addr)) {
            (Ok(addr), _) => b::pgm_sk_set_daddr(sk, addr),
            (_, Ok(addr)) => *b::pgm_sk_v6_daddr(sk) = addr,
            _ => {}
        }
        b::pgm_sk_set_dport(sk, peer.port.to_be());
    }
}

/// The interface of IP_MULTICAST_IF or IPV6_MULTICAST_IF, or 0.
///
/// # Safety
///
/// As for [`set_bound`].
pub(crate) unsafe fn multicast_choice(sk: *const b::sock) -> c_int {
    let inet: *const b::inet_sock = sk.cast();
    // SAFETY: By the caller.
    unsafe {
        if is_v6(sk) {
            (*(*inet).pinet6).mcast_oif
        } else {
            (*inet).mc_index
        }
    }
}

/// The interface for groups: SO_BINDTODEVICE, else [`multicast_choice`], else 0.
///
/// # Safety
///
/// As for [`set_bound`].
pub(crate) unsafe fn multicast_interface(sk: *const b::sock) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        match b::pgm_sk_bound_dev(sk) {
            0 => multicast_choice(sk),
            dev => dev,
        }
    }
}

/// Ties the socket to the link of a peer's address that means something there only, as UDP does.
///
/// # Safety
///
/// `sk` is locked.
pub(crate) unsafe fn bind_to_scope(sk: *mut b::sock, peer: SocketAddress) -> Result {
    if !needs_scope(peer.addr) {
        return Ok(());
    }
    // SAFETY: By the caller.
    unsafe {
        let bound = b::pgm_sk_bound_dev(sk);
        let scope = c_int::try_from(peer.scope).map_err(|_| EINVAL)?;
        let interface = match (scope, bound) {
            (0, _) => multicast_interface(sk),
            (_, 0) => scope,
            (_, _) if scope == bound => scope,
            _ => return Err(EINVAL),
        };
        if interface == 0 {
            return Err(EINVAL);
        }
        (*sk).__sk_common.skc_bound_dev_if = interface;
    }
    Ok(())
}

/// `proto_ops.bind` of IPv6.
///
/// # Safety
///
/// Called by the kernel for a process, with an address in kernel memory.
pub(crate) unsafe extern "C" fn bind6(
    sock: *mut b::socket,
    name: *mut b::sockaddr_unsized,
    len: c_int,
) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        let given = usize::try_from(len).unwrap_or(0);
        if let Ok(at) = SocketAddress::read((*sock).sk, name.cast(), given) {
            if is_mapped(at.addr) {
                return EADDRNOTAVAIL.to_errno();
            }
        }
        b::inet6_bind(sock, name, len)
    }
}
