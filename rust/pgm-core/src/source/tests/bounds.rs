// SPDX-License-Identifier: GPL-2.0

//! How much work a packet or a turn may cost a source, in steps (see `paged.rs`), and what a flood of
//! NAKs gets.

use std::vec::Vec;

use PacketType::{Ncf, Odata, Rdata};

use super::bench::*;
use crate::paged::steps;
use crate::ring::RING_MAX;
use crate::time::Duration;
use pgm_wire::{PacketType, Sqn};

/// A NAK of 63 numbers in the largest window: a few looks at each, and its place in a heap.
const WORST_NAK: u64 = 63 * 150;
/// A batch of packets that leave the window, with their repairs.
const WORST_TURN: u64 = 256 * 150;

/// A source with as many packets in its window as windows may have.
fn full() -> (Bench, Vec<Sqn>) {
    let mut config = config();
    config.rate = 1_000_000_000;
    config.window = Duration::from_secs(60);
    config.window_sqns = RING_MAX;
    config.window_bytes = u64::from(RING_MAX) * 10;
    config.queue_bytes = u64::from(RING_MAX) * 10;
    let mut bench: Bench = Bench::new(config);
    let sqns = (0..RING_MAX).map(|_| bench.push(&[0; 10])).collect();
    bench.run_for(2_000);
    assert_eq!(bench.source.queued_sqns(), 0);
    (bench, sqns)
}

// req: SRC-10
// attack: A-23
#[test]
fn naks_for_every_other_number_of_the_largest_window_cost_what_they_list() {
    let (mut bench, sqns) = full();
    let every_other: Vec<Sqn> = sqns.iter().copied().step_by(2).collect();
    let mut worst = 0;
    for list in every_other.chunks(63) {
        steps::take();
        let _ = bench.nak(list);
        worst = worst.max(steps::take());
        // A few NCFs leave; the repairs pile up.
        bench.poll();
    }
    assert!(worst <= WORST_NAK, "{worst}");
    assert!(bench.source.pending_repairs() > RING_MAX / 3);
    // Each packet that leaves costs a little too, and the end of them all.
    worst = 0;
    for _ in 0..1_000 {
        steps::take();
        bench.poll();
        worst = worst.max(steps::take());
        bench.now = bench.now.after(Duration::from_micros(10));
    }
    assert!(worst <= 2_000, "{worst}");
    bench.now = bench.now.after(Duration::from_secs(100));
    worst = 0;
    while bench.source.lead().next() != bench.source.trail() {
        steps::take();
        let now = bench.now;
        bench.source.handle_timeout(now);
        worst = worst.max(steps::take());
    }
    assert!(worst <= WORST_TURN, "{worst}");
    assert_eq!(bench.source.pending_repairs(), 0);
}

// req: SRC-07 SRC-18
// attack: A-15
#[test]
fn a_flood_of_forged_naks_leaves_data_its_half_of_the_rate() {
    let mut config = config();
    config.rate = 1_000_000;
    config.window_sqns = 4_096;
    config.window_bytes = 4_000_000;
    let mut bench: Bench = Bench::new(config);
    let mut sqns: Vec<Sqn> = (0..90).map(|_| bench.push(&[0; 1_000])).collect();
    bench.run_for(200);
    // 20,000 NAKs of 63 numbers a second: all that was sent is asked for, over and over.
    let mut sent = Vec::new();
    let mut refused = 0;
    for n in 0..40_000usize {
        while let Ok(sqn) = bench.try_push(&[0; 1_000], None) {
            sqns.push(sqn);
        }
        let list: Vec<Sqn> = (0..63).map(|i| sqns[(n * 63 + i) % sqns.len()]).collect();
        refused += u32::from(bench.nak(&list).is_err());
        bench.source.handle_timeout(bench.now);
        sent.extend(bench.drain());
        bench.now = bench.now.after(Duration::from_micros(50));
    }
    let (odata, rdata) = (of_kind(&sent, Odata).len(), of_kind(&sent, Rdata).len());
    assert!((900..1_100).contains(&odata), "{odata}");
    assert!((900..1_100).contains(&rdata), "{rdata}");
    // Two seconds of NCFs at the least rate that they have, 1 MB/s.
    let ncfs: usize = of_kind(&sent, Ncf).len() * 300;
    assert!(ncfs <= 2_100_000, "{ncfs}");
    assert!(refused > 30_000, "{refused}");
}

// req: SRC-18
// attack: A-15
#[test]
fn a_flood_of_naks_gets_no_more_ncfs_than_their_rate() {
    let mut config = config();
    config.rate = 100_000_000;
    config.window_sqns = 16_384;
    config.queue_bytes = 1_000_000;
    let mut bench: Bench = Bench::new(config);
    let sqns: Vec<Sqn> = (0..16_000).map(|_| bench.push(&[0; 10])).collect();
    bench.run_for(200);
    assert_eq!(Some(&bench.source.lead()), sqns.last());
    bench.source.set_rate(bench.now, 1_000_000);
    // 100,000 NAKs a second, each for another packet.
    let mut ncfs = 0;
    for sqn in sqns {
        let _ = bench.nak(&[sqn]);
        let sent = bench.drain();
        ncfs += of_kind(&sent, Ncf).iter().map(|ncf| ncf.bytes).sum::<u64>();
        bench.now = bench.now.after(Duration::from_micros(10));
    }
    // 1 MB/s for 160 ms, 20 ms of it at once, and the last one.
    assert!((175_000..=180_100).contains(&ncfs), "{ncfs}");
}
