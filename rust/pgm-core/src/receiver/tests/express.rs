// SPDX-License-Identifier: GPL-2.0

//! Packets that pass through leave everything as those that stood in the window do.

use std::format;
use std::string::String;

use super::*;
use crate::memory::counted::{held, Counted};

/// Both ways for the same packets at the same times.
struct Both([Rig; 2]);

impl Both {
    fn new(config: ReceiverConfig) -> Self {
        let mut both = [Rig::with(config, 1), Rig::with(config, 1)];
        both[1].express = false;
        Self(both)
    }

    fn each(&mut self, mut what: impl FnMut(&mut Rig)) {
        for rig in &mut self.0 {
            what(rig);
        }
        let [a, b] = &self.0;
        if a.held {
            return;
        }
        assert_eq!((&a.out, &a.sent), (&b.out, &b.sent));
        assert_eq!(a.rx.stats(), b.rx.stats());
        assert_eq!(a.rx.poll_timeout(), b.rx.poll_timeout());
        assert_eq!((a.rx.trail(), a.rx.lead()), (b.rx.trail(), b.rx.lead()));
        assert_eq!(a.rx.is_proven(), b.rx.is_proven());
        assert_eq!((a.rx.held(), a.rx.missing()), (b.rx.held(), b.rx.missing()));
        assert_eq!(state(&a.rx), state(&b.rx));
    }
}

/// All that a receiver remembers, but for its slots and for how far it has looked for what is missing.
fn state(rx: &Receiver<u32, StdHeap>) -> String {
    let Receiver {
        config,
        source: _,
        rng,
        stats,
        meter,
        window,
        repair,
        cursor,
        spmr,
        polls,
        back_off,
        parent,
        sequence,
        join,
        unreachable,
        congested,
        heard,
        ending,
        ended,
        backlog,
        retry,
        patience,
    } = rx;
    format!(
        "{config:?} {rng:?} {stats:?} {meter:?} {} {:?} {cursor:?} {spmr:?} {polls:?} {back_off:?} \
         {parent:?} {sequence:?} {join:?} {ending:?} {heard:?} {:?} {:?}",
        window.describe(),
        (repair.len(), repair.next_deadline(), repair.next_nak(), repair.limited, repair.assumed),
        (unreachable, congested, ended, backlog, retry, patience),
        (rx.outstanding(), rx.nak_states(), rx.usage()),
    )
}

// req: RCV-01
#[test]
fn both_ways_are_one() {
    let mut rng = crate::rng::Rng::new(5);
    let mut draw = |n: u64| rng.next_u64() % n;
    let (mut passed, mut followed) = (0, 0);
    for _ in 0..20 {
        let mut both = Both::new(config());
        let base = u32::MAX - 100;
        let mut next = base;
        both.each(|rig| rig.spm(base, base.wrapping_sub(1)).unwrap());
        for _ in 0..400 {
            let kind = draw(40);
            match kind {
                // Missing for a while, or for ever.
                0 => next = next.wrapping_add(1),
                1 => both.each(|rig| rig.wait(ms(40))),
                2 => {
                    let old = next.wrapping_sub(1 + u32::try_from(draw(8)).unwrap());
                    both.each(|rig| {
                        let _ = rig.rdata(old);
                    });
                }
                3 => both.each(|rig| {
                    let _ = rig.spm(next.wrapping_sub(20), next.wrapping_sub(1));
                }),
                4 => both.each(|rig| rig.room = !rig.room),
                5 => {
                    let (first, trail) = (next, next.wrapping_sub(5));
                    both.each(|rig| {
                        for n in 0..2u32 {
                            let fragment = Some(Fragment {
                                first: Sqn::new(first),
                                offset: n * 10,
                                apdu_len: 20,
                            });
                            let options = DataOptions {
                                fragment,
                                ..DataOptions::default()
                            };
                            let _ = rig.data(false, first.wrapping_add(n), trail, 10, options);
                        }
                    });
                    next = next.wrapping_add(2);
                }
                _ => {
                    let trail = next.wrapping_sub(u32::try_from(draw(10)).unwrap());
                    both.each(|rig| {
                        rig.now = rig.now.after(ms(7));
                        let _ = rig.odata_trail(next, trail);
                    });
                    next = next.wrapping_add(1);
                }
            }
        }
        passed += both.0[0].passed;
        followed += both.0[0].followed;
    }
    assert!(passed > 500, "{passed} packets passed through");
    assert!(followed > 100, "{followed} parts of messages followed");
}

/// Data packet `next`, or one near it, whole or a part, as it should be or not.
fn any_data(draw: &mut impl FnMut(u32) -> u32, next: u32) -> (bool, u32, u32, u16, DataOptions) {
    let sqn = match draw(100) {
        0 => next.wrapping_add(draw(80)),
        1..5 => next.wrapping_sub(draw(80)),
        _ => next,
    };
    let trail = match draw(12) {
        0 => sqn.wrapping_add(draw(3)),
        1 => sqn,
        _ => sqn.wrapping_sub(draw(30)),
    };
    // Messages of four packets each, now and then, at the same numbers whenever they come.
    let place = sqn % 8;
    let len = match draw(5) {
        0 => 0,
        1 => 40,
        _ => 10,
    };
    let (len, fragment) = match place {
        0..=3 if sqn % 64 < 32 => {
            let fragment = Fragment {
                first: Sqn::new(sqn.wrapping_sub(place)),
                offset: place * 10 + u32::from(draw(40) == 0),
                apdu_len: 40 + u32::from(draw(40) == 0),
            };
            (10, Some(fragment))
        }
        _ => (len, None),
    };
    let options = DataOptions {
        fragment,
        syn: draw(60) == 0,
        fin: draw(4_000) == 0,
        join: (draw(40) == 0).then(|| Sqn::new(sqn.wrapping_sub(draw(9)))),
        ..DataOptions::default()
    };
    (draw(20) == 0, sqn, trail, len, options)
}

