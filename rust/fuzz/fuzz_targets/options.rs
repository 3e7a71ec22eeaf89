// SPDX-License-Identifier: GPL-2.0
//! Chains of options, against a walk that does nothing but walk.
#![no_main]

#[path = "../../pgm-wire/tests/represent/mod.rs"]
mod represent;

use libfuzzer_sys::fuzz_target;
use pgm_storm::choice::{Bytes, Choice};
use pgm_storm::mutation;
use pgm_wire::{Error, Packet};

/// Type and length of each option, as they stand; nothing if they do not fit.
fn walk(mut area: &[u8]) -> Option<Vec<(u8, usize)>> {
    let mut found = Vec::new();
    while !area.is_empty() {
        let (kind, len) = (area[0], usize::from(*area.get(1)?));
        if len < 4 || len > area.len() || found.len() == 16 {
            return None;
        }
        found.push((kind & 0x7F, len));
        area = if kind & 0x80 == 0 { &area[len..] } else { &[] };
    }
    Some(found)
}

/// A packet of the type with nothing wrong in front of its options, and how long that front is.
fn front(kind: u8) -> (Vec<u8>, usize) {
    let mut packet = vec![0, 1, 0, 2, kind, 1, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0];
    let nla = [0, 1, 0, 0, 10, 0, 0, 1];
    packet.extend(vec![
        0;
        [12, 8, 8, 0, 8, 8, 0, 0, 4, 4, 4, 0, 0, 8, 0, 0]
            [usize::from(kind)]
    ]);
    match kind {
        0 => packet.extend(nla),
        1 => packet.extend(nla.into_iter().chain([0; 12])),
        8..=10 => packet.extend([nla, nla].concat()),
        _ => {}
    }
    let len = packet.len();
    (packet, len)
}

fuzz_target!(|bytes: &[u8]| {
    let mut c = Bytes(bytes);
    let (mut packet, front) = front(*c.pick(&[0, 1, 2, 4, 5, 8, 9, 10, 12, 13]));
    let (head, total) = (c.below(16), c.number() as u16);
    let area = c.0;
    let total = match head {
        0 => total,
        _ => (4 + area.len()) as u16,
    };
    packet.extend([
        if head == 1 { 0x80 } else { 0 },
        if head == 2 { 5 } else { 4 },
    ]);
    packet.extend(total.to_be_bytes());
    packet.extend(area);
    mutation::sum(&mut packet);
    let parsed = represent::examine(&packet);

    let claimed = usize::from(total);
    let fits = head != 2 && claimed >= 4 && claimed <= packet.len() - front;
    if !fits {
        assert!(
            matches!(parsed, Err(Error::OptionLength | Error::OptionTotal)),
            "{parsed:?}"
        );
        return;
    }
    let area = if head == 1 {
        &[][..]
    } else {
        &area[..claimed - 4]
    };
    match (walk(area), parsed) {
        (None, parsed) => assert!(parsed.is_err(), "{parsed:?}"),
        (Some(seen), Ok(packet)) => {
            let options = packet.options.iter();
            let options = options.map(|option| (option.number, option.body.len() + 4));
            assert!(options.eq(seen));
        }
        // A known option of a length that it cannot have, a payload that is longer than its packet
        // says, or a chain that is too long altogether.
        (Some(seen), Err(why)) => {
            let too_long = why == Error::OptionTotal && claimed > 4 + 16 * 255;
            let known = why == Error::OptionLength && seen.iter().any(|(kind, _)| *kind <= 0x13);
            assert!(
                known || too_long || why == Error::TsduLength,
                "{why:?} {seen:?}"
            );
        }
    }
    let _ = Packet::parse(&packet);
});
