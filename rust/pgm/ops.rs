// SPDX-License-Identifier: GPL-2.0

//! What the kernel calls: the tables `proto`, `proto_ops`, `inet_protosw` and `net_protocol`, and
//! their registration.

use core::mem::{offset_of, size_of};
use core::ptr::{addr_of, addr_of_mut};

use kernel::ffi::c_int;
use kernel::prelude::*;
use kernel::ModuleMetadata;
use pgm_bindings as b;
use pgm_wire::Addr;

use crate::net::address;
use crate::net::lock::Locked;
use crate::net::udp::UdpPorts;
use crate::sock::{PgmSock, PgmSock6};
use crate::{
    close, demux, engine, icmp, input, link, listener, netns, options, poll, receive, sock, source,
};

/// A table that is only read.
#[repr(transparent)]
struct Constant<T>(T);

// SAFETY: Never written.
unsafe impl<T> Sync for Constant<T> {}

const OWNER: *mut b::module = <crate::Pgm as ModuleMetadata>::THIS_MODULE.as_ptr();

/// `struct proto.name` is an array of characters, zero at the end.
const fn name<const N: usize>(text: &str) -> [kernel::ffi::c_char; N] {
    let mut name = [0; N];
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        name[i] = bytes[i] as kernel::ffi::c_char;
        i += 1;
    }
    name
}

/// proto_register() and socket accounting write to it.
static mut PROT: b::proto = b::proto {
    name: name("PGM"),
    obj_size: size_of::<PgmSock>() as u32,
    ..COMMON
};

static mut PROT6: b::proto = b::proto {
    name: name("PGMv6"),
    obj_size: size_of::<PgmSock6>() as u32,
    ipv6_pinfo_offset: offset_of!(PgmSock6, np) as u32,
    ..COMMON
};

/// What sockets of this group's family are made by.
pub(crate) fn prot(group: Addr) -> *mut b::proto {
    if group.is_v4() {
        addr_of_mut!(PROT)
    } else {
        addr_of_mut!(PROT6)
    }
}

const COMMON: b::proto = b::proto {
    owner: OWNER,
    close: Some(close::close),
    init: Some(sock::init),
    ioctl: Some(ioctl),
    setsockopt: Some(options::set),
    getsockopt: Some(options::get),
    backlog_rcv: Some(input::backlog),
    release_cb: Some(engine::release_cb),
    hash: Some(hash),
    unhash: Some(unhash),
    get_port: Some(get_port),
    put_port: Some(put_port),
    no_autobind: true,
    ..pin_init::zeroed()
};

static OPS: Constant<b::proto_ops> = Constant(b::proto_ops {
    family: b::PF_INET as c_int,
    release: Some(b::inet_release),
    bind: Some(b::inet_bind),
    getname: Some(b::inet_getname),
    ioctl: Some(b::inet_ioctl),
    ..COMMON_OPS
});

static OPS6: Constant<b::proto_ops> = Constant(b::proto_ops {
    family: b::PF_INET6 as c_int,
    release: Some(b::inet6_release),
    bind: Some(address::bind6),
    getname: Some(b::inet6_getname),
    ioctl: Some(b::inet6_ioctl),
    ..COMMON_OPS
});

const COMMON_OPS: b::proto_ops = b::proto_ops {
    owner: OWNER,
    connect: Some(source::connect),
    socketpair: Some(b::sock_no_socketpair),
    accept: Some(listener::accept),
    poll: Some(poll::poll),
    gettstamp: Some(b::sock_gettstamp),
    listen: Some(listener::listen),
    shutdown: Some(close::shutdown),
    setsockopt: Some(b::sock_common_setsockopt),
    getsockopt: Some(b::sock_common_getsockopt),
    sendmsg: Some(source::sendmsg),
    recvmsg: Some(receive::recvmsg),
    mmap: Some(b::sock_no_mmap),
    ..pin_init::zeroed()
};

/// inet_register_protosw() links it into a list.
static mut PROTOSW: b::inet_protosw = b::inet_protosw {
    type_: b::sock_type_SOCK_RDM as u16,
    protocol: b::IPPROTO_PGM as u16,
    prot: addr_of_mut!(PROT),
    ops: addr_of!(OPS.0),
    ..pin_init::zeroed()
};

static mut PROTOSW6: b::inet_protosw = b::inet_protosw {
    type_: b::sock_type_SOCK_RDM as u16,
    protocol: b::IPPROTO_PGM as u16,
    prot: addr_of_mut!(PROT6),
    ops: addr_of!(OPS6.0),
    ..pin_init::zeroed()
};

/// `no_policy`: each socket checks its own policy.
static PROTOCOL: Constant<b::net_protocol> = Constant(b::net_protocol {
    handler: Some(demux::receive),
    err_handler: Some(icmp::error),
    _bitfield_1: b::__BindgenBitfieldUnit::new([1]),
    ..pin_init::zeroed()
});

/// The same for IPv6. FINAL: IP itself looks whether the host joined the group.
static PROTOCOL6: Constant<b::inet6_protocol> = Constant(b::inet6_protocol {
    handler: Some(demux::receive),
    err_handler: Some(icmp::error6),
    flags: b::INET6_PROTO_NOPOLICY | b::INET6_PROTO_FINAL,
    ..pin_init::zeroed()
});

