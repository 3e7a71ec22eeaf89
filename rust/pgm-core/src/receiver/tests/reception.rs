// SPDX-License-Identifier: GPL-2.0

//! Data reception and the window (RFC 3208 §3.4, §6.1).

use super::*;

// req: RCV-01 OPT-41
#[test]
fn reception_starts_with_the_first_data_packet() {
    let mut rig = Rig::new();
    rig.spm(50, 89_999).unwrap();
    assert_eq!(rig.odata_trail(90_000, 50), Ok(()));
    rig.wait(ms(500));
    assert_eq!(rig.take_out(), singles([90_000]));
    assert!(rig.sent.is_empty());
}

// req: RCV-02 NAK-21
#[test]
fn nothing_before_the_first_packet_is_asked_for() {
    let mut rig = Rig::new();
    rig.odata_trail(100, 50).unwrap();
    rig.spm(50, 100).unwrap();
    rig.odata_trail(102, 50).unwrap();
    rig.wait(ms(100));
    assert_eq!(rig.asked(), [101]);
    assert_eq!(rig.odata_trail(99, 50), Err(Discard::OutsideWindow));
}

// req: RCV-03
#[test]
fn gaps_are_asked_for_down_to_the_trailing_edge() {
    let mut rig = Rig::new();
    rig.odata(100).unwrap();
    rig.spm(100, 100).unwrap();
    for sqn in [103, 104, 106, 107] {
        rig.odata_trail(sqn, 101).unwrap();
    }
    rig.wait(ms(100));
    let mut asked = rig.asked();
    asked.sort_unstable();
    assert_eq!(asked, [101, 102, 105]);
}

// req: RCV-04
#[test]
fn rdata_counts_like_odata() {
    let mut rig = Rig::new();
    assert_eq!(rig.rdata(7), Ok(()));
    assert_eq!(rig.odata(10), Ok(()));
    assert_eq!(rig.rdata(8), Ok(()));
    assert_eq!(rig.odata(9), Ok(()));
    assert_eq!(rig.take_out(), singles(7..=10));
    assert_eq!(rig.rx.stats().rdata_packets, 2);
}

// req: RCV-05
#[test]
fn duplicates_are_discarded() {
    let mut rig = Rig::new();
    for sqn in [1, 3, 2, 4] {
        assert_eq!(rig.odata(sqn), Ok(()));
        assert_eq!(rig.odata(sqn), Err(Discard::Duplicate));
        assert_eq!(rig.rdata(sqn), Err(Discard::Duplicate));
    }
    assert_eq!(rig.take_out(), singles(1..=4));
    assert_eq!(rig.rx.stats().duplicates, 8);
}

// req: RCV-06
#[test]
fn data_outside_the_window_is_discarded() {
    let mut rig = Rig::new();
    rig.spm(1000, 999).unwrap();
    rig.odata(1000).unwrap();
    rig.odata_trail(1001, 1001).unwrap();
    assert_eq!(rig.odata_trail(1000, 900), Err(Discard::OutsideWindow));
    let far = 1001u32.wrapping_add(1 << 31).wrapping_add(5);
    assert_eq!(rig.odata_trail(far, far), Err(Discard::OutsideWindow));
    // Beyond the transmit window that the packet itself advertises.
    assert_eq!(rig.odata_trail(1002, 1003), Err(Discard::OutsideWindow));
    rig.wait(ms(500));
    assert_eq!(rig.take_out(), singles([1000, 1001]));
    assert!(rig.sent.is_empty());
}

// req: RCV-07
#[test]
fn delivery_is_contiguous_and_in_order() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.odata(3).unwrap();
    rig.odata(4).unwrap();
    assert_eq!(rig.take_out(), singles([1]));
    rig.odata(2).unwrap();
    assert_eq!(rig.take_out(), singles(2..=4));
}

// req: RCV-18 NAK-13 RCV-21
#[test]
fn the_trailing_edge_of_every_packet_kind_is_obeyed_at_once() {
    let mut rig = Rig::new();
    rig.spm(0, 0).unwrap();
    rig.odata_trail(1, 0).unwrap();
    for sqn in [3, 5, 7, 9] {
        rig.odata_trail(sqn, 0).unwrap();
    }
    assert_eq!(rig.take_out(), singles([1]));
    rig.spm(3, 9).unwrap();
    assert_eq!(rig.rx.trail(), Sqn::new(3));
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(2, 1)], singles([3])].concat()
    );
    rig.odata_trail(11, 5).unwrap();
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(4, 1)], singles([5])].concat()
    );
    rig.data(true, 7, 7, 10, DataOptions::default())
        .unwrap_err();
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(6, 1)], singles([7])].concat()
    );
    // What the edge passed is no longer taken.
    assert_eq!(rig.rdata(6), Err(Discard::OutsideWindow));
    assert_eq!(rig.rx.stats().lost_sqns, 3);
}

