// SPDX-License-Identifier: GPL-2.0

//! Virtual time: what is going to happen, in order. Things that happen at once do so in the order in
//! which they were planned, so that a seed decides everything.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use pgm_core::Instant;

struct Planned<E> {
    at: Instant,
    number: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Events that happen once.
pub struct Events<E> {
    heap: BinaryHeap<Reverse<Planned<E>>>,
    planned: u64,
}

impl<E> Events<E> {
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            planned: 0,
        }
    }

    /// Makes `event` happen at `at`.
    pub fn plan(&mut self, at: Instant, event: E) {
        let number = self.planned;
        self.planned += 1;
        self.heap.push(Reverse(Planned { at, number, event }));
    }

    /// When the next one happens.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(planned)| planned.at)
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<E> {
        self.heap.pop().map(|Reverse(planned)| planned.event)
    }
}

/// One timer for each node.
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// What each is set to; entries of the heap that say otherwise are stale.
    set: Vec<Option<Instant>>,
}

impl Timers {
    pub fn new(nodes: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            set: vec![None; nodes],
        }
    }

    /// Sets the timer of `node`, or stops it.
    pub fn set(&mut self, node: usize, at: Option<Instant>) {
        if self.set[node] != at {
            self.set[node] = at;
            self.heap.extend(at.map(|at| Reverse((at, node))));
        }
    }

    /// When the next one expires.
    pub fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, node))) = self.heap.peek() {
            if self.set[*node] == Some(*at) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Lets the one that [`Self::next`] spoke of expire; its node.
    pub fn pop(&mut self) -> Option<usize> {
        let Reverse((_, node)) = self.heap.pop()?;
        self.set[node] = None;
        Some(node)
    }
}
