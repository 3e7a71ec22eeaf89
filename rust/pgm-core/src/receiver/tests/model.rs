// SPDX-License-Identifier: GPL-2.0

//! The receiver against a simple, slow one: any sequence of packets must give the same deliveries and
//! the same losses.

use super::failing::{refuse, Failing};
use super::*;
use pgm_wire::{NakBoIvl, NakBoRng, Poll, PollOptions, Rst};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Just below the wrap, so that every run crosses it.
const BASE: u64 = 0xFFFF_FFD0;

fn wire(n: u64) -> u32 {
    u32::try_from(n & 0xFFFF_FFFF).unwrap()
}

/// What one number came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Apdu(Vec<u32>),
    Lost(u32),
    End(End),
}

fn flatten(out: Vec<Out>) -> Vec<Event> {
    let mut events = Vec::new();
    for out in out {
        match out {
            Out::Apdu(sqns) => events.push(Event::Apdu(sqns)),
            Out::Lost(first, count) => {
                events.extend((0..count).map(|n| Event::Lost(first.wrapping_add(n))));
            }
            Out::End(end) => events.push(Event::End(end)),
        }
    }
    events
}

/// OPT_FRAGMENT in unwrapped numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frag {
    first: u64,
    offset: u32,
    apdu_len: u32,
}

#[derive(Clone, Copy, Debug)]
enum Known {
    Data(u16, Option<Frag>),
    Bad,
}

enum Joining {
    Fresh,
    Skipping(u64),
    Done,
}

/// The reference: numbers do not wrap, everything is kept in a map, nothing is fast.
struct Model {
    config: ReceiverConfig,
    capacity: u64,
    known: BTreeMap<u64, Known>,
    open: bool,
    init: u64,
    commit: u64,
    trail: u64,
    end: u64,
    join: Option<u64>,
    joining: Joining,
    fin: bool,
    cut: Option<End>,
    ended: bool,
    events: Vec<Event>,
}

impl Model {
    fn new(config: ReceiverConfig, capacity: u64) -> Self {
        Self {
            config,
            capacity,
            known: BTreeMap::new(),
            open: false,
            init: 0,
            commit: 0,
            trail: 0,
            end: 0,
            join: None,
            joining: Joining::Fresh,
            fin: false,
            cut: None,
            ended: false,
            events: Vec::new(),
        }
    }

    fn limit(&self) -> u64 {
        u64::from(self.config.fragments_max).min(self.capacity)
    }

    fn open(&mut self, first: u64) {
        self.open = true;
        self.init = first;
        self.commit = first;
        self.trail = first;
        self.end = first;
    }

    fn good(&self, sqn: u64, len: u16, frag: Option<Frag>) -> bool {
        let max = self.config.msgsize_max;
        let Some(f) = frag else {
            return u32::from(len) <= max;
        };
        len > 0
            && f.first <= sqn
            && sqn - f.first < self.limit()
            && (f.first == sqn) == (f.offset == 0)
            && u64::from(f.offset) + u64::from(len) <= u64::from(f.apdu_len)
            && f.apdu_len <= max
    }

    /// `room`: whether the engine had room for the payload.
    fn data(&mut self, op: &DataOp, room: bool) {
        if self.over() || op.sqn < op.trail {
            return;
        }
        if !self.open {
            let first = self.join.filter(|join| op.sqn >= *join);
            self.open(first.unwrap_or(op.sqn));
        }
        self.trail = self.trail.max(op.trail);
        self.end = self.end.max(self.trail);
        if op.sqn >= self.trail.max(self.commit)
            && !matches!(self.known.get(&op.sqn), Some(Known::Data(..)))
        {
            self.end = self.end.max(op.sqn + 1);
            self.fin |= op.fin;
            if !room {
                // Known to exist, and no more.
            } else if !self.good(op.sqn, op.len, op.frag) {
                self.known.insert(op.sqn, Known::Bad);
            } else if op.payload {
                self.known.insert(op.sqn, Known::Data(op.len, op.frag));
            }
        }
        self.deliver();
    }

    fn spm(&mut self, op: &SpmOp) {
        if self.over() || op.trail > op.lead + 1 {
            return;
        }
        if !self.open {
            match self.join {
                None => self.join = Some(op.lead + 1),
                Some(join) if op.lead + 1 > join => self.open(join),
                _ => {}
            }
        }
        if self.open {
            self.trail = self.trail.max(op.trail);
            self.end = self.end.max(self.trail).max(op.lead + 1);
        }
        match op.end {
            SpmEnd::None => {}
            SpmEnd::Fin => self.fin = true,
            SpmEnd::Rst(code) => self.cut(End::Reset { code }),
        }
        self.deliver();
    }

