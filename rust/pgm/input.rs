// SPDX-License-Identifier: GPL-2.0

//! One packet into one socket: at once if the lock is free, by way of the backlog otherwise.

use core::ptr::NonNull;

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::{Place, Way};
use pgm_core::{settings, Discard, Instant};
use pgm_wire::{Body, Packet, Sqn, HEADER_MAX};

use crate::account::{self, Received};
use crate::counters::{self, Counter};
use crate::net::address;
use crate::net::heap::accounted;
use crate::net::lock::{BhLock, Charged, Locked};
use crate::net::membership::{self, Arrival};
use crate::net::output::Path;
use crate::net::skb::{HeaderCopy, SkBuff};
use crate::net::tray::{self, Lane};
use crate::net::{timer, trace};
use crate::netns;
use crate::sock::{self, PeersEngine, PgmSock, Receive, State};
use crate::{engine, link, listener};

/// `more`: another packet out of the same buffer comes at once, most likely for the same socket.
///
/// # Safety
///
/// `sk` was found in an RCU read section that still lasts, in a softirq; no socket lock is held.
pub(crate) unsafe fn deliver(sk: NonNull<PgmSock>, packet: &Packet<'_>, skb: SkBuff, more: bool) {
    let sock: *mut b::sock = sk.as_ptr().cast();
    // SAFETY: By the caller. The policy is asked for now, since a packet of the backlog has no device.
    unsafe {
        let permitted = if address::is_v6(sock) {
            b::pgm_policy_check6(sock, skb.as_ptr())
        } else {
            b::pgm_policy_check(sock, skb.as_ptr())
        };
        if !permitted {
            skb.discard();
            netns::count_discard(netns::of_sock(sock), Discard::Filtered);
            return;
        }
        let mut lock = BhLock::in_softirq(sk);
        let Some(mut state) = lock.state() else {
            return to_backlog(sock, skb);
        };
        if let Some(skb) = pass(&mut state, packet, skb, more) {
            let _charged = Charged::to(&state);
            receive(&mut state, packet, skb, more);
        }
    }
}

/// As [`deliver`], to a child from inside the lock of its listener.
///
/// # Safety
///
/// As for [`deliver`], but the listener's lock is held.
pub(crate) unsafe fn deliver_nested(sk: NonNull<PgmSock>, packet: &Packet<'_>, skb: SkBuff) {
    // SAFETY: By the caller.
    unsafe {
        let mut lock = BhLock::new_nested(sk);
        match lock.state() {
            Some(mut state) => receive(&mut state, packet, skb, false),
            None => to_backlog(sk.as_ptr().cast(), skb),
        }
    }
}

/// For the process that is inside the lock.
///
/// # Safety
///
/// The spin lock is held.
unsafe fn to_backlog(sock: *mut b::sock, skb: SkBuff) {
    let skb = skb.into_raw();
    // SAFETY: By the caller; the backlog takes the skb if there is room.
    unsafe {
        let limit = (account::receive_limit(sock) as u32).saturating_mul(2);
        if b::pgm_add_backlog(sock, skb, limit) != 0 {
            netns::count_discard(netns::of_sock(sock), Discard::ReceiveBuffer);
            b::pgm_drop(sock, skb);
        }
    }
}

/// `proto.backlog_rcv`: packets that came while a process held the lock.
///
/// # Safety
///
/// Called by the kernel with the lock held and an skb that is ours now.
pub(crate) unsafe extern "C" fn backlog(sk: *mut b::sock, skb: *mut b::sk_buff) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        if let (Some(this), Some(skb)) = (sock::pgm(sk), SkBuff::from_raw(skb)) {
            reread(&mut Locked::assume(this), skb);
        }
    }
    0
}

/// A packet from the backlog: it was checked, but only its bytes waited.
fn reread(sk: &mut Locked<'_>, mut skb: SkBuff) {
    match skb.plain_data() {
        Some(packet) => {
            if let Some(skb) = pass(sk, &packet, skb, false) {
                receive(sk, &packet, skb, false);
            }
        }
        None => reread_any(sk, skb),
    }
}

