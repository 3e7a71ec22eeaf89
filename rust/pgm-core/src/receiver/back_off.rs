// SPDX-License-Identifier: GPL-2.0

//! NAK_BO_IVL: the interval that NAKs are put off over, as our parent steers it (RFC 3208 §15.2.2).

use pgm_wire::NakBoRng;

use crate::receiver::ReceiverConfig;
use crate::settings::NAK_BO_IVL;
use crate::time::Duration;

/// NAK_BO_IVL_MIN and NAK_BO_IVL_MAX without OPT_NAK_BO_RNG; nobody can make us leave them.
const MIN: Duration = Duration::from_micros(NAK_BO_IVL.min);
const MAX: Duration = Duration::from_micros(NAK_BO_IVL.max);

/// The interval of one session and its bounds.
pub(super) struct BackOff {
    /// Set by the user, or learnt.
    asked: Duration,
    min: Duration,
    max: Duration,
}

impl BackOff {
    pub(super) const fn new(config: &ReceiverConfig) -> Self {
        Self {
            asked: config.nak_bo_ivl,
            min: MIN,
            max: MAX,
        }
    }

    /// OPT_NAK_BO_RNG: its bounds hold for every value (§15.2.2), the user's too.
    pub(super) fn bound(&mut self, range: NakBoRng) {
        if range.min <= range.max {
            self.min = Duration::from_micros(range.min).max(MIN).min(MAX);
            self.max = Duration::from_micros(range.max).max(MIN).min(MAX);
        }
    }

    /// OPT_NAK_BO_IVL, which may be used.
    pub(super) fn learn(&mut self, micros: u32) {
        self.asked = Duration::from_micros(micros).max(MIN).min(MAX);
    }

    /// The value in use.
    pub(super) fn interval(&self) -> Duration {
        self.asked.max(self.min).min(self.max)
    }
}
