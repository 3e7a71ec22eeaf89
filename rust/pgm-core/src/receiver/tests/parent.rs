// SPDX-License-Identifier: GPL-2.0

//! Forged SPMs: leaps of SPM_SQN and changes of the Path NLA (RFC 3208 §10).

use super::*;

const EVIL: Addr = Addr::V4([10, 0, 0, 66]);

fn started() -> Rig {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.bare_spm(100, 1, 1, PATH).unwrap();
    rig
}

// req: SEC-01, RCV-27
#[test]
fn a_far_higher_spm_sqn_is_not_believed_while_the_source_speaks() {
    let mut rig = started();
    for n in 1..50 {
        for far in [1 << 20, 1 << 30, (1 << 31) - 1] {
            let _ = rig.bare_spm(100 + far + n, 1, 1, EVIL);
            assert_eq!(rig.rx.path(), Some(PATH));
        }
        rig.wait(ms(400));
        rig.bare_spm(100 + n, 1, 1, PATH).unwrap();
    }
}

// req: SEC-01, RCV-27
#[test]
fn a_leap_shuts_nobody_out() {
    // It is near enough to be believed, or it was the very first.
    for leap in [1, 60] {
        let mut rig = started();
        rig.bare_spm(100 + leap, 1, 1, EVIL).unwrap();
        // The source goes on, rarely.
        rig.wait(Duration::from_secs(8));
        let _ = rig.bare_spm(101, 1, 1, PATH);
        rig.wait(Duration::from_secs(8));
        rig.bare_spm(102, 1, 1, PATH).unwrap();
        assert_eq!(rig.rx.path(), Some(PATH));
        // Now the forged sequence is the odd one.
        assert_eq!(
            rig.bare_spm(0x4000_0000, 1, 1, EVIL),
            Err(Discard::SpmOutOfSequence)
        );
        rig.bare_spm(103, 1, 1, PATH).unwrap();
    }
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.bare_spm(0x7000_0000, 1, 1, EVIL).unwrap();
    rig.bare_spm(100, 1, 1, PATH).unwrap_err();
    rig.wait(ms(1000));
    rig.bare_spm(101, 1, 1, PATH).unwrap();
    assert_eq!(rig.rx.path(), Some(PATH));
}

// req: RCV-27
// attack: A-06
#[test]
fn a_source_that_counts_anew_gets_through() {
    for start in [5, 0x9000_0000] {
        let mut rig = started();
        rig.wait(ms(500));
        // Its heartbeat: 100 ms, doubling.
        let mut told = 0;
        for n in 0..5u32 {
            if rig.bare_spm(start + n, 1, 1, PATH).is_ok() {
                told = n;
                break;
            }
            rig.wait(ms(100 << n));
        }
        assert_eq!(told, 4, "after 1.5 s at most");
    }
}

// req: RCV-09
#[test]
fn many_lost_spms_are_no_leap() {
    let mut rig = started();
    rig.bare_spm(100 + 64, 1, 1, PATH).unwrap();
    assert!(rig.bare_spm(100 + 64 + 100, 1, 1, PATH).is_err());
    // As many as the time since the last one has room for.
    rig.wait(Duration::from_secs(60));
    rig.bare_spm(100 + 64 + 60_000, 1, 1, PATH).unwrap();
}

// req: SEC-01
// attack: A-06 A-15
#[test]
fn paths_do_not_flap() {
    let mut rig = started();
    rig.wait(ms(2000));
    let mut changes = 0;
    let mut evil = 0;
    let mut last = rig.rx.path();
    for n in 0..1000 {
        let path = if n % 2 == 0 { EVIL } else { PATH };
        rig.bare_spm(101 + n, 1, 1, path).unwrap();
        changes += u32::from(rig.rx.path() != last);
        last = rig.rx.path();
        evil += u32::from(last == Some(EVIL));
        rig.wait(ms(10));
    }
    // Ten seconds: there once a second, and back at the next true SPM.
    assert!(changes <= 20, "{changes}");
    assert!(evil <= 10, "{evil}");
    // Ever new addresses do no better.
    for n in 0..200u8 {
        let path = Addr::V4([10, 9, 9, n]);
        rig.bare_spm(1101 + u32::from(n), 1, 1, path).unwrap();
        changes += u32::from(rig.rx.path() != last);
        last = rig.rx.path();
        rig.wait(ms(10));
    }
    assert!(changes <= 24, "{changes}");
    rig.bare_spm(1301, 1, 1, PATH).unwrap();
    assert_eq!(rig.rx.path(), Some(PATH));
}

// req: RCV-10
#[test]
fn a_new_route_is_used_at_once_and_stays() {
    let mut rig = started();
    let mut sqn = 100;
    for last in 10..20u8 {
        let path = Addr::V4([10, 0, 1, last]);
        rig.wait(ms(1100));
        for _ in 0..3 {
            sqn += 1;
            rig.bare_spm(sqn, 1, 1, path).unwrap();
            assert_eq!(rig.rx.path(), Some(path));
            rig.wait(ms(600));
        }
    }
}
