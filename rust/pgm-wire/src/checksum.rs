// SPDX-License-Identifier: GPL-2.0
//! The checksum over a whole PGM packet: header, options and payload, no pseudo-header (RFC 3208 §8).

/// One's complement partial sum of big-endian 16-bit words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum(u16);

impl Sum {
    /// The sum over nothing.
    pub const ZERO: Sum = Sum(0);

    /// The sum over `bytes`; an odd last byte is the high half of its word.
    pub fn of(bytes: &[u8]) -> Sum {
        // 32-bit words in 64 bits: no carry is lost below 16 GB, and 2^16 = 1 modulo 0xFFFF.
        let mut sum: u64 = 0;
        let mut rest = bytes;
        while let Some((word, tail)) = rest.split_first_chunk::<4>() {
            sum = sum.wrapping_add(u64::from(u32::from_be_bytes(*word)));
            rest = tail;
        }
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        Sum::fold(sum.wrapping_add(u64::from(u32::from_be_bytes(last))))
    }

    /// The sum over both, where the bytes of `other` start at an even offset.
    #[must_use]
    #[inline]
    #[allow(clippy::should_implement_trait)]
    pub fn add(self, other: Sum) -> Sum {
        Sum::fold(u64::from(self.0).wrapping_add(u64::from(other.0)))
    }

    /// From the kernel's `__wsum`: the same sum over words in the machine's byte order.
    #[inline]
    pub fn from_wsum(wsum: u32) -> Sum {
        let Sum(native) = Sum::fold(u64::from(wsum));
        Sum(u16::from_be_bytes(native.to_ne_bytes()))
    }

    /// The value for the checksum field: the complement. A computed 0 is 0xFFFF, for 0 says that
    /// there is no checksum.
    #[inline]
    pub const fn finish(self) -> u16 {
        match !self.0 {
            0 => 0xFFFF,
            sum => sum,
        }
    }

    /// One's complement sum of the words of a number: that of four times 16 bits.
    #[inline]
    pub(crate) fn fold(sum: u64) -> Sum {
        let [a, b, c, d, e, f, g, h] = sum.to_be_bytes();
        let words = [[a, b], [c, d], [e, f], [g, h]];
        let mut folded: u16 = 0;
        for word in words {
            let (sum, carry) = folded.overflowing_add(u16::from_be_bytes(word));
            // After a carry the sum is at most 0xFFFE.
            folded = sum.wrapping_add(u16::from(carry));
        }
        Sum(folded)
    }
}

/// Whether the packet has a checksum (the field is not 0) and it is right over all of `packet`.
pub fn verify(packet: &[u8]) -> bool {
    match packet {
        [_, _, _, _, _, _, 0, 0, ..] => false,
        [_, _, _, _, _, _, _, _, ..] => Sum::of(packet) == Sum(0xFFFF),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{verify, Sum};

    /// The definition, word by word (RFC 1071).
    fn by_definition(bytes: &[u8]) -> u16 {
        let mut sum: u32 = 0;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        }
        while sum > 0xFFFF {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        sum as u16
    }

    // req: WIRE-13
    #[test]
    fn every_length() {
        let bytes: Vec<u8> = (0..700u32).map(|i| (i * 151 + 77) as u8).collect();
        for len in 0..bytes.len() {
            let part = &bytes[..len];
            assert_eq!(Sum::of(part), Sum(by_definition(part)), "{len}");
            let split = (len / 2) & !1;
            let halves = Sum::of(&part[..split]).add(Sum::of(&part[split..]));
            assert_eq!(halves, Sum::of(part), "{len}");
        }
    }

    // req: WIRE-13
    #[test]
    fn carries() {
        let ones = vec![0xFF; 65536];
        assert_eq!(Sum::of(&ones), Sum(0xFFFF));
        assert_eq!(Sum(0xFFFF).add(Sum(0xFFFF)), Sum(0xFFFF));
        assert_eq!(Sum(0x8000).add(Sum(0x8000)), Sum(1));
        assert_eq!(Sum(0xFFFF).add(Sum(1)), Sum(1));
        assert_eq!(Sum::ZERO.add(Sum::ZERO), Sum::ZERO);
    }

    // req: WIRE-14
    #[test]
    fn complement() {
        assert_eq!(Sum(0).finish(), 0xFFFF);
        assert_eq!(Sum(0xFFFF).finish(), 0xFFFF);
        assert_eq!(Sum(0x1234).finish(), 0xEDCB);
        assert_eq!(Sum(1).finish(), 0xFFFE);
    }

    // req: WIRE-13
    #[test]
    fn sums_of_the_kernel() {
        // csum_partial() adds words in the order of the machine and leaves 32 bits.
        let bytes: Vec<u8> = (0..64u8).map(|i| i.wrapping_mul(37)).collect();
        let mut wsum: u64 = 0;
        for word in bytes.chunks(4) {
            wsum += u64::from(u32::from_ne_bytes(word.try_into().unwrap()));
        }
        let wsum = (wsum & 0xFFFF_FFFF) + (wsum >> 32);
        assert_eq!(Sum::from_wsum(wsum.try_into().unwrap()), Sum::of(&bytes));
        assert_eq!(
            Sum::from_wsum(u32::from_ne_bytes([0x12, 0x34, 0, 0])),
            Sum(0x1234)
        );
        assert_eq!(Sum::from_wsum(u32::MAX), Sum(0xFFFF));
        assert_eq!(Sum::from_wsum(0), Sum::ZERO);
    }

    // req: WIRE-15
    #[test]
    fn too_short_to_have_one() {
        for len in 0..8 {
            assert!(!verify(&vec![0xFF; len]));
        }
        assert!(verify(&[0xFF; 8]));
        assert!(!verify(&[0; 8]));
    }
}
