// SPDX-License-Identifier: GPL-2.0

//! The transmit window: what can be repaired, and behind it what waits to be sent for the first time
//! (RFC 3208 §3.3, §16).
//!
//! ```text
//!   trail ........ unsent ........ next
//!   [TXW_TRAIL .. TXW_LEAD]         sent, repairs possible
//!                  [unsent .. next) numbered and queued
//! ```

use core::num::NonZeroU32;

use pgm_wire::checksum::Sum;
use pgm_wire::{Fragment, Sqn};

use super::advance::{JoinShare, Mark, Share, Strategy, WithData};
use super::backoff::RepairState;
use super::config::{Advance, SourceConfig};
use crate::deadlines::{Deadlines, Position, Positions};
use crate::memory::{Heap, NoMemory};
use crate::ring::{Ring, RING_MAX};
use crate::time::{Duration, Instant};

/// How many packets one call may free.
const BATCH: u32 = 256;

/// When something happened last, in the least space: microseconds modulo 2^32. What is 71 minutes old
/// may pass for recent once, for as long as it is asked whether it is.
#[derive(Clone, Copy)]
pub(super) struct Stamp([u8; 4]);

impl Stamp {
    pub(super) const NEVER: Self = Self([0; 4]);

    pub(super) fn at(now: Instant) -> Self {
        Self((micros(now) | 1).to_ne_bytes())
    }

    /// Whether that was less than `span` before `now`.
    pub(super) fn is_within(self, span: Duration, now: Instant) -> bool {
        let then = u32::from_ne_bytes(self.0);
        then != 0 && micros(now).wrapping_sub(then & !1) < span.micros()
    }
}

fn micros(now: Instant) -> u32 {
    let us = now.nanos().checked_div(1_000).unwrap_or(0) & u64::from(u32::MAX);
    u32::try_from(us).unwrap_or(0)
}

/// OPT_FRAGMENT, in the least space.
#[derive(Clone, Copy)]
struct Part {
    first: Sqn,
    offset: u32,
    apdu_len: NonZeroU32,
}

/// One packet of the window.
pub(super) struct Slot<P> {
    pub(super) payload: P,
    pub(super) len: u16,
    pub(super) sum: Sum,
    part: Option<Part>,
    /// Whether it is the first of the session.
    pub(super) syn: bool,
    pub(super) sent_at: Instant,
    /// TSDU bytes of the session before it, modulo 2^32: no window is so large.
    before: u32,
    /// When an NCF for it was multicast.
    pub(super) confirmed: Stamp,
    /// The NAKs for it.
    pub(super) state: RepairState,
    /// When an RDATA of it was multicast.
    repaired: Stamp,
    repair: Position,
}

impl<P> Slot<P> {
    /// Its OPT_FRAGMENT.
    pub(super) fn fragment(&self) -> Option<Fragment> {
        self.part.map(|part| Fragment {
            first: part.first,
            offset: part.offset,
            apdu_len: part.apdu_len.get(),
        })
    }

    /// Whether its APDU ends with it.
    pub(super) fn completes(&self) -> bool {
        self.part.is_none_or(|part| {
            part.offset.saturating_add(u32::from(self.len)) == part.apdu_len.get()
        })
    }
}

struct Slots<P, H: Heap>(Ring<Slot<P>, H>);

impl<P, H: Heap> Positions for Slots<P, H> {
    fn position(&mut self, key: Sqn) -> Option<&mut Position> {
        self.0.get_mut(key).map(|slot| &mut slot.repair)
    }
}

/// The window and the repairs that wait in it.
pub(super) struct Window<P, H: Heap> {
    slots: Slots<P, H>,
    /// SQNs of pending repairs, oldest request first.
    repairs: Deadlines<H>,
    trail: Sqn,
    unsent: Sqn,
    next: Sqn,
    /// First SQN of the APDU whose fragments are being queued.
    first_fragment: Sqn,
    /// Whether any packet was ever queued.
    begun: bool,
    bytes: u64,
    queued_bytes: u64,
    /// TSDU bytes ever queued, modulo 2^32.
    total: u32,
    /// What may be held, and what of it unsent.
    max: Share,
    max_queued: Share,
    /// The least room that somebody waits for: packets and bytes.
    wanted: Option<(u32, u64)>,
    strategy: Strategy,
    /// Everything that was sent leaves.
    expiring: bool,
    join_share: Option<JoinShare>,
    /// The oldest packet that new receivers may ask for; below TRAIL it does not count.
    join: Sqn,
}

