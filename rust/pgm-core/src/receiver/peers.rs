// SPDX-License-Identifier: GPL-2.0

//! The sessions of one datagram socket: every source in its group is a session of its own, named by
//! its TSI (RFC 3208 §1, §3.1).
//!
//! The table is bounded, hashed with a secret, and costs memory only for the sessions there are.
//! Whatever touches a session puts it into two queues, one for what it may deliver and one for what
//! it may send, so that polling never walks the table.

use pgm_wire::{Addr, Body, Packet, Sqn, Tsi};

use crate::deadlines::Deadlines;
use crate::discard::Discard;
use crate::memory::{Heap, NoMemory};
use crate::receiver::table::{Entry, Queue, State, Table};
use crate::receiver::{
    Ceilings, Delivery, End, Place, Receiver, ReceiverConfig, ReceiverStats, Usage,
};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::transmit::Transmit;

/// A session that the source ended is remembered until its TSI was silent for so long: what still
/// comes, SPMs with FIN and repairs for others, must not make a new session (RFC 3208 §9.7.1).
pub(super) const LINGER: Duration = Duration::from_secs(30);
/// Sessions looked at in one call of `handle_timeout`.
const PEERS_PER_CALL: u32 = 64;

/// Whether a source sends `packet` after the end of its session: to say so, or as a repair (§9.7.2).
pub(super) fn is_aftermath(packet: &Packet<'_>) -> bool {
    match packet.body {
        Body::Spm(_) => packet.options.fin() || packet.options.rst().is_some(),
        Body::Rdata(_) | Body::Ncf(_) => true,
        _ => false,
    }
}

/// How a packet came, which is how those of its session come.
#[derive(Clone, Copy)]
pub struct Way {
    /// The IP source address.
    pub source: Addr,
    /// The IP destination address.
    pub group: Addr,
    /// It crossed no router.
    pub near: bool,
}

/// The sessions of one datagram socket. `P` is the payload handle.
pub struct Peers<P, H: Heap> {
    config: ReceiverConfig,
    /// What sessions counted that are no more.
    past: ReceiverStats,
    limit: u32,
    ceilings: Ceilings,
    rng: Rng,
    table: Table<P, H>,
    /// What all sessions hold.
    usage: Usage,
    /// Sessions that lost their place to another, and the one of them whose end is yet to be told.
    evicted: u64,
    farewell: Option<(Tsi, Addr)>,
    naks_limited: u64,
    timers: Deadlines<H>,
    congested: bool,
    /// A session waited for memory since [`Peers::make_room`].
    cramped: bool,
    /// The next entry to be told about `congested`, or that there is memory.
    sweep: Option<u32>,
}

impl<P, H: Heap> Peers<P, H> {
    /// A table of at most `limit` sessions, each with `config`. Takes no memory yet. `seed` is
    /// secret.
    pub fn new(config: ReceiverConfig, limit: u32, seed: u64) -> Self {
        let limit = limit.clamp(1, crate::ring::RING_MAX);
        // As many again may be remembered after their end.
        let entries = limit.saturating_mul(2);
        let mut rng = Rng::new(seed);
        let keys = [rng.next_u64(), rng.next_u64()];
        Self {
            config,
            past: ReceiverStats::default(),
            limit,
            ceilings: Ceilings::NONE,
            rng,
            table: Table::new(entries, keys),
            usage: Usage::default(),
            evicted: 0,
            farewell: None,
            naks_limited: 0,
            timers: Deadlines::new(entries),
            congested: false,
            cramped: false,
            sweep: None,
        }
    }

    /// Has the session of `index` do something, under what holds for all of them now.
    fn with<T>(
        &mut self,
        now: Instant,
        index: u32,
        act: impl FnOnce(&mut Receiver<P, H>) -> T,
    ) -> Option<T> {
        let receiver = self.table.get_mut(index)?.receiver_mut()?;
        let (before, proven) = (receiver.usage(), receiver.is_proven());
        let limited = receiver.naks_limited();
        // What the others hold is not this session's.
        let others = self.usage.naks.saturating_sub(before.naks);
        receiver.set_congested(now, self.congested);
        receiver.set_ceilings(&Ceilings {
            naks: self.ceilings.naks.saturating_sub(others),
            naks_unproven: self.ceilings.naks_unproven.saturating_sub(others),
            ..self.ceilings
        });
        let result = act(receiver);
        let (after, is_proven) = (receiver.usage(), receiver.is_proven());
        let limited = receiver.naks_limited().saturating_sub(limited);
        self.naks_limited = self.naks_limited.saturating_add(limited.into());
        self.usage.subtract(before);
        self.usage.add(after);
        self.cramped |= receiver.lacks_room();
        if is_proven && !proven {
            self.table.unqueue(Queue::Unproven, index);
        }
        Some(result)
    }