/// `proto.ioctl`: SIOCINQ is the length of the next message's rest, SIOCOUTQ what waits to be sent.
///
/// # Safety
///
/// Called by the kernel for a process.
unsafe extern "C" fn ioctl(sk: *mut b::sock, command: c_int, answer: *mut c_int) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        let Some(sk) = crate::net::lock::UserLock::new(sk) else {
            return EINVAL.to_errno();
        };
        *answer = match command as u32 {
            b::SIOCINQ_ => receive::next_len(&sk),
            b::SIOCOUTQ_ => sk.source.as_ref().map_or(0, |source| {
                source.queued_bytes().try_into().unwrap_or(c_int::MAX)
            }),
            _ => return ENOIOCTLCMD.to_errno(),
        };
        0
    }
}

/// `proto.hash`: sockets are hashed when they are bound.
///
/// # Safety
///
/// None needed.
unsafe extern "C" fn hash(_sk: *mut b::sock) -> c_int {
    0
}

/// `proto.unhash`.
///
/// # Safety
///
/// Called by the kernel with a live socket.
unsafe extern "C" fn unhash(sk: *mut b::sock) {
    // SAFETY: By the caller.
    unsafe { demux::remove(sk.cast()) };
}

/// `proto.get_port`: bind() to a data-destination port.
///
/// # Safety
///
/// Called by the kernel with the socket locked and not bound.
unsafe extern "C" fn get_port(sk: *mut b::sock, port: u16) -> c_int {
    // SAFETY: By the caller: a process holds the lock.
    let result = unsafe {
        match sock::pgm(sk) {
            Some(this) => source::take_udp_ports(&mut Locked::assume(this))
                .and_then(|()| demux::bind_port(sk.cast(), port)),
            None => Err(EINVAL),
        }
    };
    result.map_or_else(|error| error.to_errno(), |()| 0)
}

/// `proto.put_port`: a control group forbids the bind() that [`get_port`] did.
///
/// # Safety
///
/// As for [`get_port`], which succeeded.
unsafe extern "C" fn put_port(sk: *mut b::sock) {
    let Some(this) = sock::pgm(sk) else {
        return;
    };
    // SAFETY: By the caller: a process holds the lock.
    unsafe {
        demux::remove_receiver(this.as_ptr());
        b::pgm_sk_set_num(sk, 0);
        Locked::assume(this).udp = UdpPorts::NONE;
    }
}

/// Everything the module registered; undone in reverse order when dropped.
pub(crate) struct Registration {
    steps: usize,
}

impl Registration {
    pub(crate) fn new() -> Result<Self> {
        let mut this = Self { steps: 0 };
        // SAFETY: Each table lives as long as the module, and each call happens once. A failure
        // drops `this`, which undoes the steps before. What lets sockets come to be is last, since
        // they would outlive a failure behind it.
        unsafe {
            kernel::error::to_result(b::proto_register(addr_of_mut!(PROT), 1))?;
            this.steps = 1;
            kernel::error::to_result(b::proto_register(addr_of_mut!(PROT6), 1))?;
            this.steps = 2;
            kernel::error::to_result(b::register_pernet_subsys(addr_of_mut!(netns::OPERATIONS)))?;
            this.steps = 3;
            kernel::error::to_result(b::register_netdevice_notifier(addr_of_mut!(link::DEVICES)))?;
            this.steps = 4;
            kernel::error::to_result(b::register_inetaddr_notifier(addr_of_mut!(link::ADDRESSES)))?;
            this.steps = 5;
            let addresses = addr_of_mut!(link::ADDRESSES6);
            kernel::error::to_result(b::register_inet6addr_notifier(addresses))?;
            this.steps = 6;
            if b::inet_add_protocol(addr_of!(PROTOCOL.0), b::IPPROTO_PGM as u8) != 0 {
                return Err(EAGAIN);
            }
            this.steps = 7;
            // A kernel that was booted with ipv6.disable=1 takes what is of IPv6, and never calls us.
            if b::inet6_add_protocol(addr_of!(PROTOCOL6.0), b::IPPROTO_PGM as u8) != 0 {
                return Err(EAGAIN);
            }
            this.steps = 8;
            kernel::error::to_result(b::inet6_register_protosw(addr_of_mut!(PROTOSW6)))?;
            b::inet_register_protosw(addr_of_mut!(PROTOSW));
            this.steps = 9;
        }
        Ok(this)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: Undoes what `new` did; no socket is left, or the module would be in use.
        unsafe {
            if self.steps >= 9 {
                b::inet_unregister_protosw(addr_of_mut!(PROTOSW));
                b::inet6_unregister_protosw(addr_of_mut!(PROTOSW6));
            }
            if self.steps >= 8 {
                b::inet6_del_protocol(addr_of!(PROTOCOL6.0), b::IPPROTO_PGM as u8);
            }
            if self.steps >= 7 {
                b::inet_del_protocol(addr_of!(PROTOCOL.0), b::IPPROTO_PGM as u8);
            }
            if self.steps >= 6 {
                b::unregister_inet6addr_notifier(addr_of_mut!(link::ADDRESSES6));
            }
            if self.steps >= 5 {
                b::unregister_inetaddr_notifier(addr_of_mut!(link::ADDRESSES));
            }
            if self.steps >= 4 {
                b::unregister_netdevice_notifier(addr_of_mut!(link::DEVICES));
            }
            if self.steps >= 3 {
                b::unregister_pernet_subsys(addr_of_mut!(netns::OPERATIONS));
            }
            // Sockets are freed by RCU callbacks.
            b::rcu_barrier();
            if self.steps >= 2 {
                b::proto_unregister(addr_of_mut!(PROT6));
            }
            if self.steps >= 1 {
                b::proto_unregister(addr_of_mut!(PROT));
            }
        }
    }
}
