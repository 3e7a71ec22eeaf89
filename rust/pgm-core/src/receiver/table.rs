// SPDX-License-Identifier: GPL-2.0

//! Sessions by TSI (RFC 3208 §3.1): a hash table with a secret, whose entries have fixed places, and
//! the queues they stand in.

use pgm_wire::{Sqn, Tsi};

use crate::deadlines::{Position, Positions};
use crate::memory::{Heap, NoMemory};
use crate::paged::Paged;
use crate::receiver::Receiver;
use crate::rng::Rng;
use crate::time::Instant;

/// No entry.
const NIL: u32 = u32::MAX;

/// The queues an entry may stand in, in each of them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Sessions that may have something for the application.
    Deliver,
    /// Sessions that may have something to send.
    Transmit,
    /// Sessions that ended, the oldest first.
    Ended,
    /// Sessions that are not proven, the oldest first.
    Unproven,
}

const QUEUES: usize = 4;

impl Queue {
    const ALL: [Self; QUEUES] = [Self::Deliver, Self::Transmit, Self::Ended, Self::Unproven];

    const fn place(self) -> usize {
        match self {
            Queue::Deliver => 0,
            Queue::Transmit => 1,
            Queue::Ended => 2,
            Queue::Unproven => 3,
        }
    }
}

/// What an entry holds.
pub(super) enum State<P, H: Heap> {
    Vacant,
    Live(H::Array<Option<Receiver<P, H>>>),
    /// Ended; when a packet of its aftermath was heard last.
    Ended(Instant),
}

#[derive(Clone, Copy)]
struct Link {
    queued: bool,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct Ends {
    head: u32,
    tail: u32,
}

/// One session, or the place for one.
pub(super) struct Entry<P, H: Heap> {
    pub(super) state: State<P, H>,
    tsi: Tsi,
    /// The next entry of the same bucket, or of the free list.
    chain: u32,
    links: [Link; QUEUES],
    pub(super) position: Position,
    /// When the deadline is set; never later than it should be.
    pub(super) armed: Instant,
}

impl<P, H: Heap> Default for Entry<P, H> {
    fn default() -> Self {
        let link = Link {
            queued: false,
            previous: NIL,
            next: NIL,
        };
        Self {
            state: State::Vacant,
            tsi: Tsi::default(),
            chain: NIL,
            links: [link; QUEUES],
            position: Position::NONE,
            armed: Instant::FAR,
        }
    }
}

impl<P, H: Heap> Entry<P, H> {
    pub(super) fn receiver(&self) -> Option<&Receiver<P, H>> {
        match &self.state {
            State::Live(boxed) => boxed.first()?.as_ref(),
            _ => None,
        }
    }

    pub(super) fn receiver_mut(&mut self) -> Option<&mut Receiver<P, H>> {
        match &mut self.state {
            State::Live(boxed) => boxed.first_mut()?.as_mut(),
            _ => None,
        }
    }
}

/// The table. An entry is named by its index as long as it is not vacant.
pub(super) struct Table<P, H: Heap> {
    entries: Paged<Entry<P, H>, H>,
    /// Entry index plus one, 0 if the bucket is empty.
    buckets: Paged<u32, H>,
    keys: [u64; 2],
    /// Entries ever used, and the free ones among them.
    used: u32,
    free: u32,
    queues: [Ends; QUEUES],
}

impl<P, H: Heap> Positions for Table<P, H> {
    fn position(&mut self, key: Sqn) -> Option<&mut Position> {
        self.get_mut(key.get()).map(|entry| &mut entry.position)
    }
}

impl<P, H: Heap> Table<P, H> {
    /// An empty table of at most `capacity` entries. `keys` are secret.
    pub(super) fn new(capacity: u32, keys: [u64; 2]) -> Self {
        let ends = Ends {
            head: NIL,
            tail: NIL,
        };
        Self {
            entries: Paged::new(capacity),
            buckets: Paged::new(capacity.next_power_of_two()),
            keys,
            used: 0,
            free: NIL,
            queues: [ends; QUEUES],
        }
    }

    /// Indexes below this may be in use.
    pub(super) const fn used(&self) -> u32 {
        self.used
    }

