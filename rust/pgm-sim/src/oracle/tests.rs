// SPDX-License-Identifier: GPL-2.0

//! An oracle that nothing displeases would prove nothing.

use pgm_core::{Duration, Rng};
use pgm_wire::{checksum::Sum, DataOptions, Ports, Repr, Spm, SpmOptions, Sqn, HEADER_MAX};

use super::*;
use crate::scenario::{Traffic, NLA};

const RULES: Rules = Rules {
    ending: Ending::Fin,
    ample: false,
};
const FIN: Delivery<Vec<u8>> = Delivery::End(End::Fin);

/// A witness, and ten APDUs of which the fifth has three parts: packets 4, 5 and 6 of 12.
struct Stand {
    witness: Witness,
    workload: Workload,
}

impl Stand {
    fn new() -> Self {
        let traffic = Traffic {
            apdus: 10,
            mss: 100,
            fragments_max: 1,
            pause_ppm: 0,
            pause: Duration::ZERO,
            steady: None,
        };
        let first = Sqn::new(u32::MAX - 2);
        let mut workload = Workload::new(&traffic, first, Instant::ZERO, &mut Rng::new(1));
        workload.apdus[4].bytes = vec![7; 250];
        for apdu in 0..10 {
            for place in 0..workload.fragments(workload.apdus[apdu].bytes.len()) {
                workload.sent(apdu, place);
            }
        }
        assert_eq!(workload.len(), 12);
        Self {
            witness: Witness::default(),
            workload,
        }
    }

    fn hear(&mut self, repr: Repr) {
        let mut buf = [0; HEADER_MAX];
        let len = repr.emit(Ports::default(), 0, Sum::ZERO, &mut buf).unwrap();
        let packet = Packet::parse(&buf[..len]).unwrap();
        self.witness
            .heard(Instant::ZERO, &packet, Ok(()), &self.workload);
    }

    fn sqn(&self, index: u32) -> Sqn {
        Sqn::new(u32::MAX - 2).plus(index)
    }

    fn arrive(&mut self, index: u32) {
        let sqn = self.sqn(index);
        let data = pgm_wire::Data { sqn, trail: sqn };
        self.hear(Repr::Odata(data, DataOptions::default()));
    }

    fn spm(&mut self, sqn: u32, lead: u32, fin: bool) {
        let spm = Spm {
            sqn: Sqn::new(sqn),
            trail: self.sqn(0),
            lead: self.sqn(lead),
            path: NLA,
        };
        let options = SpmOptions {
            fin,
            ..SpmOptions::default()
        };
        self.hear(Repr::Spm(spm, options));
    }

    fn piece(&self, index: u32) -> Data<Vec<u8>> {
        let (apdu, place) = self.workload.packet(index).unwrap();
        let payload = self.workload.part(apdu, place).to_vec();
        let apdu_len = self.workload.apdus[apdu].bytes.len();
        Data {
            sqn: self.sqn(index),
            offset: (place * 100) as u32,
            len: payload.len() as u32,
            apdu_len: apdu_len as u32,
            last: place + 1 == self.workload.fragments(apdu_len),
            syn: index == 0,
            payload,
        }
    }

    fn deliver(&mut self, index: u32) -> Result<(), String> {
        let piece = self.piece(index);
        self.judge(&Delivery::Data(piece))
    }

    fn lose(&mut self, index: u32, count: u32) -> Result<(), String> {
        let first = self.sqn(index);
        self.judge(&Delivery::Loss { first, count })
    }

    fn judge(&mut self, delivery: &Delivery<Vec<u8>>) -> Result<(), String> {
        self.witness.delivered(delivery, &self.workload, 12, RULES)
    }

    /// A receiver that heard everything.
    fn complete() -> Self {
        let mut stand = Self::new();
        (0..12).for_each(|index| stand.arrive(index));
        stand.spm(0, 11, true);
        stand
    }
}

#[test]
fn a_faultless_session_pleases() {
    let mut stand = Stand::complete();
    for index in 0..12 {
        stand.deliver(index).unwrap();
    }
    stand.judge(&FIN).unwrap();
    assert_eq!(stand.witness.apdus, 10);
}

#[test]
fn disorder_repetition_and_gaps_displease() {
    for wrong in [[0, 2], [0, 0], [1, 0]] {
        let mut stand = Stand::complete();
        assert!(wrong.iter().any(|index| stand.deliver(*index).is_err()));
    }
}

#[test]
fn changed_data_displeases() {
    type Change = fn(&mut Data<Vec<u8>>);
    let changes: [Change; 6] = [
        |data| data.payload.push(0),
        |data| data.len += 1,
        |data| data.offset += 1,
        |data| data.apdu_len += 1,
        |data| data.last = !data.last,
        |data| data.syn = !data.syn,
    ];
    for change in changes {
        let mut stand = Stand::complete();
        let mut piece = stand.piece(0);
        change(&mut piece);
        assert!(stand.judge(&Delivery::Data(piece)).is_err());
    }
}

#[test]
fn loss_is_believed_only_where_something_is_missing() {
    let mut stand = Stand::new();
    (0..12)
        .filter(|index| *index != 5)
        .for_each(|index| stand.arrive(index));
    for index in 0..4 {
        stand.deliver(index).unwrap();
    }
    assert!(stand.lose(4, 0).is_err());
    assert!(stand.lose(4, 4).is_err(), "packet 7 came");
    assert!(stand.lose(5, 1).is_err(), "packet 4 is due");
    assert!(stand.lose(4, 100).is_err(), "never sent");
    stand.lose(4, 3).unwrap();
    stand.deliver(7).unwrap();
}

#[test]
fn half_an_apdu_displeases() {
    let mut stand = Stand::complete();
    for index in 0..5 {
        stand.deliver(index).unwrap();
    }
    assert!(stand.lose(5, 2).is_err());
    assert!(stand.judge(&FIN).is_err());
}

#[test]
fn an_end_before_the_end_displeases() {
    let mut stand = Stand::complete();
    stand.deliver(0).unwrap();
    assert!(stand.judge(&FIN).is_err());
    let mut stand = Stand::new();
    stand.arrive(11);
    stand.deliver(11).unwrap();
    assert!(stand.judge(&FIN).is_err(), "no FIN was heard");
    let mut stand = Stand::complete();
    let reset = Delivery::End(End::Reset { code: 1 });
    assert!(stand.judge(&reset).is_err());
    assert!(stand.judge(&Delivery::End(End::Expired)).is_err());
}

#[test]
fn reception_starts_where_it_must() {
    // After an SPM, everything behind its LEAD is due.
    let mut stand = Stand::new();
    stand.spm(0, 1, false);
    stand.arrive(3);
    assert!(stand.deliver(3).is_err());
    stand.lose(2, 1).unwrap();
    stand.deliver(3).unwrap();
    // In the middle of an APDU its rest is passed over, and nothing else.
    for first in [7, 8] {
        let mut stand = Stand::new();
        (5..9).for_each(|index| stand.arrive(index));
        assert_eq!(stand.deliver(first).is_ok(), first == 7);
    }
}
