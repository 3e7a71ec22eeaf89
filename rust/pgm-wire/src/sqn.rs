// SPDX-License-Identifier: GPL-2.0
//! Sequence numbers and their serial arithmetic (RFC 3208 §3.2).

/// A sequence number of 32 bits on a circle: no `<`, no `+`.
///
/// One number is before another when it is less than half the circle behind it. At exactly half
/// the circle (2^31) each is before the other, and none of the two is to be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sqn(u32);

impl Sqn {
    const HALF: u32 = 1 << 31;

    /// The number as it stands on the wire.
    pub const fn new(value: u32) -> Self {
        Sqn(value)
    }

    /// The number as it stands on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The next number on the circle.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The previous number on the circle.
    pub const fn prev(self) -> Self {
        self.minus(1)
    }

    /// `n` steps ahead.
    pub const fn plus(self, n: u32) -> Self {
        Sqn(self.0.wrapping_add(n))
    }

    /// `n` steps back.
    pub const fn minus(self, n: u32) -> Self {
        Sqn(self.0.wrapping_sub(n))
    }

    /// How many steps lead from `earlier` to this number.
    pub const fn since(self, earlier: Sqn) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether this number is older than `other`.
    pub const fn before(self, other: Sqn) -> bool {
        self.since(other) >= Self::HALF
    }

    /// Whether this number is newer than `other`.
    pub const fn after(self, other: Sqn) -> bool {
        other.before(self)
    }

    /// Equal or older.
    pub const fn at_or_before(self, other: Sqn) -> bool {
        self.0 == other.0 || self.before(other)
    }

    /// Equal or newer.
    pub const fn at_or_after(self, other: Sqn) -> bool {
        self.0 == other.0 || self.after(other)
    }

    /// The newer of two.
    pub const fn max_of(a: Sqn, b: Sqn) -> Sqn {
        if a.before(b) {
            b
        } else {
            a
        }
    }

    /// The older of two.
    pub const fn min_of(a: Sqn, b: Sqn) -> Sqn {
        if a.after(b) {
            b
        } else {
            a
        }
    }
}
