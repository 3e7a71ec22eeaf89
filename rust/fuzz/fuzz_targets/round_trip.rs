// SPDX-License-Identifier: GPL-2.0
//! Any packet that may be sent is received as it was meant; spoilt, it is parsed or refused.
#![no_main]

#[path = "../../pgm-wire/tests/represent/mod.rs"]
mod represent;

use libfuzzer_sys::fuzz_target;
use pgm_storm::any::{Subject, KINDS};
use pgm_storm::choice::{Bytes, Choice};
use pgm_storm::mutation;
use pgm_wire::checksum::Sum;
use pgm_wire::{Addr, Gsi, Packet, Ports, HEADER_MAX};

fuzz_target!(|bytes: &[u8]| {
    let mut c = Bytes(bytes);
    let subject = Subject {
        lead: c.number(),
        addresses: vec![Addr::V4([10, 77, 0, 1]), Addr::V6([0xFD; 16])],
    };
    let kind = *c.pick(&KINDS);
    let repr = subject.packet(&mut c, kind);
    let ports = Ports {
        sport: c.number() as u16,
        dport: c.number() as u16,
        gsi: Gsi(c.bytes()),
    };
    let payload = match kind.has_payload() {
        true => vec![c.number() as u8; c.below(200) as usize],
        false => Vec::new(),
    };
    let mut sent = vec![0; HEADER_MAX];
    let sum = Sum::of(&payload);
    let header = repr.emit(ports, payload.len() as u16, sum, &mut sent);
    let header = header.expect("no header is longer");
    assert_eq!(header, repr.header_len());
    sent.truncate(header);
    sent.extend(&payload);

    let packet = Packet::parse(&sent).expect("what may be sent is understood");
    assert_eq!(represent::represent(&packet), repr);
    assert_eq!(represent::ports(&packet), ports);
    assert_eq!(packet.payload, payload);
    let _ = represent::examine(&sent);

    mutation::spoil(&mut c, &mut sent, header);
    mutation::sum(&mut sent);
    let _ = represent::examine(&sent);
});
