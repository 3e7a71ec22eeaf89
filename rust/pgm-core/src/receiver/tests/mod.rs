// SPDX-License-Identifier: GPL-2.0

//! Tests of the receiver, from the wire: real packets in, real packets out.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(not(test), allow(dead_code, unused_imports))]

mod adaptive;
mod arrival;
mod back_off;
mod bounds;
mod clock;
#[cfg(test)]
mod express;
mod failing;
mod fragments;
pub mod fuzz;
mod invariants;
mod join;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
mod naks;
mod parent;
#[cfg(test)]
mod peers;
mod poll;
mod reception;
mod reference;
mod refused;
mod restart;
mod rollback;
mod session;
mod spm;
mod spmr;
mod unreachable;
mod wild;

use std::vec::Vec;

use pgm_wire::{
    checksum::Sum, Addr, Body, Data as DataBody, DataOptions, Fragment, Gsi, Nak, NakList,
    NakOptions, NcfOptions, Packet, PacketType, Ports, Repr, Spm, SpmOptions, Sqn, Tsi,
};

use super::*;
use crate::memory::StdHeap;

pub(super) const TSI: Tsi = Tsi {
    gsi: Gsi([1, 2, 3, 4, 5, 6]),
    sport: 1234,
};
pub(super) const DPORT: u16 = 7500;
pub(super) const SOURCE: Addr = Addr::V4([10, 0, 0, 1]);
pub(super) const PATH: Addr = Addr::V4([10, 0, 0, 254]);
pub(super) const GROUP: Addr = Addr::V4([239, 192, 0, 1]);
pub(super) const WAY: Way = Way {
    source: SOURCE,
    group: GROUP,
    near: false,
};
pub(super) const OTHER: Addr = Addr::V4([10, 0, 0, 7]);

pub(super) fn ms(n: u32) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn config() -> ReceiverConfig {
    ReceiverConfig {
        dport: DPORT,
        group: GROUP,
        nak_adaptive: false,
        ..ReceiverConfig::default()
    }
}

/// The bytes of a packet of the session.
pub(super) fn bytes(tsi: Tsi, repr: &Repr, tsdu_len: u16) -> Vec<u8> {
    let ports = if repr.kind().is_downstream() {
        Ports {
            sport: tsi.sport,
            dport: DPORT,
            gsi: tsi.gsi,
        }
    } else {
        Ports {
            sport: DPORT,
            dport: tsi.sport,
            gsi: tsi.gsi,
        }
    };
    let len = if repr.kind().has_payload() {
        tsdu_len
    } else {
        0
    };
    let mut buf = [0; HEADER_MAX];
    let header = repr.emit(ports, len, Sum::ZERO, &mut buf).unwrap();
    let mut bytes = buf[..header].to_vec();
    bytes.resize(header + usize::from(len), 0);
    bytes
}

/// A packet that the receiver sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) kind: PacketType,
    pub(super) to: Destination,
    pub(super) copy: bool,
    /// What a NAK asks for; POLR_SQN and POLR_ROUND of a POLR.
    pub(super) sqns: Vec<u32>,
}

/// What came out, in a form that is easy to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// A whole APDU: the numbers of its packets.
    Apdu(Vec<u32>),
    Lost(u32, u32),
    End(End),
}

/// A receiver, a clock, and everything it did.
pub(super) struct Rig<H: Heap = StdHeap> {
    pub(super) rx: Receiver<u32, H>,
    pub(super) now: Instant,
    pub(super) out: Vec<Out>,
    pub(super) sent: Vec<Sent>,
    pieces: Vec<u32>,
    /// The number that must come out next, and whether an APDU came out yet.
    next: Option<u32>,
    begun: bool,
    spm_sqn: u32,
    /// Off: the payload handle is withheld.
    pub(super) room: bool,
    /// Packets that may pass through do.
    pub(super) express: bool,
    /// The owner waits for the next packet before it lets the receiver work. No packet passes.
    pub(super) held: bool,
    /// How many APDUs, and parts of them, took the shorter way.
    pub(super) passed: u32,
    pub(super) followed: u32,
    /// The most slots that one call looked at.
    pub(super) worst: u64,
}

impl Rig<StdHeap> {
    pub(super) fn new() -> Self {
        Self::with(config(), 1)
    }
}

impl<H: Heap> Rig<H> {
    pub(super) fn with(config: ReceiverConfig, seed: u64) -> Self {
        let now = Instant::ZERO.after(Duration::from_secs(100));
        Self {
            rx: Receiver::new(config, TSI, SOURCE, now, seed),
            now,
            out: Vec::new(),
            sent: Vec::new(),
            pieces: Vec::new(),
            next: None,
            begun: false,
            spm_sqn: 0,
            room: true,
            express: true,
            held: false,
            passed: 0,
            followed: 0,
            worst: 0,
        }
    }

    fn note(&mut self) {
        self.worst = self.worst.max(self.rx.window.touched.replace(0));
    }

