// SPDX-License-Identifier: GPL-2.0
//! Every packet type and option against bytes written by hand.

mod represent;
mod vectors;

use pgm_wire::checksum::Sum;
use pgm_wire::{
    extent, Data, DataOptions, Error, Extent, Fragment, Gsi, Header, Packet, PacketType, Ports,
    Repr, Sqn, Tsi,
};
use represent::{examine, ports, represent};
use vectors::{fix_checksum, named};

// req: WIRE-02 WIRE-06 WIRE-19 WIRE-21 WIRE-22 WIRE-23 OPT-01 OPT-22 DLR-27 POLL-14 OPT-61
#[test]
fn received() {
    for vector in vectors::all() {
        let bytes = vector.bytes();
        let packet = examine(&bytes).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(represent(&packet), vector.repr, "{}", vector.name);
        assert_eq!(packet.header.kind, vector.repr.kind(), "{}", vector.name);
        assert_eq!(ports(&packet), vector.ports, "{}", vector.name);
        assert_eq!(packet.payload, vector.payload, "{}", vector.name);
        assert_eq!(
            packet.header_len(),
            bytes.len() - vector.payload.len(),
            "{}",
            vector.name
        );
    }
}

// req: WIRE-02 WIRE-03 WIRE-13 WIRE-24 OPT-01 OPT-02 OPT-03 OPT-04 OPT-05 OPT-06 OPT-07
#[test]
fn sent() {
    for vector in vectors::all() {
        assert_eq!(vector.emitted(), vector.bytes(), "{}", vector.name);
    }
}

// req: WIRE-02 WIRE-13 OPT-01
#[test]
fn plain_data_is_what_emit_writes() {
    let mut word = 1u32;
    let mut draw = || {
        word = word.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        word
    };
    for round in 0..2_000 {
        let [a, b, c, d] = draw().to_be_bytes();
        let [e, f, g, h] = draw().to_be_bytes();
        let ports = Ports {
            sport: u16::from_be_bytes([a, b]),
            dport: u16::from_be_bytes([c, d]),
            gsi: Gsi([e, f, g, h, a, d]),
        };
        let data = Data {
            sqn: Sqn::new(draw()),
            trail: Sqn::new(draw()),
        };
        let fragment = (round % 2 == 1).then(|| Fragment {
            first: Sqn::new(draw()),
            offset: draw(),
            apdu_len: draw(),
        });
        let (len, sum) = (draw() as u16, Sum::from_wsum(draw()));
        let options = DataOptions {
            fragment,
            ..DataOptions::default()
        };
        let (mut one, mut other) = ([0; 48], [0; 48]);
        let there = Repr::Odata(data, options).emit(ports, len, sum, &mut one);
        let here = data.emit_plain(ports, len, sum, fragment, &mut other);
        assert_eq!((there, one), (here, other));
        assert!(data
            .emit_plain(ports, len, sum, fragment, &mut one[..20])
            .is_err());
    }
}

// req: WIRE-06
#[test]
fn session_and_data_port_by_direction() {
    for vector in vectors::all() {
        let bytes = vector.bytes();
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(
            packet.tsi(),
            Tsi {
                gsi: vector.ports.gsi,
                sport: 4660
            },
            "{}",
            vector.name
        );
        assert_eq!(packet.data_port(), 7500, "{}", vector.name);
    }
}

// req: WIRE-05
#[test]
fn packet_types() {
    let known = [0, 1, 2, 4, 5, 8, 9, 10, 11, 12, 13];
    for number in 0..=15 {
        let kind = PacketType::from_wire(number);
        assert_eq!(kind.is_some(), known.contains(&number));
        match kind {
            Some(PacketType::Ack) => assert_eq!(PacketType::Ack.to_wire(), 0x0D),
            Some(kind) => assert_eq!(kind.to_wire(), number),
            None => {
                let mut bytes = named("SPM").bytes();
                bytes[4] = number;
                fix_checksum(&mut bytes);
                assert_eq!(examine(&bytes), Err(Error::UnknownType));
            }
        }
    }
}

#[test]
fn the_other_number_of_ack() {
    let mut bytes = named("ACK").bytes();
    bytes[4] = 0x0B;
    fix_checksum(&mut bytes);
    assert_eq!(represent(&examine(&bytes).unwrap()), named("ACK").repr);
}

// req: WIRE-04
#[test]
fn version_and_reserved_type_bits() {
    for vector in vectors::all() {
        for high in 1..=15 {
            let mut bytes = vector.bytes();
            bytes[4] |= high << 4;
            fix_checksum(&mut bytes);
            assert_eq!(examine(&bytes), Err(Error::Version), "{}", vector.name);
        }
    }
}

