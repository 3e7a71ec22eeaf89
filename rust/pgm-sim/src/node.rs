// SPDX-License-Identifier: GPL-2.0

//! The engines with what surrounds them on their hosts: an application, a socket buffer.

use pgm_core::receiver::{Place, Receiver};
use pgm_core::source::Source;
use pgm_core::{Duration, Instant};
use pgm_wire::checksum::Sum;
use pgm_wire::{Addr, Sqn};

use crate::heap::MeagreHeap;
use crate::link::Link;
use crate::oracle::Witness;
use crate::scenario::{Ending, Scenario};
use crate::workload::Workload;

/// An application that was refused memory tries again after so long.
const RETRY: Duration = Duration::from_millis(5);

/// The source's host.
pub struct SourceNode {
    /// The engine.
    pub engine: Source<Vec<u8>, MeagreHeap>,
    /// The link that all its packets pass.
    pub shared: Link,
    next: usize,
    closes: bool,
    /// When memory for the next APDU was refused.
    refused_at: Option<Instant>,
    /// When the application looks again.
    pub planned: Option<Instant>,
    /// It vanished.
    pub dead: bool,
}

impl SourceNode {
    pub fn new(scenario: &Scenario, now: Instant, shared: Link) -> Self {
        Self {
            engine: Source::new(scenario.source, now),
            shared,
            next: 0,
            refused_at: None,
            planned: None,
            closes: scenario.ending == Ending::Fin,
            dead: false,
        }
    }

    /// The application sends what it has ready and what has room, and closes after the last.
    pub fn feed(&mut self, now: Instant, workload: &mut Workload) -> Result<(), String> {
        while let Some(apdu) = workload.apdus.get(self.next) {
            let len = apdu.bytes.len();
            let fragments = workload.fragments(len);
            let count = fragments as u32;
            if !self.engine.fits(count, len as u64) {
                return Err(format!("an APDU of {len} bytes never fits"));
            }
            if apdu.at > now {
                return Ok(());
            }
            if !self.engine.room(count, len as u64) {
                self.engine.wait_for_room(now, count, len as u64);
                return Ok(());
            }
            if self.engine.reserve(count).is_err() {
                self.refused_at = Some(now);
                return Ok(());
            }
            for place in 0..fragments {
                let sqn = self.push(now, workload, place)?;
                if workload.index(sqn) != workload.len() {
                    return Err(format!("SQN {} skipped or repeated", sqn.get()));
                }
                workload.sent(self.next, place);
            }
            self.next += 1;
        }
        if self.closes {
            self.engine.fin(now);
            self.closes = false;
        }
        Ok(())
    }

    fn push(&mut self, now: Instant, workload: &Workload, place: usize) -> Result<Sqn, String> {
        let part = workload.part(self.next, place).to_vec();
        let apdu_len = workload.apdus[self.next].bytes.len();
        let fragment =
            (apdu_len > workload.mss).then_some(((place * workload.mss) as u32, apdu_len as u32));
        let (len, sum) = (part.len() as u16, Sum::of(&part));
        let pushed = self.engine.push(now, part, len, sum, fragment);
        pushed.map_err(|_| "a reserved push was refused".to_owned())
    }

    /// When the application wants to send its next APDU, which may be the time at which it could
    /// not.
    pub fn next_apdu_at(&mut self, workload: &Workload) -> Option<Instant> {
        let apdu = workload.apdus.get(self.next)?;
        let retry = self.refused_at.take().map(|at| at.after(RETRY));
        Some(retry.map_or(apdu.at, |retry| apdu.at.max(retry)))
    }
}

/// A receiver's host.
pub struct ReceiverNode {
    /// Its address.
    pub addr: Addr,
    /// The engine, from the first packet of the session on.
    pub engine: Option<Receiver<Vec<u8>, MeagreHeap>>,
    /// From the source.
    pub down: Link,
    /// To the source.
    pub up: Link,
    /// Seed of the engine.
    pub seed: u64,
    /// Whether it is in the group.
    pub joined: bool,
    /// The application does not read: packets that its socket buffer still holds.
    pub stalled: Option<u32>,
    /// Packets in the socket's receive queue.
    pub queued: u32,
    /// The oracle's view.
    pub witness: Witness,
}

impl ReceiverNode {
    /// Whether SO_RCVBUF has room for data packet `sqn`. When all of it holds packets that wait for
    /// this very one, there must be.
    pub fn has_room(&self, sqn: Sqn) -> bool {
        let (Some(room), Some(engine)) = (self.stalled, &self.engine) else {
            return true;
        };
        let used = engine.held() + self.queued;
        used < room || (self.queued == 0 && engine.place(sqn) == Place::Next)
    }

    /// The buffer's state, as the socket tells the engine.
    pub fn update_congestion(&mut self, now: Instant) {
        let full = self.stalled.is_some_and(|room| self.queued >= room);
        if let Some(engine) = &mut self.engine {
            engine.set_congested(now, full);
        }
    }
}
