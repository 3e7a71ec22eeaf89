// SPDX-License-Identifier: GPL-2.0

//! The UDP sockets under encapsulated PGM (PGM_UDP_ENCAP): the kernel has one for each port that
//! sockets of a namespace use, and they share it.
//!
//! A port is taken by a process, which may sleep, and given back anywhere: in a softirq when a
//! closed source ends its repairs. So the last user only leaves the port for [`sweep`], which runs
//! in a work item.

use core::ptr::{addr_of_mut, null_mut, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;

use super::address::{self, SocketAddress, ANY4, ANY6};
use crate::demux;
use crate::netns::{self, PgmNet};

/// PGM_UDP_ENCAP: the UDP ports of a socket's packets, or 0 and 0 for native ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encap {
    /// Destination of packets to one node, and the source of all.
    pub(crate) ucast: u16,
    /// Destination of packets to a group.
    pub(crate) mcast: u16,
}

impl Encap {
    pub(crate) const NATIVE: Self = Self { ucast: 0, mcast: 0 };

    pub(crate) fn is_native(self) -> bool {
        self == Self::NATIVE
    }
}

/// What a namespace keeps of its ports.
#[repr(C)]
pub(crate) struct Ports {
    /// Protects the list. A process may hold socket locks of ours around it; inside it takes those
    /// of UDP sockets.
    mutex: b::mutex,
    work: b::work_struct,
    first: *mut Port,
}

/// A port and its socket; owned by the list of its namespace.
struct Port {
    next: *mut Port,
    net: *mut PgmNet,
    socket: *mut b::socket,
    v6: bool,
    port: u16,
    /// 0: [`sweep`] ends it, unless somebody takes it before.
    users: AtomicUsize,
}

/// One use of a port.
pub(crate) struct UdpPort(NonNull<Port>);

// SAFETY: The port is shared by sockets on all CPUs; its count is atomic.
unsafe impl Send for UdpPort {}

impl UdpPort {
    /// Another use of the same port.
    fn share(&self) -> Self {
        // SAFETY: Our own use keeps the port.
        unsafe { (*self.0.as_ptr()).users.fetch_add(1, Ordering::Relaxed) };
        Self(self.0)
    }
}

impl Drop for UdpPort {
    fn drop(&mut self) {
        // SAFETY: Our use keeps the port until the count falls; then its memory may go, but the
        // socket that used it still keeps the namespace.
        unsafe {
            let net = (*self.0.as_ptr()).net;
            if (*self.0.as_ptr()).users.fetch_sub(1, Ordering::AcqRel) == 1 {
                b::pgm_queue_work(addr_of_mut!((*net).udp.work));
            }
        }
    }
}

/// The uses of one socket.
#[derive(Default)]
pub(crate) struct UdpPorts([Option<UdpPort>; 2]);

impl UdpPorts {
    pub(crate) const NONE: Self = Self([None, None]);

    /// Takes the ports that the encapsulation needs.
    ///
    /// # Safety
    ///
    /// `sk` is a socket that the calling process has locked.
    pub(crate) unsafe fn take(sk: *mut b::sock, encap: Encap) -> Result<Self> {
        if encap.is_native() {
            return Ok(Self::NONE);
        }
        // SAFETY: By the caller; a socket keeps its namespace.
        unsafe {
            let mcast = take(sk, encap.mcast)?;
            let ucast = if encap.ucast == encap.mcast {
                None
            } else {
                Some(take(sk, encap.ucast)?)
            };
            Ok(Self([Some(mcast), ucast]))
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.0, [None, None])
    }

    /// The same uses for another socket.
    pub(crate) fn share(&self) -> Self {
        let [mcast, ucast] = &self.0;
        Self([
            mcast.as_ref().map(UdpPort::share),
            ucast.as_ref().map(UdpPort::share),
        ])
    }
}

/// The ports of a namespace, locked.
struct Locked(*mut Ports);

impl Locked {
    /// # Safety
    ///
    /// `ports` are those of a live namespace; the caller may sleep.
    unsafe fn new(ports: *mut Ports) -> Self {
        // SAFETY: By the caller.
        unsafe { b::pgm_mutex_lock(addr_of_mut!((*ports).mutex)) };
        Self(ports)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: Locked in `new`.
        unsafe { b::mutex_unlock(addr_of_mut!((*self.0).mutex)) };
    }
}