// req: WIRE-24
#[test]
fn reserved_fields_are_ignored() {
    let reserved: [(&str, &[usize]); 7] = [
        ("SPM", &[30, 31]),
        ("POLL", &[26, 27]),
        ("POLR", &[22, 23]),
        ("NAK", &[22, 23, 30, 31]),
        // Options: the third byte, reserved parts of bodies.
        (
            "SPM with all options",
            &[42, 54, 66, 74, 82, 86, 90, 98, 102],
        ),
        ("NAK with all options", &[42, 58, 70, 71, 74, 75, 82]),
        ("POLR redirecting", &[30, 34, 35]),
    ];
    for (name, offsets) in reserved {
        let vector = named(name);
        for &offset in offsets {
            for value in 1..=255 {
                let mut bytes = vector.bytes();
                bytes[offset] = value;
                fix_checksum(&mut bytes);
                let packet = examine(&bytes).unwrap();
                assert_eq!(represent(&packet), vector.repr, "{name} at {offset}");
            }
        }
    }
    // The Options field of the header: bits of no meaning.
    for vector in vectors::all() {
        for bits in (1..16).map(|bits| bits << 2) {
            let mut bytes = vector.bytes();
            bytes[5] |= bits;
            fix_checksum(&mut bytes);
            assert_eq!(represent(&examine(&bytes).unwrap()), vector.repr);
        }
    }
}

// req: WIRE-21 WIRE-23
// attack: A-04
#[test]
fn unknown_address_family() {
    for (name, offsets) in [
        ("SPM", &[28][..]),
        ("POLL", &[24]),
        ("NAK", &[20, 28]),
        ("NAK v6", &[20, 40]),
        ("NAK, v4 source and v6 group", &[20, 28]),
        ("NNAK", &[20, 28]),
        ("NCF", &[20, 28]),
    ] {
        for &offset in offsets {
            for family in [0u16, 3, 0x0100, 0x0200, 0xFFFF] {
                let mut bytes = named(name).bytes();
                bytes[offset..offset + 2].copy_from_slice(&family.to_be_bytes());
                fix_checksum(&mut bytes);
                assert_eq!(
                    examine(&bytes),
                    Err(Error::Afi),
                    "{name} at {offset}: {family}"
                );
            }
        }
    }
}

// req: WIRE-19 WIRE-20
// attack: A-03
#[test]
fn tsdu_length_of_data() {
    for name in [
        "ODATA",
        "ODATA with all options",
        "ODATA, parity",
        "RDATA",
        "ODATA, empty",
    ] {
        let vector = named(name);
        let right = u16::try_from(vector.payload.len()).unwrap();
        for tsdu_len in (0u16..=8).chain([0x00FF, 0x7FFF, 0x8000, 0xFFFF]) {
            let mut bytes = vector.bytes();
            bytes[14..16].copy_from_slice(&tsdu_len.to_be_bytes());
            fix_checksum(&mut bytes);
            match examine(&bytes) {
                Ok(packet) => {
                    assert_eq!(tsdu_len, right);
                    assert_eq!(packet.payload, vector.payload);
                }
                Err(error) => {
                    assert_ne!(tsdu_len, right);
                    assert_eq!(error, Error::TsduLength);
                }
            }
        }
    }
}

// req: WIRE-20 WIRE-25
#[test]
fn bytes_behind_other_types_are_no_payload() {
    for vector in vectors::all()
        .iter()
        .filter(|vector| !vector.repr.kind().has_payload())
    {
        let mut bytes = vector.bytes();
        bytes.extend_from_slice(b"tail");
        for (tsdu_len, fits) in [(0, true), (3, true), (4, true), (5, false), (255, false)] {
            bytes[15] = tsdu_len;
            fix_checksum(&mut bytes);
            match examine(&bytes) {
                Ok(packet) => {
                    assert!(fits, "{}", vector.name);
                    assert!(packet.payload.is_empty());
                    assert_eq!(represent(&packet), vector.repr);
                }
                Err(error) => {
                    assert!(!fits, "{}", vector.name);
                    assert_eq!(error, Error::TsduLength);
                }
            }
        }
    }
}

