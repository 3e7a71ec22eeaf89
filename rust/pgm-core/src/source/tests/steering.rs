// SPDX-License-Identifier: GPL-2.0

//! NAK_BO_IVL, and receivers that multicast does not reach (RFC 3208 §15).

use std::vec::Vec;

use pgm_wire::{Addr, PacketType, Repr, Sqn};
use PacketType::{Ncf, Rdata, Spm};

use super::bench::*;
use crate::settings::{DUP_NAK_MAX, NAK_PROBE_NUM};
use crate::time::Duration;

/// A source whose window holds packets for a long time, and their numbers.
fn sent(count: u32) -> (Bench, Vec<Sqn>) {
    let mut config = config();
    config.rate = 100_000_000;
    config.window = Duration::from_secs(1_000);
    let mut bench = Bench::new(config);
    let sqns = (0..count).map(|_| bench.push(&[0; 100])).collect();
    bench.run_for(100);
    (bench, sqns)
}

/// What the NCF for a NAK says, in milliseconds.
fn advertised(bench: &mut Bench, sqn: Sqn) -> Option<u32> {
    bench.nak(&[sqn]).unwrap();
    let sent = bench.drain();
    assert_eq!(sent[0].kind, Ncf);
    let (micros, poll) = sent[0].backoff?;
    assert_eq!(poll, 0, "no polls stand behind it");
    Some(micros / 1_000)
}

/// A NAK and, so much later, too many duplicates of it.
fn duplicate(bench: &mut Bench, sqn: Sqn, ms: u64) {
    bench.nak(&[sqn]).unwrap();
    bench.run_for(ms);
    for _ in 0..4 {
        let _ = bench.nak(&[sqn]);
    }
    bench.run_for(20);
}

