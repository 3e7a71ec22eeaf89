// SPDX-License-Identifier: GPL-2.0

//! From the wire to sockets: the handlers of IP protocol 113, of both versions, and of our UDP ports,
//! and the tables.
//!
//! Downstream packets go to the sessions of their TSI, and to the listeners and datagram sockets
//! of their data-destination port that joined the group. Unicast upstream packets go to the source
//! of their TSI, multicast ones (NAK, SPMR) to the other receivers, which they quieten.

use core::ptr::{addr_of, addr_of_mut, NonNull};
use core::sync::atomic::Ordering;

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::Discard;
use pgm_wire::{Addr, Body, Packet, PacketType, Tsi};

use crate::counters::Counter;
use crate::input;
use crate::net::address;
use crate::net::membership::{self, Arrival};
use crate::net::rcu::{Chain, Node, ReadGuard};
use crate::net::skb::{HeaderCopy, SkBuff};
use crate::net::trace;
use crate::net::udp::Encap;
use crate::netns::{self, PgmNet, BUCKETS};
use crate::sock::{Key, PgmSock};

const UDP_HEADER: u32 = 8;

/// What the demultiplexer needs of a packet.
#[derive(Clone, Copy)]
struct Label {
    tsi: Tsi,
    ddp: u16,
    /// The UDP port of an encapsulated packet, 0 for a native one.
    udp: u16,
    /// It was sent to a group.
    multicast: bool,
    kind: PacketType,
    arrival: Arrival,
}

impl Label {
    /// Whether the packet travelled as those of a socket do.
    fn matches(&self, encap: Encap) -> bool {
        let port = if self.multicast {
            encap.mcast
        } else {
            encap.ucast
        };
        self.udp == port
    }
}

/// `net_protocol.handler`. Never negative: that would mean another protocol.
///
/// # Safety
///
/// Called by IP in a softirq, in an RCU read section, with an skb that is ours now.
pub(crate) unsafe extern "C" fn receive(skb: *mut b::sk_buff) -> c_int {
    // SAFETY: By the caller.
    unsafe { enter(skb, 0, false) };
    0
}

/// `udp_sock.encap_rcv`: a packet of our UDP socket, checked by UDP. 0: it is done with.
///
/// # Safety
///
/// Called by UDP as IP calls [`receive`]; the data begin at the UDP header.
pub(crate) unsafe extern "C" fn receive_udp(sk: *mut b::sock, skb: *mut b::sk_buff) -> c_int {
    // SAFETY: By the caller; UDP saw to it that its header is there.
    unsafe {
        let more = b::pgm_more_segments(skb);
        b::skb_pull_rcsum(skb, UDP_HEADER);
        enter(skb, b::pgm_sk_num(sk), more);
    }
    0
}

/// # Safety
///
/// As for [`receive`]; the data begin at the PGM header. `more`: the next packet comes at once.
unsafe fn enter(skb: *mut b::sk_buff, udp: u16, more: bool) {
    // SAFETY: The skb is ours; its device belongs to a live namespace.
    unsafe {
        let tables = netns::of_skb(skb);
        // Socket filters see the packet from here on.
        b::pgm_reset_transport(skb);
        let Some(mut skb) = SkBuff::from_raw(skb) else {
            return;
        };
        (*tables).received.fetch_add(1, Ordering::Relaxed);
        let result = match skb.plain_data() {
            Some(packet) => dispatch(tables, &packet, skb, udp, more),
            None => parse(tables, skb, udp, more),
        };
        if let Err((discard, skb)) = result {
            netns::count_discard(tables, discard);
            skb.discard();
        }
    }
}

/// A packet with options, or one that is no data. Apart for the sake of the stack.
///
/// # Safety
///
/// As for [`dispatch`].
#[inline(never)]
unsafe fn parse(
    tables: *mut PgmNet,
    mut skb: SkBuff,
    udp: u16,
    more: bool,
) -> Result<(), (Discard, SkBuff)> {
    let copy = match HeaderCopy::new(&mut skb) {
        Ok(copy) => copy,
        Err(discard) => return Err((discard, skb)),
    };
    match copy.packet() {
        // SAFETY: By the caller.
        Ok(packet) => unsafe { dispatch(tables, &packet, skb, udp, more) },
        Err(discard) => Err((discard, skb)),
    }
}

