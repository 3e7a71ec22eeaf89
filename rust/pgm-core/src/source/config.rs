// SPDX-License-Identifier: GPL-2.0

//! What a source is told once, before it starts.

use core::fmt;

use pgm_wire::{Addr, Sqn, Tsi};

use crate::time::{Duration, Instant};

/// How many heartbeat intervals can be named one by one.
const INTERVALS: usize = 32;
/// No SPM timer runs faster than this, whatever the settings say.
const SHORTEST: Duration = Duration::from_millis(1);
/// Nor slower.
const LONGEST: Duration = Duration::from_micros(u32::MAX);

/// The intervals between heartbeat SPMs: IHB_MIN first, IHB_MAX last (RFC 3208 §5.1.5).
#[derive(Clone, Copy)]
pub struct Heartbeat {
    /// In microseconds.
    intervals: [u32; INTERVALS],
    last: usize,
}

impl Heartbeat {
    /// The RFC's scheme: from `min` (IHB_MIN), each interval twice the one before, up to `max`
    /// (IHB_MAX).
    pub fn doubling(min: Duration, max: Duration) -> Self {
        let mut next = min.max(SHORTEST);
        let max = max.max(next).min(LONGEST);
        let mut heartbeat = Self {
            intervals: [max.micros(); INTERVALS],
            last: 0,
        };
        for (place, interval) in heartbeat.intervals.iter_mut().enumerate() {
            *interval = next.micros();
            heartbeat.last = place;
            if next == max {
                break;
            }
            next = next.double().min(max);
        }
        heartbeat
    }

    /// Intervals one by one, in microseconds: 1 to 32 of them, none zero. `None` otherwise.
    pub fn from_micros(micros: &[u32]) -> Option<Self> {
        let last = micros.len().checked_sub(1)?;
        if last >= INTERVALS || micros.contains(&0) {
            return None;
        }
        let mut intervals = [0; INTERVALS];
        for (interval, us) in intervals.iter_mut().zip(micros) {
            *interval = (*us).max(SHORTEST.micros());
        }
        Some(Self { intervals, last })
    }

    /// The interval that follows `beats` heartbeats in a row; the last one repeats.
    pub fn interval(&self, beats: u32) -> Duration {
        let place = usize::try_from(beats).unwrap_or(usize::MAX).min(self.last);
        let micros = self.intervals.get(place).copied();
        micros.map_or(SHORTEST, Duration::from_micros)
    }

    /// IHB_MIN, which also spaces the answers to SPMRs (RFC 3208 §13.4).
    pub fn min(&self) -> Duration {
        self.interval(0)
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.last.saturating_add(1);
        f.debug_list()
            .entries(self.intervals.iter().take(named))
            .finish()
    }
}

/// How the trailing edge of the window advances (RFC 3208 §16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advance {
    /// The window holds the last TXW_SECS (§16.3).
    #[default]
    WithTime,
    /// The window holds the last TXW_BYTES, longer if NAKs ask for its oldest part; when it is full
    /// nothing more is sent until it advances (§16.2).
    WithData,
}

/// Everything a [`Source`](super::Source) is configured with.
#[derive(Clone, Copy, Debug)]
pub struct SourceConfig {
    /// The session.
    pub tsi: Tsi,
    /// Data-destination port.
    pub dport: u16,
    /// The source's own address at the start: the path NLA of its SPMs, and NAK_SRC.
    pub nla: Addr,
    /// The group, and what NAK_GRP must equal.
    pub group: Addr,
    /// TXW_MAX_RTE in bytes a second, over whole IP packets of SPM, ODATA and RDATA.
    pub rate: u64,
    /// Bytes of IP (and UDP) header that the rate counts for each packet.
    pub ip_overhead: u32,
    /// TXW_SECS: how long a packet stays in the transmit window (RFC 3208 §16).
    pub window: Duration,
    /// TXW_BYTES: TSDU bytes that the window, unsent packets included, may hold.
    pub window_bytes: u64,
    /// TXW_SQNS: packets that the window, unsent ones included, may hold; at most
    /// [`RING_MAX`](crate::RING_MAX).
    pub window_sqns: u32,
    /// How the window advances.
    pub advance: Advance,
    /// TXW_ADV_SECS as a share of TXW_SECS, in percent.
    pub advance_percent: u32,
    /// What new receivers may ask for, as a share of the window in percent; with 0 they start with the
    /// first packet they see (RFC 3208 §9.4).
    pub join_percent: u32,
    /// TSDU bytes that may wait to be sent for the first time.
    pub queue_bytes: u64,
    /// Interval of ambient SPMs (RFC 3208 §5.1.4).
    pub ambient: Duration,
    /// Intervals of heartbeat SPMs (RFC 3208 §5.1.5).
    pub heartbeat: Heartbeat,
    /// Number of the first ODATA.
    pub first_sqn: Sqn,
}

impl SourceConfig {
    /// The ambient interval that is kept, however small the setting.
    pub(super) fn ambient_interval(&self) -> Duration {
        self.ambient.max(SHORTEST)
    }
}

/// The earlier of two deadlines, either of which may be absent.
#[inline]
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
