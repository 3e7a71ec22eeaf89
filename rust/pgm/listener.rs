// SPDX-License-Identifier: GPL-2.0

//! The reverse connection: listen(), a session for each source that sends, accept().

use core::ptr::{addr_of_mut, NonNull};
use core::sync::atomic::{AtomicU64, Ordering};

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::{starts_reception, Receiver, ReceiverConfig, Refused};
use pgm_core::{settings, Discard};
use pgm_wire::{Addr, Body, Packet};

use crate::children::Children;
use crate::counters::{self, Counter};
use crate::net::address::{self, SocketAddress, ANY4};
use crate::net::heap::{accounted, KernelHeap};
use crate::net::is_memory;
use crate::net::lock::{BhLock, Locked, UserLock};
use crate::net::membership::{self, Arrival};
use crate::net::output::{Path, Way};
use crate::net::rcu::ReadGuard;
use crate::net::skb::SkBuff;
use crate::net::timer;
use crate::netns;
use crate::sock::{random_u64, Key, PgmSock, PgmSock6, Receive, State};
use crate::{account, demux, input};

impl Listener {
    /// How many sessions wait for accept(), and how many sources sent no data yet.
    pub(crate) fn lens(&self) -> (u32, u32) {
        (self.queue.len() as u32, self.announced.len() as u32)
    }
}

/// What a listening socket has.
pub(crate) struct Listener {
    /// Names the listener in its sessions' keys; never used twice.
    id: u64,
    /// Sessions that wait for accept(), oldest first.
    queue: Children,
    /// Sources that announced themselves by an SPM and sent no data yet, oldest first. A session
    /// that knows where its source begins can ask for data it lost at the very start.
    announced: Children,
    /// Sessions that were closed while their sources may still send.
    refused: Refused<KernelHeap>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// `proto_ops.listen`: joins the group the socket is bound to, and waits for sources.
///
/// # Safety
///
/// Called by the kernel for a process.
pub(crate) unsafe extern "C" fn listen(sock: *mut b::socket, backlog: c_int) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        let result = (|| {
            let sk = (*sock).sk;
            let group = {
                let mut sk = UserLock::new(sk).ok_or(EINVAL)?;
                check(&mut sk)?;
                (*sk.sock()).sk_max_ack_backlog = backlog.max(1) as u32;
                if let Receive::Listener(_) = sk.receive {
                    return Ok(());
                }
                // A listener before it joins: its first packet finds it ready.
                let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
                sk.receive = Receive::Listener(Listener {
                    id,
                    queue: Children::new(),
                    announced: Children::new(),
                    refused: Refused::new(),
                });
                addr_of_mut!((*sk.as_ptr()).key.listener).write_volatile(id);
                b::pgm_sk_set_state(sk.sock(), b::TCP_LISTEN as c_int);
                address::bound(sk.sock())
            };
            if group.is_multicast() {
                if let Err(error) = join(sk, group) {
                    let mut sk = UserLock::new(sk).ok_or(EINVAL)?;
                    drain(&mut sk);
                    sk.receive = Receive::Idle;
                    addr_of_mut!((*sk.as_ptr()).key.listener).write_volatile(0);
                    b::pgm_sk_set_state(sk.sock(), b::TCP_CLOSE as c_int);
                    return Err(error);
                }
            }
            Ok(())
        })();
        result.map_or_else(|error: Error| error.to_errno(), |()| 0)
    }
}

/// A bound socket that is nothing else yet, or a listener whose backlog changes.
fn check(sk: &mut Locked<'_>) -> Result {
    // SAFETY: The lock is held.
    if unsafe { b::pgm_sk_num(sk.sock()) } == 0 {
        return Err(EINVAL);
    }
    match sk.receive {
        _ if sk.source.is_some() => Err(EISCONN),
        Receive::Session(_) => Err(EISCONN),
        Receive::Datagram(_) => Err(EINVAL),
        Receive::Idle | Receive::Listener(_) => Ok(()),
    }
}

/// Joins the group on the interface that the socket chose, or that the route names, unless the
/// application joined before it listens: on other interfaces, or for some sources only.
///
/// # Safety
///
/// `sk` is a live socket that the caller does not hold locked.
unsafe fn join(sk: *mut b::sock, group: Addr) -> Result {
    // SAFETY: By the caller.
    unsafe {
        if membership::interface_of(sk, group).is_some() {
            return Ok(());
        }
        let chosen = address::multicast_choice(sk);
        let oif = match (b::pgm_sk_bound_dev(sk), chosen) {
            (0, chosen) => chosen,
            // Joining on a VRF would reach none of its interfaces: the route in it names one.
            (vrf, 0) if is_vrf(sk, vrf) => way_in(sk, vrf, group)?,
            (vrf, chosen) if is_vrf(sk, vrf) => chosen,
            (bound, _) => bound,
        };
        membership::join(sk, group, oif)
    }
}

