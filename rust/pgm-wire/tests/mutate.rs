// SPDX-License-Identifier: GPL-2.0
//! Damaged packets: each is refused or means what its bytes say, and nothing panics.

mod represent;
mod vectors;

use pgm_wire::Error;
use represent::{examine, fetch};
use vectors::fix_checksum;

// req: WIRE-20 SEC-07
// attack: A-03 A-04
#[test]
fn every_prefix() {
    for vector in vectors::all() {
        let whole = vector.bytes();
        let header = whole.len() - vector.payload.len();
        for len in 0..whole.len() {
            let mut bytes = whole[..len].to_vec();
            assert!(examine(&bytes).is_err(), "{} cut to {len}", vector.name);
            if len < 8 {
                continue;
            }
            fix_checksum(&mut bytes);
            let error = examine(&bytes).unwrap_err();
            if len < header {
                assert!(
                    matches!(error, Error::Truncated | Error::OptionTotal),
                    "{error}"
                );
            } else {
                assert_eq!(error, Error::TsduLength);
            }
            // A prefix of a longer packet asks for more until header and options are there.
            assert_eq!(fetch(&whole), Ok(header));
        }
    }
}

// req: WIRE-15 WIRE-17 SEC-07
// attack: A-01 A-03 A-04
#[test]
fn every_byte_with_every_value() {
    for vector in vectors::all() {
        let whole = vector.bytes();
        for at in 0..whole.len() {
            for change in 1..=255 {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                // A packet without checksum is believed, unless it is data.
                let without = bytes[6..8] == [0, 0] && !vector.repr.kind().has_payload();
                let result = examine(&bytes);
                assert_eq!(
                    result.is_ok(),
                    without,
                    "{} at {at} ^ {change}",
                    vector.name
                );
                fix_checksum(&mut bytes);
                let _ = examine(&bytes);
            }
        }
    }
}

// req: WIRE-20 SEC-07
// attack: A-03 A-04
#[test]
fn two_bytes_of_every_short_packet() {
    // Fields of two bytes at their extremes, at every offset.
    for vector in vectors::all()
        .iter()
        .filter(|vector| vector.hex.len() < 400)
    {
        let whole = vector.bytes();
        for at in 0..whole.len() - 1 {
            for value in [
                0u16, 1, 3, 4, 0x7F, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF,
            ] {
                let mut bytes = whole.clone();
                bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
                fix_checksum(&mut bytes);
                let _ = examine(&bytes);
            }
        }
    }
}
