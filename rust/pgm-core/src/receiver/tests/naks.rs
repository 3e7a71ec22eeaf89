// SPDX-License-Identifier: GPL-2.0

//! Loss detection and the NAK state machine (RFC 3208 §6.3, §9.3).

use super::*;
use crate::receiver::rxw::MISSING_MAX;

/// A session that has its path and has seen data up to 1.
fn joined(config: ReceiverConfig, seed: u64) -> Rig {
    let mut rig = Rig::with(config, seed);
    rig.spm(0, 0).unwrap();
    rig.odata(1).unwrap();
    rig
}

/// As [`joined`], and 2 is missing for certain.
fn missing_2(config: ReceiverConfig, seed: u64) -> Rig {
    let mut rig = joined(config, seed);
    rig.odata(3).unwrap();
    rig.odata(4).unwrap();
    rig.take_out();
    rig
}

/// As [`missing_2`], and the NAK just left.
fn waiting_for_ncf(config: ReceiverConfig, seed: u64) -> Rig {
    let mut rig = missing_2(config, seed);
    while rig.sent.is_empty() {
        let at = rig.rx.poll_timeout().unwrap();
        let d = at.since(rig.now);
        rig.wait(d);
    }
    rig
}

// req: RCV-14 NAK-02
#[test]
fn gaps_show_in_data() {
    let mut rig = joined(config(), 1);
    rig.rdata(3).unwrap();
    rig.wait(ms(100));
    let naks = rig.take_naks();
    assert_eq!(naks[0].sqns, [2]);
    assert_eq!(naks[0].to, Destination::Unicast(PATH));
}

// req: RCV-15
#[test]
fn gaps_show_in_spm_lead() {
    let mut rig = joined(config(), 1);
    rig.spm(1, 3).unwrap();
    rig.wait(ms(51));
    assert_eq!(rig.asked(), [2, 3]);
}

// RFC 3208 §6.3 allows to start recovery from an NCF; we do only where the number is known to exist.
// req: NAK-03
#[test]
fn an_ncf_starts_recovery_of_what_is_known_to_exist() {
    let mut rig = joined(config(), 1);
    assert_eq!(rig.ncf(&[5]), Err(Discard::Unmatched));
    assert_eq!(rig.rx.missing(), 0);
    rig.odata(3).unwrap();
    rig.ncf(&[2]).unwrap();
    rig.wait(ms(399));
    assert!(rig.asked().is_empty());
    rig.wait(ms(60));
    assert_eq!(rig.asked(), [2]);
}

// req: RCV-17
#[test]
fn reordering_is_no_loss() {
    let mut rig = joined(config(), 1);
    rig.odata(3).unwrap();
    rig.wait(ms(5));
    rig.odata(2).unwrap();
    rig.wait(ms(200));
    assert!(rig.asked().is_empty());
    assert_eq!(rig.rx.stats().repaired_sqns, 0);
    assert_eq!(rig.take_out(), singles(1..=3));
}

// req: RCV-17
#[test]
fn two_later_packets_mean_loss() {
    let quick = ReceiverConfig {
        nak_bo_ivl: ms(1),
        ..config()
    };
    let mut rig = joined(quick, 1);
    rig.odata(3).unwrap();
    assert!(!rig
        .rx
        .window
        .missing_mut(Sqn::new(2))
        .unwrap()
        .is_confirmed());
    rig.odata(4).unwrap();
    assert!(rig
        .rx
        .window
        .missing_mut(Sqn::new(2))
        .unwrap()
        .is_confirmed());
    rig.wait(ms(1));
    assert_eq!(rig.asked(), [2]);
}

// req: RCV-17
#[test]
fn silence_after_a_gap_means_loss() {
    let mut rig = joined(config(), 1);
    rig.odata(3).unwrap();
    let start = rig.now;
    rig.wait(ms(61));
    let naks = rig.take_naks();
    assert_eq!(naks[0].sqns, [2]);
    assert!(naks[0].at >= start.after(ms(10)) && naks[0].at <= start.after(ms(60)));
}