    /// Whether there is no place for another entry.
    pub(super) fn is_full(&self) -> bool {
        self.free == NIL && self.used >= self.entries.capacity()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Entry<P, H>> {
        self.entries.get(index)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Entry<P, H>> {
        self.entries.get_mut(index)
    }

    fn bucket(&self, tsi: Tsi) -> u32 {
        let [a, b, c, d, e, f] = tsi.gsi.0;
        let [g, h] = tsi.sport.to_be_bytes();
        let [first, second] = self.keys;
        let once = Rng::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ first).next_u64();
        let hash = Rng::new(once ^ second).next_u64() >> 32;
        u32::try_from(hash).unwrap_or(0) & self.buckets.capacity().wrapping_sub(1)
    }

    /// The entry of `tsi`.
    pub(super) fn find(&self, tsi: Tsi) -> Option<u32> {
        let mut index = self.buckets.get(self.bucket(tsi))?.checked_sub(1)?;
        loop {
            let entry = self.get(index)?;
            if entry.tsi == tsi {
                return Some(index);
            }
            index = entry.chain;
        }
    }

    /// Makes an entry for `tsi`, which has none.
    pub(super) fn insert(&mut self, tsi: Tsi, state: State<P, H>) -> Result<u32, NoMemory> {
        let bucket = self.bucket(tsi);
        self.buckets.ensure(bucket)?;
        let index = match self.get(self.free) {
            Some(entry) => {
                let next = entry.chain;
                core::mem::replace(&mut self.free, next)
            }
            None => {
                self.entries.ensure(self.used)?;
                let index = self.used;
                self.used = self.used.saturating_add(1);
                index
            }
        };
        let head = self.buckets.get_mut(bucket).ok_or(NoMemory)?;
        let chain = head.checked_sub(1).unwrap_or(NIL);
        *head = index.saturating_add(1);
        let entry = self.get_mut(index).ok_or(NoMemory)?;
        *entry = Entry {
            state,
            tsi,
            chain,
            ..Entry::default()
        };
        Ok(index)
    }

    /// Empties an entry, whose deadline was cancelled before.
    pub(super) fn remove(&mut self, index: u32) -> State<P, H> {
        self.unchain(index);
        for queue in Queue::ALL {
            self.unqueue(queue, index);
        }
        let free = self.free;
        let Some(entry) = self.get_mut(index) else {
            return State::Vacant;
        };
        let state = core::mem::replace(&mut entry.state, State::Vacant);
        entry.chain = free;
        self.free = index;
        state
    }

    fn unchain(&mut self, index: u32) {
        let Some(entry) = self.get(index) else {
            return;
        };
        let next = entry.chain;
        let bucket = self.bucket(entry.tsi);
        let Some(head) = self.buckets.get_mut(bucket) else {
            return;
        };
        if *head == index.saturating_add(1) {
            *head = if next == NIL {
                0
            } else {
                next.saturating_add(1)
            };
            return;
        }
        let mut at = head.checked_sub(1).unwrap_or(NIL);
        while let Some(entry) = self.get_mut(at) {
            if entry.chain == index {
                entry.chain = next;
                return;
            }
            at = entry.chain;
        }
    }

    /// The first entry of a queue.
    pub(super) fn front(&self, queue: Queue) -> Option<u32> {
        let head = self.queues.get(queue.place())?.head;
        (head != NIL).then_some(head)
    }

    fn link(&mut self, queue: Queue, index: u32) -> Option<&mut Link> {
        self.get_mut(index)?.links.get_mut(queue.place())
    }

    /// Appends an entry to a queue, unless it stands in it.
    pub(super) fn enqueue(&mut self, queue: Queue, index: u32) {
        if self.link(queue, index).is_none_or(|link| link.queued) {
            return;
        }
        let Some(ends) = self.queues.get_mut(queue.place()) else {
            return;
        };
        let tail = core::mem::replace(&mut ends.tail, index);
        if tail == NIL {
            ends.head = index;
        } else if let Some(link) = self.link(queue, tail) {
            link.next = index;
        }
        if let Some(link) = self.link(queue, index) {
            *link = Link {
                queued: true,
                previous: tail,
                next: NIL,
            };
        }
    }

    /// Removes the first entry of a queue.
    pub(super) fn dequeue(&mut self, queue: Queue) {
        if let Some(index) = self.front(queue) {
            self.unqueue(queue, index);
        }
    }

    /// Removes an entry from a queue, if it stands in it.
    pub(super) fn unqueue(&mut self, queue: Queue, index: u32) {
        let Some(link) = self.link(queue, index).filter(|link| link.queued) else {
            return;
        };
        link.queued = false;
        let Link { previous, next, .. } = *link;
        if let Some(link) = self.link(queue, previous) {
            link.next = next;
        }
        if let Some(link) = self.link(queue, next) {
            link.previous = previous;
        }
        if let Some(ends) = self.queues.get_mut(queue.place()) {
            if previous == NIL {
                ends.head = next;
            }
            if next == NIL {
                ends.tail = previous;
            }
        }
    }

    /// Checks every list and chain the slow way; tells how many entries are live, and ended.
    #[cfg(test)]
    pub(super) fn check(&self) -> (u32, u32) {
        let mut free = std::collections::BTreeSet::new();
        let mut at = self.free;
        while let Some(entry) = self.get(at) {
            assert!(free.insert(at), "a loop in the free list");
            at = entry.chain;
        }
        for queue in Queue::ALL {
            let mut queued = std::collections::BTreeSet::new();
            let mut at = self.queues[queue.place()].head;
            while let Some(entry) = self.get(at) {
                assert!(queued.insert(at), "a loop in {queue:?}");
                at = entry.links[queue.place()].next;
            }
            for index in 0..self.used {
                let link = self.get(index).unwrap().links[queue.place()];
                assert_eq!(link.queued, queued.contains(&index));
                if queue == Queue::Unproven {
                    let receiver = self.get(index).unwrap().receiver();
                    assert_eq!(link.queued, receiver.is_some_and(|r| !r.is_proven()));
                }
            }
        }
        let (mut live, mut ended) = (0u32, 0u32);
        for index in 0..self.used {
            let entry = self.get(index).unwrap();
            match &entry.state {
                State::Vacant => {
                    assert!(free.contains(&index));
                    assert!(entry.links.iter().all(|link| !link.queued));
                    assert!(!entry.position.is_set());
                    continue;
                }
                State::Live(_) => live = live.saturating_add(1),
                State::Ended(_) => ended = ended.saturating_add(1),
            }
            assert!(!free.contains(&index) && entry.position.is_set());
            assert_eq!(self.find(entry.tsi), Some(index));
        }
        (live, ended)
    }
}
