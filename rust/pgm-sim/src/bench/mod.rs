// SPDX-License-Identifier: GPL-2.0

//! How recovery grows with the number of receivers, and what overload leaves of the goodput: the rows of
//! `make bench-sim`.

pub mod report;

use pgm_core::receiver::ReceiverConfig;
use pgm_core::source::SourceConfig;
use pgm_core::Duration;

use crate::draw::MILLION;
use crate::link::{Bottleneck, Profile};
use crate::report::{ratio, Outcome};
use crate::scenario::{receiver, source, Ending, Place, Scenario, Traffic};

/// Bytes a second of every bottleneck.
const CAPACITY: u64 = 3_000_000;
/// What waits in front of it at most.
const QUEUE: u64 = 300_000;
/// TSDU bytes of a message in an overload.
const MESSAGE: usize = 1_000;

/// Where packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// In front of each receiver, its NAKs included.
    Independent,
    /// In front of all of them.
    Shared,
    /// A third in front of all, a third in front of each of about sqrt(N) branches, a third in front of
    /// each receiver.
    Tree,
}

impl Loss {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Shared => "shared",
            Self::Tree => "tree",
        }
    }
}

/// One row of the first table.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// Where packets are lost.
    pub loss: Loss,
    /// How many, in parts per million.
    pub ppm: u64,
    /// Receivers.
    pub receivers: u32,
    /// Mean round-trip time; those of the receivers are 50 % to 150 % of it.
    pub rtt: Duration,
    /// Messages.
    pub messages: u64,
    /// Time between two of them.
    pub interval: Duration,
}

/// One row of the second table.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// Receivers.
    pub receivers: u32,
    /// Whether each has a bottleneck of its own.
    pub apart: bool,
    /// What is sent, in percent of what passes the bottleneck.
    pub percent: u64,
}

/// All rows of the first table. Few receivers are where `make bench` measures too; the others show how
/// it grows. Virtual time costs nothing but packets do, so the more hear them, the fewer are sent.
pub fn recoveries() -> Vec<Recovery> {
    let mut rows = Vec::new();
    let guest = Duration::from_micros(120);
    for ppm in [10_000, 50_000] {
        for receivers in [1, 4] {
            rows.push(row(Loss::Independent, ppm, receivers, guest));
        }
    }
    let rtt = Duration::from_millis(1);
    for loss in [Loss::Independent, Loss::Shared, Loss::Tree] {
        for receivers in [1, 4, 16, 64] {
            rows.push(row(loss, 10_000, receivers, rtt));
        }
        // Few messages must still see losses in front of everybody.
        for receivers in [1, 4, 16, 64, 1_000, 10_000, 100_000] {
            rows.push(row(loss, 50_000, receivers, rtt));
        }
    }
    rows
}

fn row(loss: Loss, ppm: u64, receivers: u32, rtt: Duration) -> Recovery {
    let messages = match receivers {
        0..=16 => 20_000,
        17..=64 => 8_000,
        65..=1_000 => 400,
        1_001..=10_000 => 100,
        _ => 40,
    };
    Recovery {
        loss,
        ppm,
        receivers,
        rtt,
        messages,
        interval: Duration::from_micros(500),
    }
}

/// All rows of the second table.
pub fn overloads() -> Vec<Overload> {
    let mut rows = Vec::new();
    for (receivers, apart) in [(1, false), (4, true)] {
        for percent in [50, 80, 90, 100, 110, 150, 200, 500] {
            rows.push(Overload {
                receivers,
                apart,
                percent,
            });
        }
    }
    rows
}

fn lossy(ppm: u64) -> Profile {
    Profile {
        loss: ppm,
        ..Profile::default()
    }
}

impl Recovery {
    /// The run.
    pub fn scenario(&self) -> Scenario {
        let n = self.receivers;
        let third = self.ppm / 3;
        let (shared, branch, leaf) = match self.loss {
            Loss::Independent => (0, 0, self.ppm),
            Loss::Shared => (self.ppm, 0, 0),
            Loss::Tree => (third, third, third),
        };
        let branches = n.isqrt().max(1);
        let place = |at: u32| {
            let delay = self.rtt.scale(50 + at.wrapping_mul(61) % 101, 200);
            let profile = Profile {
                delay,
                ..lossy(leaf)
            };
            Place {
                down: profile,
                up: profile,
                branch: Some((at % branches) as usize),
                joins: Duration::ZERO,
                stall: None,
            }
        };
        Scenario {
            seed: 1,
            source: source(12_500_000),
            receiver: ReceiverConfig {
                near: self.rtt < Duration::from_millis(1),
                ..receiver()
            },
            traffic: Traffic {
                apdus: self.messages,
                mss: 16,
                fragments_max: 1,
                pause_ppm: 0,
                pause: Duration::ZERO,
                steady: Some(self.interval),
            },
            shared: lossy(shared),
            branches: vec![lossy(branch); branches as usize],
            places: (0..n).map(place).collect(),
            ending: Ending::Fin,
            refusals: 0,
            ample: true,
        }
    }