/// # Safety
///
/// `sk` is a live socket.
unsafe fn is_vrf(sk: *const b::sock, index: i32) -> bool {
    let _guard = ReadGuard::new();
    // SAFETY: The guard keeps the device.
    unsafe {
        let dev = b::dev_get_by_index_rcu(b::pgm_sock_net(sk).cast(), index);
        !dev.is_null() && b::pgm_is_vrf(dev.cast())
    }
}

/// The interface of a VRF that has the route to the group.
///
/// # Safety
///
/// `sk` is a live socket that the caller does not hold locked.
unsafe fn way_in(sk: *mut b::sock, vrf: i32, group: Addr) -> Result<i32> {
    // SAFETY: By the caller.
    unsafe {
        let sk = UserLock::new(sk).ok_or(EINVAL)?;
        let none = address::ANY4;
        Ok(Way::find(sk.as_ptr(), vrf, group, none, 0)?.device())
    }
}

/// A packet of a source that has no accepted session here: its first SPM makes a session, its first
/// ODATA, or history that OPT_JOIN opens, offers it to accept().
pub(crate) fn receive(
    sk: &mut Locked<'_>,
    packet: &Packet<'_>,
    skb: SkBuff,
) -> Result<(), Discard> {
    let Receive::Listener(listener) = &mut sk.receive else {
        return Err(Discard::NoSocket);
    };
    if listener.refused.refuses(timer::now(), packet) {
        return Err(Discard::SessionEnded);
    }
    let id = listener.id;
    let arrival = skb.arrival();
    let key = Key {
        tsi: packet.tsi(),
        ddp: packet.data_port(),
        group: arrival.group,
        iif: arrival.device(),
        listener: id,
    };
    let guard = ReadGuard::new();
    // SAFETY: The socket keeps its namespace, which keeps the tables.
    let known = unsafe {
        let tables = netns::of_sock(sk.sock());
        demux::find_session(&guard, tables, id, key.tsi, arrival)
    };
    // RFC 3208 §6.1: reception starts with data.
    let starts = starts_reception(packet);
    let child = match known {
        Some(child) => child,
        None if starts || matches!(packet.body, Body::Spm(_)) => announce(sk, key, arrival)?,
        None => return Err(Discard::NoSocket),
    };
    if starts {
        offer(sk, child)?;
    }
    // SAFETY: Inside the read section; a child is locked inside its listener.
    unsafe { input::deliver_nested(child, packet, skb) };
    Ok(())
}

/// Makes a session for a source that is new here.
fn announce(sk: &mut Locked<'_>, key: Key, arrival: Arrival) -> Result<NonNull<PgmSock>, Discard> {
    if sk.closing.is_some() {
        return Err(Discard::NoSocket);
    }
    // A new one takes the place of the oldest.
    let limit = sk.options.numbers.get(&settings::ANNOUNCED_MAX) as usize;
    let room = account::may_begin(sk);
    let Receive::Listener(listener) = &mut sk.receive else {
        return Err(Discard::NoSocket);
    };
    if listener.announced.len() >= limit || room.is_err() {
        let oldest = listener.announced.pop();
        if let Some(oldest) = oldest {
            // SAFETY: The queue owned the reference.
            unsafe { destroy(oldest) };
            // SAFETY: The socket keeps its namespace.
            unsafe { counters::count(sk.sock(), Counter::SessionsEvicted, 1) };
        } else {
            room?;
        }
    }
    // SAFETY: The lock is held.
    let child = unsafe { create(sk, key, arrival)? };
    let Receive::Listener(listener) = &mut sk.receive else {
        return Err(Discard::NoSocket);
    };
    // SAFETY: The child is ours until the queue takes it; its key is complete.
    unsafe {
        listener.announced.push(child);
        demux::add_session(child.as_ptr());
    }
    Ok(child)
}

/// Data came: the session waits for accept(), if there is room.
fn offer(sk: &mut Locked<'_>, child: NonNull<PgmSock>) -> Result<(), Discard> {
    let sock = sk.sock();
    let Receive::Listener(listener) = &mut sk.receive else {
        return Err(Discard::NoSocket);
    };
    // SAFETY: The lock is held.
    unsafe {
        let Some(child) = listener.announced.remove(child) else {
            // It waits already.
            return Ok(());
        };
        if b::pgm_acceptq_is_full(sock) {
            listener.announced.push(child);
            return Err(Discard::SessionLimit);
        }
        listener.queue.push(child);
        demux::open_session(child.as_ptr());
        counters::count(sock, Counter::Sessions, 1);
        b::pgm_acceptq_added(sock);
        b::pgm_data_ready(sock);
    }
    Ok(())
}

