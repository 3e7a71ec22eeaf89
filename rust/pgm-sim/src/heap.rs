// SPDX-License-Identifier: GPL-2.0

//! Memory that is refused now and then.

use std::cell::RefCell;

use pgm_core::{Heap, Rng, StdHeap};

use crate::draw::Draw;

std::thread_local! {
    /// How often memory is refused on this thread, in parts per million, and what decides it.
    static REFUSALS: RefCell<(u64, Rng)> = const { RefCell::new((0, Rng::new(0))) };
}

/// Sets how often memory is refused in the run that this thread starts.
pub fn refuse(ppm: u64, rng: Rng) {
    REFUSALS.set((ppm, rng));
}

/// The standard allocator with refusals.
pub struct MeagreHeap;

impl Heap for MeagreHeap {
    type Array<T> = Vec<T>;

    fn array<T: Default>(len: usize) -> Option<Vec<T>> {
        let refused = REFUSALS.with_borrow_mut(|(ppm, rng)| *ppm > 0 && rng.chance(*ppm));
        if refused {
            return None;
        }
        StdHeap::array(len)
    }
}
