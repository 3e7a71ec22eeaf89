// SPDX-License-Identifier: GPL-2.0

//! Global Source IDs from data: the last six bytes of their MD5 (RFC 1321), as RFC 3208 section 8
//! proposes, and identifiers as text.

use crate::abi::pgm_tsi_t;

/// The identifier of some data.
pub fn from_data(data: &[u8]) -> [u8; 6] {
    let [.., a, b, c, d, e, f] = md5(data);
    [a, b, c, d, e, f]
}

/// "1.2.3.4.5.6"
pub fn text(gsi: [u8; 6]) -> String {
    gsi.map(|byte| byte.to_string()).join(".")
}

/// "1.2.3.4.5.6.7500"
pub fn tsi_text(tsi: pgm_tsi_t) -> String {
    format!("{}.{}", text(tsi.gsi), u16::from_be(tsi.sport))
}

/// Rotations of each round.
const SHIFTS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

fn md5(data: &[u8]) -> [u8; 16] {
    let mut padded = data.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    let bits = u64::try_from(data.len())
        .unwrap_or(u64::MAX)
        .wrapping_mul(8);
    padded.extend(bits.to_le_bytes());

    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| word.try_into().map_or(0, u32::from_le_bytes))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64usize {
            let (mix, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((b & d) | (c & !d), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            // floor(2^32 * |sin(step + 1)|)
            let sine = ((step as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a
                .wrapping_add(mix)
                .wrapping_add(sine)
                .wrapping_add(words[word % 16]);
            let turned = sum.rotate_left(SHIFTS[step / 16][step % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(part);
        }
    }
    let mut digest = [0; 16];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321, appendix A.5.
    #[test]
    fn digests() {
        for (data, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            let hex: String = md5(data.as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(hex, digest, "{data}");
        }
    }

    #[test]
    fn identifiers_are_text() {
        assert_eq!(text(from_data(b"")), "9.152.236.248.66.126");
        let tsi = pgm_tsi_t {
            gsi: [1, 2, 3, 4, 5, 255],
            sport: 7500u16.to_be(),
        };
        assert_eq!(tsi_text(tsi), "1.2.3.4.5.255.7500");
    }
}
