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
        for sqn in core::iter::once(nak.sqn).chain(list.iter()) {
            matched |= self
                .repair
                .hear(&mut self.window, sqn, heard, now, &self.config, count)?;
        }
        if matched {
            Ok(())
        } else {
            Err(Discard::Unmatched)
        }
    }
}
