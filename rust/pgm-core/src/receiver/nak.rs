// SPDX-License-Identifier: GPL-2.0

//! NAK generation: the state machine of RFC 3208 §6.3 for every missing sequence number.
//!
//! Deadlines stand in one heap. NAKs whose back-off has expired wait in another, in the order of
//! their numbers: there they cost nothing while no NAK may leave, and lists form by themselves.

use pgm_wire::{NakList, Sqn, Tsi, NAK_LIST_MAX};

use crate::deadlines::Deadlines;
use crate::memory::{Heap, NakState, NoMemory};
use crate::receiver::back_off::BackOff;
use crate::receiver::rxw::{newer, Slot, State, Window, Work};
use crate::receiver::{ReceiverConfig, MEMORY_RETRY, STEPS};
use crate::ring::Ring;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// At most this many NAK packets leave in any [`BURST_IVL`], so that bulk loss makes no NAK storm.
const BURST: u32 = 16;
const BURST_IVL: Duration = Duration::from_millis(10);

/// Where a missing number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not there, but maybe only late.
    Tempered,
    /// BACK-OFF_STATE.
    BackOff,
    /// BACK-OFF_STATE is over; the NAK leaves as soon as one may.
    Due,
    /// WAIT_NCF_STATE.
    WaitNcf,
    /// WAIT_DATA_STATE.
    WaitData,
}

impl Phase {
    /// The state it is of; what may only be late has none.
    const fn state(self) -> Option<NakState> {
        match self {
            Self::Tempered | Self::Due => None,
            Self::BackOff => Some(NakState::BackOff),
            Self::WaitNcf => Some(NakState::WaitNcf),
            Self::WaitData => Some(NakState::WaitData),
        }
    }
}

/// The recovery of one missing number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    pub(super) phase: Phase,
    /// The NAK that it waits for an answer to is our own, and the first one.
    measured: bool,
    ncf_retries: u16,
    data_retries: u16,
    /// When it was first known to be missing.
    pub(super) detected: Instant,
    /// When the phase began, or a retry was last counted in it.
    entered: Instant,
    /// When the phase ends.
    until: Instant,
}

impl Missing {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Tempered,
            measured: false,
            ncf_retries: 0,
            data_retries: 0,
            detected: now,
            entered: now,
            until: now,
        }
    }

    /// When our NAK left, if what answers it now tells the round trip.
    pub(super) fn asked(&self) -> Option<Instant> {
        (self.measured && self.phase == Phase::WaitNcf).then_some(self.entered)
    }

    /// When its back-off began, if it lasts.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        (self.phase == Phase::BackOff).then_some(self.entered)
    }

    /// Whether nobody asked for it yet, as far as we know.
    pub(super) fn is_unasked(&self) -> bool {
        !self.is_outstanding() && self.ncf_retries == 0 && self.data_retries == 0
    }

    /// When its NCF came, if RDATA is awaited.
    pub(super) fn confirmed_at(&self) -> Option<Instant> {
        (self.phase == Phase::WaitData).then_some(self.entered)
    }

    /// Whether loss was assumed, and not only lateness.
    pub(super) fn is_confirmed(&self) -> bool {
        self.phase != Phase::Tempered
    }
}

impl Missing {
    /// Whether its NAK was sent, by us or by somebody else.
    pub(super) fn is_outstanding(&self) -> bool {
        matches!(self.phase, Phase::WaitNcf | Phase::WaitData)
    }

    /// Adds it to its state.
    pub(super) fn count(&self, states: &mut NakStates) {
        let state = match self.phase {
            Phase::Tempered | Phase::BackOff | Phase::Due => &mut states.back_off,
            Phase::WaitNcf => &mut states.wait_ncf,
            Phase::WaitData => &mut states.wait_data,
        };
        *state = state.saturating_add(1);
    }
}

/// How many missing numbers are in each state of RFC 3208 §6.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NakStates {
    /// BACK-OFF_STATE, and those that may still be late.
    pub back_off: u32,
    /// WAIT_NCF_STATE.
    pub wait_ncf: u32,
    /// WAIT_DATA_STATE.
    pub wait_data: u32,
}

/// What was heard about a missing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A NAK confirmation.
    Ncf,
    /// The NAK of another receiver.
    Nak,
}

