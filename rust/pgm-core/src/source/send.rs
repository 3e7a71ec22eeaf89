// SPDX-License-Identifier: GPL-2.0

//! What leaves next (RFC 3208 §5.1).

use pgm_wire::checksum::Sum;
use pgm_wire::{
    Addr, Data, DataOptions, Nak, NcfOptions, PacketType, Ports, Repr, Spm, SpmOptions, Sqn,
    HEADER_MAX,
};

use super::txw::Slot;
use super::Source;
use crate::memory::Heap;
use crate::time::{Duration, Instant};
use crate::transmit::{Destination, Transmit};

/// What NCFs may use of the link: so many bytes a second, or TXW_MAX_RTE if that is more, beside what
/// else is sent. Each costs whoever asks for it but one packet, and all receivers hear it (RFC 3208
/// §10). Beyond it NAKs are discarded.
const NCF_RATE_MIN: u64 = 1_000_000;
/// So much of it may leave at once.
const NCF_BURST: Duration = Duration::from_millis(20);

/// The next data packet.
#[derive(Clone, Copy)]
enum Next {
    Odata(Sqn),
    Rdata(Sqn),
}

impl Next {
    fn sqn(self) -> Sqn {
        let (Self::Odata(sqn) | Self::Rdata(sqn)) = self;
        sqn
    }
}

