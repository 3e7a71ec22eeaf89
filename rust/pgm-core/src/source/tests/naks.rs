// SPDX-License-Identifier: GPL-2.0

//! Confirmations and repairs.

use std::vec;
use std::vec::Vec;

use pgm_wire::{
    Addr, Body, Data, DataOptions, Gsi, Nak, NakOptions, NnakOptions, PacketType, Ports, Repr, Sqn,
};
use PacketType::{Ncf, Odata, Rdata, Spm};

use super::bench::*;
use crate::Discard;

/// A source whose window holds `count` packets, and their numbers.
fn sent(count: u32) -> (Bench, Vec<Sqn>) {
    sent_at_rate(count, config().rate)
}

fn sent_at_rate(count: u32, rate: u64) -> (Bench, Vec<Sqn>) {
    let mut config = config();
    config.rate = 100_000_000;
    let mut bench = Bench::new(config);
    let sqns = (0..count)
        .map(|n| bench.push(&[u8::try_from(n % 251).unwrap(); 1_000]))
        .collect();
    bench.run_for(90);
    bench.source.set_rate(bench.now, rate);
    (bench, sqns)
}

// req: SRC-16 SRC-17 SRC-22
#[test]
fn a_nak_is_confirmed_at_once_and_then_repaired() {
    let (mut bench, sqns) = sent(3);
    let now = bench.now;
    assert_eq!(bench.nak(&sqns[1..2]), Ok(()));
    let sent = bench.drain();
    assert_eq!(kinds(&sent), [Ncf, Rdata]);
    assert_eq!(sent[0].at, now);
    assert_eq!(sent[0].body, Body::Ncf(nak_body(sqns[1])));
    assert_eq!(sent[1].data().0, sqns[1]);
    assert_eq!(sent[1].payload, [1; 1_000]);
}

// req: SRC-17
#[test]
fn the_confirmation_does_not_wait_for_the_rate() {
    let (mut bench, sqns) = sent_at_rate(20, 10_000);
    for _ in 0..20 {
        bench.push(&[0; 1_000]);
    }
    bench.drain();
    bench.nak(&sqns[..1]).unwrap();
    let now = bench.now;
    let sent = bench.run_for(2_000);
    assert_eq!((sent[0].kind, sent[0].at), (Ncf, now));
    let rdata = of_kind(&sent, Rdata);
    assert!(rdata[0].at > now);
}

// req: SRC-06
#[test]
fn ncf_comes_before_spm_and_spm_before_data() {
    let (mut bench, sqns) = sent_at_rate(20, 1_000);
    for _ in 0..20 {
        bench.push(&[0; 1_000]);
    }
    bench.drain();
    bench.receive(Repr::Spmr).unwrap();
    bench.nak(&sqns[..1]).unwrap();
    let sent = bench.run_for(3_000);
    assert_eq!(kinds(&sent)[..3], [Ncf, Spm, Rdata]);
}

// req: SRC-07
#[test]
fn odata_and_rdata_share_the_rate() {
    let (mut bench, sqns) = sent_at_rate(60, 100_000);
    for _ in 0..60 {
        bench.push(&[0; 1_000]);
    }
    bench.nak(&sqns[..60]).unwrap();
    let sent = bench.run_for(600);
    let (odata, rdata) = (of_kind(&sent, Odata).len(), of_kind(&sent, Rdata).len());
    assert!(odata > 20 && odata.abs_diff(rdata) <= 1, "{odata} {rdata}");
}

// req: SRC-18
// attack: A-05 A-15
#[test]
fn a_storm_of_the_same_nak_gets_few_confirmations_and_repairs() {
    let (mut bench, sqns) = sent(3);
    let mut sent = Vec::new();
    for n in 0..1_000 {
        let answer = bench.nak(&sqns[1..2]);
        assert_eq!(answer.is_ok(), n % 100 == 0);
        assert!(answer.is_ok() || answer == Err(Discard::NakRepeated));
        sent.extend(bench.drain());
        bench.now = bench.now.after(crate::Duration::from_micros(100));
    }
    assert_eq!(sent[0].kind, Ncf);
    assert_eq!(of_kind(&sent, Ncf).len(), 10);
    assert_eq!(of_kind(&sent, Rdata).len(), 10);
    assert_eq!(bench.source.stats().naks, 1_000);
    assert_eq!(bench.source.stats().naks_repeated, 990);
}