/// # Safety
///
/// In a softirq, in an RCU read section; `tables` are those of a live namespace.
unsafe fn dispatch(
    tables: *mut PgmNet,
    packet: &Packet<'_>,
    skb: SkBuff,
    udp: u16,
    more: bool,
) -> Result<(), (Discard, SkBuff)> {
    if packet.header.checksum != 0 && skb.checksum_is_bad() {
        return Err((Discard::Checksum, skb));
    }
    let arrival = skb.arrival();
    let label = Label {
        tsi: packet.tsi(),
        ddp: packet.data_port(),
        udp,
        multicast: arrival.group.is_multicast(),
        kind: packet.header.kind,
        arrival,
    };
    trace::receive(packet);
    // SAFETY: By the caller.
    let guard = unsafe { ReadGuard::inside() };
    // SAFETY: The namespace is live.
    unsafe { (*tables).counters.add(Counter::received(label.kind), 1) };
    let mut delivery = Delivery {
        packet,
        skb,
        last: None,
        more,
    };
    if label.multicast {
        // SAFETY: Inside the read section.
        unsafe { to_receivers(&guard, tables, &label, &mut delivery) };
    } else if let Some(label) = of_unreachable_parent(packet, &label) {
        // SAFETY: Inside the read section.
        unsafe { to_receivers(&guard, tables, &label, &mut delivery) };
    } else if !label.kind.is_downstream() {
        // SAFETY: Inside the read section.
        if let Some(sk) = unsafe { find_source(&guard, tables, label.tsi) } {
            // SAFETY: As above; it is constant.
            if label.matches(unsafe { (*sk.as_ptr()).encap }) {
                delivery.add(sk);
            }
        }
    }
    delivery.finish().map_err(|skb| (Discard::NoSocket, skb))
}

/// The one unicast packet that is for receivers: an NCF whose sender cannot reach them by multicast
/// (RFC 3208 §15.3.2). Its group and source stand inside; sockets of the other version of IP are not
/// reached by them.
fn of_unreachable_parent(packet: &Packet<'_>, label: &Label) -> Option<Label> {
    let Body::Ncf(ncf) = packet.body else {
        return None;
    };
    let v4 = label.arrival.group.is_v4();
    if !ncf.group.is_multicast() || ncf.group.is_v4() != v4 || ncf.source.is_v4() != v4 {
        return None;
    }
    let arrival = Arrival {
        group: ncf.group,
        source: ncf.source,
        ..label.arrival
    };
    packet
        .options
        .nbr_unreach()
        .then_some(Label { arrival, ..*label })
}

/// One packet for any number of sockets: each but the last gets a clone.
struct Delivery<'a> {
    packet: &'a Packet<'a>,
    skb: SkBuff,
    last: Option<NonNull<PgmSock>>,
    /// See [`input::deliver`].
    more: bool,
}

impl Delivery<'_> {
    fn add(&mut self, sk: NonNull<PgmSock>) {
        if let Some(earlier) = self.last.replace(sk) {
            self.give_clone(earlier);
        }
    }

    #[inline(never)]
    fn give_clone(&self, sk: NonNull<PgmSock>) {
        // SAFETY: Found inside the read section that still lasts; a socket keeps its namespace.
        unsafe {
            match self.skb.share() {
                Some(clone) => input::deliver(sk, self.packet, clone, self.more),
                None => {
                    let tables = netns::of_sock(sk.as_ptr().cast());
                    netns::count_discard(tables, Discard::NoMemory);
                }
            }
        }
    }

    /// Whether the last socket is a session of this listener: the usual case, told without a look at
    /// the table.
    fn went_to_child(&self, sk: NonNull<PgmSock>) -> bool {
        self.last.is_some_and(|last| {
            // SAFETY: Found inside the read section that still lasts. A key is constant, but for a
            // listener's id, which is set once.
            unsafe {
                let of =
                    |sk: NonNull<PgmSock>| addr_of!((*sk.as_ptr()).key.listener).read_volatile();
                last != sk && of(last) != 0 && of(last) == of(sk)
            }
        })
    }

    /// Gives the packet to the last socket, or back.
    fn finish(self) -> Result<(), SkBuff> {
        let Some(sk) = self.last else {
            return Err(self.skb);
        };
        // SAFETY: As in `add`.
        unsafe { input::deliver(sk, self.packet, self.skb, self.more) };
        Ok(())
    }
}

