// SPDX-License-Identifier: GPL-2.0
//! Where choices come from: a generator, or the bytes of a fuzzer.

/// Makes choices.
pub trait Choice {
    /// Any 32 bits.
    fn number(&mut self) -> u32;

    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> u32 {
        self.number() % limit
    }

    /// True `percent` times in a hundred.
    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of some.
    fn pick<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len() as u32) as usize]
    }

    /// Any bytes.
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.number() as u8)
    }

    /// So many of any bytes.
    fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The generator of the `n`th packet of a seed.
    pub fn new(seed: u64, n: u64) -> Self {
        let mut start = Seeded(seed);
        Seeded(start.next() ^ n.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choice for Seeded {
    fn number(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

/// The bytes of a fuzzer; zeros follow the last.
pub struct Bytes<'a>(pub &'a [u8]);

impl Choice for Bytes<'_> {
    fn number(&mut self) -> u32 {
        let (front, rest) = self.0.split_at(self.0.len().min(4));
        self.0 = rest;
        let mut bytes = [0; 4];
        bytes[..front.len()].copy_from_slice(front);
        u32::from_le_bytes(bytes)
    }

    fn below(&mut self, limit: u32) -> u32 {
        if limit > 256 {
            return self.number() % limit;
        }
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        u32::from(*first) % limit
    }
}
