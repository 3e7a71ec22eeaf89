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
    #[inline]
    pub const fn new(value: u32) -> Self {
        Sqn(value)
    }

    /// The number as it stands on the wire.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The next number on the circle.
    #[inline]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The previous number on the circle.
    #[inline]
    pub const fn prev(self) -> Self {
        self.minus(1)
    }

    /// `n` steps ahead.
    #[inline]
    pub const fn plus(self, n: u32) -> Self {
        Sqn(self.0.wrapping_add(n))
    }

    /// `n` steps back.
    #[inline]
    pub const fn minus(self, n: u32) -> Self {
        Sqn(self.0.wrapping_sub(n))
    }

    /// How many steps lead from `earlier` to this number.
    #[inline]
    pub const fn since(self, earlier: Sqn) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether this number is older than `other`.
    #[inline]
    pub const fn before(self, other: Sqn) -> bool {
        self.since(other) >= Self::HALF
    }

    /// Whether this number is newer than `other`.
    #[inline]
    pub const fn after(self, other: Sqn) -> bool {
        other.before(self)
    }

    /// Equal or older.
    #[inline]
    pub const fn at_or_before(self, other: Sqn) -> bool {
        self.0 == other.0 || self.before(other)
    }

    /// Equal or newer.
    #[inline]
    pub const fn at_or_after(self, other: Sqn) -> bool {
        self.0 == other.0 || self.after(other)
    }

    /// The newer of two.
    #[inline]
    pub const fn max_of(a: Sqn, b: Sqn) -> Sqn {
        if a.before(b) {
            b
        } else {
            a
        }
    }

    /// The older of two.
    #[inline]
    pub const fn min_of(a: Sqn, b: Sqn) -> Sqn {
        if a.after(b) {
            b
        } else {
            a
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sqn;

    const EDGES: [u32; 9] = [
        0,
        1,
        2,
        0x7FFF_FFFE,
        0x7FFF_FFFF,
        0x8000_0000,
        0x8000_0001,
        0xFFFF_FFFE,
        0xFFFF_FFFF,
    ];

    // req: WIRE-26
    #[test]
    fn order_on_the_circle() {
        for start in EDGES.map(Sqn::new) {
            for distance in [1, 2, 0x7FFF_FFFE, 0x7FFF_FFFF] {
                let later = start.plus(distance);
                assert!(start.before(later) && start.at_or_before(later));
                assert!(later.after(start) && later.at_or_after(start));
                assert!(!later.before(start) && !later.at_or_before(start));
                assert!(!start.after(later) && !start.at_or_after(later));
                assert_eq!(Sqn::max_of(start, later), later);
                assert_eq!(Sqn::max_of(later, start), later);
                assert_eq!(Sqn::min_of(start, later), start);
                assert_eq!(Sqn::min_of(later, start), start);
            }
        }
    }

    // req: WIRE-26
    #[test]
    fn equal_numbers() {
        for sqn in EDGES.map(Sqn::new) {
            assert!(!sqn.before(sqn) && !sqn.after(sqn));
            assert!(sqn.at_or_before(sqn) && sqn.at_or_after(sqn));
            assert_eq!(sqn.since(sqn), 0);
            assert_eq!(Sqn::max_of(sqn, sqn), sqn);
        }
    }

    // req: WIRE-26
    #[test]
    fn half_the_circle_away() {
        for sqn in EDGES.map(Sqn::new) {
            let opposite = sqn.plus(1 << 31);
            assert!(sqn.before(opposite) && opposite.before(sqn));
            assert!(sqn.after(opposite) && opposite.after(sqn));
        }
    }

    // req: WIRE-26
    #[test]
    fn steps() {
        assert_eq!(Sqn::new(u32::MAX).next(), Sqn::new(0));
        assert_eq!(Sqn::new(0).prev(), Sqn::new(u32::MAX));
        for a in EDGES.map(Sqn::new) {
            for b in EDGES.map(Sqn::new) {
                assert_eq!(a.plus(b.since(a)), b);
                assert_eq!(b.minus(b.since(a)), a);
            }
        }
        assert_eq!(Sqn::new(5).since(Sqn::new(0xFFFF_FFFE)), 7);
        assert_eq!(Sqn::default().get(), 0);
    }
}