// req: SRC-19 OPT-34 OPT-35
#[test]
fn a_list_gets_the_identical_ncf_and_every_repair() {
    let (mut bench, sqns) = sent(80);
    assert_eq!(bench.nak(&sqns[10..73]), Ok(()));
    let sent = bench.run_for(80);
    assert_eq!(sent[0].body, Body::Ncf(nak_body(sqns[10])));
    assert_eq!(sent[0].list.as_slice(), &sqns[11..73]);
    let repaired: Vec<Sqn> = of_kind(&sent, Rdata).iter().map(|s| s.data().0).collect();
    assert_eq!(repaired, sqns[10..73]);
    assert_eq!(of_kind(&sent, Ncf).len(), 1);
    assert_eq!(bench.source.stats().nak_sqns, 63);
}

// req: SRC-20
#[test]
fn naks_that_come_together_share_one_repair() {
    let (mut bench, sqns) = sent(20);
    bench.nak(&sqns[3..4]).unwrap();
    let mut sent = bench.run_for(5);
    assert_eq!(bench.nak(&sqns[3..4]), Err(Discard::NakRepeated));
    sent.extend(bench.run_for(20));
    assert_eq!(of_kind(&sent, Rdata).len(), 1);
    // Later it was lost, not late.
    bench.nak(&sqns[3..4]).unwrap();
    assert_eq!(kinds(&bench.drain()), [Ncf, Rdata]);
}

// req: SRC-21
#[test]
fn rdata_bears_the_trail_of_now_and_the_options_of_then() {
    let mut bench: Bench = Bench::new(config());
    bench.push(b"first");
    bench.run_for(4_000);
    bench.try_push(&[1; 10], Some((0, 20))).unwrap();
    let second = bench.try_push(&[2; 10], Some((10, 20))).unwrap();
    let original = of_kind(&bench.run_for(1), Odata).remove(1);
    assert_eq!(original.data().1, config().first_sqn);
    bench.run_for(2_000);
    let trail = bench.source.trail();
    assert_ne!(trail, config().first_sqn);
    bench.nak(&[second]).unwrap();
    let repair = of_kind(&bench.drain(), Rdata).remove(0);
    assert_eq!(repair.data(), (second, trail));
    assert_eq!(repair.fragment, original.fragment);
    assert_eq!(repair.payload, original.payload);
}

// req: SRC-23 TXW-02
// attack: A-15
#[test]
fn outside_the_window_there_is_an_ncf_but_no_repair() {
    let (mut bench, sqns) = sent(5);
    let (trail, lead) = (bench.source.trail(), bench.source.lead());
    assert_eq!((trail, lead), (sqns[0], sqns[4]));
    for sqn in [trail.prev(), lead.next()] {
        assert_eq!(bench.nak(&[sqn]), Err(Discard::NakOutsideWindow));
        assert_eq!(kinds(&bench.drain()), [Ncf]);
        // Confirmations of nothing are rationed.
        assert_eq!(bench.nak(&[sqn]), Err(Discard::NakOutsideWindow));
        assert!(bench.drain().is_empty());
        bench.run_for(10);
    }
    for sqn in [trail, lead] {
        bench.nak(&[sqn]).unwrap();
        assert_eq!(kinds(&bench.run_for(1)), [Ncf, Rdata]);
    }
    assert_eq!(bench.source.stats().naks_outside, 4);
}

// req: SRC-23
#[test]
fn a_list_that_straddles_the_window_is_repaired_where_it_can_be() {
    let (mut bench, sqns) = sent(3);
    let queued = sqns[2].next();
    bench
        .nak(&[sqns[0].prev(), sqns[0], sqns[2], queued])
        .unwrap();
    let sent = bench.run_for(1);
    assert_eq!(kinds(&sent), [Ncf, Rdata, Rdata]);
    assert_eq!(sent[0].list.as_slice(), [sqns[0], sqns[2], queued]);
}