/// Apart for the sake of the stack.
#[inline(never)]
fn reread_any(sk: &mut Locked<'_>, mut skb: SkBuff) {
    let copy = HeaderCopy::new(&mut skb);
    if let Ok(packet) = copy.as_ref().map_err(|d| *d).and_then(HeaderCopy::packet) {
        if let Some(skb) = pass(sk, &packet, skb, false) {
            receive(sk, &packet, skb, false);
        }
    }
}

/// Takes the usual packet of a session from the wire to the receive queue, while nothing else goes on.
/// Any other is given back.
fn pass(sk: &mut Locked<'_>, packet: &Packet<'_>, mut skb: SkBuff, more: bool) -> Option<SkBuff> {
    let (this, sock) = (sk.as_ptr(), sk.sock());
    let Receive::Session(session) = &sk.receive else {
        return Some(skb);
    };
    let busy = sk.ended || sk.loss.is_some() || link::is_told(sk) || trace::windows();
    // SAFETY: The lock is held.
    let (used, limit) = unsafe { (b::pgm_rmem_alloc(sock), account::receive_limit(sock)) };
    let alone = session.expects(packet);
    if busy || !(alone || session.follows(packet)) || used >= limit {
        return Some(skb);
    }
    if !account::has_room(sk, skb.truesize(), !alone) {
        return Some(skb);
    }
    if !alone {
        follow(sk, packet, skb, used);
        return None;
    }
    // What is filtered was received, and is not asked for again.
    // SAFETY: The lock is held; nothing was pulled.
    let refused = unsafe { skb.is_refused(this) };
    if skb.pull(packet.header_len()).is_err() {
        return Some(skb);
    }
    if sk.typical == 0 {
        sk.typical = skb.truesize();
    }
    tray::keep(sk, &mut skb, used, Lane::Queue, false);
    let now = timer::now();
    let Receive::Session(session) = &mut sk.receive else {
        return Some(skb);
    };
    // Of packets that follow each other the first and the last wake the reader.
    // SAFETY: The lock is held.
    let wakes = !more || unsafe { b::pgm_receive_empty(sock) };
    let tsi = session.tsi();
    let data = session.pass(now, packet, skb);
    engine::queue(sk, tsi, data, refused);
    if wakes {
        // SAFETY: The lock is held, the socket is live.
        unsafe { b::pgm_data_ready(sock) };
    }
    account::settle_received(sk);
    if !timer::is_armed(sk) {
        engine::turn(sk, now);
    }
    None
}

/// As [`pass`], for a part of a message: it waits in the window until it is whole.
fn follow(sk: &mut Locked<'_>, packet: &Packet<'_>, mut skb: SkBuff, used: c_int) {
    let now = timer::now();
    let _charged = Charged::to(sk);
    let result = skb.pull(packet.header_len());
    tray::keep(sk, &mut skb, used, Lane::Window, false);
    let result = match &mut sk.receive {
        Receive::Session(session) => result.and_then(|()| session.follow(now, packet, skb)),
        _ => Err(Discard::NoSocket),
    };
    if let Err(discard) = result {
        // SAFETY: The socket keeps its namespace.
        unsafe { netns::count_discard(netns::of_sock(sk.sock()), discard) };
    }
    engine::deliver(sk);
    let quiet = matches!(&sk.receive, Receive::Session(session) if session.is_quiet());
    if quiet && timer::is_armed(sk) {
        return account::settle(sk);
    }
    engine::turn(sk, now);
}

