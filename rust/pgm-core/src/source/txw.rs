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

use super::config::SourceConfig;
use crate::deadlines::{Deadlines, Position, Positions};
use crate::memory::{Heap, NoMemory};
use crate::ring::{Ring, RING_MAX};
use crate::time::{Duration, Instant};

/// How many packets one call may free.
const BATCH: u32 = 256;

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
    sent_at: Instant,
    /// Until then an NCF for it was just multicast.
    pub(super) confirmed_until: Instant,
    /// Until then an RDATA of it was just multicast.
    repaired_until: Instant,
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
    max_sqns: u32,
    max_bytes: u64,
    max_queued_bytes: u64,
    /// TXW_SECS.
    secs: Duration,
    /// TXW_ADV_SECS.
    advance: Duration,
    /// The increment window being freed: packets sent up to then leave.
    leaving: Option<Instant>,
}

impl<P, H: Heap> Window<P, H> {
    pub(super) fn new(config: &SourceConfig) -> Self {
        let max_sqns = config.window_sqns.clamp(1, RING_MAX);
        let ring = Ring::new(max_sqns);
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
            max_sqns,
            max_bytes: config.window_bytes,
            max_queued_bytes: config.queue_bytes,
            secs: config.window,
            advance: config.window.scale(config.advance_percent.min(100), 100),
            leaving: None,
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

    fn sqns(&self) -> u32 {
        self.next.since(self.trail)
    }

    pub(super) fn fits(&self, fragments: u32, bytes: u64) -> bool {
        fragments <= self.max_sqns && bytes <= self.max_bytes
    }

    pub(super) fn room(&self, fragments: u32, bytes: u64) -> bool {
        let queue = self.queued_bytes.saturating_add(bytes);
        self.sqns().saturating_add(fragments) <= self.max_sqns
            && self.bytes.saturating_add(bytes) <= self.max_bytes
            && (self.queued_sqns() == 0 || queue <= self.max_queued_bytes)
    }

    pub(super) fn reserve(&mut self, fragments: u32) -> Result<(), NoMemory> {
        if self.sqns().saturating_add(fragments) > self.max_sqns {
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
        if self.sqns() >= self.max_sqns {
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
            confirmed_until: Instant::ZERO,
            repaired_until: Instant::ZERO,
            repair: Position::NONE,
        };
        self.slots.0.put(sqn, slot)?;
        self.first_fragment = first;
        self.begun = true;
        self.next = sqn.next();
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
        if let Some(slot) = self.slots.0.get_mut(sqn) {
            slot.sent_at = now;
            self.queued_bytes = self.queued_bytes.saturating_sub(u64::from(slot.len));
        }
        self.unsent = sqn.next();
    }

    /// Asks for a repair of `sqn`, a packet of the window. Each waits at most once, and not just after
    /// its RDATA left.
    pub(super) fn ask_repair(&mut self, sqn: Sqn, now: Instant) -> Result<(), NoMemory> {
        match self.held_mut(sqn) {
            Some(slot) if !slot.repair.is_set() && slot.repaired_until <= now => {
                self.repairs.set(&mut self.slots, sqn, now)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn first_repair(&self) -> Option<Sqn> {
        self.repairs.first().map(|(_, sqn)| sqn)
    }

    pub(super) fn repaired(&mut self, sqn: Sqn, now: Instant, hold: Duration) {
        self.repairs.cancel(&mut self.slots, sqn);
        if let Some(slot) = self.held_mut(sqn) {
            slot.repaired_until = now.after(hold);
        }
    }

    fn oldest_sent_at(&self) -> Option<Instant> {
        if self.trail == self.unsent {
            return None;
        }
        self.slots.0.get(self.trail).map(|slot| slot.sent_at)
    }

    /// When packets leave the window next; in the past if a batch was not enough.
    pub(super) fn advance_at(&self) -> Option<Instant> {
        let oldest = self.oldest_sent_at()?;
        if Some(oldest) <= self.leaving {
            return Some(Instant::ZERO);
        }
        Some(oldest.after(self.secs))
    }

    /// RFC 3208 §16.1, §16.3: when the oldest packet is TXW_SECS old, the trailing edge passes over
    /// everything sent within TXW_ADV_SECS of it. Returns how many packets left.
    pub(super) fn advance(&mut self, now: Instant) -> u32 {
        for freed in 0..BATCH {
            let Some(oldest) = self.oldest_sent_at() else {
                return freed;
            };
            if Some(oldest) > self.leaving {
                if oldest.after(self.secs) > now {
                    return freed;
                }
                self.leaving = Some(oldest.after(self.advance));
            }
            self.drop_oldest();
        }
        BATCH
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
        self.leaving = Some(Instant::FAR);
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
