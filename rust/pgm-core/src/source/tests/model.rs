// SPDX-License-Identifier: GPL-2.0

//! Random sequences of everything that can happen to a source, against a model of what it must hold.

use proptest::prelude::*;

use super::reference::*;
use crate::source::Advance;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => (1u32..5, 0u16..1_400).prop_map(|(n, len)| Op::Send(n, len)),
        20 => proptest::collection::vec(0u32..80, 1..20).prop_map(Op::Nak),
        10 => (0u32..6).prop_map(Op::NakNewest),
        4 => Just(Op::Spmr),
        40 => (0u32..60_000).prop_map(Op::Pass),
        4 => (0u32..1_500_000).prop_map(Op::Stall),
        2 => (5_000u64..2_000_000).prop_map(Op::Rate),
        4 => (0u32..4).prop_map(Op::Grant),
        4 => Just(Op::Grant(u32::MAX)),
        1 => Just(Op::Fin),
        1 => any::<bool>().prop_map(Op::Abort),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // req: SRC-01 SRC-02 SRC-04 SRC-13 SRC-17 SRC-22 SRC-23 TXW-03 TXW-15 OPT-42 OPT-55
    // attack: A-05 A-15
    #[test]
    fn any_sequence_of_events_keeps_the_promises(
        ops in proptest::collection::vec(op(), 1..250),
        advance in prop_oneof![Just(Advance::WithTime), Just(Advance::WithData)],
        first_sqn in prop_oneof![Just(0u32), Just(u32::MAX - 30), any::<u32>()],
    ) {
        run(first_sqn, advance, ops);
    }
}
