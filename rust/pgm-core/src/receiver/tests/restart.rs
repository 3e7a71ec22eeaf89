// SPDX-License-Identifier: GPL-2.0

//! Sources that begin again under the TSI they had (RFC 3208 §3.1 rules them out).

use super::*;

/// Twenty messages from 0 on, and SPM_SQN 50.
fn started() -> Rig {
    let mut rig = Rig::new();
    rig.bare_spm(50, 0, u32::MAX, PATH).unwrap();
    for sqn in 0..20 {
        rig.odata_trail(sqn, 0).unwrap();
    }
    assert_eq!(rig.take_out(), singles(0..20));
    rig
}

/// SPMs of a source that has sent `lead`, counted from `sqn` on, 300 ms apart.
fn spms(rig: &mut Rig, sqn: u32, lead: u32, count: u32) {
    for n in 0..count {
        let _ = rig.bare_spm(sqn + n, 0, lead, PATH);
        rig.wait(ms(300));
    }
}

// req: RCV-26
#[test]
fn a_source_that_counts_anew_ends_the_session() {
    // It has sent nothing yet, a part, all but one.
    for lead in [u32::MAX, 5, 18] {
        let mut rig = started();
        let _ = rig.odata_trail(0, 0);
        spms(&mut rig, 0, lead, 4);
        assert_eq!(rig.take_out(), []);
        spms(&mut rig, 4, lead, 1);
        assert_eq!(rig.take_out(), [Out::End(End::Expired)], "{lead}");
    }
}

// req: RCV-26, RCV-27
#[test]
fn the_live_source_outweighs_what_looks_like_another_one() {
    let mut rig = started();
    for n in 1..20 {
        let _ = rig.bare_spm(n, 0, 3, PATH);
        rig.wait(ms(400));
        rig.bare_spm(50 + n, 0, 19, PATH).unwrap();
        rig.wait(ms(400));
    }
    // Nor is it another one because an SPM from ahead was forged.
    rig.bare_spm(100, 0, 19, PATH).unwrap();
    spms(&mut rig, 70, 19, 6);
    assert_eq!(rig.take_out(), []);
    rig.odata_trail(20, 0).unwrap();
    assert_eq!(rig.take_out(), singles([20]));
}

/// A source at 19 that has a message now and then, and heartbeats: what comes out of ten minutes of it.
fn slowly(rig: &mut Rig) -> Vec<Out> {
    for n in 20..40 {
        let _ = rig.odata_trail(n, 0);
        for beat in 0..4 {
            let _ = rig.bare_spm(51 + n * 4 + beat, 0, n, PATH);
            rig.wait(Duration::from_secs(8));
        }
    }
    rig.take_out()
}

// req: RCV-26
// attack: A-06
#[test]
fn a_forged_edge_deafens_nobody_for_good() {
    const FAR: u32 = 1 << 30;
    assert_eq!(slowly(&mut started()), singles(20..40));
    for forged in 0..4 {
        let mut rig = started();
        let _ = match forged {
            0 => rig.odata_trail(FAR, FAR),
            1 => rig.odata_trail(FAR, 0),
            2 => rig.bare_spm(51, FAR, FAR, PATH),
            _ => rig.bare_spm(51, 0, FAR, PATH),
        };
        let end = Out::End(End::Expired);
        assert_eq!(slowly(&mut rig).last(), Some(&end), "{forged}");
        let naks = rig.take_naks().len();
        assert!(naks < 20_000, "{naks}");
    }
}

/// SPMs that their data overtakes by some seconds say nothing, as long as there is data.
// req: RCV-26
#[test]
fn a_late_spm_ends_nothing() {
    let mut rig = started();
    for n in 20..200 {
        rig.odata_trail(n, 0).unwrap();
        rig.bare_spm(n + 40, 0, n - 15, PATH).unwrap();
        rig.wait(ms(200));
    }
    // The last ones come when no data does.
    for n in 200..215 {
        rig.bare_spm(n + 40, 0, n - 15, PATH).unwrap();
        rig.wait(ms(60));
    }
    rig.bare_spm(300, 0, 199, PATH).unwrap();
    rig.wait(Duration::from_secs(2));
    rig.odata_trail(200, 0).unwrap();
    assert_eq!(rig.take_out(), singles(20..201));
}
