// SPDX-License-Identifier: GPL-2.0

//! SPMs: ambient, heartbeat, asked for.

use std::vec;
use std::vec::Vec;

use pgm_wire::{Body, Gsi, PacketType, Ports, Repr};

use super::bench::*;
use crate::source::Heartbeat;
use crate::time::Duration;
use crate::Discard;

/// A source that has sent its first packets and rests.
fn started(config: crate::source::SourceConfig) -> Bench {
    let mut bench = Bench::new(config);
    bench.push(b"first");
    bench.run_for(1);
    bench
}

// req: SRC-14 SRC-15
#[test]
fn the_first_spm_leaves_at_once_with_an_empty_window() {
    let mut bench: Bench = Bench::new(config());
    let sent = bench.drain();
    assert_eq!(kinds(&sent), [PacketType::Spm]);
    let (trail, lead) = sent[0].edges();
    assert_eq!(trail, lead.next());
    assert_eq!(trail, config().first_sqn);
    let Body::Spm(spm) = sent[0].body else {
        panic!()
    };
    assert_eq!(spm.path, NLA);
}

// req: SRC-14
#[test]
fn spms_carry_the_edges_of_the_window() {
    let mut bench = started(config());
    let last = bench.push(b"second");
    bench.run_for(1);
    let spm = of_kind(&bench.run_for(200), PacketType::Spm).remove(0);
    assert_eq!(spm.edges(), (config().first_sqn, last));
}

// req: SRC-13
#[test]
fn spm_sqns_rise_by_one_from_zero() {
    let mut bench: Bench = Bench::new(config());
    bench.push(b"first");
    let sqns: Vec<u32> = bench
        .run_for(20_000)
        .iter()
        .filter_map(|sent| match sent.body {
            Body::Spm(spm) => Some(spm.sqn.get()),
            _ => None,
        })
        .collect();
    let expected: Vec<u32> = (0..).take(sqns.len()).collect();
    assert!(sqns.len() > 5);
    assert_eq!(sqns, expected);
}

// req: SRC-08 SRC-12
#[test]
fn ambient_spms_run_through_data_that_holds_heartbeats_off() {
    let mut config = config();
    config.ambient = Duration::from_millis(1_000);
    let mut bench: Bench = Bench::new(config);
    let mut sent = Vec::new();
    for _ in 0..310 {
        bench.push(b"data");
        sent.extend(bench.run_for(10));
    }
    let spms = of_kind(&sent, PacketType::Spm);
    // At the start, with the first data, and then by the ambient timer only.
    assert_eq!(gaps(&spms[2..]), [1_000, 1_000]);
}

// req: SRC-09
#[test]
fn heartbeats_decay_from_min_to_max() {
    let mut config = config();
    config.ambient = Duration::from_secs(3_600);
    let mut bench = started(config);
    bench.push(b"second");
    let start = bench.now;
    bench.drain();
    let spms = of_kind(&bench.run_for(12_000), PacketType::Spm);
    assert_eq!(spms[0].at.since(start), Duration::from_millis(100));
    assert_eq!(
        gaps(&spms),
        [200, 400, 800, 1_600, 2_000, 2_000, 2_000, 2_000]
    );
}

// req: SRC-10
#[test]
fn odata_and_rdata_start_the_heartbeat_again() {
    for repair in [false, true] {
        let mut bench = started(config());
        bench.run_for(1_000);
        if repair {
            bench.nak(&[config().first_sqn]).unwrap();
        } else {
            bench.push(b"second");
        }
        let start = bench.now;
        let sent = bench.run_for(350);
        let spms = of_kind(&sent, PacketType::Spm);
        assert_eq!(spms[0].at.since(start), Duration::from_millis(100));
        assert_eq!(gaps(&spms), [200]);
    }
}

