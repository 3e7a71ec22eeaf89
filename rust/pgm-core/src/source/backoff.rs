// SPDX-License-Identifier: GPL-2.0

//! What the source learns from NAKs that come twice (RFC 3208 §15.2.1, §15.3): that its receivers should
//! put off their NAKs for longer, and that its multicast may not arrive.
//!
//! A repair state begins with a NAK and ends when none came for a while. A second NAK counts in two
//! ways. Before the first NCF can have reached everybody it comes from a receiver that did not hear of
//! the first NAK in time: a duplicate in the sense of §15.2.1. Later it may as well be the first receiver
//! again, who got no NCF or no RDATA: that says nothing of back-offs, but many of them say that
//! multicast does not arrive (§15.3.1).
//!
//! How long an NCF takes to reach everybody is inferred from how soon NAKs follow the packets that they
//! ask for, which is never less than a round trip.
//!
//! NAK_BO_IVL is never less than its default, and is advertised only while there is something to say:
//! receivers that adapt their back-off themselves, to times that the source cannot know, let a duplicate
//! through now and then, so that it takes four of them for one packet to call it an implosion.
//! Others draw over the default, and one who was told an interval by hand keeps it. So deployed
//! receivers get the packets that they know; and there is no need for OPT_NAK_BO_RNG, which only
//! sources that choose the bounds would send.

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
/// What was confirmed and repaired this recently still answers NAKs for it (§5.2, §5.3), at least and at
/// most, in microseconds.
const HOLD_MIN: u16 = 1_000;
const HOLD_MAX: u16 = 10_000;

/// What is remembered of the NAKs for one packet.
#[derive(Clone, Copy)]
pub(super) struct RepairState {
    /// When the first of them came.
    since: Stamp,
    /// Six bits of duplicates, those that came close together left out, and two of those of §15.2.1.
    counts: u8,
}

/// The six bits, and one of the two.
const DUPLICATES: u8 = 0x3f;
const CROSSED: u8 = 0x40;

impl RepairState {
    pub(super) const NONE: Self = Self {
        since: Stamp::NEVER,
        counts: 0,
    };

    /// §15.3.1: whether whoever asks does not seem to be reached by multicast.
    pub(super) fn is_unreached(&self) -> bool {
        u32::from(self.counts & DUPLICATES) >= settings::DUP_NAK_MAX.default
    }

    /// Counts a NAK that does not answer a confirmation.
    fn repeated(&mut self) {
        if self.counts & DUPLICATES < DUPLICATES {
            self.counts = self.counts.saturating_add(1);
        }
    }

    /// Counts a duplicate; tells whether that was one too many.
    fn crossed(&mut self) -> bool {
        let counted = self.counts.checked_add(CROSSED);
        self.counts = counted.unwrap_or(self.counts);
        counted.is_none()
    }
}

/// NAK_BO_IVL, as it is advertised.
pub(super) struct Backoff {
    value: Duration,
    max: Duration,
    /// How long an answer holds, in microseconds.
    hold: u16,
    /// Repair states that began since there were too many duplicates.
    clean: u16,
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
            hold: HOLD_MAX,
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

    /// How long the NCF or RDATA for a packet holds for whoever asks again.
    pub(super) fn hold(&self) -> Duration {
        Duration::from_micros(self.hold.into())
    }

    /// A NAK came for a packet that was sent at `sent`, and whose last one was confirmed at `confirmed`.
    pub(super) fn note(
        &mut self,
        state: &mut RepairState,
        sent: Instant,
        confirmed: Stamp,
        now: Instant,
    ) {
        if !confirmed.is_within(STATE_HOLD, now) {
            *state = RepairState {
                since: Stamp::at(now),
                ..RepairState::NONE
            };
            // About the least of the last few.
            let least = u16::try_from(now.since(sent).micros()).unwrap_or(HOLD_MAX);
            let more = self.hold.saturating_add(self.hold / 8);
            self.hold = more.min(least).clamp(HOLD_MIN, HOLD_MAX);
            self.begun();
            return;
        }
        if !confirmed.is_within(NCF_HOLD, now) {
            state.repeated();
        }
        if state.since.is_within(self.hold(), now) && state.crossed() {
            self.duplicated(state.since, now);
        }
    }

    /// §15.2.1: one repair state is one measurement.
    fn begun(&mut self) {
        self.clean = self.clean.saturating_add(1);
        if u32::from(self.clean) >= settings::NAK_PROBE_NUM.default {
            self.clean = 0;
            let min = Duration::from_micros(settings::NAK_BO_IVL_MIN.default);
            if self.value <= min {
                self.raised_at = None;
            }
            self.value = self.value.scale(1, 2).max(min);
        }
    }

    /// Too many duplicates in a repair state that began at `since`. What receivers sent before they could know
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
