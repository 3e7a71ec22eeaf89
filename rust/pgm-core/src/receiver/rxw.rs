// SPDX-License-Identifier: GPL-2.0

//! The receive window (RFC 3208 §3.4): which sequence numbers exist, which are here, which are lost.
//!
//! ```text
//!   commit          front           commit + capacity      end
//!   |  a slot each  |  slots of data only  |  known, no slot |
//! ```
//!
//! Everything from `commit` to `end` is known to exist. Below `front` every number has its slot;
//! above it only data that is here already has one. Numbers that are missing get their slots as
//! `front` moves on, a bounded number at a time, so that no packet makes us walk the window.
//! `trail` is an edge and not a walk either: what is missing below it is lost, and the delivery
//! cursor finds that out when it gets there.

use pgm_wire::{Fragment, Sqn};

use crate::deadlines::{Deadlines, Position, Positions};
use crate::discard::Discard;
use crate::memory::{Heap, NoMemory};
use crate::receiver::nak::{Missing, NakStates};
use crate::receiver::{Data, Place, Room, STEPS};
use crate::ring::Ring;
use crate::time::Instant;

/// A data packet in the window.
pub(super) struct Held<P> {
    pub(super) payload: P,
    pub(super) len: u16,
    pub(super) fragment: Option<Fragment>,
    pub(super) syn: bool,
}

impl<P> Held<P> {
    /// As it leaves the window: a piece of its APDU, or all of it.
    pub(super) fn into_data(self, sqn: Sqn) -> Data<P> {
        let len = u32::from(self.len);
        let (offset, apdu_len) = match self.fragment {
            Some(fragment) => (fragment.offset, fragment.apdu_len),
            None => (0, len),
        };
        Data {
            payload: self.payload,
            sqn,
            offset,
            len,
            apdu_len,
            last: offset.saturating_add(len) == apdu_len,
            syn: self.syn,
        }
    }
}

/// What is known of one sequence number.
pub(super) enum State<P> {
    /// Received.
    Data(Held<P>),
    /// Not received yet.
    Missing(Missing),
    /// Given up: unrecoverable.
    Lost,
    /// Delivered before its turn, in the order of arrival.
    Passed,
}

impl<P> State<P> {
    fn is_piece(&self) -> bool {
        matches!(self, Self::Data(held) if held.fragment.is_some())
    }
}

/// One sequence number of the window.
pub(super) struct Slot<P> {
    pub(super) state: State<P>,
    /// Where its deadline stands if it is missing, its arrival if it begins a whole APDU.
    pub(super) position: Position,
}

impl<P> Slot<P> {
    const fn new(state: State<P>) -> Self {
        Self {
            state,
            position: Position::NONE,
        }
    }
}

impl<P, H: Heap> Positions for Ring<Slot<P>, H> {
    fn position(&mut self, key: Sqn) -> Option<&mut Position> {
        self.get_mut(key).map(|slot| &mut slot.position)
    }
}

/// Whether `a` is newer than `b`. Exactly half the number space apart is not (§3.2).
#[inline]
pub(super) fn newer(a: Sqn, b: Sqn) -> bool {
    a != b && !a.before(b)
}

/// Whether `sqn` may be in a window with this trailing edge, which has at most 2^31 - 1 numbers (§3.3).
#[inline]
pub(super) fn in_window(sqn: Sqn, trail: Sqn) -> bool {
    newer(sqn.next(), trail) && !sqn.before(trail)
}

/// The most missing numbers that have slots, and so memory, timers and NAKs, at a time. It bounds what
/// one forged edge of the window can make us keep, and send, to some 300 kB and 65 NAK packets in
/// every NAK_RPT_IVL (§10).
pub(super) const MISSING_MAX: u32 = 4096;

