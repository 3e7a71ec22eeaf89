// SPDX-License-Identifier: GPL-2.0

//! What an attacker may send a receiver, on purpose or not.

use super::reference::patient;
use super::*;
use pgm_wire::{NakBoIvl, NakBoRng, Poll, PollOptions};

#[derive(Clone, Debug)]
pub(super) enum Wild {
    Data(bool, u32, u32, u16, Option<(u32, u32, u32)>, bool),
    Spm(u32, u32, u32, bool, Option<(u32, u32, u32)>),
    Poll(u32, u16, u16, u8, u32, u32),
    Unicast(u32, bool),
    Hear(bool, Vec<u32>),
    Wait(u32),
}

impl Wild {
    /// Does it, with numbers counted from `base`.
    pub(super) fn apply<H: Heap>(self, rig: &mut Rig<H>, base: u32) {
        match self {
            Wild::Data(rdata, sqn, trail, len, fragment, room) => {
                let options = DataOptions {
                    fragment: fragment.map(|(first, offset, apdu_len)| Fragment {
                        first: Sqn::new(base.wrapping_add(first)),
                        offset,
                        apdu_len,
                    }),
                    ..DataOptions::default()
                };
                rig.room = room;
                let (sqn, trail) = (base.wrapping_add(sqn), base.wrapping_add(trail));
                let _ = rig.data(rdata, sqn, trail, len, options);
            }
            Wild::Spm(sqn, trail, lead, unreach, more) => {
                let options = SpmOptions {
                    nbr_unreach: unreach,
                    join: more.map(|(join, _, _)| Sqn::new(base.wrapping_add(join))),
                    nak_bo_ivl: more.map(|(_, micros, _)| NakBoIvl {
                        micros,
                        sqn: Sqn::new(micros % 4),
                    }),
                    nak_bo_rng: more.map(|(_, max, min)| NakBoRng { max, min }),
                    ..SpmOptions::default()
                };
                let (trail, lead) = (base.wrapping_add(trail), base.wrapping_add(lead));
                let _ = rig.spm_raw(sqn, trail, lead, PATH, options);
            }
            Wild::Hear(ncf, sqns) => {
                let sqns: Vec<u32> = sqns.iter().map(|sqn| base.wrapping_add(*sqn)).collect();
                let _ = if ncf {
                    rig.ncf(&sqns)
                } else {
                    rig.heard_nak(&sqns)
                };
            }
            Wild::Poll(sqn, round, subtype, path, bo_ivl, mask) => {
                let poll = Poll {
                    sqn: Sqn::new(sqn),
                    round,
                    subtype,
                    path: if path < 128 {
                        PATH
                    } else {
                        Addr::V4([10, 0, 2, path])
                    },
                    bo_ivl,
                    rand: 0,
                    mask,
                };
                let _ = rig.send(&Repr::Poll(poll, PollOptions::default()), 0, 0);
            }
            Wild::Unicast(sqn, parent) => {
                let (nak, list) = nak_of(&[base.wrapping_add(sqn)]);
                let options = NcfOptions {
                    list,
                    nbr_unreach: true,
                    path_nla: parent.then_some(PATH),
                    ..NcfOptions::default()
                };
                let bytes = bytes(TSI, &Repr::Ncf(nak, options), 0);
                let packet = Packet::parse(&bytes).unwrap();
                let mut buf = [0; HEADER_MAX];
                let _ = rig.rx.handle_unicast(rig.now, &packet, &mut buf);
                rig.settle();
            }
            Wild::Wait(n) => rig.wait(ms(n)),
        }
    }
}

/// A receiver that is attacked and then left alone: bounded work, every number once and in order, and
/// an end.
pub(super) fn survive(arrival_order: bool, base: u32, seed: u64, ops: Vec<Wild>) {
    let quick = ReceiverConfig {
        ncf_retries: 2,
        data_retries: 2,
        arrival_order,
        ..patient()
    };
    let mut rig = Rig::<StdHeap>::with(quick, seed);
    for op in ops {
        op.apply(&mut rig, base);
        invariants::check(&rig.rx);
    }
    assert!(rig.worst < 8 * 1024, "{}", rig.worst);
    rig.wait(Duration::from_secs(400));
    assert!(rig.rx.is_ended());
    assert_eq!(rig.out.last(), Some(&Out::End(End::Expired)));
    assert_eq!(
        (rig.rx.held(), rig.rx.missing(), rig.rx.repair.len()),
        (0, 0, 0)
    );
}
