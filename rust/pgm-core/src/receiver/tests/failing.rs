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

/// A heap that refuses what deadlines stand in, and nothing else, while [`refuse`] says so.
struct WithoutDeadlines;

impl Heap for WithoutDeadlines {
    type Array<T> = Vec<T>;

    fn array<T: Default>(len: usize) -> Option<Vec<T>> {
        // An instant and a number.
        let refused = size_of::<T>() == 16 && STATE.with(Cell::get).0 > 0;
        if refused {
            None
        } else {
            StdHeap::array(len)
        }
    }
}

// req: NAK-22
// attack: A-11
#[test]
fn a_walk_that_reached_its_bound_goes_on_without_a_packet() {
    let mut rig = Rig::<WithoutDeadlines>::with(config(), 1);
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    // 1 is missing, but there is no memory to ask for it, nor for what is missing behind it.
    refuse(100, 1);
    for sqn in (2..1_500).chain(1_501..1_503) {
        rig.odata(sqn).unwrap();
    }
    refuse(0, 1);
    // Now all but 1500 is here, and whether that is lost is as far away as one call does not look.
    rig.odata(1).unwrap();
    assert!(!rig.rx.is_quiet());
    assert_eq!(rig.take_out(), singles(0..1_500));
    rig.wait(ms(500));
    assert_eq!(rig.asked().first(), Some(&1_500));
}
