// SPDX-License-Identifier: GPL-2.0

//! The usual packet leaves everything as it would have, had it gone the long way.

use std::format;
use std::string::String;
use std::vec::Vec;

use pgm_wire::PacketType::Odata;
use pgm_wire::Repr;

use super::bench::*;
use crate::rng::Rng;
use crate::source::express::{LONG_WAY, PASSED};
use crate::source::Advance;
use crate::time::{Duration, Instant};

/// What a source does with some calls: packets, counters, the next deadline.
fn life(seed: u64, long_way: bool) -> Vec<String> {
    LONG_WAY.set(long_way);
    let mut rng = Rng::new(seed);
    let mut draw = |n: u64| rng.next_u64() % n;
    let mut config = config();
    config.rate = [100_000, 10_000_000, 1_000_000_000][usize::try_from(draw(3)).unwrap()];
    config.window = Duration::from_millis([50, 800][usize::try_from(draw(2)).unwrap()]);
    if draw(4) == 0 {
        config.advance = Advance::WithData;
    }
    if draw(4) == 0 {
        config.join_percent = 30;
    }
    config.ambient = Duration::from_millis(30);
    let mut bench: Bench = Bench::new(config);
    let mut log = Vec::new();
    for _ in 0..400 {
        let known = bench.source.poll_timeout();
        let began = bench.now;
        let sent = match draw(20) {
            0 => {
                let lead = bench.source.lead();
                let _ = bench.nak(&[lead, lead.prev()]);
                bench.drain()
            }
            1 => bench.run_for(draw(200)),
            2 => {
                bench.source.announce();
                bench.drain()
            }
            3 if draw(10) == 0 => {
                bench.source.fin(bench.now);
                bench.drain()
            }
            4 | 5 => {
                for n in 0..3u32 {
                    let _ = bench.try_push(&[7; 100], Some((n * 100, 300)));
                }
                bench.drain()
            }
            6 => {
                let _ = bench.receive(Repr::Spmr);
                bench.drain()
            }
            7 => {
                let rate = [50_000, 1_000_000, 100_000_000][usize::try_from(draw(3)).unwrap()];
                bench.source.set_rate(bench.now, rate);
                bench.drain()
            }
            8 => {
                bench.source.wait_for_room(bench.now, 1, draw(100_000));
                bench.drain()
            }
            _ => {
                bench.now = bench
                    .now
                    .after(Duration::from_micros(u32::try_from(draw(3_000)).unwrap()));
                let len = usize::try_from(draw(300)).unwrap();
                let _ = bench.try_push(&[5; 300][..len], None);
                bench.drain()
            }
        };
        let next = bench.source.poll_timeout();
        if sent.iter().all(|sent| sent.kind == Odata)
            && bench.now.since(began) < Duration::from_millis(4)
        {
            // A timer that was armed for what was known, and fires by then, need not be looked at.
            if let Some(new) = bench.source.new_deadlines(began) {
                let known = known.unwrap_or(Instant::FAR);
                assert!(
                    next.unwrap_or(Instant::FAR) >= new.min(known),
                    "{next:?} {new:?} {known:?}"
                );
            }
        }
        let room_came = bench.source.room_came();
        let source = &bench.source;
        log.push(format!(
            "{sent:?} {:?} {next:?} {room_came} {:?} {:?} {:?}",
            source.stats(),
            (
                source.trail(),
                source.lead(),
                source.queued_sqns(),
                source.queued_bytes()
            ),
            (
                source.window_sqns_used(),
                source.window_bytes_used(),
                source.pending_repairs()
            ),
            source.rates(bench.now),
        ));
    }
    LONG_WAY.set(false);
    log
}

// req: SRC-01 SRC-03
#[test]
fn both_ways_are_one() {
    PASSED.set(0);
    for seed in 0..60 {
        assert_eq!(life(seed, false), life(seed, true), "{seed}");
    }
    assert!(PASSED.get() > 5_000, "{}", PASSED.get());
}