#[test]
fn payload_length_and_sum_are_ignored_where_there_is_none() {
    let vector = named("SPM");
    let mut buf = [0; pgm_wire::HEADER_MAX];
    let sum = pgm_wire::checksum::Sum::of(b"something");
    let len = vector.repr.emit(vector.ports, 9, sum, &mut buf).unwrap();
    assert_eq!(buf[..len], vector.bytes());
}

#[test]
fn longest_header() {
    let longest = named("NAK v6, the longest").repr.header_len();
    assert_eq!(longest, 380);
    assert!(longest <= pgm_wire::HEADER_MAX);
}

#[test]
fn buffers_too_small() {
    for vector in vectors::all() {
        let len = vector.repr.header_len();
        let sum = pgm_wire::checksum::Sum::of(vector.payload);
        let tsdu_len = u16::try_from(vector.payload.len()).unwrap();
        for short in 0..len {
            let mut buf = vec![0; short];
            let emitted = vector.repr.emit(vector.ports, tsdu_len, sum, &mut buf);
            assert_eq!(emitted, Err(pgm_wire::BufferTooSmall), "{}", vector.name);
        }
        let mut buf = vec![0; len];
        assert_eq!(
            vector.repr.emit(vector.ports, tsdu_len, sum, &mut buf),
            Ok(len)
        );
    }
}

// req: OPT-61
#[test]
fn reset_code_has_six_bits() {
    let Repr::Spm(spm, mut options) = named("SPM").repr else {
        panic!()
    };
    options.rst = Some(pgm_wire::Rst {
        no_naks: false,
        code: 0xFF,
    });
    let bytes = vectors::emit(&Repr::Spm(spm, options), named("SPM").ports, b"");
    assert_eq!(bytes[bytes.len() - 4..], [0x8F, 4, 0, 0x3F]);
}

#[test]
fn parity_packets_are_no_fragments() {
    let vector = named("ODATA, parity");
    let Repr::Odata(data, mut options) = vector.repr else {
        panic!()
    };
    options.fragment = Some(pgm_wire::Fragment {
        first: data.sqn,
        offset: 0,
        apdu_len: 1,
    });
    let bytes = vectors::emit(&Repr::Odata(data, options), vector.ports, vector.payload);
    assert_eq!(bytes, vector.bytes());

    // Without F the option of a parity packet means nothing.
    let mut bytes = vector.bytes();
    assert_eq!(bytes[36..40], [0x01, 16, 0x04, 0x81]);
    bytes[38] = 0;
    fix_checksum(&mut bytes);
    let packet = examine(&bytes).unwrap();
    assert_eq!(packet.options.fragment(), None);
    assert_eq!(packet.options.encoded_fragment(), None);

    // Without OPT_PARITY in the header F is rubbish and there is no parity group.
    let mut bytes = vector.bytes();
    bytes[5] &= 0x3F;
    fix_checksum(&mut bytes);
    let packet = examine(&bytes).unwrap();
    assert!(packet.options.fragment().is_some());
    assert_eq!(packet.options.encoded_fragment(), None);
    assert_eq!(packet.options.parity_grp(), None);
}

// req: WIRE-20
#[test]
fn extent_looks_no_further_than_the_packet() {
    for vector in vectors::all() {
        let bytes = vector.bytes();
        let header_len = vector.repr.header_len();
        for total in 0..bytes.len() {
            let expected = total >= header_len;
            let result = extent(&bytes, total);
            assert_eq!(result.is_ok(), expected, "{} of {total}", vector.name);
            assert!(
                Packet::parse_header(&bytes, total).is_err(),
                "{} of {total}",
                vector.name
            );
        }
    }
}

// req: WIRE-20
#[test]
fn extent_asks_in_few_steps() {
    let steps = |name: &str| {
        let bytes = named(name).bytes();
        let mut have = 0;
        let mut steps = Vec::new();
        while let Extent::More(more) = extent(&bytes[..have], bytes.len()).unwrap() {
            steps.push(more);
            have = more;
        }
        steps
    };
    assert_eq!(steps("SPMR"), [16]);
    assert_eq!(steps("ODATA"), [16, 24]);
    assert_eq!(steps("ODATA with all options"), [16, 24, 28, 84]);
    assert_eq!(steps("SPM"), [16, 36]);
    assert_eq!(steps("SPM v6"), [16, 36, 48]);
    assert_eq!(steps("POLL v6"), [16, 44, 56, 60, 72]);
    assert_eq!(steps("NAK v6, the longest"), [16, 36, 40, 48, 60, 64, 380]);
    assert_eq!(steps("NAK, v4 source and v6 group"), [16, 36, 48]);
    assert_eq!(Header::LEN, 16);
}