    /// Every number comes out once and in order, except that the session may begin inside an APDU.
    fn follows(&mut self, first: Sqn, count: u32) {
        assert!(
            !self.begun || self.next == Some(first.get()) || self.rx.config.arrival_order,
            "a number was skipped"
        );
        self.next = Some(first.plus(count).get());
    }

    /// Something for the application.
    fn take(&mut self, delivery: Delivery<u32>) {
        match delivery {
            Delivery::Data(data) => {
                assert_eq!(data.payload, data.sqn.get());
                self.follows(data.sqn, 1);
                self.begun = true;
                self.pieces.push(data.sqn.get());
                if data.last {
                    self.out.push(Out::Apdu(core::mem::take(&mut self.pieces)));
                }
            }
            Delivery::Loss { first, count } => {
                assert!(self.pieces.is_empty(), "an APDU was interrupted");
                assert!(count > 0);
                self.follows(first, count);
                self.out.push(Out::Lost(first.get(), count));
            }
            Delivery::End(end) => {
                assert!(self.pieces.is_empty(), "an APDU was interrupted");
                self.out.push(Out::End(end));
            }
        }
    }

    /// Polls until nothing is left, as the owner does after every call.
    pub(super) fn settle(&mut self) {
        while let Some(delivery) = self.rx.poll_deliver() {
            self.note();
            self.take(delivery);
        }
        self.note();
        let mut buf = [0; HEADER_MAX];
        while let Some(transmit) = self.rx.poll_transmit(self.now, &mut buf) {
            self.note();
            assert!(transmit.payload.is_none() && !transmit.router_alert);
            let packet = Packet::parse(&buf[..transmit.header_len]).unwrap();
            assert_eq!(packet.header.kind, transmit.kind);
            assert_eq!((packet.tsi(), packet.data_port()), (TSI, DPORT));
            let mut sqns = Vec::new();
            if let Body::Nak(nak) = packet.body {
                assert_eq!((nak.source, nak.group), (SOURCE, GROUP));
                sqns.push(nak.sqn.get());
                sqns.extend(
                    packet
                        .options
                        .nak_list()
                        .iter()
                        .flat_map(|list| list.as_slice().iter().map(|sqn| sqn.get())),
                );
                assert!(sqns
                    .windows(2)
                    .all(|w| Sqn::new(w[0]).before(Sqn::new(w[1]))));
            }
            if let Body::Polr(polr) = packet.body {
                sqns.extend([polr.sqn.get(), u32::from(polr.round)]);
            }
            self.sent.push(Sent {
                at: self.now,
                kind: transmit.kind,
                to: transmit.destination,
                copy: transmit.copy,
                sqns,
            });
        }
        if !self.rx.is_ended() && !self.rx.ending.is_cut() {
            assert!(self.rx.poll_timeout().is_some());
        }
    }

