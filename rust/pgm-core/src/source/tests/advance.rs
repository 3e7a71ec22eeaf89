// SPDX-License-Identifier: GPL-2.0

//! Advance with data (RFC 3208 §16.2), and the arithmetic of the window.

use std::vec::Vec;

use pgm_wire::{PacketType, Sqn};
use PacketType::{Ncf, Odata, Rdata, Spm};

use super::bench::*;
use crate::settings;
use crate::source::advance::{Share, WithData};
use crate::source::{Advance, Heartbeat, SourceConfig};
use crate::time::{Duration, Instant};
use crate::Discard;

/// A window of 100 packets of 1000 bytes at 1 MB/s. It grows and shrinks by 20; of these 5 may wait
/// unsent, and 15 are TXW_ADV_IVL: 15 ms.
fn with_data() -> SourceConfig {
    let mut config = config();
    config.advance = Advance::WithData;
    config.rate = 1_000_000;
    config.window = Duration::from_millis(100);
    config.window_bytes = 100_000;
    config.advance_percent = 20;
    config
}

/// Sends a packet as soon as there is room; `None` if there is none within a second.
fn send(bench: &mut Bench, sent: &mut Vec<Sent>) -> Option<Sqn> {
    for _ in 0..1_000 {
        if bench.source.room(1, 1_000) {
            return Some(bench.push(&[7; 1_000]));
        }
        bench.source.wait_for_room(bench.now, 1, 1_000);
        sent.extend(bench.run_for(1));
    }
    None
}

/// How many packets are sent and held.
fn held(bench: &Bench) -> u32 {
    bench.source.lead().next().since(bench.source.trail())
}

// req: TXW-05 TXW-03
#[test]
fn the_window_holds_the_last_bytes_however_old() {
    let mut bench: Bench = Bench::new(with_data());
    let mut sent = Vec::new();
    for _ in 0..80 {
        send(&mut bench, &mut sent);
    }
    sent.extend(bench.run_for(3_600_000));
    assert_eq!(
        (bench.source.trail(), held(&bench)),
        (config().first_sqn, 80)
    );
    let mut steps = Vec::new();
    for _ in 0..1_000 {
        let trail = bench.source.trail();
        send(&mut bench, &mut sent);
        sent.extend(bench.run_for(1));
        match bench.source.trail().since(trail) {
            0 => {}
            step => steps.push(step),
        }
        assert!((75..=100).contains(&held(&bench)), "{}", held(&bench));
        assert!(bench.source.window_bytes_used() <= 100_000);
    }
    assert!(
        steps.len() >= 49 && steps.iter().all(|step| *step == 20),
        "{steps:?}"
    );
    let trails: Vec<Sqn> = sent
        .iter()
        .map(|s| match s.kind {
            Spm => s.edges().0,
            _ => s.data().1,
        })
        .collect();
    assert!(trails.windows(2).all(|pair| pair[0].at_or_before(pair[1])));
}

// req: TXW-05
#[test]
fn a_source_that_nobody_naks_is_never_suspended() {
    let mut bench: Bench = Bench::new(with_data());
    let mut sent = Vec::new();
    for _ in 0..2_000 {
        while bench.source.room(1, 1_000) {
            bench.push(&[7; 1_000]);
        }
        sent.extend(bench.run_for(1));
    }
    let odata = of_kind(&sent, Odata);
    let worst = odata.windows(2).map(|pair| pair[1].at.since(pair[0].at));
    assert!(worst.max().unwrap() < Duration::from_millis(8));
    // 1 MB/s, headers and SPMs included.
    assert!(odata.len() > 1_880, "{}", odata.len());
}

// req: TXW-06 TXW-07
#[test]
fn naks_in_the_increment_window_hold_it_and_a_full_window_suspends_data() {
    let mut config = with_data();
    config.heartbeat = Heartbeat::doubling(Duration::from_millis(10), Duration::from_millis(50));
    let mut bench: Bench = Bench::new(config);
    let mut sent = Vec::new();
    let first = config.first_sqn;
    while bench.source.room(1, 1_000) || bench.source.queued_sqns() > 0 {
        if bench.source.room(1, 1_000) {
            bench.push(&[7; 1_000]);
        }
        sent.extend(bench.run_for(1));
        if held(&bench) > 80 {
            // The last packet of the increment window, again and again.
            let _ = bench.nak(&[first.plus(19)]);
        }
    }
    assert_eq!((bench.source.trail(), held(&bench)), (first, 100));
    sent.clear();
    bench.source.wait_for_room(bench.now, 1, 1_000);
    for _ in 0..200 {
        let _ = bench.nak(&[first.plus(19)]);
        sent.extend(bench.run_for(10));
    }
    assert_eq!(bench.source.trail(), first);
    assert!(!bench.source.room_came());
    assert!(of_kind(&sent, Odata).is_empty());
    assert!(of_kind(&sent, Spm).len() > 20, "SPMs go on");
    assert!(of_kind(&sent, Rdata).len() > 100);
    // Nobody asks any more: TXW_ADV_IVL later there is room.
    let stopped = bench.now;
    while !bench.source.room_came() {
        bench.run_for(1);
    }
    let took = bench.now.since(stopped);
    assert!(took <= Duration::from_millis(16), "{took:?}");
    assert_eq!(bench.source.trail(), first.plus(20));
    assert!(bench.source.room(1, 1_000));
}

