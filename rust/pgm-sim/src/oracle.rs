// SPDX-License-Identifier: GPL-2.0

//! The oracle: sees what the network brings to one receiver and what the receiver hands up, and knows
//! what was sent.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pgm_core::receiver::{Data, Delivery, End};
use pgm_core::{Discard, Duration, Instant};
use pgm_wire::{Body, Packet, Sqn};

use crate::scenario::Ending;
use crate::workload::Workload;

/// What every receiver of a run is held to.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How the session ends.
    pub ending: Ending,
    /// Whether loss is forbidden.
    pub ample: bool,
}

/// Where reception starts if not at `first`: as far back as OPT_JOIN allows and the window reaches
/// (RFC 3208 §9.4.2).
fn history(packet: &Packet<'_>, trail: Sqn, first: u32, workload: &Workload) -> u32 {
    match packet.options.join() {
        Some(min) => first.min(workload.index(min).max(workload.index(trail))),
        None => first,
    }
}

/// The witness of one receiver. Packets are named by their distance from the session's first SQN.
#[derive(Debug, Default)]
pub struct Witness {
    /// Where reception starts (RFC 3208 §6.1), once it is decided.
    start: Option<u32>,
    /// What followed the first SPM, if that came before any data.
    join: Option<u32>,
    /// The next packet to be delivered or reported.
    next: Option<u32>,
    /// How many parts of the current APDU were delivered.
    parts: usize,
    /// Packets that the engine took.
    accepted: Vec<bool>,
    /// ODATA that the network did not bring: when it would have come.
    missed: BTreeMap<u32, Instant>,
    heard_fin: bool,
    heard_reset: bool,
    /// How it ended.
    pub end: Option<End>,
    /// Whole APDUs delivered.
    pub apdus: u64,
    /// SQNs reported lost.
    pub lost: u64,
    /// ODATA packets of its session that the network did not bring.
    pub losses: u64,
    /// How long each recovery took, from when the packet would have come.
    pub recoveries: Vec<Duration>,
}

impl Witness {
    /// The network did not bring the ODATA at `index`, which would have come at `at`.
    pub fn missed(&mut self, index: u32, at: Instant) {
        if self.start.is_some() && self.end.is_none() {
            self.losses += 1;
            self.missed.insert(index, at);
        }
    }

    /// The engine was given an undamaged packet and answered.
    pub fn heard(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        answer: Result<(), Discard>,
        workload: &Workload,
    ) {
        if self.end.is_some() {
            return;
        }
        match packet.body {
            Body::Spm(spm) if answer.is_ok() => {
                self.heard_fin |= packet.options.fin();
                self.heard_reset |= packet.options.rst().is_some();
                let after = workload.index(spm.lead.next());
                let first = history(packet, spm.trail, self.join.unwrap_or(after), workload);
                self.join.get_or_insert(first);
                if self.start.is_none() && after > first {
                    self.start = Some(first);
                }
            }
            Body::Odata(data) | Body::Rdata(data) => {
                self.heard_fin |= packet.options.fin();
                let index = workload.index(data.sqn);
                let start = self.join.filter(|join| *join <= index).unwrap_or(index);
                let start = history(packet, data.trail, start, workload);
                self.start.get_or_insert(start);
                if answer.is_ok() {
                    self.accept(index);
                    if let Some(at) = self.missed.remove(&index) {
                        self.recoveries.push(now.since(at));
                    }
                }
            }
            _ => {}
        }
    }

    fn accept(&mut self, index: u32) {
        let place = index as usize;
        if self.accepted.len() <= place {
            self.accepted.resize(place + 1, false);
        }
        self.accepted[place] = true;
    }

    fn has_accepted(&self, index: u32) -> bool {
        self.accepted.get(index as usize).copied().unwrap_or(false)
    }

