// SPDX-License-Identifier: GPL-2.0

//! Start and end of a session: OPT_SYN, OPT_FIN, OPT_RST, expiry (RFC 3208 §9.6 to §9.8).

use super::*;
use pgm_wire::Rst;

fn fin() -> SpmOptions {
    SpmOptions {
        fin: true,
        ..SpmOptions::default()
    }
}

fn rst(no_naks: bool, code: u8) -> SpmOptions {
    SpmOptions {
        rst: Some(Rst { no_naks, code }),
        ..SpmOptions::default()
    }
}

// req: OPT-52
#[test]
fn syn_is_handed_on() {
    let mut rig = Rig::new();
    let options = DataOptions {
        syn: true,
        ..DataOptions::default()
    };
    let body = DataBody {
        sqn: Sqn::new(0),
        trail: Sqn::new(0),
    };
    let bytes = bytes(TSI, &Repr::Odata(body, options), 4);
    let packet = Packet::parse(&bytes).unwrap();
    let now = rig.now;
    rig.rx.handle(now, SOURCE, &packet, Some(0)).unwrap();
    let Some(Delivery::Data(data)) = rig.rx.poll_deliver() else {
        panic!("no data");
    };
    assert!(data.syn && data.last);
    rig.odata(1).unwrap();
    assert_eq!(rig.take_out(), singles([1]));
}

// req: OPT-55 OPT-58
#[test]
fn the_end_comes_after_the_last_data() {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    // The last packet was lost: only the FIN tells.
    rig.spm_with(0, 1, fin()).unwrap();
    assert_eq!(rig.take_out(), singles([0]));
    rig.wait(ms(51));
    assert_eq!(rig.asked(), [1]);
    rig.rdata(1).unwrap();
    assert_eq!(
        rig.take_out(),
        [singles([1]), vec![Out::End(End::Fin)]].concat()
    );
    assert!(rig.rx.is_ended());
    assert_eq!(rig.rx.poll_timeout(), None);
    assert_eq!(rig.odata(2), Err(Discard::SessionEnded));
    assert_eq!(
        rig.rx.place(Sqn::new(2)),
        Place::Useless(Discard::SessionEnded)
    );
    assert!(rig.take_out().is_empty());
}

// req: OPT-58 RCV-21
#[test]
fn what_is_lost_is_reported_before_the_end() {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    rig.spm_with(0, 2, fin()).unwrap();
    rig.rdata(2).unwrap();
    // The source closes its window.
    rig.spm_with(3, 2, fin()).unwrap();
    let expected = [
        singles([0]),
        vec![Out::Lost(1, 1)],
        singles([2]),
        vec![Out::End(End::Fin)],
    ];
    assert_eq!(rig.take_out(), expected.concat());
}

// req: OPT-58
#[test]
fn a_session_may_end_before_it_began() {
    let mut rig = Rig::new();
    rig.spm_with(0, u32::MAX, fin()).unwrap();
    assert_eq!(rig.take_out(), [Out::End(End::Fin)]);
    // Data was sent after the first SPM, and nobody heard it.
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.spm_with(0, 1, fin()).unwrap();
    assert!(rig.take_out().is_empty());
    rig.wait(ms(51));
    assert_eq!(rig.asked(), [0, 1]);
}

// req: OPT-58
#[test]
fn fin_on_data_ends_the_session_too() {
    for rdata in [false, true] {
        let mut rig = Rig::new();
        let options = DataOptions {
            fin: true,
            ..DataOptions::default()
        };
        rig.odata(7).unwrap();
        rig.data(rdata, 8, 7, 10, options).unwrap();
        assert_eq!(
            rig.take_out(),
            [singles([7, 8]), vec![Out::End(End::Fin)]].concat()
        );
    }
}

// req: OPT-26 OPT-58
// attack: A-19
#[test]
fn an_apdu_without_end_is_lost_at_fin() {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.piece(0, 0, 3, 10).unwrap();
    rig.piece(0, 1, 3, 10).unwrap();
    rig.spm_with(0, 1, fin()).unwrap();
    assert_eq!(rig.take_out(), [Out::Lost(0, 2), Out::End(End::Fin)]);
}

