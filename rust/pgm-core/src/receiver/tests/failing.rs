// SPDX-License-Identifier: GPL-2.0

//! A heap that refuses at random, or always.

use super::*;
use std::cell::Cell;

thread_local! {
    static STATE: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Refuses `n` of 100 allocations from now on.
pub(super) fn refuse(n: u64, seed: u64) {
    STATE.with(|state| state.set((n, seed)));
}

pub(super) struct Failing;

impl Heap for Failing {
    type Array<T> = Vec<T>;

    fn array<T: Default>(len: usize) -> Option<Vec<T>> {
        let (n, seed) = STATE.with(Cell::get);
        let draw = crate::rng::Rng::new(seed).next_u64();
        STATE.with(|state| state.set((n, draw)));
        if draw % 100 < n {
            None
        } else {
            StdHeap::array(len)
        }
    }
}
