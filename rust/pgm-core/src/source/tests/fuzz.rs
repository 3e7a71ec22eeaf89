// SPDX-License-Identifier: GPL-2.0

//! A fuzzer's bytes as what happens to a source.

use super::reference::{run, Op};
use crate::draw::Draw;
use crate::source::Advance;

fn op(draw: &mut Draw<'_>) -> Op {
    match draw.below(16) {
        0..=4 => Op::Send(1 + draw.below(4), draw.word() % 1_400),
        5..=7 => Op::Nak((0..=draw.below(20)).map(|_| draw.below(80)).collect()),
        8 => Op::NakNewest(draw.below(6)),
        9 => Op::Spmr,
        10 | 11 => Op::Pass(draw.below(60_000)),
        12 => Op::Stall(draw.below(1_500_000)),
        13 => Op::Rate(u64::from(5_000 + draw.below(2_000_000))),
        14 => match draw.below(5) {
            4 => Op::Grant(u32::MAX),
            pages => Op::Grant(pages),
        },
        _ => match draw.below(8) {
            0 => Op::Fin,
            1 => Op::Abort(draw.below(2) == 0),
            _ => Op::Pass(draw.below(1_000)),
        },
    }
}

/// Runs the source and its reference as the bytes say.
pub fn fuzz(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let advance = match draw.below(2) {
        0 => Advance::WithTime,
        _ => Advance::WithData,
    };
    let first_sqn = match draw.below(3) {
        0 => 0,
        1 => u32::MAX - 30,
        _ => draw.number(),
    };
    run(first_sqn, advance, draw.sequence(250, op));
}

/// What was found once is not found again.
#[cfg(test)]
#[test]
fn corpus() {
    crate::draw::each_of_corpus("source", fuzz);
}
