// SPDX-License-Identifier: GPL-2.0

//! Strategies for advancing the trailing edge (RFC 3208 §16). The window itself is in `txw.rs`.

use pgm_wire::Sqn;

use super::config::{Advance, SourceConfig};
use crate::time::{Duration, Instant};

const SECOND: u64 = 1_000_000_000;

/// An amount of data: used up when either of its two measures is. Windows of short packets are full
/// by number, windows of long ones by bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) bytes: u64,
    pub(super) sqns: u32,
}

impl Share {
    /// At least a byte and a packet.
    pub(super) fn scale(self, n: u32, d: u32) -> Self {
        let part = |whole: u64| {
            let part = whole.saturating_mul(u64::from(n));
            part.checked_div(u64::from(d)).unwrap_or(whole).max(1)
        };
        Self {
            bytes: part(self.bytes),
            sqns: u32::try_from(part(u64::from(self.sqns))).unwrap_or(u32::MAX),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            sqns: self.sqns.saturating_sub(other.sqns),
        }
    }

    fn is_used_up(self) -> bool {
        self.bytes == 0 || self.sqns == 0
    }

    /// Whether `self` fills `limit`.
    fn fills(self, limit: Self) -> bool {
        limit.minus(self).is_used_up()
    }
}

/// A place in the session: a packet, and when it was sent.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) sqn: Sqn,
    /// TSDU bytes of the session before it, modulo 2^32.
    pub(super) before: u32,
    pub(super) sent_at: Instant,
}

impl Mark {
    /// What lies between an earlier place and this one.
    pub(super) fn since(&self, earlier: &Mark) -> Share {
        Share {
            bytes: u64::from(self.before.wrapping_sub(earlier.before)),
            sqns: self.sqn.since(earlier.sqn),
        }
    }
}

/// How the trailing edge moves.
pub(super) enum Strategy {
    Time(WithTime),
    Data(WithData),
}

impl Strategy {
    pub(super) fn new(config: &SourceConfig, window: Share) -> Self {
        let percent = config.advance_percent.clamp(1, 100);
        match config.advance {
            Advance::WithTime => Self::Time(WithTime {
                secs: config.window,
                step: config.window.scale(percent, 100),
                leaving: None,
            }),
            Advance::WithData => Self::Data(WithData::new(config.rate, window, percent)),
        }
    }

    /// When `oldest`, the packet at TXW_TRAIL, leaves, as far as that is known.
    pub(super) fn due(&self, oldest: &Mark) -> Option<Instant> {
        match self {
            Self::Time(time) => Some(time.due(oldest)),
            Self::Data(data) => data.due(oldest),
        }
    }

    /// Whether `oldest` leaves at `now`. Asked for one packet after the other until it says no.
    pub(super) fn leaves(&mut self, now: Instant, oldest: &Mark) -> bool {
        match self {
            Self::Time(time) => time.leaves(now, oldest),
            Self::Data(data) => data.leaves(now, oldest),
        }
    }

    /// The window holds no packet that was sent.
    pub(super) fn emptied(&mut self) {
        if let Self::Data(data) = self {
            data.leaving = None;
        }
    }

    /// With data: what is asked of that strategy only.
    pub(super) fn with_data(&mut self) -> Option<&mut WithData> {
        match self {
            Self::Time(_) => None,
            Self::Data(data) => Some(data),
        }
    }
}

/// Advance with time (RFC 3208 §16.3): the window holds the last TXW_SECS, whatever is asked for.
/// When the oldest packet is TXW_SECS old, the trailing edge passes over everything sent within
/// TXW_ADV_SECS of it.
pub(super) struct WithTime {
    /// TXW_SECS.
    secs: Duration,
    /// TXW_ADV_SECS.
    step: Duration,
    /// The increment window being freed: packets sent up to then leave.
    leaving: Option<Instant>,
}

impl WithTime {
    fn due(&self, oldest: &Mark) -> Instant {
        if Some(oldest.sent_at) <= self.leaving {
            return Instant::ZERO;
        }
        oldest.sent_at.after(self.secs)
    }

    fn leaves(&mut self, now: Instant, oldest: &Mark) -> bool {
        if Some(oldest.sent_at) > self.leaving {
            if oldest.sent_at.after(self.secs) > now {
                return false;
            }
            self.leaving = Some(oldest.sent_at.after(self.step));
        }
        true
    }
}

/// TXW_ADV_IVL_TMR.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    Stopped,
    /// Expires when that much more data was sent (RFC 3208 §16.2).
    Data(Share),
    /// Expires at a time: while the window is full no data would ever expire it.
    Real(Instant),
}

/// Advance with data (RFC 3208 §16.2): the window holds the last TXW_BYTES, however old, and moves over
/// its oldest part, the increment window, when nobody has asked for anything in there for TXW_ADV_IVL.
///
/// TXW_ADV_IVL is fixed at three quarters of TXW_ADV_SECS (§16.1: "determined statically"). A quarter of
/// the increment is left for what is queued but not sent, so that a source nobody NAKs never stops.
pub(super) struct WithData {
    /// TXW_ADV_SECS: how much data the increment window holds.
    step: Share,
    /// TXW_ADV_IVL.
    wait: Share,
    /// TXW_ADV_IVL at TXW_MAX_RTE.
    wait_time: Duration,
    /// From this fill on TXW_ADV_IVL_TMR runs.
    start: Share,
    timer: Timer,
    /// The increment window being freed starts here.
    leaving: Option<Mark>,
}

