// SPDX-License-Identifier: GPL-2.0
//! Rules of the option list, each on hand-made lists.

mod represent;
mod vectors;

use pgm_wire::option::number;
use pgm_wire::{Addr, Error, Packet, Parity, Repr, Sqn};
use represent::examine;
use vectors::{fix_checksum, named, unhex};

/// A packet of the named vector, which has no options, with `area` where options stand.
fn with_area(name: &str, area: &[u8]) -> Vec<u8> {
    let vector = named(name);
    let mut bytes = vector.bytes();
    assert_eq!(bytes[5] & 1, 0, "{name} has options");
    let at = bytes.len() - vector.payload.len();
    bytes.splice(at..at, area.iter().copied());
    bytes[5] |= 1;
    fix_checksum(&mut bytes);
    bytes
}

/// The same with OPT_LENGTH put before `options`.
fn with_options(name: &str, options: &[u8]) -> Vec<u8> {
    let total = u16::try_from(4 + options.len()).unwrap().to_be_bytes();
    let mut area = vec![0, 4, total[0], total[1]];
    area.extend_from_slice(options);
    with_area(name, &area)
}

fn check(name: &str, options: &str) -> Result<Vec<u8>, Error> {
    let bytes = with_options(name, &unhex(options));
    examine(&bytes)?;
    Ok(bytes)
}

/// A well-formed packet, for look-ups.
fn accepted(name: &str, options: &str) -> Vec<u8> {
    check(name, options).unwrap_or_else(|error| panic!("{options} on {name}: {error}"))
}

// req: OPT-01
// attack: A-01 A-03
#[test]
fn options_start_with_their_length() {
    for area in [
        "8e040000",
        "03080000 0000005a 80040010",
        "7f040000",
        "0a000000",
    ] {
        assert_eq!(
            examine(&with_area("SPM", &unhex(area))),
            Err(Error::OptionOrder)
        );
    }
    for len in (0..=255).filter(|len| *len != 4) {
        let area = [0, len, 0, 8, 0x8E, 4, 0, 0];
        assert_eq!(examine(&with_area("SPM", &area)), Err(Error::OptionLength));
    }
}

// req: OPT-01 OPT-13 WIRE-20
// attack: A-03
#[test]
fn total_length_of_options() {
    for total in (0..=12).chain([16, 255, 4083, 4084, 4085, 0x7FFF, 0x8000, 0xFFFF]) {
        let [high, low] = u16::to_be_bytes(total);
        let bytes = with_area("SPM", &[0, 4, high, low, 0x8E, 4, 0, 0]);
        let expected = match total {
            // OPT_LENGTH alone; what follows is no option.
            4 => Ok(()),
            8 => Ok(()),
            // The option exceeds the total.
            5..=7 => Err(Error::OptionLength),
            _ => Err(Error::OptionTotal),
        };
        assert_eq!(examine(&bytes).map(drop), expected, "{total}");
    }
    // OPT_LENGTH itself does not fit.
    for len in 0..4 {
        let area = &[0, 4, 0, 4][..len];
        assert_eq!(examine(&with_area("SPM", area)), Err(Error::Truncated));
    }
}

// req: OPT-01 OPT-08
// attack: A-03
#[test]
fn total_length_no_list_can_have() {
    let with_total = |total: u16| {
        let mut area = vec![0; 5000];
        area[..8].copy_from_slice(&[0, 4, 0, 0, 0x8E, 4, 0, 0]);
        area[2..4].copy_from_slice(&total.to_be_bytes());
        with_area("SPM", &area)
    };
    assert!(examine(&with_total(4084)).is_ok());
    assert_eq!(examine(&with_total(4085)), Err(Error::OptionTotal));
}

// req: OPT-02
// attack: A-01
#[test]
fn the_list_ends_at_opt_end() {
    // Bytes behind the last option are not parsed, not even malformed ones.
    let bytes = accepted("SPM", "8e040000 0f000000 03080000 00000001");
    let packet = Packet::parse(&bytes).unwrap();
    assert!(packet.options.fin());
    assert_eq!((packet.options.rst(), packet.options.join()), (None, None));
    assert_eq!(packet.header_len(), bytes.len());
    // Nor seen, when they would be well-formed.
    let bytes = accepted("SPM", "8e040000 0f040000 03080000 00000001");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.options.rst(), packet.options.join()), (None, None));
    assert_eq!(packet.options.iter().count(), 1);
    // Also when it stands in OPT_LENGTH.
    let bytes = with_area("SPM", &unhex("80040008 8e040000"));
    let packet = examine(&bytes).unwrap();
    assert!(packet.options.is_empty() && !packet.options.fin());
    assert_eq!(packet.header_len(), bytes.len());
}

