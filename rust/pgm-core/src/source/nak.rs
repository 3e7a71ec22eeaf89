// SPDX-License-Identifier: GPL-2.0

//! What receivers send to a source (RFC 3208 §5.2, §5.3, §13.4).

use core::iter::once;

use pgm_wire::{Addr, Body, Nak, NakList, Packet, Sqn};

use super::backoff::NCF_HOLD;
use super::ncf::Terms;
use super::txw::Stamp;
use super::Source;
use crate::discard::Discard;
use crate::memory::Heap;
use crate::time::Instant;

impl<P, H: Heap> Source<P, H> {
    /// Takes a packet that was sent to this source: NAK, NNAK or SPMR. `from` is the source address of
    /// its IP header: a receiver, or the network element between.
    pub fn handle(&mut self, now: Instant, from: Addr, packet: &Packet<'_>) -> Result<(), Discard> {
        if self.is_done() {
            return Err(Discard::SessionEnded);
        }
        match packet.body {
            Body::Nak(nak) | Body::Nnak(nak) => {
                self.check_session(packet)?;
                // §8.3: NAK_SRC_NLA and NAK_GRP_NLA name the session too. Data that was sent under an
                // earlier address is asked for by that address.
                let known = self.nlas.find(nak.source);
                let nla = known.ok_or(Discard::OtherSession)?;
                if nak.group != self.config.group {
                    return Err(Discard::OtherSession);
                }
                if packet.header.parity {
                    return Err(Discard::UnexpectedType);
                }
                if matches!(packet.body, Body::Nnak(_)) {
                    // §3.6.3.2: a local repairer already answered.
                    self.stats.nnaks = self.stats.nnaks.saturating_add(1);
                    return Err(Discard::NullNak);
                }
                let list = packet.options.nak_list().unwrap_or_default();
                self.handle_nak(now, from, nak, nla, &list)
            }
            Body::Spmr => {
                self.check_session(packet)?;
                self.stats.spmrs = self.stats.spmrs.saturating_add(1);
                if self.spm.request(now) {
                    Ok(())
                } else {
                    Err(Discard::SpmrRepeated)
                }
            }
            _ => Err(Discard::UnexpectedType),
        }
    }

    fn check_session(&self, packet: &Packet<'_>) -> Result<(), Discard> {
        if packet.tsi() != self.config.tsi || packet.data_port() != self.config.dport {
            return Err(Discard::OtherSession);
        }
        Ok(())
    }

    fn handle_nak(
        &mut self,
        now: Instant,
        from: Addr,
        nak: Nak,
        nla: u8,
        list: &NakList,
    ) -> Result<(), Discard> {
        let sqns = once(nak.sqn).chain(list.as_slice().iter().copied());
        self.stats.naks = self.stats.naks.saturating_add(1);
        let count = u64::try_from(list.len()).unwrap_or(0).saturating_add(1);
        self.stats.nak_sqns = self.stats.nak_sqns.saturating_add(count);
        if self.closing.refuses_naks() {
            return Err(Discard::SessionEnded);
        }
        if !sqns.clone().any(|sqn| self.window.held(sqn).is_some()) {
            return self.refuse(now, sqns, nla);
        }
        let mut unicast = false;
        for sqn in sqns.clone() {
            self.window.asked(sqn, now);
            if let Some(slot) = self.window.held_mut(sqn) {
                let (sent, confirmed) = (slot.sent_at, slot.confirmed);
                self.backoff.note(&mut slot.state, sent, confirmed, now);
                unicast |= slot.state.is_unreached();
            }
        }
        let to = unicast.then_some(from);
        let confirmed = self.confirm(now, sqns.clone(), to, nla);
        if !matches!(confirmed, Ok(()) | Err(Discard::NakRepeated)) {
            return confirmed;
        }
        // §5.3: the repairs follow the confirmation. What memory refuses is asked for again.
        for sqn in sqns {
            self.window.ask_repair(sqn, now, self.backoff.hold())?;
        }
        confirmed
    }

    /// Queues the NCF for a NAK of which the window holds something. §5.2: the first one is immediate;
    /// those that would only repeat it are left out for a while.
    fn confirm(
        &mut self,
        now: Instant,
        sqns: impl Iterator<Item = Sqn> + Clone,
        unreached: Option<Addr>,
        nla: u8,
    ) -> Result<(), Discard> {
        let is_fresh = |sqn| {
            let slot = self.window.held(sqn);
            slot.is_some_and(|slot| !slot.confirmed.is_within(self.backoff.hold(), now))
        };
        // Nor can anybody have a stream of unicast NCFs sent to somebody else.
        let held_back =
            unreached.is_some() && (self.unreached.is_some() || now < self.unicast_until);
        if held_back || !sqns.clone().any(is_fresh) {
            self.stats.naks_repeated = self.stats.naks_repeated.saturating_add(1);
            return Err(Discard::NakRepeated);
        }
        let unicast = unreached.is_some();
        self.ncfs.push(sqns.clone(), Terms { nla, unicast })?;
        if unicast {
            // An SPM comes with it: they are no more frequent than the answers to SPMRs.
            self.unreached = unreached;
            self.unicast_until = now.after(NCF_HOLD.max(self.spm.ihb_min()));
        }
        for sqn in sqns {
            if let Some(slot) = self.window.held_mut(sqn) {
                slot.confirmed = Stamp::at(now);
            }
        }
        Ok(())
    }

    /// §5.2 confirms any NAK, §5.3 repairs only what the window holds: confirmed, at a bounded rate,
    /// so that the receiver learns that its NAK arrives.
    fn refuse(
        &mut self,
        now: Instant,
        sqns: impl Iterator<Item = Sqn>,
        nla: u8,
    ) -> Result<(), Discard> {
        self.stats.naks_outside = self.stats.naks_outside.saturating_add(1);
        if self.outside_until <= now {
            let unicast = false;
            self.ncfs.push(sqns, Terms { nla, unicast })?;
            self.outside_until = now.after(NCF_HOLD);
        }
        Err(Discard::NakOutsideWindow)
    }
}
