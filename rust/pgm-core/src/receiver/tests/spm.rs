// SPDX-License-Identifier: GPL-2.0

//! Source path messages (RFC 3208 §6.2, §8.1, §15.3.2).

use super::*;

// req: RCV-09
#[test]
fn spms_are_sequenced() {
    let mut rig = Rig::new();
    let none = SpmOptions::default();
    rig.odata(1).unwrap();
    // The first one is taken whatever its number.
    rig.spm_raw(3200, 1, 1, PATH, none).unwrap();
    let old = Err(Discard::SpmOutOfSequence);
    assert_eq!(rig.spm_raw(20, 1, 3, PATH, none), old);
    assert_eq!(rig.spm_raw(3200, 1, 3, PATH, none), old);
    assert_eq!(rig.spm_raw(3200 + (1 << 31), 1, 3, PATH, none), old);
    rig.wait(ms(100));
    assert!(rig.asked().is_empty());
    rig.spm_raw(3201, 1, 3, PATH, none).unwrap();
    rig.wait(ms(100));
    assert_eq!(rig.asked(), [2, 3]);
}

// req: RCV-10 ADDR-09 ADDR-10
#[test]
fn naks_go_to_the_latest_path() {
    let mut rig = Rig::new();
    let none = SpmOptions::default();
    let new = Addr::V4([10, 0, 0, 253]);
    rig.odata(1).unwrap();
    rig.spm_raw(1, 1, 2, PATH, none).unwrap();
    rig.wait(ms(100));
    rig.spm_raw(2, 1, 3, new, none).unwrap();
    rig.spm_raw(1, 1, 3, OTHER, none).unwrap_err();
    rig.wait(ms(100));
    let to: Vec<_> = rig
        .take_naks()
        .into_iter()
        .map(|s| (s.to, s.sqns))
        .collect();
    assert_eq!(
        to,
        [
            (Destination::Unicast(PATH), vec![2]),
            (Destination::Unicast(new), vec![3])
        ]
    );
}

// req: RCV-10
// attack: A-15
#[test]
fn a_path_that_is_no_address_of_a_node_is_not_used() {
    let mut rig = Rig::new();
    let none = SpmOptions::default();
    rig.odata(1).unwrap();
    let paths = [
        Addr::V4([0; 4]),
        Addr::V4([255; 4]),
        GROUP,
        Addr::V6([1; 16]),
    ];
    for (sqn, path) in paths.into_iter().enumerate() {
        let sqn = u32::try_from(sqn).unwrap();
        rig.spm_raw(sqn, 1, 3, path, none).unwrap();
        assert_eq!(rig.rx.path(), None);
    }
    rig.wait(ms(1000));
    assert!(rig.asked().is_empty());
}

// req: RCV-11 NAK-21
#[test]
fn no_nak_before_the_first_spm() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.odata(3).unwrap();
    rig.wait(ms(1000));
    assert!(rig.asked().is_empty());
    let came = rig.now;
    rig.spm(1, 3).unwrap();
    assert!(
        rig.asked().is_empty(),
        "all receivers hear that SPM at once"
    );
    rig.wait(ms(51));
    let naks = rig.take_naks();
    assert_eq!(naks.len(), 1);
    assert_eq!(naks[0].sqns, [2]);
    assert!(naks[0].at > came && naks[0].at <= came.after(ms(50)));
}

// req: RCV-12
#[test]
fn an_old_window_is_ignored_but_the_path_is_used() {
    let mut rig = Rig::new();
    let none = SpmOptions::default();
    rig.odata(100).unwrap();
    rig.odata_trail(101, 101).unwrap();
    rig.spm_raw(1, 40, 90, OTHER, none).unwrap();
    assert_eq!(rig.rx.path(), Some(OTHER));
    assert_eq!(
        (rig.rx.trail(), rig.rx.lead()),
        (Sqn::new(101), Sqn::new(101))
    );
    rig.wait(ms(500));
    assert!(rig.asked().is_empty());
}

