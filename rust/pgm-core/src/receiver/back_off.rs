// SPDX-License-Identifier: GPL-2.0

//! NAK_BO_IVL: the interval that NAKs are put off over, as our parent steers it (RFC 3208 §15.2.2).

use pgm_wire::NakBoRng;

use crate::receiver::ReceiverConfig;
use crate::settings::NAK_BO_IVL;
use crate::time::Duration;

/// NAK_BO_IVL_MIN and NAK_BO_IVL_MAX without OPT_NAK_BO_RNG, microseconds; nobody can make us leave
/// them.
const MIN: u32 = NAK_BO_IVL.min;
const MAX: u32 = NAK_BO_IVL.max;

/// The interval of one session and its bounds, microseconds.
pub(super) struct BackOff {
    /// Set by the user, or learnt.
    asked: u32,
    min: u32,
    max: u32,
}

impl BackOff {
    pub(super) const fn new(config: &ReceiverConfig) -> Self {
        Self {
            asked: config.nak_bo_ivl.micros(),
            min: MIN,
            max: MAX,
        }
    }

    /// OPT_NAK_BO_RNG: its bounds hold for every value (§15.2.2), the user's too.
    pub(super) fn bound(&mut self, range: NakBoRng) {
        if range.min <= range.max {
            self.min = range.min.clamp(MIN, MAX);
            self.max = range.max.clamp(MIN, MAX);
        }
    }

    /// OPT_NAK_BO_IVL, which may be used.
    pub(super) fn learn(&mut self, micros: u32) {
        self.asked = micros.clamp(MIN, MAX);
    }

    /// The value in use.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_micros(self.asked.max(self.min).min(self.max))
    }
}
