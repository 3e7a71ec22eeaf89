// SPDX-License-Identifier: GPL-2.0

//! NAK_BO_IVL as the parent steers it (RFC 3208 §15.2.2).

use super::*;
use pgm_wire::{NakBoIvl, NakBoRng, Poll, PollOptions};

fn interval(rig: &Rig) -> Duration {
    rig.rx.config.nak_bo_ivl
}

fn ivl(micros: u32, sqn: u32) -> Option<NakBoIvl> {
    Some(NakBoIvl {
        micros,
        sqn: Sqn::new(sqn),
    })
}

fn on_spm(nak_bo_ivl: Option<NakBoIvl>) -> SpmOptions {
    SpmOptions {
        nak_bo_ivl,
        ..SpmOptions::default()
    }
}

fn range(min: u32, max: u32) -> SpmOptions {
    SpmOptions {
        nak_bo_rng: Some(NakBoRng { max, min }),
        ..SpmOptions::default()
    }
}

fn poll(sqn: u32, round: u16, path: Addr, nak_bo_ivl: Option<NakBoIvl>) -> Repr {
    let poll = Poll {
        sqn: Sqn::new(sqn),
        round,
        subtype: 0,
        path,
        bo_ivl: 0,
        rand: 0,
        mask: 0,
    };
    Repr::Poll(poll, PollOptions { nak_bo_ivl })
}

fn ncf(rig: &mut Rig, nak_bo_ivl: Option<NakBoIvl>) {
    let (nak, list) = nak_of(&[2]);
    let options = NcfOptions {
        list,
        nak_bo_ivl,
        ..NcfOptions::default()
    };
    let _ = rig.send(&Repr::Ncf(nak, options), 0, 0);
}

// req: IMP-07, NAK-20
#[test]
fn a_value_that_rests_on_no_poll_is_used_at_once() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    assert_eq!(interval(&rig), ms(50), "NAK_BO_IVL_DEFAULT");
    rig.spm_with(1, 1, on_spm(ivl(20_000, 0))).unwrap();
    assert_eq!(interval(&rig), ms(20));
    ncf(&mut rig, ivl(7_000, 0));
    assert_eq!(interval(&rig), ms(7));
}

// req: NAK-20
#[test]
fn a_value_that_rests_on_a_poll_needs_its_first_round() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.spm(1, 1).unwrap();
    ncf(&mut rig, ivl(20_000, 7));
    assert_eq!(interval(&rig), ms(50));
    // Not another round, nor another parent's.
    let _ = rig.send(&poll(7, 1, PATH, None), 0, 0);
    let _ = rig.send(&poll(7, 0, OTHER, None), 0, 0);
    ncf(&mut rig, ivl(20_000, 7));
    assert_eq!(interval(&rig), ms(50));
    rig.send(&poll(7, 0, PATH, None), 0, 0).unwrap();
    ncf(&mut rig, ivl(20_000, 6));
    assert_eq!(interval(&rig), ms(50));
    ncf(&mut rig, ivl(20_000, 7));
    assert_eq!(interval(&rig), ms(20));
    // "POLL_SQN =< NAK_BO_IVL_SQN within half the sequence number space".
    ncf(&mut rig, ivl(21_000, 1000));
    assert_eq!(interval(&rig), ms(21));
    ncf(&mut rig, ivl(22_000, 7 + (1 << 31)));
    assert_eq!(interval(&rig), ms(21));
    rig.send(&poll(9, 0, PATH, None), 0, 0).unwrap();
    ncf(&mut rig, ivl(23_000, 8));
    assert_eq!(interval(&rig), ms(23));
    // A POLL may bear the option itself.
    let _ = rig.send(&poll(10, 0, PATH, ivl(24_000, 10)), 0, 0);
    assert_eq!(interval(&rig), ms(24));
}

// req: IMP-06
#[test]
fn the_range_bounds_every_value() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.spm_with(1, 1, range(2_000, 10_000)).unwrap();
    assert_eq!(interval(&rig), ms(10));
    ncf(&mut rig, ivl(1_000, 0));
    assert_eq!(interval(&rig), ms(2));
    rig.spm_with(1, 1, range(100_000, 200_000)).unwrap();
    assert_eq!(interval(&rig), ms(100));
    // A range that is none.
    rig.spm_with(1, 1, range(300_000, 3_000)).unwrap();
    assert_eq!(interval(&rig), ms(100));
    // NAKs keep to it.
    rig.odata(3).unwrap();
    rig.odata(4).unwrap();
    let start = rig.now;
    rig.wait(ms(100));
    let naks = rig.take_naks();
    assert!(naks[0].at.since(start) <= ms(100));
}

// req: IMP-06, NAK-20
#[test]
fn absurd_values_are_clamped() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.spm_with(1, 1, on_spm(ivl(0, 0))).unwrap();
    assert_eq!(interval(&rig), ms(1));
    rig.spm_with(1, 1, on_spm(ivl(u32::MAX, 0))).unwrap();
    assert_eq!(interval(&rig), ms(2000));
    rig.spm_with(1, 1, range(0, 0)).unwrap();
    assert_eq!(interval(&rig), ms(1));
    rig.spm_with(1, 1, range(u32::MAX, u32::MAX)).unwrap();
    assert_eq!(interval(&rig), ms(2000));
}

// req: IMP-06
#[test]
fn what_the_user_set_stays_but_for_the_bounds() {
    let fixed = ReceiverConfig {
        nak_bo_ivl: ms(30),
        nak_bo_fixed: true,
        ..config()
    };
    let mut rig = Rig::with(fixed, 1);
    rig.odata(1).unwrap();
    rig.spm_with(1, 1, on_spm(ivl(20_000, 0))).unwrap();
    ncf(&mut rig, ivl(7_000, 0));
    assert_eq!(interval(&rig), ms(30));
    rig.spm_with(1, 1, range(1_000, 10_000)).unwrap();
    assert_eq!(interval(&rig), ms(10));
    rig.spm_with(1, 1, range(1_000, 100_000)).unwrap();
    assert_eq!(interval(&rig), ms(30));
}

// req: IMP-18
#[test]
fn an_spm_out_of_sequence_or_of_an_unreachable_parent_steers_nothing() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.bare_spm(5, 1, 1, PATH).unwrap();
    rig.spm_raw(4, 1, 1, PATH, on_spm(ivl(20_000, 0)))
        .unwrap_err();
    let unreachable = SpmOptions {
        nbr_unreach: true,
        ..on_spm(ivl(20_000, 0))
    };
    rig.spm_raw(5, 1, 1, PATH, unreachable).unwrap();
    assert_eq!(interval(&rig), ms(50));
}
