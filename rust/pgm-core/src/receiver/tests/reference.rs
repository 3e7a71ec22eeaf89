// SPDX-License-Identifier: GPL-2.0

//! A simple, slow receiver, and the engine beside it: any sequence of packets must give the same
//! deliveries and the same losses.

use super::failing::{refuse, Failing};
use super::*;
use pgm_wire::Rst;
use std::collections::BTreeMap;

/// Just below the wrap, so that every run crosses it.
pub(super) const BASE: u64 = 0xFFFF_FFD0;

pub(super) fn wire(n: u64) -> u32 {
    u32::try_from(n & 0xFFFF_FFFF).unwrap()
}

/// What one number came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Apdu(Vec<u32>),
    Lost(u32),
    End(End),
}

pub(super) fn flatten(out: Vec<Out>) -> Vec<Event> {
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
pub(super) struct Frag {
    pub(super) first: u64,
    pub(super) offset: u32,
    pub(super) apdu_len: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    Data(u16, Option<Frag>),
    Bad,
}

pub(super) enum Joining {
    Fresh,
    Skipping(u64),
    Done,
}

/// The reference: numbers do not wrap, everything is kept in a map, nothing is fast.
pub(super) struct Model {
    pub(super) config: ReceiverConfig,
    pub(super) capacity: u64,
    pub(super) known: BTreeMap<u64, Known>,
    pub(super) open: bool,
    pub(super) init: u64,
    pub(super) commit: u64,
    pub(super) trail: u64,
    pub(super) end: u64,
    pub(super) join: Option<u64>,
    pub(super) joining: Joining,
    pub(super) fin: bool,
    pub(super) cut: Option<End>,
    pub(super) ended: bool,
    pub(super) events: Vec<Event>,
}

impl Model {
    pub(super) fn new(config: ReceiverConfig, capacity: u64) -> Self {
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

    pub(super) fn limit(&self) -> u64 {
        u64::from(self.config.fragments_max).min(self.capacity)
    }

    pub(super) fn open(&mut self, first: u64) {
        self.open = true;
        self.init = first;
        self.commit = first;
        self.trail = first;
        self.end = first;
    }

    pub(super) fn good(&self, sqn: u64, len: u16, frag: Option<Frag>) -> bool {
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
    pub(super) fn data(&mut self, op: &DataOp, room: bool) {
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

    pub(super) fn spm(&mut self, op: &SpmOp) {
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

    pub(super) fn cut(&mut self, end: End) {
        self.trail = self.end;
        self.cut = Some(end);
    }

    pub(super) fn over(&self) -> bool {
        self.ended || self.cut.is_some()
    }

    /// The source is never heard again.
    pub(super) fn expire(&mut self) {
        if !self.over() {
            let end = if self.fin { End::Fin } else { End::Expired };
            self.cut(end);
            self.deliver();
        }
    }

    pub(super) fn lose(&mut self, from: u64, to: u64) {
        for sqn in from..to {
            self.known.remove(&sqn);
            self.events.push(Event::Lost(wire(sqn)));
        }
        self.commit = to;
    }

    pub(super) fn missing(&self, sqn: u64) -> bool {
        sqn >= self.trail && !self.known.contains_key(&sqn)
    }

    pub(super) fn deliver(&mut self) {
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
    pub(super) fn step(&mut self) -> bool {
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

    pub(super) fn pass(&mut self, from: u64, to: u64) -> bool {
        let sqns = (from..to).map(wire).collect();
        for sqn in from..to {
            self.known.remove(&sqn);
        }
        self.events.push(Event::Apdu(sqns));
        self.commit = to;
        true
    }

    pub(super) fn missing_count(&self) -> u32 {
        let n = (self.commit..self.end).filter(|sqn| !self.known.contains_key(sqn));
        u32::try_from(n.count()).unwrap()
    }
}

#[derive(Clone, Debug)]
pub(super) struct DataOp {
    pub(super) rdata: bool,
    pub(super) sqn: u64,
    pub(super) trail: u64,
    pub(super) len: u16,
    pub(super) frag: Option<Frag>,
    pub(super) fin: bool,
    pub(super) payload: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum SpmEnd {
    None,
    Fin,
    Rst(u8),
}

#[derive(Clone, Debug)]
pub(super) struct SpmOp {
    pub(super) sqn: u32,
    pub(super) trail: u64,
    pub(super) lead: u64,
    pub(super) end: SpmEnd,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Data(DataOp),
    Spm(SpmOp),
    Ncf(Vec<u64>),
    Nak(Vec<u64>),
    Wait(u32),
    Congested(bool),
    /// There is memory for so many packets.
    Room(u16),
}

/// The stream as its source sends it: APDUs of 1 to 4 packets, 10 bytes in each.
pub(super) fn true_fragment(sqn: u64) -> Option<Frag> {
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

pub(super) fn patient() -> ReceiverConfig {
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
pub(super) fn apply<H: Heap>(rig: &mut Rig<H>, model: &mut Model, op: &Op) -> Result<(), Discard> {
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
            // Which SPMs count, and which show that the source began again, is shown elsewhere.
            if rig.rx.ending.expired {
                model.expire();
            } else if result != Err(Discard::SpmOutOfSequence) {
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
        Op::Room(packets) => {
            rig.rx.set_ceilings(&Ceilings {
                room: Room {
                    gaps: packets.saturating_mul(2),
                    beyond: *packets,
                },
                ..Ceilings::NONE
            });
            rig.settle();
        }
    }
    Ok(())
}

pub(super) fn compare<H: Heap>(rig: &mut Rig<H>, model: &mut Model) {
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
pub(super) fn finish<H: Heap>(rig: &mut Rig<H>, model: &mut Model) {
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

/// Nothing comes any more: both had the same APDUs, losses and end, the end last.
pub(super) fn same_in_any_order<H: Heap>(rig: &mut Rig<H>, model: &mut Model) {
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

/// The receiver and the reference through a sequence, to the end of the session.
pub(super) fn agree(ops: &[Op], seed: u64) {
    let mut rig = Rig::<StdHeap>::with(patient(), seed);
    let mut model = Model::new(patient(), 64);
    for op in ops {
        let _ = apply(&mut rig, &mut model, op);
        compare(&mut rig, &mut model);
    }
    finish(&mut rig, &mut model);
}

/// Every packet twice is every packet once: the same deliveries, the same NAKs at the same time.
pub(super) fn ignore_duplicates(ops: &[Op], seed: u64) {
    let mut once = Rig::<StdHeap>::with(patient(), seed);
    let mut twice = Rig::<StdHeap>::with(patient(), seed);
    let mut model = Model::new(patient(), 64);
    let mut ignored = Model::new(patient(), 64);
    for op in ops {
        let _ = apply(&mut once, &mut model, op);
        let first = apply(&mut twice, &mut ignored, op);
        once.wait(Duration::ZERO);
        twice.wait(Duration::ZERO);
        // What found no room may find it the second time.
        if !matches!(op, Op::Wait(_)) && first != Err(Discard::BeyondWindow) {
            let _ = apply(&mut twice, &mut Model::new(patient(), 0), op);
        }
        assert_eq!(flatten(once.take_out()), flatten(twice.take_out()));
        assert_eq!(&once.sent, &twice.sent);
        invariants::check(&twice.rx);
    }
}

/// The same in the order of arrival, but for the order.
pub(super) fn agree_in_any_order(ops: &[Op], seed: u64) {
    let config = ReceiverConfig {
        arrival_order: true,
        ..patient()
    };
    let mut rig = Rig::<StdHeap>::with(config, seed);
    let mut model = Model::new(config, 64);
    for op in ops {
        let _ = apply(&mut rig, &mut model, op);
        invariants::check(&rig.rx);
    }
    same_in_any_order(&mut rig, &mut model);
}

/// Refused memory costs packets, never order, truth or liveness.
pub(super) fn agree_without_memory(ops: &[Op], seed: u64, percent: u64) {
    refuse(percent, seed);
    let large = ReceiverConfig {
        rxw_sqns: 512,
        ..patient()
    };
    let mut rig = Rig::<Failing>::with(large, seed);
    let mut model = Model::new(large, 512);
    for op in ops {
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
        assert!(rig.rx.retry.is_none());
    }
    compare(&mut rig, &mut model);
    finish(&mut rig, &mut model);
}