// req: RCV-20 RCV-21 TXW-13
// attack: A-06
#[test]
fn the_window_follows_any_jump() {
    for jump in [1_000_000, (1 << 31) - 2] {
        let mut rig = Rig::new();
        rig.spm(0, 0).unwrap();
        rig.odata(1).unwrap();
        rig.odata(3).unwrap();
        rig.spm(1 + jump, 1 + jump).unwrap();
        rig.odata_trail(2 + jump, 1 + jump).unwrap();
        rig.wait(ms(1));
        let lost = jump - 3;
        let expected = [
            singles([1]),
            vec![Out::Lost(2, 1)],
            singles([3]),
            vec![Out::Lost(4, lost)],
        ];
        assert_eq!(rig.take_out(), expected.concat());
        rig.rdata(1 + jump).unwrap();
        assert_eq!(rig.take_out(), singles([1 + jump, 2 + jump]));
    }
}

// req: RCV-20
#[test]
fn data_after_a_jump_is_taken_at_once() {
    for jump in [100_000, (1 << 31) - 2] {
        let mut rig = Rig::new();
        rig.spm(0, 0).unwrap();
        rig.odata(1).unwrap();
        rig.spm(0, 5).unwrap();
        rig.odata_trail(2 + jump, 2 + jump).unwrap();
        let expected = [singles([1]), vec![Out::Lost(2, jump)], singles([2 + jump])];
        assert_eq!(rig.take_out(), expected.concat());
    }
}

// req: RCV-20 WIRE-26
// attack: A-06
#[test]
fn a_jump_of_half_the_number_space_is_old() {
    let mut rig = Rig::new();
    rig.odata(100).unwrap();
    for jump in [1u32 << 31, (1 << 31) + 1, u32::MAX - 10] {
        let _ = rig.spm(100u32.wrapping_add(jump), 100u32.wrapping_add(jump));
        assert_eq!(rig.rx.trail(), Sqn::new(100));
        assert_eq!(rig.rx.lead(), Sqn::new(100));
    }
    rig.odata(101).unwrap();
    assert_eq!(rig.take_out(), singles([100, 101]));
}

// req: WIRE-26
// attack: A-06
#[test]
fn numbers_wrap() {
    let mut rig = Rig::new();
    rig.spm(0xFFFF_FFF0, 0xFFFF_FFEF).unwrap();
    let all: Vec<u32> = (0..64).map(|n| 0xFFFF_FFF0u32.wrapping_add(n)).collect();
    for sqn in all.iter().copied().filter(|sqn| sqn % 5 != 0) {
        rig.odata_trail(sqn, 0xFFFF_FFF0).unwrap();
    }
    rig.wait(ms(150));
    for sqn in rig.asked() {
        let _ = rig.rdata(sqn);
    }
    assert_eq!(rig.take_out(), singles(all));
    assert_eq!(rig.rx.missing(), 0);
}

// req: RCV-19
#[test]
fn spm_lead_marks_what_is_missing_and_data_the_leading_edge() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.spm(1, 5).unwrap();
    assert_eq!(rig.rx.missing(), 4);
    assert_eq!(rig.rx.place(Sqn::new(2)), Place::Next);
    assert_eq!(rig.rx.place(Sqn::new(3)), Place::Beyond);
    rig.odata(4).unwrap();
    assert_eq!(rig.rx.place(Sqn::new(3)), Place::Gap);
    assert_eq!(
        rig.rx.place(Sqn::new(4)),
        Place::Useless(Discard::Duplicate)
    );
    assert_eq!(rig.rx.place(Sqn::new(5)), Place::Beyond);
    assert_eq!(rig.rx.missing(), 3);
}

// req: RCV-21
#[test]
fn loss_is_reported_once_merged_and_in_its_place() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.odata(5).unwrap();
    rig.odata_trail(9, 5).unwrap();
    let expected = [singles([1]), vec![Out::Lost(2, 3)], singles([5])];
    assert_eq!(rig.take_out(), expected.concat());
    rig.odata_trail(10, 10).unwrap();
    let expected = [vec![Out::Lost(6, 3)], singles([9, 10])];
    assert_eq!(rig.take_out(), expected.concat());
}

// req: RCV-22
#[test]
fn reception_goes_on_after_loss() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.odata_trail(3, 3).unwrap();
    rig.odata_trail(4, 3).unwrap();
    let expected = [singles([1]), vec![Out::Lost(2, 1)], singles([3, 4])];
    assert_eq!(rig.take_out(), expected.concat());
}

