// SPDX-License-Identifier: GPL-2.0

//! NAK confirmations that wait to leave (RFC 3208 §5.2): a bounded queue.

use pgm_wire::{NakList, Sqn};

use crate::discard::Discard;
use crate::memory::Heap;
use crate::paged::{Paged, PAGE};

/// NCFs that may wait.
const NCFS_MAX: u32 = 64;
/// Their sequence numbers, 1 + 62 each at most; a power of two.
const SQNS_MAX: u32 = 4096;

/// One sequence number to confirm. Lists are kept flat: most NAKs name one number only.
#[derive(Clone, Copy, Default)]
struct Entry {
    sqn: Sqn,
    /// Whether its NCF ends here.
    last: bool,
    terms: Terms,
}

/// How a NAK is confirmed.
#[derive(Clone, Copy, Default)]
pub(super) struct Terms {
    /// Which address of the source it named.
    pub(super) nla: u8,
    /// Only whoever sent it is told.
    pub(super) unicast: bool,
}

/// First in, first out.
pub(super) struct NcfQueue<H: Heap> {
    entries: Paged<Entry, H>,
    /// Free-running; the place is taken modulo the capacity.
    head: u32,
    tail: u32,
    ncfs: u32,
}

impl<H: Heap> NcfQueue<H> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Paged::new(SQNS_MAX),
            head: 0,
            tail: 0,
            ncfs: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ncfs == 0
    }

    /// Queues the mirror of a NAK: the number in its header, then those of its list.
    pub(super) fn push(
        &mut self,
        sqns: impl Iterator<Item = Sqn>,
        terms: Terms,
    ) -> Result<(), Discard> {
        if self.ncfs >= NCFS_MAX {
            return Err(Discard::NakOverflow);
        }
        let mut tail = self.tail;
        for sqn in sqns {
            if tail.wrapping_sub(self.head) >= SQNS_MAX {
                return Err(Discard::NakOverflow);
            }
            let last = false;
            self.write(tail, Entry { sqn, last, terms })?;
            tail = tail.wrapping_add(1);
        }
        if let Some(entry) = self.entries.get_mut(place(tail.wrapping_sub(1))) {
            entry.last = true;
        }
        self.tail = tail;
        self.ncfs = self.ncfs.saturating_add(1);
        Ok(())
    }

    fn write(&mut self, at: u32, entry: Entry) -> Result<(), Discard> {
        self.entries.ensure(place(at))?;
        if let Some(slot) = self.entries.get_mut(place(at)) {
            *slot = entry;
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Entry> {
        if self.head == self.tail {
            return None;
        }
        let at = place(self.head);
        let entry = self.entries.get(at).copied();
        self.head = self.head.wrapping_add(1);
        // Unless the tail already stands in the same page again.
        let rest = self.tail.wrapping_sub(self.head);
        if Paged::<Entry, H>::ends_page(at) && rest <= SQNS_MAX.wrapping_sub(PAGE) {
            self.entries.release(at);
        }
        entry
    }

    /// The oldest NCF: the number of its header, its list and its terms.
    pub(super) fn pop(&mut self) -> Option<(Sqn, NakList, Terms)> {
        let first = self.take()?;
        self.ncfs = self.ncfs.saturating_sub(1);
        let mut list = NakList::default();
        let mut last = first.last;
        while !last {
            let entry = self.take()?;
            last = entry.last;
            // Cannot overflow: a NAK's list is no longer than an NCF's.
            let _ = list.push(entry.sqn);
        }
        Some((first.sqn, list, first.terms))
    }
}

fn place(at: u32) -> u32 {
    at & SQNS_MAX.wrapping_sub(1)
}