// req: RCV-15 NAK-01
#[test]
fn the_last_packet_is_recovered_too() {
    let mut rig = joined(config(), 1);
    rig.wait(ms(100));
    rig.spm(0, 2).unwrap();
    rig.wait(ms(51));
    assert_eq!(rig.asked(), [2]);
    rig.rdata(2).unwrap();
    assert_eq!(rig.take_out(), singles([1, 2]));
}

// req: NAK-01 NAK-23
#[test]
fn back_off_is_spread_over_the_interval() {
    for ivl in [2, 50] {
        let fast = ReceiverConfig {
            nak_bo_ivl: ms(ivl),
            ..config()
        };
        let mut quarters = [0; 4];
        for seed in 0..200 {
            let mut rig = missing_2(fast, seed);
            let start = rig.now;
            rig.wait(ms(ivl));
            let naks = rig.take_naks();
            assert_eq!(naks.len(), 1, "later than NAK_BO_IVL");
            let delay = naks[0].at.since(start);
            assert!(delay > Duration::ZERO);
            let quarter = (delay.nanos() - 1) * 4 / ms(ivl).nanos();
            quarters[usize::try_from(quarter).unwrap()] += 1;
        }
        assert!(quarters.iter().all(|n| *n > 30), "{quarters:?}");
    }
}

// req: NAK-04 NAK-16
#[test]
fn the_nak_of_another_receiver_suppresses_ours() {
    for in_back_off in [true, false] {
        let mut rig = joined(config(), 1);
        rig.odata(3).unwrap();
        if in_back_off {
            rig.odata(4).unwrap();
        }
        rig.heard_nak(&[2]).unwrap();
        // NAK_RDATA_IVL (400 ms) is the longer one.
        rig.wait(ms(399));
        assert!(rig.asked().is_empty());
        rig.wait(ms(60));
        assert_eq!(rig.asked(), [2]);
    }
}

// req: NAK-05 NAK-19
#[test]
fn unconfirmed_naks_are_repeated_after_a_new_back_off() {
    let mut rig = waiting_for_ncf(config(), 1);
    rig.wait(ms(1500));
    let naks = rig.take_naks();
    assert!(naks.len() >= 5);
    for pair in naks.windows(2) {
        let gap = pair[1].at.since(pair[0].at);
        assert!(gap > ms(200) && gap <= ms(250), "{gap:?}");
    }
    rig.rdata(2).unwrap();
    assert_eq!(rig.take_out(), singles(2..=4));
}

// req: NAK-06
#[test]
fn a_nak_heard_while_waiting_for_the_ncf_puts_off_the_repetition() {
    let mut rig = waiting_for_ncf(config(), 1);
    rig.sent.clear();
    rig.wait(ms(150));
    rig.heard_nak(&[2]).unwrap();
    rig.wait(ms(199));
    assert!(rig.asked().is_empty());
    rig.wait(ms(60));
    assert_eq!(rig.asked(), [2]);
}

// req: NAK-07 NAK-09
#[test]
fn a_confirmed_nak_waits_for_its_data() {
    let mut rig = waiting_for_ncf(config(), 1);
    rig.sent.clear();
    rig.ncf(&[2]).unwrap();
    rig.wait(ms(400));
    assert!(rig.asked().is_empty());
    rig.wait(ms(50));
    assert_eq!(rig.asked(), [2]);
}

// req: NAK-08 RCV-21
#[test]
fn without_ncfs_the_data_is_lost_in_the_end() {
    let few = ReceiverConfig {
        ncf_retries: 3,
        ..config()
    };
    let mut rig = missing_2(few, 1);
    rig.wait(Duration::from_secs(10));
    assert_eq!(rig.asked(), [2, 2, 2, 2]);
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(2, 1)], singles([3, 4])].concat()
    );
    assert_eq!(rig.rx.stats().lost_sqns, 1);
}

