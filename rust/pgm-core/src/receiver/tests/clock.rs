// SPDX-License-Identifier: GPL-2.0

//! The edges of time: a clock at zero, one near the end of its numbers, and jumps.

use super::*;

fn rig_at(now: Instant) -> Rig {
    let mut rig = Rig::new();
    rig.now = now;
    rig.rx = Receiver::new(config(), TSI, SOURCE, now, 1);
    rig
}

// attack: A-22
#[test]
fn a_receiver_works_at_any_time() {
    let year = 365 * 86_400 * 1_000_000_000;
    for start in [0, 1, u64::MAX / 2, u64::MAX - year] {
        let mut rig = rig_at(Instant::from_nanos(start));
        rig.spm(0, u32::MAX).unwrap();
        rig.odata(0).unwrap();
        rig.odata(2).unwrap();
        rig.wait(ms(100));
        assert_eq!(rig.asked(), [1], "at {start}");
        rig.rdata(1).unwrap();
        assert_eq!(rig.take_out(), singles([0, 1, 2]));
        rig.wait(Duration::from_secs(301));
        assert_eq!(rig.take_out(), [Out::End(End::Expired)]);
    }
}

// attack: A-22
#[test]
fn a_clock_that_jumps_ends_a_session_and_breaks_nothing() {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    rig.odata(2).unwrap();
    // Back: nothing is due, and what comes is taken.
    rig.now = rig.now.before(Duration::from_secs(50));
    rig.odata(3).unwrap();
    rig.wait(ms(300));
    assert!(!rig.asked().is_empty());
    rig.rdata(1).unwrap();
    assert_eq!(rig.take_out(), singles([0, 1, 2, 3]));
    // A suspended machine: the packet that wakes it is heard before the timer.
    rig.now = rig.now.after(Duration::from_secs(1_000_000));
    rig.odata(4).unwrap();
    rig.wait(ms(10));
    assert_eq!(rig.take_out(), singles([4]));
    rig.now = rig.now.after(Duration::from_secs(1_000_000));
    rig.wait(ms(10));
    assert_eq!(rig.take_out(), [Out::End(End::Expired)]);
}
