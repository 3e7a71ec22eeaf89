// SPDX-License-Identifier: GPL-2.0

//! FIN and RST.

use std::vec::Vec;

use pgm_wire::{PacketType, Repr, Rst, Sqn};
use PacketType::{Ncf, Odata, Rdata, Spm};

use super::bench::*;
use crate::time::Duration;
use crate::Discard;

fn sent(count: usize) -> (Bench, Vec<Sqn>) {
    let mut bench = Bench::new(config());
    let sqns = (0..count).map(|_| bench.push(&[7; 100])).collect();
    bench.run_for(1_000);
    (bench, sqns)
}

// req: OPT-53 OPT-55 OPT-56
#[test]
fn fin_is_said_at_once_and_in_every_spm() {
    let (mut bench, sqns) = sent(3);
    bench.source.fin(bench.now);
    let start = bench.now;
    let spms = of_kind(&bench.run_for(10_000), Spm);
    assert!(spms.iter().all(|spm| spm.fin && spm.rst.is_none()));
    assert_eq!(spms[0].at, start);
    assert_eq!(gaps(&spms)[..4], [100, 200, 400, 800]);
    for spm in &spms {
        assert_eq!(spm.edges().1, sqns[2]);
    }
}

// req: OPT-53 OPT-54 OPT-55
#[test]
fn queued_data_leaves_before_fin_is_announced() {
    let mut config = config();
    config.rate = 10_000;
    config.window = Duration::from_secs(30);
    let mut bench: Bench = Bench::new(config);
    let sqns: Vec<Sqn> = (0..40).map(|_| bench.push(&[7; 1_000])).collect();
    bench.run_for(500);
    bench.source.fin(bench.now);
    assert!(!bench.source.room(1, 1));
    assert!(bench.try_push(b"late", None).is_err());
    let sent = bench.run_for(10_000);
    let last = sent.iter().position(|s| s.kind == Odata && s.fin).unwrap();
    assert_eq!(sent[last].data().0, sqns[39]);
    assert!(sent[..last].iter().all(|s| !s.fin));
    assert!(sent[last..].iter().all(|s| s.fin));
    assert_eq!(sent[last + 1].kind, Spm);
    assert!(sent[last + 1].at.since(sent[last].at) < Duration::from_millis(20));
    bench.nak(&sqns[38..]).unwrap();
    let repairs = of_kind(&bench.run_for(1_000), Rdata);
    let fins: Vec<bool> = repairs.iter().map(|s| s.fin).collect();
    assert_eq!(fins, [false, true]);
}

#[test]
fn nobody_is_told_of_room_in_a_source_that_closes() {
    let (mut bench, _) = sent(1);
    bench.source.fin(bench.now);
    bench.source.wait_for_room(bench.now, 1, 1);
    assert!(!bench.source.room_came());
}

// req: OPT-57
#[test]
fn repairs_go_on_for_the_window_after_fin_and_then_all_stops() {
    let (mut bench, sqns) = sent(3);
    bench.push(&[8; 100]);
    bench.source.fin(bench.now);
    bench.run_for(3_500);
    bench.nak(&[sqns[2].next()]).unwrap();
    assert_eq!(kinds(&bench.drain()), [Ncf, Rdata]);
    assert!(!bench.source.is_done());
    bench.run_for(1_499);
    assert!(!bench.source.is_done());
    let rest = bench.run_for(60_000);
    assert!(bench.source.is_done());
    assert!(rest.len() <= 1);
    assert_eq!(bench.source.poll_timeout(), None);
    assert_eq!(bench.nak(&sqns), Err(Discard::SessionEnded));
    assert_eq!(bench.receive(Repr::Spmr), Err(Discard::SessionEnded));
    assert!(bench.drain().is_empty());
}

#[test]
fn fin_is_said_three_times_however_short_the_window() {
    let mut config = config();
    config.window = Duration::from_millis(10);
    let mut bench: Bench = Bench::new(config);
    bench.push(b"only");
    bench.source.fin(bench.now);
    let sent = bench.run_for(60_000);
    assert!(bench.source.is_done());
    assert_eq!(of_kind(&sent, Spm).iter().filter(|s| s.fin).count(), 3);
}

#[test]
fn fin_without_any_data_ends_the_session_too() {
    let mut bench: Bench = Bench::new(config());
    bench.source.fin(bench.now);
    let sent = bench.run_for(60_000);
    assert!(bench.source.is_done());
    assert!(sent.iter().all(|s| s.kind == Spm && s.fin));
    assert_eq!(sent[0].edges().0, sent[0].edges().1.next());
}

// req: OPT-59 OPT-60 OPT-61
#[test]
fn an_abort_is_said_at_once_and_in_every_spm() {
    let (mut bench, sqns) = sent(3);
    bench.source.set_rate(bench.now, 10_000);
    for _ in 0..600 {
        bench.push(&[7; 10]);
    }
    bench.drain();
    let lead = bench.source.lead();
    let start = bench.now;
    bench.source.abort(start, 9, false);
    let mut sent = bench.run_for(2_000);
    bench.nak(&[lead]).unwrap();
    sent.extend(bench.run_for(60_000));
    let rst = Rst {
        no_naks: false,
        code: 9,
    };
    let spms = of_kind(&sent, Spm);
    assert_eq!(spms[0].at.since(start).micros() / 20_000, 0);
    assert!(gaps(&spms)[0].abs_diff(100) <= 1);
    assert_eq!(gaps(&spms)[1..3], [200, 400]);
    assert!(spms.iter().all(|s| s.rst == Some(rst) && !s.fin));
    assert!(spms.iter().all(|s| s.edges().1 == lead));
    assert!(sent.iter().all(|s| s.kind == Spm || s.rst.is_none()));
    assert!(of_kind(&sent, Odata).is_empty());
    assert_eq!(of_kind(&sent, Rdata).len(), 1);
    assert!(lead.after(sqns[2]));
    assert!(bench.source.is_done());
    assert_eq!(bench.source.queued_sqns(), 0);
    assert_eq!(bench.source.queued_bytes(), 0);
}

// req: OPT-62
#[test]
fn an_abort_that_takes_no_naks_drops_the_window() {
    let (mut bench, sqns) = sent(600);
    bench.source.abort(bench.now, 70, true);
    bench.source.fin(bench.now);
    let sent = bench.run_for(10);
    let rst = Rst {
        no_naks: true,
        code: 70 & 0x3f,
    };
    assert_eq!(sent[0].rst, Some(rst));
    assert_eq!(bench.nak(&sqns[599..]), Err(Discard::SessionEnded));
    assert_eq!(bench.source.window_bytes_used(), 0);
    let sent = bench.run_for(60_000);
    assert!(sent.iter().all(|s| s.kind == Spm && s.rst == Some(rst)));
    assert!(bench.source.is_done());
}

#[test]
fn an_abort_overrides_fin() {
    let (mut bench, _) = sent(3);
    bench.source.fin(bench.now);
    bench.run_for(1_000);
    bench.source.abort(bench.now, 0, false);
    let start = bench.now;
    let sent = bench.run_for(60_000);
    assert!(sent.iter().all(|s| s.rst.is_some() && !s.fin));
    assert!(sent.len() >= 3);
    assert!(sent[sent.len() - 1].at.since(start) <= Duration::from_secs(5));
}