// req: OPT-02
#[test]
fn the_list_ends_at_the_total_without_opt_end() {
    let bytes = accepted("ODATA", "0d040000 03080000 00000001");
    let packet = Packet::parse(&bytes).unwrap();
    assert!(packet.options.syn());
    assert_eq!(packet.options.join(), Some(Sqn::new(1)));
    assert_eq!(packet.payload, b"hello");
    for rest in ["00", "0000", "000000", "8e0400"] {
        assert_eq!(
            check("SPM", &format!("0d040000{rest}")),
            Err(Error::OptionLength)
        );
    }
}

// req: OPT-01
#[test]
fn only_the_flag_makes_options() {
    let mut bytes = with_options("SPM", &unhex("8e040000"));
    bytes[5] = 0;
    fix_checksum(&mut bytes);
    let packet = examine(&bytes).unwrap();
    assert!(packet.options.is_empty() && !packet.options.fin());
    assert_eq!(packet.header_len(), 36);
}

// req: OPT-08
// attack: A-01 A-23
#[test]
fn at_most_sixteen_options() {
    let list = |count: usize| {
        let mut list = unhex("33040000").repeat(count);
        list[4 * count - 4] |= 0x80;
        with_options("ODATA", &list)
    };
    for count in 1..=16 {
        let bytes = list(count);
        assert_eq!(examine(&bytes).unwrap().options.iter().count(), count);
    }
    for count in [17, 18, 100, 1000] {
        assert_eq!(examine(&list(count)), Err(Error::TooManyOptions));
    }
}

// req: OPT-13 OPT-11
// attack: A-01
#[test]
fn every_length_of_every_option() {
    let fixed: &[(u8, &[usize])] = &[
        (number::LENGTH, &[4]),
        (number::FRAGMENT, &[16]),
        (number::JOIN, &[8]),
        (number::NAK_BO_IVL, &[12]),
        (number::NAK_BO_RNG, &[12]),
        (number::REDIRECT, &[12, 24]),
        (number::PARITY_PRM, &[8]),
        (number::PARITY_GRP, &[8]),
        (number::CURR_TGSIZE, &[8]),
        (number::NBR_UNREACH, &[4]),
        (number::PATH_NLA, &[8, 20]),
        (number::SYN, &[4]),
        (number::FIN, &[4]),
        (number::RST, &[4]),
        (number::CR, &[24, 36]),
        (number::CRQST, &[4]),
        (number::PGMCC_DATA, &[16, 28]),
        (number::PGMCC_FEEDBACK, &[16, 28]),
    ];
    for name in ["SPM", "POLL", "POLR", "ODATA", "NAK", "NCF", "SPMR"] {
        for option in 0..=0x7F {
            for len in 0..=255 {
                let expected = match fixed.iter().find(|(number, _)| *number == option) {
                    Some((_, lengths)) => lengths.contains(&len),
                    None if option == number::NAK_LIST => (1..=62).any(|n| len == 4 + 4 * n),
                    None => len >= 4,
                };
                let mut options = vec![0; len.max(4)];
                options[0] = option | 0x80;
                options[1] = u8::try_from(len).unwrap();
                let bytes = with_options(name, &options);
                match examine(&bytes) {
                    Ok(_) => assert!(expected, "option {option} of {len} on {name}"),
                    Err(error) => {
                        assert!(!expected, "option {option} of {len} on {name}");
                        assert_eq!(error, Error::OptionLength);
                    }
                }
            }
        }
    }
}

// req: OPT-13 SEC-07
// attack: A-01
#[test]
fn every_length_at_every_position() {
    for vector in vectors::all() {
        let whole = vector.bytes();
        let Ok(packet) = Packet::parse(&whole) else {
            panic!()
        };
        if packet.options.is_empty() {
            continue;
        }
        let sizes: Vec<usize> = packet.options.iter().map(|o| 4 + o.body.len()).collect();
        let first = packet.header_len() - sizes.iter().sum::<usize>();
        for index in 0..sizes.len() {
            let at = first + sizes[..index].iter().sum::<usize>() + 1;
            for len in 0..=255 {
                let mut bytes = whole.clone();
                bytes[at] = len;
                fix_checksum(&mut bytes);
                let accepted = examine(&bytes).is_ok();
                let same = usize::from(len) == sizes[index];
                // Only a NAK list has lengths to choose from.
                assert!(accepted || !same, "{} at {at}", vector.name);
                assert!(!accepted || len >= 4, "{} at {at}", vector.name);
            }
        }
    }
}

