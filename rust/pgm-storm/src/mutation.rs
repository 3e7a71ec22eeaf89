// SPDX-License-Identifier: GPL-2.0
//! Packets that are nearly valid: something is wrong, and the checksum is right again.

use pgm_wire::checksum::Sum;

use crate::choice::Choice;

/// Values at the edges of fields of one, two and four bytes.
const EDGES: [u32; 14] = [
    0,
    1,
    2,
    3,
    4,
    5,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
];

/// Where the common header says that options follow, and how long the payload is.
const FLAGS: usize = 5;
const CHECKSUM: std::ops::Range<usize> = 6..8;
const TSDU_LENGTH: usize = 14;

/// Writes a value into so many bytes, as far as the packet has them.
fn put(bytes: &mut [u8], at: usize, len: usize, value: u32) {
    let value = value.to_be_bytes();
    for (to, from) in bytes.iter_mut().skip(at).take(len).zip(&value[4 - len..]) {
        *to = *from;
    }
}

/// Where the options of a packet begin and how they are laid out, if it has any: the offset of each.
fn options(bytes: &[u8], header: usize) -> Vec<usize> {
    // The area ends where the header ends; it begins at the last OPT_LENGTH that says so.
    let length = |at: &usize| {
        let total = usize::from(bytes[at + 2]) << 8 | usize::from(bytes[at + 3]);
        bytes[*at] == 0 && bytes[at + 1] == 4 && at + total == header
    };
    let begin = (16..header.saturating_sub(3)).step_by(4).rev().find(length);
    let mut found = Vec::new();
    let mut at = begin.unwrap_or(header);
    while at + 4 <= header && bytes[at + 1] >= 4 {
        found.push(at);
        at += usize::from(bytes[at + 1]);
    }
    found
}

/// Spoils a packet of which `header` bytes stand before the payload, once or a few times.
pub fn spoil(c: &mut impl Choice, bytes: &mut Vec<u8>, header: usize) {
    for _ in 0..=c.below(3) {
        let options = options(bytes, header.min(bytes.len()));
        let edge = *c.pick(&EDGES);
        match c.below(12) {
            // Lengths and types of options, and their total.
            0..=3 if !options.is_empty() => {
                let at = *c.pick(&options);
                match c.below(6) {
                    0..=2 => put(bytes, at + 1, 1, edge),
                    3 => put(bytes, at, 1, c.number()),
                    4 => bytes[at] ^= 0x80,
                    _ => put(bytes, options[0] + 2, 2, edge),
                }
            }
            // Bytes between or behind the options.
            4 if !options.is_empty() => {
                let at = *c.pick(&options);
                let len = c.below(9) as usize;
                let noise = c.noise(len);
                bytes.splice(at..at, noise);
            }
            5 => {
                let len = c.below(bytes.len() as u32 + 1) as usize;
                bytes.truncate(len);
            }
            6 => {
                let len = c.below(300) as usize;
                let noise = c.noise(len);
                bytes.extend(noise);
            }
            7 => put(bytes, TSDU_LENGTH, 2, edge),
            8 => put(bytes, FLAGS, 1, c.number()),
            9 => {
                let at = 16 + c.below(48) as usize;
                put(bytes, at & !3, 4, edge);
            }
            10 => {
                let at = 16 + c.below(32) as usize;
                put(bytes, at & !1, 2, edge);
            }
            _ => {
                if !bytes.is_empty() {
                    let at = c.below(bytes.len() as u32) as usize;
                    bytes[at] ^= 1 << c.below(8);
                }
            }
        }
    }
}

/// Makes the checksum right, as far as there is one.
pub fn sum(bytes: &mut [u8]) {
    if bytes.len() < CHECKSUM.end {
        return;
    }
    bytes[CHECKSUM].fill(0);
    let sum = Sum::of(bytes).finish();
    bytes[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
}
