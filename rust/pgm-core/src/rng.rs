// SPDX-License-Identifier: GPL-2.0

//! Random intervals from a seed that the caller provides, so that a seed decides a run.

use crate::time::Duration;

/// SplitMix64: small, fast, and good enough to spread back-offs. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole output follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform over (0, `max`]: how NAK_RB_IVL is drawn over NAK_BO_IVL (RFC 3208 §6.3).
    pub fn interval(&mut self, max: Duration) -> Duration {
        let ns = self.next_u64().checked_rem(max.nanos()).unwrap_or(0);
        Duration::from_nanos(ns.saturating_add(1))
    }
}
