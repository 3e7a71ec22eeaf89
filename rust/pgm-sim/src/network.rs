// SPDX-License-Identifier: GPL-2.0

//! The network: who hears what, when, in virtual time that steps from event to event.

use std::rc::Rc;

use pgm_core::receiver::{Delivery, Receiver};
use pgm_core::{take_steps, Destination, Discard, Duration, Instant, Rng};
use pgm_wire::{checksum, Addr, Body, Packet, PacketType, HEADER_MAX};

use crate::clock::{Events, Timers};
use crate::draw::Draw;
use crate::engine::{receiver_lives, source_lives, Cost};
use crate::heap;
use crate::link::{Arrival, Link};
use crate::node::{ReceiverNode, SourceNode};
use crate::oracle::{Rules, Witness};
use crate::print;
use crate::report::Outcome;
use crate::scenario::{Ending, Scenario, IP_OVERHEAD, NLA};
use crate::trace;
use crate::workload::Workload;

/// Place of the source among the nodes; receiver `n` is node `n + 1`.
const SOURCE: usize = 0;
/// Timers that may fire without time moving on.
const STANDING_MAX: u32 = 50_000;
/// No session takes longer.
const HORIZON: Duration = Duration::from_secs(36_000);

enum Event {
    /// A packet reaches a node.
    Arrive {
        node: usize,
        from: Addr,
        packet: Rc<[u8]>,
        damaged: bool,
    },
    /// The application has an APDU ready.
    Feed,
    /// A receiver joins the group.
    Join(usize),
    /// A receiver's application stops reading, with so much room in its buffer, or reads again.
    Stall(usize, Option<u32>),
    /// The source aborts or vanishes.
    Ending,
}

struct Network<'a> {
    scenario: &'a Scenario,
    trace: bool,
    now: Instant,
    events: Events<Event>,
    timers: Timers,
    source: SourceNode,
    branches: Vec<Link>,
    receivers: Vec<ReceiverNode>,
    workload: Workload,
    rules: Rules,
    outcome: Outcome,
    cost: Cost,
}

/// Runs a scenario to its end and judges it. With `trace` every event is printed.
pub fn run(scenario: &Scenario, trace: bool) -> Result<Outcome, String> {
    let mut network = Network::new(scenario, trace);
    let result = network.run();
    result.map_err(|why| format!("at {:.6} s: {why}", trace::seconds(network.now)))?;
    network.collect()
}

impl<'a> Network<'a> {
    fn new(scenario: &'a Scenario, trace: bool) -> Self {
        // Independent of how the scenario was drawn, which used the seed itself.
        let mut rng = Rng::new(!scenario.seed);
        let now = Instant::ZERO.after(Duration::from_secs(1));
        let workload = Workload::new(
            &scenario.traffic,
            scenario.source.first_sqn,
            now,
            &mut rng.fork(),
        );
        let shared = Link::new(scenario.shared, rng.fork());
        heap::refuse(scenario.refusals, rng.fork());
        let branches = scenario.branches.iter();
        let branches: Vec<Link> = branches
            .map(|profile| Link::new(*profile, rng.fork()))
            .collect();
        let receivers: Vec<ReceiverNode> = (0..)
            .zip(&scenario.places)
            .map(|(n, place): (u32, _)| {
                let [_, top, high, low] = n.to_be_bytes();
                ReceiverNode {
                    addr: Addr::V4([10, 1 + top, high, low]),
                    engine: None,
                    down: Link::new(place.down, rng.fork()),
                    up: Link::new(place.up, rng.fork()),
                    seed: rng.next_u64(),
                    joined: false,
                    stalled: None,
                    queued: 0,
                    witness: Witness::default(),
                }
            })
            .collect();
        Self {
            scenario,
            trace,
            now,
            events: Events::new(),
            timers: Timers::new(receivers.len() + 1),
            source: SourceNode::new(scenario, now, shared),
            branches,
            receivers,
            workload,
            rules: Rules {
                ending: scenario.ending,
                ample: scenario.ample,
            },
            outcome: Outcome::default(),
            cost: Cost::default(),
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            print::line(format_args!(
                "{:>12.6} {}",
                trace::seconds(self.now),
                what()
            ));
        }
    }