    /// Times that a packet must be sent until everybody has it, if all that is known of it are NAKs.
    pub fn bound(&self) -> f64 {
        let p = self.ppm as f64 / MILLION as f64;
        let (shared, branch, leaf) = match self.loss {
            Loss::Independent => (0.0, 0.0, p),
            Loss::Shared => (p, 0.0, 0.0),
            Loss::Tree => (p / 3.0, p / 3.0, p / 3.0),
        };
        let n = self.receivers;
        let branches = f64::from(n.isqrt().max(1));
        let leaves = f64::from(n) / branches;
        // Somebody has not got it after so many transmissions, each of which loses alike; summed.
        let mut expected = 0.0;
        let mut open = 1.0;
        let mut times = 0;
        while open > 1e-9 && times < 200 {
            expected += open;
            times += 1;
            open = missing(times, shared, branch, leaf, branches, leaves);
        }
        expected
    }
}

/// The probability that some receiver of a tree lacks a packet after `times` transmissions.
fn missing(times: i32, shared: f64, branch: f64, leaf: f64, branches: f64, leaves: f64) -> f64 {
    // How many of them pass a link: the binomial distribution.
    let passes = |of: i32, loss: f64, then: &dyn Fn(i32) -> f64| {
        let mut weight = loss.powi(of);
        let mut sum = 0.0;
        for n in 0..=of {
            sum += weight * then(n);
            if loss == 0.0 {
                return then(of);
            }
            weight *= f64::from(of - n) / f64::from(n + 1) * (1.0 - loss) / loss;
        }
        sum
    };
    let whole = passes(times, shared, &|behind_shared| {
        let one = passes(behind_shared, branch, &|behind_branch| {
            (1.0 - leaf.powi(behind_branch)).powf(leaves)
        });
        one.powf(branches)
    });
    1.0 - whole
}

impl Overload {
    /// The run: five seconds of sending.
    pub fn scenario(&self) -> Scenario {
        let bottleneck = Profile {
            bottleneck: Some(Bottleneck {
                rate: CAPACITY,
                queue: QUEUE,
            }),
            ..Profile::default()
        };
        let (shared, own) = if self.apart {
            (Profile::default(), bottleneck)
        } else {
            (bottleneck, Profile::default())
        };
        let delay = Duration::from_micros(500);
        let place = |_| Place {
            down: Profile { delay, ..own },
            up: Profile {
                delay,
                ..Profile::default()
            },
            branch: None,
            joins: Duration::ZERO,
            stall: None,
        };
        let apdus = self.messages(5);
        let rate = 12_500_000;
        Scenario {
            seed: 1,
            source: SourceConfig {
                // As the defaults say: so much time's worth of the rate.
                window: Duration::from_nanos((16 << 20) * 1_000_000_000 / rate),
                window_bytes: 16 << 20,
                ..source(rate)
            },
            receiver: receiver(),
            traffic: Traffic {
                apdus,
                mss: MESSAGE,
                fragments_max: 1,
                pause_ppm: 0,
                pause: Duration::ZERO,
                steady: Some(Duration::from_nanos(5_000_000_000 / apdus)),
            },
            shared,
            branches: Vec::new(),
            places: (0..self.receivers).map(place).collect(),
            ending: Ending::Fin,
            refusals: 0,
            ample: false,
        }
    }

    /// How many messages come in so many seconds.
    fn messages(&self, seconds: u64) -> u64 {
        CAPACITY * self.percent / 100 * seconds / (MESSAGE as u64 + 44)
    }

    /// What the receivers got while the second half was sent, each in a share of what passes the
    /// bottleneck: by then what is delivered lags behind by no more than before.
    pub fn goodput(&self, outcome: &Outcome) -> f64 {
        let capacity = Self {
            percent: 100,
            ..*self
        };
        ratio(
            outcome.in_time,
            capacity.messages(5) * u64::from(self.receivers) / 2,
        )
    }
}

/// What a row of the first table came to.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Round-trip times from when a packet would have come to when its repair came, of receivers.
    pub rtts: [f64; 2],
    /// Milliseconds from sending to delivery, in order, of messages at receivers.
    pub age: [f64; 2],
    /// NAK packets at the source for each packet that anybody lost.
    pub naks: f64,
    /// Packets with data for each message.
    pub wire: f64,
    /// NAK confirmations for each message.
    pub ncfs: f64,
    /// Packets that somebody lost.
    pub losses: u64,
}

impl Figures {
    /// Those of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let age = |permille| outcome.ages.quantile(permille) as f64 / 1_000.0;
        Self {
            rtts: outcome.recovery_rtts([500, 990]),
            age: [age(500), age(990)],
            naks: ratio(outcome.naks_at_source, outcome.odata_missed),
            wire: ratio(outcome.odata + outcome.rdata, outcome.odata),
            ncfs: ratio(outcome.ncfs, outcome.odata),
            losses: outcome.odata_missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_theory() {
        let bound = |loss, ppm, receivers| {
            let row = Recovery {
                loss,
                ppm,
                receivers,
                rtt: Duration::from_millis(1),
                messages: 1,
                interval: Duration::ZERO,
            };
            (row.bound() * 1_000.0).round() / 1_000.0
        };
        for (ppm, receivers, expected) in [
            (1_000, 64, 1.062),
            (10_000, 4, 1.040),
            (50_000, 16, 1.601),
            (50_000, 64, 2.119),
        ] {
            assert_eq!(bound(Loss::Independent, ppm, receivers), expected);
        }
        assert_eq!(bound(Loss::Shared, 50_000, 100_000), 1.053);
        let tree = bound(Loss::Tree, 50_000, 64);
        assert!(
            tree > bound(Loss::Tree, 50_000, 1) && tree < 2.119,
            "{tree}"
        );
    }
}