/// A new session socket. Nothing is copied from the listener but settings: least of all its
/// memberships.
///
/// # Safety
///
/// `sk` is a locked listener.
unsafe fn create(
    sk: &mut Locked<'_>,
    key: Key,
    arrival: Arrival,
) -> Result<NonNull<PgmSock>, Discard> {
    let source = arrival.source;
    let listener = sk.sock();
    // SAFETY: The listener is locked; the child is ours alone until it is hashed.
    unsafe {
        let net = b::pgm_sock_net(listener);
        let family = address::family_of(listener) as c_int;
        let prot = crate::ops::prot(key.group);
        let child = b::sk_alloc(net, family, b::GFP_ATOMIC_, prot, 0);
        let child = NonNull::new(child).ok_or(Discard::NoMemory)?;
        // It is nobody's until it is accepted, also if a process does this for a packet.
        b::pgm_disown(child.as_ptr());
        b::pgm_init_child(child.as_ptr(), listener);
        if !key.group.is_v4() {
            let np = addr_of_mut!((*child.as_ptr().cast::<PgmSock6>()).np);
            b::pgm_init_child6(child.as_ptr(), np, listener);
        }
        if crate::sock::init(child.as_ptr()) != 0 {
            b::pgm_sock_orphan(child.as_ptr());
            b::pgm_sock_put(child.as_ptr());
            return Err(Discard::NoMemory);
        }
        let child = child.cast::<PgmSock>();
        let sock: *mut b::sock = child.as_ptr().cast();
        (*sock).sk_rcvbuf = (*listener).sk_rcvbuf;
        b::pgm_sk_set_num(sock, key.ddp);
        address::set_bound(sock, key.group);
        let peer = SocketAddress {
            addr: source,
            port: key.tsi.sport,
            scope: 0,
        };
        address::set_peer(sock, peer);
        let inet: *mut b::inet_sock = sock.cast();
        (*inet).inet_sport = key.ddp.to_be();
        b::pgm_sk_set_state(sock, b::TCP_ESTABLISHED as c_int);
        addr_of_mut!((*child.as_ptr()).key).write(key);
        addr_of_mut!((*child.as_ptr()).encap).write((*sk.as_ptr()).encap);

        let config = ReceiverConfig {
            group: key.group,
            near: arrival.near,
            ..sk.options.receiver(key.ddp, (*sock).sk_rcvbuf)
        };
        let session = Receiver::new(config, key.tsi, source, timer::now(), random_u64());
        let Ok(session) = KBox::new(session, accounted()) else {
            destroy(child);
            return Err(Discard::NoMemory);
        };
        let state: &mut State = &mut *(*child.as_ptr()).state;
        state.options = sk.options;
        state.udp = sk.udp.share();
        state.path = Path {
            group: key.group,
            oif: key.iif,
            mtu: 0,
            ..Path::NONE
        };
        state.receive = Receive::Session(session);
        account::settle(&mut Locked::assume(child));
        Ok(child)
    }
}

/// Ends a session that nobody accepted.
///
/// # Safety
///
/// The caller owns the listener's reference to `child` and gives it up.
unsafe fn destroy(child: NonNull<PgmSock>) {
    // SAFETY: By the caller; the child's own lock keeps packets out.
    unsafe {
        let sock: *mut b::sock = child.as_ptr().cast();
        let mut lock = BhLock::new_nested(child);
        match lock.state() {
            Some(mut state) => crate::close::release(&mut state),
            // Somebody looks at it, see [`crate::observe`].
            None => {
                (*child.as_ptr()).doomed.store(true, Ordering::Relaxed);
                (*child.as_ptr()).deferred.store(true, Ordering::Relaxed);
            }
        }
        drop(lock);
        b::pgm_sock_orphan(sock);
        b::pgm_sock_put(sock);
    }
}

/// close() of a listener: the sessions that wait go with it.
pub(crate) fn drain(sk: &mut Locked<'_>) {
    let Receive::Listener(listener) = &mut sk.receive else {
        return;
    };
    let mut queue = core::mem::replace(&mut listener.queue, Children::new());
    let mut announced = core::mem::replace(&mut listener.announced, Children::new());
    let sock = sk.sock();
    while let Some(child) = queue.pop() {
        // SAFETY: The queue owned the reference.
        unsafe {
            b::pgm_acceptq_removed(sock);
            destroy(child);
        }
    }
    while let Some(child) = announced.pop() {
        // SAFETY: As above.
        unsafe { destroy(child) };
    }
}

