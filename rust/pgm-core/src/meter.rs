// SPDX-License-Identifier: GPL-2.0

//! How fast a session is: over all its time, and lately.

use crate::time::{Duration, Instant};

/// "Lately" is an interval of at least this length that has ended.
const INTERVAL: Duration = Duration::from_secs(1);
const SECOND: u64 = 1_000_000_000;

/// Looks at a counter of bytes that somebody else keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    start: Instant,
    /// When the interval began that is not over, and what the counter was then.
    mark: Instant,
    marked: u64,
    /// Bytes a second of the interval before.
    last: u64,
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Since the session began.
    pub overall: u64,
    /// In the last whole second or longer.
    pub recent: u64,
}

impl Meter {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            start: now,
            mark: now,
            marked: 0,
            last: 0,
        }
    }

    /// When the session began.
    #[inline]
    pub(crate) const fn start(&self) -> Instant {
        self.start
    }

    /// The counter is about to go up from `bytes`.
    #[inline]
    pub(crate) fn tick(&mut self, now: Instant, bytes: u64) {
        if now.since(self.mark) >= INTERVAL {
            self.turn(now, bytes);
        }
    }

    /// An interval has ended.
    fn turn(&mut self, now: Instant, bytes: u64) {
        self.last = rate(bytes.saturating_sub(self.marked), now.since(self.mark));
        self.mark = now;
        self.marked = bytes;
    }

    /// The rates when the counter is at `bytes`.
    pub(crate) fn rates(&self, now: Instant, bytes: u64) -> Rates {
        let mut this = *self;
        this.tick(now, bytes);
        Rates {
            overall: rate(bytes, now.since(self.start)),
            recent: this.last,
        }
    }
}

fn rate(bytes: u64, time: Duration) -> u64 {
    let micros = time.nanos() / 1_000;
    bytes
        .saturating_mul(SECOND / 1_000)
        .checked_div(micros)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u32) -> Instant {
        Instant::ZERO.after(Duration::from_millis(ms))
    }

    #[test]
    fn rates_of_a_burst_and_a_silence() {
        let mut meter = Meter::new(at(5_000));
        for n in 0..200 {
            meter.tick(at(5_000 + n * 10), u64::from(n) * 1_000);
        }
        let steady = Rates {
            overall: 100_000,
            recent: 100_000,
        };
        assert_eq!(meter.rates(at(7_000), 200_000), steady);
        assert_eq!(meter.rates(at(25_000), 200_000).overall, 10_000);
        let late = meter.rates(at(25_000), 200_000).recent;
        assert!(late < 6_000, "the silence counts");
        meter.tick(at(25_000), 200_000);
        assert_eq!(meter.rates(at(26_000), 201_000).recent, 1_000);
    }
}