    fn cut(&mut self, end: End) {
        self.trail = self.end;
        self.cut = Some(end);
    }

    fn over(&self) -> bool {
        self.ended || self.cut.is_some()
    }

    /// The source is never heard again.
    fn expire(&mut self) {
        if !self.over() {
            let end = if self.fin { End::Fin } else { End::Expired };
            self.cut(end);
            self.deliver();
        }
    }

    fn lose(&mut self, from: u64, to: u64) {
        for sqn in from..to {
            self.known.remove(&sqn);
            self.events.push(Event::Lost(wire(sqn)));
        }
        self.commit = to;
    }

    fn missing(&self, sqn: u64) -> bool {
        sqn >= self.trail && !self.known.contains_key(&sqn)
    }

    fn deliver(&mut self) {
        while self.open && self.commit < self.end && self.step() {}
        let end = match (self.cut, self.fin) {
            (Some(end), _) => end,
            (None, true) => End::Fin,
            (None, false) => return,
        };
        if !self.ended && (!self.open || self.commit == self.end) {
            self.ended = true;
            self.events.push(Event::End(end));
        }
    }

    /// Decides about the number at commit; tells whether it could.
    fn step(&mut self) -> bool {
        let start = self.commit;
        if self.missing(start) {
            return false;
        }
        let (len, frag) = match self.known.get(&start) {
            Some(Known::Data(len, frag)) => (*len, *frag),
            _ => {
                self.lose(start, start + 1);
                return true;
            }
        };
        let Some(frag) = frag else {
            self.joining = Joining::Done;
            return self.pass(start, start + 1);
        };
        if frag.offset != 0 {
            let skip = match self.joining {
                Joining::Fresh => frag.first < self.init,
                Joining::Skipping(first) => frag.first == first,
                Joining::Done => false,
            };
            if skip {
                self.joining = Joining::Skipping(frag.first);
                self.known.remove(&start);
                self.commit = start + 1;
            } else {
                self.lose(start, start + 1);
            }
            return true;
        }
        self.joining = Joining::Done;
        let mut next = u32::from(len);
        let mut at = start;
        loop {
            at += 1;
            if next == frag.apdu_len {
                return self.pass(start, at);
            }
            if at - start >= self.limit() {
                self.lose(start, at);
                return true;
            }
            if at == self.end {
                if self.fin || self.cut.is_some() {
                    self.lose(start, at);
                    return true;
                }
                return false;
            }
            if self.missing(at) {
                return false;
            }
            match self.known.get(&at) {
                Some(Known::Data(len, Some(f)))
                    if (f.first, f.apdu_len, f.offset) == (frag.first, frag.apdu_len, next) =>
                {
                    next += u32::from(*len);
                }
                Some(Known::Data(..)) => {
                    self.lose(start, at);
                    return true;
                }
                _ => {
                    self.lose(start, at + 1);
                    return true;
                }
            }
        }
    }

    fn pass(&mut self, from: u64, to: u64) -> bool {
        let sqns = (from..to).map(wire).collect();
        for sqn in from..to {
            self.known.remove(&sqn);
        }
        self.events.push(Event::Apdu(sqns));
        self.commit = to;
        true
    }

    fn missing_count(&self) -> u32 {
        let n = (self.commit..self.end).filter(|sqn| !self.known.contains_key(sqn));
        u32::try_from(n.count()).unwrap()
    }
}

#[derive(Clone, Debug)]
struct DataOp {
    rdata: bool,
    sqn: u64,
    trail: u64,
    len: u16,
    frag: Option<Frag>,
    fin: bool,
    payload: bool,
}

#[derive(Clone, Copy, Debug)]
enum SpmEnd {
    None,
    Fin,
    Rst(u8),
}

#[derive(Clone, Debug)]
struct SpmOp {
    sqn: u32,
    trail: u64,
    lead: u64,
    end: SpmEnd,
}

#[derive(Clone, Debug)]
enum Op {
    Data(DataOp),
    Spm(SpmOp),
    Ncf(Vec<u64>),
    Nak(Vec<u64>),
    Wait(u32),
    Congested(bool),
}