/// The window and its edges. The order commit <= front <= top, front <= end, trail <= end holds after
/// every call; from the lower one of commit and trail up to end it is less than half the number space.
pub(super) struct Window<P, H: Heap> {
    pub(super) ring: Ring<Slot<P>, H>,
    /// The oldest number that can still be had: RXW_TRAIL (§3.4).
    pub(super) trail: Sqn,
    /// The next number to leave the window.
    pub(super) commit: Sqn,
    /// The first number that may be without a slot.
    pub(super) front: Sqn,
    /// One past the highest number with a slot.
    pub(super) top: Sqn,
    /// One past the highest number known to exist.
    pub(super) end: Sqn,
    /// Missing numbers below this are lost in the network, not late (§6.3).
    pub(super) sure: Sqn,
    /// The highest number received, and the second highest: the same one if there is no other.
    highest: Option<Sqn>,
    second: Sqn,
    /// Slots that hold data, slots given up, and slots of missing numbers.
    held: u32,
    lost: u32,
    absent: u32,
    passed: u32,
    /// Slots that hold a part of an APDU.
    pieces: u32,
    /// What `absent` must not exceed, if that is less than [`MISSING_MAX`].
    absent_max: u16,
    /// How many more data packets the owner has memory for.
    room: Room,
    /// APDUs that may leave in the order of arrival, by their first number, and how many ever might.
    whole: Deadlines<H>,
    arrived: u64,
    open: bool,
    /// See [`Receiver::is_proven`](crate::receiver::Receiver::is_proven); here it takes no room.
    pub(super) proven: bool,
    /// Slots looked at, for tests of how much work a call does.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) touched: core::cell::Cell<u64>,
}

/// How a bounded piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing is left.
    Done,
    /// Nothing is left before then.
    Until(Instant),
    /// The bound was reached.
    More,
    /// Memory was refused.
    Starved,
    /// The owner allows no more.
    Limited,
}

impl<P, H: Heap> Window<P, H> {
    /// A closed window for at least `sqns` numbers.
    pub(super) fn new(sqns: u32) -> Self {
        let zero = Sqn::new(0);
        let ring = Ring::new(sqns);
        Self {
            whole: Deadlines::new(ring.capacity()),
            ring,
            trail: zero,
            commit: zero,
            front: zero,
            top: zero,
            end: zero,
            sure: zero,
            highest: None,
            second: zero,
            held: 0,
            lost: 0,
            absent: 0,
            passed: 0,
            pieces: 0,
            absent_max: u16::MAX,
            room: Room::NONE,
            arrived: 0,
            open: false,
            proven: false,
            #[cfg(any(test, feature = "fuzz"))]
            touched: core::cell::Cell::new(0),
        }
    }

    fn touch(&self) {
        #[cfg(any(test, feature = "fuzz"))]
        self.touched.set(self.touched.get().saturating_add(1));
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// Starts reception: nothing below `first` is ever asked for (§6.1, RXW_TRAIL_INIT).
    pub(super) fn open(&mut self, first: Sqn) {
        self.trail = first;
        self.commit = first;
        self.front = first;
        self.top = first;
        self.end = first;
        self.sure = first;
        self.open = true;
    }

    /// Numbers known to exist, from the next one to leave on.
    pub(super) fn known(&self) -> u32 {
        self.end.since(self.commit)
    }

    /// Numbers known to exist of which neither data is here nor loss is certain.
    pub(super) fn missing(&self) -> u32 {
        self.known()
            .saturating_sub(self.held)
            .saturating_sub(self.lost)
            .saturating_sub(self.passed)
    }

    /// Numbers given up that are still in the window.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) const fn lost(&self) -> u32 {
        self.lost
    }

    /// Data packets in the window.
    pub(super) const fn held(&self) -> u32 {
        self.held
    }

    /// Missing numbers that have slots.
    pub(super) const fn absent(&self) -> u32 {
        self.absent
    }

    /// Parts of APDUs in the window.
    pub(super) const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// No more missing numbers than these get slots.
    pub(super) fn limit_absent(&mut self, max: u16) {
        self.absent_max = max;
    }

    /// What is asked for has to fit.
    pub(super) fn limit_room(&mut self, room: Room) {
        self.room = room;
    }