// req: SRC-23
#[test]
fn what_is_only_queued_is_not_repaired() {
    let (mut bench, _) = sent_at_rate(20, 1_000);
    let queued = (0..10).map(|_| bench.push(&[0; 1_000])).last().unwrap();
    bench.run_for(1);
    assert_eq!(bench.nak(&[queued]), Err(Discard::NakOutsideWindow));
    assert_eq!(kinds(&bench.run_for(1)), [Ncf]);
    assert!(of_kind(&bench.run_for(60_000), Rdata).is_empty());
}

// req: SRC-23
#[test]
fn a_repair_that_waits_is_dropped_with_its_packet() {
    let (mut bench, sqns) = sent_at_rate(40, 1_000);
    bench.nak(&sqns).unwrap();
    let sent = bench.run_for(60_000);
    for rdata in of_kind(&sent, Rdata) {
        let (sqn, trail) = rdata.data();
        assert!(sqn.at_or_after(trail));
    }
    assert!(of_kind(&sent, Rdata).len() < 20);
    assert_eq!(bench.source.trail(), bench.source.lead().next());
}

// req: SRC-24
#[test]
fn naks_of_other_sessions_are_ignored() {
    let (mut bench, sqns) = sent(3);
    let elsewhere = Addr::V4([198, 51, 100, 7]);
    let body = nak_body(sqns[0]);
    let bodies = [
        Nak {
            source: elsewhere,
            ..body
        },
        Nak {
            group: Addr::V4([239, 9, 9, 9]),
            ..body
        },
    ];
    for body in bodies {
        let repr = Repr::Nak(body, NakOptions::default());
        assert_eq!(bench.receive(repr), Err(Discard::OtherSession));
    }
    let own = Ports {
        sport: DPORT,
        dport: TSI.sport,
        gsi: TSI.gsi,
    };
    let others = vec![
        Ports { sport: 1, ..own },
        Ports { dport: 1, ..own },
        Ports {
            gsi: Gsi([9; 6]),
            ..own
        },
    ];
    for ports in others {
        let answer = bench.receive_from(ports, nak(&sqns[..1]));
        assert_eq!(answer, Err(Discard::OtherSession));
    }
    assert!(bench.drain().is_empty());
    assert_eq!(bench.source.stats().naks, 0);
}

// req: SRC-25
#[test]
fn a_null_nak_is_counted_and_not_answered() {
    let (mut bench, sqns) = sent(3);
    let nnak = Repr::Nnak(nak_body(sqns[0]), NnakOptions::default());
    assert_eq!(bench.receive(nnak), Err(Discard::NullNak));
    assert!(bench.drain().is_empty());
    assert_eq!(bench.source.stats().nnaks, 1);
}

#[test]
fn what_a_source_does_not_take_is_refused() {
    let (mut bench, sqns) = sent(3);
    let parity = NakOptions {
        parity: true,
        ..NakOptions::default()
    };
    let data = Data {
        sqn: sqns[0],
        trail: sqns[0],
    };
    let reprs = [
        Repr::Nak(nak_body(sqns[0]), parity),
        Repr::Odata(data, DataOptions::default()),
        Repr::Ncf(nak_body(sqns[0]), pgm_wire::NcfOptions::default()),
    ];
    for repr in reprs {
        assert_eq!(bench.receive(repr), Err(Discard::UnexpectedType));
    }
    assert!(bench.drain().is_empty());
}

/// Or whoever asks for it again and again would keep it from others.
// req: SRC-20
// attack: A-15
#[test]
fn a_repair_that_waits_keeps_its_place() {
    let (mut bench, sqns) = sent(5);
    for sqn in [3, 1, 3] {
        let _ = bench.nak(&[sqns[sqn]]);
        bench.now = at(bench.now.nanos() / MS + 2);
    }
    let repairs = of_kind(&bench.run_for(10), Rdata);
    let order: Vec<_> = repairs.iter().map(|sent| sent.data().0).collect();
    assert_eq!(order, [sqns[3], sqns[1]]);
}

