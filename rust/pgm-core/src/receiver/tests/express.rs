// SPDX-License-Identifier: GPL-2.0

//! Packets that pass through leave everything as those that stood in the window do.

use super::*;
use crate::memory::counted::{held, Counted};

/// Both ways for the same packets at the same times.
struct Both([Rig; 2]);

impl Both {
    fn new() -> Self {
        let mut both = [Rig::new(), Rig::new()];
        both[1].express = false;
        Self(both)
    }

    fn each(&mut self, mut what: impl FnMut(&mut Rig)) {
        for rig in &mut self.0 {
            what(rig);
        }
        let [a, b] = &self.0;
        assert_eq!((&a.out, &a.sent), (&b.out, &b.sent));
        assert_eq!(a.rx.stats(), b.rx.stats());
        assert_eq!(a.rx.poll_timeout(), b.rx.poll_timeout());
        assert_eq!((a.rx.trail(), a.rx.lead()), (b.rx.trail(), b.rx.lead()));
        assert_eq!(a.rx.is_proven(), b.rx.is_proven());
        assert_eq!((a.rx.held(), a.rx.missing()), (b.rx.held(), b.rx.missing()));
    }
}

// req: RCV-01
#[test]
fn both_ways_are_one() {
    let mut rng = crate::rng::Rng::new(5);
    let mut draw = |n: u64| rng.next_u64() % n;
    let (mut passed, mut followed) = (0, 0);
    for _ in 0..20 {
        let mut both = Both::new();
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
                    let window = &both.0[0].rx.window;
                    passed += u32::from(window.is_void() && window.commit.get() == next);
                }
            }
        }
        followed += both.0[0].followed;
    }
    assert!(passed > 500, "{passed} packets passed through");
    assert!(followed > 100, "{followed} parts of messages followed");
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
