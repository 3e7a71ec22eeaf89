// SPDX-License-Identifier: GPL-2.0

//! A fuzzer's bytes as what happens to a receiver.

use super::reference::*;
use super::wild::{survive, Wild};
use crate::draw::Draw;

fn any_sqn(draw: &mut Draw<'_>) -> u64 {
    BASE + match draw.below(16) {
        0 => 100_000,
        1 => u64::from(draw.below(400)),
        _ => u64::from(draw.below(90)),
    }
}

fn any_sqns(draw: &mut Draw<'_>) -> Vec<u64> {
    (0..=draw.below(9)).map(|_| any_sqn(draw)).collect()
}

fn data(draw: &mut Draw<'_>) -> DataOp {
    let sqn = any_sqn(draw);
    let how = draw.below(256);
    let mut op = DataOp {
        rdata: how & 1 != 0,
        sqn,
        trail: (sqn - u64::from(draw.below(60))).max(BASE),
        len: 10,
        frag: true_fragment(sqn),
        fin: false,
        payload: how & 0xF0 != 0,
    };
    if how & 0xE == 0 {
        // Wild: anything may contradict anything.
        op.len = 5 * (draw.word() % 6);
        op.trail = any_sqn(draw);
        op.fin = draw.below(32) == 1;
        op.frag = (draw.below(2) == 0).then(|| Frag {
            first: sqn + 1 - u64::from(draw.below(6)),
            offset: 5 * draw.below(10),
            apdu_len: 5 * draw.below(14),
        });
    }
    op
}

fn spm(draw: &mut Draw<'_>) -> SpmOp {
    let lead = any_sqn(draw);
    let behind = u64::from(draw.below(60));
    SpmOp {
        sqn: 1 + draw.below(200),
        trail: lead + 2 - behind.min(lead + 2 - BASE),
        lead,
        end: match draw.below(64) {
            1 => SpmEnd::Fin,
            2 => SpmEnd::Rst(u8::try_from(draw.below(64)).unwrap()),
            _ => SpmEnd::None,
        },
    }
}

fn op(draw: &mut Draw<'_>) -> Op {
    match draw.below(16) {
        0..=9 => Op::Data(data(draw)),
        10 | 11 => Op::Spm(spm(draw)),
        12 => Op::Ncf(any_sqns(draw)),
        13 => Op::Nak(any_sqns(draw)),
        14 => Op::Wait(draw.below(100)),
        _ => match draw.below(4) {
            on @ (0 | 1) => Op::Congested(on == 0),
            _ => Op::Room(draw.word() % 20),
        },
    }
}

/// What of it leaves no doubt about the order.
fn true_op(draw: &mut Draw<'_>) -> Op {
    match op(draw) {
        Op::Data(op) => Op::Data(DataOp {
            len: 10,
            trail: op.trail.min(op.sqn),
            frag: true_fragment(op.sqn),
            fin: false,
            ..op
        }),
        Op::Nak(_) | Op::Congested(_) | Op::Room(_) => Op::Wait(draw.below(100)),
        other => other,
    }
}

fn wild_sqn(draw: &mut Draw<'_>) -> u32 {
    match draw.below(16) {
        0 => draw.number(),
        1 => u32::MAX - draw.below(200),
        2 => 1_000_000 + draw.below(400),
        3 | 4 => (1 << 31) - 200 + draw.below(400),
        _ => draw.below(200),
    }
}

fn wild(draw: &mut Draw<'_>) -> Wild {
    let some = draw.below(2) == 0;
    match draw.below(16) {
        0..=5 => {
            let (rdata, room) = (draw.below(2) == 0, draw.below(8) != 1);
            let (sqn, trail) = (wild_sqn(draw), wild_sqn(draw));
            let len = draw.word() % 40;
            let fragment = some.then(|| (wild_sqn(draw), draw.below(100), draw.below(100)));
            Wild::Data(rdata, sqn, trail, len, fragment, room)
        }
        6..=8 => {
            let sqn = draw.below(100);
            let (trail, lead) = (wild_sqn(draw), wild_sqn(draw));
            let options = some.then(|| (wild_sqn(draw), draw.number(), draw.below(3_000)));
            Wild::Spm(sqn, trail, lead, draw.below(2) == 1, options)
        }
        9 | 10 => Wild::Poll(
            draw.below(4),
            draw.word() % 3,
            draw.word() % 3,
            u8::try_from(draw.below(256)).unwrap(),
            draw.below(100_000),
            draw.number(),
        ),
        11 => Wild::Unicast(wild_sqn(draw), some),
        12 | 13 => Wild::Hear(some, (0..=draw.below(62)).map(|_| wild_sqn(draw)).collect()),
        _ => Wild::Wait(draw.below(5_000)),
    }
}

/// Runs a receiver as the bytes say, beside its reference if what they say is not too wild for one.
pub fn fuzz(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let seed = u64::from(draw.word());
    match draw.below(5) {
        0 => agree(&draw.sequence(200, op), seed),
        1 => ignore_duplicates(&draw.sequence(120, op), seed),
        2 => agree_in_any_order(&draw.sequence(200, true_op), seed),
        3 => {
            let percent = u64::from(1 + draw.below(100));
            agree_without_memory(&draw.sequence(150, op), seed, percent);
        }
        _ => {
            let base = draw.number();
            survive(base % 2 == 0, base, seed, draw.sequence(150, wild));
        }
    }
}

/// What was found once is not found again.
#[cfg(test)]
#[test]
fn corpus() {
    crate::draw::each_of_corpus("receiver", fuzz);
}