/// close() of a session, before anything else: its listener does not take the source again at once.
/// Only a session that ended by loss, or for want of a source or an interface, may begin anew.
///
/// # Safety
///
/// `sk` is a live socket that the caller does not hold locked.
pub(crate) unsafe fn leave(sk: *mut b::sock) {
    // SAFETY: By the caller; the listener is held while it is locked, and no other lock is.
    unsafe {
        let (key, unwanted) = {
            let Some(lock) = UserLock::new(sk) else {
                return;
            };
            let Receive::Session(session) = &lock.receive else {
                return;
            };
            let over = session.is_over();
            if lock.ended && !over {
                return;
            }
            ((*lock.as_ptr()).key, !over)
        };
        let tables = netns::of_sock(sk);
        let Some(listener) = demux::find_listener(&ReadGuard::new(), tables, key) else {
            return;
        };
        if let Some(mut lock) = UserLock::new(listener) {
            if let Receive::Listener(listener) = &mut lock.receive {
                listener.refused.refuse(timer::now(), key.tsi, unwanted);
            }
        }
        b::pgm_sock_put(listener);
    }
}

/// Whether accept() would return at once.
pub(crate) fn has_sessions(sk: &State) -> bool {
    matches!(&sk.receive, Receive::Listener(listener) if !listener.queue.is_empty())
}

/// Joins the group for a session that the caller has from [`next_session`]. Should the interface be
/// gone, what arrived can still be read. Without memory the session waits for the next accept(): it
/// would fall silent with its listener.
///
/// # Safety
///
/// As for [`accept`].
unsafe fn join_as(sk: *mut b::sock, child: NonNull<PgmSock>) -> Result<NonNull<PgmSock>> {
    // SAFETY: By the caller; the session is ours.
    unsafe {
        let session: *mut b::sock = child.as_ptr().cast();
        let key = (*child.as_ptr()).key;
        let source = match &UserLock::new(session).ok_or(EINVAL)?.receive {
            Receive::Session(session) => session.source(),
            _ => ANY4,
        };
        match membership::join_session(session, sk, key.group, source, key.iif) {
            Err(error) if is_memory(error) => {
                put_back(sk, child);
                Err(error)
            }
            _ => Ok(child),
        }
    }
}

/// Undoes [`next_session`].
///
/// # Safety
///
/// As for [`accept`]; the caller gives up its reference to `child`.
unsafe fn put_back(sk: *mut b::sock, child: NonNull<PgmSock>) {
    // SAFETY: By the caller.
    unsafe {
        let Some(mut sk) = UserLock::new(sk) else {
            return;
        };
        let sock = sk.sock();
        let Receive::Listener(listener) = &mut sk.receive else {
            // A listen() that failed took the listener away.
            return destroy(child);
        };
        listener.queue.push_front(child);
        b::pgm_acceptq_added(sock);
        b::pgm_data_ready(sock);
    }
}

/// # Safety
///
/// As for [`accept`].
unsafe fn next_session(sk: *mut b::sock, noblock: bool) -> Result<NonNull<PgmSock>> {
    // SAFETY: By the caller.
    let mut sk = unsafe { UserLock::new(sk).ok_or(EINVAL)? };
    // SAFETY: The lock is held.
    let mut timeo = unsafe { b::pgm_rcvtimeo(sk.sock(), noblock) };
    loop {
        let Receive::Listener(listener) = &mut sk.receive else {
            return Err(EINVAL);
        };
        if let Some(child) = listener.queue.pop() {
            // SAFETY: The lock is held.
            unsafe { b::pgm_acceptq_removed(sk.sock()) };
            return Ok(child);
        }
        // SAFETY: As above.
        kernel::error::to_result(unsafe { b::pgm_sock_error(sk.sock()) })?;
        sk.sleep(&mut timeo)?;
    }
}

/// `proto_ops.accept`: the oldest session that waits.
///
/// # Safety
///
/// Called by the kernel for a process.
pub(crate) unsafe extern "C" fn accept(
    sock: *mut b::socket,
    new: *mut b::socket,
    arg: *mut b::proto_accept_arg,
) -> c_int {
    // SAFETY: By the caller. The kernel charges a session as a process that has its lock.
    unsafe {
        let sk = (*sock).sk;
        let noblock = (*arg).flags as u32 & b::O_NONBLOCK != 0;
        let result = (|| {
            let child = next_session(sk, noblock).and_then(|child| join_as(sk, child))?;
            let child: *mut b::sock = child.as_ptr().cast();
            let mut lock = UserLock::new(child).ok_or(EINVAL)?;
            account::accepted(&mut lock, || b::__inet_accept(sock, new, child));
            Ok(())
        })();
        result.map_or_else(|error: Error| error.to_errno(), |()| 0)
    }
}
