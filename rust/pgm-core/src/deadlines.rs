// SPDX-License-Identifier: GPL-2.0

//! Many deadlines, one timer: a binary heap of (time, key) whose entries know where they stand, so
//! that setting, moving and cancelling one costs O(log n) and the heap never holds a stale entry.
//!
//! Keys are sequence numbers (or table indexes). Equal times come out in serial order of the keys:
//! oldest SQN first (RFC 3208 §6.3).

use core::num::NonZeroU32;

use pgm_wire::Sqn;

use crate::memory::{Heap, NoMemory};
use crate::paged::{Paged, PAGE};
use crate::time::Instant;

/// Where an entry stands in the heap; the owner of the key stores it and never looks inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position(Option<NonZeroU32>);

impl Position {
    /// Not in the heap.
    pub const NONE: Self = Self(None);

    const fn at(place: u32) -> Self {
        Self(NonZeroU32::new(place.wrapping_add(1)))
    }

    fn place(self) -> Option<u32> {
        self.0.map(|above| above.get().wrapping_sub(1))
    }

    /// Whether the key has a deadline.
    pub const fn is_set(self) -> bool {
        self.0.is_some()
    }
}

/// Access to the [`Position`] that the owner stores beside each key.
pub trait Positions {
    /// The place to keep the position of `key`; `None` if the key is gone.
    fn position(&mut self, key: Sqn) -> Option<&mut Position>;
}

#[derive(Clone, Copy, Default)]
struct Entry {
    at: Instant,
    key: Sqn,
}

impl Entry {
    fn precedes(self, other: Entry) -> bool {
        self.at < other.at || (self.at == other.at && self.key.before(other.key))
    }
}

/// The heap. Every method that moves entries is given the owner of the positions.
pub struct Deadlines<H: Heap> {
    heap: Paged<Entry, H>,
    len: u32,
}

impl<H: Heap> Deadlines<H> {
    /// Room for `capacity` deadlines; takes no memory yet.
    pub const fn new(capacity: u32) -> Self {
        Self {
            heap: Paged::new(capacity),
            len: 0,
        }
    }

    /// What it has room for.
    pub fn capacity(&self) -> u32 {
        self.heap.capacity()
    }

    /// How many deadlines are set.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether no deadline is set.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The earliest deadline and its key.
    pub fn first(&self) -> Option<(Instant, Sqn)> {
        if self.len == 0 {
            return None;
        }
        self.heap.get(0).map(|e| (e.at, e.key))
    }

    /// Sets or moves the deadline of `key`.
    pub fn set<O: Positions>(
        &mut self,
        owner: &mut O,
        key: Sqn,
        at: Instant,
    ) -> Result<(), NoMemory> {
        let standing = owner.position(key).ok_or(NoMemory)?.place();
        let entry = Entry { at, key };
        let place = match standing {
            Some(place) => place,
            None => {
                self.heap.ensure(self.len)?;
                let place = self.len;
                self.len = self.len.saturating_add(1);
                place
            }
        };
        self.write(owner, place, entry);
        self.settle(owner, place);
        Ok(())
    }

    /// Removes the deadline of `key`, if it has one.
    pub fn cancel<O: Positions>(&mut self, owner: &mut O, key: Sqn) {
        let place = match owner.position(key) {
            Some(position) => match core::mem::take(position).place() {
                Some(place) => place,
                None => return,
            },
            None => return,
        };
        self.len = self.len.saturating_sub(1);
        if place != self.len {
            if let Some(last) = self.heap.get(self.len).copied() {
                self.write(owner, place, last);
                self.settle(owner, place);
            }
        }
        // One page that is empty is kept, so that coming and going costs no memory.
        if Paged::<Entry, H>::begins_page(self.len) {
            self.heap.release(self.len.saturating_add(PAGE));
        }
    }

    fn write<O: Positions>(&mut self, owner: &mut O, place: u32, entry: Entry) {
        if let Some(slot) = self.heap.get_mut(place) {
            *slot = entry;
        }
        if let Some(position) = owner.position(entry.key) {
            *position = Position::at(place);
        }
    }

    /// Moves the entry at `place` up or down until the heap is in order again.
    fn settle<O: Positions>(&mut self, owner: &mut O, place: u32) {
        let mut place = place;
        let Some(entry) = self.heap.get(place).copied() else {
            return;
        };
        while place > 0 {
            let parent = place.wrapping_sub(1) >> 1;
            match self.heap.get(parent).copied() {
                Some(above) if entry.precedes(above) => self.write(owner, place, above),
                _ => break,
            }
            place = parent;
        }
        loop {
            let left = place.saturating_mul(2).saturating_add(1);
            let Some(child) = self.smaller(left) else {
                break;
            };
            match self.heap.get(child).copied() {
                Some(below) if below.precedes(entry) => self.write(owner, place, below),
                _ => break,
            }
            place = child;
        }
        self.write(owner, place, entry);
    }

    /// The earlier of the entries at `left` and beside it, if there is one.
    fn smaller(&self, left: u32) -> Option<u32> {
        if left >= self.len {
            return None;
        }
        let right = left.saturating_add(1);
        if right >= self.len {
            return Some(left);
        }
        let (l, r) = (self.heap.get(left)?, self.heap.get(right)?);
        Some(if r.precedes(*l) { right } else { left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::StdHeap;
    use crate::time::Duration;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Owner(BTreeMap<u32, Position>);

    impl Positions for Owner {
        fn position(&mut self, key: Sqn) -> Option<&mut Position> {
            Some(self.0.entry(key.get()).or_default())
        }
    }

    proptest! {
        /// The heap agrees with a sorted map over any sequence of set and cancel.
        #[test]
        fn agrees_with_a_map(ops in proptest::collection::vec((0u32..40, 0u64..50, any::<bool>()), 1..400)) {
            let mut heap = Deadlines::<StdHeap>::new(64);
            let mut owner = Owner::default();
            let mut model = BTreeMap::new();
            for (key, at, set) in ops {
                let at = Instant::ZERO.after(Duration::from_nanos(at));
                if set {
                    prop_assert!(heap.set(&mut owner, Sqn::new(key), at).is_ok());
                    model.insert(key, at);
                } else {
                    heap.cancel(&mut owner, Sqn::new(key));
                    model.remove(&key);
                }
                let first = model.iter().map(|(k, at)| (*at, *k)).min();
                prop_assert_eq!(heap.first().map(|(at, k)| (at, k.get())), first);
                prop_assert_eq!(usize::try_from(heap.len()).unwrap(), model.len());
            }
        }
    }
}
