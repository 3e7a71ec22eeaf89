// SPDX-License-Identifier: GPL-2.0

//! The receiving side of one transport session (RFC 3208 §6, §9, §13.5).
//!
//! Data packets go into the window (`rxw`), what is missing goes through the NAK state machine
//! (`nak`), and whole APDUs leave in order (`apdu`). Every call does a bounded amount of work;
//! what is left over makes [`Receiver::poll_timeout`] immediate.

mod apdu;
mod arrival;
mod back_off;
mod config;
mod data;
mod delivery;
mod express;
mod join;
mod nak;
mod ncf;
mod parent;
mod peers;
mod poll;
mod refused;
mod rxw;
mod spm;
mod spmr;
mod stats;
mod table;
mod usage;

#[cfg(any(test, feature = "fuzz"))]
pub mod tests;

use pgm_wire::{
    checksum, Addr, Body, Nak, NakBoIvl, NakList, NakOptions, NcfOptions, Packet, Poll,
    PolrOptions, Ports, Repr, Sqn, Tsi, HEADER_MAX,
};

pub use config::ReceiverConfig;
pub use delivery::{Data, Delivery, End, Place};
pub use join::starts_reception;
pub use peers::{Peers, Way};
pub use refused::Refused;
pub use stats::ReceiverStats;
pub use usage::{Ceilings, Room, Usage};

use crate::discard::Discard;
use crate::memory::Heap;
use crate::meter::{Meter, Rates};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::transmit::{Destination, Transmit};
use apdu::{Cursor, Ending};
use back_off::BackOff;
pub use nak::NakStates;
use nak::Repair;
use parent::{Parent, Sequence};
use poll::Polls;
use rxw::{newer, Window, Work};
use spmr::Spmr;
use stats::{add, count};

/// The most sequence numbers that one call touches in each of its walks.
const STEPS: u32 = 1024;
/// When memory was refused, we try again after so long.
const MEMORY_RETRY: Duration = Duration::from_millis(10);

/// When the owner allows no more NAK states, we try again after so long.
const LIMIT_RETRY: Duration = Duration::from_millis(100);

