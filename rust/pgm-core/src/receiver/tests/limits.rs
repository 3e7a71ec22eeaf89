// SPDX-License-Identifier: GPL-2.0

//! What made-up sessions may cost: floods of TSIs, forged edges, ceilings (RFC 3208 §10).

use super::*;
use crate::memory::counted::{held, Counted};
use crate::paged::steps;
use crate::receiver::rxw::MISSING_MAX;
use crate::receiver::usage::UNPROVEN_MISSING_MAX;
use crate::ring::RING_MAX;

/// Sessions of a datagram socket, polled as the owner does but without the checks of the other tests,
/// which walk the table.
struct Socket {
    peers: Peers<u32, Counted>,
    now: Instant,
    apdus: Vec<(Tsi, u32)>,
    losses: u32,
    /// The most steps that one packet cost.
    worst: u64,
}

fn tsi(n: u32) -> Tsi {
    let [a, b, c, d] = n.to_be_bytes();
    Tsi {
        gsi: Gsi([a, b, c, d, 9, 9]),
        sport: 10,
    }
}

impl Socket {
    fn new(limit: u32) -> Self {
        Self {
            peers: Peers::new(config(), limit, 1),
            now: Instant::ZERO.after(Duration::from_secs(1)),
            apdus: Vec::new(),
            losses: 0,
            worst: 0,
        }
    }

    fn send(&mut self, n: u32, repr: &Repr) -> Result<(), Discard> {
        let bytes = bytes(tsi(n), repr, 10);
        let packet = Packet::parse(&bytes).unwrap();
        let payload = repr.kind().has_payload().then_some(0);
        steps::take();
        let result = self.peers.handle(self.now, WAY, &packet, payload);
        self.settle();
        self.worst = self.worst.max(steps::take());
        result
    }

    fn settle(&mut self) {
        while let Some((tsi, _, delivery)) = self.peers.poll_deliver() {
            match delivery {
                Delivery::Data(data) if data.last => self.apdus.push((tsi, data.sqn.get())),
                Delivery::Loss { .. } => self.losses += 1,
                _ => {}
            }
        }
        let mut buf = [0; HEADER_MAX];
        while self.peers.poll_transmit(self.now, &mut buf).is_some() {}
    }

    fn odata(&mut self, n: u32, sqn: u32) -> Result<(), Discard> {
        let body = DataBody {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(0),
        };
        self.send(n, &Repr::Odata(body, DataOptions::default()))
    }

    fn spm(&mut self, n: u32, sqn: u32, lead: u32) -> Result<(), Discard> {
        let spm = Spm {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(0),
            lead: Sqn::new(lead),
            path: PATH,
        };
        self.send(n, &Repr::Spm(spm, SpmOptions::default()))
    }

    /// Makes a session that is proven; its next number is 2.
    fn prove(&mut self, n: u32) {
        self.odata(n, 0).unwrap();
        assert!(!self.peers.is_proven(tsi(n)));
        self.now = self.now.after(Duration::from_secs(1));
        self.odata(n, 1).unwrap();
        assert!(self.peers.is_proven(tsi(n)));
    }

    fn wait(&mut self, d: Duration) {
        let end = self.now.after(d);
        while let Some(at) = self.peers.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.peers.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }
}

// req: RCV-26 SEC-03
// attack: A-14 A-23
#[test]
fn a_million_made_up_tsis_a_second_cost_bounded_memory_and_no_proven_session() {
    let mut socket = Socket::new(1_024);
    for n in 0..10 {
        socket.prove(n);
    }
    socket.apdus.clear();
    let (start, mut most) = (socket.now, 0);
    let mut expected = Vec::new();
    for n in 0..200_000u32 {
        let forged = 1_000 + n;
        let _ = match n % 64 {
            // It asks for thousands of packets.
            0 => socket
                .spm(forged, 1, 5)
                .and_then(|()| socket.spm(forged, 2, 100_000)),
            // Its data is far ahead of a hole.
            1 => socket
                .odata(forged, 0)
                .and_then(|()| socket.odata(forged, 2_000)),
            // It delivers data, or only announces itself.
            _ if n % 2 == 0 => socket.odata(forged, 7),
            _ => socket.spm(forged, 1, 5),
        };
        most = most.max(held());
        socket.now = socket.now.after(Duration::from_nanos(1_000));
        if n % 2_000 == 0 {
            for real in 0..10 {
                socket.odata(real, 2 + n / 2_000).unwrap();
                expected.push((tsi(real), 2 + n / 2_000));
            }
        }
    }
    assert_eq!(socket.now.since(start), ms(200));
    socket
        .apdus
        .retain(|(tsi, _)| (0..10).any(|n| *tsi == self::tsi(n)));
    assert_eq!(socket.apdus, expected, "data of the real sources");
    assert_eq!(socket.losses, 0);
    assert_eq!(socket.peers.len(), 1_024);
    assert!(socket.peers.evicted() > 198_000);
    assert!(most <= 100 << 20, "{most} bytes");
    assert!(socket.worst <= 60_000, "{} steps", socket.worst);
    // When it is over, new sources are heard at once.
    socket.odata(500, 3).unwrap();
    assert_eq!(socket.apdus.last(), Some(&(tsi(500), 3)));
}

