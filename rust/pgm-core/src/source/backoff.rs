// SPDX-License-Identifier: GPL-2.0

//! What the source learns from NAKs that come twice (RFC 3208 §15.2.1, §15.3): that its receivers should
//! put off their NAKs for longer, and that its multicast may not arrive.
//!
//! A repair state begins with a NAK and ends when none came for a while. A second NAK counts in two
//! ways. Soon after the first, within the time over which back-offs are drawn, it comes from a receiver
//! that did not hear of the first in time: a duplicate in the sense of §15.2.1. Later it may as well be
//! the first receiver again, who got no NCF or no RDATA: that says nothing of back-offs, but many of
//! them say that multicast does not arrive (§15.3.1).
//!
//! NAK_BO_IVL is never less than its default. What less would save, a little time for each repair of a
//! small session, is not worth an implosion when many lose the same packet after a quiet time, a danger
//! §15.2.3 names for sources that do not poll; and receivers that were told an interval by hand keep
//! it for as long as nobody sends too much. So NCFs and SPMs bear no option until there was a duplicate,
//! which says the same (§15.2.2) and leaves deployed receivers the packets that they know; and there is
//! no need for OPT_NAK_BO_RNG, which only sources that choose the bounds would send.

use pgm_wire::{NakBoIvl, Sqn};

use super::config::{Advance, SourceConfig};
use super::txw::Stamp;
use crate::settings;
use crate::time::{Duration, Instant};

/// A repair state ends when no NAK came for so long: longer than receivers wait for NCF and RDATA.
const STATE_HOLD: Duration = Duration::from_secs(1);
/// NAKs that come closer together than this count as one for [`RepairState::is_unreached`]: they are not
/// the answer to a confirmation.
pub(super) const NCF_HOLD: Duration = Duration::from_millis(10);

/// What is remembered of the NAKs for one packet.
#[derive(Clone, Copy)]
pub(super) struct RepairState {
    /// When the first of them came.
    since: Stamp,
    /// Duplicates, those that came close together left out.
    duplicates: u8,
}

impl RepairState {
    pub(super) const NONE: Self = Self {
        since: Stamp::NEVER,
        duplicates: 0,
    };

    /// §15.3.1: whether whoever asks does not seem to be reached by multicast.
    pub(super) fn is_unreached(&self) -> bool {
        u32::from(self.duplicates) >= settings::DUP_NAK_MAX.default
    }
}

/// NAK_BO_IVL, as it is advertised.
pub(super) struct Backoff {
    value: Duration,
    max: Duration,
    /// Repair states that began since the last duplicate.
    clean: u32,
    /// When it was increased last; not at all is not advertised.
    raised_at: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(config: &SourceConfig) -> Self {
        let min = Duration::from_micros(settings::NAK_BO_IVL_MIN.default);
        let mut max = Duration::from_micros(settings::NAK_BO_IVL_MAX.default);
        if config.advance == Advance::WithTime {
            // A NAK that is put off for longer comes too late for a second one.
            max = max.min(config.window.scale(1, 4));
        }
        Self {
            value: Duration::from_micros(settings::NAK_BO_IVL.default),
            max: max.max(min),
            clean: 0,
            raised_at: None,
        }
    }

    /// OPT_NAK_BO_IVL for NCFs and SPMs. Its SQN is 0: no polls stand behind it (§15.4.1).
    pub(super) fn option(&self) -> Option<NakBoIvl> {
        self.raised_at.map(|_| NakBoIvl {
            micros: self.value.micros(),
            sqn: Sqn::new(0),
        })
    }

    /// A NAK came for a packet whose last one was confirmed at `confirmed`.
    pub(super) fn note(&mut self, state: &mut RepairState, confirmed: Stamp, now: Instant) {
        if !confirmed.is_within(STATE_HOLD, now) {
            *state = RepairState {
                since: Stamp::at(now),
                duplicates: 0,
            };
            self.begun();
            return;
        }
        if !confirmed.is_within(NCF_HOLD, now) {
            state.duplicates = state.duplicates.saturating_add(1);
        }
        // Later it may be a repetition, which NAK_RPT_IVL puts off.
        let repeat = Duration::from_micros(settings::NAK_RPT_IVL.default);
        if state.since.is_within(self.value.min(repeat), now) {
            self.duplicated(state.since, now);
        }
    }

    /// §15.2.1: one repair state is one measurement.
    fn begun(&mut self) {
        self.clean = self.clean.saturating_add(1);
        if self.clean >= settings::NAK_PROBE_NUM.default {
            self.clean = 0;
            let min = Duration::from_micros(settings::NAK_BO_IVL_MIN.default);
            self.value = self.value.scale(1, 2).max(min);
        }
    }

    /// A duplicate in a repair state that began at `since`. What receivers sent before they could know
    /// of the last increase is no reason for the next.
    fn duplicated(&mut self, since: Stamp, now: Instant) {
        self.clean = 0;
        let old = self
            .raised_at
            .is_some_and(|at| !since.is_within(now.since(at), now));
        if !old {
            self.raised_at = Some(now);
            self.value = self.value.double().min(self.max);
        }
    }
}