/// # Safety
///
/// Inside the read section; `tables` are those of a live namespace.
unsafe fn to_receivers(
    guard: &ReadGuard,
    tables: *mut PgmNet,
    label: &Label,
    delivery: &mut Delivery<'_>,
) {
    // SAFETY: The buckets live as long as the namespace, the sockets as long as the guard.
    unsafe {
        let bucket = bucket_of_tsi(tables, label.tsi);
        let sessions = addr_of_mut!((*tables).sessions[bucket]);
        for sk in Chain::new(guard, sessions, Node::Main) {
            let key = &(*sk.as_ptr()).key;
            if key.tsi == label.tsi
                && key.ddp == label.ddp
                && key.group == label.arrival.group
                && (key.iif == label.arrival.iif || key.iif == label.arrival.sdif)
                && label.matches((*sk.as_ptr()).encap)
                && is_open(sk)
            {
                delivery.add(sk);
            }
        }
        for bound in [label.arrival.group, label.arrival.group.any()] {
            let ports = addr_of_mut!((*tables).ports[bucket_of_port(label.ddp, bound)]);
            for sk in Chain::new(guard, ports, Node::Main) {
                if !delivery.went_to_child(sk)
                    && takes(guard, sk, bound, label)
                    && !has_session(guard, tables, sk, label)
                {
                    delivery.add(sk);
                }
            }
        }
    }
}

/// Whether a listener or datagram socket that is bound to the group, or to no address, is meant.
///
/// # Safety
///
/// `sk` was found inside the read section.
#[inline(never)]
unsafe fn takes(guard: &ReadGuard, sk: NonNull<PgmSock>, bound: Addr, label: &Label) -> bool {
    // SAFETY: The socket is still allocated.
    let encap = unsafe { (*sk.as_ptr()).encap };
    let sk: *mut b::sock = sk.as_ptr().cast();
    // SAFETY: The socket is still allocated.
    unsafe {
        let dev = b::pgm_sk_bound_dev(sk);
        // Both addresses may share a bucket.
        label.matches(encap)
            && b::pgm_sk_num(sk) == label.ddp
            && address::bound(sk) == bound
            && label.arrival.is_for(dev)
            && membership::joined(guard, sk, label.arrival)
    }
}

/// Whether `sk` is a listener whose session of this TSI already got the packet.
///
/// # Safety
///
/// As for [`takes`].
#[inline(never)]
unsafe fn has_session(
    guard: &ReadGuard,
    tables: *mut PgmNet,
    sk: NonNull<PgmSock>,
    label: &Label,
) -> bool {
    // SAFETY: The key of a hashed socket is constant, but for a listener's id, which is set once.
    let id = unsafe { addr_of!((*sk.as_ptr()).key.listener).read_volatile() };
    if id == 0 {
        return false;
    }
    // SAFETY: As for the caller.
    unsafe {
        find_session(guard, tables, id, label.tsi, label.arrival).is_some_and(|sk| is_open(sk))
    }
}

/// Whether packets go to the session itself, not by way of its listener.
///
/// # Safety
///
/// `sk` was found inside the read section.
unsafe fn is_open(sk: NonNull<PgmSock>) -> bool {
    // SAFETY: By the caller.
    unsafe { (*sk.as_ptr()).open.load(Ordering::Relaxed) }
}

/// From now on packets go to the session itself.
///
/// # Safety
///
/// `sk` is a live session.
pub(crate) unsafe fn open_session(sk: *mut PgmSock) {
    // SAFETY: By the caller.
    unsafe { (*sk).open.store(true, Ordering::Relaxed) };
}

/// The session of `tsi` that the listener `id` made.
///
/// # Safety
///
/// Inside the read section; `tables` are those of a live namespace.
pub(crate) unsafe fn find_session(
    guard: &ReadGuard,
    tables: *mut PgmNet,
    id: u64,
    tsi: Tsi,
    arrival: Arrival,
) -> Option<NonNull<PgmSock>> {
    // SAFETY: As in `to_receivers`.
    unsafe {
        let children = addr_of_mut!((*tables).children[bucket_of_child(tables, tsi, id)]);
        Chain::new(guard, children, Node::Bind).find(|sk| {
            let key = addr_of!((*sk.as_ptr()).key).read();
            key.listener == id && key.tsi == tsi && key.group == arrival.group
        })
    }
}