    /// Obeys an advertised trailing edge (§3.4, §16: whatever the jump), if it is news.
    pub(super) fn advance(&mut self, trail: Sqn) {
        if !newer(trail, self.trail) {
            return;
        }
        // Two jumps without a delivery between them must not lap the window.
        if newer(self.trail, self.commit) && !newer(trail, self.commit) {
            return;
        }
        self.trail = trail;
        for edge in [&mut self.end, &mut self.sure] {
            if newer(trail, *edge) {
                *edge = trail;
            }
        }
        self.highest = self.highest.filter(|highest| !newer(trail, *highest));
        if newer(trail, self.second) {
            self.second = self.highest.unwrap_or(self.second);
        }
    }

    /// `sqn` exists, unless the window would become larger than windows may be (§3.3).
    pub(super) fn learn(&mut self, sqn: Sqn) {
        let end = sqn.next();
        if newer(end, self.end) && newer(end, self.commit) && newer(end, self.trail) {
            self.end = end;
        }
    }

    /// SPM_LEAD: up to here everything was sent some time ago (§6.3).
    pub(super) fn learn_lead(&mut self, lead: Sqn) {
        self.learn(lead);
        let sure = lead.next();
        if newer(sure, self.sure) && (sure == self.end || newer(self.end, sure)) {
            self.sure = sure;
        }
    }

    /// Data packet `sqn` came: two packets above a missing one mean that it is lost, not late
    /// (§6.3: "after the reception of N packets", N = 2).
    pub(super) fn came(&mut self, sqn: Sqn) {
        let Some(highest) = self.highest else {
            self.highest = Some(sqn);
            self.second = sqn;
            return;
        };
        if newer(sqn, highest) {
            self.second = highest;
            self.highest = Some(sqn);
        } else if sqn != highest && (self.second == highest || newer(sqn, self.second)) {
            self.second = sqn;
        }
        if Some(self.second) != self.highest && newer(self.second, self.sure) {
            self.sure = self.second;
        }
    }

    /// Its edges, counters and limits.
    #[cfg(test)]
    pub(super) fn describe(&self) -> std::string::String {
        std::format!(
            "{:?} {:?} {:?}",
            [
                self.trail,
                self.commit,
                self.front,
                self.top,
                self.end,
                self.sure
            ],
            (
                self.highest,
                self.second,
                self.absent_max,
                self.arrived,
                self.open,
                self.proven
            ),
            [self.held, self.lost, self.absent, self.passed, self.pieces],
        )
    }

    /// One past the highest number received, or the trailing edge.
    pub(super) fn received(&self) -> Sqn {
        self.highest.map_or(self.trail, Sqn::next)
    }

    /// Where data packet `sqn` would go; `next` is the number that delivery waits for.
    pub(super) fn place(&self, sqn: Sqn, next: Sqn) -> Place {
        if !in_window(sqn, self.trail) {
            return Place::Useless(Discard::OutsideWindow);
        }
        if sqn.before(self.commit) {
            return Place::Useless(Discard::Duplicate);
        }
        if sqn.since(self.commit) >= self.ring.capacity() {
            return Place::Useless(Discard::BeyondWindow);
        }
        if let Some(State::Data(_) | State::Passed) = self.state(sqn) {
            return Place::Useless(Discard::Duplicate);
        }
        if sqn == next {
            return Place::Next;
        }
        match self.highest {
            Some(highest) if newer(highest, sqn) => Place::Gap,
            _ => Place::Beyond,
        }
    }

    /// What is known of `sqn`, which lies in [commit, commit + capacity).
    pub(super) fn state(&self, sqn: Sqn) -> Option<&State<P>> {
        self.touch();
        self.ring.get(sqn).map(|slot| &slot.state)
    }