// req: SRC-11
#[test]
fn ambient_and_heartbeat_timers_run_side_by_side() {
    let mut config = config();
    config.ambient = Duration::from_millis(1_000);
    config.heartbeat =
        Heartbeat::doubling(Duration::from_millis(8_000), Duration::from_millis(8_000));
    config.window = Duration::from_secs(60);
    let mut bench: Bench = Bench::new(config);
    bench.drain();
    let spms = of_kind(&bench.run_for(20_500), PacketType::Spm);
    let ms: Vec<u64> = spms.iter().map(|s| s.at.nanos() / MS - 1).collect();
    // Both expire at 8 s and 16 s: one SPM serves both.
    let ambient: Vec<u64> = (1..=20).map(|s| s * 1_000).collect();
    assert_eq!(ms, ambient);
    config.ambient = Duration::from_millis(3_000);
    let mut bench: Bench = Bench::new(config);
    bench.drain();
    let spms = of_kind(&bench.run_for(17_000), PacketType::Spm);
    let seconds: Vec<u64> = spms.iter().map(|s| s.at.nanos() / MS / 1_000).collect();
    assert_eq!(seconds, [3, 6, 8, 9, 12, 15, 16]);
}

#[test]
fn heartbeats_rest_while_data_waits_for_the_rate() {
    let mut config = config();
    config.rate = 1_000;
    config.window = Duration::from_secs(60);
    let mut bench: Bench = Bench::new(config);
    for _ in 0..20 {
        bench.push(&[0; 1_400]);
    }
    bench.run_for(2_000);
    let sent = bench.run_for(5_000);
    assert!(of_kind(&sent, PacketType::Spm).is_empty());
    assert!(!sent.is_empty());
}

#[test]
fn an_spm_follows_the_first_data_packet_only() {
    let mut bench: Bench = Bench::new(config());
    bench.run_for(10);
    bench.push(b"first");
    bench.push(b"second");
    let sent = bench.run_for(10);
    use PacketType::{Odata, Spm};
    assert_eq!(kinds(&sent), [Odata, Spm, Odata]);
}

#[test]
fn named_intervals_are_checked() {
    assert!(Heartbeat::from_micros(&[]).is_none());
    assert!(Heartbeat::from_micros(&[100, 0]).is_none());
    assert!(Heartbeat::from_micros(&[1_000; 33]).is_none());
    let heartbeat = Heartbeat::from_micros(&[1_000, 7_000, 3_000]).unwrap();
    let us: Vec<u32> = (0..5).map(|n| heartbeat.interval(n).micros()).collect();
    assert_eq!(us, [1_000, 7_000, 3_000, 3_000, 3_000]);
    let longest = Heartbeat::doubling(Duration::from_millis(1), Duration::from_nanos(u64::MAX));
    assert_eq!(longest.interval(30), Duration::from_micros(u32::MAX));
    let swapped = Heartbeat::doubling(Duration::from_secs(2), Duration::from_secs(1));
    assert_eq!(swapped.interval(9), Duration::from_secs(2));
    assert!(Heartbeat::doubling(Duration::ZERO, Duration::ZERO).min() > Duration::ZERO);
}

// req: SPMR-07
// attack: A-15
#[test]
fn an_spmr_is_answered_at_once_but_no_flood_of_them() {
    let mut bench = started(config());
    bench.run_for(7_500);
    assert_eq!(bench.receive(Repr::Spmr), Ok(()));
    assert_eq!(kinds(&bench.drain()), [PacketType::Spm]);
    let mut spms = 0;
    for _ in 0..100 {
        let answer = bench.receive(Repr::Spmr);
        let sent = bench.run_for(10).len();
        assert!(answer == Ok(()) || answer == Err(Discard::SpmrRepeated));
        spms += sent;
    }
    // One second: at most 1 s / IHB_MIN + 1, and the heartbeat that may fall into it.
    assert!((9..=12).contains(&spms), "{spms}");
    assert_eq!(bench.source.stats().spmrs, 101);
}

// req: SPMR-10
#[test]
fn spmrs_for_others_are_ignored() {
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
        let mut bench = started(config());
        bench.run_for(50);
        let answer = bench.receive_from(ports, Repr::Spmr);
        assert_eq!(answer, Err(Discard::OtherSession));
        assert!(bench.drain().is_empty());
    }
}
