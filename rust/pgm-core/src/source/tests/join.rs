// SPDX-License-Identifier: GPL-2.0

//! What late joiners may ask for (RFC 3208 §9.4).

use std::vec::Vec;

use pgm_wire::{PacketType, Sqn};
use PacketType::{Ncf, Odata, Rdata, Spm};

use super::bench::*;
use crate::source::{Advance, SourceConfig};
use crate::time::Duration;

/// A window of ten seconds, of which 40 % are open.
fn open() -> SourceConfig {
    let mut config = config();
    config.window = Duration::from_secs(10);
    config.join_percent = 40;
    config
}

/// Every OPT_JOIN_MIN lies between the trailing edge and the packet itself, and never goes back.
fn check(sent: &[Sent]) {
    let mut last = config().first_sqn;
    for sent in sent.iter().filter(|s| s.kind != Ncf) {
        let join = sent.join.expect("OPT_JOIN");
        let (trail, end) = match sent.kind {
            Spm => (sent.edges().0, sent.edges().1.next()),
            Odata => (sent.data().1, sent.data().0),
            _ => (sent.data().1, join),
        };
        assert!(
            join.at_or_after(trail) && join.at_or_before(end),
            "{sent:?}"
        );
        assert!(join.at_or_after(last), "{sent:?}");
        last = join;
    }
}

fn last_join(sent: &[Sent]) -> Sqn {
    sent.iter().rev().find_map(|s| s.join).unwrap()
}

// req: OPT-40 OPT-42
#[test]
fn spms_and_data_open_a_share_of_the_time() {
    let mut bench: Bench = Bench::new(open());
    let first = config().first_sqn;
    let mut sent = Vec::new();
    // Ten packets a second.
    for n in 0..300u32 {
        bench.push(b"data");
        sent.extend(bench.run_for(100));
        let join = last_join(&sent).since(first);
        // Four seconds, from the beginning on if that is later.
        assert!(join.abs_diff(n.saturating_sub(40)) <= 2, "{join} after {n}");
        if n % 50 == 45 {
            bench.nak(&[bench.source.trail()]).unwrap();
        }
    }
    check(&sent);
    assert_eq!(of_kind(&sent, Rdata).len(), 6);
    // In a silence it follows time to the end of the window.
    let idle = bench.run_for(60_000);
    check(&idle);
    let spm = of_kind(&idle, Spm).pop().unwrap();
    assert_eq!(spm.join, Some(spm.edges().1.next()));
}

// req: OPT-40 TXW-08
#[test]
fn with_data_the_share_is_one_of_data() {
    let mut config = open();
    config.advance = Advance::WithData;
    config.window_bytes = 100_000;
    let mut bench: Bench = Bench::new(config);
    let mut sent = Vec::new();
    for _ in 0..60 {
        bench.push(&[0; 1_000]);
        sent.extend(bench.run_for(1));
    }
    sent.extend(bench.run_for(100_000));
    check(&sent);
    assert_eq!(last_join(&sent), config.first_sqn.plus(20));
}

#[test]
fn short_packets_count_by_number() {
    let mut config = open();
    config.advance = Advance::WithData;
    config.window_sqns = 100;
    let mut bench: Bench = Bench::new(config);
    let mut sent = Vec::new();
    for _ in 0..60 {
        bench.push(b"1");
        sent.extend(bench.run_for(1));
    }
    sent.extend(bench.run_for(1_000));
    assert_eq!(last_join(&sent), config.first_sqn.plus(20));
}

// req: OPT-41
#[test]
fn without_a_share_there_is_no_option() {
    let mut bench: Bench = Bench::new(config());
    let sqn = bench.push(b"data");
    let mut sent = bench.run_for(1_000);
    bench.nak(&[sqn]).unwrap();
    sent.extend(bench.run_for(10_000));
    assert!(sent.len() > 5 && sent.iter().all(|s| s.join.is_none()));
}

#[test]
fn a_session_that_was_broken_off_invites_nobody() {
    let mut bench: Bench = Bench::new(open());
    bench.push(b"data");
    bench.run_for(10);
    bench.source.abort(bench.now, 0, false);
    let spms = of_kind(&bench.run_for(2_000), Spm);
    assert!(spms.len() > 2 && spms.iter().all(|s| s.join.is_none()));
}
