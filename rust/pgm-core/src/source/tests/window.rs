// SPDX-License-Identifier: GPL-2.0

//! Numbering, room, and how the window advances with time.

use std::vec::Vec;

use pgm_wire::{Fragment, PacketType, Sqn};
use PacketType::{Odata, Spm};

use super::bench::*;
use crate::source::{Source, SourceConfig};
use crate::time::{Duration, Instant};
use crate::{StdHeap, RING_MAX};

#[test]
fn an_idle_source_costs_little_memory() {
    // 32 of them, with a pointer and its owner each, fill two kilobytes.
    let slot = size_of::<Option<super::super::txw::Slot<[core::ptr::NonNull<u8>; 2]>>>();
    assert!(slot <= 64, "{slot}");
    let source = size_of::<Source<[usize; 2], StdHeap>>();
    assert!(source <= 1024, "{source}");
}

// req: SRC-01 SRC-02 SRC-22
#[test]
fn odata_is_numbered_and_sent_in_the_order_of_submission() {
    let mut bench: Bench = Bench::new(config());
    let mut sent = Vec::new();
    for n in 0..1_000u32 {
        let sqn = bench.push(&n.to_be_bytes());
        assert_eq!(sqn, config().first_sqn.plus(n));
        if n % 7 == 0 {
            sent.extend(bench.run_for(3));
        }
    }
    sent.extend(bench.run_for(100));
    let odata = of_kind(&sent, Odata);
    assert_eq!(odata.len(), 1_000);
    for (n, sent) in (0u32..).zip(&odata) {
        let (sqn, trail) = sent.data();
        assert_eq!(sqn, config().first_sqn.plus(n));
        assert!(trail.at_or_before(sqn));
        assert_eq!(sent.payload, n.to_be_bytes());
    }
}

// req: SRC-03 SRC-04 SRC-05
#[test]
fn the_rate_is_kept_over_every_interval() {
    let mut config = config();
    config.rate = 100_000;
    config.window_sqns = 2_048;
    config.window_bytes = 2_000_000;
    let mut bench: Bench = Bench::new(config);
    for _ in 0..500 {
        bench.push(&[0; 1_400]);
    }
    let sent = bench.run_for(4_000);
    let bucket = 6_000;
    for (i, from) in sent.iter().enumerate() {
        let mut bytes = 0;
        for to in &sent[i..] {
            bytes += to.bytes;
            let ns = to.at.since(from.at).nanos();
            assert!(bytes <= bucket + ns * config.rate / 1_000_000_000 + 2);
            // Back to back: half a millisecond of eight times the rate, and a packet.
            let peak = 8 * config.rate;
            assert!(bytes <= peak / 2_000 + 1_500 + ns * peak / 1_000_000_000 + 2);
        }
    }
    let bytes: u64 = sent.iter().map(|s| s.bytes).sum();
    assert!(bytes > 395_000, "{bytes}");
}

// req: OPT-20 OPT-21 OPT-22 OPT-23
#[test]
fn fragments_name_their_apdu() {
    let mut bench: Bench = Bench::new(config());
    bench.push(b"whole");
    let first = bench.try_push(&[0; 500], Some((0, 1_200))).unwrap();
    bench.try_push(&[1; 500], Some((500, 1_200))).unwrap();
    bench.try_push(&[2; 200], Some((1_000, 1_200))).unwrap();
    bench.push(b"whole");
    let sent = bench.run_for(10);
    let odata = of_kind(&sent, Odata);
    let fragments: Vec<_> = odata.iter().map(|s| s.fragment).collect();
    let fragment = |offset| {
        Some(Fragment {
            first,
            offset,
            apdu_len: 1_200,
        })
    };
    let expected = [None, fragment(0), fragment(500), fragment(1_000), None];
    assert_eq!(fragments, expected);
    bench.nak(&[first.next()]).unwrap();
    let rdata = of_kind(&bench.drain(), PacketType::Rdata);
    assert_eq!(rdata[0].fragment, fragment(500));
    let others = sent.iter().filter(|s| s.kind != Odata);
    assert!(others.into_iter().all(|s| s.fragment.is_none()));
}

// req: OPT-50 OPT-51
#[test]
fn syn_is_on_the_first_odata_and_its_repairs_only() {
    let mut bench: Bench = Bench::new(config());
    let first = bench.push(b"first");
    let second = bench.push(b"second");
    let mut sent = bench.run_for(90);
    bench.nak(&[first, second]).unwrap();
    sent.extend(bench.run_for(2_000));
    let syn: Vec<_> = sent.iter().filter(|s| s.syn).map(|s| s.kind).collect();
    assert_eq!(syn, [Odata, PacketType::Rdata]);
    assert!(sent.iter().filter(|s| s.syn).all(|s| s.data().0 == first));
}

// req: TXW-03 TXW-04 TXW-12
#[test]
fn the_trail_follows_time_in_steps_and_reaches_the_lead() {
    // TXW_SECS 5 s, TXW_ADV_SECS 1 s.
    let mut bench: Bench = Bench::new(config());
    let mut sent = Vec::new();
    for _ in 0..500 {
        bench.push(b"data");
        sent.extend(bench.run_for(10));
    }
    let last_data = bench.now;
    let mut trail = bench.source.trail();
    let mut steps: Vec<(Instant, u32)> = Vec::new();
    while bench.source.trail() != bench.source.lead().next() {
        sent.extend(bench.run_for(1));
        let now = bench.source.trail();
        if now != trail {
            steps.push((bench.now, now.since(trail)));
            trail = now;
        }
    }
    assert!(bench.now.since(last_data) <= Duration::from_secs(6));
    assert!(steps.len() <= 6, "{steps:?}");
    assert!(steps[0].1 >= 99 && steps[0].1 <= 102, "{steps:?}");
    let spm = of_kind(&bench.run_for(2_100), Spm).remove(0);
    assert_eq!(spm.edges().0, spm.edges().1.next());
    let trails: Vec<Sqn> = sent
        .iter()
        .map(|s| match s.kind {
            Spm => s.edges().0,
            _ => s.data().1,
        })
        .collect();
    assert!(trails.windows(2).all(|pair| pair[0].at_or_before(pair[1])));
    assert_eq!(bench.source.stats().expired, 500);
    assert_eq!(bench.source.window_bytes_used(), 0);
}

