// SPDX-License-Identifier: GPL-2.0

//! What the sockets of a namespace hold together, its ceilings, and the memory cgroup of each.
//!
//! A socket posts what it holds at the end of each turn, under its lock, so that there is one place
//! that charges and none that can forget to give back. Ceilings are looked at before something is
//! taken; they may be exceeded by what one buffer of packets, or one call of send(), brings to each
//! processor.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::{Ceilings, Room, Usage};
use pgm_core::settings::{self, Setting};
use pgm_core::Discard;

use crate::counters::{self, Counter};
use crate::net::lock::Locked;
use crate::netns::{self, PgmNet};
use crate::sock::Receive;

const PAGE: u64 = 4096;
/// What a packet of the transmit window costs beside its payload: its slot, and room for its header.
const PACKET: u64 = 128;
/// What counts of SO_RCVBUF: `sk_rmem_alloc` is an int, of which repairs take twice as much, and once it
/// is negative nobody is charged any more.
const RCVBUF_MOST: c_int = 512 << 20;

/// What all sockets of a namespace hold.
pub(crate) struct Totals {
    sessions: AtomicU64,
    naks: AtomicU64,
    pieces: AtomicU64,
    /// Bytes.
    receive: AtomicU64,
    send: AtomicU64,
    /// Closed sources, which no descriptor bounds.
    closed: AtomicU64,
}

/// What one socket holds, as it was posted last.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Account {
    usage: Usage,
    /// Bytes.
    receive: u64,
    send: u64,
    /// 1 if it is a closed source.
    closed: u64,
    /// How often NAK states and sessions were refused or given up, for the counters.
    limited: u64,
    evicted: u64,
    /// Pages charged to the memory cgroup for what was received. What is sent, and all else, is charged
    /// where it is allocated.
    pages: u64,
}

/// Pages for so many bytes.
fn pages(bytes: u64) -> u64 {
    bytes.saturating_add(PAGE - 1) / PAGE
}

/// What a socket holds now.
fn holdings(sk: &Locked<'_>) -> Account {
    let (usage, limited, evicted) = match &sk.receive {
        Receive::Session(session) => (session.usage(), session.naks_limited().into(), 0),
        Receive::Datagram(peers) => (peers.usage(), peers.naks_limited(), peers.evicted()),
        Receive::Idle | Receive::Listener(_) => Default::default(),
    };
    // SAFETY: The lock is held.
    let received = unsafe { b::pgm_rmem_alloc(sk.sock()) };
    let receive = u64::try_from(received).unwrap_or(0);
    Account {
        usage,
        receive,
        send: to_send(sk),
        closed: (sk.closing.is_some() && sk.source.is_some()).into(),
        limited,
        evicted,
        pages: pages(receive),
    }
}

/// Bytes that a socket holds for sending.
fn to_send(sk: &Locked<'_>) -> u64 {
    let window = sk.source.as_ref().map_or(0, |source| {
        let packets = u64::from(source.window_sqns_used()).saturating_mul(PACKET);
        packets.saturating_add(source.window_bytes_used())
    });
    window.saturating_add(sk.cork.capacity() as u64)
}

/// Adds what went from `old` to `new`.
fn post(total: &AtomicU64, old: u64, new: u64) {
    if old != new {
        total.fetch_add(new.wrapping_sub(old), Ordering::Relaxed);
    }
}

impl Totals {
    fn post(&self, old: &Account, new: &Account) {
        if old.usage != new.usage {
            for (total, old, new) in [
                (&self.sessions, old.usage.sessions, new.usage.sessions),
                (&self.naks, old.usage.naks, new.usage.naks),
                (&self.pieces, old.usage.pieces, new.usage.pieces),
            ] {
                post(total, old.into(), new.into());
            }
        }
        post(&self.receive, old.receive, new.receive);
        post(&self.send, old.send, new.send);
        post(&self.closed, old.closed, new.closed);
    }
}

/// Brings the totals of the namespace, and the charge of the memory cgroup, up to what the socket holds.
pub(crate) fn settle(sk: &mut Locked<'_>) {
    let (old, mut new) = (sk.account, holdings(sk));
    if new == old {
        return;
    }
    // SAFETY: The lock is held; the socket keeps its namespace.
    unsafe {
        (*tables(sk)).totals.post(&old, &new);
        let limited = new.limited.saturating_sub(old.limited);
        let evicted = new.evicted.saturating_sub(old.evicted);
        if limited > 0 {
            counters::count(sk.sock(), Counter::NakStatesRefused, limited);
        }
        if evicted > 0 {
            counters::count(sk.sock(), Counter::SessionsEvicted, evicted);
        }
        if !charge(sk.sock(), old.pages, new.pages) {
            new.pages = old.pages;
        }
        show(sk, new.send);
    }
    sk.account = new;
}