// req: OPT-59
#[test]
fn rst_counts_on_spms_only() {
    // The codec drops OPT_RST from every other type, as it has no place there.
    let mut rig = Rig::new();
    rig.odata(1).unwrap();
    let body = DataBody {
        sqn: Sqn::new(2),
        trail: Sqn::new(1),
    };
    let options = DataOptions {
        fin: true,
        ..DataOptions::default()
    };
    let mut bytes = bytes(TSI, &Repr::Odata(body, options), 4);
    // OPT_FIN (0x0E) becomes OPT_RST (0x0F); both have 4 bytes.
    let at = bytes.iter().position(|byte| *byte == 0x8E).unwrap();
    bytes[at] = 0x8F;
    bytes[6..8].copy_from_slice(&[0, 0]);
    let sum = Sum::of(&bytes).finish();
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    let packet = Packet::parse(&bytes).unwrap();
    let now = rig.now;
    rig.rx.handle(now, SOURCE, &packet, Some(2)).unwrap();
    rig.settle();
    assert_eq!(rig.take_out(), singles([1, 2]));
}

// req: OPT-55 OPT-61 OPT-63
#[test]
fn a_reset_reports_what_is_missing_and_ends_at_once() {
    for no_naks in [false, true] {
        let mut rig = Rig::new();
        rig.spm(0, u32::MAX).unwrap();
        rig.odata(0).unwrap();
        for sqn in [2, 4] {
            rig.odata(sqn).unwrap();
        }
        rig.spm_with(0, 6, rst(no_naks, 9)).unwrap();
        let expected = [
            singles([0]),
            vec![Out::Lost(1, 1)],
            singles([2]),
            vec![Out::Lost(3, 1)],
            singles([4]),
            vec![Out::Lost(5, 2), Out::End(End::Reset { code: 9 })],
        ];
        assert_eq!(rig.take_out(), expected.concat());
        assert_eq!(rig.odata(7), Err(Discard::SessionEnded));
        rig.wait(Duration::from_secs(5));
        assert!(rig.sent.is_empty());
    }
}

// req: OPT-63
#[test]
fn a_reset_before_any_data_ends_the_session() {
    let mut rig = Rig::new();
    rig.spm_with(0, 10, rst(true, 0)).unwrap();
    assert_eq!(rig.take_out(), [Out::End(End::Reset { code: 0 })]);
}

// req: RCV-26
#[test]
fn a_silent_source_expires() {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    rig.wait(Duration::from_secs(200));
    // Any packet of the source keeps the session.
    let _ = rig.ncf(&[77]);
    rig.wait(Duration::from_secs(200));
    rig.odata(2).unwrap();
    assert_eq!(rig.take_out(), singles([0]));
    // Other receivers do not.
    for _ in 0..301 {
        let _ = rig.heard_nak(&[1]);
        rig.wait(Duration::from_secs(1));
    }
    let expected = [
        vec![Out::Lost(1, 1)],
        singles([2]),
        vec![Out::End(End::Expired)],
    ];
    assert_eq!(rig.take_out(), expected.concat());
    assert!(rig.rx.is_ended());
}

#[test]
fn a_source_that_fell_silent_after_its_fin_has_closed() {
    let patient = ReceiverConfig {
        peer_expiry: Duration::from_secs(2),
        ..config()
    };
    let mut rig = Rig::<StdHeap>::with(patient, 1);
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    rig.spm_with(0, 1, fin()).unwrap();
    rig.wait(Duration::from_secs(3));
    let expected = [singles([0]), vec![Out::Lost(1, 1), Out::End(End::Fin)]];
    assert_eq!(rig.take_out(), expected.concat());
}

// req: RCV-26
#[test]
fn packets_that_fit_nothing_do_not_keep_a_session() {
    let mut rig = Rig::new();
    rig.spm(0x7000_0000, 0x7000_0000).unwrap();
    rig.odata(0x7000_0001).unwrap();
    // The source started again under its TSI.
    for n in 0..400 {
        let _ = rig.spm_raw(0, 0, n, PATH, SpmOptions::default());
        let _ = rig.odata_trail(n, 0);
        rig.wait(Duration::from_secs(1));
    }
    let expected = [singles([0x7000_0001]), vec![Out::End(End::Expired)]];
    assert_eq!(rig.take_out(), expected.concat());
}