// req: TXW-06
#[test]
fn naks_beyond_the_increment_window_do_not_hold_it() {
    let mut bench: Bench = Bench::new(with_data());
    let mut sent = Vec::new();
    for _ in 0..300 {
        assert!(send(&mut bench, &mut sent).is_some());
        sent.extend(bench.run_for(1));
        let _ = bench.nak(&[bench.source.trail().plus(30)]);
    }
    assert!(bench.source.trail().since(config().first_sqn) >= 200);
}

// req: TXW-06
#[test]
fn the_window_advances_only_when_the_timer_expires() {
    let mut bench: Bench = Bench::new(with_data());
    let mut sent = Vec::new();
    // The timer starts with packet 80 and takes 15 more.
    for _ in 0..94 {
        send(&mut bench, &mut sent);
        sent.extend(bench.run_for(2));
    }
    assert_eq!(held(&bench), 94);
    sent.extend(bench.run_for(10_000));
    assert_eq!(held(&bench), 94, "data-driven: time alone does nothing");
    // A repair is data too.
    bench.nak(&[bench.source.lead()]).unwrap();
    assert_eq!(kinds(&bench.run_for(1)), [Ncf, Rdata]);
    assert_eq!(held(&bench), 74);
}

// req: TXW-08
#[test]
fn ambient_spms_count_data_and_heartbeats_count_time() {
    let mut config = with_data();
    config.ambient = Duration::from_millis(100);
    config.heartbeat = Heartbeat::doubling(Duration::from_millis(80), Duration::from_millis(160));
    let mut bench: Bench = Bench::new(config);
    let mut sent = Vec::new();
    send(&mut bench, &mut sent);
    bench.run_for(50);
    // 20 kB/s, a fiftieth of the rate.
    sent.clear();
    for _ in 0..200 {
        send(&mut bench, &mut sent);
        sent.extend(bench.run_for(50));
    }
    let slow = of_kind(&sent, Spm);
    assert_eq!(slow.len(), 2, "{:?}", gaps(&slow));
    assert!(gaps(&slow)[0] > 4_000);
    // At full rate the interval is as long as its name says.
    sent.clear();
    for _ in 0..1_000 {
        while bench.source.room(1, 1_000) {
            bench.push(&[7; 1_000]);
        }
        sent.extend(bench.run_for(1));
    }
    let full = gaps(&of_kind(&sent, Spm));
    assert!((8..=11).contains(&full.len()), "{full:?}");
    assert!(full.iter().all(|gap| (95..=112).contains(gap)), "{full:?}");
    // And without data there are heartbeats as ever.
    sent.clear();
    sent.extend(bench.run_for(2_000));
    let idle = gaps(&of_kind(&sent, Spm));
    assert!(idle[1..].iter().all(|gap| *gap == 160), "{idle:?}");
}

// req: TXW-09
#[test]
fn the_advance_interval_lies_inside_the_increment() {
    for percent in settings::TXW_ADV_RATE.min..=settings::TXW_ADV_RATE.max {
        for bytes in [settings::TXW_BYTES.min, settings::TXW_BYTES.max] {
            let window = Share {
                bytes: u64::from(bytes),
                sqns: bytes / 512,
            };
            let data = WithData::new(1_000, window, percent);
            let (step, wait) = data.step_and_wait();
            assert!(wait.bytes > 0 && wait.bytes < step.bytes);
        }
    }
    assert!(settings::TXW_ADV_RATE.check(0).is_none());
    assert!(settings::TXW_ADV_RATE.check(51).is_none());
}

