// SPDX-License-Identifier: GPL-2.0

//! ODATA and RDATA: data reception (RFC 3208 §6.1).

use pgm_wire::{Packet, Sqn};

use crate::discard::Discard;
use crate::memory::{Heap, NakState};
use crate::receiver::apdu;
use crate::receiver::arrival;
use crate::receiver::join::history;
use crate::receiver::nak::Missing;
use crate::receiver::rxw::{in_window, Held, State};
use crate::receiver::stats::{add, count};
use crate::receiver::{Place, Receiver};
use crate::time::Instant;

impl<P, H: Heap> Receiver<P, H> {
    /// One data packet; `repair` if it is RDATA.
    pub(super) fn data(
        &mut self,
        now: Instant,
        data: pgm_wire::Data,
        repair: bool,
        packet: &Packet<'_>,
        payload: Option<P>,
    ) -> Result<(), Discard> {
        if packet.header.parity {
            return Err(Discard::UnexpectedType);
        }
        let sqn = data.sqn;
        // RFC 3208 §6.1: within the transmit window that the packet itself advertises.
        if !in_window(sqn, data.trail) {
            count(&mut self.stats.outside_window);
            return Err(Discard::OutsideWindow);
        }
        if !self.window.is_open() {
            // RFC 3208 §6.1: the first data packet defines RXW_TRAIL_INIT; but what an SPM had not
            // announced yet was sent while we listened.
            let first = self.join.filter(|join| !sqn.before(*join)).unwrap_or(sqn);
            self.open(history(packet.options.join(), data.trail, first));
        }
        if self.path().is_none() && !self.config.passive {
            self.spmr.want(now, &mut self.rng, &self.config);
        }
        self.advance(data.trail);
        let useless = match self.window.place(sqn, self.cursor.next()) {
            Place::Useless(why) => Some(why),
            _ => None,
        };
        match useless {
            None => {}
            Some(Discard::Duplicate) => {
                count(&mut self.stats.duplicates);
                return Err(Discard::Duplicate);
            }
            Some(why) => {
                count(&mut self.stats.outside_window);
                if why != Discard::BeyondWindow {
                    return Err(why);
                }
            }
        }
        self.window.learn(sqn);
        self.window.came(sqn);
        if packet.options.fin() {
            self.ending.fin = true;
        }
        if let Some(why) = useless {
            return Err(why);
        }
        self.store(now, sqn, repair, packet, payload)
    }

    /// What the arrival of a missing packet tells of the session's times.
    fn time(&mut self, now: Instant, missing: &Missing, repair: bool) {
        if !repair {
            self.back_off.was_late(now.since(missing.detected));
        } else if let Some(confirmed) = missing.confirmed_at() {
            self.back_off.repaired(now.since(confirmed));
        } else if let Some(asked) = missing.asked() {
            // Its NCF was lost.
            self.back_off.answered(now, asked);
        } else if missing.is_unasked() {
            // So was that for somebody else's NAK.
            let waits = missing.waits_since();
            self.back_off
                .has_company(waits.map(|since| now.since(since)));
        }
    }

    /// Puts a data packet where it belongs in the window.
    fn store(
        &mut self,
        now: Instant,
        sqn: Sqn,
        repair: bool,
        packet: &Packet<'_>,
        payload: Option<P>,
    ) -> Result<(), Discard> {
        let len = packet.header.tsdu_len;
        let fragment = packet.options.fragment();
        if let Err(why) = apdu::check(sqn, len, fragment, self.limit(), &self.config) {
            // A repair would be the same packet: asking for it is useless.
            self.repair.forget(&mut self.window, sqn);
            let _ = self.window.put(sqn, State::Lost);
            return Err(why);
        }
        let Some(payload) = payload else {
            count(&mut self.stats.refused);
            return Err(Discard::ReceiveBuffer);
        };
        // RFC 3208 §6.3: matching RDATA or ODATA completes recovery in any state.
        let missing = match self.window.state(sqn) {
            Some(State::Missing(missing)) => Some(*missing),
            _ => None,
        };
        self.repair.forget(&mut self.window, sqn);
        let held = Held {
            payload,
            len,
            fragment,
            syn: packet.options.syn(),
        };
        if self.window.put(sqn, State::Data(held)).is_err() {
            count(&mut self.stats.refused);
            return Err(Discard::NoMemory);
        }
        if self.config.arrival_order {
            if let Some(first) = arrival::completes(&self.window, sqn, self.limit()) {
                self.window.arrive(first);
            }
        }
        count(&mut self.stats.data_packets);
        add(&mut self.stats.data_bytes, u64::from(len));
        self.stats.sample_window(self.window.known());
        if repair {
            count(&mut self.stats.rdata_packets);
        }
        if let Some(missing) = missing {
            self.time(now, &missing, repair);
            if repair || missing.is_confirmed() {
                if !missing.is_confirmed() {
                    // Somebody else's repair came before we asked.
                    self.repair.assumed = self.repair.assumed.saturating_add(1);
                }
                let ns = now.since(missing.detected).nanos();
                H::nak_state(self.repair.tsi, sqn, NakState::Repaired);
                count(&mut self.stats.repaired_sqns);
                add(&mut self.stats.recovery_ns_total, ns);
                self.stats.recovery_max_ns = self.stats.recovery_max_ns.max(ns);
            }
        }
        Ok(())
    }
}
