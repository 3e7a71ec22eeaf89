// SPDX-License-Identifier: GPL-2.0

//! Intervals that follow the session (RFC 3208 §6.3).

use super::*;

/// The round trip to the source, as the tests play it.
const ROUND: Duration = Duration::from_millis(2);

fn joined(near: bool) -> Rig {
    let adaptive = ReceiverConfig {
        nak_adaptive: true,
        near,
        ..config()
    };
    let mut rig = Rig::with(adaptive, 1);
    rig.spm(0, 0).unwrap();
    rig.odata(1).unwrap();
    rig
}

/// Packet `sqn` is lost, and the two after it come.
fn lose(rig: &mut Rig, sqn: u32) -> Instant {
    rig.odata(sqn + 1).unwrap();
    rig.odata(sqn + 2).unwrap();
    rig.sent.clear();
    rig.now
}

/// Waits until the NAK leaves; how long that took.
fn nak(rig: &mut Rig, start: Instant) -> Duration {
    while rig.sent.is_empty() {
        let at = rig.rx.poll_timeout().unwrap();
        rig.wait(at.since(rig.now));
        assert!(rig.now.since(start) < Duration::from_secs(5), "no NAK");
    }
    rig.sent.clear();
    rig.now.since(start)
}

/// Loses one packet, asks for it and gets it a round trip later; how long the NAK was put off.
fn recover(rig: &mut Rig, sqn: u32) -> Duration {
    let start = lose(rig, sqn);
    let waited = nak(rig, start);
    rig.wait(ROUND);
    rig.ncf(&[sqn]).unwrap();
    rig.rdata(sqn).unwrap();
    // A pause, or there are too many NAKs in a row.
    rig.wait(ms(10));
    waited
}

/// A receiver that has asked so often and knows the round trip, and the next packet to lose.
fn acquainted(recoveries: u32) -> (Rig, u32) {
    let mut rig = joined(false);
    for n in 0..recoveries {
        recover(&mut rig, 2 + 3 * n);
    }
    (rig, 2 + 3 * recoveries)
}

// req: NAK-01
#[test]
fn who_is_alone_soon_asks_at_once() {
    let mut rig = joined(false);
    let first = recover(&mut rig, 2);
    assert!(first > ms(30) && first <= ms(50), "{first:?}");
    for n in 1..6 {
        recover(&mut rig, 2 + 3 * n);
    }
    let waits: Vec<_> = (6..96).map(|n| recover(&mut rig, 2 + 3 * n)).collect();
    let at_once = waits.iter().filter(|wait| **wait == Duration::ZERO).count();
    assert!((70..90).contains(&at_once), "{at_once}");
    assert!(waits.iter().all(|wait| *wait <= ROUND.double()));
}

// req: NAK-01
#[test]
fn a_source_on_the_link_is_asked_sooner() {
    let first = recover(&mut joined(true), 2);
    assert!(first <= ms(5), "{first:?}");
}

// req: NAK-03 NAK-16
#[test]
fn company_makes_naks_wait_for_it() {
    let (mut rig, mut sqn) = acquainted(10);
    // Somebody else asks first, ten times.
    for _ in 0..10 {
        rig.odata(sqn + 1).unwrap();
        rig.ncf(&[sqn]).unwrap();
        rig.rdata(sqn).unwrap();
        rig.odata(sqn + 2).unwrap();
        sqn += 3;
    }
    let start = lose(&mut rig, sqn);
    let waited = nak(&mut rig, start);
    assert!(waited > ROUND.double(), "{waited:?}");
    // And he who always asks himself unlearns it.
    rig.ncf(&[sqn]).unwrap();
    rig.rdata(sqn).unwrap();
    for _ in 0..20 {
        sqn += 3;
        recover(&mut rig, sqn);
    }
    let waited = recover(&mut rig, sqn + 3);
    assert!(waited <= ROUND.double(), "{waited:?}");
}

// req: NAK-03 NAK-16
#[test]
fn who_is_always_forestalled_soon_waits_but_not_for_ever_longer() {
    let (mut rig, _) = acquainted(10);
    let mut intervals = Vec::new();
    for _ in 0..64 {
        rig.rx.back_off.has_company(Some(Duration::ZERO));
        intervals.push(rig.rx.back_off.interval());
    }
    assert!(intervals.is_sorted());
    // As for a dozen others at first; each time it rises, until it is for a thousand.
    assert!(intervals[8] > ROUND.scale(6 * 5, 1), "{intervals:?}");
    assert!(intervals[63] > ROUND.scale(6 * 9, 1), "{intervals:?}");
    assert!(intervals[63] < ROUND.scale(6 * 11, 1), "{intervals:?}");
    // Then they are silent for as long as there would be nobody.
    let silent = rig.rx.back_off.interval();
    rig.rx.back_off.has_company(Some(silent));
    assert!(rig.rx.back_off.interval() < silent.scale(4, 5));
}

// req: NAK-05 NAK-09
#[test]
fn repetitions_follow_the_round_trip_and_double() {
    let (mut rig, sqn) = acquainted(20);
    let mut at = lose(&mut rig, sqn);
    let mut waits = Vec::new();
    for _ in 0..10 {
        nak(&mut rig, at);
        waits.push(rig.now.since(at));
        at = rig.now;
    }
    // The first repetition comes after about a round trip, the last after NAK_RPT_IVL.
    assert!(waits[1] >= ROUND && waits[1] <= ms(8), "{waits:?}");
    assert!(waits[5] >= ms(32) && waits[5] <= ms(45), "{waits:?}");
    assert!(waits[9] >= ms(200) && waits[9] <= ms(205), "{waits:?}");
}

// req: IMP-07
#[test]
fn an_interval_that_a_parent_advertises_holds_until_it_says_nothing() {
    use pgm_wire::NakBoIvl;
    let (mut rig, sqn) = acquainted(10);
    let told = SpmOptions {
        nak_bo_ivl: Some(NakBoIvl {
            micros: 100_000,
            sqn: Sqn::new(0),
        }),
        ..SpmOptions::default()
    };
    rig.spm_with(1, sqn - 1, told).unwrap();
    let waited = recover(&mut rig, sqn);
    assert!(waited > ms(50) && waited <= ms(100), "{waited:?}");
    // The NCF bore no option.
    let waited = recover(&mut rig, sqn + 3);
    assert!(waited <= ROUND.double(), "{waited:?}");
}

// req: NAK-17
#[test]
fn what_is_due_within_a_round_trip_goes_into_one_list() {
    let (mut rig, mut sqn) = acquainted(10);
    for _ in 0..4 {
        rig.rx.back_off.has_company(None);
    }
    // Two gaps, each with its own draw.
    let mut lists = 0;
    for _ in 0..50 {
        for at in [sqn + 1, sqn + 3, sqn + 4] {
            rig.odata(at).unwrap();
        }
        rig.sent.clear();
        rig.wait(ms(100));
        let naks = rig.take_naks();
        lists += usize::from(naks[0].sqns.len() == 2);
        rig.rdata(sqn).unwrap();
        rig.rdata(sqn + 2).unwrap();
        sqn += 5;
    }
    assert!(lists > 3, "{lists} of 50");
}
