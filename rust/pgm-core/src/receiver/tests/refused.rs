// SPDX-License-Identifier: GPL-2.0

//! Sessions that a listener has done with (RFC 3208 §9.7.2).

use super::failing::{refuse, Failing};
use super::*;

fn tsi(n: u32) -> Tsi {
    let [a, b, c, d] = n.to_be_bytes();
    Tsi {
        gsi: Gsi([a, b, c, d, 7, 7]),
        sport: 9,
    }
}

fn hears<H: Heap>(refused: &mut Refused<H>, now: Instant, n: u32, repr: &Repr) -> bool {
    let bytes = bytes(tsi(n), repr, 1);
    refused.refuses(now, &Packet::parse(&bytes).unwrap())
}

fn data() -> Repr {
    let body = DataBody {
        sqn: Sqn::new(1),
        trail: Sqn::new(1),
    };
    Repr::Odata(body, DataOptions::default())
}

fn fin() -> Repr {
    let spm = Spm {
        sqn: Sqn::new(1),
        trail: Sqn::new(1),
        lead: Sqn::new(1),
        path: PATH,
    };
    let options = SpmOptions {
        fin: true,
        ..SpmOptions::default()
    };
    Repr::Spm(spm, options)
}

const START: Instant = Instant::from_nanos(1 << 40);

#[test]
fn a_session_closed_early_stays_closed_while_its_source_sends() {
    let mut refused = Refused::<StdHeap>::new();
    assert!(!hears(&mut refused, START, 1, &data()));
    refused.refuse(START, tsi(1), true);
    let mut now = START;
    for _ in 0..10 {
        now = now.after(Duration::from_secs(29));
        assert!(hears(&mut refused, now, 1, &data()));
        assert!(!hears(&mut refused, now, 2, &data()));
    }
    now = now.after(Duration::from_secs(30));
    assert!(!hears(&mut refused, now, 1, &data()));
}

// req: OPT-58
#[test]
fn a_source_that_ended_and_starts_again_is_heard_again() {
    let mut refused = Refused::<StdHeap>::new();
    refused.refuse(START, tsi(1), false);
    let mut now = START;
    for _ in 0..5 {
        now = now.after(Duration::from_secs(20));
        assert!(hears(&mut refused, now, 1, &fin()));
    }
    let again = now.after(Duration::from_secs(10));
    assert!(hears(&mut refused, again, 1, &data()));
    let later = now.after(Duration::from_secs(30));
    assert!(!hears(&mut refused, later, 1, &data()));
}

#[test]
fn so_many_are_remembered_and_no_more() {
    let mut refused = Refused::<StdHeap>::new();
    for n in 0..65 {
        refused.refuse(START.after(ms(n)), tsi(n), true);
    }
    // Twice is once.
    refused.refuse(START.after(ms(70)), tsi(5), true);
    let now = START.after(ms(100));
    for n in 0..65 {
        assert_eq!(hears(&mut refused, now, n, &data()), n != 0, "{n}");
    }
}

#[test]
fn without_memory_nothing_is_remembered() {
    refuse(100, 1);
    let mut refused = Refused::<Failing>::new();
    refused.refuse(START, tsi(1), true);
    assert!(!hears(&mut refused, START, 1, &data()));
    refuse(0, 0);
    refused.refuse(START, tsi(1), true);
    assert!(hears(&mut refused, START, 1, &data()));
}
