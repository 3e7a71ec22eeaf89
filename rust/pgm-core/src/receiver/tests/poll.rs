// SPDX-License-Identifier: GPL-2.0

//! Answers to polls (RFC 3208 §14.5).

use super::*;
use pgm_wire::{Poll, PollOptions};

const NODE: u32 = 0xDEAD_BEEF;

fn rig(seed: u64) -> Rig {
    let node = ReceiverConfig {
        node_id: NODE,
        ..config()
    };
    let mut rig = Rig::with(node, seed);
    rig.spm(1, 0).unwrap();
    rig
}

/// A poll that asks everybody and wants the answer within 200 ms.
fn poll(sqn: u32, round: u16) -> Poll {
    Poll {
        sqn: Sqn::new(sqn),
        round,
        subtype: 0,
        path: PATH,
        bo_ivl: 200_000,
        rand: 0,
        mask: 0,
    }
}

fn ask(rig: &mut Rig, poll: Poll) -> Result<(), Discard> {
    rig.send(&Repr::Poll(poll, PollOptions::default()), 0, 0)
}

/// (SQN, ROUND) of the answers, all to the parent.
fn answers(rig: &mut Rig) -> Vec<(u32, u32)> {
    let sent = core::mem::take(&mut rig.sent);
    assert!(sent
        .iter()
        .all(|s| s.kind == PacketType::Polr && s.to == Destination::Unicast(PATH) && !s.copy));
    sent.iter().map(|s| (s.sqns[0], s.sqns[1])).collect()
}

// req: POLL-09, POLL-12, POLL-14
#[test]
fn a_general_poll_gets_one_answer_after_a_random_delay() {
    let mut early = 0;
    for seed in 0..50 {
        let mut rig = rig(seed);
        let start = rig.now;
        ask(&mut rig, poll(7, 0)).unwrap();
        rig.wait(Duration::from_secs(5));
        let delay = rig.sent[0].at.since(start);
        assert!(delay <= ms(200));
        early += u32::from(delay < ms(100));
        assert_eq!(answers(&mut rig), [(7, 0)]);
    }
    assert!((10..40).contains(&early), "{early}");
}

// req: POLL-12
// attack: A-05
#[test]
fn a_poll_heard_twice_is_answered_once() {
    let mut rig = rig(1);
    for _ in 0..3 {
        let _ = ask(&mut rig, poll(7, 0));
        rig.wait(ms(150));
    }
    rig.wait(ms(1000));
    assert_eq!(answers(&mut rig), [(7, 0)]);
}

// req: POLL-06, POLL-07
#[test]
fn the_random_condition_is_the_node_id_under_the_mask() {
    // The identifier can be found bit by bit.
    let mut found = 0;
    let mut rig = rig(1);
    for bit in 0..32 {
        let mask = 1u32 << bit;
        let asked = Poll {
            rand: u32::MAX,
            mask,
            ..poll(bit, 0)
        };
        let _ = ask(&mut rig, asked);
        rig.wait(ms(250));
        if !answers(&mut rig).is_empty() {
            found |= mask;
        }
    }
    assert_eq!(found, NODE);
    let with = |rand, mask| Poll {
        rand,
        mask,
        ..poll(100, 0)
    };
    let mut heeds = |poll| {
        let _ = ask(
            &mut rig,
            Poll {
                sqn: Sqn::new(99),
                mask: u32::MAX,
                rand: !NODE,
                ..poll
            },
        );
        ask(&mut rig, poll).is_ok()
    };
    assert!(heeds(with(NODE, u32::MAX)));
    assert!(!heeds(with(!NODE, u32::MAX)));
    assert!(heeds(with(0xABCD_BEEF, 0xFFFF)));
    assert!(heeds(with(1, 0)));
}

// req: POLL-08
#[test]
fn later_rounds_ask_those_who_heard_the_first() {
    let mut rig = rig(1);
    assert_eq!(ask(&mut rig, poll(7, 1)), Err(Discard::Poll));
    // Round 0 counts although it asked others.
    let others = Poll {
        rand: !NODE,
        mask: u32::MAX,
        ..poll(7, 0)
    };
    assert_eq!(ask(&mut rig, others), Err(Discard::Poll));
    ask(&mut rig, poll(7, 1)).unwrap();
    rig.wait(ms(250));
    ask(&mut rig, poll(7, 2)).unwrap();
    rig.wait(ms(250));
    assert_eq!(ask(&mut rig, poll(8, 1)), Err(Discard::Poll));
    rig.wait(ms(250));
    assert_eq!(answers(&mut rig), [(7, 1), (7, 2)]);
}

