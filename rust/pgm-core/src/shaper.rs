// SPDX-License-Identifier: GPL-2.0

//! The token bucket at TXW_MAX_RTE and the bound on back-to-back packets (RFC 3208 §5.1.2).

use crate::time::{Duration, Instant};

/// How much faster than TXW_MAX_RTE packets may follow each other inside a burst.
const PEAK: u32 = 8;
/// The leaky bucket at the peak rate holds this much time's worth of it: timers are coarser than
/// the gap between two packets.
const PEAK_DEPTH: Duration = Duration::from_micros(500);
/// The bucket holds this much time's worth of TXW_MAX_RTE, or [`MIN_DEPTH`] if that is more.
const DEPTH: Duration = Duration::from_millis(8);
/// Bytes: a few full packets, so that slow sources still send them whole.
const MIN_DEPTH: u64 = 6_000;
const SECOND: u64 = 1_000_000_000;

/// A token bucket in bytes. Tokens are kept as time: a debt that real time pays back.
#[derive(Clone, Debug)]
pub(crate) struct Shaper {
    rate: u64,
    /// When the bucket will be full again: a virtual clock that every byte pushes ahead.
    full_at: Instant,
    /// When the leaky bucket at the peak rate will have run dry.
    dry_at: Instant,
}

impl Shaper {
    /// `rate` in bytes a second.
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            full_at: Instant::ZERO,
            dry_at: Instant::ZERO,
        }
    }

    /// Changes the rate. What is owed is bytes: at another rate they take another time.
    pub(crate) fn set_rate(&mut self, now: Instant, rate: u64) {
        let (old, rate) = (self.rate, rate.max(1));
        for at in [&mut self.full_at, &mut self.dry_at] {
            let owed = at.since(now).nanos();
            let ns = match owed.checked_mul(old) {
                Some(product) => product.checked_div(rate).unwrap_or(0),
                // Too long for nanoseconds, so whole bytes are precise enough.
                None => {
                    let second = owed.checked_div(1_000).unwrap_or(0).saturating_mul(old);
                    let bytes = second.checked_div(1_000_000).unwrap_or(0);
                    Self::cost(bytes, rate).nanos()
                }
            };
            *at = now.after(Duration::from_nanos(ns));
        }
        self.rate = rate;
    }

    fn cost(bytes: u64, rate: u64) -> Duration {
        let ns = bytes.saturating_mul(SECOND).checked_div(rate);
        Duration::from_nanos(ns.unwrap_or(0))
    }

    fn depth(&self) -> Duration {
        DEPTH.max(Self::cost(MIN_DEPTH, self.rate))
    }

    /// When a packet that takes so long may leave.
    fn opens_at(&self, cost: Duration) -> Instant {
        let debt = self.full_at.after(cost);
        debt.before(self.depth())
            .max(self.dry_at.before(PEAK_DEPTH))
    }

    /// When a packet of `bytes` may leave: now or earlier means at once.
    pub(crate) fn ready_at(&self, bytes: u64) -> Instant {
        self.opens_at(Self::cost(bytes, self.rate))
    }

    /// Lets a packet of `bytes` leave, if it may at `now`: how long it takes at the rate.
    #[inline]
    pub(crate) fn take(&mut self, now: Instant, bytes: u64) -> Option<Duration> {
        let cost = Self::cost(bytes, self.rate);
        if self.opens_at(cost) > now {
            return None;
        }
        self.full_at = self.full_at.max(now).after(cost);
        self.dry_at = self.dry_at.max(now).after(cost.scale(1, PEAK));
        Some(cost)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// Sends 1500-byte packets as fast as the shaper lets, and slides every interval over the run.
    /// Bytes that leave within `span` from `now` on, in packets of 100.
    fn leave(shaper: &mut Shaper, now: Instant, span: Duration) -> u64 {
        let (mut at, mut bytes) = (now, 0);
        loop {
            at = at.max(shaper.ready_at(100));
            if at.since(now) > span {
                return bytes;
            }
            shaper.take(at, 100).unwrap();
            bytes += 100;
        }
    }

    // req: SRC-04
    #[test]
    fn a_change_of_rate_lets_no_bucket_out() {
        let now = Instant::ZERO.after(Duration::from_secs(1));
        let mut shaper = Shaper::new(10_000_000);
        // The bucket of 80 kB is empty.
        leave(&mut shaper, now, Duration::from_millis(100));
        let now = now.after(Duration::from_millis(100));
        shaper.set_rate(now, 100_000);
        // What is owed above the new bucket, 74 kB, is paid first.
        assert_eq!(leave(&mut shaper, now, Duration::from_millis(730)), 0);
        let now = now.after(Duration::from_millis(800));
        let bytes = leave(&mut shaper, now, Duration::from_secs(1));
        assert!((98_000..=108_000).contains(&bytes), "{bytes}");
        // And back: what is owed now is soon paid.
        let now = now.after(Duration::from_secs(1));
        shaper.set_rate(now, 10_000_000);
        let bytes = leave(&mut shaper, now, Duration::from_millis(100));
        assert!((1_060_000..=1_080_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn debts_of_any_size_are_converted() {
        for (old, new) in [(u64::MAX, 1), (1, u64::MAX), (1 << 40, 1 << 10)] {
            let mut shaper = Shaper::new(old);
            shaper.full_at = Instant::ZERO.after(Shaper::cost(1 << 40, old));
            let owed = Instant::ZERO.after(Duration::from_nanos(1));
            shaper.set_rate(owed, new);
            assert!(shaper.ready_at(100) >= Instant::ZERO);
        }
    }

    // req: SRC-03 SRC-04 SRC-05
    #[test]
    fn any_interval_stays_below_bucket_plus_rate() {
        for rate in [16_000u64, 1_000_000, 125_000_000] {
            let mut shaper = Shaper::new(rate);
            let mut now = Instant::ZERO.after(Duration::from_secs(1));
            let mut sent = std::vec::Vec::new();
            for _ in 0..300 {
                now = now.max(shaper.ready_at(1500));
                shaper.take(now, 1500).unwrap();
                sent.push(now.nanos());
            }
            let depth = shaper.depth().nanos() * rate / SECOND;
            let peak = rate * u64::from(PEAK);
            let peak_depth = PEAK_DEPTH.nanos() * peak / SECOND + 1500;
            for (i, from) in sent.iter().enumerate() {
                for (j, to) in sent.iter().enumerate().skip(i) {
                    let bytes = u64::try_from(j - i + 1).unwrap() * 1500;
                    assert!(bytes <= depth + (to - from) * rate / SECOND + 2);
                    assert!(bytes <= peak_depth + (to - from) * peak / SECOND + 2);
                }
            }
            let long_run = (sent[299] - sent[0]) * rate / SECOND;
            assert!(long_run <= 299 * 1500 && long_run + depth + 1500 >= 299 * 1500);
        }
    }
}