// req: NAK-10
#[test]
fn ncfs_and_naks_put_off_the_wait_for_data() {
    let mut rig = waiting_for_ncf(config(), 1);
    rig.sent.clear();
    for round in 0..10 {
        if round % 2 == 0 {
            rig.ncf(&[2]).unwrap();
        } else {
            rig.heard_nak(&[2]).unwrap();
        }
        rig.wait(ms(200));
    }
    assert!(rig.asked().is_empty());
}

// req: NAK-11 RCV-21
#[test]
fn confirmed_naks_without_data_end_in_loss() {
    let few = ReceiverConfig {
        data_retries: 2,
        ..config()
    };
    let mut rig = missing_2(few, 1);
    let mut naks = 0;
    for _ in 0..100 {
        rig.wait(ms(20));
        if !rig.asked().is_empty() {
            naks += 1;
            rig.ncf(&[2]).unwrap();
        }
    }
    assert_eq!(naks, 3);
    assert_eq!(
        rig.take_out(),
        [vec![Out::Lost(2, 1)], singles([3, 4])].concat()
    );
}

// req: SEC-03
// attack: A-14
#[test]
fn a_flood_of_false_ncfs_ends_in_a_report_and_not_in_silence() {
    for ncf in [true, false] {
        let few = ReceiverConfig {
            data_retries: 5,
            ncf_retries: 5,
            ..config()
        };
        let mut rig = missing_2(few, 1);
        for _ in 0..1000 {
            let _ = if ncf {
                rig.ncf(&[2])
            } else {
                rig.heard_nak(&[2])
            };
            rig.wait(ms(10));
        }
        assert_eq!(
            rig.take_out(),
            [vec![Out::Lost(2, 1)], singles([3, 4])].concat()
        );
    }
}

// req: NAK-12 NAK-14 RCV-04
#[test]
fn data_ends_recovery_in_every_state() {
    for state in 0..6 {
        for rdata in [false, true] {
            let mut rig = match state {
                0 => {
                    let mut rig = joined(config(), 1);
                    rig.odata(3).unwrap();
                    rig
                }
                1 => missing_2(config(), 1),
                2 => {
                    let mut rig = missing_2(config(), 1);
                    let now = rig.now;
                    rig.rx.set_congested(now, true);
                    rig.wait(ms(60));
                    rig.rx.set_congested(rig.now, false);
                    rig
                }
                3 => waiting_for_ncf(config(), 1),
                4 => {
                    let mut rig = missing_2(config(), 1);
                    rig.ncf(&[2]).unwrap();
                    rig
                }
                _ => {
                    let mut rig = missing_2(config(), 1);
                    rig.heard_nak(&[2]).unwrap();
                    rig
                }
            };
            rig.sent.clear();
            rig.take_out();
            let result = if rdata { rig.rdata(2) } else { rig.odata(2) };
            assert_eq!(result, Ok(()));
            assert_eq!(rig.rx.repair.next_deadline(), None);
            assert_eq!(rig.rx.repair.next_nak(), None);
            rig.wait(Duration::from_secs(3));
            assert!(rig.sent.is_empty());
            assert!(!rig.take_out().is_empty());
            let repaired = u64::from(rdata || state > 0);
            assert_eq!(rig.rx.stats().repaired_sqns, repaired);
        }
    }
}

// req: NAK-13
#[test]
fn the_trailing_edge_ends_recovery_in_every_state() {
    for state in 0..4 {
        let mut rig = match state {
            0 => joined(config(), 1),
            1 => missing_2(config(), 1),
            2 => waiting_for_ncf(config(), 1),
            _ => {
                let mut rig = missing_2(config(), 1);
                rig.ncf(&[2]).unwrap();
                rig
            }
        };
        rig.odata(5).unwrap();
        rig.sent.clear();
        rig.take_out();
        rig.spm(5, 5).unwrap();
        assert_eq!(rig.rx.repair.next_deadline(), None);
        assert!(matches!(rig.take_out()[..], [Out::Lost(2, _), ..]));
        rig.wait(Duration::from_secs(3));
        assert!(rig.sent.is_empty());
    }
}