// req: POLL-10, POLL-11
#[test]
fn polls_for_others_are_not_answered() {
    let mut rig = rig(1);
    for subtype in [1, 2, 0xFFFF] {
        let asked = Poll {
            subtype,
            ..poll(u32::from(subtype), 0)
        };
        assert_eq!(ask(&mut rig, asked), Err(Discard::Poll));
    }
    rig.wait(ms(1000));
    assert!(rig.sent.is_empty());
}

// req: POLL-13
#[test]
fn a_new_poll_cancels_the_answer_to_the_last() {
    let mut rig = rig(1);
    let slow = |sqn| Poll {
        bo_ivl: 500_000,
        ..poll(sqn, 0)
    };
    ask(&mut rig, slow(1)).unwrap();
    rig.wait(ms(1));
    // Although it does not ask us: its parent had too many answers.
    let stop = Poll {
        rand: !NODE,
        mask: u32::MAX,
        ..slow(2)
    };
    ask(&mut rig, stop).unwrap_err();
    rig.wait(ms(1000));
    assert!(rig.sent.is_empty());
    ask(&mut rig, slow(3)).unwrap();
    rig.wait(ms(1));
    ask(&mut rig, slow(4)).unwrap();
    rig.wait(ms(1000));
    assert_eq!(answers(&mut rig), [(4, 0)]);
}

#[test]
fn another_parent_neither_cancels_nor_adds_an_answer() {
    let mut rig = rig(1);
    let foreign = |sqn| Poll {
        path: OTHER,
        ..poll(sqn, 0)
    };
    ask(&mut rig, poll(1, 0)).unwrap();
    assert_eq!(ask(&mut rig, foreign(9)), Err(Discard::Poll));
    rig.wait(ms(250));
    assert_eq!(answers(&mut rig), [(1, 0)]);
    // With nothing to do it is answered too; our own parent's poll comes before it.
    ask(&mut rig, foreign(10)).unwrap();
    rig.wait(ms(250));
    assert_eq!(rig.sent.pop().unwrap().to, Destination::Unicast(OTHER));
    ask(&mut rig, foreign(11)).unwrap();
    ask(&mut rig, poll(2, 0)).unwrap();
    rig.wait(ms(250));
    assert_eq!(answers(&mut rig), [(2, 0)]);
}

// attack: A-15
#[test]
fn forged_polls_do_not_amplify() {
    let mut rig = rig(1);
    // As fast as can be, from ever new parents: a bounded number of answers.
    for n in 0..1000u32 {
        let [_, _, a, b] = n.to_be_bytes();
        let forged = Poll {
            path: Addr::V4([10, 9, a, b]),
            bo_ivl: 0,
            ..poll(n, 0)
        };
        let _ = ask(&mut rig, forged);
        rig.wait(Duration::from_micros(100));
    }
    rig.wait(ms(1000));
    assert!(rig.sent.len() <= 11, "{}", rig.sent.len());
    // Ours was not forgotten meanwhile, nor is what is no node's address answered.
    ask(&mut rig, poll(7, 0)).unwrap();
    for n in 0..100 {
        let path = Addr::V4([10, 8, 0, n]);
        let _ = ask(
            &mut rig,
            Poll {
                path,
                ..poll(u32::from(n), 0)
            },
        );
    }
    rig.wait(ms(250));
    rig.sent.clear();
    ask(&mut rig, poll(7, 1)).unwrap();
    // Or it would be refused because one answer waits already.
    rig.wait(ms(1000));
    assert_eq!(answers(&mut rig), [(7, 1)]);
    for path in [
        GROUP,
        Addr::V4([0; 4]),
        Addr::V4([255; 4]),
        Addr::V6([1; 16]),
    ] {
        assert_eq!(
            ask(&mut rig, Poll { path, ..poll(8, 0) }),
            Err(Discard::Poll)
        );
    }
}

#[test]
fn polls_are_no_sign_of_the_source() {
    let mut rig = rig(1);
    for n in 0..400 {
        rig.wait(Duration::from_secs(1));
        let _ = ask(&mut rig, poll(n, 0));
    }
    assert_eq!(rig.out.last(), Some(&Out::End(End::Expired)));
}

#[test]
fn a_passive_receiver_answers_nothing() {
    let passive = ReceiverConfig {
        passive: true,
        ..config()
    };
    let mut rig = Rig::with(passive, 1);
    rig.odata(1).unwrap();
    rig.wait(ms(1000));
    rig.spm(1, 1).unwrap();
    let _ = ask(&mut rig, poll(1, 0));
    rig.odata(3).unwrap();
    rig.wait(ms(1000));
    assert!(rig.sent.is_empty());
    // What nobody repairs is reported in the end.
    rig.wait(Duration::from_secs(60));
    assert_eq!(
        rig.take_out(),
        [singles([1]), vec![Out::Lost(2, 1)], singles([3])].concat()
    );
}
