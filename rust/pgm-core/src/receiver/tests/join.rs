// SPDX-License-Identifier: GPL-2.0

//! Late joining: OPT_JOIN (RFC 3208 §9.4).

use super::*;

fn on_spm(join: u32) -> SpmOptions {
    SpmOptions {
        join: Some(Sqn::new(join)),
        ..SpmOptions::default()
    }
}

fn on_data(join: u32) -> DataOptions {
    DataOptions {
        join: Some(Sqn::new(join)),
        ..DataOptions::default()
    }
}

// req: OPT-40, RCV-15
#[test]
fn an_spm_opens_history() {
    let mut rig = Rig::new();
    rig.spm_with(50, 99, on_spm(90)).unwrap();
    rig.odata_trail(100, 50).unwrap();
    assert!(rig.take_out().is_empty(), "history comes first");
    rig.wait(ms(60));
    assert_eq!(rig.asked(), (90..100).collect::<Vec<_>>());
    for sqn in 90..100 {
        rig.rdata(sqn).unwrap();
    }
    assert_eq!(rig.take_out(), singles(90..=100));
}

// req: OPT-40
#[test]
fn data_opens_history() {
    for rdata in [false, true] {
        let mut rig = Rig::new();
        rig.data(rdata, 100, 50, 10, on_data(97)).unwrap();
        rig.spm(50, 100).unwrap();
        rig.wait(ms(60));
        assert_eq!(rig.asked(), [97, 98, 99]);
    }
}

// req: OPT-41, RCV-01
#[test]
fn without_it_reception_starts_with_the_first_packet() {
    let mut rig = Rig::new();
    rig.odata_trail(100, 50).unwrap();
    rig.spm(50, 100).unwrap();
    rig.wait(ms(500));
    assert!(rig.asked().is_empty());
    assert_eq!(rig.take_out(), singles([100]));
}

// req: OPT-42
#[test]
fn history_ends_at_the_trailing_edge() {
    let mut rig = Rig::new();
    rig.spm_with(97, 99, on_spm(10)).unwrap();
    rig.wait(ms(60));
    assert_eq!(rig.asked(), [97, 98, 99]);
    let mut rig = Rig::new();
    rig.data(false, 100, 98, 10, on_data(10)).unwrap();
    rig.spm(98, 100).unwrap();
    rig.wait(ms(60));
    assert_eq!(rig.asked(), [98, 99]);
}

// req: OPT-42
#[test]
fn a_minimum_ahead_of_the_data_means_nothing() {
    let mut rig = Rig::new();
    rig.spm_with(50, 99, on_spm(500)).unwrap();
    rig.data(false, 100, 50, 10, on_data(101)).unwrap();
    rig.wait(ms(500));
    assert!(rig.asked().is_empty());
    assert_eq!(rig.take_out(), singles([100]));
}

// req: OPT-43
#[test]
fn later_values_are_ignored() {
    let mut rig = Rig::new();
    rig.odata_trail(100, 50).unwrap();
    rig.spm_with(50, 100, on_spm(60)).unwrap();
    rig.data(false, 101, 50, 10, on_data(60)).unwrap();
    rig.wait(ms(500));
    assert!(rig.asked().is_empty());
    assert_eq!(rig.take_out(), singles([100, 101]));
}

// req: OPT-40, RCV-21
#[test]
fn history_that_cannot_be_had_is_reported() {
    let mut rig = Rig::new();
    rig.spm_with(50, 99, on_spm(96)).unwrap();
    rig.rdata(99).unwrap();
    rig.spm(98, 99).unwrap();
    rig.rdata(98).unwrap();
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(96, 2)], singles([98, 99])].concat()
    );
}

// req: OPT-40
#[test]
fn history_may_begin_inside_an_apdu() {
    let mut rig = Rig::new();
    rig.spm_with(50, 61, on_spm(60)).unwrap();
    let tail = Fragment {
        first: Sqn::new(59),
        offset: 10,
        apdu_len: 20,
    };
    rig.fragment(60, tail, 10).unwrap();
    rig.rdata(61).unwrap();
    assert_eq!(rig.take_out(), singles([61]));
}

// req: OPT-40, RCV-04
#[test]
fn what_starts_reception() {
    let starts = |repr: &Repr| {
        let bytes = bytes(TSI, repr, 1);
        starts_reception(&Packet::parse(&bytes).unwrap())
    };
    let data = DataBody {
        sqn: Sqn::new(100),
        trail: Sqn::new(50),
    };
    assert!(starts(&Repr::Odata(data, DataOptions::default())));
    assert!(!starts(&Repr::Rdata(data, DataOptions::default())));
    assert!(starts(&Repr::Rdata(data, on_data(60))));
    let spm = Spm {
        sqn: Sqn::new(1),
        trail: Sqn::new(50),
        lead: Sqn::new(99),
        path: PATH,
    };
    assert!(!starts(&Repr::Spm(spm, SpmOptions::default())));
    assert!(starts(&Repr::Spm(spm, on_spm(60))));
    assert!(starts(&Repr::Spm(spm, on_spm(10))));
    // No history, or no session any more.
    assert!(!starts(&Repr::Spm(spm, on_spm(100))));
    let fin = SpmOptions {
        fin: true,
        ..on_spm(60)
    };
    assert!(!starts(&Repr::Spm(spm, fin)));
    let (nak, _) = nak_of(&[60]);
    assert!(!starts(&Repr::Ncf(nak, NcfOptions::default())));
}