/// The receiver of one session. `P` is the payload handle.
pub struct Receiver<P, H: Heap> {
    config: ReceiverConfig,
    source: Addr,
    rng: Rng,
    stats: ReceiverStats,
    meter: Meter,
    window: Window<P, H>,
    repair: Repair<H>,
    cursor: Cursor,
    spmr: Spmr,
    polls: Polls,
    back_off: BackOff,
    parent: Parent,
    sequence: Sequence,
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
#[inline]
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
            source,
            rng: Rng::new(seed),
            stats: ReceiverStats::default(),
            meter: Meter::new(now),
            window,
            repair: Repair::new(capacity, tsi),
            cursor: Cursor::new(),
            spmr: Spmr::new(),
            polls: Polls::new(),
            back_off: BackOff::new(&config),
            parent: Parent::new(),
            sequence: Sequence::new(),
            join: None,
            unreachable: false,
            congested: false,
            heard: now,
            ending: Ending::default(),
            ended: false,
            backlog: false,
            retry: None,
            patience: None,
            config,
        }
    }

    /// One multicast packet of the session: SPM, POLL, ODATA, RDATA, NCF, or a NAK or SPMR of another
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
        self.check(packet)?;
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
            Body::Poll(poll) => self.poll(now, &poll, packet.options.nak_bo_ivl()),
            Body::Polr(_) | Body::Nnak(_) | Body::Ack(_) => Err(Discard::UnexpectedType),
        };
        // Packets that fit nothing we know are no sign of life: a source that started again under the
        // same TSI and is not known by its SPMs, or a forged jump of the window, lets the session
        // expire and begin anew. Nor is
        // what our parent says when it may have lost the source itself.
        let foreign = matches!(
            result,
            Err(Discard::OutsideWindow | Discard::SpmOutOfSequence | Discard::SpmWindow)
        ) || matches!(packet.body, Body::Poll(_))
            || packet.options.nbr_unreach();
        if packet.header.kind.is_downstream() {
            self.count_bytes(now, packet);
            if !foreign {
                self.hear(now);
            }
        }
        self.maintain(now);
        result
    }

    /// The source spoke.
    #[inline]
    fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.prove(now);
    }

    /// One downstream packet came.
    #[inline]
    fn count_bytes(&mut self, now: Instant, packet: &Packet<'_>) {
        self.meter.tick(now, self.stats.bytes);
        add(&mut self.stats.bytes, size(packet));
    }

    /// One packet of the session that came to this node alone: an NCF whose sender cannot reach its
    /// children by multicast. Returns a copy in `buf` for our neighbours, to leave where the source's
    /// packets arrive (RFC 3208 §15.3.2): one between two regular SPMs, so that forged NCFs gain
    /// nothing by us.
    pub fn handle_unicast<'a>(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        buf: &mut [u8],
    ) -> Result<Option<Transmit<'a, P>>, Discard>
    where
        P: 'a,
    {
        self.check(packet)?;
        let Body::Ncf(ncf) = packet.body else {
            return Err(Discard::UnexpectedType);
        };
        if !packet.options.nbr_unreach() {
            return Err(Discard::UnexpectedType);
        }
        let known = self.unreachable;
        self.ncf(now, ncf, packet)?;
        self.maintain(now);
        if known || self.config.passive {
            return Ok(None);
        }
        let options = NcfOptions {
            list: packet.options.nak_list().unwrap_or(NakList::EMPTY),
            nbr_unreach: true,
            path_nla: packet.options.path_nla(),
            ..NcfOptions::default()
        };
        Ok(self.emit(&Repr::Ncf(ncf, options), Destination::GroupLocal, buf))
    }

    /// Whether a packet is of this session, and the session not over.
    fn check(&self, packet: &Packet<'_>) -> Result<(), Discard> {
        if packet.tsi() != self.repair.tsi || packet.data_port() != self.config.dport {
            return Err(Discard::OtherSession);
        }
        if self.ended || self.ending.is_cut() {
            return Err(Discard::SessionEnded);
        }
        Ok(())
    }

    /// One POLL (RFC 3208 §14.5).
    fn poll(
        &mut self,
        now: Instant,
        poll: &Poll,
        nak_bo_ivl: Option<NakBoIvl>,
    ) -> Result<(), Discard> {
        if !self.is_node(poll.path) {
            return Err(Discard::Poll);
        }
        self.polls.note(poll, self.path());
        if self.path() == Some(poll.path) {
            self.learn_back_off(nak_bo_ivl);
        }
        if self.config.passive {
            return Err(Discard::Poll);
        }
        self.polls
            .answer(now, poll, self.config.node_id, self.path(), &mut self.rng)
    }

    /// OPT_NAK_BO_IVL: a value that rests on a poll counts only for those who heard that poll begin
    /// (RFC 3208 §6.3, §15.2.2); others keep what they have.
    fn learn_back_off(&mut self, given: Option<NakBoIvl>) {
        let (Some(given), Some(path)) = (given, self.path()) else {
            return;
        };
        let usable = given.sqn == Sqn::new(0) || self.polls.began(path, given.sqn);
        if usable && !self.config.nak_bo_fixed {
            self.back_off.learn(given.micros);
            self.config.nak_bo_ivl = self.back_off.interval();
        }
    }

    /// Whether packets may be sent there: to one node, and not to the whole link.
    fn is_node(&self, path: Addr) -> bool {
        !path.is_unspecified()
            && !path.is_multicast()
            && path != Addr::V4([255; 4])
            && path.is_v4() == self.source.is_v4()
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
            .confirm(&mut self.window, now, &mut self.rng, &self.back_off);
        self.stats.missing_sqns = self.repair.assumed;
        self.backlog = slots == Work::More || confirmed == Work::More;
        self.retry = if slots == Work::Starved || confirmed == Work::Starved {
            Some(now.after(MEMORY_RETRY))
        } else if slots == Work::Limited {
            self.repair.limited = self.repair.limited.saturating_add(1);
            Some(now.after(LIMIT_RETRY))
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
        if let Some(data) = self.cursor.poll_whole(&mut self.window, &mut self.stats) {
            return Some(Delivery::Data(data));
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
    pub fn may_nak(&self) -> bool {
        self.path().is_some() && !self.unreachable && !self.congested && !self.config.passive
    }

    /// The next packet to send: an SPMR, a POLR or a NAK, none with a payload. `buf` has at least
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
        if let Some((path, polr)) = self.polls.poll_transmit(now) {
            let repr = Repr::Polr(polr, PolrOptions::default());
            return self.emit(&repr, Destination::Unicast(path), buf);
        }
        if !self.may_nak() {
            return None;
        }
        let path = self.path()?;
        let (sqn, list) =
            self.repair
                .poll_nak(&mut self.window, now, &self.back_off, &self.config)?;
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
        let nak = Repr::Nak(nak, options);
        let transmit = self.emit(&nak, Destination::Unicast(path), buf)?;
        Some(Transmit {
            copy: self.config.multicast_nak,
            ..transmit
        })
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
        let (source, data) = (self.repair.tsi.sport, self.config.dport);
        let (sport, dport) = if repr.kind().is_downstream() {
            (source, data)
        } else {
            (data, source)
        };
        let ports = Ports {
            sport,
            dport,
            gsi: self.repair.tsi.gsi,
        };
        let header_len = repr.emit(ports, 0, checksum::Sum::ZERO, buf).ok()?;
        Some(Transmit {
            kind: repr.kind(),
            destination,
            copy: false,
            router_alert: false,
            completes: None,
            header_len,
            payload: None,
        })
    }

    /// When [`Receiver::handle_timeout`] wants to be called; the past means at once. `None` only
    /// when the session is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_quiet() {
            return Some(self.heard.after(self.config.peer_expiry));
        }
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
            self.polls.poll_timeout(),
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
            self.expire();
            return;
        }
        let count = !self.congested;
        self.repair.expire(
            &mut self.window,
            now,
            &mut self.rng,
            &self.back_off,
            &self.config,
            count,
        );
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

    /// Whether the source said that the session is over.
    pub const fn is_over(&self) -> bool {
        self.ending.fin || self.ending.reset.is_some()
    }

    /// Whether no packet has told anything yet.
    fn is_blank(&self) -> bool {
        let told = self.window.is_open() || self.join.is_some() || self.path().is_some();
        !told && !self.ending.fin && !self.ending.is_cut()
    }

    /// What happened so far.
    pub const fn stats(&self) -> &ReceiverStats {
        &self.stats
    }

    /// Its settings, as far as its parent has not changed them.
    pub const fn config(&self) -> &ReceiverConfig {
        &self.config
    }

    /// The group of the session.
    pub const fn group(&self) -> Addr {
        self.config.group
    }

    /// The session.
    pub const fn tsi(&self) -> Tsi {
        self.repair.tsi
    }

    /// The source's NLA: the IP source address of the first packet.
    pub const fn source(&self) -> Addr {
        self.source
    }

    /// Where NAKs go; `None` before the first SPM (RFC 3208 §6.2).
    pub const fn path(&self) -> Option<Addr> {
        self.parent.path()
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

    /// How many missing numbers are in each state.
    pub fn nak_states(&self) -> NakStates {
        self.window.nak_states()
    }

    /// Whether NAKs are put off because the reader is slow.
    pub const fn is_congested(&self) -> bool {
        self.congested
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