impl<P, H: Heap> Window<P, H> {
    pub(super) fn new(config: &SourceConfig) -> Self {
        let max = Share {
            bytes: config.window_bytes,
            sqns: config.window_sqns.clamp(1, RING_MAX),
        };
        let mut max_queued = Share {
            bytes: config.queue_bytes,
            sqns: max.sqns,
        };
        if config.advance == Advance::WithData {
            // What waits must not take the place of what can be repaired.
            let share = WithData::queue(max, config.advance_percent);
            max_queued.bytes = max_queued.bytes.min(share.bytes);
            max_queued.sqns = share.sqns;
        }
        let ring = Ring::new(max.sqns);
        Self {
            repairs: Deadlines::new(ring.capacity()),
            slots: Slots(ring),
            trail: config.first_sqn,
            unsent: config.first_sqn,
            next: config.first_sqn,
            first_fragment: config.first_sqn,
            begun: false,
            bytes: 0,
            queued_bytes: 0,
            total: 0,
            max,
            max_queued,
            wanted: None,
            strategy: Strategy::new(config, max),
            expiring: false,
            join_share: JoinShare::new(config, max),
            join: config.first_sqn,
        }
    }

    pub(super) fn trail(&self) -> Sqn {
        self.trail
    }

    /// TXW_LEAD. An empty window is TRAIL = LEAD + 1 (RFC 3208 §3.3).
    pub(super) fn lead(&self) -> Sqn {
        self.unsent.prev()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }

    pub(super) fn queued_sqns(&self) -> u32 {
        self.next.since(self.unsent)
    }

    pub(super) fn pending_repairs(&self) -> u32 {
        self.repairs.len()
    }

    pub(super) fn sqns(&self) -> u32 {
        self.next.since(self.trail)
    }

    pub(super) fn fits(&self, fragments: u32, bytes: u64) -> bool {
        fragments <= self.max.sqns && bytes <= self.max.bytes
    }

    pub(super) fn room(&self, fragments: u32, bytes: u64) -> bool {
        self.window_room(fragments, bytes) && self.queue_room(fragments, bytes)
    }

    fn window_room(&self, fragments: u32, bytes: u64) -> bool {
        self.sqns().saturating_add(fragments) <= self.max.sqns
            && self.bytes.saturating_add(bytes) <= self.max.bytes
    }

    fn queue_room(&self, fragments: u32, bytes: u64) -> bool {
        self.queued_sqns() == 0
            || (self.queued_bytes.saturating_add(bytes) <= self.max_queued.bytes
                && self.queued_sqns().saturating_add(fragments) <= self.max_queued.sqns)
    }

    /// Somebody waits for so much room.
    pub(super) fn want(&mut self, now: Instant, fragments: u32, bytes: u64) {
        let waiting = self
            .wanted
            .filter(|(sqns, least)| !self.room(*sqns, *least));
        let (sqns, least) = waiting.unwrap_or((fragments, bytes));
        self.wanted = Some((sqns.min(fragments), least.min(bytes)));
        self.note_suspension(now);
    }

    /// Whether there is room now that somebody waited for.
    pub(super) fn room_came(&mut self) -> bool {
        let came = self
            .wanted
            .is_some_and(|(fragments, bytes)| self.room(fragments, bytes));
        if came {
            self.wanted = None;
        }
        came
    }

    /// Tells the strategy if nothing more can be sent until the window advances.
    fn note_suspension(&mut self, now: Instant) {
        let full = self
            .wanted
            .is_some_and(|(fragments, bytes)| !self.window_room(fragments, bytes));
        if full && self.queued_sqns() == 0 {
            if let Some(data) = self.strategy.with_data() {
                data.suspended(now);
            }
        }
    }

    pub(super) fn set_rate(&mut self, rate: u64) {
        if let Some(data) = self.strategy.with_data() {
            data.set_rate(rate);
        }
    }

    pub(super) fn reserve(&mut self, fragments: u32) -> Result<(), NoMemory> {
        if self.sqns().saturating_add(fragments) > self.max.sqns {
            return Err(NoMemory);
        }
        (0..fragments).try_for_each(|n| self.slots.0.reserve(self.next.plus(n)))
    }

