// SPDX-License-Identifier: GPL-2.0

//! The sessions of a datagram socket.

use super::failing::{refuse, Failing};
use super::*;
use pgm_wire::Rst;
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Bus<H: Heap = StdHeap> {
    peers: Peers<u32, H>,
    now: Instant,
    out: Vec<(Tsi, Out)>,
    sent: Vec<(Tsi, PacketType)>,
}

fn tsi(n: u32) -> Tsi {
    let [a, b, c, d] = n.to_be_bytes();
    Tsi {
        gsi: Gsi([a, b, c, d, 7, 7]),
        sport: 9,
    }
}

impl Bus {
    fn new(limit: u32) -> Self {
        Self::with(config(), limit)
    }
}

impl<H: Heap> Bus<H> {
    fn with(config: ReceiverConfig, limit: u32) -> Self {
        Self {
            peers: Peers::new(config, limit, 1),
            now: Instant::ZERO.after(Duration::from_secs(1)),
            out: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn settle(&mut self) {
        let mut pieces: Vec<u32> = Vec::new();
        let mut of = None;
        while let Some((tsi, source, delivery)) = self.peers.poll_deliver() {
            assert_eq!(source, SOURCE);
            let out = match delivery {
                Delivery::Data(data) => {
                    assert!(
                        pieces.is_empty() || of == Some(tsi),
                        "an APDU was interrupted"
                    );
                    of = Some(tsi);
                    pieces.push(data.sqn.get());
                    if !data.last {
                        continue;
                    }
                    Out::Apdu(core::mem::take(&mut pieces))
                }
                Delivery::Loss { first, count } => Out::Lost(first.get(), count),
                Delivery::End(end) => Out::End(end),
            };
            self.out.push((tsi, out));
        }
        let mut buf = [0; HEADER_MAX];
        while let Some((group, transmit)) = self.peers.poll_transmit(self.now, &mut buf) {
            assert_eq!(group, GROUP);
            let packet = Packet::parse(&buf[..transmit.header_len]).unwrap();
            self.sent.push((packet.tsi(), transmit.kind));
        }
        self.peers.check();
    }

    fn wait(&mut self, d: Duration) {
        let end = self.now.after(d);
        let mut steps = 0;
        while let Some(at) = self.peers.poll_timeout() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.peers.handle_timeout(self.now);
            self.settle();
            steps += 1;
            assert!(steps < 1_000_000, "the clock stands still");
        }
        self.now = end;
    }

    fn send(&mut self, tsi: Tsi, repr: &Repr, len: u16) -> Result<(), Discard> {
        let bytes = bytes(tsi, repr, len);
        let packet = Packet::parse(&bytes).unwrap();
        let payload = repr.kind().has_payload().then_some(0);
        let result = self.peers.handle(self.now, WAY, &packet, payload);
        self.settle();
        result
    }

    fn data(&mut self, n: u32, sqn: u32, options: DataOptions) -> Result<(), Discard> {
        let body = DataBody {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(0),
        };
        self.send(tsi(n), &Repr::Odata(body, options), 10)
    }

    fn odata(&mut self, n: u32, sqn: u32) -> Result<(), Discard> {
        self.data(n, sqn, DataOptions::default())
    }

    fn rdata(&mut self, n: u32, sqn: u32) -> Result<(), Discard> {
        let body = DataBody {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(0),
        };
        self.send(tsi(n), &Repr::Rdata(body, DataOptions::default()), 10)
    }

    fn spm(&mut self, n: u32, spm_sqn: u32, lead: u32, options: SpmOptions) -> Result<(), Discard> {
        let spm = Spm {
            sqn: Sqn::new(spm_sqn),
            trail: Sqn::new(0),
            lead: Sqn::new(lead),
            path: PATH,
        };
        self.send(tsi(n), &Repr::Spm(spm, options), 0)
    }

    fn fin(&mut self, n: u32, spm_sqn: u32, lead: u32) -> Result<(), Discard> {
        let options = SpmOptions {
            fin: true,
            ..SpmOptions::default()
        };
        self.spm(n, spm_sqn, lead, options)
    }

    fn take_out(&mut self) -> Vec<(Tsi, Out)> {
        core::mem::take(&mut self.out)
    }
}

fn apdu(n: u32, sqn: u32) -> (Tsi, Out) {
    (tsi(n), Out::Apdu(vec![sqn]))
}

// req: RCV-23 WIRE-07
#[test]
fn every_tsi_is_a_session_of_its_own() {
    let mut bus = Bus::new(10);
    for n in [1, 2] {
        bus.spm(n, 1, 0, SpmOptions::default()).unwrap();
        bus.odata(n, 1).unwrap();
    }
    bus.odata(1, 3).unwrap();
    bus.odata(2, 2).unwrap();
    assert_eq!(bus.take_out(), [apdu(1, 1), apdu(2, 1), apdu(2, 2)]);
    bus.wait(ms(100));
    assert_eq!(bus.sent, [(tsi(1), PacketType::Nak)]);
    bus.odata(1, 2).unwrap();
    assert_eq!(bus.take_out(), [apdu(1, 2), apdu(1, 3)]);
    assert_eq!(bus.peers.len(), 2);
    assert_eq!(bus.peers.iter().count(), 2);
    assert_eq!(bus.peers.get(tsi(1)).unwrap().stats().apdus, 3);
    assert!(bus.peers.get(tsi(3)).is_none());
}

// req: RCV-26
// attack: A-14
#[test]
fn the_number_of_sessions_is_bounded() {
    let mut bus = Bus::new(100);
    for n in 0..100 {
        assert_eq!(bus.odata(n, 5), Ok(()));
    }
    bus.wait(Duration::from_secs(1));
    for n in 0..10_000 {
        let expected = if n < 100 {
            Ok(())
        } else {
            Err(Discard::SessionLimit)
        };
        assert_eq!(bus.odata(n, 6), expected);
    }
    assert_eq!(bus.peers.len(), 100);
    assert_eq!(bus.peers.evicted(), 0);
    assert_eq!(bus.peers.place(tsi(5), Sqn::new(7)), Place::Next);
    let full = Place::Useless(Discard::SessionLimit);
    assert_eq!(bus.peers.place(tsi(500), Sqn::new(6)), full);
    // All of them expire, and others may come.
    bus.wait(Duration::from_secs(301));
    assert!(bus.peers.is_empty());
    assert_eq!(bus.peers.poll_timeout(), None);
    let ends = bus
        .take_out()
        .into_iter()
        .filter(|(_, out)| *out == Out::End(End::Expired));
    assert_eq!(ends.count(), 100);
    assert_eq!(bus.odata(500, 5), Ok(()));
}

#[test]
fn only_packets_of_a_source_make_a_session() {
    let mut bus = Bus::new(10);
    let (nak, list) = nak_of(&[1]);
    let nak_options = NakOptions {
        list,
        ..NakOptions::default()
    };
    let no = Err(Discard::NoSocket);
    assert_eq!(bus.send(tsi(1), &Repr::Nak(nak, nak_options), 0), no);
    assert_eq!(
        bus.send(tsi(1), &Repr::Ncf(nak, NcfOptions::default()), 0),
        no
    );
    assert_eq!(bus.send(tsi(1), &Repr::Spmr, 0), no);
    // Nor those that say nothing.
    let bad = DataBody {
        sqn: Sqn::new(1),
        trail: Sqn::new(2),
    };
    let bad = Repr::Rdata(bad, DataOptions::default());
    assert_eq!(bus.send(tsi(1), &bad, 1), Err(Discard::OutsideWindow));
    assert_eq!(bus.peers.len(), 0);
    assert_eq!(bus.peers.poll_timeout(), None);
}

// req: OPT-58
#[test]
fn an_ended_session_does_not_come_back() {
    let mut bus = Bus::new(10);
    bus.odata(1, 5).unwrap();
    bus.fin(1, 1, 5).unwrap();
    assert_eq!(bus.take_out(), [apdu(1, 5), (tsi(1), Out::End(End::Fin))]);
    assert_eq!(bus.peers.len(), 0);
    // The source goes on repairing for others, and saying FIN.
    for round in 0..100 {
        assert_eq!(bus.rdata(1, 5), Err(Discard::SessionEnded));
        assert_eq!(bus.fin(1, 2 + round, 5), Err(Discard::SessionEnded));
        bus.wait(Duration::from_secs(8));
    }
    assert_eq!(
        bus.peers.place(tsi(1), Sqn::new(6)),
        Place::Useless(Discard::SessionEnded)
    );
    assert!(bus.take_out().is_empty() && bus.sent.is_empty());
    // It is forgotten in the end; but a FIN or RST alone makes no session.
    bus.wait(Duration::from_secs(31));
    assert_eq!(bus.peers.poll_timeout(), None);
    assert_eq!(bus.fin(1, 200, 5), Err(Discard::SessionEnded));
    let rst = SpmOptions {
        rst: Some(Rst::default()),
        ..SpmOptions::default()
    };
    assert_eq!(bus.spm(1, 201, 5, rst), Err(Discard::SessionEnded));
    assert!(bus.take_out().is_empty());
    assert_eq!(bus.odata(1, 6), Ok(()));
    assert_eq!(bus.take_out(), [apdu(1, 6)]);
}

// attack: A-06
#[test]
fn a_source_that_starts_again_is_heard_after_a_while() {
    let mut bus = Bus::new(10);
    bus.odata(1, 5).unwrap();
    bus.fin(1, 1, 5).unwrap();
    bus.take_out();
    for sqn in 0..100 {
        let _ = bus.odata(1, sqn);
        bus.wait(Duration::from_secs(1));
    }
    let out = bus.take_out();
    assert_eq!(out[0], apdu(1, 30));
    assert_eq!(out.len(), 70);
}

// attack: A-14
#[test]
fn sessions_that_ended_do_not_count() {
    let mut bus = Bus::new(2);
    for n in 0..1000 {
        bus.odata(n, 5).unwrap();
        bus.fin(n, 1, 5).unwrap();
        assert_eq!(bus.peers.len(), 0);
    }
    assert_eq!(bus.take_out().len(), 2000);
    bus.wait(Duration::from_secs(31));
    assert_eq!(bus.peers.poll_timeout(), None);
    for sqn in [5, 6] {
        for n in 0..2 {
            bus.odata(n, sqn).unwrap();
        }
        bus.wait(Duration::from_secs(1));
    }
    assert_eq!(bus.odata(2, 5), Err(Discard::SessionLimit));
}

#[test]
fn sessions_take_turns_after_every_apdu() {
    let mut bus = Bus::new(10);
    for n in [1, 2] {
        bus.spm(n, 1, 0, SpmOptions::default()).unwrap();
        for sqn in 2..=5 {
            let options = DataOptions {
                fragment: Some(Fragment {
                    first: Sqn::new(sqn & !1),
                    offset: (sqn & 1) * 10,
                    apdu_len: 20,
                }),
                ..DataOptions::default()
            };
            bus.data(n, sqn, options).unwrap();
        }
    }
    for n in [1, 2] {
        let body = DataBody {
            sqn: Sqn::new(1),
            trail: Sqn::new(0),
        };
        let bytes = bytes(tsi(n), &Repr::Odata(body, DataOptions::default()), 1);
        let packet = Packet::parse(&bytes).unwrap();
        bus.peers.handle(bus.now, WAY, &packet, Some(0)).unwrap();
    }
    bus.settle();
    let order: Vec<_> = bus.take_out().into_iter().map(|(tsi, _)| tsi).collect();
    assert_eq!(order, [tsi(1), tsi(2), tsi(1), tsi(2), tsi(1), tsi(2)]);
}

#[test]
fn congestion_reaches_every_session() {
    let mut bus = Bus::new(300);
    bus.peers.set_congested(bus.now, true);
    for n in 0..300 {
        bus.spm(n, 1, 0, SpmOptions::default()).unwrap();
        bus.odata(n, 2).unwrap();
    }
    bus.wait(Duration::from_secs(1));
    assert!(bus.sent.is_empty());
    bus.peers.set_congested(bus.now, false);
    bus.wait(Duration::ZERO);
    let mut naks = BTreeMap::new();
    for (tsi, _) in bus.sent.drain(..) {
        *naks.entry(tsi.gsi.0).or_insert(0) += 1;
    }
    assert_eq!(naks.len(), 300);
}

#[derive(Clone, Debug)]
enum Op {
    Data(u32, u32),
    Repair(u32, u32),
    Spm(u32, u32),
    Fin(u32, u32),
    Rst(u32),
    Wait(u32),
    Congested(bool),
    Refuse(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let source = || 0u32..8;
    prop_oneof![
        8 => (source(), 0u32..20).prop_map(|(n, sqn)| Op::Data(n, sqn)),
        2 => (source(), 0u32..20).prop_map(|(n, sqn)| Op::Repair(n, sqn)),
        4 => (source(), 0u32..20).prop_map(|(n, lead)| Op::Spm(n, lead)),
        3 => (source(), 0u32..20).prop_map(|(n, lead)| Op::Fin(n, lead)),
        1 => source().prop_map(Op::Rst),
        3 => prop_oneof![0u32..100, 0u32..40_000].prop_map(Op::Wait),
        1 => any::<bool>().prop_map(Op::Congested),
        1 => (0u64..101).prop_map(Op::Refuse)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Sessions come and go in any order, with and without memory: the table stays whole, every
    /// session ends once, and in the end nothing is left.
    // req: RCV-23 RCV-26
    #[test]
    fn the_table_stays_whole(ops in prop::collection::vec(op(), 1..200), limit in 1u32..6) {
        refuse(0, 7);
        let short = ReceiverConfig {
            peer_expiry: Duration::from_secs(60),
            ..config()
        };
        let mut bus = Bus::<Failing>::with(short, limit);
        let mut spm_sqn = 0;
        for op in ops {
            spm_sqn += 1;
            let _ = match op {
                Op::Data(n, sqn) => bus.odata(n, sqn),
                Op::Repair(n, sqn) => bus.rdata(n, sqn),
                Op::Spm(n, lead) => bus.spm(n, spm_sqn, lead, SpmOptions::default()),
                Op::Fin(n, lead) => bus.fin(n, spm_sqn, lead),
                Op::Rst(n) => {
                    let rst = SpmOptions {
                        rst: Some(Rst::default()),
                        ..SpmOptions::default()
                    };
                    bus.spm(n, spm_sqn, 0, rst)
                }
                Op::Wait(n) => {
                    bus.wait(ms(n));
                    Ok(())
                }
                Op::Congested(on) => {
                    bus.peers.set_congested(bus.now, on);
                    Ok(())
                }
                Op::Refuse(percent) => {
                    refuse(percent, u64::from(spm_sqn));
                    Ok(())
                }
            };
            prop_assert!(bus.peers.len() <= limit);
            prop_assert_eq!(bus.peers.iter().count(), usize::try_from(bus.peers.len()).unwrap());
            if !bus.peers.is_empty() {
                prop_assert!(bus.peers.poll_timeout().is_some());
            }
        }
        bus.wait(Duration::from_secs(100));
        prop_assert_eq!(bus.peers.len(), 0);
        prop_assert_eq!(bus.peers.poll_timeout(), None);
        // What came out of each session is in order, up to its end.
        let mut last: BTreeMap<[u8; 6], Option<u32>> = BTreeMap::new();
        for (tsi, out) in bus.take_out() {
            let last = last.entry(tsi.gsi.0).or_default();
            match out {
                Out::Apdu(sqns) => {
                    prop_assert!(last.is_none_or(|last| last + 1 == sqns[0]));
                    *last = Some(sqns[0]);
                }
                Out::Lost(first, count) => {
                    prop_assert!(last.is_none_or(|last| last + 1 == first));
                    *last = Some(first + count - 1);
                }
                Out::End(_) => *last = None,
            }
        }
        // And it can start all over.
        refuse(0, 0);
        for n in 0..limit {
            prop_assert_eq!(bus.odata(100 + n, 1), Ok(()));
        }
    }
}

#[test]
fn a_session_that_only_waits_for_its_reader_wakes_nobody() {
    let mut bus = Bus::new(10);
    bus.odata(1, 1).unwrap();
    let spm = Spm {
        sqn: Sqn::new(1),
        trail: Sqn::new(0),
        lead: Sqn::new(1),
        path: PATH,
    };
    let rst = SpmOptions {
        rst: Some(Rst::default()),
        ..SpmOptions::default()
    };
    let bytes = bytes(tsi(1), &Repr::Spm(spm, rst), 0);
    let packet = Packet::parse(&bytes).unwrap();
    bus.peers.handle(bus.now, WAY, &packet, None).unwrap();
    bus.peers
        .handle_timeout(bus.now.after(Duration::from_secs(1000)));
    assert_eq!(bus.peers.poll_timeout(), None);
    bus.settle();
    let end = Out::End(End::Reset { code: 0 });
    assert_eq!(bus.take_out(), [apdu(1, 1), (tsi(1), end)]);
}
