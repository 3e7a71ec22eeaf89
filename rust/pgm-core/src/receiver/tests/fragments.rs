// SPDX-License-Identifier: GPL-2.0

//! OPT_FRAGMENT (RFC 3208 §9.2).

use super::*;

fn joined() -> Rig {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig
}

fn fragment(first: u32, offset: u32, apdu_len: u32) -> Fragment {
    Fragment {
        first: Sqn::new(first),
        offset,
        apdu_len,
    }
}

// req: OPT-24
#[test]
fn an_apdu_is_delivered_whole() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
        let mut rig = joined();
        for (n, index) in order.into_iter().enumerate() {
            assert!(rig.take_out().is_empty());
            assert_eq!(rig.piece(0, index, 3, 100), Ok(()));
            assert_eq!(rig.piece(0, index, 3, 100), Err(Discard::Duplicate));
            assert_eq!(rig.rx.stats().apdus, u64::from(n == 2));
        }
        assert_eq!(rig.take_out(), [Out::Apdu(vec![0, 1, 2])]);
    }
}

// req: OPT-24
#[test]
fn pieces_say_where_they_belong() {
    let mut rig: Receiver<u32, StdHeap> = Receiver::new(config(), TSI, SOURCE, Instant::ZERO, 1);
    for index in 0..2u32 {
        let options = DataOptions {
            fragment: Some(fragment(5, index * 10, 20)),
            syn: index == 0,
            ..DataOptions::default()
        };
        let body = DataBody {
            sqn: Sqn::new(5 + index),
            trail: Sqn::new(5),
        };
        let bytes = bytes(TSI, &Repr::Odata(body, options), 10);
        let packet = Packet::parse(&bytes).unwrap();
        rig.handle(Instant::ZERO, SOURCE, &packet, Some(index))
            .unwrap();
    }
    let piece = |index: u32| {
        Delivery::Data(Data {
            payload: index,
            sqn: Sqn::new(5 + index),
            offset: index * 10,
            len: 10,
            apdu_len: 20,
            last: index == 1,
            syn: index == 0,
        })
    };
    assert_eq!(rig.poll_deliver(), Some(piece(0)));
    assert_eq!(rig.poll_deliver(), Some(piece(1)));
    assert_eq!(rig.poll_deliver(), None);
}

// req: OPT-25
#[test]
fn reassembly_spans_an_advance_of_the_window() {
    let mut rig = joined();
    rig.piece(0, 0, 3, 100).unwrap();
    rig.piece(0, 1, 3, 100).unwrap();
    rig.spm(2, 2).unwrap();
    rig.piece(0, 2, 3, 100).unwrap();
    assert_eq!(rig.take_out(), [Out::Apdu(vec![0, 1, 2])]);
}

// req: OPT-26 RCV-21
// attack: A-19
#[test]
fn a_lost_fragment_loses_its_apdu() {
    for lost in 0..3 {
        let mut rig = joined();
        rig.piece(0, 0, 1, 10).unwrap();
        for index in (0..3).filter(|index| *index != lost) {
            rig.piece(1, index, 3, 100).unwrap();
        }
        rig.odata(4).unwrap();
        assert_eq!(rig.take_out(), singles([0]));
        rig.spm(2 + lost, 4).unwrap();
        let expected = [vec![Out::Lost(1, 3)], singles([4])];
        assert_eq!(rig.take_out(), expected.concat(), "fragment {lost}");
        assert_eq!(rig.rx.stats().lost_sqns, 3);
        assert_eq!(rig.rx.held(), 0);
    }
}

// req: OPT-26
#[test]
fn the_tail_of_a_lost_apdu_is_lost_too_when_it_comes() {
    let mut rig = joined();
    rig.piece(0, 0, 4, 100).unwrap();
    rig.spm(2, 3).unwrap();
    assert_eq!(rig.take_out(), [Out::Lost(0, 2)]);
    rig.piece(0, 2, 4, 100).unwrap();
    rig.piece(0, 3, 4, 100).unwrap();
    rig.piece(4, 0, 2, 100).unwrap();
    rig.piece(4, 1, 2, 100).unwrap();
    let out = rig.take_out();
    assert_eq!(
        out,
        [Out::Lost(2, 1), Out::Lost(3, 1), Out::Apdu(vec![4, 5])]
    );
}

