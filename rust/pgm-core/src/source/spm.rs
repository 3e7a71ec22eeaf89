// SPDX-License-Identifier: GPL-2.0

//! When SPMs are due: ambient, heartbeat, and at once (RFC 3208 §5.1.4-5.1.6, §13.4).

use pgm_wire::Sqn;

use super::config::{earlier, Advance, Heartbeat, SourceConfig};
use crate::time::{Duration, Instant};

/// The two timers of the RFC, kept apart, and the next SPM_SQN.
pub(super) struct SpmTimers {
    /// SPM_SQN starts at 0: deployed receivers take a higher first value for an old one.
    sqn: Sqn,
    ambient: Duration,
    /// On [`SpmTimers::data_clock`] if there is one.
    ambient_at: Instant,
    /// Data-driven time: how long everything sent takes at TXW_MAX_RTE. RFC 3208 §16.2: when the window
    /// advances with data, the ambient interval is one of data; heartbeats stay in real time.
    data_clock: Option<Instant>,
    /// IHB_MIN.
    ihb_min: Duration,
    heartbeat_at: Instant,
    /// Heartbeats since the last data packet.
    beats: u32,
    /// An SPM is due now.
    pending: bool,
    /// No SPMR is answered before this.
    answer_at: Instant,
}

impl SpmTimers {
    /// The first SPM is due at once: sessions exist before their data does.
    pub(super) fn new(config: &SourceConfig, now: Instant) -> Self {
        Self {
            sqn: Sqn::new(0),
            ambient: config.ambient_interval(),
            ambient_at: now.after(config.ambient_interval()),
            data_clock: (config.advance == Advance::WithData).then_some(now),
            ihb_min: config.heartbeat.min(),
            heartbeat_at: now.after(config.heartbeat.min()),
            beats: 0,
            pending: true,
            answer_at: Instant::ZERO,
        }
    }

    pub(super) fn sqn(&self) -> Sqn {
        self.sqn
    }

    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// Whether none is due, while data waits.
    #[inline]
    pub(super) fn is_at_rest(&self, now: Instant) -> bool {
        !self.pending && (self.data_clock.is_some() || self.ambient_at > now)
    }

    /// IHB_MIN.
    #[inline]
    pub(super) fn ihb_min(&self) -> Duration {
        self.ihb_min
    }

    /// The next expiry. Heartbeats are for "the absence of data to transmit" (RFC 3208 §5.1.5): they
    /// rest while data `waits` for the rate.
    pub(super) fn timeout(&self, waits: bool) -> Option<Instant> {
        if self.pending {
            return None;
        }
        let heartbeat = (!waits).then_some(self.heartbeat_at);
        // Data-driven time passes in `data_sent`.
        let ambient = self.data_clock.is_none().then_some(self.ambient_at);
        earlier(ambient, heartbeat)
    }

    /// Lets timers expire.
    pub(super) fn tick(&mut self, now: Instant, waits: bool) {
        if self.timeout(waits).is_some_and(|at| at <= now) {
            self.pending = true;
        }
    }

    /// An SPM is wanted without waiting for a timer.
    pub(super) fn at_once(&mut self) {
        self.pending = true;
    }

    /// As [`Self::at_once`], and heartbeats start again at IHB_MIN: FIN and RST (RFC 3208 §9.7.2).
    pub(super) fn at_once_and_reset(&mut self, now: Instant) {
        self.pending = true;
        self.reset_heartbeat(now);
    }

    /// An SPMR came: one SPM, at most one in IHB_MIN (RFC 3208 §13.4). False if it is too soon.
    pub(super) fn request(&mut self, now: Instant) -> bool {
        if now < self.answer_at {
            return false;
        }
        self.answer_at = now.after(self.ihb_min);
        self.pending = true;
        true
    }

    /// An SPM left, which takes `time` at the rate.
    pub(super) fn spm_sent(&mut self, now: Instant, time: Duration, heartbeat: &Heartbeat) {
        self.pass(time);
        self.pending = false;
        self.sqn = self.sqn.next();
        if self.heartbeat_at <= now {
            self.beats = self.beats.saturating_add(1);
            self.heartbeat_at = now.after(heartbeat.interval(self.beats));
        }
        let clock = self.data_clock.unwrap_or(now);
        if self.ambient_at <= clock {
            // Counted from the expiry, so that a late timer does not stretch the period.
            let next = self.ambient_at.after(self.ambient);
            self.ambient_at = if next > clock {
                next
            } else {
                clock.after(self.ambient)
            };
        }
    }

    /// ODATA or RDATA left (RFC 3208 §5.1.5), which takes `time` at the rate.
    #[inline]
    pub(super) fn data_sent(&mut self, now: Instant, time: Duration) {
        self.reset_heartbeat(now);
        self.pass(time);
        if self
            .data_clock
            .is_some_and(|clock| self.ambient_at <= clock)
        {
            self.pending = true;
        }
    }

    #[inline]
    fn pass(&mut self, time: Duration) {
        self.data_clock = self.data_clock.map(|clock| clock.after(time));
    }

    #[inline]
    fn reset_heartbeat(&mut self, now: Instant) {
        self.beats = 0;
        self.heartbeat_at = now.after(self.ihb_min);
    }
}
