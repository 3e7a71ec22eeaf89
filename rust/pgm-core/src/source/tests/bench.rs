// SPDX-License-Identifier: GPL-2.0

//! The test bench: a source, a clock, and what came out.

use std::vec::Vec;

use pgm_wire::checksum::Sum;
use pgm_wire::{
    Addr, Body, Fragment, Gsi, Nak, NakList, NakOptions, Packet, PacketType, Ports, Repr, Rst, Sqn,
    Tsi, HEADER_MAX,
};

use crate::memory::{Heap, StdHeap};
use crate::source::{Advance, Heartbeat, Source, SourceConfig};
use crate::time::{Duration, Instant};
use crate::transmit::Destination;
use crate::Discard;

pub(super) const NLA: Addr = Addr::V4([192, 0, 2, 1]);
/// Who sends what a test does not send from elsewhere.
pub(super) const RECEIVER: Addr = Addr::V4([192, 0, 2, 77]);
pub(super) const GROUP: Addr = Addr::V4([239, 1, 2, 3]);
pub(super) const TSI: Tsi = Tsi {
    gsi: Gsi([1, 2, 3, 4, 5, 6]),
    sport: 1000,
};
pub(super) const DPORT: u16 = 7500;
/// Of packets from receivers.
const UPSTREAM: Ports = Ports {
    sport: DPORT,
    dport: TSI.sport,
    gsi: TSI.gsi,
};
pub(super) const MS: u64 = 1_000_000;

pub(super) fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * MS)
}

pub(super) fn config() -> SourceConfig {
    SourceConfig {
        tsi: TSI,
        dport: DPORT,
        nla: NLA,
        group: GROUP,
        rate: 10_000_000,
        ip_overhead: 20,
        window: Duration::from_secs(5),
        window_bytes: 1_000_000,
        window_sqns: 1024,
        advance: Advance::WithTime,
        advance_percent: 20,
        join_percent: 0,
        queue_bytes: 100_000,
        ambient: Duration::from_secs(8),
        heartbeat: Heartbeat::doubling(Duration::from_millis(100), Duration::from_secs(2)),
        first_sqn: Sqn::new(0xffff_fffa),
    }
}

/// A packet that left, parsed.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    /// Whom it is for, if not the group.
    pub(super) to: Option<Addr>,
    pub(super) kind: PacketType,
    pub(super) body: Body,
    pub(super) list: NakList,
    pub(super) fragment: Option<Fragment>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: Option<Rst>,
    pub(super) join: Option<Sqn>,
    /// OPT_NAK_BO_IVL: microseconds and SQN.
    pub(super) backoff: Option<(u32, u32)>,
    pub(super) unreach: bool,
    pub(super) path_nla: Option<Addr>,
    pub(super) payload: Vec<u8>,
    pub(super) bytes: u64,
}

impl Sent {
    /// SQN and TRAIL of a data packet.
    pub(super) fn data(&self) -> (Sqn, Sqn) {
        match self.body {
            Body::Odata(data) | Body::Rdata(data) => (data.sqn, data.trail),
            _ => panic!("not data: {self:?}"),
        }
    }

    /// TRAIL and LEAD of an SPM.
    pub(super) fn edges(&self) -> (Sqn, Sqn) {
        match self.body {
            Body::Spm(spm) => (spm.trail, spm.lead),
            _ => panic!("not an SPM: {self:?}"),
        }
    }

    fn parse(at: Instant, bytes: &[u8]) -> Self {
        let packet = Packet::parse(bytes).expect("the source emits valid packets");
        assert_eq!(packet.tsi(), TSI);
        assert_eq!(packet.data_port(), DPORT);
        assert!(pgm_wire::checksum::verify(bytes));
        Self {
            at,
            to: None,
            kind: packet.header.kind,
            body: packet.body,
            list: packet.options.nak_list().unwrap_or_default(),
            fragment: packet.options.fragment(),
            syn: packet.options.syn(),
            fin: packet.options.fin(),
            rst: packet.options.rst(),
            join: packet.options.join(),
            backoff: packet
                .options
                .nak_bo_ivl()
                .map(|ivl| (ivl.micros, ivl.sqn.get())),
            unreach: packet.options.nbr_unreach(),
            path_nla: packet.options.path_nla(),
            payload: packet.payload.to_vec(),
            bytes: u64::try_from(bytes.len()).unwrap() + 20,
        }
    }
}

/// A source with its clock.
pub(super) struct Bench<H: Heap = StdHeap> {
    pub(super) source: Source<Vec<u8>, H>,
    pub(super) now: Instant,
}