#[test]
fn an_apdu_from_before_the_session_is_skipped_silently() {
    let mut rig = Rig::new();
    rig.spm(90, 100).unwrap();
    rig.piece(99, 2, 4, 100).unwrap();
    rig.piece(99, 3, 4, 100).unwrap();
    rig.piece(103, 0, 2, 100).unwrap();
    rig.piece(103, 1, 2, 100).unwrap();
    assert_eq!(rig.take_out(), [Out::Apdu(vec![103, 104])]);
    assert_eq!(rig.rx.stats().lost_sqns, 0);
    // Only at the start: later, a fragment without its beginning is a loss.
    rig.piece(90, 15, 20, 100).unwrap();
    rig.odata(106).unwrap();
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(105, 1)], singles([106])].concat()
    );
}

#[test]
fn a_hole_in_an_apdu_from_before_the_session_is_a_loss() {
    let mut rig = Rig::new();
    rig.spm(90, 100).unwrap();
    rig.piece(99, 2, 5, 100).unwrap();
    rig.piece(99, 4, 5, 100).unwrap();
    rig.odata(104).unwrap();
    rig.spm(104, 104).unwrap();
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(102, 1)], singles([104])].concat()
    );
}

// req: OPT-27
// attack: A-02
#[test]
fn fragments_that_contradict_themselves_are_refused() {
    let bad = Err(Discard::Fragment);
    let cases = [
        (fragment(1, 0, 0), 10, bad),
        (fragment(1, 0, 9), 10, bad),
        (fragment(0, 95, 100), 10, bad),
        (fragment(0, 0, 100), 10, bad),
        (fragment(1, 10, 100), 10, bad),
        (fragment(2, 10, 100), 10, bad),
        (fragment(0x8000_0001, 10, 100), 10, bad),
        (fragment(0, u32::MAX, u32::MAX), 10, bad),
        (
            fragment(0, u32::MAX - 10, u32::MAX),
            10,
            Err(Discard::ApduTooLarge),
        ),
        (fragment(0, 10, 100), 0, bad),
    ];
    for (fragment, len, expected) in cases {
        let mut rig = joined();
        rig.odata(0).unwrap();
        assert_eq!(rig.fragment(1, fragment, len), expected, "{fragment:?}");
        rig.odata(2).unwrap();
        rig.wait(ms(500));
        // The repair would be the same packet.
        assert!(rig.asked().is_empty());
        let expected = [singles([0]), vec![Out::Lost(1, 1)], singles([2])];
        assert_eq!(rig.take_out(), expected.concat());
    }
}

// req: OPT-27
// attack: A-02 A-19
#[test]
fn fragments_that_contradict_each_other_lose_their_apdu_only() {
    // Second fragment: (first, offset, length of the APDU).
    let cases = [
        (fragment(1, 0, 300), false),  // offset 0 under another number
        (fragment(1, 200, 300), true), // a hole
        (fragment(1, 50, 300), true),  // an overlap
        (fragment(1, 100, 400), true), // another length
        (fragment(0, 100, 300), true), // another APDU
    ];
    for (second, accepted) in cases {
        let mut rig = joined();
        rig.odata(0).unwrap();
        rig.piece(1, 0, 3, 100).unwrap();
        assert_eq!(rig.fragment(2, second, 100).is_ok(), accepted);
        rig.piece(1, 2, 3, 100).unwrap();
        rig.piece(4, 0, 2, 100).unwrap();
        rig.piece(4, 1, 2, 100).unwrap();
        let out = rig.take_out();
        let lost: u32 = out
            .iter()
            .map(|out| if let Out::Lost(_, n) = out { *n } else { 0 })
            .sum();
        assert_eq!(lost, 3, "{out:?}");
        assert_eq!(out.first(), Some(&Out::Apdu(vec![0])));
        assert_eq!(out.last(), Some(&Out::Apdu(vec![4, 5])));
    }
}