    /// The missing numbers that have slots, which may be so many as there are slots apart.
    fn absentees(&self) -> impl Iterator<Item = (Sqn, &Missing)> {
        let mut sqn = self.commit;
        let mut left = self.absent;
        core::iter::from_fn(move || {
            while left > 0 && self.reaches(sqn) {
                let at = sqn;
                sqn = sqn.next();
                if let Some(State::Missing(missing)) = self.state(at) {
                    left = left.saturating_sub(1);
                    return Some((at, missing));
                }
            }
            None
        })
    }

    /// The lowest number that was asked for and did not come, and how many such numbers there are.
    pub(super) fn outstanding(&self) -> Option<(Sqn, u32)> {
        let mut found = None;
        for (sqn, _) in self
            .absentees()
            .filter(|(_, missing)| missing.is_outstanding())
        {
            let (first, count) = found.unwrap_or((sqn, 0u32));
            found = Some((first, count.saturating_add(1)));
        }
        found
    }

    /// How many missing numbers are in each state.
    pub(super) fn nak_states(&self) -> NakStates {
        let mut states = NakStates::default();
        for (_, missing) in self.absentees() {
            missing.count(&mut states);
        }
        states
    }

    /// What is known of `sqn` if it is missing and can still be had.
    pub(super) fn missing_mut(&mut self, sqn: Sqn) -> Option<&mut Missing> {
        self.touch();
        if !self.reaches(sqn) || sqn.before(self.trail) {
            return None;
        }
        match self.ring.get_mut(sqn).map(|slot| &mut slot.state) {
            Some(State::Missing(missing)) => Some(missing),
            _ => None,
        }
    }

    /// Whether `sqn` lies between the lowest slot and the highest one.
    pub(super) fn reaches(&self, sqn: Sqn) -> bool {
        sqn.since(self.commit) < self.top.since(self.commit)
    }

    /// The counter of slots in the same state.
    fn counter(&mut self, state: &State<P>) -> &mut u32 {
        match state {
            State::Data(_) => &mut self.held,
            State::Missing(_) => &mut self.absent,
            State::Lost => &mut self.lost,
            State::Passed => &mut self.passed,
        }
    }

    fn count(&mut self, state: &State<P>) {
        let counter = self.counter(state);
        *counter = counter.saturating_add(1);
        if state.is_piece() {
            self.pieces = self.pieces.saturating_add(1);
        }
    }

    fn uncount(&mut self, state: &State<P>) {
        if state.is_piece() {
            self.pieces = self.pieces.saturating_sub(1);
        }
        let counter = self.counter(state);
        *counter = counter.saturating_sub(1);
    }

    /// Puts a state at `sqn`, which lies in [commit, commit + capacity) and has no deadline.
    pub(super) fn put(&mut self, sqn: Sqn, state: State<P>) -> Result<(), NoMemory> {
        self.touch();
        self.ring.reserve(sqn)?;
        self.count(&state);
        match self.ring.get_mut(sqn) {
            Some(slot) => {
                let old = core::mem::replace(&mut slot.state, state);
                self.uncount(&old);
            }
            None => self.ring.put(sqn, Slot::new(state))?,
        }
        if sqn == self.front {
            self.front = sqn.next();
        }
        if newer(sqn.next(), self.top) {
            self.top = sqn.next();
        }
        Ok(())
    }

    /// Takes the lowest number out of the window. Its deadline was cancelled before.
    pub(super) fn take(&mut self) -> Option<State<P>> {
        self.touch();
        if !self.whole.is_empty() {
            if let Some(State::Data(_)) = self.ring.get(self.commit).map(|slot| &slot.state) {
                self.whole.cancel(&mut self.ring, self.commit);
            }
        }
        let state = self.ring.take_lowest(self.commit).map(|slot| slot.state);
        if let Some(state) = &state {
            self.uncount(state);
        }
        self.commit = self.commit.next();
        for edge in [&mut self.front, &mut self.top, &mut self.end] {
            if edge.before(self.commit) {
                *edge = self.commit;
            }
        }
        state
    }

    /// Whether there is no slot and nothing known above: the next packet would be the only one.
    pub(super) fn is_void(&self) -> bool {
        self.open && self.commit == self.top && self.commit == self.front && self.commit == self.end
    }