/// All recoveries of a session.
pub(super) struct Repair<H: Heap> {
    /// The session.
    pub(super) tsi: Tsi,
    timers: Deadlines<H>,
    due: Deadlines<H>,
    /// Below this no number is [`Phase::Tempered`].
    confirmed: Sqn,
    /// The draw shared by one gap: the number after it, and when its back-off ends.
    gap_end: Sqn,
    gap_at: Instant,
    /// No NAK before this.
    not_before: Instant,
    /// NAK packets sent since the last pause, and when the last one left.
    burst: u32,
    last_sent: Instant,
    /// How often missing numbers had to wait, because the owner allowed no more of them.
    pub(super) limited: u32,
    /// Numbers whose loss was assumed since reception began.
    pub(super) assumed: u64,
}

impl<H: Heap> Repair<H> {
    pub(super) const fn new(capacity: u32, tsi: Tsi) -> Self {
        Self {
            tsi,
            timers: Deadlines::new(capacity),
            due: Deadlines::new(capacity),
            confirmed: Sqn::new(0),
            gap_end: Sqn::new(0),
            gap_at: Instant::ZERO,
            limited: 0,
            not_before: Instant::ZERO,
            burst: 0,
            last_sent: Instant::ZERO,
            assumed: 0,
        }
    }

    /// Reception starts at `first`.
    pub(super) fn open(&mut self, first: Sqn) {
        self.confirmed = first;
    }

    /// No NAK leaves before `at`.
    pub(super) fn hold(&mut self, at: Instant) {
        self.not_before = self.not_before.max(at);
    }