// req: NAK-15 RCV-25
#[test]
fn ncfs_that_match_nothing_do_nothing() {
    let mut rig = missing_2(config(), 1);
    let before = rig.rx.repair.next_deadline();
    for sqns in [
        &[1][..],
        &[3],
        &[5],
        &[9, 10, 11],
        &[0xFFFF_FFFF],
        &[0x8000_0002],
    ] {
        assert_eq!(rig.ncf(sqns), Err(Discard::Unmatched));
        assert_eq!(rig.heard_nak(sqns), Err(Discard::Unmatched));
    }
    // A parity NCF is about a transmission group.
    let (nak, list) = nak_of(&[2]);
    let options = NcfOptions {
        list,
        parity: true,
        ..NcfOptions::default()
    };
    let parity = rig.send(&Repr::Ncf(nak, options), 0, 0);
    assert_eq!(parity, Err(Discard::UnexpectedType));
    assert_eq!(rig.rx.repair.next_deadline(), before);
    assert_eq!((rig.rx.lead(), rig.rx.missing()), (Sqn::new(4), 1));
}

// req: NAK-17 OPT-31
#[test]
fn naks_go_out_oldest_first() {
    let mut rig = joined(config(), 1);
    for sqn in (3..=21).step_by(2) {
        rig.odata(sqn).unwrap();
    }
    // No path while unreachable: all back-offs end meanwhile.
    let unreach = SpmOptions {
        nbr_unreach: true,
        ..SpmOptions::default()
    };
    rig.spm_raw(1, 0, 0, PATH, unreach).unwrap();
    rig.wait(ms(100));
    rig.spm(0, 21).unwrap();
    rig.wait(ms(51));
    let naks = rig.take_naks();
    assert_eq!(naks.len(), 1);
    assert_eq!(naks[0].sqns, (2..=20).step_by(2).collect::<Vec<_>>());
}

// req: OPT-30 OPT-32
#[test]
fn a_gap_makes_lists_of_at_most_62() {
    let mut rig = joined(config(), 1);
    rig.odata(72).unwrap();
    rig.odata(73).unwrap();
    rig.wait(ms(51));
    let naks = rig.take_naks();
    let lens: Vec<_> = naks.iter().map(|nak| nak.sqns.len()).collect();
    assert_eq!(lens, [63, 7]);
    assert_eq!(naks[0].at, naks[1].at, "one back-off for the whole gap");
    // Each number completes by its own data.
    for sqn in (2..=71).filter(|sqn| sqn % 7 != 0) {
        rig.rdata(sqn).unwrap();
    }
    rig.wait(ms(260));
    let rest: Vec<_> = (2..=71).filter(|sqn| sqn % 7 == 0).collect();
    assert_eq!(rig.asked(), rest);
    assert_eq!(rig.rx.stats().nak_sqns, 80);
    assert_eq!(rig.rx.stats().naks_sent, 3);
}

// req: OPT-33
#[test]
fn a_list_suspends_every_number_in_it() {
    for ncf in [true, false] {
        let mut rig = joined(config(), 1);
        rig.odata(7).unwrap();
        rig.odata(8).unwrap();
        if ncf {
            rig.ncf(&[2, 4, 6]).unwrap();
        } else {
            rig.heard_nak(&[2, 4, 6]).unwrap();
        }
        rig.wait(ms(51));
        assert_eq!(rig.asked(), [3, 5]);
    }
}

