// SPDX-License-Identifier: GPL-2.0

//! SPM requests (RFC 3208 §13.5).

use super::*;

fn with_data(seed: u64) -> Rig {
    let mut rig = Rig::with(config(), seed);
    rig.odata(1).unwrap();
    rig
}

// req: SPMR-01 SPMR-02 SPMR-03 SPMR-08 ADDR-14 WIRE-06
#[test]
fn data_without_spm_is_answered_by_an_spmr() {
    let mut early = 0;
    for seed in 0..50 {
        let mut rig = with_data(seed);
        let start = rig.now;
        rig.wait(ms(250));
        let [group, source] = &rig.sent[..] else {
            panic!("{:?}", rig.sent);
        };
        assert_eq!(
            (group.kind, source.kind),
            (PacketType::Spmr, PacketType::Spmr)
        );
        assert_eq!(group.to, Destination::GroupLocal);
        assert_eq!(source.to, Destination::Unicast(SOURCE));
        let delay = group.at.since(start);
        assert!(delay > Duration::ZERO && delay <= ms(250));
        early += u32::from(delay < ms(125));
        assert_eq!(rig.rx.stats().spmrs_sent, 1);
    }
    assert!((10..40).contains(&early));
}

// req: SPMR-04
#[test]
fn the_spmr_of_another_receiver_is_enough() {
    let mut rig = with_data(1);
    rig.send(&Repr::Spmr, 0, 0).unwrap();
    rig.wait(ms(999));
    assert!(rig.sent.is_empty());
    rig.wait(ms(251));
    assert_eq!(rig.sent.len(), 2);
}

// req: SPMR-05
#[test]
fn an_spm_cancels_the_request() {
    let mut rig = with_data(1);
    rig.wait(ms(1));
    rig.spm(1, 1).unwrap();
    rig.wait(Duration::from_secs(5));
    assert!(rig.sent.is_empty());
}

// req: SPMR-06
#[test]
fn requests_are_repeated_with_a_pause_and_a_new_delay() {
    let mut rig = with_data(1);
    rig.wait(Duration::from_secs(10));
    let asked: Vec<_> = rig
        .sent
        .iter()
        .filter(|sent| sent.to == Destination::GroupLocal)
        .map(|sent| sent.at)
        .collect();
    assert!(asked.len() >= 8);
    for pair in asked.windows(2) {
        let gap = pair[1].since(pair[0]);
        assert!(gap > ms(1000) && gap <= ms(1250));
    }
}

// req: SPMR-09
#[test]
fn naks_follow_the_solicited_spm_only() {
    let mut rig = with_data(1);
    rig.odata(3).unwrap();
    rig.wait(ms(600));
    rig.sent.clear();
    rig.spm(1, 3).unwrap();
    rig.wait(ms(60));
    let naks = rig.take_naks();
    assert_eq!(naks[0].to, Destination::Unicast(PATH));
}

#[test]
fn an_own_request_heard_again_is_no_answer() {
    // Multicast loopback brings the group's copy back before the source's copy left.
    let mut rig = with_data(1);
    let mut buf = [0; HEADER_MAX];
    let at = rig.rx.poll_timeout().unwrap();
    rig.now = at;
    rig.rx.handle_timeout(at);
    let first = rig.rx.poll_transmit(at, &mut buf).unwrap();
    assert_eq!(first.destination, Destination::GroupLocal);
    assert_eq!(rig.send(&Repr::Spmr, 0, 0), Err(Discard::Unmatched));
    assert_eq!(rig.sent[0].to, Destination::Unicast(SOURCE));
}
