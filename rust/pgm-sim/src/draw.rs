// SPDX-License-Identifier: GPL-2.0

//! Choices from the engine's own generator.

use pgm_core::{Duration, Rng};

/// One million: probabilities are parts of it.
pub const MILLION: u64 = 1_000_000;

/// What a scenario draws.
pub trait Draw {
    /// Uniform over `low..=high`.
    fn between(&mut self, low: u64, high: u64) -> u64;

    /// True `ppm` times in a million.
    fn chance(&mut self, ppm: u64) -> bool {
        self.between(0, MILLION - 1) < ppm
    }

    /// Uniform over `low..=high`, in microseconds.
    fn micros(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_nanos(self.between(low, high) * 1_000)
    }

    /// Spread evenly over the orders of magnitude from `low` to `high`.
    fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        let doublings = high.checked_div(low).map_or(0, u64::ilog2);
        let floor = low << self.between(0, u64::from(doublings));
        self.between(floor, (2 * floor).min(high))
    }

    /// An independent generator.
    fn fork(&mut self) -> Rng;
}

impl Draw for Rng {
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next_u64() % (high - low + 1)
    }

    fn fork(&mut self) -> Rng {
        Rng::new(self.next_u64())
    }
}