#[test]
fn a_full_rate_sender_is_never_held_up_by_a_window_of_rate_times_secs() {
    let mut config = config();
    config.rate = 100_000;
    config.window = Duration::from_secs(2);
    config.window_bytes = 200_000;
    config.window_sqns = RING_MAX;
    let mut bench: Bench = Bench::new(config);
    let (mut bytes, mut blocked) = (0, 0);
    for _ in 0..10_000 {
        while bench.source.queued_bytes() < 2_000 {
            if !bench.source.room(1, 1_000) {
                blocked += 1;
                break;
            }
            bench.push(&[0; 1_000]);
            bytes += 1_000;
        }
        bench.run_for(1);
    }
    assert!(blocked == 0 && bytes > 940_000, "{bytes} {blocked}");
}

// req: TXW-01
#[test]
fn the_window_never_exceeds_what_the_ring_can_hold() {
    let mut config = config();
    config.window_sqns = u32::MAX;
    let mut source = Source::<(), StdHeap>::new(config, at(0));
    assert!(source.fits(RING_MAX, 0));
    assert!(!source.fits(RING_MAX + 1, 0));
    for _ in 0..RING_MAX {
        let sum = pgm_wire::checksum::Sum::ZERO;
        source.push(at(0), (), 0, sum, None).unwrap();
    }
    assert!(!source.room(1, 0));
    assert!(source
        .push(at(0), (), 0, pgm_wire::checksum::Sum::ZERO, None)
        .is_err());
    assert_eq!(source.queued_sqns(), RING_MAX);
}

fn small() -> SourceConfig {
    let mut config = config();
    config.window_sqns = 10;
    config.window_bytes = 5_000;
    config.queue_bytes = 1_000;
    config.rate = 100_000_000;
    config
}

// req: TXW-15
#[test]
fn room_ends_at_the_limit_of_bytes_and_time_makes_more() {
    let mut bench: Bench = Bench::new(small());
    for _ in 0..5 {
        assert!(bench.source.room(1, 1_000));
        bench.push(&[0; 1_000]);
        bench.run_for(1);
    }
    assert!(!bench.source.room(1, 1));
    assert!(bench.source.room(1, 0));
    assert_eq!(bench.source.window_bytes_used(), 5_000);
    bench.run_for(4_000);
    assert!(!bench.source.room(1, 1));
    bench.run_for(1_000);
    assert!(bench.source.room(1, 5_000));
}

#[test]
fn the_source_tells_when_there_is_room_for_any_who_wait() {
    let mut bench: Bench = Bench::new(small());
    for _ in 0..5 {
        bench.push(&[0; 1_000]);
        bench.run_for(1);
    }
    assert!(!bench.source.room_came(), "nobody waits");
    bench.source.wait_for_room(bench.now, 1, 4_000);
    bench.source.wait_for_room(bench.now, 5, 1_500);
    bench.run_for(4_980);
    assert!(!bench.source.room_came());
    // Time makes room, while no packet leaves.
    bench.now = bench.now.after(Duration::from_millis(20));
    bench.source.handle_timeout(bench.now);
    assert!(bench.source.room_came());
    assert!(!bench.source.room_came(), "they were told");
    // Whoever waited for more asks again.
    bench.push(&[0; 1_000]);
    bench.source.wait_for_room(bench.now, 1, 5_000);
    assert!(!bench.source.room_came());
}

// req: TXW-15
#[test]
fn room_ends_at_the_limit_of_sqns() {
    let mut bench: Bench = Bench::new(small());
    assert!(bench.source.room(10, 0));
    assert!(!bench.source.room(11, 0));
    for _ in 0..10 {
        bench.push(b"");
    }
    assert!(!bench.source.room(1, 0));
    assert!(bench.try_push(b"", None).is_err());
    assert!(bench.source.reserve(1).is_err());
}

// req: TXW-15
#[test]
fn the_queue_is_bounded_but_lets_a_large_apdu_in_alone() {
    let mut config = small();
    config.rate = 1_000;
    let mut bench: Bench = Bench::new(config);
    assert!(bench.source.fits(4, 4_000) && bench.source.room(4, 4_000));
    assert!(!bench.source.fits(4, 5_001));
    bench.push(&[0; 600]);
    assert!(bench.source.room(1, 400));
    assert!(!bench.source.room(1, 401));
    assert_eq!(bench.source.queued_bytes(), 600);
}

#[test]
fn many_packets_leave_in_bounded_steps() {
    let mut bench: Bench = Bench::new(config());
    for _ in 0..1_000 {
        bench.push(b"");
    }
    bench.run_for(100);
    bench.now = at(20_000);
    let mut calls = 0;
    while bench.source.trail() != bench.source.lead().next() {
        assert!(bench.source.poll_timeout().unwrap() <= bench.now);
        let before = bench.source.trail();
        bench.source.handle_timeout(bench.now);
        assert!(bench.source.trail().since(before) <= 256);
        calls += 1;
    }
    assert_eq!(calls, 4);
}