/// The stream as its source sends it: APDUs of 1 to 4 packets, 10 bytes in each.
fn true_fragment(sqn: u64) -> Option<Frag> {
    // 10 numbers hold APDUs of 1, 2, 3 and 4 packets.
    let group = sqn - sqn % 10;
    let (first, n) = match sqn % 10 {
        0 => return None,
        1..=2 => (group + 1, 2),
        3..=5 => (group + 3, 3),
        _ => (group + 6, 4),
    };
    Some(Frag {
        first,
        offset: u32::try_from(sqn - first).unwrap() * 10,
        apdu_len: n * 10,
    })
}

fn any_sqn() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..90, 1 => 0u64..400, 1 => Just(100_000)].prop_map(|n| BASE + n)
}

fn true_data() -> impl Strategy<Value = DataOp> {
    (
        any::<bool>(),
        any_sqn(),
        0u64..60,
        prop::bool::weighted(0.95),
    )
        .prop_map(|(rdata, sqn, behind, payload)| DataOp {
            rdata,
            sqn,
            trail: (sqn - behind).max(BASE),
            len: 10,
            frag: true_fragment(sqn),
            fin: false,
            payload,
        })
}

fn wild_data() -> impl Strategy<Value = DataOp> {
    let frag = (0u64..6, 0u32..50, 0u32..70);
    (
        true_data(),
        0u16..30,
        prop::option::of(frag),
        any_sqn(),
        prop::bool::weighted(0.02),
    )
        .prop_map(|(op, len, frag, trail, fin)| {
            let frag = frag.map(|(behind, offset, apdu_len)| Frag {
                first: op.sqn + 1 - behind,
                offset: offset - offset % 5,
                apdu_len: apdu_len - apdu_len % 5,
            });
            DataOp {
                len: len - len % 5,
                frag,
                trail,
                fin,
                ..op
            }
        })
}