    /// One packet that came for the socket: a session is made for an SPM, ODATA or RDATA of an
    /// unknown TSI. For the rest see [`Receiver::handle`].
    pub fn handle(
        &mut self,
        now: Instant,
        way: Way,
        packet: &Packet<'_>,
        payload: Option<P>,
    ) -> Result<(), Discard> {
        let tsi = packet.tsi();
        let (index, fresh) = match self.table.find(tsi) {
            Some(index) => (index, false),
            None => (self.admit(now, way, packet)?, true),
        };
        if let Some(State::Ended(heard)) = self.table.get_mut(index).map(|entry| &mut entry.state) {
            // Anything else is a source that starts again, which we shall hear when LINGER is over.
            if is_aftermath(packet) {
                *heard = now;
            }
            return Err(Discard::SessionEnded);
        }
        let handled = self.with(now, index, |receiver| {
            let result = receiver.handle(now, way.source, packet, payload);
            (result, receiver.is_blank())
        });
        let (result, is_blank) = handled.ok_or(Discard::NoSocket)?;
        if fresh && result.is_err() && is_blank {
            self.vacate(index);
            return result;
        }
        self.table.enqueue(Queue::Deliver, index);
        self.table.enqueue(Queue::Transmit, index);
        if self.refresh(index, false).is_err() {
            self.vacate(index);
            return Err(Discard::NoMemory);
        }
        result
    }