    /// Lets time pass, serving timeouts.
    pub(super) fn wait(&mut self, d: Duration) {
        let end = self.now.after(d);
        let mut steps = 0;
        while let Some(at) = self.rx.poll_timeout() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.rx.handle_timeout(self.now);
            self.note();
            self.settle();
            steps += 1;
            assert!(steps < 1_000_000, "the clock stands still");
        }
        self.now = end;
    }

    pub(super) fn send(&mut self, repr: &Repr, tsdu_len: u16, id: u32) -> Result<(), Discard> {
        let bytes = bytes(TSI, repr, tsdu_len);
        let packet = Packet::parse(&bytes).unwrap();
        let payload = (repr.kind().has_payload() && self.room).then_some(id);
        let express = self.express && !self.held;
        let short = self.passed.saturating_add(self.followed);
        let result = match payload {
            Some(id) if express && self.rx.expects(&packet) => {
                self.passed += 1;
                let data = self.rx.pass(self.now, &packet, id);
                self.take(Delivery::Data(data));
                Ok(())
            }
            Some(id) if express && self.rx.follows(&packet) => {
                self.followed += 1;
                let result = self.rx.follow(self.now, &packet, id);
                self.note();
                while let Some(delivery) = self.rx.poll_deliver() {
                    self.take(delivery);
                }
                result
            }
            payload => self.rx.handle(self.now, OTHER, &packet, payload),
        };
        self.note();
        if short != self.passed.saturating_add(self.followed) {
            // Nothing is to be sent or delivered, and no timer moves but the source's expiry.
            assert!(self.rx.is_quiet() || self.rx.is_ended());
            let done = (self.out.len(), self.sent.len());
            self.settle();
            assert_eq!(done, (self.out.len(), self.sent.len()));
        } else if !self.held {
            self.settle();
        }
        result
    }

    pub(super) fn data(
        &mut self,
        rdata: bool,
        sqn: u32,
        trail: u32,
        len: u16,
        options: DataOptions,
    ) -> Result<(), Discard> {
        let body = DataBody {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(trail),
        };
        let repr = if rdata {
            Repr::Rdata(body, options)
        } else {
            Repr::Odata(body, options)
        };
        self.send(&repr, len, sqn)
    }

    /// ODATA with a trailing edge that says nothing new.
    pub(super) fn odata(&mut self, sqn: u32) -> Result<(), Discard> {
        self.odata_trail(sqn, self.old_trail(sqn))
    }

    /// RDATA with a trailing edge that says nothing new.
    pub(super) fn rdata(&mut self, sqn: u32) -> Result<(), Discard> {
        self.data(true, sqn, self.old_trail(sqn), 10, DataOptions::default())
    }

    pub(super) fn odata_trail(&mut self, sqn: u32, trail: u32) -> Result<(), Discard> {
        self.data(false, sqn, trail, 10, DataOptions::default())
    }

    fn old_trail(&self, sqn: u32) -> u32 {
        if self.rx.window.is_open() {
            let trail = self.rx.trail();
            if Sqn::new(sqn).before(trail) {
                sqn
            } else {
                trail.get()
            }
        } else {
            match self.rx.join {
                Some(join) if !Sqn::new(sqn).before(join) => join.get(),
                _ => sqn,
            }
        }
    }

    /// ODATA `first + index` of an APDU of `n` fragments of `len` bytes each.
    pub(super) fn piece(
        &mut self,
        first: u32,
        index: u32,
        n: u32,
        len: u16,
    ) -> Result<(), Discard> {
        let fragment = Fragment {
            first: Sqn::new(first),
            offset: index * u32::from(len),
            apdu_len: n * u32::from(len),
        };
        self.fragment(first.wrapping_add(index), fragment, len)
    }

    pub(super) fn fragment(
        &mut self,
        sqn: u32,
        fragment: Fragment,
        len: u16,
    ) -> Result<(), Discard> {
        let options = DataOptions {
            fragment: Some(fragment),
            ..DataOptions::default()
        };
        self.data(false, sqn, self.old_trail(sqn), len, options)
    }

    /// The next SPM in sequence.
    pub(super) fn spm(&mut self, trail: u32, lead: u32) -> Result<(), Discard> {
        self.spm_with(trail, lead, SpmOptions::default())
    }

    pub(super) fn spm_with(
        &mut self,
        trail: u32,
        lead: u32,
        options: SpmOptions,
    ) -> Result<(), Discard> {
        self.spm_sqn += 1;
        self.spm_raw(self.spm_sqn, trail, lead, PATH, options)
    }

    pub(super) fn spm_raw(
        &mut self,
        sqn: u32,
        trail: u32,
        lead: u32,
        path: Addr,
        options: SpmOptions,
    ) -> Result<(), Discard> {
        let spm = Spm {
            sqn: Sqn::new(sqn),
            trail: Sqn::new(trail),
            lead: Sqn::new(lead),
            path,
        };
        self.send(&Repr::Spm(spm, options), 0, 0)
    }

    /// An SPM without options.
    pub(super) fn bare_spm(
        &mut self,
        sqn: u32,
        trail: u32,
        lead: u32,
        path: Addr,
    ) -> Result<(), Discard> {
        self.spm_raw(sqn, trail, lead, path, SpmOptions::default())
    }

    pub(super) fn ncf(&mut self, sqns: &[u32]) -> Result<(), Discard> {
        let (nak, list) = nak_of(sqns);
        let options = NcfOptions {
            list,
            ..NcfOptions::default()
        };
        self.send(&Repr::Ncf(nak, options), 0, 0)
    }

    /// The NAK of another receiver.
    pub(super) fn heard_nak(&mut self, sqns: &[u32]) -> Result<(), Discard> {
        let (nak, list) = nak_of(sqns);
        let options = NakOptions {
            list,
            ..NakOptions::default()
        };
        self.send(&Repr::Nak(nak, options), 0, 0)
    }

    /// What came out since the last look.
    pub(super) fn take_out(&mut self) -> Vec<Out> {
        core::mem::take(&mut self.out)
    }

    /// The NAKs sent since the last look.
    pub(super) fn take_naks(&mut self) -> Vec<Sent> {
        let mut sent = core::mem::take(&mut self.sent);
        sent.retain(|sent| sent.kind == PacketType::Nak);
        sent
    }

    /// The numbers asked for since the last look, in the order of asking.
    pub(super) fn asked(&mut self) -> Vec<u32> {
        self.take_naks().into_iter().flat_map(|s| s.sqns).collect()
    }
}

pub(super) fn nak_of(sqns: &[u32]) -> (Nak, NakList) {
    let mut list = NakList::EMPTY;
    for sqn in &sqns[1..] {
        list.push(Sqn::new(*sqn)).unwrap();
    }
    let nak = Nak {
        sqn: Sqn::new(sqns[0]),
        source: SOURCE,
        group: GROUP,
    };
    (nak, list)
}

/// APDUs of one packet each.
pub(super) fn singles(sqns: impl IntoIterator<Item = u32>) -> Vec<Out> {
    sqns.into_iter().map(|sqn| Out::Apdu(vec![sqn])).collect()
}
