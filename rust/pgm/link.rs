// SPDX-License-Identifier: GPL-2.0

//! What changes below a socket: interfaces that go down, come up or vanish, addresses, routes and
//! path MTUs.
//!
//! The kernel tells of interfaces and addresses at any time, maybe while a process holds the socket
//! lock. So what it tells only makes the socket look again, and a look finds out how things are now. Routes
//! are not told of at all: a source notices by its cached route when it next works.

use core::ptr::{addr_of_mut, NonNull};
use core::sync::atomic::Ordering;

use kernel::ffi::{c_int, c_ulong, c_void};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::{Duration, Instant};
use pgm_wire::Addr;

use crate::net::address;
use crate::net::is_memory;
use crate::net::lock::{BhLock, Charged, Locked};
use crate::net::membership;
use crate::net::output::{self, Way};
use crate::net::rcu::{Chain, Node, ReadGuard};
use crate::net::timer;
use crate::netns::{self, BUCKETS};
use crate::sock::{PgmSock, Receive};
use crate::{engine, source};

/// How long an MTU that a router reported holds, as net.ipv4.route.mtu_expires.
const PMTU_EXPIRES: Duration = Duration::from_secs(600);
/// A smaller MTU than this is not believed, as net.ipv4.route.min_pmtu.
const PMTU_MIN: u32 = 552;

/// What a socket knows of its links.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The address that the source is bound to; none if the route chooses.
    pub(crate) wanted: Addr,
    /// ENETDOWN was reported, and the link is not there again yet.
    pub(crate) down: bool,
    /// The path MTU that a router reported, and until when it holds.
    pmtu: Option<(u32, Instant)>,
}

impl Link {
    /// Of a new socket.
    pub(crate) const NEW: Self = Self {
        wanted: address::ANY4,
        down: false,
        pmtu: None,
    };
}

/// For register_netdevice_notifier(), which also links it into a list.
pub(crate) static mut DEVICES: b::notifier_block = b::notifier_block {
    notifier_call: Some(device_event),
    ..pin_init::zeroed()
};

/// For register_inetaddr_notifier().
pub(crate) static mut ADDRESSES: b::notifier_block = b::notifier_block {
    notifier_call: Some(address_event),
    ..pin_init::zeroed()
};

/// For register_inet6addr_notifier().
pub(crate) static mut ADDRESSES6: b::notifier_block = b::notifier_block {
    notifier_call: Some(address6_event),
    ..pin_init::zeroed()
};

/// # Safety
///
/// Called by the kernel with RTNL held; `info` is that of a device.
unsafe extern "C" fn device_event(
    _: *mut b::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    let event = event as u32;
    if matches!(
        event,
        b::netdev_cmd_NETDEV_UP
            | b::netdev_cmd_NETDEV_DOWN
            | b::netdev_cmd_NETDEV_UNREGISTER
            | b::netdev_cmd_NETDEV_CHANGEMTU
    ) {
        // SAFETY: By the caller.
        unsafe { tell(b::pgm_notified_dev_net(info)) };
    }
    0
}

/// # Safety
///
/// Called by the kernel with RTNL held; `ifa` is an address.
unsafe extern "C" fn address_event(
    _: *mut b::notifier_block,
    _event: c_ulong,
    ifa: *mut c_void,
) -> c_int {
    // SAFETY: By the caller.
    unsafe { tell(b::pgm_ifa_net(ifa.cast())) };
    0
}

/// # Safety
///
/// Called by the kernel; `ifa` is an IPv6 address.
unsafe extern "C" fn address6_event(
    _: *mut b::notifier_block,
    _event: c_ulong,
    ifa: *mut c_void,
) -> c_int {
    // SAFETY: By the caller.
    unsafe { tell(b::pgm_ifa6_net(ifa.cast())) };
    0
}