// req: RCV-13
#[test]
fn an_spm_without_window_information_gives_the_path_only() {
    let mut rig = Rig::new();
    rig.odata(100).unwrap();
    rig.spm(0, 0x8000_0000).unwrap();
    assert_eq!(rig.rx.path(), Some(PATH));
    assert_eq!(rig.rx.lead(), Sqn::new(100));
    let mut rig = Rig::new();
    rig.spm(0, 0x8000_0000).unwrap();
    rig.odata(7).unwrap();
    rig.wait(ms(500));
    assert!(rig.sent.is_empty());
}

// attack: A-06
#[test]
fn an_impossible_window_is_refused() {
    let mut rig = Rig::new();
    rig.odata(100).unwrap();
    let bad = Err(Discard::SpmWindow);
    assert_eq!(rig.spm(102, 100), bad);
    assert_eq!(rig.spm(u32::MAX, 100 + (1 << 31)), bad);
    assert_eq!(rig.rx.path(), None);
    // An empty window is not impossible.
    assert_eq!(rig.spm(101, 100), Ok(()));
    assert_eq!(rig.rx.path(), Some(PATH));
}

// req: NAK-21, IMP-16, IMP-18, IMP-19, IMP-20
#[test]
fn an_unreachable_neighbour_gets_no_naks_until_a_regular_spm() {
    let mut rig = Rig::new();
    let unreach = SpmOptions {
        nbr_unreach: true,
        ..SpmOptions::default()
    };
    rig.odata(1).unwrap();
    // Without a parent it is nobody's.
    rig.spm_raw(1, 1, 9, PATH, unreach).unwrap_err();
    rig.spm_raw(1, 1, 1, PATH, SpmOptions::default()).unwrap();
    assert_eq!(
        rig.spm_raw(1, 1, 9, OTHER, unreach),
        Err(Discard::Unmatched)
    );
    // It bears the number of the last regular SPM, and its window says nothing.
    rig.spm_raw(1, 1, 9, PATH, unreach).unwrap();
    assert_eq!(rig.rx.lead(), Sqn::new(1));
    rig.odata(3).unwrap();
    rig.odata(4).unwrap();
    rig.wait(ms(2000));
    assert!(rig.asked().is_empty());
    rig.spm_raw(2, 1, 4, PATH, SpmOptions::default()).unwrap();
    rig.wait(ms(51));
    assert_eq!(rig.asked(), [2]);
}

// req: NAK-21, IMP-16, IMP-19
#[test]
fn an_unreachable_neighbour_may_say_so_in_an_ncf() {
    for (path, heeded) in [(Some(PATH), true), (Some(OTHER), false), (None, false)] {
        let mut rig = Rig::new();
        rig.odata(1).unwrap();
        rig.spm(1, 1).unwrap();
        rig.odata(3).unwrap();
        rig.odata(4).unwrap();
        let (nak, list) = nak_of(&[2]);
        let options = NcfOptions {
            list,
            nbr_unreach: true,
            path_nla: path,
            ..NcfOptions::default()
        };
        let result = rig.send(&Repr::Ncf(nak, options), 0, 0);
        assert_eq!(result.is_ok(), heeded);
        rig.wait(ms(2000));
        assert_eq!(rig.asked().is_empty(), heeded);
    }
}

// req: RCV-15
#[test]
fn what_was_sent_after_the_first_spm_is_ours() {
    // All data so far was lost: only SPMs tell.
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.spm(0, 2).unwrap();
    rig.wait(ms(100));
    assert_eq!(rig.asked(), [0, 1, 2]);
    // The first packet was lost, the second came.
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.odata_trail(1, 0).unwrap();
    rig.wait(ms(100));
    assert_eq!(rig.asked(), [0]);
    assert!(rig.take_out().is_empty());
    // The data overtook the SPM that announced it.
    let mut rig = Rig::new();
    rig.spm(0, 5).unwrap();
    rig.odata_trail(5, 0).unwrap();
    assert_eq!(rig.take_out(), singles([5]));
}