    /// The receiver handed something up. `sent` is how many packets left the source so far.
    pub fn delivered(
        &mut self,
        delivery: &Delivery<Vec<u8>>,
        workload: &Workload,
        sent: u32,
        rules: Rules,
    ) -> Result<(), String> {
        if let Some(end) = self.end {
            return Err(format!("{delivery:?} after the end, {end:?}"));
        }
        match delivery {
            Delivery::Data(data) => self.data(data, workload),
            Delivery::Loss { first, count } => {
                self.loss(workload.index(*first), *count, workload, sent, rules)
            }
            Delivery::End(end) => self.ended(*end, workload, sent, rules),
        }
    }

    /// Moves from what was expected to `index`, which may skip only the rest of an APDU that had
    /// begun before reception did.
    fn step(&mut self, index: u32, what: &str, workload: &Workload) -> Result<(), String> {
        let Some(start) = self.start else {
            return Err(format!("{what} {index} before anything was heard"));
        };
        let next = self.next.unwrap_or(start);
        let cut = workload.siblings(start);
        let skips = cut.start < start && next < index && index <= cut.end;
        if index != next && !skips {
            return Err(format!(
                "{what} {index} where {next} was due (start {start})"
            ));
        }
        Ok(())
    }

    fn data(&mut self, data: &Data<Vec<u8>>, workload: &Workload) -> Result<(), String> {
        let index = workload.index(data.sqn);
        self.step(index, "data", workload)?;
        let Some((apdu, place)) = workload.packet(index) else {
            return Err(format!("data {index} was never sent"));
        };
        if place != self.parts {
            return Err(format!(
                "part {place} of APDU {apdu}, not part {}",
                self.parts
            ));
        }
        let part = workload.part(apdu, place);
        let bytes = &workload.apdus[apdu].bytes;
        let is_last = place + 1 == workload.fragments(bytes.len());
        let agrees = data.payload == part
            && data.len as usize == part.len()
            && data.offset as usize == place * workload.mss
            && data.apdu_len as usize == bytes.len()
            && data.last == is_last
            && data.syn == (index == 0);
        if !agrees {
            return Err(format!("data {index} is not what was sent: {data:?}"));
        }
        self.parts = if is_last { 0 } else { place + 1 };
        self.apdus += u64::from(is_last);
        self.next = Some(index + 1);
        Ok(())
    }

    fn loss(
        &mut self,
        first: u32,
        count: u32,
        workload: &Workload,
        sent: u32,
        rules: Rules,
    ) -> Result<(), String> {
        self.step(first, "loss", workload)?;
        let end = first.saturating_add(count);
        if count == 0 || end > sent || self.parts != 0 {
            return Err(format!(
                "loss of {first}..{end} of {sent}, after {} parts",
                self.parts
            ));
        }
        if rules.ample && rules.ending == Ending::Fin {
            return Err(format!(
                "{first}..{end} reported lost under an ample window"
            ));
        }
        let mut index = first;
        while index < end {
            let siblings = workload.siblings(index);
            if siblings.clone().all(|index| self.has_accepted(index)) {
                return Err(format!(
                    "APDU {siblings:?} reported lost, but all of it came"
                ));
            }
            index = siblings.end;
        }
        self.lost += u64::from(count);
        self.next = Some(end);
        Ok(())
    }

    fn ended(
        &mut self,
        end: End,
        workload: &Workload,
        sent: u32,
        rules: Rules,
    ) -> Result<(), String> {
        self.end = Some(end);
        if self.parts != 0 {
            return Err(format!("{end:?} inside an APDU"));
        }
        let allowed = match (end, rules.ending) {
            (End::Fin, Ending::Fin) => self.heard_fin,
            (End::Reset { code }, Ending::Reset { code: sent, .. }) => {
                self.heard_reset && code == sent
            }
            (End::Expired, Ending::Silence { .. }) => return Ok(()),
            // Every FIN or RST was lost on the way.
            (End::Expired, _) => !rules.ample && !self.heard_fin && !self.heard_reset,
            _ => false,
        };
        if !allowed {
            return Err(format!(
                "{end:?} although the session ended by {:?}",
                rules.ending
            ));
        }
        if end != End::Expired && self.start.is_some() {
            self.step(sent, "end", workload)?;
        }
        Ok(())
    }
}