    /// One packet that came to this node alone, and the group of its copy; see
    /// [`Receiver::handle_unicast`].
    pub fn handle_unicast<'a>(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        buf: &mut [u8],
    ) -> Result<Option<(Addr, Transmit<'a, P>)>, Discard>
    where
        P: 'a,
    {
        let index = self.table.find(packet.tsi()).ok_or(Discard::NoSocket)?;
        let handled = self.with(now, index, |receiver| {
            let copy = receiver.handle_unicast(now, packet, buf);
            copy.map(|copy| copy.map(|copy| (receiver.group(), copy)))
        });
        let copy = handled.ok_or(Discard::SessionEnded)??;
        self.table.enqueue(Queue::Deliver, index);
        // Its deadline is set, so no memory is needed to move it.
        let _ = self.refresh(index, false);
        Ok(copy)
    }

    /// Makes a session for the source of `packet`.
    fn admit(&mut self, now: Instant, way: Way, packet: &Packet<'_>) -> Result<u32, Discard> {
        match packet.body {
            Body::Odata(_) | Body::Rdata(_) => {}
            // What is over before we knew of it is no session of ours.
            Body::Spm(_) if is_aftermath(packet) => return Err(Discard::SessionEnded),
            Body::Spm(_) => {}
            _ => return Err(Discard::NoSocket),
        }
        self.make_place()?;
        let tsi = packet.tsi();
        let mut boxed = H::array(1).ok_or(NoMemory)?;
        if let Some(place) = boxed.first_mut() {
            let seed = self.rng.next_u64();
            let config = ReceiverConfig {
                group: way.group,
                near: way.near,
                ..self.config
            };
            *place = Some(Receiver::new(config, tsi, way.source, now, seed));
        }
        if self.table.is_full() {
            self.forget_oldest();
        }
        let index = self.table.insert(tsi, State::Live(boxed))?;
        self.table.enqueue(Queue::Unproven, index);
        self.usage.sessions = self.usage.sessions.saturating_add(1);
        Ok(index)
    }

    /// Sees to it that there may be one more session: if need be one that is not proven gives way, the
    /// oldest, whose time to prove itself was the longest.
    fn make_place(&mut self) -> Result<(), Discard> {
        let why = match self.usage.sessions {
            sessions if sessions >= self.limit => Discard::SessionLimit,
            sessions if sessions >= self.ceilings.sessions => Discard::SessionCeiling,
            _ => return Ok(()),
        };
        let oldest = self.table.front(Queue::Unproven).ok_or(why)?;
        // Whoever got something of it learns that there is no more.
        let told = self.table.get(oldest).and_then(Entry::receiver);
        let told = told.filter(|r| r.stats().apdus > 0 || r.stats().lost_sqns > 0);
        let told = told.map(|r| (r.tsi(), r.source()));
        if told.is_some() && self.farewell.is_some() {
            // One at a time: of packets that come together each could end one.
            return Err(why);
        }
        self.farewell = told.or(self.farewell);
        self.vacate(oldest);
        self.evicted = self.evicted.saturating_add(1);
        Ok(())
    }

    /// Forgets the session that ended first.
    fn forget_oldest(&mut self) {
        if let Some(index) = self.table.front(Queue::Ended) {
            self.vacate(index);
        }
    }

    /// Frees an entry and whatever it holds.
    fn vacate(&mut self, index: u32) {
        self.timers.cancel(&mut self.table, Sqn::new(index));
        let state = self.table.remove(index);
        self.retire(&state);
    }

    /// Sets the deadline of a session anew. A deadline that is too early only costs one call, so
    /// data in order does not move it; `exact` does.
    fn refresh(&mut self, index: u32, exact: bool) -> Result<(), NoMemory> {
        let Some(entry) = self.table.get_mut(index) else {
            return Ok(());
        };
        let at = match &entry.state {
            State::Vacant => return Ok(()),
            State::Ended(heard) => heard.after(LINGER.min(self.config.peer_expiry)),
            // Only its end is left to be delivered; but its place in the heap is kept, so that it
            // can always be woken again.
            State::Live(_) => entry
                .receiver()
                .and_then(Receiver::poll_timeout)
                .unwrap_or(Instant::FAR),
        };
        let stale = at < entry.armed || entry.armed == Instant::ZERO;
        if !exact && !stale && entry.position.is_set() {
            return Ok(());
        }
        entry.armed = at;
        self.timers.set(&mut self.table, Sqn::new(index), at)
    }

    /// What data packet `sqn` of session `tsi` would be, before memory is spent on it.
    pub fn place(&self, tsi: Tsi, sqn: Sqn) -> Place {
        match self.table.find(tsi).and_then(|index| self.table.get(index)) {
            Some(entry) => match entry.receiver() {
                Some(receiver) => receiver.place(sqn),
                None => Place::Useless(Discard::SessionEnded),
            },
            None if self.table.front(Queue::Unproven).is_some() => Place::Next,
            None if self.usage.sessions >= self.limit => Place::Useless(Discard::SessionLimit),
            None => Place::Next,
        }
    }

    /// The next thing for the application: session, source address and what it is. Sessions take
    /// turns after every APDU; the pieces of one APDU follow each other.
    pub fn poll_deliver(&mut self) -> Option<(Tsi, Addr, Delivery<P>)> {
        if let Some((tsi, source)) = self.farewell.take() {
            return Some((tsi, source, Delivery::End(End::Expired)));
        }
        while let Some(index) = self.table.front(Queue::Deliver) {
            let Some(receiver) = self.table.get_mut(index).and_then(Entry::receiver_mut) else {
                self.table.dequeue(Queue::Deliver);
                continue;
            };
            let (tsi, source) = (receiver.tsi(), receiver.source());
            let before = receiver.usage();
            let delivery = receiver.poll_deliver();
            let after = receiver.usage();
            self.usage.subtract(before);
            self.usage.add(after);
            let Some(delivery) = delivery else {
                self.table.dequeue(Queue::Deliver);
                // Its deadline is set, so no memory is needed to move it.
                let _ = self.refresh(index, false);
                continue;
            };
            match &delivery {
                Delivery::Data(data) if !data.last => {}
                Delivery::Data(_) | Delivery::Loss { .. } => {
                    self.table.dequeue(Queue::Deliver);
                    self.table.enqueue(Queue::Deliver, index);
                }
                Delivery::End(end) => {
                    self.table.dequeue(Queue::Deliver);
                    self.bury(index, *end);
                }
            }
            return Some((tsi, source, delivery));
        }
        None
    }

    /// A session leaves the table: it no longer counts, what it counted does.
    fn retire(&mut self, state: &State<P, H>) {
        if let State::Live(boxed) = state {
            if let Some(Some(receiver)) = boxed.first() {
                self.usage.subtract(receiver.usage());
                self.past.merge(receiver.stats());
            }
        }
    }

    /// The end of a session was delivered.
    fn bury(&mut self, index: u32, end: End) {
        let heard = self
            .table
            .get(index)
            .and_then(|e| e.receiver())
            .map(|r| r.heard);
        match (end, heard) {
            // A source that fell silent and comes back is a new session.
            (End::Expired, _) | (_, None) => self.vacate(index),
            (End::Fin | End::Reset { .. }, Some(heard)) => {
                if let Some(entry) = self.table.get_mut(index) {
                    let state = core::mem::replace(&mut entry.state, State::Ended(heard));
                    self.retire(&state);
                }
                self.table.unqueue(Queue::Unproven, index);
                self.table.enqueue(Queue::Ended, index);
                if self.refresh(index, true).is_err() {
                    self.vacate(index);
                }
            }
        }
    }

    /// The next packet to send and the group of its session; see [`Receiver::poll_transmit`].
    pub fn poll_transmit<'a>(
        &mut self,
        now: Instant,
        buf: &mut [u8],
    ) -> Option<(Addr, Transmit<'a, P>)>
    where
        P: 'a,
    {
        while let Some(index) = self.table.front(Queue::Transmit) {
            let transmit = self.with(now, index, |receiver| {
                let transmit = receiver.poll_transmit(now, buf)?;
                Some((receiver.group(), transmit))
            });
            if let Some(Some(transmit)) = transmit {
                return Some(transmit);
            }
            self.table.dequeue(Queue::Transmit);
            let _ = self.refresh(index, false);
        }
        None
    }

    /// When [`Peers::handle_timeout`] wants to be called; the past means at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.sweep.is_some() {
            return Some(Instant::ZERO);
        }
        let (at, _) = self.timers.first()?;
        (at < Instant::FAR).then_some(at)
    }

    /// Does what is due at `now`, for a bounded number of sessions.
    pub fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..PEERS_PER_CALL {
            let Some(index) = self.sweep else {
                break;
            };
            self.sweep = index
                .checked_add(1)
                .filter(|next| *next < self.table.used());
            self.wake(now, index);
        }
        for _ in 0..PEERS_PER_CALL {
            let index = match self.timers.first() {
                Some((at, key)) if at <= now => key.get(),
                _ => return,
            };
            if let Some(State::Ended(heard)) = self.table.get(index).map(|entry| &entry.state) {
                if now >= heard.after(LINGER.min(self.config.peer_expiry)) {
                    self.vacate(index);
                    continue;
                }
            }
            self.with(now, index, |receiver| receiver.handle_timeout(now));
            self.wake(now, index);
        }
    }

    /// Has a session polled again.
    fn wake(&mut self, now: Instant, index: u32) {
        if self.with(now, index, |_| ()).is_some() {
            self.table.enqueue(Queue::Deliver, index);
            self.table.enqueue(Queue::Transmit, index);
        }
        let _ = self.refresh(index, true);
    }

    /// As [`Receiver::set_congested`], for every session.
    pub fn set_congested(&mut self, _now: Instant, congested: bool) {
        if self.congested != congested {
            self.congested = congested;
            self.tell_all();
        }
    }

    /// Whether a session waited for memory, see [`Receiver::lacks_room`].
    pub const fn lacks_room(&self) -> bool {
        self.cramped
    }

    /// There is memory again: every session goes on asking.
    pub fn make_room(&mut self) {
        self.cramped = false;
        self.tell_all();
    }

    fn tell_all(&mut self) {
        self.sweep = (self.table.used() > 0).then_some(0);
    }

    /// The owner's ceilings for all sessions together, for the calls that follow.
    pub fn set_ceilings(&mut self, ceilings: Ceilings) {
        self.ceilings = ceilings;
    }

    /// What all sessions hold.
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// How many sessions gave way to others.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How often missing numbers of any session had to wait for [`Peers::set_ceilings`].
    pub const fn naks_limited(&self) -> u64 {
        self.naks_limited
    }

    /// Whether the session of `tsi` is proven.
    pub fn is_proven(&self, tsi: Tsi) -> bool {
        self.get(tsi).is_some_and(Receiver::is_proven)
    }

    /// How many sessions there are.
    pub const fn len(&self) -> u32 {
        self.usage.sessions
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.usage.sessions == 0
    }

    /// The session of `tsi`.
    pub fn get(&self, tsi: Tsi) -> Option<&Receiver<P, H>> {
        self.table.get(self.table.find(tsi)?)?.receiver()
    }

    /// The counters of all sessions there are and were, added up.
    pub fn stats(&self) -> ReceiverStats {
        let mut total = self.past;
        for receiver in self.iter() {
            total.merge(receiver.stats());
        }
        total
    }

    /// Every session.
    pub fn iter(&self) -> impl Iterator<Item = &Receiver<P, H>> {
        (0..self.table.used()).filter_map(|index| self.table.get(index)?.receiver())
    }

    /// The first session at `index` of the table or behind it, and where it stands.
    pub fn session_from(&self, index: u32) -> Option<(u32, &Receiver<P, H>)> {
        (index..self.table.used())
            .find_map(|index| Some((index, self.table.get(index)?.receiver()?)))
    }

    /// Checks the table the slow way.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let (live, ended) = self.table.check();
        let mut usage = Usage::default();
        for receiver in self.iter() {
            usage.add(receiver.usage());
        }
        assert_eq!(usage, self.usage);
        assert_eq!(live, self.usage.sessions);
        assert!(live <= self.limit);
        assert_eq!(live.saturating_add(ended), self.timers.len());
    }
}
