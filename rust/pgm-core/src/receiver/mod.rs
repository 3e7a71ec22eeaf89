// SPDX-License-Identifier: GPL-2.0

//! The receiving side of one transport session (RFC 3208 §6, §9, §13.5).
//!
//! Data packets go into the window (`rxw`), what is missing goes through the NAK state machine
//! (`nak`), and whole APDUs leave in order (`apdu`). Every call does a bounded amount of work;
//! what is left over makes [`Receiver::poll_timeout`] immediate.

mod apdu;
mod config;
mod data;
mod delivery;
mod join;
mod nak;
mod ncf;
mod peers;
mod rxw;
mod spm;
mod spmr;
mod stats;
mod table;

#[cfg(test)]
mod tests;

use pgm_wire::{checksum, Addr, Body, Nak, NakOptions, Packet, Ports, Repr, Sqn, Tsi, HEADER_MAX};

pub use config::ReceiverConfig;
pub use delivery::{Data, Delivery, End, Place};
pub use join::starts_reception;
pub use peers::Peers;
pub use stats::ReceiverStats;

use crate::discard::Discard;
use crate::memory::Heap;
use crate::meter::{Meter, Rates};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::transmit::{Destination, Transmit};
use apdu::{Cursor, Ending};
use nak::Repair;
use rxw::{newer, Window, Work};
use spmr::Spmr;
use stats::{add, count};

/// The most sequence numbers that one call touches in each of its walks.
const STEPS: u32 = 1024;
/// When memory was refused, we try again after so long.
const MEMORY_RETRY: Duration = Duration::from_millis(10);

/// The receiver of one session. `P` is the payload handle.
pub struct Receiver<P, H: Heap> {
    config: ReceiverConfig,
    tsi: Tsi,
    source: Addr,
    rng: Rng,
    stats: ReceiverStats,
    meter: Meter,
    window: Window<P, H>,
    repair: Repair<H>,
    cursor: Cursor,
    spmr: Spmr,
    /// Where NAKs go: the Path NLA of the last SPM (RFC 3208 §6.2).
    path: Option<Addr>,
    /// SPM_SQN of the last SPM in sequence.
    spm_sqn: Option<Sqn>,
    /// One past SPM_LEAD of the first SPM, which came before any data: what follows was sent after
    /// we joined. Lower if OPT_JOIN opens history.
    join: Option<Sqn>,
    /// OPT_NBR_UNREACH holds: no NAKs until a regular SPM (RFC 3208 §15.3.2).
    unreachable: bool,
    congested: bool,
    /// When the source was heard last.
    heard: Instant,
    ending: Ending,
    /// The end was delivered.
    ended: bool,
    /// A walk reached its bound.
    backlog: bool,
    /// When to ask for memory again.
    retry: Option<Instant>,
    /// When the next missing number is no longer taken for late.
    patience: Option<Instant>,
}

/// Bytes of a packet, without its IP header.
fn size(packet: &Packet<'_>) -> u64 {
    u64::try_from(packet.header_len())
        .unwrap_or(u64::MAX)
        .saturating_add(u64::from(packet.header.tsdu_len))
}

impl<P, H: Heap> Receiver<P, H> {
    /// The receiver of session `tsi`, whose first packet had the IP source address `source`. Takes
    /// no memory until data comes.
    pub fn new(config: ReceiverConfig, tsi: Tsi, source: Addr, now: Instant, seed: u64) -> Self {
        let window = Window::new(config.rxw_sqns);
        let capacity = window.ring.capacity();
        Self {
            config,
            tsi,
            source,
            rng: Rng::new(seed),
            stats: ReceiverStats::default(),
            meter: Meter::new(now),
            window,
            repair: Repair::new(capacity),
            cursor: Cursor::new(),
            spmr: Spmr::new(),
            path: None,
            spm_sqn: None,
            join: None,
            unreachable: false,
            congested: false,
            heard: now,
            ending: Ending::default(),
            ended: false,
            backlog: false,
            retry: None,
            patience: None,
        }
    }

