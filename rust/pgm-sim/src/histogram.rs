// SPDX-License-Identifier: GPL-2.0

//! Counts of numbers over many orders of magnitude.

use std::collections::BTreeMap;

/// Bits of a number that are kept.
const BITS: u32 = 7;

/// How often each number came; numbers that agree in their seven highest bits, to 1.6 %, are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Histogram {
    /// Counts `value`.
    pub fn add(&mut self, value: u64) {
        let low = (u64::BITS - value.leading_zeros()).saturating_sub(BITS);
        *self.counts.entry(value >> low << low).or_default() += 1;
        self.total += 1;
    }

    /// Adds the counts of another one.
    pub fn merge(&mut self, other: &Self) {
        for (value, count) in &other.counts {
            *self.counts.entry(*value).or_default() += count;
        }
        self.total += other.total;
    }

    /// The number that `permille` of a thousand do not exceed.
    pub fn quantile(&self, permille: u64) -> u64 {
        let mut left = (self.total * permille).div_ceil(1_000);
        for (value, count) in &self.counts {
            if *count >= left {
                return *value;
            }
            left -= count;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_two_percent() {
        let mut all = Histogram::default();
        let mut half = Histogram::default();
        for value in 1..=50_000 {
            all.add(value);
            half.add(value + 50_000);
        }
        all.merge(&half);
        for permille in [1, 10, 500, 990, 999, 1_000] {
            let (found, right) = (all.quantile(permille), permille * 100);
            assert!(found <= right && right - found <= right / 50, "{found}");
        }
        assert_eq!(Histogram::default().quantile(500), 0);
    }
}