/// The listener of a session's key, with a reference for the caller.
///
/// # Safety
///
/// Inside the read section; `tables` are those of a live namespace.
pub(crate) unsafe fn find_listener(
    guard: &ReadGuard,
    tables: *mut PgmNet,
    key: Key,
) -> Option<*mut b::sock> {
    // SAFETY: As in `has_session`; a socket without references is about to be freed.
    unsafe {
        let find = |bound| {
            let ports = addr_of_mut!((*tables).ports[bucket_of_port(key.ddp, bound)]);
            Chain::new(guard, ports, Node::Main)
                .find(|sk| addr_of!((*sk.as_ptr()).key.listener).read_volatile() == key.listener)
        };
        find(key.group)
            .or_else(|| find(key.group.any()))
            .map(|sk| sk.as_ptr().cast())
            .filter(|sk| b::pgm_sock_try_hold(*sk))
    }
}

/// # Safety
///
/// Inside the read section; `tables` are those of a live namespace.
pub(crate) unsafe fn find_source(
    guard: &ReadGuard,
    tables: *mut PgmNet,
    tsi: Tsi,
) -> Option<NonNull<PgmSock>> {
    // SAFETY: As in `to_receivers`.
    unsafe {
        let bucket = bucket_of_tsi(tables, tsi);
        let sources = addr_of_mut!((*tables).sources[bucket]);
        Chain::new(guard, sources, Node::Bind)
            .find(|sk| addr_of!((*sk.as_ptr()).key.tsi).read() == tsi)
    }
}

/// The bucket of the sockets that are bound to this port and address. A process chose both, so there
/// is no need of a secret.
fn bucket_of_port(port: u16, bound: Addr) -> usize {
    let address = match bound {
        Addr::V4(bytes) => u32::from_be_bytes(bytes),
        Addr::V6(bytes) => {
            let all = u128::from_be_bytes(bytes);
            let half = all ^ (all >> 64);
            (half ^ (half >> 32)) as u32
        }
    };
    let hash = address.wrapping_add(port.into());
    (hash.wrapping_mul(0x9e37_79b1) >> 16) as usize % BUCKETS
}

/// # Safety
///
/// `tables` are those of a live namespace.
unsafe fn bucket_of_child(tables: *mut PgmNet, tsi: Tsi, listener: u64) -> usize {
    // SAFETY: The key is constant since the namespace was set up.
    let hash = unsafe { b::pgm_hash_tsi(word(tsi) ^ listener, addr_of!((*tables).key)) };
    hash as usize % BUCKETS
}

fn word(tsi: Tsi) -> u64 {
    let [a, c, d, e, f, g] = tsi.gsi.0;
    let [h, i] = tsi.sport.to_be_bytes();
    u64::from_be_bytes([a, c, d, e, f, g, h, i])
}

/// # Safety
///
/// `tables` are those of a live namespace.
pub(crate) unsafe fn bucket_of_tsi(tables: *mut PgmNet, tsi: Tsi) -> usize {
    // SAFETY: The key is constant since the namespace was set up.
    let hash = unsafe { b::pgm_hash_tsi(word(tsi), addr_of!((*tables).key)) };
    hash as usize % BUCKETS
}

/// The tables of a socket's namespace, locked for writing.
struct Tables(*mut PgmNet);

