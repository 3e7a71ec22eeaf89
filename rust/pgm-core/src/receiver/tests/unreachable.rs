// SPDX-License-Identifier: GPL-2.0

//! A parent that cannot reach us by multicast: OPT_NBR_UNREACH (RFC 3208 §15.3.2).

use super::*;

fn ncf(path: Option<Addr>, nbr_unreach: bool) -> Repr {
    let (nak, list) = nak_of(&[2, 3]);
    let options = NcfOptions {
        list,
        nbr_unreach,
        path_nla: path,
        ..NcfOptions::default()
    };
    Repr::Ncf(nak, options)
}

/// One packet to this node alone: the bytes of its copy, if there is one.
fn unicast(rig: &mut Rig, repr: &Repr) -> Result<Option<Vec<u8>>, Discard> {
    let bytes = bytes(TSI, repr, 0);
    let packet = Packet::parse(&bytes).unwrap();
    let mut buf = [0; HEADER_MAX];
    let copy = rig.rx.handle_unicast(rig.now, &packet, &mut buf)?;
    let copy = copy.map(|copy| {
        assert_eq!(copy.destination, Destination::GroupLocal);
        assert!(!copy.router_alert && !copy.copy && copy.payload.is_none());
        buf[..copy.header_len].to_vec()
    });
    rig.settle();
    Ok(copy)
}

/// 2 is missing, the parent is known.
fn with_gap() -> Rig {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.spm(1, 1).unwrap();
    rig.odata(3).unwrap();
    rig.odata(4).unwrap();
    rig
}

// req: IMP-16, IMP-17
#[test]
fn a_unicast_ncf_stops_naks_and_is_copied_to_the_neighbours() {
    let mut rig = with_gap();
    let repr = ncf(Some(PATH), true);
    let copy = unicast(&mut rig, &repr).unwrap().expect("a copy");
    assert_eq!(copy, bytes(TSI, &repr, 0), "the same packet");
    rig.wait(Duration::from_secs(3));
    assert!(rig.asked().is_empty());
    // The neighbours hear the copy and are silent too; they do not copy it again.
    let mut neighbour = with_gap();
    neighbour.send(&repr, 0, 0).unwrap();
    neighbour.wait(Duration::from_secs(3));
    assert!(neighbour.sent.is_empty());
    // A regular SPM ends it.
    rig.spm(1, 4).unwrap();
    rig.wait(ms(51));
    assert_eq!(rig.asked(), [2]);
}

// req: IMP-17
// attack: A-15
#[test]
fn forged_ones_do_not_amplify() {
    let mut rig = with_gap();
    let repr = ncf(Some(PATH), true);
    assert!(unicast(&mut rig, &repr).unwrap().is_some());
    for _ in 0..100 {
        assert_eq!(unicast(&mut rig, &repr), Ok(None));
        rig.wait(ms(10));
    }
    rig.spm(1, 4).unwrap();
    assert!(unicast(&mut rig, &repr).unwrap().is_some());
}

// req: IMP-17, IMP-19
#[test]
fn only_the_parent_is_heeded() {
    let mut rig = with_gap();
    for path in [Some(OTHER), None] {
        let result = unicast(&mut rig, &ncf(path, true));
        assert_eq!(result, Err(Discard::Unmatched));
    }
    // Any other packet to this node alone is not for a receiver.
    for repr in [ncf(Some(PATH), false), Repr::Spmr] {
        let result = unicast(&mut rig, &repr);
        assert_eq!(result, Err(Discard::UnexpectedType));
    }
    rig.wait(ms(100));
    assert_eq!(rig.asked(), [2]);
}

// req: IMP-16
#[test]
fn an_ncf_without_a_match_here_counts_too() {
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    rig.spm(1, 1).unwrap();
    unicast(&mut rig, &ncf(Some(PATH), true)).unwrap().unwrap();
    rig.odata(5).unwrap();
    rig.odata(6).unwrap();
    rig.wait(Duration::from_secs(1));
    assert!(rig.asked().is_empty());
}

#[test]
fn what_the_parent_says_is_no_sign_of_the_source() {
    let mut rig = with_gap();
    let special = SpmOptions {
        nbr_unreach: true,
        ..SpmOptions::default()
    };
    for _ in 0..400 {
        rig.wait(Duration::from_secs(1));
        let _ = rig.spm_raw(1, 0, 0x8000_0000, PATH, special);
    }
    assert_eq!(rig.out.last(), Some(&Out::End(End::Expired)));
}

#[test]
fn a_passive_receiver_copies_nothing() {
    let passive = ReceiverConfig {
        passive: true,
        ..config()
    };
    let mut rig = Rig::with(passive, 1);
    rig.spm(1, 1).unwrap();
    assert_eq!(unicast(&mut rig, &ncf(Some(PATH), true)), Ok(None));
}

// req: NAK-18
#[test]
fn naks_are_multicast_too_if_asked() {
    for multicast_nak in [false, true] {
        let config = ReceiverConfig {
            multicast_nak,
            ..config()
        };
        let mut rig: Rig = Rig::with(config, 1);
        rig.spm(1, 0).unwrap();
        rig.odata(2).unwrap();
        rig.wait(ms(100));
        let naks = rig.take_naks();
        assert_eq!(naks[0].to, Destination::Unicast(PATH));
        assert!(naks.iter().all(|nak| nak.copy == multicast_nak));
    }
}