// req: IMP-01 IMP-02 IMP-04
#[test]
fn duplicates_double_the_interval_up_to_the_bound() {
    let (mut bench, sqns) = sent(40);
    assert_eq!(
        advertised(&mut bench, sqns[30]),
        None,
        "the default says nothing"
    );
    let mut seen = Vec::new();
    for n in 0..8 {
        duplicate(&mut bench, sqns[n], 5);
        // More of them change nothing: they were sent before the new value was known.
        for _ in 0..5 {
            let _ = bench.nak(&[sqns[n]]);
            bench.run_for(1);
        }
        seen.push(advertised(&mut bench, sqns[10 + n]).unwrap());
    }
    assert_eq!(seen, [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
    let spm = of_kind(&bench.run_for(3_000), Spm).remove(0);
    assert_eq!(spm.backoff, Some((2_000_000, 0)));
}

// req: IMP-02
#[test]
fn duplicates_inside_the_hold_of_an_ncf_count() {
    let (mut bench, sqns) = sent(3);
    bench.nak(&[sqns[0]]).unwrap();
    for _ in 0..3 {
        assert!(bench.nak(&[sqns[0]]).is_err());
    }
    assert_eq!(advertised(&mut bench, sqns[1]), None, "a few may come");
    assert!(bench.nak(&[sqns[0]]).is_err());
    assert_eq!(advertised(&mut bench, sqns[2]), Some(100));
}

// req: IMP-02
#[test]
fn a_receiver_that_repeats_itself_is_no_duplicate() {
    let (mut bench, sqns) = sent(30);
    // NAK_RPT_IVL and NAK_RDATA_IVL, and what is drawn on top.
    for (sqn, ms) in sqns.iter().zip([60, 200, 250, 400, 650, 900]) {
        duplicate(&mut bench, *sqn, ms);
    }
    assert_eq!(advertised(&mut bench, sqns[20]), None);
}

// req: IMP-02
#[test]
fn one_nak_raises_the_interval_once_however_long_its_list() {
    let (mut bench, sqns) = sent(70);
    bench.nak(&sqns[..60]).unwrap();
    bench.run_for(5);
    for _ in 0..4 {
        assert!(bench.nak(&sqns[..60]).is_err());
    }
    assert_eq!(advertised(&mut bench, sqns[65]), Some(100));
}

// req: IMP-03
#[test]
fn repair_states_without_duplicates_halve_the_interval_until_nothing_is_said() {
    let (mut bench, sqns) = sent(200);
    duplicate(&mut bench, sqns[0], 5);
    duplicate(&mut bench, sqns[1], 5);
    let mut seen = Vec::new();
    for sqn in &sqns[2..100] {
        seen.push(advertised(&mut bench, *sqn));
        bench.run_for(20);
    }
    let probes = usize::try_from(NAK_PROBE_NUM.default).unwrap();
    // The NCF of the last measurement already says so.
    for (n, ms) in [Some(200), Some(100), Some(50), None, None]
        .into_iter()
        .enumerate()
    {
        let from = (n * probes).saturating_sub(1);
        let part = &seen[from..(n + 1) * probes - 1];
        assert!(part.iter().all(|seen| *seen == ms), "{n}: {seen:?}");
    }
    // A duplicate starts the count again.
    duplicate(&mut bench, sqns[100], 5);
    for sqn in &sqns[101..101 + probes / 2] {
        advertised(&mut bench, *sqn);
    }
    duplicate(&mut bench, sqns[150], 5);
    for sqn in &sqns[151..150 + probes] {
        assert_eq!(advertised(&mut bench, *sqn), Some(200));
    }
}

// req: IMP-01
#[test]
fn the_interval_leaves_room_for_several_naks_in_a_window_of_time() {
    let mut config = config();
    config.window = Duration::from_millis(1_200);
    config.rate = 100_000_000;
    let mut bench: Bench = Bench::new(config);
    for _ in 0..6 {
        let sqn = bench.push(&[0; 100]);
        bench.run_for(1);
        duplicate(&mut bench, sqn, 0);
    }
    let sqn = bench.push(&[0; 100]);
    bench.run_for(1);
    assert_eq!(advertised(&mut bench, sqn), Some(300));
}

/// NAKs for one packet from a receiver that hears nothing.
fn deaf(bench: &mut Bench, sqn: Sqn, count: u32, ms: u64) -> Vec<Sent> {
    let mut sent = Vec::new();
    for _ in 0..count {
        let _ = bench.nak(&[sqn]);
        sent.extend(bench.run_for(ms));
    }
    sent
}

// req: IMP-09 IMP-10 IMP-11
#[test]
fn whom_multicast_does_not_reach_is_told_so_by_unicast() {
    let (mut bench, sqns) = sent(5);
    let before = deaf(&mut bench, sqns[0], DUP_NAK_MAX.default, 200);
    assert!(of_kind(&before, Ncf).iter().all(|s| s.to.is_none()));
    assert!(before.iter().all(|s| !s.unreach && s.path_nla.is_none()));
    let now = bench.now;
    bench.nak(&[sqns[0]]).unwrap();
    let sent = bench.drain();
    assert_eq!(kinds(&sent), [Ncf, Spm, Rdata]);
    assert_eq!((sent[0].to, sent[0].path_nla), (Some(RECEIVER), Some(NLA)));
    assert!(sent[0].unreach && sent[0].at == now);
    // A regular one, for everybody.
    assert!(sent[1].to.is_none() && !sent[1].unreach);
    assert_eq!(bench.source.stats().ncf_unicast, 1);
    // Other packets, and this one after a silence, are confirmed as ever.
    bench.nak(&[sqns[1]]).unwrap();
    assert_eq!(bench.drain()[0].to, None);
    bench.run_for(1_100);
    bench.nak(&[sqns[0]]).unwrap();
    assert_eq!(bench.drain()[0].to, None);
}

// req: IMP-09
#[test]
fn a_storm_is_no_sign_of_a_failure() {
    let (mut bench, sqns) = sent(3);
    let mut sent = Vec::new();
    for _ in 0..10_000 {
        let _ = bench.nak(&[sqns[0]]);
        sent.extend(bench.drain());
        bench.now = bench.now.after(Duration::from_micros(20));
    }
    assert!(sent.iter().all(|s| s.to.is_none()));
}

// req: IMP-11
// attack: A-15
#[test]
fn forged_duplicates_get_few_answers() {
    let (mut bench, sqns) = sent(50);
    for sqn in &sqns {
        deaf(&mut bench, *sqn, DUP_NAK_MAX.default + 1, 10);
    }
    // All of them are unreached now; a flood for all of them, from everybody.
    let mut sent = Vec::new();
    for n in 0..20_000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let from = Addr::V4([10, a, b, c]);
        let sqn = sqns[usize::try_from(n).unwrap() % 50];
        let _ = bench.receive_by(from, nak(&[sqn]));
        sent.extend(bench.drain());
        bench.now = bench.now.after(Duration::from_micros(50));
    }
    let unicast = of_kind(&sent, Ncf)
        .iter()
        .filter(|s| s.to.is_some())
        .count();
    assert!(unicast <= 100, "{unicast} in a second");
    assert!(of_kind(&sent, Spm).len() <= 11);
}

/// What silences receivers until the next SPM is never without one, whoever used up the answer that
/// SPMRs get.
// req: IMP-11
// attack: A-15
#[test]
fn no_unicast_ncf_is_without_its_spm() {
    let (mut bench, sqns) = sent(5);
    deaf(&mut bench, sqns[0], DUP_NAK_MAX.default, 200);
    let mut sent = Vec::new();
    for _ in 0..200 {
        let _ = bench.receive(Repr::Spmr);
        sent.extend(bench.drain());
        let _ = bench.nak(&[sqns[0]]);
        sent.extend(bench.run_for(11));
    }
    let mut told = 0;
    for (n, ncf) in sent.iter().enumerate().filter(|(_, sent)| sent.unreach) {
        let next = sent.get(n + 1).map(|next| (next.kind, next.at));
        assert_eq!(next, Some((Spm, ncf.at)), "{n}");
        told += 1;
    }
    assert!((5..=25).contains(&told), "{told}");
}
