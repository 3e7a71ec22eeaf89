// SPDX-License-Identifier: GPL-2.0

//! Time as the engine sees it: nanoseconds on a monotonic clock the caller reads.

// `u64::from` is not const; the casts below only widen, or are masked.
#![allow(clippy::as_conversions, clippy::cast_possible_truncation)]

/// A point in time, nanoseconds since an epoch of the caller's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// A span of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const FAR: Self = Self(u64::MAX);

    /// From nanoseconds since the epoch.
    #[inline]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// `self + d`, at most [`Instant::FAR`].
    #[inline]
    pub const fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(d.0))
    }

    /// `self - d`, at least [`Instant::ZERO`].
    #[inline]
    pub const fn before(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(d.0))
    }

    /// Time from `earlier` to `self`, zero if the order is the other way round.
    #[inline]
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    #[inline]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// From microseconds, the unit of the socket options and of OPT_NAK_BO_IVL.
    #[inline]
    pub const fn from_micros(us: u32) -> Self {
        Self((us as u64).saturating_mul(1_000))
    }

    /// From milliseconds.
    #[inline]
    pub const fn from_millis(ms: u32) -> Self {
        Self((ms as u64).saturating_mul(1_000_000))
    }

    /// From seconds.
    #[inline]
    pub const fn from_secs(s: u32) -> Self {
        Self((s as u64).saturating_mul(1_000_000_000))
    }

    /// Nanoseconds.
    #[inline]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds, at most `u32::MAX`.
    #[inline]
    pub const fn micros(self) -> u32 {
        let us = self.0.wrapping_div(1_000);
        if us > u32::MAX as u64 {
            u32::MAX
        } else {
            (us & 0xffff_ffff) as u32
        }
    }

    /// Twice as long, saturating.
    #[inline]
    pub const fn double(self) -> Self {
        Self(self.0.saturating_mul(2))
    }

    /// `self * n / d`; `d` of zero counts as one.
    #[inline]
    pub const fn scale(self, n: u32, d: u32) -> Self {
        let d = if d == 0 { 1 } else { d as u64 };
        match self.0.saturating_mul(n as u64).checked_div(d) {
            Some(ns) => Self(ns),
            None => self,
        }
    }
}