    /// One packet of the session: SPM, ODATA, RDATA, NCF, or a multicast NAK or SPMR of another
    /// receiver. `payload` is the TSDU of a data packet; without it (no room in SO_RCVBUF) the packet
    /// is only known to exist and will be asked for. The IP source address does not matter: a
    /// session is named by its TSI alone (RFC 3208 §3.1).
    pub fn handle(
        &mut self,
        now: Instant,
        _from: Addr,
        packet: &Packet<'_>,
        payload: Option<P>,
    ) -> Result<(), Discard> {
        if packet.tsi() != self.tsi || packet.data_port() != self.config.dport {
            return Err(Discard::OtherSession);
        }
        if self.ended || self.ending.is_cut() {
            return Err(Discard::SessionEnded);
        }
        let result = match packet.body {
            Body::Spm(spm) => self.spm(now, &spm, &packet.options),
            Body::Odata(data) => self.data(now, data, false, packet, payload),
            Body::Rdata(data) => self.data(now, data, true, packet, payload),
            Body::Ncf(ncf) => self.ncf(now, ncf, packet),
            Body::Nak(nak) => self.nak(now, nak, packet),
            Body::Spmr => {
                if self.spmr.hear(now, &self.config) {
                    Ok(())
                } else {
                    Err(Discard::Unmatched)
                }
            }
            Body::Poll(_) | Body::Polr(_) | Body::Nnak(_) | Body::Ack(_) => {
                Err(Discard::UnexpectedType)
            }
        };
        // Packets that fit nothing we know are no sign of life: a source that started again under the
        // same TSI, or a forged jump of the window, lets the session expire and begin anew.
        let foreign = matches!(
            result,
            Err(Discard::OutsideWindow | Discard::SpmOutOfSequence | Discard::SpmWindow)
        );
        if packet.header.kind.is_downstream() {
            self.meter.tick(now, self.stats.bytes);
            add(&mut self.stats.bytes, size(packet));
            if !foreign {
                self.heard = now;
            }
        }
        self.maintain(now);
        result
    }

    /// Starts reception at `first`.
    fn open(&mut self, first: Sqn) {
        self.window.open(first);
        self.repair.open(first);
        self.cursor.open(first);
    }

    /// Gives missing numbers their slots and starts their recovery.
    fn maintain(&mut self, now: Instant) {
        let slots = self.window.materialise(now);
        let confirmed = self
            .repair
            .confirm(&mut self.window, now, &mut self.rng, &self.config);
        self.stats.missing_sqns = self.repair.assumed;
        self.backlog = slots == Work::More || confirmed == Work::More;
        self.retry = if slots == Work::Starved || confirmed == Work::Starved {
            Some(now.after(MEMORY_RETRY))
        } else {
            None
        };
        self.patience = match confirmed {
            Work::Until(at) => Some(at),
            _ => None,
        };
    }

    /// The most TPDUs of an APDU.
    fn limit(&self) -> u32 {
        self.config.fragments_max.min(self.window.ring.capacity())
    }

    /// What data packet `sqn` would be, before memory is spent on it.
    pub fn place(&self, sqn: Sqn) -> Place {
        if self.ended || self.ending.is_cut() {
            return Place::Useless(Discard::SessionEnded);
        }
        if !self.window.is_open() {
            return match self.join {
                Some(join) if newer(sqn, join) => Place::Beyond,
                _ => Place::Next,
            };
        }
        self.window.place(sqn, self.cursor.next())
    }

    /// The next thing for the application.
    pub fn poll_deliver(&mut self) -> Option<Delivery<P>> {
        if self.ended {
            return None;
        }
        let limit = self.limit();
        let delivery = self.cursor.poll(
            &mut self.window,
            &mut self.repair,
            &self.ending,
            limit,
            &mut self.stats,
        );
        self.ended = matches!(delivery, Some(Delivery::End(_)));
        delivery
    }

    /// Whether a NAK may leave at all (RFC 3208 §6.2, §15.3.2).
    fn may_nak(&self) -> bool {
        self.path.is_some() && !self.unreachable && !self.congested && !self.config.passive
    }

    /// The next packet to send: an SPMR or a NAK, neither with a payload. `buf` has at least
    /// [`HEADER_MAX`] bytes, or nothing is sent.
    pub fn poll_transmit<'a>(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<'a, P>>
    where
        P: 'a,
    {
        if buf.len() < HEADER_MAX || self.ended || self.ending.is_cut() {
            return None;
        }
        if let Some(copy) = self.spmr.poll_transmit(now, &self.config) {
            let destination = match copy {
                spmr::Copy::Group => Destination::GroupLocal,
                spmr::Copy::Source => Destination::Unicast(self.source),
            };
            if copy == spmr::Copy::Group {
                count(&mut self.stats.spmrs_sent);
            }
            return self.emit(&Repr::Spmr, destination, buf);
        }
        if !self.may_nak() {
            return None;
        }
        let path = self.path?;
        let (sqn, list) = self.repair.poll_nak(&mut self.window, now, &self.config)?;
        count(&mut self.stats.naks_sent);
        let sqns = u64::try_from(list.len()).unwrap_or(0).saturating_add(1);
        add(&mut self.stats.nak_sqns, sqns);
        let nak = Nak {
            sqn,
            source: self.source,
            group: self.config.group,
        };
        let options = NakOptions {
            list,
            ..NakOptions::default()
        };
        self.emit(&Repr::Nak(nak, options), Destination::Unicast(path), buf)
    }