/// # Safety
///
/// As for [`UdpPorts::take`].
unsafe fn take(sk: *mut b::sock, port: u16) -> Result<UdpPort> {
    // SAFETY: By the caller. The list only changes under its lock.
    unsafe {
        let net = b::pgm_sock_net(sk);
        let v6 = address::is_v6(sk);
        let this = netns::of(net);
        let ports = Locked::new(addr_of_mut!((*this).udp));
        let mut at = (*ports.0).first;
        while let Some(known) = NonNull::new(at) {
            if (*at).port == port && (*at).v6 == v6 {
                (*at).users.fetch_add(1, Ordering::Relaxed);
                return Ok(UdpPort(known));
            }
            at = (*at).next;
        }
        let made = Port {
            next: (*ports.0).first,
            net: this,
            socket: null_mut(),
            v6,
            port,
            users: AtomicUsize::new(1),
        };
        let made = KBox::into_raw(KBox::new(made, GFP_KERNEL)?);
        match open(net, v6, port) {
            Ok(socket) => (*made).socket = socket,
            Err(error) => {
                drop(KBox::from_raw(made));
                return Err(error);
            }
        }
        (*ports.0).first = made;
        Ok(UdpPort(NonNull::new_unchecked(made)))
    }
}

/// A UDP socket that hands us what it gets. A user-space PGM may have the port as well, if it lets
/// others have it.
///
/// # Safety
///
/// `net` is a live namespace.
unsafe fn open(net: *mut b::net, v6: bool, port: u16) -> Result<*mut b::socket> {
    let mut socket = null_mut();
    let udp = b::IPPROTO_UDP as c_int;
    let (family, addr) = if v6 {
        (b::AF_INET6, ANY6)
    } else {
        (b::AF_INET, ANY4)
    };
    let name = SocketAddress {
        addr,
        port,
        scope: 0,
    };
    // SAFETY: The socket is new and ours.
    unsafe {
        let dgram = b::sock_type_SOCK_DGRAM as c_int;
        let error = b::sock_create_kern(net, family as c_int, dgram, udp, &mut socket);
        kernel::error::to_result(error)?;
        b::sock_set_reuseaddr((*socket).sk);
        b::sock_set_reuseport((*socket).sk);
        if v6 {
            b::pgm_set_v6only((*socket).sk);
        }
        b::pgm_udp_encap((*socket).sk, Some(demux::receive_udp));
        let (mut name, len) = name.to_kernel();
        let error = b::kernel_bind(socket, addr_of_mut!(name).cast(), len);
        if let Err(error) = kernel::error::to_result(error) {
            b::sock_release(socket);
            return Err(error);
        }
    }
    Ok(socket)
}

/// Sets up the ports of a new namespace.
///
/// # Safety
///
/// Nobody else sees `this` yet.
pub(crate) unsafe fn init(this: *mut PgmNet) {
    // SAFETY: By the caller.
    unsafe {
        b::pgm_mutex_init(addr_of_mut!((*this).udp.mutex));
        b::pgm_work_init(addr_of_mut!((*this).udp.work), Some(work));
    }
}

/// Ends the ports of a namespace, which nobody uses any more.
///
/// # Safety
///
/// The namespace dies: no socket is left in it.
pub(crate) unsafe fn exit(this: *mut PgmNet) {
    // SAFETY: By the caller.
    unsafe {
        b::cancel_work_sync(addr_of_mut!((*this).udp.work));
        sweep(addr_of_mut!((*this).udp));
    }
}

/// # Safety
///
/// Called by the kernel with the work item of a live namespace: [`exit`] waits for it.
unsafe extern "C" fn work(work: *mut b::work_struct) {
    // SAFETY: The work item is a field.
    unsafe { sweep(kernel::container_of!(work, Ports, work)) };
}

/// Ends the ports that lost their last user, and waits for what their sockets received just now: it
/// needs the namespace and the module.
///
/// # Safety
///
/// `ports` are those of a live namespace; the caller may sleep.
unsafe fn sweep(ports: *mut Ports) {
    let mut ended = false;
    // SAFETY: By the caller; only the list refers to a port without users.
    unsafe {
        let ports = Locked::new(ports);
        let mut link = addr_of_mut!((*ports.0).first);
        while let Some(port) = NonNull::new(*link) {
            let port = port.as_ptr();
            if (*port).users.load(Ordering::Acquire) != 0 {
                link = addr_of_mut!((*port).next);
                continue;
            }
            *link = (*port).next;
            b::kernel_sock_shutdown((*port).socket, b::sock_shutdown_cmd_SHUT_RDWR);
            b::sock_release((*port).socket);
            drop(KBox::from_raw(port));
            ended = true;
        }
    }
    if ended {
        // SAFETY: No lock is held, and the caller may sleep.
        unsafe { b::synchronize_rcu() };
    }
}