// req: SRC-18 SRC-27
// attack: A-14 A-15
#[test]
fn pending_confirmations_are_bounded() {
    let (mut bench, sqns) = sent(100);
    let answers: Vec<_> = sqns.iter().map(|sqn| bench.nak(&[*sqn])).collect();
    assert!(answers[..64].iter().all(Result::is_ok));
    assert!(answers[64..]
        .iter()
        .all(|answer| *answer == Err(Discard::NakOverflow)));
    let sent = bench.run_for(80);
    // What was not confirmed is not repaired either.
    assert_eq!(of_kind(&sent, Ncf).len(), 64);
    assert_eq!(of_kind(&sent, Rdata).len(), 64);
    bench.nak(&sqns[99..]).unwrap();
    assert_eq!(kinds(&bench.drain()), [Ncf, Rdata]);
}

// req: SRC-19
// attack: A-15
#[test]
fn repairs_stay_within_the_rate() {
    let (mut bench, sqns) = sent_at_rate(60, 50_000);
    bench.run_for(100);
    bench.nak(&sqns).unwrap();
    let sent = of_kind(&bench.run_for(1_400), Rdata);
    let bytes: u64 = sent.iter().map(|s| s.bytes).sum();
    assert!(bytes > 50_000 && bytes < 50_000 * 14 / 10 + 7_500);
}

#[test]
fn asking_again_does_not_send_a_repair_to_the_end_of_the_queue() {
    let (mut bench, sqns) = sent_at_rate(20, 20_000);
    for _ in 0..20 {
        bench.push(&[0; 1_000]);
    }
    bench.run_for(300);
    bench.nak(&sqns[5..6]).unwrap();
    bench.run_for(11);
    bench.nak(&sqns[2..3]).unwrap();
    bench.nak(&sqns[5..6]).unwrap();
    let repairs = of_kind(&bench.run_for(1_000), Rdata);
    let repaired: Vec<Sqn> = repairs.iter().map(|s| s.data().0).collect();
    assert_eq!(repaired, [sqns[5], sqns[2]]);
}

// req: WIRE-10
#[test]
fn a_source_that_moves_announces_it_and_goes_on_repairing() {
    let (mut bench, sqns) = sent(3);
    let tsi = bench.source.config().tsi;
    let moved = |n| Addr::V4([10, 9, 0, n]);
    let ask = |bench: &mut Bench, nla| {
        let nak = Nak {
            source: nla,
            ..nak_body(sqns[0])
        };
        let result = bench.receive(Repr::Nak(nak, NakOptions::default()));
        let sent = bench.run_for(20);
        let confirmed = of_kind(&sent, Ncf).first().map(|ncf| ncf.body);
        if let Some(ncf) = confirmed {
            assert_eq!(ncf, Body::Ncf(nak));
        }
        (result, of_kind(&sent, Rdata).len())
    };
    for n in 1..4 {
        assert_eq!(ask(&mut bench, moved(n)), (Err(Discard::OtherSession), 0));
        bench.source.relocate(moved(n));
        let spm = bench.poll().unwrap();
        assert_eq!(spm.kind, Spm);
        assert!(matches!(spm.body, Body::Spm(spm) if spm.path == moved(n)));
        // NAKs name the first address, the one before and the one of now.
        assert_eq!(ask(&mut bench, NLA), (Ok(()), 1));
        assert_eq!(ask(&mut bench, moved(n)), (Ok(()), 1));
        if n > 1 {
            assert_eq!(ask(&mut bench, moved(n - 1)), (Ok(()), 1));
        }
    }
    assert_eq!(ask(&mut bench, moved(1)), (Err(Discard::OtherSession), 0));
    bench.source.relocate(NLA);
    assert_eq!(ask(&mut bench, NLA), (Ok(()), 1));
    assert_eq!(bench.source.config().tsi, tsi);
}