// req: OPT-11
#[test]
fn unknown_options_are_passed_over_whatever_opx_says() {
    for opx in ["00", "01", "02", "03", "ff"] {
        for unknown in ["33", "06", "14", "7f", "7e"] {
            let bytes = accepted(
                "ODATA",
                &format!("{unknown}09{opx}00 1122334455 83080000 00000007"),
            );
            let packet = Packet::parse(&bytes).unwrap();
            assert_eq!(packet.options.join(), Some(Sqn::new(7)));
            assert_eq!(packet.payload, b"hello");
        }
    }
}

// req: OPT-07 OPT-11
#[test]
fn dirty_third_bytes() {
    for dirty in 0..=255 {
        let option = format!("8110{dirty:02x}00 000000fe 00000af0 00000fa0");
        let bytes = accepted("ODATA", &option);
        let fragment = Packet::parse(&bytes).unwrap().options.fragment().unwrap();
        assert_eq!(
            (fragment.first.get(), fragment.offset, fragment.apdu_len),
            (0xFE, 2800, 4000)
        );
        let bytes = accepted("NAK", &format!("8208{dirty:02x}00 00000102"));
        let list = Packet::parse(&bytes).unwrap().options.nak_list().unwrap();
        assert_eq!(list.as_slice(), [Sqn::new(0x102)]);
    }
}

// req: OPT-15
#[test]
fn the_first_of_a_type_counts() {
    let bytes = accepted("ODATA", "03080000 00000001 0d040000 83080000 00000002");
    assert_eq!(
        Packet::parse(&bytes).unwrap().options.join(),
        Some(Sqn::new(1))
    );
    // Also when a later one is the only one that can be understood.
    let bytes = accepted(
        "POLR",
        "070c0000 00030000 0a000001 870c0000 00010000 0a000001",
    );
    assert_eq!(Packet::parse(&bytes).unwrap().options.redirect(), None);
    let bytes = accepted("SPM", "00040abc 8e040000");
    assert!(Packet::parse(&bytes).unwrap().options.fin());
}

/// Every known option, valid by itself, with the vectors whose types it belongs on.
const PLACES: [(&str, &[&str]); 18] = [
    ("81100000 00000001 00000000 00000001", &["ODATA"]),
    ("82080000 00000001", &["NAK", "NCF"]),
    ("83080000 00000001", &["ODATA", "SPM"]),
    ("840c0000 00000001 00000000", &["NCF", "SPM", "POLL"]),
    ("850c0000 00000002 00000001", &["SPM"]),
    ("870c0000 00010000 0a000001", &["POLR"]),
    ("88080001 00000008", &["SPM"]),
    ("89080000 00000001", &["ODATA"]),
    ("8a080000 00000005", &["ODATA", "SPM"]),
    ("8b040000", &["SPM", "NCF"]),
    ("8c080000 0a000001", &["NCF"]),
    ("8d040000", &["ODATA"]),
    ("8e040000", &["ODATA", "SPM"]),
    ("8f040000", &["SPM"]),
    (
        "90180001 00000001 0000 0000 0001 0000 00010000 0a000001",
        &["NAK"],
    ),
    ("91040001", &["SPM"]),
    ("92100000 00000001 00010000 0a000001", &["ODATA"]),
    ("93100000 00000001 0001 0001 0a000001", &["NAK"]),
];

