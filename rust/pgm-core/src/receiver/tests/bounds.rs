// SPDX-License-Identifier: GPL-2.0

//! How much work one call may do, in numbers of the window looked at. Each costs O(log n) at most.

use super::*;
use crate::ring::RING_MAX;

/// No call does more than a few walks of [`STEPS`].
const WORST: u64 = 6 * 1024;

fn largest() -> ReceiverConfig {
    ReceiverConfig {
        rxw_sqns: RING_MAX,
        fragments_max: 1024,
        msgsize_max: 1 << 20,
        ..config()
    }
}

fn joined(config: ReceiverConfig) -> Rig {
    let mut rig = Rig::with(config, 1);
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    rig.worst = 0;
    rig
}

#[test]
fn data_in_order_touches_a_few_slots_and_no_timer() {
    let mut rig = joined(largest());
    let expiry = rig.rx.poll_timeout();
    for sqn in 1..100_000 {
        rig.odata(sqn).unwrap();
        assert_eq!(rig.rx.poll_timeout(), expiry);
        assert_eq!(rig.rx.repair.len(), 0);
    }
    assert!(rig.worst <= 8, "{}", rig.worst);
    assert_eq!(rig.rx.held(), 0);
}

#[test]
fn data_around_a_hole_touches_a_few_slots() {
    let mut rig = joined(largest());
    for sqn in 2..100_000 {
        rig.odata(sqn).unwrap();
    }
    assert!(rig.worst <= 8, "{}", rig.worst);
    // The repair releases everything: one call a packet.
    rig.worst = 0;
    rig.rdata(1).unwrap();
    assert!(rig.worst <= 8, "{}", rig.worst);
    assert_eq!(rig.rx.held(), 0);
}

// req: NAK-22
// attack: A-23
#[test]
fn jumps_are_taken_in_bounded_steps() {
    let mut rig = joined(largest());
    rig.spm(0, 1_000_000).unwrap();
    rig.wait(ms(500));
    // Every other number comes, out of a full window of missing ones.
    for sqn in (2..RING_MAX).step_by(2) {
        rig.odata_trail(sqn, 0).unwrap();
    }
    rig.wait(ms(500));
    assert!(rig.worst <= WORST, "{}", rig.worst);
    // Then the source gives all of it up.
    rig.worst = 0;
    rig.spm(1_000_001, 1_000_000).unwrap();
    rig.wait(Duration::ZERO);
    assert!(rig.worst <= WORST, "{}", rig.worst);
    assert_eq!(rig.rx.trail(), rig.rx.window.commit);
    assert_eq!(rig.rx.held(), 0);
    assert_eq!(rig.rx.repair.len(), 0);
}

// req: NAK-22 SEC-03
// attack: A-23
#[test]
fn hostile_control_packets_cost_what_they_list() {
    let mut rig = joined(largest());
    rig.spm(0, RING_MAX).unwrap();
    rig.wait(ms(500));
    rig.worst = 0;
    for n in 0..65 {
        let sqns: Vec<u32> = (0..63).map(|i| 1 + n * 63 + i).collect();
        rig.ncf(&sqns).unwrap();
        rig.heard_nak(&sqns).unwrap();
    }
    // Each number: one look-up, and one more for its timer.
    assert!(rig.worst <= 63 * 3 + 8, "{}", rig.worst);
}

// attack: A-23
#[test]
fn timers_that_expire_together_are_served_in_bounded_steps() {
    let mut rig = joined(largest());
    rig.spm(0, RING_MAX).unwrap();
    // Nothing may be sent meanwhile: all back-offs end, and all of them wait.
    let now = rig.now;
    rig.rx.set_congested(now, true);
    rig.wait(ms(500));
    let now = rig.now;
    rig.rx.set_congested(now, false);
    rig.settle();
    rig.wait(Duration::from_secs(3));
    assert!(rig.worst <= WORST, "{}", rig.worst);
    assert!(rig.take_naks().len() > 500);
}

// attack: A-11 A-23
#[test]
fn delivery_goes_on_by_itself_where_a_call_reached_its_bound() {
    let mut rig = joined(largest());
    // Each is given up when it comes. Nobody asks for anything meanwhile.
    rig.held = true;
    for sqn in 1..=1_500 {
        let fragment = Fragment {
            first: Sqn::new(sqn),
            offset: 1,
            apdu_len: 20,
        };
        assert_eq!(rig.fragment(sqn, fragment, 10), Err(Discard::Fragment));
    }
    rig.held = false;
    assert_eq!(rig.rx.poll_deliver(), None);
    assert!(!rig.rx.is_quiet());
    rig.wait(Duration::ZERO);
    assert_eq!(rig.take_out()[1..], [Out::Lost(1, 1_500)]);
}

// req: OPT-27
// attack: A-23
#[test]
fn an_apdu_of_the_most_fragments_costs_two_looks_at_each() {
    let mut rig = joined(largest());
    for index in 0..1023 {
        rig.piece(1, index, 1024, 10).unwrap();
    }
    assert!(rig.worst <= 8, "{}", rig.worst);
    // Its last fragment never comes.
    rig.odata_trail(1025, 1025).unwrap();
    assert!(rig.worst <= WORST, "{}", rig.worst);
    let expected = [vec![Out::Lost(1, 1024)], singles([1025])];
    assert_eq!(rig.take_out()[1..], expected.concat());
}

#[test]
fn a_missing_number_costs_little_memory() {
    // A page of 32 slots of pointers must fit into two kilobytes.
    assert!(
        size_of::<rxw::Slot<usize>>() <= 64,
        "{}",
        size_of::<rxw::Slot<usize>>()
    );
    // In the kernel, whose arrays are thinner, it fits into one kilobyte: the module insists on that.
    assert!(
        size_of::<Receiver<usize, StdHeap>>() <= 1088,
        "{}",
        size_of::<Receiver<usize, StdHeap>>()
    );
}
