// SPDX-License-Identifier: GPL-2.0

//! Source path messages (RFC 3208 §6.2): the path for NAKs, the window, and the end of the session.

use pgm_wire::{Options, Spm, Sqn};

use crate::discard::Discard;
use crate::memory::Heap;
use crate::receiver::join::{history, is_windowless};
use crate::receiver::parent::Fit;
use crate::receiver::rxw::newer;
use crate::receiver::stats::count;
use crate::receiver::Receiver;
use crate::time::Instant;

impl<P, H: Heap> Receiver<P, H> {
    /// One SPM.
    pub(super) fn spm(
        &mut self,
        now: Instant,
        spm: &Spm,
        options: &Options<'_>,
    ) -> Result<(), Discard> {
        if options.nbr_unreach() {
            // RFC 3208 §15.3.2: it may bear the number of the last regular SPM, its window says
            // nothing, and it counts only if it comes from our parent.
            if self.sequence.last().is_none_or(|last| spm.sqn.before(last)) {
                return Err(Discard::SpmOutOfSequence);
            }
            if self.path() != Some(spm.path) {
                return Err(Discard::Unmatched);
            }
            self.unreachable = true;
            return Ok(());
        }
        let windowless = is_windowless(spm);
        // RFC 3208 §3.3: TRAIL is at most LEAD + 1, and the window at most 2^31 - 1 numbers.
        if !windowless && spm.lead.next().before(spm.trail) {
            return Err(Discard::SpmWindow);
        }
        match self.sequence.admit(now, spm.sqn) {
            Fit::Refused => return Err(Discard::SpmOutOfSequence),
            Fit::Anew if self.is_behind(spm) => {
                // RFC 3208 §3.1 rules this out: the source counts SPMs and data anew under the TSI
                // it had. What it was it will not be again, as if it had fallen silent.
                self.expire();
                return Ok(());
            }
            Fit::Anew | Fit::Next => {}
        }
        let (ahead, received) = (self.is_ahead(spm), self.stats.data_packets);
        if !windowless && self.sequence.is_misled(now, ahead, received) {
            // RFC 3208 §10: a false edge must not deafen us for good. The session begins anew.
            self.expire();
            return Ok(());
        }
        count(&mut self.stats.spms);
        if self.is_node(spm.path) {
            if self.repair.next_nak().is_some() && (self.path().is_none() || self.unreachable) {
                // All receivers hear this SPM at once: what waited for it backs off anew.
                let back_off = self.back_off.draw(&mut self.rng);
                self.repair.hold(now.after(back_off));
            }
            self.parent.hear(now, spm.path);
            self.spmr.cancel();
        }
        self.unreachable = false;
        if let Some(range) = options.nak_bo_rng() {
            self.back_off.bound(range);
            self.config.nak_bo_ivl = self.back_off.interval();
        }
        self.learn_back_off(options.nak_bo_ivl());
        if !windowless {
            self.spm_window(spm, options.join());
        }
        if let Some(rst) = options.rst() {
            // RFC 3208 §9.8.1: an abort. We do not go on asking for repairs even where we might.
            self.ending.reset = Some(rst.code);
            self.cut();
        } else if options.fin() {
            self.ending.fin = true;
        }
        Ok(())
    }

    /// Whether the source says that it has not sent yet what we have had.
    fn is_behind(&self, spm: &Spm) -> bool {
        let window = &self.window;
        window.is_open() && (is_windowless(spm) || newer(window.received(), spm.lead.next()))
    }

    /// Whether what we wait for was not sent yet, says the source.
    fn is_ahead(&self, spm: &Spm) -> bool {
        let (window, next) = (&self.window, spm.lead.next());
        window.is_open() && (newer(window.commit, next) || newer(window.trail, next))
    }

    /// The session is over as if its source had fallen silent.
    pub(super) fn expire(&mut self) {
        self.ending.expired = true;
        self.cut();
    }

    fn spm_window(&mut self, spm: &Spm, join: Option<Sqn>) {
        if !self.window.is_open() {
            let next = spm.lead.next();
            let first = history(join, spm.trail, self.join.unwrap_or(next));
            self.join = Some(first);
            if newer(next, first) {
                self.open(first);
            }
        }
        if self.window.is_open() {
            self.advance(spm.trail);
            self.window.learn_lead(spm.lead);
        }
    }

    /// Obeys an advertised trailing edge, and makes room for what comes after it.
    pub(super) fn advance(&mut self, trail: Sqn) {
        self.window.advance(trail);
        let limit = self.limit();
        self.cursor.skip(&mut self.window, &mut self.repair, limit);
    }

    /// Nothing more is received: all that is missing is lost.
    fn cut(&mut self) {
        if self.window.is_open() {
            self.advance(self.window.end);
        }
    }
}
