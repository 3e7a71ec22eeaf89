// SPDX-License-Identifier: GPL-2.0

//! NCFs and the NAKs of other receivers: they suspend our own (RFC 3208 §6.3, §9.3.2).

use pgm_wire::{Nak, NakList, Packet};

use crate::discard::Discard;
use crate::memory::Heap;
use crate::receiver::nak::Heard;
use crate::receiver::stats::count;
use crate::receiver::Receiver;
use crate::time::Instant;

impl<P, H: Heap> Receiver<P, H> {
    /// One NCF.
    pub(super) fn ncf(
        &mut self,
        now: Instant,
        ncf: Nak,
        packet: &Packet<'_>,
    ) -> Result<(), Discard> {
        let unreachable = packet.options.nbr_unreach();
        if unreachable {
            // RFC 3208 §15.3.2: ignored if it is not from our parent.
            if self.path().is_none() || packet.options.path_nla() != self.path() {
                return Err(Discard::Unmatched);
            }
            self.unreachable = true;
        } else {
            if packet.options.nak_bo_ivl().is_none() {
                self.back_off.release();
            }
            self.learn_back_off(packet.options.nak_bo_ivl());
        }
        match self.suppress(now, ncf, packet, Heard::Ncf) {
            Err(Discard::Unmatched) if unreachable => {}
            result => result?,
        }
        count(&mut self.stats.ncfs);
        Ok(())
    }

    /// One multicast NAK.
    pub(super) fn nak(
        &mut self,
        now: Instant,
        nak: Nak,
        packet: &Packet<'_>,
    ) -> Result<(), Discard> {
        self.suppress(now, nak, packet, Heard::Nak)?;
        count(&mut self.stats.naks_heard);
        Ok(())
    }

    /// Suspends NAK generation for every number of an NCF or NAK (RFC 3208 §6.3, §9.3.2). Numbers
    /// that we do not know to exist are ignored: a source confirms any NAK (§5.2), so a forged NAK
    /// could make us wait for packets that were never sent, and report them lost.
    fn suppress(
        &mut self,
        now: Instant,
        nak: Nak,
        packet: &Packet<'_>,
        heard: Heard,
    ) -> Result<(), Discard> {
        if packet.header.parity {
            return Err(Discard::UnexpectedType);
        }
        let list = packet.options.nak_list().unwrap_or(NakList::EMPTY);
        let count = !self.congested;
        let mut matched = false;
        let mut shared = false;
        let mut waits = None;
        for sqn in core::iter::once(nak.sqn).chain(list.iter()) {
            // What we asked for ourselves may be answered only now.
            let missing = self.window.missing_mut(sqn);
            if let Some(missing) = missing.filter(|missing| missing.is_unasked()) {
                shared = true;
                waits = waits.or(missing.waits_since());
            }
            matched |= self.repair.hear(
                &mut self.window,
                (sqn, heard),
                now,
                &mut self.back_off,
                &self.config,
                count,
            )?;
        }
        if shared {
            self.back_off
                .has_company(waits.map(|since| now.since(since)));
        }
        if matched {
            Ok(())
        } else {
            self.back_off.has_neighbours();
            Err(Discard::Unmatched)
        }
    }
}