    /// Numbers a packet and queues it (RFC 3208 §5.1.1).
    pub(super) fn push(
        &mut self,
        payload: P,
        len: u16,
        sum: Sum,
        fragment: Option<(u32, u32)>,
    ) -> Result<Sqn, NoMemory> {
        if self.sqns() >= self.max.sqns {
            return Err(NoMemory);
        }
        let sqn = self.next;
        let first = match fragment {
            Some((0, _)) => sqn,
            _ => self.first_fragment,
        };
        let slot = Slot {
            payload,
            len,
            sum,
            part: fragment.and_then(|(offset, apdu_len)| {
                Some(Part {
                    first,
                    offset,
                    apdu_len: NonZeroU32::new(apdu_len)?,
                })
            }),
            syn: !self.begun,
            sent_at: Instant::ZERO,
            before: self.total,
            confirmed: Stamp::NEVER,
            state: RepairState::NONE,
            repaired: Stamp::NEVER,
            repair: Position::NONE,
        };
        self.slots.0.put(sqn, slot)?;
        self.first_fragment = first;
        self.begun = true;
        self.next = sqn.next();
        self.total = self.total.wrapping_add(u32::from(len));
        self.bytes = self.bytes.saturating_add(u64::from(len));
        self.queued_bytes = self.queued_bytes.saturating_add(u64::from(len));
        Ok(sqn)
    }

    /// The packet that would extend the window, if one is queued.
    pub(super) fn first_unsent(&self) -> Option<Sqn> {
        (self.queued_sqns() > 0).then_some(self.unsent)
    }

    /// Whether `sqn` is the last packet queued or sent.
    pub(super) fn is_last(&self, sqn: Sqn) -> bool {
        sqn.next() == self.next
    }

    /// A packet that is queued or in the window.
    pub(super) fn get(&self, sqn: Sqn) -> Option<&Slot<P>> {
        if sqn.since(self.trail) >= self.sqns() {
            return None;
        }
        self.slots.0.get(sqn)
    }

    /// Whether `sqn` lies between TRAIL and LEAD.
    fn was_sent(&self, sqn: Sqn) -> bool {
        sqn.since(self.trail) < self.unsent.since(self.trail)
    }

    /// A packet that can be repaired: sent, and still in the window.
    pub(super) fn held(&self, sqn: Sqn) -> Option<&Slot<P>> {
        self.get(sqn).filter(|_| self.was_sent(sqn))
    }

    /// As [`Self::held`], to change it.
    pub(super) fn held_mut(&mut self, sqn: Sqn) -> Option<&mut Slot<P>> {
        if !self.was_sent(sqn) {
            return None;
        }
        self.slots.0.get_mut(sqn)
    }

    /// The first unsent packet leaves: TXW_LEAD moves up to it.
    pub(super) fn sent(&mut self, now: Instant) {
        let sqn = self.unsent;
        if self.queued_sqns() == 0 {
            return;
        }
        let Some(slot) = self.slots.0.get_mut(sqn) else {
            return;
        };
        let len = slot.len;
        slot.sent_at = now;
        self.queued_bytes = self.queued_bytes.saturating_sub(u64::from(len));
        self.unsent = sqn.next();
        self.note_data(now, len);
    }

    /// Whether the packet that is next is a plain one: not the first of the session, nor of the window
    /// again, no repair, nothing to say of late receivers, and no timer that data moves.
    pub(super) fn is_plain(&self) -> bool {
        self.queued_sqns() > 0
            && self.sqns() > self.queued_sqns()
            && self.first_repair().is_none()
            && self.join_share.is_none()
            && self.is_timed()
    }

    /// Whether the window advances with time.
    pub(super) fn is_timed(&self) -> bool {
        matches!(self.strategy, Strategy::Time(_))
    }

    /// As [`Self::sent`], for a window that [`Self::is_plain`], if `may` agrees.
    pub(super) fn send_plain(
        &mut self,
        now: Instant,
        may: impl FnOnce(Sqn, &Slot<P>) -> bool,
    ) -> Option<&Slot<P>> {
        let sqn = self.unsent;
        let slot = self.slots.0.get_mut(sqn)?;
        if !may(sqn, slot) {
            return None;
        }
        slot.sent_at = now;
        self.queued_bytes = self.queued_bytes.saturating_sub(u64::from(slot.len));
        self.unsent = sqn.next();
        Some(slot)
    }

    /// A data packet left: data-driven time has passed.
    fn note_data(&mut self, now: Instant, len: u16) {
        let fill = Share {
            bytes: self.bytes.saturating_sub(self.queued_bytes),
            sqns: self.unsent.since(self.trail),
        };
        if let Some(data) = self.strategy.with_data() {
            data.sent(len, fill);
        }
        self.note_suspension(now);
    }

    fn mark(&self, sqn: Sqn) -> Option<Mark> {
        self.held(sqn).map(|slot| Mark {
            sqn,
            before: slot.before,
            sent_at: slot.sent_at,
        })
    }

    /// A NAK asks for `sqn`.
    pub(super) fn asked(&mut self, sqn: Sqn, now: Instant) {
        if let (Some(oldest), Some(asked)) = (self.mark(self.trail), self.mark(sqn)) {
            if let Some(data) = self.strategy.with_data() {
                data.asked(now, &oldest, &asked);
            }
        }
    }