impl<P, H: Heap> Source<P, H> {
    /// Writes the next packet's header into `buf`, at least [`HEADER_MAX`] bytes long. `None`: nothing
    /// may leave at `now`; [`Source::poll_timeout`] knows when.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<'_, P>> {
        if self.is_done() || buf.len() < HEADER_MAX {
            return None;
        }
        if self.is_quiet(now) {
            return self.pass(now, buf);
        }
        // RFC 3208 §5.1.3: NCFs, then SPMs, then data, strictly.
        if let Some((header_len, to)) = self.emit_ncf(now, buf) {
            return Some(Transmit {
                destination: to.map_or(Destination::Group, Destination::Unicast),
                ..control(PacketType::Ncf, header_len)
            });
        }
        self.spm.tick(now, self.data_waits());
        self.window.advance_join(now);
        if self.spm.is_pending() {
            let header_len = self.emit_spm(now, buf)?;
            return Some(control(PacketType::Spm, header_len));
        }
        self.emit_data(now, buf)
    }

    /// When the rate lets the SPM or data packet that is next leave.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        let bytes = if self.spm.is_pending() {
            self.tpdu_bytes(self.spm_repr().header_len(), 0)
        } else {
            let next = self.next_data()?;
            let slot = self.window.get(next.sqn())?;
            let repr = self.data_repr(next, slot);
            self.tpdu_bytes(repr.header_len(), slot.len)
        };
        Some(self.shaper.ready_at(bytes))
    }

    /// Whether another packet might leave at once.
    pub fn has_more(&self) -> bool {
        !self.ncfs.is_empty() || self.spm.is_pending() || self.data_waits()
    }

    /// Whether ODATA or RDATA waits, for the rate only.
    pub(super) fn data_waits(&self) -> bool {
        self.next_data().is_some()
    }

    /// RFC 3208 §5.1.3 leaves RDATA against ODATA to us: when both wait they alternate, so that
    /// neither starves.
    fn next_data(&self) -> Option<Next> {
        let odata = self.first_unsent().map(Next::Odata);
        let rdata = self.window.first_repair().map(Next::Rdata);
        if self.repaired_last {
            odata.or(rdata)
        } else {
            rdata.or(odata)
        }
    }

    fn first_unsent(&self) -> Option<Sqn> {
        if self.closing.rst().is_some() {
            return None;
        }
        self.window.first_unsent()
    }

    #[inline]
    pub(super) fn ports(&self) -> Ports {
        Ports {
            sport: self.config.tsi.sport,
            dport: self.config.dport,
            gsi: self.config.tsi.gsi,
        }
    }

    /// Size on the wire, as the rate counts it.
    fn tpdu_bytes(&self, header_len: usize, len: u16) -> u64 {
        u64::try_from(header_len)
            .unwrap_or(u64::MAX)
            .saturating_add(u64::from(len))
            .saturating_add(u64::from(self.config.ip_overhead))
    }

    /// When the next NCF may leave, if one waits.
    pub(super) fn ncf_ready_at(&self) -> Option<Instant> {
        (!self.ncfs.is_empty()).then(|| self.ncf_until.before(NCF_BURST))
    }

    /// An NCF of so many bytes leaves.
    fn spend_ncf(&mut self, now: Instant, bytes: u64) {
        let rate = self.config.rate.max(NCF_RATE_MIN);
        let ns = bytes.saturating_mul(1_000_000_000).checked_div(rate);
        let time = Duration::from_nanos(ns.unwrap_or(0));
        self.ncf_until = self.ncf_until.max(now).after(time);
    }

    /// Mirrors the oldest NAK that waits. Not held back by the rate: RFC 3208 §5.2 wants it at once,
    /// and it spares repairs. What a flood of NAKs asks for is.
    ///
    /// RFC 3208 §15.3.2: where multicast does not arrive, the one who asked is told, and that it is so.
    fn emit_ncf(&mut self, now: Instant, buf: &mut [u8]) -> Option<(usize, Option<Addr>)> {
        if self.ncf_ready_at()? > now {
            return None;
        }
        let (sqn, list, terms) = self.ncfs.pop()?;
        let to = self.unreached.take_if(|_| terms.unicast);
        if to.is_some() {
            // And an SPM behind it, which ends the silence of those it reaches.
            self.spm.at_once();
        }
        let body = Nak {
            sqn,
            source: self.nlas.named(terms.nla),
            group: self.config.group,
        };
        let options = NcfOptions {
            list,
            nak_bo_ivl: self.backoff.option(),
            nbr_unreach: to.is_some(),
            path_nla: to.map(|_| self.nlas.now()),
            ..NcfOptions::default()
        };
        let repr = Repr::Ncf(body, options);
        let header_len = repr.emit(self.ports(), 0, Sum::ZERO, buf).ok()?;
        self.stats.ncf = self.stats.ncf.saturating_add(1);
        let unicast = u64::from(to.is_some());
        self.stats.ncf_unicast = self.stats.ncf_unicast.saturating_add(unicast);
        let bytes = self.tpdu_bytes(header_len, 0);
        self.spend_ncf(now, bytes);
        self.count_bytes(now, bytes);
        Some((header_len, to))
    }

    fn spm_repr(&self) -> Repr {
        let body = Spm {
            sqn: self.spm.sqn(),
            trail: self.window.trail(),
            lead: self.window.lead(),
            path: self.nlas.now(),
        };
        let options = SpmOptions {
            // §9.4. A session that is broken off has nothing for new receivers.
            join: self
                .window
                .join_min()
                .filter(|_| self.closing.rst().is_none()),
            nak_bo_ivl: self.backoff.option(),
            fin: self.closing.announces_fin(),
            rst: self.closing.rst(),
            ..SpmOptions::default()
        };
        Repr::Spm(body, options)
    }

    fn emit_spm(&mut self, now: Instant, buf: &mut [u8]) -> Option<usize> {
        let header_len = self.spm_repr().emit(self.ports(), 0, Sum::ZERO, buf).ok()?;
        let bytes = self.tpdu_bytes(header_len, 0);
        let time = self.shaper.take(now, bytes)?;
        self.spm.spm_sent(now, time, &self.config.heartbeat);
        self.closing.spm_sent();
        self.stats.spm = self.stats.spm.saturating_add(1);
        self.count_bytes(now, bytes);
        Some(header_len)
    }

    /// Made where it is used: moving it costs more than writing it out.
    #[inline(always)]
    fn data_repr(&self, next: Next, slot: &Slot<P>) -> Repr {
        let sqn = next.sqn();
        let body = Data {
            sqn,
            // RFC 3208 §3.6.2.2: RDATA too bears the trailing edge of now.
            trail: self.window.trail(),
        };
        let options = DataOptions {
            fragment: slot.fragment(),
            join: self.window.join_min(),
            // RFC 3208 §9.6.2, §9.7.2: the first and the last data packet, and their repairs.
            syn: slot.syn,
            fin: self.closing.is_fin() && self.window.is_last(sqn),
            ..DataOptions::default()
        };
        match next {
            Next::Odata(_) => Repr::Odata(body, options),
            Next::Rdata(_) => Repr::Rdata(body, options),
        }
    }

    fn emit_data(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<'_, P>> {
        let next = self.next_data()?;
        let slot = self.window.get(next.sqn())?;
        let (len, sum) = (slot.len, slot.sum);
        let repr = self.data_repr(next, slot);
        let kind = repr.kind();
        // Written before it is known whether it may leave: that costs no more than to measure it.
        let header_len = repr.emit(self.ports(), len, sum, buf).ok()?;
        let bytes = self.tpdu_bytes(header_len, len);
        let time = self.shaper.take(now, bytes)?;
        self.spm.data_sent(now, time);
        self.count_bytes(now, bytes);
        let sqn = match next {
            Next::Odata(sqn) => {
                self.odata_left(now, sqn, len);
                sqn
            }
            Next::Rdata(sqn) => {
                self.rdata_left(now, sqn, len);
                sqn
            }
        };
        let slot = self.window.get(sqn)?;
        let completes = matches!(next, Next::Odata(_)) && slot.completes();
        Some(Transmit {
            kind,
            destination: Destination::Group,
            copy: false,
            router_alert: matches!(next, Next::Rdata(_)),
            completes: completes.then_some(sqn),
            header_len,
            payload: Some(&slot.payload),
        })
    }

    fn odata_left(&mut self, now: Instant, sqn: Sqn, len: u16) {
        self.repaired_last = false;
        self.window.sent(now);
        self.stats.odata = self.stats.odata.saturating_add(1);
        self.stats.odata_bytes = self.stats.odata_bytes.saturating_add(u64::from(len));
        if self.window.get(sqn).is_some_and(|slot| slot.syn) {
            // A receiver that this packet creates learns where to send NAKs at once.
            self.spm.at_once();
        }
        if self.first_unsent().is_none() {
            self.announce_fin(now);
        }
    }

    fn rdata_left(&mut self, now: Instant, sqn: Sqn, len: u16) {
        self.repaired_last = true;
        self.window.repaired(sqn, now);
        self.stats.rdata = self.stats.rdata.saturating_add(1);
        self.stats.rdata_bytes = self.stats.rdata_bytes.saturating_add(u64::from(len));
    }

    fn count_bytes(&mut self, now: Instant, bytes: u64) {
        self.meter.tick(now, self.stats.bytes);
        self.stats.bytes = self.stats.bytes.saturating_add(bytes);
    }
}

/// SPM and NCF: multicast, with Router Alert (RFC 3208 §4), without payload.
fn control<'a, P>(kind: PacketType, header_len: usize) -> Transmit<'a, P> {
    Transmit {
        kind,
        destination: Destination::Group,
        copy: false,
        router_alert: true,
        completes: None,
        header_len,
        payload: None,
    }
}