impl Tables {
    /// # Safety
    ///
    /// `sk` is a live socket.
    unsafe fn of(sk: *mut PgmSock) -> Self {
        // SAFETY: A socket keeps its namespace.
        unsafe {
            let tables = netns::of_sock(sk.cast());
            b::pgm_spin_lock_bh(addr_of_mut!((*tables).lock));
            Self(tables)
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        // SAFETY: Locked in `of`.
        unsafe { b::pgm_spin_unlock_bh(addr_of_mut!((*self.0).lock)) };
    }
}

/// Binds the socket to a data-destination port; 0 chooses one. Sharing a port and address needs
/// SO_REUSEADDR on all of its sockets, as with UDP.
///
/// # Safety
///
/// `sk` is locked by a process and not hashed.
pub(crate) unsafe fn bind_port(sk: *mut PgmSock, port: u16) -> Result {
    // SAFETY: By the caller.
    unsafe {
        let bound = if port != 0 {
            try_port(sk, port)
        } else {
            let (mut low, mut high) = (0, 0);
            b::inet_sk_get_local_port_range(sk.cast(), &mut low, &mut high);
            let span = u64::from(high.abs_diff(low)).saturating_add(1);
            (0..64)
                .map(|_| low.wrapping_add((crate::sock::random_u64() % span) as c_int) as u16)
                .any(|port| try_port(sk, port))
        };
        if !bound {
            return Err(EADDRINUSE);
        }
    }
    Ok(())
}

/// Binds the socket to this port, if it is free. That may take a look at every socket: nothing more is
/// done under one hold of the lock, during which softirqs wait.
///
/// # Safety
///
/// As for [`bind_port`].
unsafe fn try_port(sk: *mut PgmSock, port: u16) -> bool {
    let sock: *mut b::sock = sk.cast();
    // SAFETY: The socket is locked; the chain is only changed under the lock of the tables.
    unsafe {
        let tables = Tables::of(sk);
        let guard = ReadGuard::new();
        let mine = address::bound(sock);
        let is_free = |bucket: usize| {
            let heads = addr_of_mut!((*tables.0).ports).cast::<b::hlist_head>();
            let head = heads.add(bucket % BUCKETS);
            Chain::new(&guard, head, Node::Main).all(|other| {
                let encap = (*other.as_ptr()).encap;
                let other: *mut b::sock = other.as_ptr().cast();
                let theirs = address::bound(other);
                encap != (*sk).encap
                    || b::pgm_sk_num(other) != port
                    || mine.is_v4() != theirs.is_v4()
                    || (mine != theirs && !mine.is_unspecified() && !theirs.is_unspecified())
                    || (b::pgm_sk_reuse(sock) && b::pgm_sk_reuse(other))
            })
        };
        // Without an address the socket is in the way of those that have any.
        let free = if mine.is_unspecified() {
            (0..BUCKETS).all(is_free)
        } else {
            is_free(bucket_of_port(port, mine)) && is_free(bucket_of_port(port, mine.any()))
        };
        if free {
            b::pgm_sk_set_num(sock, port);
            let head = addr_of_mut!((*tables.0).ports[bucket_of_port(port, mine)]);
            b::pgm_add_node_rcu(sock, head);
        }
        free
    }
}

/// Makes a session reachable; its key is complete.
///
/// # Safety
///
/// `sk` is a session that is not hashed.
pub(crate) unsafe fn add_session(sk: *mut PgmSock) {
    // SAFETY: As in `bind_port`.
    unsafe {
        let tables = Tables::of(sk);
        let bucket = bucket_of_tsi(tables.0, (*sk).key.tsi);
        let head = addr_of_mut!((*tables.0).sessions[bucket]);
        b::pgm_add_node_rcu(sk.cast(), head);
        let Key { tsi, listener, .. } = (*sk).key;
        let child = bucket_of_child(tables.0, tsi, listener);
        let head = addr_of_mut!((*tables.0).children[child]);
        b::pgm_add_bind_node_rcu(sk.cast(), head);
    }
}

/// Makes a source reachable under the TSI of `key`, unless another source has it.
///
/// # Safety
///
/// `sk` is locked and is no source yet.
pub(crate) unsafe fn add_source(sk: *mut PgmSock, key: Key) -> Result {
    // SAFETY: As in `bind_port`.
    unsafe {
        let tables = Tables::of(sk);
        let guard = ReadGuard::new();
        if find_source(&guard, tables.0, key.tsi).is_some() {
            return Err(EADDRINUSE);
        }
        let listener = (*sk).key.listener;
        addr_of_mut!((*sk).key).write(Key { listener, ..key });
        let bucket = bucket_of_tsi(tables.0, key.tsi);
        let head = addr_of_mut!((*tables.0).sources[bucket]);
        b::pgm_add_bind_node_rcu(sk.cast(), head);
    }
    Ok(())
}

/// Takes the socket out of every table.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn remove(sk: *mut PgmSock) {
    // SAFETY: As in `bind_port`.
    unsafe {
        let _tables = Tables::of(sk);
        b::pgm_del_node_rcu(sk.cast());
        b::pgm_del_bind_node_rcu(sk.cast());
    }
}

/// As [`remove`], for a source that could not start.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn remove_source(sk: *mut PgmSock) {
    // SAFETY: As in `bind_port`.
    unsafe {
        let _tables = Tables::of(sk);
        b::pgm_del_bind_node_rcu(sk.cast());
    }
}

/// As [`remove`], for the receiving side only: a source goes on repairing.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn remove_receiver(sk: *mut PgmSock) {
    // SAFETY: As in `bind_port`.
    unsafe {
        let _tables = Tables::of(sk);
        b::pgm_del_node_rcu(sk.cast());
    }
}