// attack: A-14
#[test]
fn proven_sessions_are_not_given_up_for_others() {
    let mut socket = Socket::new(3);
    for n in 0..3 {
        socket.prove(n);
    }
    assert_eq!(socket.odata(7, 1), Err(Discard::SessionLimit));
    let full = Place::Useless(Discard::SessionLimit);
    assert_eq!(socket.peers.place(tsi(7), Sqn::new(1)), full);
    assert_eq!(socket.peers.evicted(), 0);
    socket.odata(2, 2).unwrap();
    assert_eq!(socket.apdus.last(), Some(&(tsi(2), 2)));
}

/// To be heard for long is no proof of a source that gave nothing to deliver.
// attack: A-14
#[test]
fn a_source_that_only_announces_itself_proves_nothing() {
    let mut socket = Socket::new(1);
    for second in 1..5 {
        socket.spm(1, second, 5 + second).unwrap();
        socket.now = socket.now.after(Duration::from_secs(1));
    }
    assert!(!socket.peers.is_proven(tsi(1)));
    socket.odata(2, 0).unwrap();
    assert_eq!(socket.peers.evicted(), 1);
}

// attack: A-14
#[test]
fn each_session_that_gives_way_is_told_of() {
    let mut socket = Socket::new(4);
    for n in 0..4 {
        socket.odata(n, 0).unwrap();
    }
    let body = DataBody {
        sqn: Sqn::new(0),
        trail: Sqn::new(0),
    };
    let repr = Repr::Odata(body, DataOptions::default());
    // More of them come together, before anything is told.
    let results = [4, 5].map(|n| {
        let bytes = bytes(tsi(n), &repr, 10);
        let packet = Packet::parse(&bytes).unwrap();
        socket.peers.handle(socket.now, WAY, &packet, Some(0))
    });
    assert_eq!(results, [Ok(()), Err(Discard::SessionLimit)]);
    let mut ends = Vec::new();
    for n in 5..8 {
        while let Some((tsi, _, delivery)) = socket.peers.poll_deliver() {
            if delivery == Delivery::End(End::Expired) {
                ends.push(tsi);
            }
        }
        let bytes = bytes(tsi(n), &repr, 10);
        let packet = Packet::parse(&bytes).unwrap();
        let way = socket.peers.handle(socket.now, WAY, &packet, Some(0));
        way.unwrap();
    }
    assert_eq!(ends, [tsi(0), tsi(1), tsi(2)]);
}

// attack: A-14
#[test]
fn the_owner_s_ceiling_of_sessions_counts_as_the_socket_s() {
    let mut socket = Socket::new(100);
    socket.peers.set_ceilings(Ceilings {
        sessions: 2,
        ..Ceilings::NONE
    });
    socket.prove(0);
    socket.odata(1, 1).unwrap();
    // The one that is not proven gives way.
    socket.odata(2, 1).unwrap();
    assert_eq!((socket.peers.len(), socket.peers.evicted()), (2, 1));
    assert!(socket.peers.get(tsi(1)).is_none());
    socket.now = socket.now.after(Duration::from_secs(1));
    socket.odata(2, 2).unwrap();
    assert_eq!(socket.odata(3, 1), Err(Discard::SessionCeiling));
}

