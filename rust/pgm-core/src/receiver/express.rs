// SPDX-License-Identifier: GPL-2.0

//! The usual packet: ODATA that delivery waits for, a whole APDU, while nothing is missing and nothing
//! else is going on. It never stands in the window: it passes from the wire to the application, and
//! leaves everything as if it had (RFC 3208 §6.1).

use pgm_wire::{Body, Packet};

use crate::memory::Heap;
use crate::receiver::rxw::in_window;
use crate::receiver::stats::{add, count};
use crate::receiver::{size, Data, Receiver};
use crate::time::Instant;

impl<P, H: Heap> Receiver<P, H> {
    /// Whether [`Receiver::pass`] may take this packet.
    pub fn expects(&self, packet: &Packet<'_>) -> bool {
        let Body::Odata(data) = packet.body else {
            return false;
        };
        let (header, tsi) = (&packet.header, self.repair.tsi);
        (header.gsi, header.sport, header.dport) == (tsi.gsi, tsi.sport, self.config.dport)
            && packet.options.is_empty()
            && !header.parity
            && data.sqn == self.window.commit
            && in_window(data.sqn, data.trail)
            && self.window.is_void()
            && self.cursor.is_idle(data.sqn)
            && self.is_quiet()
            && (self.path().is_some() || self.config.passive)
            && !self.ending.fin
            && !self.config.arrival_order
            && u32::from(header.tsdu_len) <= self.config.msgsize_max
    }

    /// Takes a packet that [`Receiver::expects`]: the application gets it now.
    pub fn pass(&mut self, now: Instant, packet: &Packet<'_>, payload: P) -> Data<P> {
        let (sqn, trail) = match packet.body {
            Body::Odata(data) => (data.sqn, data.trail),
            _ => (self.window.commit, self.window.trail),
        };
        let len = packet.header.tsdu_len;
        self.window.advance(trail);
        self.window.came(sqn);
        self.window.pass_over();
        self.cursor.pass_over(self.window.commit);
        count(&mut self.stats.data_packets);
        add(&mut self.stats.data_bytes, u64::from(len));
        self.stats.sample_window(1);
        self.meter.tick(now, self.stats.bytes);
        add(&mut self.stats.bytes, size(packet));
        self.heard = now;
        self.prove(now);
        count(&mut self.stats.apdus);
        Data {
            payload,
            sqn,
            offset: 0,
            len: len.into(),
            apdu_len: len.into(),
            last: true,
            syn: false,
        }
    }

    /// Whether nothing is missing, waits to be sent or is left over, so that only silence of the source
    /// has a timer.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        !self.ended
            && !self.cursor.more
            && !self.backlog
            && self.retry.is_none()
            && self.patience.is_none()
            && !self.window.wants_slots()
            && self.repair.is_idle()
            && self.spmr.poll_timeout().is_none()
            && self.polls.poll_timeout().is_none()
            && !self.ending.is_cut()
    }
}