// req: RCV-01
#[test]
fn both_ways_are_one_whatever_comes() {
    let (mut passed, mut followed) = (0, 0);
    for seed in 0..60 {
        let mut rng = crate::rng::Rng::new(seed);
        let mut draw = |n: u32| u32::try_from(rng.next_u64() % u64::from(n)).unwrap();
        let mut both = Both::new(ReceiverConfig {
            rxw_sqns: 64,
            msgsize_max: 39 + 4 * draw(2),
            nak_adaptive: draw(2) == 0,
            near: draw(4) == 0,
            passive: draw(5) == 0,
            arrival_order: draw(8) == 0,
            ncf_retries: 3,
            data_retries: 3,
            ..config()
        });
        let mut next = u32::MAX - 300;
        // Some sources send no SPMs, and some none at first.
        let spms = draw(6) != 0;
        if spms && draw(2) == 0 {
            both.each(|rig| rig.spm(next, next.wrapping_sub(1)).unwrap());
        }
        for _ in 0..600 {
            let near = next.wrapping_sub(draw(20));
            match draw(60) {
                0 if draw(8) == 0 => next = next.wrapping_add(draw(90)),
                0 => next = next.wrapping_add(1 + draw(3)),
                1 | 2 => {
                    let span = match draw(400) {
                        0 => 400_000,
                        1 => 300,
                        2 => 20,
                        _ => 1,
                    };
                    both.each(|rig| rig.wait(ms(span)));
                }
                3 => both.each(|rig| rig.ncf(&[near]).unwrap_or_default()),
                4 => both.each(|rig| rig.heard_nak(&[near]).unwrap_or_default()),
                5 if spms => {
                    let lead = next.wrapping_add(draw(4)).wrapping_sub(2);
                    both.each(|rig| rig.spm(near, lead).unwrap_or_default());
                }
                6 => both.each(|rig| rig.rx.set_congested(rig.now, !rig.rx.is_congested())),
                7 => both.each(|rig| rig.room = false),
                8 => {
                    let (naks, beyond) = (draw(3), u16::try_from(draw(4)).unwrap());
                    let gaps = beyond.saturating_mul(2);
                    let ceilings = Ceilings {
                        sessions: 1,
                        naks,
                        naks_unproven: naks,
                        naks_reserved: 0,
                        room: Room { gaps, beyond },
                    };
                    both.each(|rig| rig.rx.set_ceilings(&ceilings));
                }
                9..25 if both.0[0].rx.outstanding().is_some() => {
                    let missing = both.0[0].rx.outstanding().map_or(0, |(sqn, _)| sqn.get());
                    both.each(|rig| rig.rdata(missing).unwrap_or_default());
                }
                kind => {
                    let held = kind < 14;
                    let (rdata, sqn, trail, len, options) = any_data(&mut draw, next);
                    let time = Duration::from_micros(draw(3_000));
                    both.each(|rig| {
                        rig.now = rig.now.after(time);
                        rig.held = held;
                        let _ = rig.data(rdata, sqn, trail, len, options);
                        rig.room = true;
                    });
                    if sqn == next {
                        next = next.wrapping_add(1);
                    }
                }
            }
            both.0.iter_mut().for_each(|rig| rig.held = false);
        }
        passed += both.0[0].passed;
        followed += both.0[0].followed;
    }
    assert!(passed > 3_000, "{passed} packets passed through");
    assert!(followed > 1_000, "{followed} parts of messages followed");
}

#[test]
fn nothing_stays_in_memory() {
    let before = held();
    let mut rig = Rig::<Counted>::with(config(), 1);
    rig.spm(0, u32::MAX).unwrap();
    for sqn in 0..5_000u32 {
        // A gap that closes, at another place of its page each time.
        if sqn % 37 == 5 {
            rig.odata(sqn + 1).unwrap();
            rig.odata(sqn).unwrap();
        } else if sqn % 37 != 6 {
            rig.odata(sqn).unwrap();
        }
    }
    assert!(held() - before < 16_000, "{} bytes", held() - before);
}

// req: RCV-01
#[test]
fn only_data_of_the_session_passes() {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    let body = DataBody {
        sqn: Sqn::new(1),
        trail: Sqn::new(0),
    };
    let bytes = bytes(TSI, &Repr::Odata(body, DataOptions::default()), 10);
    let packet = Packet::parse(&bytes).unwrap();
    let others: [fn(&mut Packet<'_>); 5] = [
        |packet| packet.header.gsi = Gsi([9; 6]),
        |packet| packet.header.sport += 1,
        |packet| packet.header.dport += 1,
        |packet| packet.header.parity = true,
        |packet| packet.body = Body::Spmr,
    ];
    for other in others {
        let mut other_packet = packet;
        other(&mut other_packet);
        assert!(!rig.rx.expects(&other_packet) && !rig.rx.follows(&other_packet));
    }
    assert!(rig.rx.expects(&packet) && rig.rx.follows(&packet));
}