// attack: A-14
#[test]
fn nak_states_stay_below_the_ceiling_and_none_is_stuck() {
    let mut socket = Socket::new(100);
    socket.peers.set_ceilings(Ceilings {
        naks: 2_000,
        naks_unproven: 1_000,
        ..Ceilings::NONE
    });
    socket.prove(0);
    // Forged edges: their sessions may have a half of all.
    for n in 1..50 {
        socket.spm(n, 1, 5).unwrap();
        socket.spm(n, 2, 50_000).unwrap();
    }
    socket.wait(ms(300));
    assert_eq!(socket.peers.usage().naks, 1_000);
    assert!(socket.peers.naks_limited() > 0);
    // A real loss, of more than is left.
    socket.spm(0, 1, 1_501).unwrap();
    socket.wait(ms(300));
    assert_eq!(socket.peers.usage().naks, 2_000);
    assert_eq!(socket.peers.get(tsi(0)).unwrap().usage().naks, 1_000);
    // It goes on when repairs came.
    for sqn in 2..=1_501 {
        socket.odata(0, sqn).unwrap();
    }
    socket.wait(ms(300));
    assert_eq!(socket.peers.usage().naks, 1_000);
    assert_eq!((socket.apdus.len(), socket.losses), (1_502, 0));
}

/// Sessions that somebody made up and kept up take no repairs from those that miss little.
// attack: A-14
#[test]
fn some_nak_states_are_for_those_who_need_few() {
    let mut socket = Socket::new(100);
    socket.peers.set_ceilings(Ceilings {
        naks: 2_000,
        naks_unproven: 1_000,
        naks_reserved: 500,
        ..Ceilings::NONE
    });
    for n in 0..9 {
        socket.prove(n);
    }
    for n in 1..8 {
        socket.spm(n, 1, 50_000).unwrap();
    }
    socket.wait(ms(300));
    assert!(socket.peers.usage().naks >= 1_500);
    for n in [0, 8] {
        socket.spm(n, 1, 31).unwrap();
        socket.wait(ms(300));
        assert_eq!(socket.peers.get(tsi(n)).unwrap().usage().naks, 30);
    }
    assert!(socket.peers.usage().naks <= 2_000);
}

// attack: A-14
#[test]
fn an_edge_that_may_be_forged_is_answered_by_few_naks() {
    let mut socket = Socket::new(10);
    socket.spm(1, 1, 5).unwrap();
    socket.spm(1, 2, 50_000).unwrap();
    socket.wait(ms(150));
    assert_eq!(socket.peers.usage().naks, UNPROVEN_MISSING_MAX);
    let naks = socket.peers.stats().naks_sent;
    assert!((2..=4).contains(&naks), "{naks} NAKs");
    // The same of a source that went on for a second.
    socket.prove(2);
    socket.spm(2, 1, 50_000).unwrap();
    socket.wait(ms(150));
    let session = socket.peers.get(tsi(2)).unwrap();
    assert_eq!(session.usage().naks, MISSING_MAX);
}

#[test]
fn parts_of_apdus_are_counted_while_they_wait() {
    let mut rig = Rig::new();
    rig.odata(0).unwrap();
    rig.piece(2, 0, 3, 10).unwrap();
    rig.piece(2, 1, 3, 10).unwrap();
    assert_eq!(rig.rx.usage().pieces, 2);
    rig.rdata(1).unwrap();
    assert_eq!(rig.rx.usage().pieces, 2);
    rig.piece(2, 2, 3, 10).unwrap();
    assert_eq!(rig.rx.usage().pieces, 0);
    // And when they are given up.
    rig.piece(5, 0, 3, 10).unwrap();
    rig.odata_trail(9, 9).unwrap();
    assert_eq!(rig.rx.usage().pieces, 0);
}

// req: NAK-22
// attack: A-23
#[test]
fn data_that_comes_with_a_jump_of_the_trailing_edge_is_kept() {
    let mut rig: Rig = Rig::with(config(), 1);
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    rig.spm(0, 20_000).unwrap();
    rig.wait(ms(500));
    rig.take_naks();
    rig.take_out();
    rig.odata_trail(1_000_000, 1_000_000).unwrap();
    let expected = [vec![Out::Lost(1, 999_999)], singles([1_000_000])];
    assert_eq!(rig.take_out(), expected.concat());
    rig.wait(Duration::from_secs(1));
    assert!(rig.asked().is_empty());
}