    fn plan(&mut self) {
        let start = self.now;
        let scenario = self.scenario;
        for (n, place) in scenario.places.iter().enumerate() {
            self.events.plan(start.after(place.joins), Event::Join(n));
            if let Some(stall) = place.stall {
                let from = start.after(stall.after);
                self.events.plan(from, Event::Stall(n, Some(stall.room)));
                self.events
                    .plan(from.after(stall.lasts), Event::Stall(n, None));
            }
        }
        match scenario.ending {
            Ending::Fin => {}
            Ending::Reset { after, .. } | Ending::Silence { after } => {
                self.events.plan(start.after(after), Event::Ending);
            }
        }
        self.events.plan(start, Event::Feed);
    }

    fn run(&mut self) -> Result<(), String> {
        self.plan();
        let horizon = self.now.after(HORIZON);
        let mut standing = 0;
        loop {
            let (event, timer) = (self.events.next(), self.timers.next());
            let Some(at) = [event, timer].into_iter().flatten().min() else {
                return Ok(());
            };
            if at > self.now {
                standing = 0;
                self.now = at;
            }
            if self.now > horizon {
                return Err("the session does not end".into());
            }
            if event == Some(at) {
                self.outcome.events += 1;
                if let Some(event) = self.events.pop() {
                    self.dispatch(event)?;
                }
            } else if let Some(node) = self.timers.pop() {
                standing += 1;
                if standing > STANDING_MAX {
                    return Err(format!("the timer of node {node} never rests"));
                }
                self.expire(node)?;
            }
        }
    }

    fn expire(&mut self, node: usize) -> Result<(), String> {
        if node == SOURCE {
            self.source.engine.handle_timeout(self.now);
            self.cost.called("a timeout of the source")?;
            return self.serve_source();
        }
        if let Some(engine) = &mut self.receivers[node - 1].engine {
            engine.handle_timeout(self.now);
        }
        self.cost.called("a timeout of a receiver")?;
        self.serve_receiver(node - 1)
    }

