// SPDX-License-Identifier: GPL-2.0

//! A window of sequence numbers: a ring indexed by SQN, never a list (RFC 3208 §3.3, §3.4).
//!
//! The owner keeps the edges; the ring only promises that two numbers less than
//! [`Ring::capacity`] apart never share a slot. The window moves upward, and its memory with it: a
//! page is freed when the window's lower edge leaves it.

use pgm_wire::Sqn;

use crate::memory::{Heap, NoMemory};
use crate::paged::Paged;

/// The largest window in sequence numbers.
pub const RING_MAX: u32 = 1 << 17;

/// Slots for up to [`Ring::capacity`] consecutive sequence numbers.
pub struct Ring<T, H: Heap> {
    slots: Paged<Option<T>, H>,
    mask: u32,
}

impl<T, H: Heap> Ring<T, H> {
    /// A ring for at least `sqns` numbers: rounded up to a power of two, at least 64 and at most
    /// [`RING_MAX`]. Takes no memory yet.
    pub fn new(sqns: u32) -> Self {
        let capacity = sqns.clamp(64, RING_MAX).next_power_of_two();
        Self {
            slots: Paged::new(capacity),
            mask: capacity.wrapping_sub(1),
        }
    }

    /// How many consecutive numbers fit.
    pub fn capacity(&self) -> u32 {
        self.slots.capacity()
    }

    fn index(&self, sqn: Sqn) -> u32 {
        sqn.get() & self.mask
    }

    /// Makes a later [`Ring::put`] at `sqn` certain to succeed.
    pub fn reserve(&mut self, sqn: Sqn) -> Result<(), NoMemory> {
        let index = self.index(sqn);
        self.slots.ensure(index).map(|_| ())
    }

    /// Stores `value`; what was there is dropped.
    pub fn put(&mut self, sqn: Sqn, value: T) -> Result<(), NoMemory> {
        let index = self.index(sqn);
        *self.slots.ensure(index)? = Some(value);
        Ok(())
    }

    /// The slot of `sqn`, which the caller knows to be inside its window.
    pub fn get(&self, sqn: Sqn) -> Option<&T> {
        self.slots.get(self.index(sqn))?.as_ref()
    }

    /// As [`Ring::get`], to change it.
    pub fn get_mut(&mut self, sqn: Sqn) -> Option<&mut T> {
        let index = self.index(sqn);
        self.slots.get_mut(index)?.as_mut()
    }

    /// Empties the slot of `sqn`, the window's lowest number, and frees its page when the window
    /// leaves it.
    pub fn take_lowest(&mut self, sqn: Sqn) -> Option<T> {
        let index = self.index(sqn);
        let value = self.slots.get_mut(index).and_then(Option::take);
        self.leave(sqn);
        value
    }

    /// As [`Ring::take_lowest`], of a number that has no slot.
    pub fn leave(&mut self, sqn: Sqn) {
        // The window may be as long as the ring: its upper end can already stand in this page.
        if Paged::<Option<T>, H>::ends_page(self.index(sqn)) {
            self.release_if_empty(sqn);
        }
    }

    fn release_if_empty(&mut self, last: Sqn) {
        if self.slots.get(self.index(last)).is_none() {
            return;
        }
        let mut sqn = last;
        loop {
            if self.get(sqn).is_some() {
                return;
            }
            if Paged::<Option<T>, H>::begins_page(self.index(sqn)) {
                break;
            }
            sqn = sqn.prev();
        }
        let index = self.index(last);
        self.slots.release(index);
    }
}