/// Feeds the packet to the engine it is for, and lets the engine work. With data out of a buffer it
/// works once for all; should the last one not come here, the timer does it.
fn receive(sk: &mut Locked<'_>, packet: &Packet<'_>, skb: SkBuff, more: bool) {
    let now = timer::now();
    if let Err(discard) = feed(sk, now, packet, skb) {
        // SAFETY: The socket keeps its namespace.
        unsafe { netns::count_discard(netns::of_sock(sk.sock()), discard) };
    }
    if more && matches!(packet.body, Body::Odata(_)) {
        // SAFETY: The lock is held.
        unsafe { timer::arm(sk.as_ptr(), now.after(engine::HELD)) };
        return;
    }
    engine::turn(sk, now);
}

/// Apart, so that its locals are off the stack when the engine works.
#[inline(never)]
fn feed(
    sk: &mut Locked<'_>,
    now: Instant,
    packet: &Packet<'_>,
    skb: SkBuff,
) -> Result<(), Discard> {
    let arrival = skb.arrival();
    if !arrival.group.is_multicast() {
        if let Body::Ncf(_) = packet.body {
            return receive_unicast(sk, now, packet);
        }
        return match &mut sk.source {
            Some(source) => source.handle(now, arrival.source, packet),
            None => Err(Discard::NoSocket),
        };
    }
    if let Receive::Listener(_) = sk.receive {
        return listener::receive(sk, packet, skb);
    }
    receive_downstream(sk, now, packet, skb, arrival)
}

/// A parent that cannot reach its children by multicast confirms NAKs by unicast: our neighbours get
/// a copy (RFC 3208 §15.3.2).
fn receive_unicast(sk: &mut Locked<'_>, now: Instant, packet: &Packet<'_>) -> Result<(), Discard> {
    if sk.closing.is_some() || sk.ended {
        return Err(Discard::SessionEnded);
    }
    let this = sk.as_ptr();
    let state: &mut State = sk;
    let mut buf = [0u8; HEADER_MAX];
    let path = state.path;
    match &mut state.receive {
        Receive::Session(session) => {
            if let Some(copy) = session.handle_unicast(now, packet, &mut buf)? {
                engine::send(this, path, None, &copy, &buf, None);
            }
        }
        Receive::Datagram(peers) => {
            if let Some((group, copy)) = peers.handle_unicast(now, packet, &mut buf)? {
                // SAFETY: The socket is live.
                let oif = unsafe { membership::interface_of(this.cast(), group) }.unwrap_or(0);
                let path = Path { group, oif, ..path };
                engine::send(this, path, None, &copy, &buf, None);
            }
        }
        Receive::Idle | Receive::Listener(_) => return Err(Discard::NoSocket),
    }
    Ok(())
}

/// A packet of a session, or of one of a datagram socket's sources.
fn receive_downstream(
    sk: &mut Locked<'_>,
    now: Instant,
    packet: &Packet<'_>,
    skb: SkBuff,
    arrival: Arrival,
) -> Result<(), Discard> {
    if sk.closing.is_some() || sk.ended {
        return Err(Discard::SessionEnded);
    }
    if let Receive::Idle = sk.receive {
        start_datagram(sk)?;
    }
    account::set_ceilings(sk);
    let (payload, refused) = match packet.body {
        Body::Odata(data) | Body::Rdata(data) => match admit(sk, packet, data.sqn, skb)? {
            Ok(payload) => (Some(payload), None),
            Err(why) => (None, Some(why)),
        },
        _ => (None, None),
    };
    let repair = payload.is_some() && matches!(packet.body, Body::Rdata(_));
    let sock = sk.sock();
    let state: &mut State = sk;
    let result = match &mut state.receive {
        Receive::Session(session) => session.handle(now, arrival.source, packet, payload),
        Receive::Datagram(peers) => {
            let before = peers.len();
            let edges = |peers: &PeersEngine| peers.get(packet.tsi()).map(engine::edges);
            let traced = trace::windows().then(|| edges(peers));
            let way = Way {
                source: arrival.source,
                group: arrival.group,
                near: arrival.near,
            };
            let result = peers.handle(now, way, packet, payload);
            if let Some(old) = traced {
                let new = edges(peers).filter(|new| old != Some(*new));
                new.into_iter().for_each(trace::window);
            }
            let begun = peers.len().saturating_sub(before);
            // SAFETY: The lock is held.
            unsafe { counters::count(sock, Counter::Sessions, begun.into()) };
            result
        }
        Receive::Idle | Receive::Listener(_) => Err(Discard::NoSocket),
    };
    let result = match (result, refused) {
        // Of the reasons why there is no room the engine knows only one.
        (Err(Discard::ReceiveBuffer), Some(why)) => Err(why),
        (result, _) => result,
    };
    if repair && result.is_ok() {
        // SAFETY: The lock is held.
        unsafe { counters::count(sock, Counter::Repaired, 1) };
    }
    result
}

