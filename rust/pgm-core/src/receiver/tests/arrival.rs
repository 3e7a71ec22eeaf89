// SPDX-License-Identifier: GPL-2.0

//! Delivery in the order of arrival (RFC 3208 §6.1).

use super::*;

fn rig() -> Rig {
    let config = ReceiverConfig {
        arrival_order: true,
        ..config()
    };
    Rig::with(config, 1)
}

// req: RCV-08
#[test]
fn what_is_whole_leaves_at_once() {
    let mut rig = rig();
    for sqn in [1, 3, 4, 2, 5] {
        rig.odata(sqn).unwrap();
        assert_eq!(rig.take_out(), singles([sqn]));
    }
    for sqn in 1..=5 {
        assert_eq!(rig.odata(sqn), Err(Discard::Duplicate));
    }
    assert_eq!((rig.rx.held(), rig.rx.missing()), (0, 0));
    invariants::check(&rig.rx);
}

// req: RCV-08, OPT-24
#[test]
fn a_fragmented_apdu_comes_when_it_is_whole() {
    let mut rig = rig();
    rig.odata(1).unwrap();
    rig.piece(2, 2, 3, 10).unwrap();
    rig.odata(5).unwrap();
    rig.piece(2, 0, 3, 10).unwrap();
    assert_eq!(rig.take_out(), singles([1, 5]));
    rig.piece(2, 1, 3, 10).unwrap();
    assert_eq!(rig.take_out(), [Out::Apdu(vec![2, 3, 4])]);
    rig.odata(6).unwrap();
    assert_eq!(rig.take_out(), singles([6]));
    invariants::check(&rig.rx);
}

// req: RCV-08, RCV-21
#[test]
fn loss_is_reported_all_the_same() {
    let mut rig = rig();
    rig.odata(1).unwrap();
    rig.odata(3).unwrap();
    rig.odata(5).unwrap();
    rig.piece(6, 1, 2, 10).unwrap();
    rig.odata(9).unwrap();
    assert_eq!(rig.take_out(), singles([1, 3, 5, 9]));
    rig.odata_trail(10, 10).unwrap();
    assert_eq!(
        rig.take_out(),
        [
            singles([10]),
            vec![Out::Lost(2, 1), Out::Lost(4, 1), Out::Lost(6, 3)]
        ]
        .concat()
    );
    assert_eq!((rig.rx.held(), rig.rx.missing()), (0, 0));
    invariants::check(&rig.rx);
}

// req: RCV-08, OPT-58
#[test]
fn the_end_waits_for_repairs() {
    let mut rig = rig();
    let fin = SpmOptions {
        fin: true,
        ..SpmOptions::default()
    };
    rig.spm(1, 0).unwrap();
    rig.odata(2).unwrap();
    rig.spm_with(1, 2, fin).unwrap();
    assert_eq!(rig.take_out(), singles([2]));
    rig.rdata(1).unwrap();
    assert_eq!(
        rig.take_out(),
        [singles([1]), vec![Out::End(End::Fin)]].concat()
    );
}

#[test]
fn several_that_wait_leave_as_they_came() {
    let mut rig = rig();
    let bytes_of = |sqn: u32| {
        let body = DataBody {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(1),
        };
        bytes(TSI, &Repr::Odata(body, DataOptions::default()), 10)
    };
    // Nobody polls meanwhile, as while a loss waits to be reported.
    for sqn in [1, 7, 3, 5] {
        let bytes = bytes_of(sqn);
        let packet = Packet::parse(&bytes).unwrap();
        rig.rx.handle(rig.now, SOURCE, &packet, Some(sqn)).unwrap();
        invariants::check(&rig.rx);
    }
    rig.settle();
    assert_eq!(rig.take_out(), singles([1, 7, 3, 5]));
}
