// SPDX-License-Identifier: GPL-2.0

//! How long NAKs are put off, and how long answers are waited for (RFC 3208 §6.3, §15.2.2).
//!
//! What the user sets is kept, and NAK_RB_IVL is drawn evenly over NAK_BO_IVL. Without a setting all three
//! intervals follow the session. The round trip, from a NAK to its NCF, is measured, and so is the time
//! from an NCF to its repair. How many other receivers miss the same packets is inferred from what they
//! do: whoever hears that somebody else asked has company, whoever asks himself time and again has less of
//! it than he thought, and who hears nobody is alone and asks at once.
//!
//! Draws are not even then: the density doubles with each of log2(company) parts of NAK_BO_IVL, so that
//! of any number of receivers, from one to all of them, few are the first. Where a part is as long as
//! [`PARTS`] round trips, 2^(1 / PARTS) NAKs leave before the first NCF is everywhere.

use pgm_wire::NakBoRng;

use crate::receiver::ReceiverConfig;
use crate::rng::Rng;
use crate::settings::NAK_BO_IVL;
use crate::time::{Duration, Instant};

/// NAK_BO_IVL_MIN and NAK_BO_IVL_MAX without OPT_NAK_BO_RNG, microseconds; nobody can make us leave
/// them.
const MIN: u32 = NAK_BO_IVL.min;
const MAX: u32 = NAK_BO_IVL.max;

/// Round trips in each part of NAK_BO_IVL.
const PARTS: u32 = 6;
/// In which part of the interval the first of many is to ask: sooner, and there are often two of them.
const FIRST: u32 = ONE;
/// With so many receivers, as a logarithm, it may as well be one who always asks at once: nobody is to wait for
/// ever longer because of that.
const MANY: u32 = ONE * 10;
/// Company, and its logarithm, are counted in these.
const ONE: u32 = 256;
/// As many receivers as we take for possible before we know anything: an implosion at the first loss
/// is worse than a slow first repair.
const UNKNOWN: u32 = ONE << 16;
/// Of a source that no router is in front of, there are no more receivers than a link has room for, and
/// they are a tenth as far away.
const UNKNOWN_NEAR: u32 = ONE << 12;
const NEARER: u32 = 10;
/// The first wait for an answer is so much less than the setting, which repetitions reach by doubling.
const SOONER: u32 = 4;
const CROWD: u32 = ONE << 20;
/// Even who is alone waits for up to two round trips before one NAK in eight: those who all ask at once
/// would never hear of each other.
const ALONE: u32 = ONE / 7 * 8;
/// No wait for an answer is shorter than this: timers and schedulers are not better.
const SHORTEST: Duration = Duration::from_millis(1);
/// A missing packet may be late for so long before loss is assumed (§6.3: "a timeout based
/// mechanism").
const REORDER_IVL: Duration = Duration::from_millis(10);

/// A time in the least space: in units of 64 nanoseconds, up to some minutes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
struct Span(u32);

impl Span {
    fn new(time: Duration) -> Self {
        Self(u32::try_from(time.nanos() >> 6).unwrap_or(u32::MAX))
    }

    fn time(self) -> Duration {
        Duration::from_nanos(u64::from(self.0) << 6)
    }
}

/// Mean and mean deviation of a time, as TCP knows them (RFC 6298).
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
struct Estimate {
    mean: Span,
    deviation: Span,
}

impl Estimate {
    const NONE: Self = Self {
        mean: Span(0),
        deviation: Span(0),
    };

    const fn is_none(&self) -> bool {
        self.mean.0 == 0
    }

    fn add(&mut self, sample: Duration) {
        let sample = Span::new(sample).0.max(1);
        if self.is_none() {
            self.mean = Span(sample);
            self.deviation = Span(sample >> 1);
            return;
        }
        let part = |whole: Span, part: u32, shift: u32| {
            let rest = whole.0.saturating_sub(whole.0.wrapping_shr(shift));
            rest.saturating_add(part.wrapping_shr(shift))
        };
        let deviation = self.mean.0.abs_diff(sample);
        self.deviation = Span(part(self.deviation, deviation, 2));
        self.mean = Span(part(self.mean, sample, 3).max(1));
    }