/// Has every socket of a namespace look at its links.
///
/// # Safety
///
/// `net` is a live namespace; no socket lock is held.
unsafe fn tell(net: *const b::net) {
    let guard = ReadGuard::new();
    // SAFETY: The buckets live as long as the namespace, the sockets as long as the guard.
    unsafe {
        let tables = netns::of(net);
        for n in 0..BUCKETS {
            let chains = [
                (addr_of_mut!((*tables).ports[n]), Node::Main),
                (addr_of_mut!((*tables).sessions[n]), Node::Main),
                (addr_of_mut!((*tables).sources[n]), Node::Bind),
            ];
            for (head, node) in chains {
                for sk in Chain::new(&guard, head, node) {
                    notice(sk);
                }
            }
        }
    }
}

/// Has a socket look at its links, now or when the process in it leaves.
///
/// # Safety
///
/// `sk` was found inside a read section that still lasts; no socket lock is held.
pub(crate) unsafe fn notice(sk: NonNull<PgmSock>) {
    // SAFETY: By the caller.
    unsafe {
        (*sk.as_ptr()).look.store(true, Ordering::Relaxed);
        let mut lock = BhLock::new(sk);
        match lock.state() {
            Some(mut state) => {
                let _charged = Charged::to(&state);
                engine::turn(&mut state, timer::now());
            }
            None => (*sk.as_ptr()).deferred.store(true, Ordering::Relaxed),
        }
    }
}

/// Whether [`look`] has more to do than to follow routes.
pub(crate) fn is_told(sk: &Locked<'_>) -> bool {
    // SAFETY: The socket is live.
    sk.link.down || unsafe { (*sk.as_ptr()).look.load(Ordering::Relaxed) }
}

/// What [`engine::turn`] does first.
pub(crate) fn look(sk: &mut Locked<'_>, now: Instant) {
    // SAFETY: The socket is live.
    let told = unsafe { &(*sk.as_ptr()).look };
    if told.load(Ordering::Relaxed) {
        told.store(false, Ordering::Relaxed);
        learn_pmtu(sk, now);
        // A route of IPv6 stays valid when its source address goes.
        remeasure(sk);
        examine(sk, now);
    } else if follow(sk, now).is_ok() && sk.link.down {
        examine(sk, now);
    }
}

/// Whether an interface can be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Device {
    Up,
    Down,
    Gone,
}

/// # Safety
///
/// `sk` is a live socket.
unsafe fn device(_guard: &ReadGuard, sk: *const b::sock, index: i32) -> Device {
    // SAFETY: The guard keeps the device.
    unsafe {
        let dev = b::dev_get_by_index_rcu(b::pgm_sock_net(sk).cast(), index);
        if dev.is_null() {
            Device::Gone
        } else if b::pgm_dev_is_up(dev.cast()) {
            Device::Up
        } else {
            Device::Down
        }
    }
}

/// The best of the interfaces that a receiver joined on; `None` if it joined on none.
fn receives_by(sk: &Locked<'_>) -> Option<Device> {
    let guard = ReadGuard::new();
    // SAFETY: The socket is live; its key is complete.
    unsafe {
        if let Receive::Session(_) = sk.receive {
            return Some(device(&guard, sk.sock(), (*sk.as_ptr()).key.iif));
        }
        let mut best = None;
        membership::each_interface(&guard, sk.sock(), |index| {
            best = match (best, device(&guard, sk.sock(), index)) {
                (Some(Device::Up), _) | (_, Device::Up) => Some(Device::Up),
                (Some(Device::Down), _) | (_, Device::Down) => Some(Device::Down),
                _ => Some(Device::Gone),
            };
        });
        best
    }
}

