// SPDX-License-Identifier: GPL-2.0

//! What a source must hold and say, whatever happens to it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use pgm_wire::{Body, PacketType, Repr, Sqn};

use super::bench::*;
use crate::memory::{Heap, StdHeap};
use crate::source::{Advance, Heartbeat, SourceConfig};
use crate::time::{Duration, Instant};

std::thread_local! {
    /// Allocations that [`Stingy`] still grants.
    static GRANTS: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// A heap that refuses when its grants are used up.
struct Stingy;

impl Heap for Stingy {
    type Array<T> = Vec<T>;

    fn array<T: Default>(len: usize) -> Option<Vec<T>> {
        let left = GRANTS.get().checked_sub(1)?;
        GRANTS.set(left);
        StdHeap::array(len)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Send an APDU of so many fragments of so many bytes.
    Send(u32, u16),
    /// A NAK for SQNs at these distances above TRAIL - 3.
    Nak(Vec<u32>),
    /// A NAK for the newest packets.
    NakNewest(u32),
    Spmr,
    /// Microseconds pass, with every timer served.
    Pass(u32),
    /// Microseconds pass while the owner does not look.
    Stall(u32),
    Rate(u64),
    /// Memory for so many more pages.
    Grant(u32),
    Fin,
    Abort(bool),
}

/// What the source must know, and what it said so far.
struct Model {
    bench: Bench<Stingy>,
    next: Sqn,
    /// Packets not yet sent for the first time: number, then payload.
    queue: Vec<(Sqn, Vec<u8>)>,
    sent: BTreeMap<u32, Vec<u8>>,
    confirmed: BTreeSet<u32>,
    trail: Sqn,
    lead: Sqn,
    spm_sqn: u32,
    /// Bytes in the token bucket's debt, scaled by 10^9, and when that was.
    debt: u128,
    debt_at: Instant,
    rate: u64,
    ended: bool,
    aborted: bool,
}

impl Model {
    fn new(first_sqn: u32, advance: Advance) -> Self {
        let config = SourceConfig {
            rate: 200_000,
            window: Duration::from_millis(800),
            window_bytes: 40_000,
            window_sqns: 90,
            advance,
            join_percent: 30,
            queue_bytes: 10_000,
            ambient: Duration::from_millis(300),
            heartbeat: Heartbeat::doubling(Duration::from_millis(10), Duration::from_millis(100)),
            first_sqn: Sqn::new(first_sqn),
            ..config()
        };
        Self {
            bench: Bench::new(config),
            next: config.first_sqn,
            queue: Vec::new(),
            sent: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            trail: config.first_sqn,
            lead: config.first_sqn.prev(),
            spm_sqn: 0,
            debt: 0,
            debt_at: at(1),
            rate: config.rate,
            ended: false,
            aborted: false,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Send(fragments, len) => self.send(*fragments, *len),
            Op::Nak(distances) => {
                let base = self.bench.source.trail().minus(3);
                let distances: BTreeSet<u32> = distances.iter().copied().collect();
                self.nak(distances.iter().map(|n| base.plus(*n)).collect());
            }
            Op::NakNewest(back) => self.nak([self.bench.source.lead().minus(*back)].into()),
            Op::Spmr => {
                let _ = self.bench.receive(Repr::Spmr);
            }
            Op::Pass(us) => self.pass(*us),
            Op::Stall(us) => self.bench.now = self.bench.now.after(Duration::from_micros(*us)),
            Op::Rate(rate) => {
                self.pay();
                self.rate = *rate;
                self.bench.source.set_rate(self.bench.now, *rate);
            }
            Op::Grant(pages) => GRANTS.set(*pages),
            Op::Fin => {
                self.bench.source.fin(self.bench.now);
                self.ended = true;
            }
            Op::Abort(no_naks) => {
                self.bench.source.abort(self.bench.now, 1, *no_naks);
                self.ended = true;
                self.aborted = true;
            }
        }
        self.drain();
        self.check();
    }

    fn send(&mut self, fragments: u32, len: u16) {
        let bytes = u64::from(fragments) * u64::from(len);
        if !self.bench.source.room(fragments, bytes) {
            let now = self.bench.now;
            self.bench.source.wait_for_room(now, fragments, bytes);
            return;
        }
        assert!(!self.ended);
        if self.bench.source.reserve(fragments).is_ok() {
            // A reservation is a promise: no grant is needed any more.
            let grants = GRANTS.replace(0);
            for n in 0..fragments {
                assert!(self.push(n, fragments, len).is_ok());
            }
            GRANTS.set(grants);
        } else {
            let _ = self.push(0, 1, len);
        }
    }

    fn push(&mut self, n: u32, fragments: u32, len: u16) -> Result<(), crate::NoMemory> {
        let payload = std::vec![u8::try_from(self.next.get() % 256).unwrap(); usize::from(len)];
        let fragment = (fragments > 1).then_some((n * u32::from(len), fragments * u32::from(len)));
        // SRC-01: numbered in unit steps, and a refusal takes no number.
        let sqn = self.bench.try_push(&payload, fragment)?;
        assert_eq!(sqn, self.next);
        self.next = sqn.next();
        self.queue.push((sqn, payload));
        Ok(())
    }

    fn nak(&mut self, sqns: Vec<Sqn>) {
        if self.bench.nak(&sqns).is_ok() {
            // SRC-16, SRC-17: whatever else waits, the confirmation is the next packet.
            let sent = self.bench.poll().expect("an NCF");
            assert_eq!(sent.body, Body::Ncf(nak_body(sqns[0])));
            assert_eq!(sent.list.as_slice(), &sqns[1..]);
            self.observe(sent);
        }
    }

    fn pass(&mut self, us: u32) {
        let end = self.bench.now.after(Duration::from_micros(us));
        let mut standing = 0;
        while let Some(next) = self.bench.source.poll_timeout().filter(|at| *at <= end) {
            standing = if next > self.bench.now {
                0
            } else {
                standing + 1
            };
            assert!(standing < 300, "a timer that never rests");
            self.bench.now = self.bench.now.max(next);
            self.bench.source.handle_timeout(self.bench.now);
            self.drain();
        }
        self.bench.now = self.bench.now.max(end);
    }

    fn drain(&mut self) {
        while let Some(sent) = self.bench.poll() {
            self.observe(sent);
        }
    }

    /// Checks one packet against all that came before it.
    fn observe(&mut self, sent: Sent) {
        match sent.kind {
            PacketType::Ncf => {
                let Body::Ncf(ncf) = sent.body else { panic!() };
                self.confirmed.insert(ncf.sqn.get());
                self.confirmed.extend(sent.list.iter().map(Sqn::get));
                return;
            }
            PacketType::Spm => {
                let Body::Spm(spm) = sent.body else { panic!() };
                assert_eq!(spm.sqn.get(), self.spm_sqn);
                self.spm_sqn += 1;
                assert_eq!(spm.lead, self.lead);
                assert!(!sent.fin || (self.ended && self.queue.is_empty()));
                assert_eq!(sent.rst.is_some(), self.aborted);
                self.observe_trail(spm.trail);
            }
            PacketType::Odata => {
                let (sqn, trail) = sent.data();
                let (expected, payload) = self.queue.remove(0);
                assert_eq!(sqn, expected);
                assert_eq!(sent.payload, payload);
                assert!(trail.at_or_before(sqn) && !self.aborted);
                self.sent.insert(sqn.get(), payload);
                self.lead = sqn;
                self.observe_trail(trail);
            }
            PacketType::Rdata => {
                let (sqn, trail) = sent.data();
                assert!(sqn.at_or_after(trail) && sqn.at_or_before(self.lead));
                assert!(self.confirmed.remove(&sqn.get()), "RDATA without NCF");
                assert_eq!(Some(&sent.payload), self.sent.get(&sqn.get()));
                self.observe_trail(trail);
            }
            other => panic!("a source does not send {other:?}"),
        }
        self.observe_join(&sent);
        self.charge(&sent);
    }

    fn observe_join(&self, sent: &Sent) {
        match sent.join {
            Some(join) => {
                // OPT-42: what can be asked for is there.
                assert!(join.at_or_after(self.trail), "JOIN below TRAIL");
                assert!(join.at_or_before(self.lead.next()));
            }
            None => assert!(sent.kind == PacketType::Ncf || self.aborted),
        }
    }

    fn observe_trail(&mut self, trail: Sqn) {
        assert!(trail.at_or_after(self.trail), "TRAIL went back");
        assert!(trail.at_or_before(self.lead.next()));
        self.trail = trail;
    }

    /// SRC-04: bytes in any interval stay below bucket + rate x interval.
    fn charge(&mut self, sent: &Sent) {
        self.pay();
        self.debt += u128::from(sent.bytes) * 1_000_000_000;
        let depth = u128::from((self.rate / 125).max(6_000)) + 16;
        assert!(self.debt <= depth * 1_000_000_000, "above TXW_MAX_RTE");
    }

    /// Time pays the debt at the rate.
    fn pay(&mut self) {
        let ns = self.bench.now.since(self.debt_at).nanos();
        let paid = u128::from(ns) * u128::from(self.rate);
        self.debt = self.debt.saturating_sub(paid);
        self.debt_at = self.bench.now;
    }

    fn check(&mut self) {
        let source = &self.bench.source;
        assert_eq!(source.poll_timeout().is_none(), source.is_done());
        if !self.aborted {
            assert_eq!(source.lead(), self.lead);
            let in_queue: usize = self.queue.iter().map(|(_, payload)| payload.len()).sum();
            assert_eq!(source.queued_bytes(), u64::try_from(in_queue).unwrap());
            assert_eq!(
                usize::try_from(source.queued_sqns()).unwrap(),
                self.queue.len()
            );
            let kept = (0..source.lead().next().since(source.trail())).map(|n| {
                let sqn = source.trail().plus(n).get();
                self.sent[&sqn].len()
            });
            let held = kept.sum::<usize>() + in_queue;
            assert_eq!(source.window_bytes_used(), u64::try_from(held).unwrap());
        }
        assert!(source.window_bytes_used() <= source.config().window_bytes);
        assert!(self.next.since(source.trail()) <= source.config().window_sqns);
    }

    /// Left alone with memory and time, a source ends up with an empty window, and done if closing.
    fn settle(&mut self) {
        GRANTS.set(u32::MAX);
        self.apply(&Op::Rate(200_000));
        for _ in 0..20 {
            self.pass(250_000);
        }
        assert!(self.queue.is_empty() || self.aborted);
        let source = &self.bench.source;
        assert_eq!(source.is_done(), self.ended);
        if !self.aborted && source.config().advance == Advance::WithTime {
            assert_eq!(source.trail(), source.lead().next());
            assert_eq!(source.window_bytes_used(), 0);
        }
        if !self.ended {
            let now = self.bench.now;
            self.bench.source.wait_for_room(now, 4, 5_600);
            self.pass(250_000);
            assert!(self.bench.source.room(4, 5_600));
        }
    }
}

/// A source from its first packet to its last, and all that happens to it between.
pub(super) fn run(first_sqn: u32, advance: Advance, ops: impl IntoIterator<Item = Op>) {
    GRANTS.set(u32::MAX);
    let mut model = Model::new(first_sqn, advance);
    model.drain();
    for op in ops {
        model.apply(&op);
    }
    model.settle();
}
