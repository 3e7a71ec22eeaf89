// SPDX-License-Identifier: GPL-2.0

//! Edges of windows and of time that jump: forwards too far, backwards, around the end.

use super::*;

/// Where the trailing edge goes, from one that is 100.
const JUMPS: [u32; 8] = [
    (1 << 31) - 1,
    1 << 31,
    (1 << 31) + 1,
    u32::MAX,
    u32::MAX - 99,
    u32::MAX - 100,
    1,
    50,
];

/// Whatever moves it, the session goes on: the numbers that come out are in order, each one once or
/// reported (`Rig` holds that), and what the source sends behind its edge arrives.
// req: RCV-20 WIRE-26
// attack: A-06
#[test]
fn a_trailing_edge_that_jumps_leaves_a_window_that_works() {
    for jump in JUMPS {
        for lead in [0, 1, u32::MAX, 1 << 31] {
            for kind in 0..3 {
                let mut rig = Rig::new();
                rig.spm(100, 100).unwrap();
                rig.odata(101).unwrap();
                rig.odata(103).unwrap();
                rig.odata(105).unwrap();
                let trail = 100u32.wrapping_add(jump);
                let _ = match kind {
                    0 => rig.spm(trail, trail.wrapping_add(lead)),
                    1 => rig.odata_trail(trail.wrapping_add(lead), trail),
                    _ => rig.data(
                        true,
                        trail.wrapping_add(lead),
                        trail,
                        10,
                        DataOptions::default(),
                    ),
                };
                rig.wait(ms(5_000));
                // Back again, where the source really is.
                let here = rig.rx.lead().get().wrapping_add(1);
                rig.odata_trail(here, here).unwrap();
                rig.wait(ms(5_000));
                assert_eq!(
                    rig.take_out().last(),
                    Some(&Out::Apdu(vec![here])),
                    "jump {jump:#x}, lead {lead:#x}, kind {kind}"
                );
                assert!(rig.worst < 70_000, "{} slots", rig.worst);
            }
        }
    }
}

/// The clock at its edges, and one that goes back: a lost packet is asked for and repaired.
// attack: A-22
#[test]
fn the_clock_may_begin_anywhere_and_jump() {
    let far = Instant::FAR.before(Duration::from_secs(20));
    for start in [
        Instant::ZERO,
        Instant::from_nanos(1),
        Instant::from_nanos(1 << 63),
        far,
    ] {
        for back in [Duration::ZERO, ms(1), Duration::from_secs(5)] {
            let mut rig = Rig::new();
            rig.rx = Receiver::new(config(), TSI, SOURCE, start, 1);
            rig.now = start;
            rig.spm(0, 0).unwrap();
            rig.odata(1).unwrap();
            rig.odata(3).unwrap();
            rig.odata(4).unwrap();
            rig.now = rig.now.before(back);
            rig.rx.handle_timeout(rig.now);
            rig.settle();
            rig.wait(Duration::from_secs(6));
            assert_eq!(
                rig.asked().first(),
                Some(&2),
                "from {start:?}, back {back:?}"
            );
            rig.rdata(2).unwrap();
            assert_eq!(rig.take_out(), singles([1, 2, 3, 4]));
        }
    }
    // A clock that leaps over every timer there is: the session expires, once.
    let mut rig = Rig::new();
    rig.spm(0, 0).unwrap();
    rig.odata(1).unwrap();
    rig.odata(3).unwrap();
    rig.now = Instant::FAR;
    rig.rx.handle_timeout(rig.now);
    rig.settle();
    assert_eq!(rig.take_out().last(), Some(&Out::End(End::Expired)));
}