// req: OPT-27
// attack: A-02 A-19
#[test]
fn an_apdu_in_the_place_of_a_fragment_is_delivered() {
    let mut rig = joined();
    rig.piece(0, 0, 3, 100).unwrap();
    rig.odata(1).unwrap();
    rig.piece(0, 2, 3, 100).unwrap();
    rig.odata(3).unwrap();
    let expected = [
        vec![Out::Lost(0, 1)],
        singles([1]),
        vec![Out::Lost(2, 1)],
        singles([3]),
    ];
    assert_eq!(rig.take_out(), expected.concat());
}

// req: OPT-28
// attack: A-02
#[test]
fn size_and_number_of_fragments_are_bounded() {
    let small = ReceiverConfig {
        msgsize_max: 1000,
        fragments_max: 4,
        ..config()
    };
    let large = Err(Discard::ApduTooLarge);
    let mut rig = Rig::<StdHeap>::with(small, 1);
    rig.spm(0, u32::MAX).unwrap();
    assert_eq!(rig.data(false, 0, 0, 1001, DataOptions::default()), large);
    assert_eq!(rig.data(false, 1, 0, 1000, DataOptions::default()), Ok(()));
    assert_eq!(rig.piece(2, 0, 2, 501), large);
    assert_eq!(rig.piece(2, 1, 2, 501), large);
    for index in 0..5 {
        let expected = if index < 4 { Ok(()) } else { large };
        assert_eq!(rig.piece(4, index, 5, 10), expected);
    }
    for index in 0..4 {
        assert_eq!(rig.piece(9, index, 4, 250), Ok(()));
    }
    let out = rig.take_out();
    assert_eq!(out[..2], [Out::Lost(0, 1), Out::Apdu(vec![1])]);
    assert_eq!(out.last(), Some(&Out::Apdu(vec![9, 10, 11, 12])));
    assert_eq!(rig.rx.stats().lost_sqns, 1 + 2 + 5);
}

// req: OPT-28
// attack: A-02
#[test]
fn an_apdu_longer_than_the_window_does_not_block_it() {
    let tight = ReceiverConfig {
        fragments_max: 1024,
        rxw_sqns: 64,
        ..config()
    };
    let mut rig = Rig::<StdHeap>::with(tight, 1);
    rig.spm(0, u32::MAX).unwrap();
    for index in 0..100 {
        let _ = rig.piece(0, index, 100, 10);
    }
    rig.odata(100).unwrap();
    assert_eq!(rig.take_out().last(), Some(&Out::Apdu(vec![100])));
    assert_eq!(rig.rx.stats().lost_sqns, 100);
    // One that just fits is whole.
    for index in 0..64 {
        rig.piece(101, index, 64, 10).unwrap();
    }
    assert_eq!(rig.take_out(), [Out::Apdu((101..165).collect())]);
}

// MS08-036 was a hole of this kind.
// req: OPT-27
// attack: A-02 A-14
#[test]
fn beginnings_without_end_take_bounded_memory() {
    let mut rig = joined();
    for sqn in 0..50_000 {
        // Each one claims to be the first of many.
        rig.fragment(sqn, fragment(sqn, 0, 60_000), 10).unwrap();
        assert!(rig.rx.held() <= 1);
    }
    for sqn in 50_000..100_000 {
        // Each one continues something else.
        let _ = rig.fragment(sqn, fragment(sqn - 1, 20, 60_000), 10);
        assert!(rig.rx.held() <= 1);
    }
    assert_eq!(rig.rx.stats().apdus, 0);
    rig.odata(100_000).unwrap();
    assert_eq!(rig.take_out().last(), Some(&Out::Apdu(vec![100_000])));
    assert_eq!(rig.rx.stats().lost_sqns, 100_000);
}

// req: SEC-11 OPT-24
#[test]
fn an_empty_message_is_a_message() {
    let mut rig = joined();
    rig.data(false, 0, 0, 0, DataOptions::default()).unwrap();
    assert_eq!(rig.take_out(), singles([0]));
}

#[test]
fn only_the_very_first_apdu_can_be_from_before_the_session() {
    let mut rig = Rig::new();
    rig.spm(90, 99).unwrap();
    rig.piece(100, 0, 3, 100).unwrap();
    rig.spm(102, 102).unwrap();
    // The session began with an APDU of its own, if a lost one.
    rig.fragment(102, fragment(98, 300, 400), 100).unwrap();
    assert_eq!(rig.take_out(), [Out::Lost(100, 2), Out::Lost(102, 1)]);
}
