// SPDX-License-Identifier: GPL-2.0

//! The edges of time: a clock at zero, one at the end of its number space or of a stamp's, and jumps.

use PacketType::{Ncf, Rdata};

use super::bench::*;
use crate::source::Source;
use crate::time::{Duration, Instant};
use pgm_wire::PacketType;

/// A stamp has 32 bits of microseconds.
const STAMP: u64 = (1 << 32) * 1_000;

// attack: A-22
#[test]
fn a_source_works_at_any_time() {
    let year = 365 * 86_400 * 1_000_000_000;
    for start in [0, 1, STAMP - 5 * MS, u64::MAX / 2, u64::MAX - year] {
        let mut bench: Bench = Bench::new(config());
        bench.now = Instant::from_nanos(start);
        bench.source = Source::new(config(), bench.now);
        let sqn = bench.push(&[7; 1_000]);
        bench.run_for(1);
        for round in 0..3 {
            bench.nak(&[sqn]).unwrap();
            let sent = bench.run_for(20);
            assert_eq!(of_kind(&sent, Ncf).len(), 1, "round {round} at {start}");
            assert_eq!(of_kind(&sent, Rdata).len(), 1, "round {round} at {start}");
        }
        assert!(bench
            .source
            .poll_timeout()
            .is_some_and(|at| at < Instant::FAR));
    }
}

// attack: A-22
#[test]
fn a_clock_that_jumps_costs_the_window_and_no_more() {
    let mut bench: Bench = Bench::new(config());
    let first = bench.push(&[1; 1_000]);
    bench.run_for(10);
    // A suspended machine: everything is due, and is done in bounded steps.
    bench.now = bench.now.after(Duration::from_secs(1_000_000));
    bench.run_for(10);
    assert!(bench.source.lead().before(bench.source.trail()));
    let _ = bench.nak(&[first]);
    let second = bench.push(&[2; 1_000]);
    bench.run_for(10);
    // A clock that went back: nothing is due for a while, nothing breaks.
    let later = bench.now;
    bench.now = bench.now.before(Duration::from_secs(10));
    bench.nak(&[second]).unwrap();
    bench.drain();
    bench.run_until(later.after(Duration::from_millis(20)));
    bench.nak(&[second]).unwrap();
    let sent = bench.run_for(20);
    assert_eq!(of_kind(&sent, Rdata).len(), 1);
}