/// As [`settle`], when the socket got something to send, or sent something, and nothing else.
pub(crate) fn settle_sent(sk: &mut Locked<'_>) {
    let (old, new) = (sk.account.send, to_send(sk));
    if new != old {
        // SAFETY: The socket keeps its namespace.
        post(unsafe { &(*tables(sk)).totals.send }, old, new);
        show(sk, new);
        sk.account.send = new;
    }
}

/// For those who look at sockets from outside.
fn show(sk: &Locked<'_>, send: u64) {
    // SAFETY: The lock is held.
    unsafe { (*sk.sock()).sk_wmem_queued = i32::try_from(send).unwrap_or(i32::MAX) };
}

/// As [`settle`], when nothing else changed than how much was received.
pub(crate) fn settle_received(sk: &mut Locked<'_>) {
    // SAFETY: The lock is held.
    let receive = unsafe { b::pgm_rmem_alloc(sk.sock()) };
    let (old, new) = (sk.account.receive, u64::try_from(receive).unwrap_or(0));
    if new == old {
        return;
    }
    // SAFETY: A socket keeps its namespace.
    unsafe { post(&(*tables(sk)).totals.receive, old, new) };
    sk.account.receive = new;
    let (old, new) = (sk.account.pages, pages(new));
    // SAFETY: The lock is held.
    if new != old && unsafe { charge(sk.sock(), old, new) } {
        sk.account.pages = new;
    }
}

/// Charges the memory cgroup of the socket. As everything in a softirq it is not held back by its
/// limit: whoever allocates next in the cgroup has to make room.
///
/// # Safety
///
/// The socket is locked, or nobody else has it.
unsafe fn charge(sk: *mut b::sock, old: u64, new: u64) -> bool {
    let bytes = |pages: u64| i32::try_from(pages.saturating_mul(PAGE)).unwrap_or(0);
    // SAFETY: By the caller.
    unsafe {
        if new > old {
            return b::pgm_mem_charge(sk, bytes(new.saturating_sub(old)));
        }
        if new < old {
            b::__sk_mem_reclaim(sk, bytes(old.saturating_sub(new)));
        }
    }
    true
}

/// The socket holds nothing any more.
///
/// # Safety
///
/// Nobody else has the socket; `account` is its own.
pub(crate) unsafe fn close(sk: *mut b::sock, account: Account) {
    // SAFETY: By the caller; the socket keeps its namespace.
    unsafe {
        let net = netns::of_sock(sk);
        (*net).totals.post(&account, &Account::default());
        charge(sk, account.pages, 0);
        (*sk).sk_wmem_queued = 0;
    }
}

/// The kernel charges a session in `graft`, for `sk_rmem_alloc + sk_forward_alloc`; the sum has to be
/// what was charged while nobody was there to pay. Nothing may come in between.
pub(crate) fn accepted(sk: &mut Locked<'_>, graft: impl FnOnce()) {
    settle(sk);
    // SAFETY: The lock is held.
    unsafe {
        let received = b::pgm_rmem_alloc(sk.sock());
        b::pgm_forward_alloc_add(sk.sock(), received.wrapping_neg());
        graft();
        b::pgm_forward_alloc_add(sk.sock(), received);
    }
}

fn tables(sk: &Locked<'_>) -> *mut PgmNet {
    // SAFETY: A socket keeps its namespace.
    unsafe { netns::of_sock(sk.sock()) }
}

/// A ceiling, and what is held of it.
fn ceiling(sk: &Locked<'_>, setting: &Setting, total: fn(&Totals) -> &AtomicU64) -> (u64, u64) {
    let tables = tables(sk);
    // SAFETY: Atomics that live as long as the namespace.
    unsafe {
        let max = (*tables).settings.get(setting).into();
        (max, total(&(*tables).totals).load(Ordering::Relaxed))
    }
}

/// Tells the engine what the namespace leaves it: what no other socket holds.
pub(crate) fn set_ceilings(sk: &mut Locked<'_>) {
    if matches!(sk.receive, Receive::Idle | Receive::Listener(_)) {
        return;
    }
    let own = sk.account.usage;
    let left = |own: u32, max: u64, total: u64| {
        let others = total.saturating_sub(own.into());
        u32::try_from(max.saturating_sub(others)).unwrap_or(u32::MAX)
    };
    let (sessions, all_sessions) = ceiling(sk, &settings::SESSIONS_MAX, |totals| &totals.sessions);
    let (naks, all_naks) = ceiling(sk, &settings::NAK_STATES_MAX, |totals| &totals.naks);
    let ceilings = Ceilings {
        room: room(sk),
        sessions: left(own.sessions, sessions, all_sessions),
        naks: left(own.naks, naks, all_naks),
        naks_unproven: left(own.naks, naks / 2, all_naks),
        naks_reserved: u32::try_from(naks / 4).unwrap_or(u32::MAX),
    };
    match &mut sk.receive {
        Receive::Session(session) => session.set_ceilings(&ceilings),
        Receive::Datagram(peers) => peers.set_ceilings(ceilings),
        Receive::Idle | Receive::Listener(_) => {}
    }
}

