// SPDX-License-Identifier: GPL-2.0

//! How a session ends (RFC 3208 §9.7, §9.8).

use pgm_wire::Rst;

use super::Source;
use crate::memory::Heap;
use crate::time::Instant;

/// FIN or RST is sent at least so often, however short TXW_SECS is.
const SPMS_MIN: u32 = 3;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Data may be queued.
    #[default]
    Open,
    /// Closed gracefully; queued ODATA is still being sent.
    Draining,
    /// The last ODATA left: every SPM bears OPT_FIN.
    Fin,
    /// Aborted: every SPM bears OPT_RST.
    Reset(Rst),
    /// Nothing is sent any more.
    Done,
}

/// The end of a session, as far as it has come.
#[derive(Clone, Copy, Default)]
pub(super) struct Closing {
    state: State,
    /// When TXW_SECS since the announcement are over.
    done_at: Option<Instant>,
    /// SPMs that announced it.
    spms: u32,
}

impl Closing {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the last packet queued is the last of the session.
    pub(super) fn is_fin(&self) -> bool {
        matches!(self.state, State::Draining | State::Fin)
    }

    /// SPM_LEAD of an SPM with OPT_FIN is the last data of the session (RFC 3208 §9.7): while data is
    /// queued there is no such SPM.
    pub(super) fn announces_fin(&self) -> bool {
        self.state == State::Fin
    }

    pub(super) fn rst(&self) -> Option<Rst> {
        match self.state {
            State::Reset(rst) => Some(rst),
            _ => None,
        }
    }

    pub(super) fn refuses_naks(&self) -> bool {
        self.rst().is_some_and(|rst| rst.no_naks)
    }

    pub(super) fn spm_sent(&mut self) {
        if self.done_at.is_some() {
            self.spms = self.spms.saturating_add(1);
        }
    }

    /// When to stop; not known as long as SPMs are missing, which have timers of their own.
    #[inline]
    pub(super) fn done_at(&self) -> Option<Instant> {
        self.done_at.filter(|_| self.spms >= SPMS_MIN)
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.done_at().is_some_and(|at| at <= now) {
            self.state = State::Done;
        }
    }
}

impl<P, H: Heap> Source<P, H> {
    /// Closes gracefully: what is queued is still sent, then FIN; SPMs with FIN and repairs go on for
    /// TXW_SECS (RFC 3208 §9.7.2).
    pub fn fin(&mut self, now: Instant) {
        if !self.closing.is_open() {
            return;
        }
        self.closing.state = State::Draining;
        if self.window.first_unsent().is_none() {
            self.announce_fin(now);
        }
    }

    /// The last ODATA has left. An SPM says so at once (RFC 3208 §9.7.2).
    pub(super) fn announce_fin(&mut self, now: Instant) {
        if self.closing.state == State::Draining {
            self.closing.state = State::Fin;
            self.start_closing(now);
        }
    }

    /// Aborts: SPM with RST at once, in every later SPM, and TXW_SECS of them (RFC 3208 §9.8.2).
    /// Queued data is dropped. `code` is 0 if unknown, at most 63. With `no_naks` the window is dropped
    /// too and receivers are told not to ask; without it repairs go on.
    pub fn abort(&mut self, now: Instant, code: u8, no_naks: bool) {
        if self.closing.rst().is_some() || self.is_done() {
            return;
        }
        self.closing.state = State::Reset(Rst { no_naks, code });
        self.closing.spms = 0;
        if no_naks {
            self.window.expire_all();
        }
        self.start_closing(now);
    }

    fn start_closing(&mut self, now: Instant) {
        self.closing.done_at = Some(now.after(self.config.window));
        self.spm.at_once_and_reset(now);
    }

    /// Whether there is queued data that an abort has yet to free.
    pub(super) fn drops_queue(&self) -> bool {
        self.closing.rst().is_some() && self.window.queued_sqns() > 0
    }

    /// Whether the time after FIN or RST is over, so that the owner may free the source.
    pub fn is_done(&self) -> bool {
        self.closing.state == State::Done
    }
}
