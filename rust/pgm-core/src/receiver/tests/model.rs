// SPDX-License-Identifier: GPL-2.0

//! The receiver against the reference, over random sequences.

use super::failing::{refuse, Failing};
use super::reference::*;
use super::wild::{survive, Wild};
use super::*;
use proptest::prelude::*;

fn any_sqn() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..90, 1 => 0u64..400, 1 => Just(100_000)].prop_map(|n| BASE + n)
}

fn true_data() -> impl Strategy<Value = DataOp> {
    (
        any::<bool>(),
        any_sqn(),
        0u64..60,
        prop::bool::weighted(0.95),
    )
        .prop_map(|(rdata, sqn, behind, payload)| DataOp {
            rdata,
            sqn,
            trail: (sqn - behind).max(BASE),
            len: 10,
            frag: true_fragment(sqn),
            fin: false,
            payload,
        })
}

fn wild_data() -> impl Strategy<Value = DataOp> {
    let frag = (0u64..6, 0u32..50, 0u32..70);
    (
        true_data(),
        0u16..30,
        prop::option::of(frag),
        any_sqn(),
        prop::bool::weighted(0.02),
    )
        .prop_map(|(op, len, frag, trail, fin)| {
            let frag = frag.map(|(behind, offset, apdu_len)| Frag {
                first: op.sqn + 1 - behind,
                offset: offset - offset % 5,
                apdu_len: apdu_len - apdu_len % 5,
            });
            DataOp {
                len: len - len % 5,
                frag,
                trail,
                fin,
                ..op
            }
        })
}

fn spm_op() -> impl Strategy<Value = SpmOp> {
    let end = prop_oneof![
        60 => Just(SpmEnd::None),
        1 => Just(SpmEnd::Fin),
        1 => (0u8..64).prop_map(SpmEnd::Rst)
    ];
    (1u32..200, any_sqn(), 0u64..60, end).prop_map(|(sqn, lead, behind, end)| SpmOp {
        sqn,
        trail: (lead + 2 - behind.min(lead + 2 - BASE)),
        lead,
        end,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let sqns = || prop::collection::vec(any_sqn(), 1..10);
    prop_oneof![
        12 => true_data().prop_map(Op::Data),
        3 => wild_data().prop_map(Op::Data),
        2 => spm_op().prop_map(Op::Spm),
        1 => sqns().prop_map(Op::Ncf),
        1 => sqns().prop_map(Op::Nak),
        2 => (0u32..100).prop_map(Op::Wait),
        1 => any::<bool>().prop_map(Op::Congested),
        1 => (0u16..20).prop_map(Op::Room)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Deliveries and losses are those of the reference, whatever comes.
    // req: RCV-05 RCV-06 RCV-07 RCV-18 RCV-21 OPT-24 OPT-26 OPT-27 WIRE-26
    #[test]
    fn agrees_with_the_reference(ops in prop::collection::vec(op(), 1..200), seed in any::<u64>()) {
        agree(&ops, seed);
    }

    /// Every packet twice is every packet once: the same deliveries, the same NAKs at the same time.
    // req: RCV-05 RCV-25
    // attack: A-05
    #[test]
    fn duplicates_change_nothing(ops in prop::collection::vec(op(), 1..120), seed in any::<u64>()) {
        ignore_duplicates(&ops, seed);
    }
}

fn true_op() -> impl Strategy<Value = Op> {
    let sqns = || prop::collection::vec(any_sqn(), 1..10);
    prop_oneof![
        12 => true_data().prop_map(Op::Data),
        2 => spm_op().prop_map(Op::Spm),
        1 => sqns().prop_map(Op::Ncf),
        2 => (0u32..100).prop_map(Op::Wait)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In the order of arrival the same comes out, only not in the same order.
    // req: RCV-08, RCV-21
    #[test]
    fn arrival_order_changes_nothing_but_the_order(
        ops in prop::collection::vec(true_op(), 1..200),
        seed in any::<u64>(),
    ) {
        agree_in_any_order(&ops, seed);
    }

    /// The same when memory is refused.
    // req: RCV-08
    #[test]
    fn arrival_order_needs_no_memory(
        ops in prop::collection::vec(true_op(), 1..150),
        seed in any::<u64>(),
        percent in prop_oneof![Just(100u64), 1u64..100],
    ) {
        refuse(percent, seed);
        let large = ReceiverConfig { arrival_order: true, rxw_sqns: 512, ..patient() };
        let mut rig = Rig::<Failing>::with(large, seed);
        let mut model = Model::new(large, 512);
        for op in &ops {
            let _ = apply(&mut rig, &mut model, op);
            invariants::check(&rig.rx);
        }
        refuse(0, 0);
        same_in_any_order(&mut rig, &mut model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Refused memory costs packets, never order, truth or liveness.
    #[test]
    fn agrees_with_the_reference_when_memory_is_refused(
        ops in prop::collection::vec(op(), 1..150),
        seed in any::<u64>(),
        percent in prop_oneof![Just(100u64), 1u64..100],
    ) {
        agree_without_memory(&ops, seed, percent);
    }
}

fn wild_sqn() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 0u32..200,
        2 => (0u32..400).prop_map(|n| (1 << 31) - 200 + n),
        1 => (0u32..400).prop_map(|n| 1_000_000 + n),
        1 => any::<u32>(),
        1 => (0u32..200).prop_map(|n| u32::MAX - n)
    ]
}

fn wild() -> impl Strategy<Value = Wild> {
    let fragment = prop::option::of((wild_sqn(), 0u32..100, 0u32..100));
    prop_oneof![
        6 => (
            any::<bool>(),
            wild_sqn(),
            wild_sqn(),
            0u16..40,
            fragment,
            prop::bool::weighted(0.9)
        )
            .prop_map(|(r, s, t, l, f, p)| Wild::Data(r, s, t, l, f, p)),
        3 => (
            prop_oneof![any::<u32>(), 0u32..100],
            wild_sqn(),
            wild_sqn(),
            any::<bool>(),
            prop::option::of((wild_sqn(), any::<u32>(), 0u32..3000))
        )
            .prop_map(|(q, t, l, u, o)| Wild::Spm(q, t, l, u, o)),
        2 => (0u32..4, 0u16..3, 0u16..3, any::<u8>(), 0u32..100_000, any::<u32>())
            .prop_map(|(q, r, t, p, b, m)| Wild::Poll(q, r, t, p, b, m)),
        1 => (wild_sqn(), any::<bool>()).prop_map(|(s, p)| Wild::Unicast(s, p)),
        2 => (any::<bool>(), prop::collection::vec(wild_sqn(), 1..63))
            .prop_map(|(n, s)| Wild::Hear(n, s)),
        2 => (0u32..5000).prop_map(Wild::Wait)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever an attacker sends: no panic, bounded work, every number once and in order, and an end.
    // req: SEC-07 RCV-20 WIRE-26
    #[test]
    fn survives_anything(
        ops in prop::collection::vec(wild(), 1..150),
        base in prop_oneof![Just(0u32), Just(1u32 << 31), any::<u32>()],
        seed in any::<u64>(),
        arrival_order in any::<bool>(),
    ) {
        survive(arrival_order, base, seed, ops);
    }
}