    fn dispatch(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Arrive {
                node,
                from,
                packet,
                damaged,
            } => self.arrive(node, from, &packet, damaged),
            Event::Feed => self.serve_source(),
            Event::Join(n) => {
                self.say(|| format!("r{n} joins"));
                self.receivers[n].joined = true;
                Ok(())
            }
            Event::Stall(n, stalled) => {
                self.say(|| format!("r{n} reads: {}", stalled.is_none()));
                let node = &mut self.receivers[n];
                node.stalled = stalled;
                node.queued = 0;
                node.update_congestion(self.now);
                self.serve_receiver(n)
            }
            Event::Ending => {
                self.say(|| format!("source: {:?}", self.scenario.ending));
                match self.scenario.ending {
                    Ending::Reset { code, no_naks, .. } => {
                        self.source.engine.abort(self.now, code, no_naks);
                    }
                    _ => self.source.dead = true,
                }
                self.serve_source()
            }
        }
    }

    /// Lets the application send, sends what the source wants sent, and sets its timer.
    fn serve_source(&mut self) -> Result<(), String> {
        if self.source.dead {
            self.timers.set(SOURCE, None);
            return Ok(());
        }
        let mut buf = [0; HEADER_MAX];
        loop {
            self.source.feed(self.now, &mut self.workload)?;
            take_steps();
            let Some(transmit) = self.source.engine.poll_transmit(self.now, &mut buf) else {
                break;
            };
            let mut bytes = buf[..transmit.header_len].to_vec();
            bytes.extend(transmit.payload.into_iter().flatten());
            let kind = transmit.kind;
            self.cost.called("a packet of the source")?;
            self.multicast(kind, bytes.into());
        }
        source_lives(self.now, &self.source.engine)?;
        if let Some(at) = self.source.next_apdu_at(&self.workload) {
            if at > self.now && self.source.planned != Some(at) {
                self.source.planned = Some(at);
                self.events.plan(at, Event::Feed);
            }
        }
        self.timers.set(SOURCE, self.source.engine.poll_timeout());
        Ok(())
    }

    /// From the source to every receiver of the group.
    fn multicast(&mut self, kind: PacketType, packet: Rc<[u8]>) {
        self.outcome.sent += 1;
        self.say(|| format!("source sends {}", trace::packet(&packet)));
        let odata = match Packet::parse(&packet).map(|packet| packet.body) {
            Ok(Body::Odata(data)) => Some(self.workload.index(data.sqn)),
            _ => None,
        };
        match kind {
            PacketType::Odata => self.outcome.odata += 1,
            PacketType::Rdata => self.outcome.rdata += 1,
            PacketType::Ncf => self.outcome.ncfs += 1,
            _ => {}
        }
        let bytes = packet.len() as u64 + u64::from(IP_OVERHEAD);
        let start = self.source.shared.queue(self.now, bytes);
        let start = start.filter(|_| self.source.shared.pass(self.now)[0].is_some());
        self.outcome.odata_lost_by_all += u64::from(start.is_none() && odata.is_some());
        let branches: Vec<Option<Instant>> = self
            .branches
            .iter_mut()
            .map(|link| start.filter(|_| link.pass(self.now)[0].is_some()))
            .collect();
        let mut missed = false;
        for n in 0..self.receivers.len() {
            if !self.receivers[n].joined {
                continue;
            }
            let node = &mut self.receivers[n];
            let start = match self.scenario.places[n].branch {
                Some(branch) => branches[branch],
                None => start,
            };
            let start = start.and_then(|at| node.down.queue(at, bytes));
            let arrivals = match start {
                Some(at) => node.down.pass(at),
                None => [None, None],
            };
            let intact = arrivals.iter().flatten().any(|copy| !copy.damaged);
            if let Some(index) = odata.filter(|_| !intact) {
                node.witness.missed(index, node.down.undisturbed(self.now));
                missed = true;
            }
            self.carry(n + 1, NLA, &packet, arrivals);
        }
        self.outcome.odata_missed += u64::from(missed);
    }

    fn carry(&mut self, node: usize, from: Addr, packet: &Rc<[u8]>, copies: [Option<Arrival>; 2]) {
        if copies[0].is_none() {
            self.outcome.dropped += 1;
        }
        for copy in copies.into_iter().flatten() {
            let event = Event::Arrive {
                node,
                from,
                packet: Rc::clone(packet),
                damaged: copy.damaged,
            };
            self.events.plan(copy.at, event);
        }
    }

    fn arrive(
        &mut self,
        node: usize,
        from: Addr,
        packet: &Rc<[u8]>,
        damaged: bool,
    ) -> Result<(), String> {
        self.outcome.arrived += 1;
        let mut bytes = Rc::clone(packet);
        if damaged {
            let mut copy = packet.to_vec();
            let link = match node {
                SOURCE => &mut self.source.shared,
                _ => &mut self.receivers[node - 1].down,
            };
            link.damage(&mut copy);
            bytes = copy.into();
        }
        match (Packet::parse(&bytes), damaged) {
            (Ok(packet), false) => self.receive(node, from, &packet),
            (Err(why), false) => Err(format!("a good packet does not parse: {why:?}")),
            (Err(_), true) => Ok(()),
            // Only a checksum that became 0, "none", may pass: then all else is as it was.
            (Ok(_), true) if !checksum::verify(&bytes) && bytes[6..8] == [0, 0] => Ok(()),
            (Ok(_), true) => Err("a damaged packet was taken".into()),
        }
    }

    fn receive(&mut self, node: usize, from: Addr, packet: &Packet<'_>) -> Result<(), String> {
        if node == SOURCE {
            if self.source.dead {
                return Ok(());
            }
            take_steps();
            let answer = self.source.engine.handle(self.now, from, packet);
            self.cost.called("a packet to the source")?;
            self.count_discard(answer);
            self.say(|| format!("source takes {:?}: {answer:?}", packet.body));
            self.outcome.naks_at_source += u64::from(packet.header.kind == PacketType::Nak);
            return self.serve_source();
        }
        let now = self.now;
        let receiver = &mut self.receivers[node - 1];
        if receiver.engine.is_none() {
            // As a socket does: SPM, ODATA and RDATA make a session, NCFs do not.
            if !matches!(packet.body, Body::Spm(_) | Body::Odata(_) | Body::Rdata(_)) {
                return Ok(());
            }
            let config = self.scenario.receiver;
            let engine = Receiver::new(config, packet.tsi(), from, now, receiver.seed);
            receiver.engine = Some(engine);
        }
        let payload = match packet.body {
            Body::Odata(data) | Body::Rdata(data) if receiver.has_room(data.sqn) => {
                Some(packet.payload.to_vec())
            }
            _ => None,
        };
        if let Some(engine) = &mut receiver.engine {
            take_steps();
            let answer = engine.handle(now, from, packet, payload);
            self.cost.called("a packet to a receiver")?;
            receiver.witness.heard(now, packet, answer, &self.workload);
            self.say(|| format!("r{} takes {:?}: {answer:?}", node - 1, packet.body));
            self.count_discard(answer);
        }
        self.serve_receiver(node - 1)
    }

    fn count_discard(&mut self, answer: Result<(), Discard>) {
        if let Err(why) = answer {
            *self.outcome.discards.entry(why.name()).or_default() += 1;
        }
    }

    /// Hands up what is ready, sends what the receiver wants sent, and sets its timer.
    fn serve_receiver(&mut self, n: usize) -> Result<(), String> {
        let sent = self.workload.index(self.source.engine.lead().next());
        loop {
            let node = &mut self.receivers[n];
            let Some(engine) = &mut node.engine else {
                return Ok(());
            };
            let mut buf = [0; HEADER_MAX];
            take_steps();
            let delivery = engine.poll_deliver();
            self.cost.called("a delivery")?;
            if let Some(delivery) = delivery {
                if let Delivery::Data(data) = &delivery {
                    node.queued += u32::from(node.stalled.is_some());
                    let index = self.workload.index(data.sqn);
                    if let Some((apdu, _)) = self.workload.packet(index).filter(|_| data.last) {
                        let age = self.now.since(self.workload.apdus[apdu].at);
                        self.outcome.ages.add(age.nanos() / 1_000);
                        let (from, to) = self.workload.second_half();
                        self.outcome.in_time += u64::from(from <= self.now && self.now < to);
                    }
                }
                node.update_congestion(self.now);
                let rules = self.rules;
                let verdict = node
                    .witness
                    .delivered(&delivery, &self.workload, sent, rules);
                verdict.map_err(|why| format!("receiver {n}: {why}"))?;
                self.say(|| format!("r{n} delivers {}", trace::delivery(&delivery)));
                continue;
            }
            let Some(transmit) = engine.poll_transmit(self.now, &mut buf) else {
                break;
            };
            self.cost.called("a packet of a receiver")?;
            let packet: Rc<[u8]> = buf[..transmit.header_len].into();
            let destination = transmit.destination;
            let copy = transmit.copy;
            self.say(|| format!("r{n} sends {} to {destination:?}", trace::packet(&packet)));
            self.upstream(n, destination, &packet)?;
            if copy {
                self.upstream(n, Destination::GroupLocal, &packet)?;
            }
        }
        let engine = self.receivers[n].engine.as_ref();
        if let Some(engine) = engine {
            receiver_lives(self.now, engine).map_err(|why| format!("receiver {n}: {why}"))?;
        }
        let timeout = engine.and_then(Receiver::poll_timeout);
        self.timers.set(n + 1, timeout);
        Ok(())
    }

    fn upstream(&mut self, n: usize, to: Destination, packet: &Rc<[u8]>) -> Result<(), String> {
        let from = self.receivers[n].addr;
        match to {
            Destination::Unicast(NLA) => {
                let arrivals = self.receivers[n].up.pass(self.now);
                self.carry(SOURCE, from, packet, arrivals);
            }
            Destination::GroupLocal => {
                for other in 0..self.receivers.len() {
                    if other != n && self.receivers[other].joined {
                        let arrivals = self.receivers[other].down.pass(self.now);
                        self.carry(other + 1, from, packet, arrivals);
                    }
                }
            }
            other => return Err(format!("receiver {n} sends to {other:?}")),
        }
        Ok(())
    }

    /// Nothing is left to happen: everybody must have finished.
    fn collect(mut self) -> Result<Outcome, String> {
        if !self.source.dead && !self.source.engine.is_done() {
            return Err("the source is not done, and nothing will happen".into());
        }
        for (n, (node, place)) in self.receivers.iter().zip(&self.scenario.places).enumerate() {
            if node
                .engine
                .as_ref()
                .is_some_and(|engine| !engine.is_ended())
            {
                return Err(format!("receiver {n} never ends, and nothing will happen"));
            }
            let outcome = &mut self.outcome;
            outcome.receivers += u64::from(node.engine.is_some());
            outcome.apdus += node.witness.apdus;
            outcome.unrecovered += node.witness.lost;
            if self.rules.ending != Ending::Fin {
                continue;
            }
            outcome.closed += u64::from(node.engine.is_some());
            if self.rules.ample {
                outcome.ample_losses += node.witness.losses;
                outcome.ample_unrecovered += node.witness.lost;
            }
            outcome.losses += node.witness.losses;
            let rtt = place.down.delay.nanos() + place.up.delay.nanos();
            let times = node.witness.recoveries.iter();
            let times = times.map(|time| (time.nanos() * 100 / rtt) as u32);
            outcome.recoveries.extend(times);
            if let Some(engine) = &node.engine {
                outcome.naks += engine.stats().naks_sent;
                outcome.nak_sqns += engine.stats().nak_sqns;
            }
        }
        self.outcome.runs = 1;
        self.outcome.worst_steps = self.cost.worst;
        Ok(self.outcome)
    }
}
