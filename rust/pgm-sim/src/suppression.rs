// SPDX-License-Identifier: GPL-2.0

//! Many receivers behind one loss: how many NAKs reach the source before its NCF has silenced the
//! rest (RFC 3208 §6.3).

use std::fmt;

use pgm_core::Duration;

use crate::draw::MILLION;
use crate::link::Profile;
use crate::report::{ratio, Outcome};
use crate::scenario::{receiver, source, Ending, Place, Scenario, Traffic};

/// The scenario: `receivers` at about `rtt` from the source, engine defaults, and a first link that
/// loses `loss` parts per million of what the source sends; nothing else is lost.
pub fn scenario(seed: u64, receivers: u32, loss: u64, rtt: Duration) -> Scenario {
    let place = |n: u32| {
        // From 50 % to 150 % of the mean.
        let delay = rtt.scale(50 + n * 100 / receivers.max(1), 200);
        let profile = Profile {
            delay,
            ..Profile::default()
        };
        Place {
            down: profile,
            up: profile,
            branch: None,
            joins: Duration::ZERO,
            stall: None,
        }
    };
    Scenario {
        seed,
        source: source(12_500_000),
        receiver: receiver(),
        traffic: Traffic {
            apdus: 1_000,
            mss: 1_000,
            fragments_max: 1,
            // Losses far enough apart not to share their NAKs.
            pause_ppm: MILLION,
            pause: Duration::from_millis(100),
            steady: None,
        },
        shared: Profile {
            loss,
            ..Profile::default()
        },
        branches: Vec::new(),
        places: (0..receivers).map(place).collect(),
        ending: Ending::Fin,
        refusals: 0,
        ample: true,
    }
}

/// What the source saw.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Receivers.
    pub receivers: u64,
    /// Packets that every receiver lost.
    pub losses: u64,
    /// NAKs that reached the source.
    pub naks: u64,
}

impl Count {
    /// Takes the numbers of a run.
    pub fn of(outcome: &Outcome) -> Self {
        Self {
            receivers: outcome.receivers,
            losses: outcome.odata_lost_by_all,
            naks: outcome.naks_at_source,
        }
    }

    /// NAKs at the source for each lost packet.
    pub fn naks_per_loss(&self) -> f64 {
        ratio(self.naks, self.losses)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            receivers,
            losses,
            naks,
        } = self;
        let each = self.naks_per_loss();
        write!(
            f,
            "{receivers} receivers, {losses} packets lost by all of them: \
             {naks} NAKs at the source, {each:.2} per loss"
        )
    }
}