fn spm_op() -> impl Strategy<Value = SpmOp> {
    let end = prop_oneof![
        60 => Just(SpmEnd::None),
        1 => Just(SpmEnd::Fin),
        1 => (0u8..64).prop_map(SpmEnd::Rst)
    ];
    (1u32..200, any_sqn(), 0u64..60, end).prop_map(|(sqn, lead, behind, end)| SpmOp {
        sqn,
        trail: (lead + 2 - behind.min(lead + 2 - BASE)),
        lead,
        end,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let sqns = || prop::collection::vec(any_sqn(), 1..10);
    prop_oneof![
        12 => true_data().prop_map(Op::Data),
        3 => wild_data().prop_map(Op::Data),
        2 => spm_op().prop_map(Op::Spm),
        1 => sqns().prop_map(Op::Ncf),
        1 => sqns().prop_map(Op::Nak),
        2 => (0u32..100).prop_map(Op::Wait),
        1 => any::<bool>().prop_map(Op::Congested)
    ]
}

fn patient() -> ReceiverConfig {
    ReceiverConfig {
        rxw_sqns: 64,
        msgsize_max: 60,
        fragments_max: 5,
        ncf_retries: 255,
        data_retries: 255,
        nak_rpt_ivl: Duration::from_secs(3),
        nak_rdata_ivl: Duration::from_secs(3),
        ..config()
    }
}

/// Feeds one operation to both; the model is told what the engine had no room for.
fn apply<H: Heap>(rig: &mut Rig<H>, model: &mut Model, op: &Op) -> Result<(), Discard> {
    match op {
        Op::Data(op) => {
            let options = DataOptions {
                fragment: op.frag.map(|f| Fragment {
                    first: Sqn::new(wire(f.first)),
                    offset: f.offset,
                    apdu_len: f.apdu_len,
                }),
                fin: op.fin,
                ..DataOptions::default()
            };
            rig.room = op.payload;
            let before = model.commit;
            let result = rig.data(op.rdata, wire(op.sqn), wire(op.trail), op.len, options);
            let mut room = true;
            if result == Err(Discard::BeyondWindow) {
                assert!(op.sqn >= before + model.capacity || !model.open);
                room = false;
            }
            if result == Err(Discard::NoMemory) {
                room = false;
            }
            model.data(op, room);
            return result;
        }
        Op::Spm(op) => {
            let options = match op.end {
                SpmEnd::None => SpmOptions::default(),
                SpmEnd::Fin => SpmOptions {
                    fin: true,
                    ..SpmOptions::default()
                },
                SpmEnd::Rst(code) => SpmOptions {
                    rst: Some(Rst {
                        no_naks: code % 2 == 0,
                        code,
                    }),
                    ..SpmOptions::default()
                },
            };
            let result = rig.spm_raw(op.sqn, wire(op.trail), wire(op.lead), PATH, options);
            // Which SPMs count is shown elsewhere.
            if result != Err(Discard::SpmOutOfSequence) {
                model.spm(op);
            }
        }
        Op::Ncf(sqns) => {
            let sqns: Vec<_> = sqns.iter().copied().map(wire).collect();
            let _ = rig.ncf(&sqns);
        }
        Op::Nak(sqns) => {
            let sqns: Vec<_> = sqns.iter().copied().map(wire).collect();
            let _ = rig.heard_nak(&sqns);
        }
        Op::Wait(n) => rig.wait(ms(*n)),
        Op::Congested(on) => {
            let now = rig.now;
            rig.rx.set_congested(now, *on);
            rig.settle();
        }
    }
    Ok(())
}

fn compare<H: Heap>(rig: &mut Rig<H>, model: &mut Model) {
    let events = flatten(rig.take_out());
    assert_eq!(events, core::mem::take(&mut model.events));
    assert_eq!(rig.rx.is_ended(), model.ended);
    assert_eq!(rig.rx.window.is_open(), model.open);
    if model.open && !model.ended {
        assert_eq!(rig.rx.lead().get(), wire(model.end - 1));
        assert_eq!(rig.rx.trail().get(), wire(model.trail));
        assert_eq!(rig.rx.missing(), model.missing_count());
        assert_eq!(rig.rx.window.commit.get(), wire(model.commit));
    }
    for nak in rig.take_naks() {
        for sqn in nak.sqns {
            // Only for what is missing and may still be had.
            assert!(!Sqn::new(sqn).before(Sqn::new(wire(model.trail.min(model.end)))));
        }
    }
    invariants::check(&rig.rx);
}

/// Nothing comes any more: everything must be accounted for in the end.
fn finish<H: Heap>(rig: &mut Rig<H>, model: &mut Model) {
    let now = rig.now;
    rig.rx.set_congested(now, false);
    rig.settle();
    rig.wait(Duration::from_secs(400));
    rig.sent.clear();
    model.expire();
    compare(rig, model);
    assert!(rig.rx.is_ended());
    assert_eq!(rig.rx.poll_timeout(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Deliveries and losses are those of the reference, whatever comes.
    // req: RCV-05 RCV-06 RCV-07 RCV-18 RCV-21 OPT-24 OPT-26 OPT-27 WIRE-26
    #[test]
    fn agrees_with_the_reference(ops in prop::collection::vec(op(), 1..200), seed in any::<u64>()) {
        let mut rig = Rig::<StdHeap>::with(patient(), seed);
        let mut model = Model::new(patient(), 64);
        for op in &ops {
            let _ = apply(&mut rig, &mut model, op);
            compare(&mut rig, &mut model);
        }
        finish(&mut rig, &mut model);
    }

    /// Every packet twice is every packet once: the same deliveries, the same NAKs at the same time.
    // req: RCV-05 RCV-25
    // attack: A-05
    #[test]
    fn duplicates_change_nothing(ops in prop::collection::vec(op(), 1..120), seed in any::<u64>()) {
        let mut once = Rig::<StdHeap>::with(patient(), seed);
        let mut twice = Rig::<StdHeap>::with(patient(), seed);
        let mut model = Model::new(patient(), 64);
        let mut ignored = Model::new(patient(), 64);
        for op in &ops {
            let _ = apply(&mut once, &mut model, op);
            let first = apply(&mut twice, &mut ignored, op);
            once.wait(Duration::ZERO);
            twice.wait(Duration::ZERO);
            // What found no room may find it the second time.
            if !matches!(op, Op::Wait(_)) && first != Err(Discard::BeyondWindow) {
                let _ = apply(&mut twice, &mut Model::new(patient(), 0), op);
            }
            prop_assert_eq!(flatten(once.take_out()), flatten(twice.take_out()));
            prop_assert_eq!(&once.sent, &twice.sent);
            invariants::check(&twice.rx);
        }
    }
}

/// Nothing comes any more: both had the same APDUs, losses and end, the end last.
fn same_in_any_order<H: Heap>(rig: &mut Rig<H>, model: &mut Model) {
    let sorted = |mut events: Vec<Event>| {
        let end = events.pop();
        assert!(matches!(end, Some(Event::End(_))), "{end:?}");
        events.sort_by_key(|event| match event {
            Event::Apdu(sqns) => sqns.clone(),
            Event::Lost(sqn) => vec![*sqn],
            Event::End(_) => panic!("two ends"),
        });
        (events, end)
    };
    rig.wait(Duration::from_secs(400));
    model.expire();
    let out = flatten(rig.take_out());
    assert_eq!(sorted(out), sorted(core::mem::take(&mut model.events)));
}

fn true_op() -> impl Strategy<Value = Op> {
    let sqns = || prop::collection::vec(any_sqn(), 1..10);
    prop_oneof![
        12 => true_data().prop_map(Op::Data),
        2 => spm_op().prop_map(Op::Spm),
        1 => sqns().prop_map(Op::Ncf),
        2 => (0u32..100).prop_map(Op::Wait)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In the order of arrival the same comes out, only not in the same order.
    // req: RCV-08, RCV-21
    #[test]
    fn arrival_order_changes_nothing_but_the_order(
        ops in prop::collection::vec(true_op(), 1..200),
        seed in any::<u64>(),
    ) {
        let config = ReceiverConfig { arrival_order: true, ..patient() };
        let mut rig = Rig::<StdHeap>::with(config, seed);
        let mut model = Model::new(config, 64);
        for op in &ops {
            let _ = apply(&mut rig, &mut model, op);
            invariants::check(&rig.rx);
        }
        same_in_any_order(&mut rig, &mut model);
    }

    /// The same when memory is refused.
    // req: RCV-08
    #[test]
    fn arrival_order_needs_no_memory(
        ops in prop::collection::vec(true_op(), 1..150),
        seed in any::<u64>(),
        percent in prop_oneof![Just(100u64), 1u64..100],
    ) {
        refuse(percent, seed);
        let large = ReceiverConfig { arrival_order: true, rxw_sqns: 512, ..patient() };
        let mut rig = Rig::<Failing>::with(large, seed);
        let mut model = Model::new(large, 512);
        for op in &ops {
            let _ = apply(&mut rig, &mut model, op);
            invariants::check(&rig.rx);
        }
        refuse(0, 0);
        same_in_any_order(&mut rig, &mut model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Refused memory costs packets, never order, truth or liveness.
    #[test]
    fn agrees_with_the_reference_when_memory_is_refused(
        ops in prop::collection::vec(op(), 1..150),
        seed in any::<u64>(),
        percent in prop_oneof![Just(100u64), 1u64..100],
    ) {
        refuse(percent, seed);
        let large = ReceiverConfig { rxw_sqns: 512, ..patient() };
        let mut rig = Rig::<Failing>::with(large, seed);
        let mut model = Model::new(large, 512);
        for op in &ops {
            // A malformed packet that finds no slot for its verdict is asked for again instead.
            let judged = matches!(op, Op::Data(op) if !model.good(op.sqn, op.len, op.frag));
            if judged {
                continue;
            }
            let _ = apply(&mut rig, &mut model, op);
            compare(&mut rig, &mut model);
        }
        // Memory is back: whatever is missing is asked for.
        refuse(0, 0);
        rig.wait(ms(11));
        if model.open && !model.over() {
            prop_assert!(rig.rx.retry.is_none());
        }
        compare(&mut rig, &mut model);
        finish(&mut rig, &mut model);
    }
}

/// Numbers that hurt: around the base, around half the space, far and wrapped.
fn wild_sqn() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 0u32..200,
        2 => (0u32..400).prop_map(|n| (1 << 31) - 200 + n),
        1 => (0u32..400).prop_map(|n| 1_000_000 + n),
        1 => any::<u32>(),
        1 => (0u32..200).prop_map(|n| u32::MAX - n)
    ]
}

#[derive(Clone, Debug)]
enum Wild {
    Data(bool, u32, u32, u16, Option<(u32, u32, u32)>, bool),
    Spm(u32, u32, u32, bool, Option<(u32, u32, u32)>),
    Poll(u32, u16, u16, u8, u32, u32),
    Unicast(u32, bool),
    Hear(bool, Vec<u32>),
    Wait(u32),
}

fn wild() -> impl Strategy<Value = Wild> {
    let fragment = prop::option::of((wild_sqn(), 0u32..100, 0u32..100));
    prop_oneof![
        6 => (
            any::<bool>(),
            wild_sqn(),
            wild_sqn(),
            0u16..40,
            fragment,
            prop::bool::weighted(0.9)
        )
            .prop_map(|(r, s, t, l, f, p)| Wild::Data(r, s, t, l, f, p)),
        3 => (
            prop_oneof![any::<u32>(), 0u32..100],
            wild_sqn(),
            wild_sqn(),
            any::<bool>(),
            prop::option::of((wild_sqn(), any::<u32>(), 0u32..3000))
        )
            .prop_map(|(q, t, l, u, o)| Wild::Spm(q, t, l, u, o)),
        2 => (0u32..4, 0u16..3, 0u16..3, any::<u8>(), 0u32..100_000, any::<u32>())
            .prop_map(|(q, r, t, p, b, m)| Wild::Poll(q, r, t, p, b, m)),
        1 => (wild_sqn(), any::<bool>()).prop_map(|(s, p)| Wild::Unicast(s, p)),
        2 => (any::<bool>(), prop::collection::vec(wild_sqn(), 1..63))
            .prop_map(|(n, s)| Wild::Hear(n, s)),
        2 => (0u32..5000).prop_map(Wild::Wait)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever an attacker sends: no panic, bounded work, every number once and in order, and an end.
    // req: SEC-07 RCV-20 WIRE-26
    #[test]
    fn survives_anything(
        ops in prop::collection::vec(wild(), 1..150),
        base in prop_oneof![Just(0u32), Just(1u32 << 31), any::<u32>()],
        seed in any::<u64>(),
        arrival_order in any::<bool>(),
    ) {
        let quick = ReceiverConfig {
            ncf_retries: 2,
            data_retries: 2,
            arrival_order,
            ..patient()
        };
        let mut rig = Rig::<StdHeap>::with(quick, seed);
        for op in ops {
            match op {
                Wild::Data(rdata, sqn, trail, len, fragment, room) => {
                    let options = DataOptions {
                        fragment: fragment.map(|(first, offset, apdu_len)| Fragment {
                            first: Sqn::new(base.wrapping_add(first)),
                            offset,
                            apdu_len,
                        }),
                        ..DataOptions::default()
                    };
                    rig.room = room;
                    let (sqn, trail) = (base.wrapping_add(sqn), base.wrapping_add(trail));
                    let _ = rig.data(rdata, sqn, trail, len, options);
                }
                Wild::Spm(sqn, trail, lead, unreach, more) => {
                    let options = SpmOptions {
                        nbr_unreach: unreach,
                        join: more.map(|(join, _, _)| Sqn::new(base.wrapping_add(join))),
                        nak_bo_ivl: more.map(|(_, micros, _)| NakBoIvl {
                            micros,
                            sqn: Sqn::new(micros % 4),
                        }),
                        nak_bo_rng: more.map(|(_, max, min)| NakBoRng { max, min }),
                        ..SpmOptions::default()
                    };
                    let (trail, lead) = (base.wrapping_add(trail), base.wrapping_add(lead));
                    let _ = rig.spm_raw(sqn, trail, lead, PATH, options);
                }
                Wild::Hear(ncf, sqns) => {
                    let sqns: Vec<u32> = sqns.iter().map(|sqn| base.wrapping_add(*sqn)).collect();
                    let _ = if ncf { rig.ncf(&sqns) } else { rig.heard_nak(&sqns) };
                }
                Wild::Poll(sqn, round, subtype, path, bo_ivl, mask) => {
                    let poll = Poll {
                        sqn: Sqn::new(sqn),
                        round,
                        subtype,
                        path: if path < 128 { PATH } else { Addr::V4([10, 0, 2, path]) },
                        bo_ivl,
                        rand: 0,
                        mask,
                    };
                    let _ = rig.send(&Repr::Poll(poll, PollOptions::default()), 0, 0);
                }
                Wild::Unicast(sqn, parent) => {
                    let (nak, list) = nak_of(&[base.wrapping_add(sqn)]);
                    let options = NcfOptions {
                        list,
                        nbr_unreach: true,
                        path_nla: parent.then_some(PATH),
                        ..NcfOptions::default()
                    };
                    let bytes = bytes(TSI, &Repr::Ncf(nak, options), 0);
                    let packet = Packet::parse(&bytes).unwrap();
                    let mut buf = [0; HEADER_MAX];
                    let _ = rig.rx.handle_unicast(rig.now, &packet, &mut buf);
                    rig.settle();
                }
                Wild::Wait(n) => rig.wait(ms(n)),
            }
            invariants::check(&rig.rx);
        }
        prop_assert!(rig.worst < 8 * 1024, "{}", rig.worst);
        rig.wait(Duration::from_secs(400));
        prop_assert!(rig.rx.is_ended());
        prop_assert_eq!(rig.out.last(), Some(&Out::End(End::Expired)));
        prop_assert_eq!((rig.rx.held(), rig.rx.missing(), rig.rx.repair.len()), (0, 0, 0));
    }
}