/// Compares the links with what they were. ENETDOWN is reported once each time they go.
fn examine(sk: &mut Locked<'_>, now: Instant) {
    if sk.closing.is_some() || sk.ended {
        // There is nobody to report to; but what is left to send goes by a route.
        let _ = follow(sk, now);
        return;
    }
    let receives = receives_by(sk);
    let sends = match follow(sk, now) {
        Err(error) if is_memory(error) => {
            // That says nothing of the link: the next turn looks again.
            // SAFETY: The socket is live.
            unsafe { (*sk.as_ptr()).look.store(true, Ordering::Relaxed) };
            !sk.link.down
        }
        sent => sent.is_ok(),
    };
    let down = !sends || receives.is_some_and(|device| device != Device::Up);
    if down && !sk.link.down {
        // SAFETY: The lock is held, the socket is live.
        unsafe { b::pgm_report_error(sk.sock(), ENETDOWN.to_errno().wrapping_neg()) };
    }
    let back = sk.link.down && !down;
    if sk.link.down != down {
        sk.link.down = down;
        // Nothing is asked for meanwhile, and no attempt is counted.
        engine::note_congestion(sk);
    }
    if back {
        if let Some(source) = &mut sk.source {
            source.announce();
        }
    }
    if matches!(sk.receive, Receive::Session(_)) && receives == Some(Device::Gone) {
        // Interface numbers do not come back.
        sk.ended = true;
        engine::wake_all(sk);
    }
}

/// Keeps a source on its route: when routes changed, the interface, the source's address and the MTU
/// are those of the new one. Fails as a UDP socket's send() would.
pub(crate) fn follow(sk: &mut Locked<'_>, now: Instant) -> Result {
    if sk.source.is_none() {
        return Ok(());
    }
    if sk.link.pmtu.is_some_and(|(_, until)| until <= now) {
        sk.link.pmtu = None;
    // SAFETY: The lock is held.
    } else if unsafe { output::has_route(sk.sock()) } {
        return Ok(());
    }
    let (this, path, wanted) = (sk.as_ptr(), sk.path, sk.link.wanted);
    // SAFETY: The lock is held.
    let way = unsafe { Way::find(this, path.oif, path.group, wanted, (*this).encap.mcast)? };
    if !way.is_up() {
        // An address that was bound names its interface, up or not.
        return Err(ENETDOWN);
    }
    let nla = way.nla()?;
    take(sk, &way);
    if nla != path.source {
        sk.path.source = nla;
        // SAFETY: The lock is held.
        unsafe { address::set_source(sk.sock(), nla) };
        if let Some(source) = &mut sk.source {
            source.relocate(nla);
        }
    }
    Ok(())
}

/// Sends by this way from now on: new APDUs fit its MTU.
pub(crate) fn take(sk: &mut Locked<'_>, way: &Way) {
    // SAFETY: The lock is held.
    unsafe {
        way.cache(sk.sock());
        sk.path.mtu = way.mtu(sk.sock());
        if let Some((pmtu, _)) = sk.link.pmtu {
            if output::uses_pmtu(sk.sock()) {
                sk.path.mtu = sk.path.mtu.min(pmtu);
            }
        }
    }
    let mtu = sk.path.mtu;
    source::fit(sk, mtu);
}

/// Takes over what [`crate::icmp`] left; the next route has the MTU.
fn learn_pmtu(sk: &mut Locked<'_>, now: Instant) {
    // SAFETY: The socket is live.
    let reported = unsafe { (*sk.as_ptr()).pmtu.swap(0, Ordering::Relaxed) };
    if reported == 0 || sk.source.is_none() {
        return;
    }
    let least = if sk.path.group.is_v4() {
        PMTU_MIN
    } else {
        b::IPV6_MIN_MTU
    };
    let pmtu = reported.max(least);
    if pmtu < sk.path.mtu {
        sk.link.pmtu = Some((pmtu, now.after(PMTU_EXPIRES)));
    }
}

/// Forgets the route, so that the MTU is looked up again.
pub(crate) fn remeasure(sk: &mut Locked<'_>) {
    // SAFETY: The lock is held.
    unsafe { b::pgm_forget_route(sk.sock()) };
}
