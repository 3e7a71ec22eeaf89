// SPDX-License-Identifier: GPL-2.0

//! Choices from the bytes of a fuzzer.

#![allow(clippy::arithmetic_side_effects)]

use std::vec::Vec;

/// Takes the bytes one by one; zeros follow the last.
pub(crate) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Any 16 bits.
    pub(crate) fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Any 32 bits.
    pub(crate) fn number(&mut self) -> u32 {
        u32::from(self.word()) | u32::from(self.word()) << 16
    }

    /// A number below `limit`, from no more bytes than it needs.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        let any = match limit {
            0..=0x100 => u32::from(self.byte()),
            0x101..=0x1_0000 => u32::from(self.word()),
            _ => self.number(),
        };
        any % limit
    }

    /// Things drawn until the bytes end, no more than `most`.
    pub(crate) fn sequence<T>(mut self, most: usize, one: fn(&mut Self) -> T) -> Vec<T> {
        let mut all = Vec::new();
        while !self.0.is_empty() && all.len() < most {
            all.push(one(&mut self));
        }
        all
    }
}

/// Runs a fuzz target over the inputs that are kept in rust/fuzz/corpus.
#[cfg(test)]
pub(crate) fn each_of_corpus(target: &str, fuzz: fn(&[u8])) {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(std::format!("{corpus}/{target}")).unwrap() {
        fuzz(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}
