// SPDX-License-Identifier: GPL-2.0
//! Any bytes: parsed, measured, and sent again where they can be.
#![no_main]

#[path = "../../pgm-wire/tests/represent/mod.rs"]
mod represent;

use libfuzzer_sys::fuzz_target;
use pgm_wire::{checksum, extent, Extent, Packet};

fuzz_target!(|bytes: &[u8]| {
    let _ = represent::examine(bytes);
    // A right checksum does not come about by chance.
    let mut summed = bytes.to_vec();
    if let Some(field) = summed.get_mut(6..8) {
        field.fill(0);
        let sum = checksum::Sum::of(&summed).finish();
        summed[6..8].copy_from_slice(&sum.to_be_bytes());
        assert!(checksum::verify(&summed));
        let _ = represent::examine(&summed);
    }
    // The front of a longer packet, or of one that ends before its front does.
    for total in [0, bytes.len() / 2, bytes.len() + 1, 1500, 65535] {
        match extent(bytes, total) {
            Ok(Extent::More(more)) => assert!(more > bytes.len().min(total) && more <= total),
            Ok(Extent::Whole(len)) => assert!(len <= bytes.len() && len <= total),
            Err(_) => {}
        }
        if let Ok(packet) = Packet::parse_header(bytes, total) {
            assert_eq!(extent(bytes, total), Ok(Extent::Whole(packet.header_len())));
        }
    }
});