    /// When the next back-off or wait ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| at)
    }

    /// Whether no recovery is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.timers.is_empty() && self.due.is_empty()
    }

    /// When the next NAK may leave, if one is due.
    pub(super) fn next_nak(&self) -> Option<Instant> {
        self.due.first().map(|_| self.not_before)
    }

    /// How many recoveries are under way.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) const fn len(&self) -> u32 {
        self.timers.len().saturating_add(self.due.len())
    }

    /// Nothing is missing any more.
    pub(super) fn clear(&mut self) {
        for heap in [&mut self.timers, &mut self.due] {
            *heap = Deadlines::new(heap.capacity());
        }
    }

    /// Stops the timers of `sqn`.
    pub(super) fn forget<P>(&mut self, window: &mut Window<P, H>, sqn: Sqn) {
        // A number is in at most one heap, and its phase says in which.
        let due = match window.state(sqn) {
            Some(State::Missing(missing)) => missing.phase == Phase::Due,
            _ => return,
        };
        let heap = if due { &mut self.due } else { &mut self.timers };
        heap.cancel(&mut window.ring, sqn);
    }

    /// Starts the recovery of what is missing for certain; the rest may still be late. Walks every
    /// number of the window once, at most [`STEPS`] a call.
    pub(super) fn confirm<P>(
        &mut self,
        window: &mut Window<P, H>,
        now: Instant,
        rng: &mut Rng,
        timing: &BackOff,
    ) -> Work {
        let patience = timing.patience();
        for at in [window.commit, window.trail] {
            if newer(at, self.confirmed) {
                self.confirmed = at;
            }
        }
        for _ in 0..STEPS {
            if !newer(window.front, self.confirmed) {
                return Work::Done;
            }
            let sqn = self.confirmed;
            let certain = sqn.before(window.sure);
            if let Some(missing) = window.missing_mut(sqn) {
                if missing.phase == Phase::Tempered {
                    let late = missing.detected.after(patience);
                    if !certain && late > now {
                        return Work::Until(late);
                    }
                    let at = self.back_off(sqn, now, rng, timing);
                    if self
                        .enter(&mut window.ring, sqn, Phase::BackOff, now, at)
                        .is_err()
                    {
                        return Work::Starved;
                    }
                }
            }
            self.confirmed = sqn.next();
        }
        Work::More
    }

    /// NAK_RB_IVL for `sqn`: one draw for a whole gap, so that its NAKs make one list (§9.3.2).
    fn back_off(&mut self, sqn: Sqn, now: Instant, rng: &mut Rng, timing: &BackOff) -> Instant {
        if sqn != self.gap_end || self.gap_at <= now {
            self.gap_at = now.after(timing.draw(rng));
        }
        self.gap_end = sqn.next();
        self.gap_at
    }

    /// Brings `sqn` into `phase`, which ends at `until`. On an error everything is as before, but a
    /// timer that had expired runs anew for a short time.
    fn enter<P>(
        &mut self,
        ring: &mut Ring<Slot<P>, H>,
        sqn: Sqn,
        phase: Phase,
        now: Instant,
        until: Instant,
    ) -> Result<(), NoMemory> {
        let slot = ring.get(sqn).ok_or(NoMemory)?;
        let State::Missing(was) = &slot.state else {
            return Err(NoMemory);
        };
        let (was, armed) = (was.phase, slot.position.is_set());
        let (from, to, at, back) = match (was == Phase::Due, phase == Phase::Due) {
            (false, false) => (None, &mut self.timers, until, now),
            (true, true) => (None, &mut self.due, Instant::ZERO, now),
            (false, true) => (
                Some(&mut self.timers),
                &mut self.due,
                Instant::ZERO,
                now.after(MEMORY_RETRY),
            ),
            (true, false) => (Some(&mut self.due), &mut self.timers, until, Instant::ZERO),
        };
        match from {
            Some(from) if armed => {
                from.cancel(ring, sqn);
                if let Err(error) = to.set(ring, sqn, at) {
                    // The place it just left is still there, so this cannot fail.
                    let _ = from.set(ring, sqn, back);
                    return Err(error);
                }
            }
            _ => to.set(ring, sqn, at)?,
        }
        if let Some(State::Missing(missing)) = ring.get_mut(sqn).map(|slot| &mut slot.state) {
            if missing.phase == Phase::Tempered {
                self.assumed = self.assumed.saturating_add(1);
            }
            if missing.phase != phase {
                missing.phase = phase;
                missing.entered = now;
                if let Some(state) = phase.state() {
                    H::nak_state(self.tsi, sqn, state);
                }
            }
            missing.until = until;
        }
        Ok(())
    }

    /// Handles expired timers, at most [`STEPS`] of them. While `count` is off no retry is counted.
    pub(super) fn expire<P>(
        &mut self,
        window: &mut Window<P, H>,
        now: Instant,
        rng: &mut Rng,
        timing: &BackOff,
        config: &ReceiverConfig,
        count: bool,
    ) {
        // One draw for all that expire together: they were asked for together.
        let mut drawn = None;
        for _ in 0..STEPS {
            let sqn = match self.timers.first() {
                Some((at, sqn)) if at <= now => sqn,
                _ => return,
            };
            let Some(missing) = window.missing_mut(sqn) else {
                // The trailing edge passed it (§6.3: recovery terminates).
                self.timers.cancel(&mut window.ring, sqn);
                continue;
            };
            let phase = missing.phase;
            if phase == Phase::BackOff {
                // A failure leaves it in back-off for another moment.
                let _ = if config.passive {
                    let until = now.after(config.nak_rpt_ivl);
                    self.enter(&mut window.ring, sqn, Phase::WaitNcf, now, until)
                } else {
                    self.enter(&mut window.ring, sqn, Phase::Due, now, now)
                };
                continue;
            }
            if count && exceeded(missing, config) {
                self.lose(window, sqn);
                continue;
            }
            let at = *drawn.get_or_insert_with(|| now.after(timing.draw(rng)));
            let _ = self.enter(&mut window.ring, sqn, Phase::BackOff, now, at);
        }
    }

    /// `sqn` will not come any more.
    pub(super) fn lose<P>(&mut self, window: &mut Window<P, H>, sqn: Sqn) {
        self.forget(window, sqn);
        // It has its slot: no memory is needed.
        let _ = window.put(sqn, State::Lost);
        H::nak_state(self.tsi, sqn, NakState::Lost);
    }

    /// An NCF or the NAK of another receiver for `sqn`. Tells whether it mattered.
    pub(super) fn hear<P>(
        &mut self,
        window: &mut Window<P, H>,
        (sqn, heard): (Sqn, Heard),
        now: Instant,
        timing: &mut BackOff,
        config: &ReceiverConfig,
        count: bool,
    ) -> Result<bool, NoMemory> {
        let Some(missing) = window.missing_mut(sqn) else {
            return Ok(false);
        };
        if let Some(asked) = missing.asked().filter(|_| heard == Heard::Ncf) {
            timing.answered(now, asked);
        }
        let rpt = timing.ncf_wait(config, missing.ncf_retries);
        let rdata = timing.data_wait(config, missing.data_retries);
        let (phase, until) = match (heard, missing.phase) {
            (Heard::Ncf, _) | (Heard::Nak, Phase::WaitData) => (Phase::WaitData, now.after(rdata)),
            (Heard::Nak, Phase::WaitNcf) => (Phase::WaitNcf, missing.until.max(now.after(rpt))),
            // The diagram of §6.3 says NAK_RPT_IVL, its text at least NAK_RDATA_IVL: the longer one.
            (Heard::Nak, _) => (Phase::WaitNcf, now.after(rpt.max(rdata))),
        };
        if phase == missing.phase {
            // Restarts are free as long as a wait would have lasted anyway; beyond that they are
            // retries too, or false NCFs could hush us for ever (§10).
            let span = if phase == Phase::WaitData { rdata } else { rpt };
            if count && now.since(missing.entered) >= span {
                missing.entered = now;
                if exceeded(missing, config) {
                    self.lose(window, sqn);
                    return Ok(true);
                }
            }
        }
        self.enter(&mut window.ring, sqn, phase, now, until)?;
        Ok(true)
    }

    /// The next NAK: its own number and the list of the others, oldest first (§6.3, §9.3).
    pub(super) fn poll_nak<P>(
        &mut self,
        window: &mut Window<P, H>,
        now: Instant,
        timing: &BackOff,
        config: &ReceiverConfig,
    ) -> Option<(Sqn, NakList)> {
        if now < self.not_before {
            return None;
        }
        self.gather(window, now, timing);
        let mut first = None;
        let mut list = NakList::EMPTY;
        for _ in 0..STEPS {
            let Some((_, sqn)) = self.due.first() else {
                break;
            };
            if list.len() == NAK_LIST_MAX {
                break;
            }
            let Some(missing) = window.missing_mut(sqn) else {
                self.due.cancel(&mut window.ring, sqn);
                continue;
            };
            // What was asked for before may be answered now by what was sent then.
            missing.measured = missing.ncf_retries == 0 && missing.data_retries == 0;
            let until = now.after(timing.ncf_wait(config, missing.ncf_retries));
            if self
                .enter(&mut window.ring, sqn, Phase::WaitNcf, now, until)
                .is_err()
            {
                self.hold(now.after(MEMORY_RETRY));
                break;
            }
            if first.is_none() {
                first = Some(sqn);
            } else if list.push(sqn).is_err() {
                break;
            }
        }
        let first = first?;
        self.pace(now);
        Some((first, list))
    }

    /// A NAK is about to leave, if one is due: what would be due before its NCF could come goes with it
    /// (§9.3).
    fn gather<P>(&mut self, window: &mut Window<P, H>, now: Instant, timing: &BackOff) {
        if self.due.first().is_none() {
            return;
        }
        let end = now.after(timing.slack());
        for _ in 0..NAK_LIST_MAX {
            let Some((_, sqn)) = self.timers.first().filter(|(at, _)| *at < end) else {
                return;
            };
            let missing = window.missing_mut(sqn);
            if missing.is_none_or(|missing| missing.phase != Phase::BackOff) {
                return;
            }
            let entered = self.enter(&mut window.ring, sqn, Phase::Due, now, now);
            if entered.is_err() {
                return;
            }
        }
    }

    /// Accounts for a NAK packet that leaves now: after [`BURST`] of them there is a pause.
    fn pace(&mut self, now: Instant) {
        if now.since(self.last_sent) >= BURST_IVL {
            self.burst = 0;
        }
        self.last_sent = now;
        self.burst = self.burst.saturating_add(1);
        if self.burst >= BURST {
            self.burst = 0;
            self.hold(now.after(BURST_IVL));
        }
    }
}

/// Counts a retry of the phase that ended; tells whether that was one too many (§6.3).
fn exceeded(missing: &mut Missing, config: &ReceiverConfig) -> bool {
    let (retries, max) = match missing.phase {
        Phase::WaitData => (&mut missing.data_retries, config.data_retries),
        _ => (&mut missing.ncf_retries, config.ncf_retries),
    };
    *retries = retries.saturating_add(1);
    u32::from(*retries) > max
}