    /// The next packet came into a void window, and left it at once.
    pub(super) fn pass_over(&mut self) {
        // The memory of slots that the window leaves behind goes as it always does.
        self.ring.leave(self.commit);
        self.commit = self.commit.next();
        self.front = self.commit;
        self.top = self.commit;
        self.end = self.commit;
    }

    /// The APDU from `first` on is whole and may leave before its turn. Without memory it waits for it.
    pub(super) fn arrive(&mut self, first: Sqn) {
        self.arrived = self.arrived.saturating_add(1);
        let order = Instant::from_nanos(self.arrived);
        let _ = self.whole.set(&mut self.ring, first, order);
    }

    /// The first number of the APDU that became whole first; it leaves now.
    pub(super) fn next_whole(&mut self) -> Option<Sqn> {
        let (_, first) = self.whole.first()?;
        self.whole.cancel(&mut self.ring, first);
        Some(first)
    }

    /// Takes the data of `sqn` before its turn.
    pub(super) fn pass(&mut self, sqn: Sqn) -> Option<Held<P>> {
        self.touch();
        let slot = self.ring.get_mut(sqn)?;
        match core::mem::replace(&mut slot.state, State::Passed) {
            State::Data(held) => {
                self.held = self.held.saturating_sub(1);
                self.passed = self.passed.saturating_add(1);
                if held.fragment.is_some() {
                    self.pieces = self.pieces.saturating_sub(1);
                }
                Some(held)
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// Moves an empty window up to `trail`; returns how many numbers that skips.
    pub(super) fn jump(&mut self) -> u32 {
        let skipped = self.trail.since(self.commit);
        self.commit = self.trail;
        self.front = self.trail;
        self.top = self.trail;
        skipped
    }

    /// Leaves everything below the trailing edge behind at once, if there is no data in the window;
    /// whoever holds deadlines drops them. Costs what it frees, which is pages and not numbers.
    pub(super) fn clear(&mut self) -> bool {
        let empty = self.held == 0 && self.passed == 0 && !newer(self.top, self.trail);
        if empty && newer(self.trail, self.commit) {
            self.ring = Ring::new(self.ring.capacity());
            self.absent = 0;
            self.lost = 0;
            self.jump();
        }
        empty
    }

    /// Whether there is memory for one more missing number, of which `front` is the next. One is always
    /// asked for: what delivery waits for is taken even if memory is short.
    fn has_room(&self) -> bool {
        let is_gap = self
            .highest
            .is_some_and(|highest| newer(highest, self.front));
        let room = if is_gap {
            self.room.gaps
        } else {
            self.room.beyond
        };
        self.absent < u32::from(room).max(1)
    }

    /// Whether missing numbers wait for slots that the window could give them.
    #[inline]
    pub(super) fn wants_slots(&self) -> bool {
        self.lacks_slots() && self.has_room()
    }

    /// Whether they wait for nothing but the owner's memory.
    #[inline]
    pub(super) fn lacks_room(&self) -> bool {
        self.lacks_slots() && !self.has_room()
    }

    #[inline]
    fn lacks_slots(&self) -> bool {
        newer(self.end, self.front)
            && self.front.since(self.commit) < self.ring.capacity()
            && self.absent < MISSING_MAX
            // What the trailing edge passed needs no slot to be reported.
            && !self.front.before(self.trail)
    }

    /// Gives missing numbers their slots, at most [`STEPS`] a call.
    pub(super) fn materialise(&mut self, now: Instant) -> Work {
        for _ in 0..STEPS {
            if !self.wants_slots() {
                return Work::Done;
            }
            if self.state(self.front).is_some() {
                self.front = self.front.next();
                continue;
            }
            if self.absent >= u32::from(self.absent_max) {
                return Work::Limited;
            }
            let state = State::Missing(Missing::new(now));
            if self.put(self.front, state).is_err() {
                return Work::Starved;
            }
        }
        Work::More
    }
}