// req: NAK-22 RCV-21
// attack: A-14 A-15
#[test]
fn bulk_loss_is_bounded_in_rate_and_state() {
    let mut rig = joined(config(), 1);
    rig.spm(0, 1_000_001).unwrap();
    assert_eq!(rig.rx.missing(), 1_000_000);
    rig.wait(ms(200));
    assert_eq!(rig.rx.repair.len(), MISSING_MAX);
    let naks = rig.take_naks();
    assert_eq!(naks.len(), 66, "4096 numbers in lists of 63");
    for (i, nak) in naks.iter().enumerate() {
        let burst = naks[i..].iter().take_while(|n| n.at.since(nak.at) < ms(10));
        assert!(burst.count() <= 16);
    }
    // It obeys the source all the same.
    rig.spm(1_000_002, 1_000_001).unwrap();
    rig.wait(ms(10));
    rig.odata_trail(1_000_002, 1_000_002).unwrap();
    rig.wait(ms(10));
    let expected = [
        singles([1]),
        vec![Out::Lost(2, 1_000_000)],
        singles([1_000_002]),
    ];
    assert_eq!(rig.take_out(), expected.concat());
    assert_eq!(rig.rx.missing(), 0);
    assert!(rig.rx.repair.len() == 0);
}

#[test]
fn congestion_puts_naks_off_and_counts_no_retry() {
    let few = ReceiverConfig {
        ncf_retries: 2,
        ..config()
    };
    let mut rig = waiting_for_ncf(few, 1);
    rig.sent.clear();
    let now = rig.now;
    rig.rx.set_congested(now, true);
    rig.wait(Duration::from_secs(20));
    assert!(rig.sent.is_empty() && rig.take_out().is_empty());
    let now = rig.now;
    rig.rx.set_congested(now, false);
    rig.settle();
    assert_eq!(rig.asked(), [2]);
    rig.rdata(2).unwrap();
    assert_eq!(rig.take_out(), singles(2..=4));
}

#[test]
fn a_passive_receiver_sends_nothing_and_uses_the_repairs_of_others() {
    let passive = ReceiverConfig {
        passive: true,
        ncf_retries: 2,
        ..config()
    };
    let mut rig = Rig::<StdHeap>::with(passive, 1);
    rig.odata(1).unwrap();
    for sqn in [3, 4, 6, 7] {
        rig.odata(sqn).unwrap();
    }
    rig.wait(ms(100));
    rig.rdata(2).unwrap();
    rig.wait(Duration::from_secs(5));
    assert!(rig.sent.is_empty());
    let expected = [singles(1..=4), vec![Out::Lost(5, 1)], singles([6, 7])];
    assert_eq!(rig.take_out(), expected.concat());
}

#[test]
fn recovery_time_is_measured_from_detection() {
    let mut rig = missing_2(config(), 1);
    rig.wait(ms(80));
    rig.rdata(2).unwrap();
    assert_eq!(rig.rx.stats().recovery_ns_total, ms(80).nanos());
    assert_eq!(rig.rx.stats().recovery_max_ns, ms(80).nanos());
    assert_eq!(rig.rx.stats().repaired_sqns, 1);
}

#[test]
fn congestion_counts_no_retry_however_often_it_comes() {
    let few = ReceiverConfig {
        ncf_retries: 2,
        ..config()
    };
    let mut rig = waiting_for_ncf(few, 1);
    for _ in 0..5 {
        rig.sent.clear();
        let now = rig.now;
        rig.rx.set_congested(now, true);
        rig.wait(Duration::from_secs(1));
        let now = rig.now;
        rig.rx.set_congested(now, false);
        rig.settle();
        assert_eq!(rig.asked(), [2]);
    }
    assert!(rig.take_out().is_empty());
}

// req: NAK-04 NAK-06
#[test]
fn a_second_nak_heard_does_not_shorten_the_wait() {
    let mut rig = missing_2(config(), 1);
    rig.heard_nak(&[2]).unwrap();
    rig.wait(ms(10));
    rig.heard_nak(&[2]).unwrap();
    rig.wait(ms(389));
    assert!(rig.asked().is_empty());
    rig.wait(ms(60));
    assert_eq!(rig.asked(), [2]);
}