// req: TXW-10
#[test]
fn repairs_of_what_leaves_first_go_first() {
    let mut bench: Bench = Bench::new(with_data());
    let mut sent = Vec::new();
    for _ in 0..60 {
        send(&mut bench, &mut sent);
        sent.extend(bench.run_for(2));
    }
    bench.source.set_rate(bench.now, 100_000);
    let first = config().first_sqn;
    bench
        .nak(&[first.plus(50), first.plus(51), first.plus(3)])
        .unwrap();
    bench.nak(&[first.plus(52)]).unwrap();
    let repaired: Vec<_> = of_kind(&bench.run_for(100), Rdata)
        .iter()
        .map(|s| s.data().0.since(first))
        .collect();
    assert_eq!(repaired, [3, 50, 51, 52]);
}

#[test]
fn windows_of_a_few_packets_still_move() {
    for (window, len, percent) in [(4_096, 3_000, 1), (4_096, 100, 1), (10_000, 10_000, 50)] {
        let mut config = with_data();
        config.window_bytes = window;
        config.window_sqns = u32::try_from(window / 512).unwrap();
        config.advance_percent = percent;
        let mut bench: Bench = Bench::new(config);
        let mut sent = Vec::new();
        for n in 0..200 {
            let bytes = u64::try_from(len).unwrap();
            while !bench.source.room(1, bytes) {
                bench.source.wait_for_room(bench.now, 1, bytes);
                sent.extend(bench.run_for(1));
                assert!(bench.now < at(60_000), "packet {n} of {len} in {window}");
            }
            bench.push(&std::vec![1; len]);
        }
        sent.extend(bench.run_for(1_000));
        assert_eq!(of_kind(&sent, Odata).len(), 200);
    }
}

#[test]
fn a_window_of_short_packets_is_full_by_their_number() {
    let mut config = with_data();
    config.window_sqns = 100;
    let mut bench: Bench = Bench::new(config);
    for _ in 0..1_000 {
        if !bench.source.room(1, 1) {
            bench.source.wait_for_room(bench.now, 1, 1);
        } else {
            bench.push(b"1");
        }
        bench.run_for(1);
    }
    assert!(bench.source.stats().expired >= 840);
    assert!(held(&bench) >= 75);
}

#[test]
fn many_packets_of_an_increment_leave_in_bounded_steps() {
    let mut config = with_data();
    config.rate = 100_000_000;
    config.window_sqns = 4_096;
    config.advance_percent = 50;
    let mut bench: Bench = Bench::new(config);
    let mut calls = 0;
    for _ in 0..8_000 {
        if bench.source.room(1, 1) {
            bench.push(b"1");
        }
        bench.run_until(Instant::from_nanos(bench.now.nanos() + 1_000));
        let before = bench.source.trail();
        bench.source.handle_timeout(bench.now);
        let step = bench.source.trail().since(before);
        assert!(step <= 256);
        calls += u32::from(step > 0);
    }
    assert!(bench.source.stats().expired > 4_000, "{calls}");
}

#[test]
fn an_abort_empties_a_window_of_data_too() {
    let mut bench: Bench = Bench::new(with_data());
    let mut sent = Vec::new();
    for _ in 0..50 {
        send(&mut bench, &mut sent);
    }
    bench.run_for(100);
    bench.source.abort(bench.now, 0, true);
    bench.run_for(10);
    assert_eq!(held(&bench), 0);
    assert_eq!(bench.nak(&[config().first_sqn]), Err(Discard::SessionEnded));
}

/// RFC 3208 §16.1: 128 kbit/s, packets of 1500 bytes, 30 + 5 seconds.
// req: TXW-14
#[test]
fn the_example_of_the_rfc_has_383_packets_in_steps_of_54() {
    let mut config = config();
    config.window = Duration::from_secs(35);
    config.window_bytes = 560 * 1024;
    config.window_sqns = 1_024;
    // 5 seconds of 35.
    config.advance_percent = 14;
    let mut bench: Bench = Bench::new(config);
    let packet_ns = 1_500 * 1_000_000_000 / (16 * 1024);
    let (mut most, mut steps) = (0, Vec::new());
    for n in 0..1_000 {
        let before = bench.source.trail();
        bench.run_until(Instant::from_nanos(at(1).nanos() + n * packet_ns));
        match bench.source.trail().since(before) {
            0 => {}
            step => steps.push(step),
        }
        bench.push(&[0; 1_500]);
        bench.drain();
        most = most.max(held(&bench));
    }
    assert_eq!(most, 383);
    assert!(
        steps.len() > 5 && steps.iter().all(|step| *step == 54),
        "{steps:?}"
    );
}
