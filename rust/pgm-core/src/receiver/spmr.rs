// SPDX-License-Identifier: GPL-2.0

//! Asking for an SPM when data arrives and no SPM does (RFC 3208 §13.5).

use crate::receiver::ReceiverConfig;
use crate::rng::Rng;
use crate::time::Instant;

/// The two copies of one SPMR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// To the group with a TTL of 1: it keeps our neighbours from asking too.
    Group,
    /// To the source.
    Source,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    /// Listening for the SPMR of somebody else until then.
    BackOff(Instant),
    /// A copy may leave now.
    Send(Copy),
    /// No repetition before then.
    Wait(Instant),
}

/// The SPMR procedure of one session.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Spmr {
    state: State,
}

impl Spmr {
    pub(super) const fn new() -> Self {
        Self { state: State::Idle }
    }

    /// An SPM is wanted.
    pub(super) fn want(&mut self, now: Instant, rng: &mut Rng, config: &ReceiverConfig) {
        if let State::Idle = self.state {
            self.state = State::BackOff(now.after(rng.interval(config.spmr_bo_ivl)));
        }
    }

    /// The SPM came.
    pub(super) fn cancel(&mut self) {
        self.state = State::Idle;
    }

    /// Somebody else asked: wait for the answer instead. Tells whether that mattered.
    pub(super) fn hear(&mut self, now: Instant, config: &ReceiverConfig) -> bool {
        match self.state {
            State::BackOff(_) | State::Send(Copy::Group) => {
                self.state = State::Wait(now.after(config.spmr_spm_ivl));
                true
            }
            // Once the multicast copy is out, what we hear may be our own.
            _ => false,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, rng: &mut Rng, config: &ReceiverConfig) {
        match self.state {
            State::BackOff(at) if at <= now => self.state = State::Send(Copy::Group),
            State::Wait(at) if at <= now => {
                self.state = State::BackOff(now.after(rng.interval(config.spmr_bo_ivl)));
            }
            _ => {}
        }
    }

    /// The copy that leaves now: first to the group, then to the source.
    pub(super) fn poll_transmit(&mut self, now: Instant, config: &ReceiverConfig) -> Option<Copy> {
        let State::Send(copy) = self.state else {
            return None;
        };
        self.state = match copy {
            Copy::Group => State::Send(Copy::Source),
            Copy::Source => State::Wait(now.after(config.spmr_spm_ivl)),
        };
        Some(copy)
    }

    #[inline]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::BackOff(at) | State::Wait(at) => Some(at),
            State::Send(_) => Some(Instant::ZERO),
        }
    }
}