// req: OPT-14 OPT-20 OPT-50 OPT-59 FEC-04 FEC-09
#[test]
fn options_are_seen_only_where_they_belong() {
    for name in ["SPM", "POLL", "POLR", "ODATA", "NAK", "NCF", "SPMR"] {
        for (option, places) in PLACES {
            let mut bytes = accepted(name, option);
            let parity = option.starts_with("89");
            if parity {
                bytes[5] |= 0x80;
                fix_checksum(&mut bytes);
            }
            let packet = examine(&bytes).unwrap();
            let o = packet.options;
            let seen = [
                o.fragment().is_some(),
                o.nak_list().is_some(),
                o.join().is_some(),
                o.nak_bo_ivl().is_some(),
                o.nak_bo_rng().is_some(),
                o.redirect().is_some(),
                o.parity_prm().is_some(),
                o.parity_grp().is_some(),
                o.curr_tgsize().is_some(),
                o.nbr_unreach(),
                o.path_nla().is_some(),
                o.syn(),
                o.fin(),
                o.rst().is_some(),
                o.cr().is_some(),
                o.crqst().is_some(),
                o.pgmcc_data().is_some(),
                o.pgmcc_feedback().is_some(),
            ];
            let seen = seen.iter().filter(|seen| **seen).count();
            assert_eq!(
                seen,
                usize::from(places.contains(&name)),
                "{option} on {name}"
            );
            assert_eq!(o.iter().count(), 1);
        }
    }
}

// req: OPT-13 DLR-27
// attack: A-04
#[test]
fn families_of_addresses_in_options() {
    let v4 = "0a000001";
    let v6 = "20010db8 00000000 00000000 00000001";
    let redirect = |option: &str| {
        let bytes = accepted("POLR", option);
        Packet::parse(&bytes).unwrap().options.redirect()
    };
    assert_eq!(
        redirect(&format!("870c0000 00010000 {v4}")),
        Some(Addr::V4([10, 0, 0, 1]))
    );
    assert!(redirect(&format!("87180000 00020000 {v6}")).is_some());
    // The family contradicts the length, or is unknown: the option is passed over.
    assert_eq!(redirect(&format!("870c0000 00020000 {v4}")), None);
    assert_eq!(redirect(&format!("87180000 00010000 {v6}")), None);
    for family in ["0000", "0003", "ffff"] {
        assert_eq!(redirect(&format!("870c0000 {family}0000 {v4}")), None);
    }
    let bytes = accepted("ODATA", &format!("92100000 00000001 00000000 {v4}"));
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.options.pgmcc_data(), None);
    assert_eq!(packet.payload, b"hello");
    let bytes = accepted("NAK", &format!("93100000 00000001 0002 0001 {v4}"));
    assert_eq!(
        Packet::parse(&bytes).unwrap().options.pgmcc_feedback(),
        None
    );
    let bytes = accepted(
        "NAK",
        &format!("90240000 00000001 00000000 00000000 00010000 {v6}"),
    );
    assert_eq!(Packet::parse(&bytes).unwrap().options.cr(), None);
    let bytes = accepted("NCF", &format!("8c140000 {v6}"));
    assert!(!Packet::parse(&bytes)
        .unwrap()
        .options
        .path_nla()
        .unwrap()
        .is_v4());
}

// req: OPT-30
// attack: A-04
#[test]
fn nak_lists_of_every_length() {
    for count in 1..=62u8 {
        let mut option = vec![0x82, 4 + 4 * count, 0, 0];
        for value in 1..=u32::from(count) {
            option.extend_from_slice(&value.to_be_bytes());
        }
        let bytes = with_options("NAK", &option);
        let list = examine(&bytes).unwrap().options.nak_list().unwrap();
        assert_eq!(list.len(), usize::from(count));
        assert!(list.iter().map(Sqn::get).eq(1..=u32::from(count)));
    }
}

// attack: A-04
#[test]
fn parity_group_zero_is_no_option() {
    let mut bytes = accepted("ODATA", "89080000 00000000");
    bytes[5] |= 0x80;
    fix_checksum(&mut bytes);
    assert_eq!(examine(&bytes).unwrap().options.parity_grp(), None);

    let Repr::Odata(data, mut options) = named("ODATA").repr else {
        panic!()
    };
    options.parity = Some(Parity::default());
    let bytes = vectors::emit(&Repr::Odata(data, options), named("ODATA").ports, b"");
    assert_eq!((bytes.len(), bytes[5]), (24, 0x80));
}

#[test]
fn raw_options() {
    let bytes = accepted("SPM", "08080c82 00000008 b3050fff aa");
    let packet = Packet::parse(&bytes).unwrap();
    let options: Vec<_> = packet
        .options
        .iter()
        .map(|o| (o.number, o.reserved, o.bits, o.body.to_vec()))
        .collect();
    assert_eq!(
        options,
        [
            (8, 0x0C, 0x82, vec![0, 0, 0, 8]),
            (0x33, 0x0F, 0xFF, vec![0xAA])
        ]
    );
}