/// A data packet of `truesize` bytes was kept.
pub(crate) fn note_size(sk: &mut Locked<'_>, truesize: u32) {
    sk.typical = match sk.typical {
        0 => truesize,
        old => old.saturating_sub(old / 8).saturating_add(truesize / 8),
    };
}

/// SO_RCVBUF, as far as it counts.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn receive_limit(sk: *const b::sock) -> c_int {
    // SAFETY: By the caller.
    unsafe { (*sk).sk_rcvbuf.min(RCVBUF_MOST) }
}

/// The receive memory of a socket.
pub(crate) struct Received {
    /// Bytes.
    pub(crate) used: c_int,
    /// See [`receive_limit`].
    pub(crate) limit: c_int,
    /// Something waits to be read.
    pub(crate) unread: bool,
}

/// What of its receive memory a socket uses now.
pub(crate) fn received(sk: &Locked<'_>) -> Received {
    let sock = sk.sock();
    // SAFETY: The lock is held.
    unsafe {
        Received {
            used: b::pgm_rmem_alloc(sock),
            limit: receive_limit(sock),
            unread: !b::pgm_receive_empty(sock),
        }
    }
}

/// How many packets of the usual size would be taken, see [`crate::input`].
fn room(sk: &Locked<'_>) -> Room {
    if sk.typical == 0 {
        return Room::NONE;
    }
    let Received {
        used,
        limit,
        unread,
    } = received(sk);
    let packets = |limit: c_int| {
        let left = u32::try_from(limit.saturating_sub(used)).unwrap_or(0);
        u16::try_from(left.checked_div(sk.typical).unwrap_or(0)).unwrap_or(u16::MAX)
    };
    let gaps = if unread {
        limit
    } else {
        limit.saturating_mul(2)
    };
    Room {
        gaps: packets(gaps),
        beyond: packets(limit),
    }
}

/// Whether the namespace has room for one more session.
pub(crate) fn may_begin(sk: &Locked<'_>) -> Result<(), Discard> {
    let (max, total) = ceiling(sk, &settings::SESSIONS_MAX, |totals| &totals.sessions);
    if total >= max {
        return Err(Discard::SessionCeiling);
    }
    Ok(())
}

/// Whether a data packet of `truesize` bytes may be kept. `next`: delivery waits for it.
pub(crate) fn may_keep(
    sk: &Locked<'_>,
    truesize: u32,
    is_piece: bool,
    is_proven: bool,
    next: bool,
) -> Result<(), Discard> {
    let share = |max: u64| match (is_proven, next) {
        (false, _) => max / 2,
        (true, false) => max,
        (true, true) => max.saturating_add(max / 8),
    };
    if is_piece {
        let (max, total) = ceiling(sk, &settings::PIECES_MAX, |totals| &totals.pieces);
        if total >= share(max) {
            return Err(Discard::PieceCeiling);
        }
    }
    let (max, total) = ceiling(sk, &settings::RECEIVE_KIB_MAX, |totals| &totals.receive);
    if total.saturating_add(truesize.into()) > share(max.saturating_mul(1024)) {
        return Err(Discard::MemoryCeiling);
    }
    Ok(())
}

/// Whether there is room for a data packet of `truesize` bytes, whoever sent it.
pub(crate) fn has_room(sk: &Locked<'_>, truesize: u32, is_piece: bool) -> bool {
    may_keep(sk, truesize, is_piece, false, false).is_ok()
}

/// Whether a source may go on after close(). What it holds, no descriptor bounds any more, and nobody who is
/// killed gives it back.
pub(crate) fn may_linger(sk: &Locked<'_>) -> bool {
    let (max, total) = ceiling(sk, &settings::CLOSED_MAX, |totals| &totals.closed);
    let may = total < max;
    if !may {
        // SAFETY: The socket keeps its namespace.
        unsafe { counters::count(sk.sock(), Counter::SourcesCut, 1) };
    }
    may
}

/// Whether `bytes` more may be held for sending: ENOBUFS if not.
pub(crate) fn may_hold(sk: &Locked<'_>, bytes: u32) -> Result {
    let (max, total) = ceiling(sk, &settings::SEND_KIB_MAX, |totals| &totals.send);
    if total.saturating_add(bytes.into()) > max.saturating_mul(1024) {
        // SAFETY: The socket keeps its namespace.
        unsafe { counters::count(sk.sock(), Counter::SendsRefused, 1) };
        return Err(ENOBUFS);
    }
    Ok(())
}