    /// What hardly any answer exceeds, if there was one.
    fn most(&self) -> Option<Duration> {
        let most = self
            .mean
            .0
            .saturating_add(self.deviation.0.saturating_mul(4));
        (!self.is_none()).then(|| Span(most).time().max(SHORTEST))
    }

    fn mean(&self) -> Duration {
        self.mean.time()
    }
}

/// The intervals of one session.
#[cfg_attr(test, derive(Debug))]
pub(super) struct BackOff {
    adaptive: bool,
    near: bool,
    /// Set by the user, learnt, or what it starts with.
    asked: u32,
    min: u32,
    max: u32,
    /// OPT_NAK_BO_IVL holds.
    told: bool,
    /// How many may miss a packet that we miss, we among them, in parts of [`ONE`].
    company: u32,
    /// Nobody else ever asked for what we missed.
    unheard: bool,
    /// From a NAK to its NCF, and from there to its RDATA.
    round: Estimate,
    repair: Estimate,
    /// The NAK that was measured last left then.
    measured: Span,
    /// How late packets come that are not lost.
    late: Span,
}

impl BackOff {
    pub(super) const fn new(config: &ReceiverConfig) -> Self {
        Self {
            adaptive: config.nak_adaptive,
            near: config.near,
            asked: config.nak_bo_ivl.micros(),
            min: if config.nak_adaptive { 0 } else { MIN },
            max: MAX,
            told: false,
            company: if config.near { UNKNOWN_NEAR } else { UNKNOWN },
            unheard: true,
            round: Estimate::NONE,
            repair: Estimate::NONE,
            measured: Span(0),
            late: Span(0),
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
        self.told = true;
    }

    /// An NCF without it: a parent that steers would say so (§15.2.1).
    pub(super) fn release(&mut self) {
        self.told = false;
    }

    /// The value in use.
    pub(super) fn interval(&self) -> Duration {
        let nearer = if self.is_near() { NEARER } else { 1 };
        let steered = Duration::from_micros(self.asked).scale(1, nearer);
        let own = match self.measures() {
            true if !self.told => {
                let parts = self.round.mean().scale(PARTS, ONE);
                parts.scale(self.level(), 1).max(self.round.mean().double())
            }
            _ => steered,
        };
        own.max(Duration::from_micros(self.min))
            .min(Duration::from_micros(self.max))
    }

    /// Whether what it starts with is for longer ways.
    const fn is_near(&self) -> bool {
        self.near && self.adaptive && !self.told
    }

    /// Whether there is a round trip that intervals can follow.
    const fn measures(&self) -> bool {
        self.adaptive && !self.round.is_none()
    }

    /// log2(company), in parts of [`ONE`].
    fn level(&self) -> u32 {
        let company = if self.told {
            self.company.max(UNKNOWN)
        } else {
            self.company
        };
        log2(company).saturating_sub(log2(ONE)).max(1)
    }

    /// NAK_RB_IVL.
    pub(super) fn draw(&self, rng: &mut Rng) -> Duration {
        let interval = self.interval();
        if !self.adaptive {
            return rng.interval(interval);
        }
        let level = self.level();
        // So many bits of a random number are zeroes, and fractions of a bit.
        let random = u32::try_from(rng.next_u64() >> 32).unwrap_or(0).max(1);
        let zeroes = log2(u32::MAX).saturating_sub(log2(random));
        interval.scale(level.saturating_sub(zeroes), level)
    }

    /// How long a missing packet may be late.
    pub(super) fn patience(&self) -> Duration {
        let most = REORDER_IVL.min(Duration::from_micros(self.asked));
        if !self.measures() {
            return most;
        }
        self.round
            .mean()
            .scale(1, 4)
            .max(self.late.time())
            .min(most)
    }

    /// Back-offs that end so soon may end together with another one: no NCF would come before.
    pub(super) fn slack(&self) -> Duration {
        if self.measures() {
            self.round.mean()
        } else {
            Duration::ZERO
        }
    }

    /// NAK_RPT_IVL of a number that was asked for so often without an NCF.
    pub(super) fn ncf_wait(&self, config: &ReceiverConfig, retries: u16) -> Duration {
        self.wait(&self.round, config.nak_rpt_ivl, retries)
    }

    /// NAK_RDATA_IVL of a number that was confirmed so often without RDATA.
    pub(super) fn data_wait(&self, config: &ReceiverConfig, retries: u16) -> Duration {
        self.wait(&self.repair, config.nak_rdata_ivl, retries)
    }

    /// Each retry doubles the time, up to that which holds without any measurement.
    fn wait(&self, time: &Estimate, most: Duration, retries: u16) -> Duration {
        if !self.adaptive {
            return most;
        }
        let sooner = if self.near { NEARER } else { SOONER };
        let least = time.most().unwrap_or(most.scale(1, sooner));
        let doubled = least.scale(1u32.checked_shl(retries.into()).unwrap_or(u32::MAX), 1);
        doubled.min(most.max(self.round.mean().double()))
    }

    /// Somebody asked for what we miss and did not ask for, so long after we began to back off if we had.
    ///
    /// We are one more. And with as many as we think, it would have been in the part [`FIRST`]: the later
    /// it was the fewer there are, and if it was sooner there are more.
    pub(super) fn has_company(&mut self, waited: Option<Duration>) {
        self.unheard = false;
        self.company = self.company.saturating_add(2 * ONE).min(CROWD);
        let (Some(waited), true) = (waited, self.measures()) else {
            return;
        };
        let waited = waited.nanos().saturating_sub(self.round.mean().nanos());
        let passed = waited.saturating_mul(u64::from(ONE));
        let passed = passed.checked_div(self.interval().nanos()).unwrap_or(0);
        let passed = u32::try_from(passed).unwrap_or(ONE).min(ONE);
        // A quarter of the way to it.
        let level = self.level();
        let less = level.saturating_mul(passed) / ONE / 4;
        let more = level.saturating_add(FIRST / 4).min(MANY).max(level);
        self.company = exp2(more.saturating_sub(less)).clamp(ALONE, CROWD);
    }

    /// Somebody asked for what we have.
    pub(super) fn has_neighbours(&mut self) {
        self.company = self.company.saturating_add(ONE / 8).min(CROWD);
    }

    /// Our NAK, sent at `asked`, was answered: the first one for its numbers.
    pub(super) fn answered(&mut self, now: Instant, asked: Instant) {
        let sent = Span(u32::try_from((asked.nanos() >> 6) & u64::from(u32::MAX)).unwrap_or(0));
        if sent == self.measured {
            return;
        }
        self.measured = sent;
        self.round.add(now.since(asked));
        let company = if self.unheard {
            self.company
                .wrapping_shr((self.level() / ONE / 2).clamp(1, 16))
        } else {
            self.company.saturating_sub(self.company / 4)
        };
        self.company = company.max(ALONE);
    }

    /// RDATA came so long after its NCF. Where a first one was lost on the way, that says less of the
    /// source than if it takes its time for all of them.
    pub(super) fn repaired(&mut self, time: Duration) {
        let most = self.repair.most().map_or(time, Duration::double);
        self.repair.add(time.min(most));
        self.late.0 = self.late.0.saturating_sub(self.late.0.div_ceil(16));
    }

    /// A packet came that was only late.
    pub(super) fn was_late(&mut self, time: Duration) {
        self.late.0 = self.late.0.max(Span::new(time.double()).0);
    }
}

/// log2(`n`) in parts of [`ONE`], straight between powers of two.
fn log2(n: u32) -> u32 {
    let zeroes = n.leading_zeros().min(31);
    let fraction = n.wrapping_shl(zeroes).wrapping_shr(23) & 0xff;
    let whole = 31u32.saturating_sub(zeroes);
    whole.saturating_mul(ONE).saturating_add(fraction)
}

/// [`ONE`] times two to the power of `level` parts of it.
fn exp2(level: u32) -> u32 {
    let fraction = ONE | (level & 0xff);
    fraction.checked_shl(level / ONE).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_and_powers_agree() {
        for level in 0..(20 * ONE) {
            assert_eq!(log2(exp2(level)) - log2(ONE), level);
        }
        assert_eq!((log2(0), log2(1), log2(3)), (0, 0, ONE * 3 / 2));
    }
}