    fn emit<'a>(
        &self,
        repr: &Repr,
        destination: Destination,
        buf: &mut [u8],
    ) -> Option<Transmit<'a, P>>
    where
        P: 'a,
    {
        // RFC 3208 §8.3, §13.6: upstream, the source port is the data-destination port.
        let ports = Ports {
            sport: self.config.dport,
            dport: self.tsi.sport,
            gsi: self.tsi.gsi,
        };
        let header_len = repr.emit(ports, 0, checksum::Sum::ZERO, buf).ok()?;
        Some(Transmit {
            kind: repr.kind(),
            destination,
            router_alert: false,
            header_len,
            payload: None,
        })
    }

    /// When [`Receiver::handle_timeout`] wants to be called; the past means at once. `None` only
    /// when the session is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        if self.cursor.more {
            return Some(Instant::ZERO);
        }
        if self.ending.is_cut() {
            return None;
        }
        let work = match self.retry {
            None if self.backlog || self.window.wants_slots() => Some(Instant::ZERO),
            retry => retry,
        };
        let nak = if self.may_nak() {
            self.repair.next_nak()
        } else {
            None
        };
        let mut first = self.heard.after(self.config.peer_expiry);
        for at in [
            work,
            nak,
            self.patience,
            self.repair.next_deadline(),
            self.spmr.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        {
            first = first.min(at);
        }
        Some(first)
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended || self.ending.is_cut() {
            return;
        }
        if now >= self.heard.after(self.config.peer_expiry) {
            self.ending.expired = true;
            self.cut();
            return;
        }
        let count = !self.congested;
        self.repair
            .expire(&mut self.window, now, &mut self.rng, &self.config, count);
        self.spmr.handle_timeout(now, &mut self.rng, &self.config);
        self.maintain(now);
    }

    /// While the reader is slow and SO_RCVBUF is full, NAKs are put off and no retry is counted.
    pub fn set_congested(&mut self, _now: Instant, congested: bool) {
        self.congested = congested;
    }

    /// Whether the end was delivered: the owner may free the receiver.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether no packet has told anything yet.
    fn is_blank(&self) -> bool {
        let told = self.window.is_open() || self.join.is_some() || self.path.is_some();
        !told && !self.ending.fin && !self.ending.is_cut()
    }

    /// What happened so far.
    pub const fn stats(&self) -> &ReceiverStats {
        &self.stats
    }

    /// The group of the session.
    pub const fn group(&self) -> Addr {
        self.config.group
    }

    /// The session.
    pub const fn tsi(&self) -> Tsi {
        self.tsi
    }

    /// The source's NLA: the IP source address of the first packet.
    pub const fn source(&self) -> Addr {
        self.source
    }

    /// Where NAKs go; `None` before the first SPM (RFC 3208 §6.2).
    pub const fn path(&self) -> Option<Addr> {
        self.path
    }

    /// RXW_TRAIL: the oldest number that can still be had (RFC 3208 §3.4).
    pub const fn trail(&self) -> Sqn {
        self.window.trail
    }

    /// The highest number known to exist.
    pub const fn lead(&self) -> Sqn {
        self.window.end.prev()
    }

    /// The lowest number that was asked for and did not come, and how many such numbers there are.
    pub fn outstanding(&self) -> Option<(Sqn, u32)> {
        self.window.outstanding()
    }

    /// How fast its packets come, without IP headers.
    pub fn rates(&self, now: Instant) -> Rates {
        self.meter.rates(now, self.stats.bytes)
    }

    /// How many numbers are known to exist, neither received nor given up.
    pub fn missing(&self) -> u32 {
        self.window.missing()
    }

    /// How many data packets the window holds.
    pub const fn held(&self) -> u32 {
        self.window.held()
    }
}