    /// Asks for a repair of `sqn`, a packet of the window. Each waits at most once, and not for so long
    /// after its RDATA left (RFC 3208 §5.3).
    pub(super) fn ask_repair(
        &mut self,
        sqn: Sqn,
        now: Instant,
        hold: Duration,
    ) -> Result<(), NoMemory> {
        let due = if self.is_urgent(sqn) {
            Instant::ZERO
        } else {
            now
        };
        match self.held_mut(sqn) {
            Some(slot) if !slot.repair.is_set() && !slot.repaired.is_within(hold, now) => {
                self.repairs.set(&mut self.slots, sqn, due)
            }
            _ => Ok(()),
        }
    }

    fn is_urgent(&mut self, sqn: Sqn) -> bool {
        let (oldest, mark) = (self.mark(self.trail), self.mark(sqn));
        match (self.strategy.with_data(), oldest, mark) {
            (Some(data), Some(oldest), Some(mark)) => data.is_urgent(&oldest, &mark),
            _ => false,
        }
    }

    pub(super) fn first_repair(&self) -> Option<Sqn> {
        self.repairs.first().map(|(_, sqn)| sqn)
    }

    pub(super) fn repaired(&mut self, sqn: Sqn, now: Instant) {
        self.repairs.cancel(&mut self.slots, sqn);
        if let Some(slot) = self.held_mut(sqn) {
            let len = slot.len;
            slot.repaired = Stamp::at(now);
            self.note_data(now, len);
        }
    }

    /// When packets leave the window next; in the past if a batch was not enough.
    pub(super) fn advance_at(&self) -> Option<Instant> {
        let oldest = self.mark(self.trail)?;
        if self.expiring {
            return Some(Instant::ZERO);
        }
        self.strategy.due(&oldest)
    }

    /// RFC 3208 §16.1: lets the trailing edge pass over what the strategy gives up. Returns how many
    /// packets left.
    pub(super) fn advance(&mut self, now: Instant) -> u32 {
        for freed in 0..BATCH {
            let Some(oldest) = self.mark(self.trail) else {
                self.strategy.emptied();
                return freed;
            };
            if !self.expiring && !self.strategy.leaves(now, &oldest) {
                if freed > 0 {
                    self.note_suspension(now);
                }
                return freed;
            }
            self.drop_oldest();
        }
        BATCH
    }

    /// Moves OPT_JOIN_MIN up to what new receivers may still ask for. Bounded: should it lag behind,
    /// they may ask for a little more.
    pub(super) fn advance_join(&mut self, now: Instant) {
        let Some(share) = &self.join_share else {
            return;
        };
        let queued = u32::try_from(self.queued_bytes).unwrap_or(u32::MAX);
        let end = Mark {
            sqn: self.unsent,
            before: self.total.wrapping_sub(queued),
            sent_at: now,
        };
        let mut join = later(self.join, self.trail);
        for _ in 0..BATCH {
            match self.mark(join) {
                Some(mark) if share.excludes(now, &mark, &end) => join = join.next(),
                _ => break,
            }
        }
        self.join = join;
    }

    /// OPT_JOIN_MIN, if new receivers may ask for what was sent before they came: at least TRAIL,
    /// LEAD + 1 if nothing is that young.
    pub(super) fn join_min(&self) -> Option<Sqn> {
        self.join_share.as_ref()?;
        Some(later(self.join, self.trail))
    }

    fn drop_oldest(&mut self) {
        let sqn = self.trail;
        // The heap of repairs must never name a packet that is gone (RFC 3208 §5.3).
        self.repairs.cancel(&mut self.slots, sqn);
        if let Some(slot) = self.slots.0.take_lowest(sqn) {
            self.bytes = self.bytes.saturating_sub(u64::from(slot.len));
        }
        self.trail = sqn.next();
    }

    /// Lets everything that was sent leave, a batch at a time.
    pub(super) fn expire_all(&mut self) {
        self.expiring = true;
    }

    /// Drops a batch of packets that were never sent, newest first: their numbers were never seen.
    pub(super) fn drop_unsent(&mut self) {
        for _ in 0..BATCH {
            if self.queued_sqns() == 0 {
                return;
            }
            let sqn = self.next.prev();
            if let Some(slot) = self.slots.0.take_lowest(sqn) {
                let len = u64::from(slot.len);
                self.bytes = self.bytes.saturating_sub(len);
                self.queued_bytes = self.queued_bytes.saturating_sub(len);
            }
            self.next = sqn;
        }
    }
}

/// The one of two numbers of the window that comes later.
fn later(a: Sqn, b: Sqn) -> Sqn {
    if a.at_or_after(b) {
        a
    } else {
        b
    }
}