/// A bound socket that joined a group becomes a receiver with its first packet.
fn start_datagram(sk: &mut Locked<'_>) -> Result<(), Discard> {
    // SAFETY: The lock is held.
    let (ddp, rcvbuf) = unsafe { (b::pgm_sk_num(sk.sock()), (*sk.sock()).sk_rcvbuf) };
    let config = sk.options.receiver(ddp, rcvbuf);
    let limit = sk.options.numbers.get(&settings::PEERS_MAX);
    let peers = pgm_core::receiver::Peers::new(config, limit, sock::random_u64());
    let peers = KBox::new(peers, accounted()).map_err(|_| Discard::NoMemory)?;
    sk.receive = Receive::Datagram(peers);
    Ok(())
}

/// An APDU takes no more than this of the receive buffer, for each packet that it may have: what is not
/// merged is a page, or less.
const PIECE_MAX: i32 = 4096;

/// Decides whether a data packet's bytes may be kept, and charges them. Or why there is no room now.
fn admit(
    sk: &mut Locked<'_>,
    packet: &Packet<'_>,
    sqn: Sqn,
    mut skb: SkBuff,
) -> Result<Result<SkBuff, Discard>, Discard> {
    let (place, proven, shared) = match &sk.receive {
        Receive::Session(session) => (session.place(sqn), session.is_proven(), false),
        Receive::Datagram(peers) => {
            let tsi = packet.tsi();
            (peers.place(tsi, sqn), peers.is_proven(tsi), true)
        }
        Receive::Idle | Receive::Listener(_) => return Err(Discard::NoSocket),
    };
    let Received {
        used,
        limit,
        unread,
    } = account::received(sk);
    let twice = limit.saturating_mul(2);
    let room = match place {
        // The engine names and counts it; nothing is kept.
        Place::Useless(_) => true,
        // When the windows hold all the memory, only these can free it: the next packet always,
        // repairs of later ones while twice the limit lasts. But where anybody can make a session
        // only those that are proven are trusted to free anything.
        Place::Next if !unread && shared && !proven => {
            let fragments = sk.options.numbers.get(&settings::FRAGMENTS_MAX) as i32;
            used < twice.saturating_add(fragments.saturating_mul(PIECE_MAX))
        }
        Place::Next if !unread => true,
        Place::Gap if !unread => used < twice,
        _ => used < limit,
    };
    if !room {
        engine::note_congestion(sk);
        return Ok(Err(Discard::ReceiveBuffer));
    }
    let is_piece = packet.options.fragment().is_some();
    let useless = matches!(place, Place::Useless(_));
    if !useless {
        let next = place == Place::Next && !unread;
        if let Err(why) = account::may_keep(sk, skb.truesize(), is_piece, proven, next) {
            return Ok(Err(why));
        }
    }
    // The payload is what follows, to the end: the parser saw to that.
    skb.pull(packet.header_len())?;
    // As it came: in a tray it may count less.
    account::note_size(sk, skb.truesize());
    match place {
        _ if useless => skb.keep(sk.as_ptr()),
        Place::Next if !is_piece => tray::keep(sk, &mut skb, used, Lane::Queue, proven),
        _ => tray::keep(sk, &mut skb, used, Lane::Window, proven),
    }
    Ok(Ok(skb))
}