impl<H: Heap> Bench<H> {
    pub(super) fn new(config: SourceConfig) -> Self {
        let now = at(1);
        Self {
            source: Source::new(config, now),
            now,
        }
    }

    /// Queues an APDU of one packet.
    pub(super) fn push(&mut self, payload: &[u8]) -> Sqn {
        self.try_push(payload, None).unwrap()
    }

    pub(super) fn try_push(
        &mut self,
        payload: &[u8],
        fragment: Option<(u32, u32)>,
    ) -> Result<Sqn, crate::NoMemory> {
        let len = u16::try_from(payload.len()).unwrap();
        let sum = Sum::of(payload);
        self.source
            .push(self.now, payload.to_vec(), len, sum, fragment)
    }

    /// One packet that may leave now.
    pub(super) fn poll(&mut self) -> Option<Sent> {
        let mut buf = [0; HEADER_MAX];
        let transmit = self.source.poll_transmit(self.now, &mut buf)?;
        let to = match transmit.destination {
            Destination::Unicast(to) => Some(to),
            destination => {
                assert_eq!(destination, Destination::Group);
                None
            }
        };
        // RFC 3208 §4: everything a source sends but ODATA.
        assert_eq!(transmit.router_alert, transmit.kind != PacketType::Odata);
        let mut bytes = buf[..transmit.header_len].to_vec();
        bytes.extend(transmit.payload.into_iter().flatten());
        let kind = transmit.kind;
        let mut sent = Sent::parse(self.now, &bytes);
        sent.to = to;
        assert_eq!(sent.kind, kind);
        Some(sent)
    }

    /// Everything that may leave now.
    pub(super) fn drain(&mut self) -> Vec<Sent> {
        std::iter::from_fn(|| self.poll()).collect()
    }

    /// Follows `poll_timeout` until `end`, as the owner does, and returns what left.
    pub(super) fn run_until(&mut self, end: Instant) -> Vec<Sent> {
        let mut sent = self.drain();
        let mut standing = 0;
        while let Some(next) = self.source.poll_timeout().filter(|next| *next <= end) {
            standing = if next > self.now { 0 } else { standing + 1 };
            assert!(standing < 10_000, "a timer that never rests");
            self.now = self.now.max(next);
            self.source.handle_timeout(self.now);
            sent.extend(self.drain());
        }
        self.now = self.now.max(end);
        sent
    }

    pub(super) fn run_for(&mut self, ms: u64) -> Vec<Sent> {
        self.run_until(Instant::from_nanos(self.now.nanos() + ms * MS))
    }

    /// A packet from a receiver.
    pub(super) fn receive(&mut self, repr: Repr) -> Result<(), Discard> {
        self.receive_by(RECEIVER, repr)
    }

    /// A packet from somebody else.
    pub(super) fn receive_by(&mut self, from: Addr, repr: Repr) -> Result<(), Discard> {
        self.deliver(from, UPSTREAM, repr)
    }

    pub(super) fn receive_from(&mut self, ports: Ports, repr: Repr) -> Result<(), Discard> {
        self.deliver(RECEIVER, ports, repr)
    }

    fn deliver(&mut self, from: Addr, ports: Ports, repr: Repr) -> Result<(), Discard> {
        let mut buf = [0; HEADER_MAX];
        let len = repr.emit(ports, 0, Sum::ZERO, &mut buf).unwrap();
        let packet = Packet::parse(&buf[..len]).unwrap();
        self.source.handle(self.now, from, &packet)
    }

    pub(super) fn nak(&mut self, sqns: &[Sqn]) -> Result<(), Discard> {
        self.receive(nak(sqns))
    }
}

pub(super) fn nak(sqns: &[Sqn]) -> Repr {
    let mut list = NakList::default();
    for sqn in &sqns[1..] {
        list.push(*sqn).unwrap();
    }
    let options = NakOptions {
        list,
        ..NakOptions::default()
    };
    Repr::Nak(nak_body(sqns[0]), options)
}

pub(super) fn nak_body(sqn: Sqn) -> Nak {
    Nak {
        sqn,
        source: NLA,
        group: GROUP,
    }
}

pub(super) fn kinds(sent: &[Sent]) -> Vec<PacketType> {
    sent.iter().map(|sent| sent.kind).collect()
}

pub(super) fn of_kind(sent: &[Sent], kind: PacketType) -> Vec<Sent> {
    sent.iter().filter(|s| s.kind == kind).cloned().collect()
}

/// Milliseconds between packets that follow each other.
pub(super) fn gaps(sent: &[Sent]) -> Vec<u64> {
    sent.windows(2)
        .map(|pair| pair[1].at.since(pair[0].at).nanos() / MS)
        .collect()
}