// req: RCV-24 WIRE-07
#[test]
fn packets_of_other_sessions_and_ports_are_refused() {
    let mut rig = Rig::new();
    let body = DataBody {
        sqn: Sqn::new(1),
        trail: Sqn::new(1),
    };
    let other = Tsi { sport: 99, ..TSI };
    let wrong = bytes(other, &Repr::Odata(body, DataOptions::default()), 4);
    let packet = Packet::parse(&wrong).unwrap();
    let now = rig.now;
    assert_eq!(
        rig.rx.handle(now, SOURCE, &packet, Some(1)),
        Err(Discard::OtherSession)
    );
    let mut rig = Rig::<StdHeap>::with(
        ReceiverConfig {
            dport: 1,
            ..config()
        },
        1,
    );
    assert_eq!(rig.odata(1), Err(Discard::OtherSession));
}

#[test]
fn data_without_room_is_asked_for_later() {
    let mut rig = Rig::new();
    rig.spm(0, 0).unwrap();
    rig.odata(1).unwrap();
    rig.room = false;
    assert_eq!(rig.odata(2), Err(Discard::ReceiveBuffer));
    rig.room = true;
    rig.wait(ms(100));
    assert_eq!(rig.asked(), [2]);
    rig.rdata(2).unwrap();
    assert_eq!(rig.take_out(), singles([1, 2]));
}

#[test]
fn a_source_window_larger_than_ours_is_taken_in_steps() {
    let small = ReceiverConfig {
        rxw_sqns: 64,
        ..config()
    };
    let mut rig = Rig::<StdHeap>::with(small, 1);
    rig.spm(0, 0).unwrap();
    rig.odata(1).unwrap();
    for sqn in 3..=200 {
        let expected = if sqn < 66 {
            Ok(())
        } else {
            Err(Discard::BeyondWindow)
        };
        assert_eq!(rig.odata_trail(sqn, 0), expected);
    }
    assert_eq!(rig.rx.lead(), Sqn::new(200));
    let mut rounds = 0;
    while rig.rx.missing() > 0 {
        rig.wait(ms(100));
        for sqn in rig.asked() {
            let _ = rig.rdata(sqn);
        }
        rounds += 1;
        assert!(rounds < 10);
    }
    assert_eq!(rig.take_out(), singles(1..=200));
}

// req: RCV-20 RCV-21
#[test]
fn jumps_before_the_first_is_delivered_do_not_lap_the_window() {
    let mut rig = Rig::new();
    let first = (1 << 31) - 2;
    let jump = |rig: &mut Rig, sqn: u32, trail: u32| {
        let spm = Spm {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(trail),
            lead: Sqn::new(trail),
            path: PATH,
        };
        let bytes = bytes(TSI, &Repr::Spm(spm, SpmOptions::default()), 0);
        let packet = Packet::parse(&bytes).unwrap();
        // The owner does not poll: its reader is busy.
        let now = rig.now;
        rig.rx.handle(now, SOURCE, &packet, None).unwrap();
    };
    let data = DataBody {
        sqn: Sqn::new(0),
        trail: Sqn::new(0),
    };
    let bytes = bytes(TSI, &Repr::Odata(data, DataOptions::default()), 1);
    let packet = Packet::parse(&bytes).unwrap();
    let now = rig.now;
    rig.rx.handle(now, SOURCE, &packet, Some(0)).unwrap();
    jump(&mut rig, 1, first);
    jump(&mut rig, 2, first + (1 << 30));
    assert_eq!(rig.rx.trail(), Sqn::new(first));
    rig.settle();
    assert_eq!(
        rig.take_out(),
        [singles([0]), vec![Out::Lost(1, first - 1)]].concat()
    );
    // Now there is room for it.
    jump(&mut rig, 3, first + (1 << 30));
    assert_eq!(rig.rx.trail(), Sqn::new(first + (1 << 30)));
}

// req: RCV-06 WIRE-26
#[test]
fn a_window_has_at_most_half_the_number_space() {
    let mut rig = Rig::new();
    rig.spm(1, 0).unwrap();
    let half = 1u32 << 31;
    assert_eq!(rig.odata_trail(half, 1), Err(Discard::OutsideWindow));
    assert!(!rig.rx.window.is_open());
    assert_eq!(rig.odata_trail(half - 1, 1), Err(Discard::BeyondWindow));
    assert_eq!(rig.rx.lead(), Sqn::new(half - 1));
    // The trailing edge stays behind while some of it is given up: the other end may not move on.
    let impatient = ReceiverConfig {
        ncf_retries: 1,
        ..config()
    };
    let mut rig = Rig::<StdHeap>::with(impatient, 1);
    rig.spm(1, 0).unwrap();
    rig.spm(1, half - 1).unwrap();
    rig.wait(Duration::from_secs(10));
    assert!(!rig.take_out().is_empty());
    rig.spm_raw(3, half + 9, half + 8, PATH, SpmOptions::default())
        .unwrap();
    assert_eq!(
        rig.odata_trail(half + 9, half + 9),
        Err(Discard::OutsideWindow)
    );
    assert_eq!(rig.rx.lead(), Sqn::new(half - 1));
    rig.wait(Duration::from_secs(400));
    assert_eq!(rig.take_out().last(), Some(&Out::End(End::Expired)));
}