// attack: A-23
#[test]
fn no_packet_costs_more_than_a_few_walks() {
    let largest = ReceiverConfig {
        rxw_sqns: RING_MAX,
        ..config()
    };
    let mut rig: Rig = Rig::with(largest, 1);
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    let mut worst = 0;
    let mut measure = |rig: &mut Rig, act: &mut dyn FnMut(&mut Rig)| {
        steps::take();
        act(rig);
        worst = worst.max(steps::take());
    };
    // Packets far ahead, each in a page of its own.
    for sqn in (1_000..RING_MAX).step_by(32) {
        measure(&mut rig, &mut |rig| rig.odata(sqn).unwrap());
    }
    // All timers at once, then lists of other receivers.
    for _ in 0..500 {
        measure(&mut rig, &mut |rig| {
            rig.now = rig.now.after(ms(10));
            let now = rig.now;
            rig.rx.handle_timeout(now);
        });
        rig.settle();
    }
    for n in 0..64 {
        let sqns: Vec<u32> = (0..63).map(|i| 1 + n * 63 + i).collect();
        measure(&mut rig, &mut |rig| {
            let _ = rig.ncf(&sqns);
        });
    }
    // A jump over all of it.
    measure(&mut rig, &mut |rig| {
        let trail = Sqn::new(900_000);
        let packet = DataBody { sqn: trail, trail };
        let bytes = bytes(TSI, &Repr::Odata(packet, DataOptions::default()), 10);
        let packet = Packet::parse(&bytes).unwrap();
        let _ = rig.rx.handle(rig.now, OTHER, &packet, Some(900_000));
    });
    assert!(worst <= 100_000, "{worst} steps");
}

// req: NAK-20
// attack: A-15
#[test]
fn a_flood_of_ncfs_hushes_a_receiver_no_longer_than_the_retries_last() {
    let mut rig = Rig::new();
    rig.spm(0, u32::MAX).unwrap();
    rig.odata(0).unwrap();
    rig.spm(0, 1).unwrap();
    rig.wait(ms(100));
    let from = rig.now;
    // NAK_DATA_RETRIES (50) waits of NAK_RDATA_IVL (0.4 s): then the loss is told, and not hidden.
    while rig.out.len() < 2 {
        let _ = rig.ncf(&[1]);
        rig.wait(ms(1));
        assert!(rig.now.since(from) <= Duration::from_secs(21));
    }
    assert_eq!(rig.take_out(), [Out::Apdu(vec![0]), Out::Lost(1, 1)]);
}

fn room(gaps: u16, beyond: u16) -> Ceilings {
    Ceilings {
        room: Room { gaps, beyond },
        ..Ceilings::NONE
    }
}

/// Of what follows the first packet, nothing came.
fn missing_all_of(count: u32, ceilings: &Ceilings) -> Rig {
    let mut rig = Rig::new();
    rig.odata(0).unwrap();
    rig.rx.set_ceilings(ceilings);
    rig.spm(0, count).unwrap();
    rig
}

// attack: A-14
#[test]
fn what_there_is_no_memory_for_is_not_asked_for() {
    let mut rig = missing_all_of(100, &room(5, 3));
    rig.wait(ms(150));
    assert_eq!(rig.asked(), [1, 2, 3]);
    assert!(rig.rx.lacks_room());
    // What came made room, if the owner says so: for as many as there were.
    rig.rdata(1).unwrap();
    rig.wait(ms(150));
    assert!(rig.asked().contains(&4));
    // What data waits for may take more.
    rig.odata(50).unwrap();
    rig.wait(ms(300));
    assert_eq!(rig.rx.usage().naks, 5);
    rig.rx.set_ceilings(&room(u16::MAX, 3));
    rig.wait(ms(300));
    assert_eq!(rig.rx.usage().naks, 49 - 1);
    rig.rx.set_ceilings(&Ceilings::NONE);
    rig.wait(ms(300));
    assert!(!rig.rx.lacks_room());
    for sqn in (2..50).chain(51..=100) {
        rig.rdata(sqn).unwrap();
    }
    assert_eq!(rig.take_out(), singles(0..=100));
}

#[test]
fn without_memory_what_delivery_waits_for_is_asked_for() {
    let mut rig = missing_all_of(10, &room(0, 0));
    for sqn in 1..=10 {
        rig.wait(ms(500));
        assert_eq!(rig.asked().last(), Some(&sqn));
        assert_eq!(rig.rx.usage().naks, 1);
        rig.rdata(sqn).unwrap();
    }
    assert_eq!(rig.take_out(), singles(0..=10));
}

#[test]
fn sessions_that_waited_for_memory_go_on_when_there_is_some() {
    let mut socket = Socket::new(10);
    socket.prove(0);
    socket.prove(1);
    socket.peers.set_ceilings(room(2, 2));
    socket.spm(0, 2, 10).unwrap();
    socket.spm(1, 2, 10).unwrap();
    socket.wait(ms(300));
    assert_eq!(socket.peers.usage().naks, 4);
    assert!(socket.peers.lacks_room());
    socket.peers.set_ceilings(Ceilings::NONE);
    socket.peers.make_room();
    socket.wait(ms(1));
    assert!(!socket.peers.lacks_room());
    assert_eq!(socket.peers.usage().naks, 18);
}
