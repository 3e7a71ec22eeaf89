// SPDX-License-Identifier: GPL-2.0
//! Checksum rules on whole packets.

mod represent;
mod vectors;

use pgm_wire::checksum::{verify, Sum};
use pgm_wire::{Data, DataOptions, Error, Gsi, Packet, Ports, Repr, Sqn};
use represent::examine;
use vectors::{fix_checksum, named};

// req: WIRE-13 WIRE-16 OPT-03
#[test]
fn every_packet_sent_has_one() {
    for vector in vectors::all() {
        assert!(verify(&vector.emitted()), "{}", vector.name);
    }
}

// req: WIRE-14
#[test]
fn a_sum_of_zero_is_sent_as_ones() {
    let repr = Repr::Odata(
        Data {
            sqn: Sqn::new(1),
            trail: Sqn::new(0),
        },
        DataOptions::default(),
    );
    let ports = Ports {
        sport: 1,
        dport: 2,
        gsi: Gsi([0; 6]),
    };
    let rest = |payload: [u8; 2]| {
        let bytes = vectors::emit(&repr, ports, &payload);
        u16::from_be_bytes([bytes[6], bytes[7]])
    };
    // What is missing to 0xFFFF is the checksum of the packet with a payload of zeros.
    let bytes = vectors::emit(&repr, ports, &rest([0, 0]).to_be_bytes());
    assert_eq!(bytes[6..8], [0xFF, 0xFF]);
    assert!(verify(&bytes));
    assert!(examine(&bytes).is_ok());

    // 0 would be right as well, if it were a checksum.
    let mut bytes = bytes;
    bytes[6..8].fill(0);
    assert_eq!(Sum::of(&bytes).finish(), 0xFFFF);
    assert!(!verify(&bytes));
    assert_eq!(examine(&bytes), Err(Error::ChecksumMissing));
}

// req: WIRE-15 WIRE-16
// attack: A-21
#[test]
fn none_at_all() {
    for vector in vectors::all() {
        let mut bytes = vector.bytes();
        bytes[6..8].fill(0);
        assert!(!verify(&bytes));
        let header_len = vector.repr.header_len();
        let apart = Packet::parse_header(&bytes[..header_len], bytes.len());
        if vector.repr.kind().has_payload() {
            assert_eq!(
                examine(&bytes),
                Err(Error::ChecksumMissing),
                "{}",
                vector.name
            );
            assert_eq!(apart, Err(Error::ChecksumMissing), "{}", vector.name);
        } else {
            assert!(examine(&bytes).is_ok(), "{}", vector.name);
            assert!(apart.is_ok(), "{}", vector.name);
        }
    }
}

// req: WIRE-17
// attack: A-21
#[test]
fn a_wrong_one_comes_before_what_it_may_have_damaged() {
    let mut bytes = named("ODATA with all options").bytes();
    bytes[25] = 0;
    assert_eq!(examine(&bytes), Err(Error::Checksum));
    fix_checksum(&mut bytes);
    assert_eq!(examine(&bytes), Err(Error::OptionLength));
}

// req: WIRE-13
// attack: A-21
#[test]
fn covers_bytes_behind_the_packet() {
    let mut bytes = named("SPM").bytes();
    bytes.extend_from_slice(b"tail");
    assert_eq!(examine(&bytes), Err(Error::Checksum));
    fix_checksum(&mut bytes);
    assert!(examine(&bytes).is_ok());
}

// req: WIRE-13
#[test]
fn header_and_payload_may_be_summed_apart() {
    for vector in vectors::all() {
        let bytes = vector.bytes();
        let header_len = vector.repr.header_len();
        let (header, payload) = bytes.split_at(header_len);
        assert_eq!(
            Sum::of(header).add(Sum::of(payload)),
            Sum::of(&bytes),
            "{}",
            vector.name
        );
    }
}