impl WithData {
    pub(super) fn new(rate: u64, window: Share, percent: u32) -> Self {
        let step = window.scale(percent, 100);
        let wait = step.scale(3, 4);
        let mut data = Self {
            step,
            wait,
            wait_time: Duration::ZERO,
            start: window.minus(Self::queue(window, percent)).minus(wait),
            timer: Timer::Stopped,
            leaving: None,
        };
        data.set_rate(rate);
        data
    }

    /// What of the window unsent data may take.
    pub(super) fn queue(window: Share, percent: u32) -> Share {
        window.scale(percent, 100).scale(1, 4)
    }

    #[cfg(test)]
    pub(super) fn step_and_wait(&self) -> (Share, Share) {
        (self.step, self.wait)
    }

    pub(super) fn set_rate(&mut self, rate: u64) {
        let ns = self.wait.bytes.saturating_mul(SECOND).checked_div(rate);
        self.wait_time = Duration::from_nanos(ns.unwrap_or(0));
    }

    fn is_in_increment(&self, oldest: &Mark, mark: &Mark) -> bool {
        !mark.since(oldest).fills(self.step)
    }

    fn due(&self, oldest: &Mark) -> Option<Instant> {
        match (self.leaving, self.timer) {
            (Some(first), _) if self.is_in_increment(&first, oldest) => Some(Instant::ZERO),
            (_, Timer::Stopped) => None,
            (_, Timer::Data(left)) => left.is_used_up().then_some(Instant::ZERO),
            (_, Timer::Real(at)) => Some(at),
        }
    }

    fn leaves(&mut self, now: Instant, oldest: &Mark) -> bool {
        if let Some(first) = self.leaving {
            if self.is_in_increment(&first, oldest) {
                return true;
            }
            self.leaving = None;
        }
        // §16.2: "only upon expiry of TXW_ADV_IVL_TMR".
        if self.due(oldest).is_none_or(|at| at > now) {
            return false;
        }
        self.leaving = Some(*oldest);
        self.timer = Timer::Stopped;
        true
    }

    /// ODATA or RDATA of `len` bytes left; the window now holds `fill`.
    pub(super) fn sent(&mut self, len: u16, fill: Share) {
        match &mut self.timer {
            Timer::Data(left) => {
                *left = left.minus(Share {
                    bytes: u64::from(len),
                    sqns: 1,
                });
            }
            Timer::Stopped if fill.fills(self.start) => self.timer = Timer::Data(self.wait),
            Timer::Stopped | Timer::Real(_) => {}
        }
    }

    /// The window is full and all of it was sent: transmission is suspended, and with it data-driven
    /// time. TXW_ADV_IVL passes in real time then, at TXW_MAX_RTE.
    pub(super) fn suspended(&mut self, now: Instant) {
        match self.timer {
            Timer::Real(_) => {}
            Timer::Data(left) if left.is_used_up() => {}
            Timer::Stopped | Timer::Data(_) => {
                self.timer = Timer::Real(now.after(self.wait_time));
            }
        }
    }

    /// `asked` is the place of a packet in a NAK. §16.2: one in the increment window starts the timer
    /// again.
    pub(super) fn asked(&mut self, now: Instant, oldest: &Mark, asked: &Mark) {
        if !self.is_in_increment(oldest, asked) {
            return;
        }
        match &mut self.timer {
            Timer::Stopped => {}
            Timer::Data(left) => *left = self.wait,
            Timer::Real(at) => *at = now.after(self.wait_time),
        }
    }

    /// §16.1: repairs of what leaves first go first.
    pub(super) fn is_urgent(&self, oldest: &Mark, mark: &Mark) -> bool {
        self.is_in_increment(oldest, mark)
    }
}

/// How far back a new receiver may ask: OPT_JOIN_MIN (RFC 3208 §9.4).
pub(super) struct JoinShare {
    /// The join interval in time, if the window advances with time.
    secs: Option<Duration>,
    /// And in data (§16.2), if it advances with data.
    data: Share,
}

impl JoinShare {
    /// `None` if new receivers start with what they see.
    pub(super) fn new(config: &SourceConfig, window: Share) -> Option<Self> {
        let percent = config.join_percent.min(100);
        let secs = config.window.scale(percent, 100);
        (percent > 0).then(|| Self {
            secs: (config.advance == Advance::WithTime).then_some(secs),
            data: window.scale(percent, 100),
        })
    }

    /// Whether `mark` is older than that; `end` is where the next packet will be.
    pub(super) fn excludes(&self, now: Instant, mark: &Mark, end: &Mark) -> bool {
        match self.secs {
            Some(secs) => mark.sent_at.after(secs) <= now,
            None => {
                let Share { bytes, sqns } = end.since(mark);
                bytes > self.data.bytes || sqns > self.data.sqns
            }
        }
    }
}
