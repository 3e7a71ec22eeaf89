// SPDX-License-Identifier: GPL-2.0

//! The usual packet: ODATA that delivery waits for, a whole APDU, while nothing is missing and nothing
//! else is going on. It never stands in the window: it passes from the wire to the application, and
//! leaves everything as if it had (RFC 3208 §6.1). The usual part of an APDU does stand there until the
//! others have come, but needs no look at anything else.

use pgm_wire::{Body, Packet};

use crate::discard::Discard;
use crate::memory::Heap;
use crate::receiver::rxw::in_window;
use crate::receiver::stats::{add, count};
use crate::receiver::{Data, Receiver};
use crate::time::Instant;

impl<P, H: Heap> Receiver<P, H> {
    /// Whether [`Receiver::pass`] may take this packet.
    pub fn expects(&self, packet: &Packet<'_>) -> bool {
        packet.options.is_empty()
            && self.window.is_void()
            && self.continues(packet)
            && self.cursor.is_idle(self.window.commit)
            && u32::from(packet.header.tsdu_len) <= self.config.msgsize_max
    }

    /// Whether [`Receiver::follow`] may take this packet: what is here are the first parts of an APDU,
    /// and it is the next.
    pub fn follows(&self, packet: &Packet<'_>) -> bool {
        self.window.is_open()
            && self.continues(packet)
            && self.window.front == self.window.end
            && self.window.top == self.window.end
            && self.cursor.waits_for(self.window.end)
            && !packet.options.fin()
    }

    /// Whether it is the ODATA that comes next, while nothing is missing and nothing else is going on.
    #[inline]
    fn continues(&self, packet: &Packet<'_>) -> bool {
        let Body::Odata(data) = packet.body else {
            return false;
        };
        let (header, tsi) = (&packet.header, self.repair.tsi);
        (header.gsi, header.sport, header.dport) == (tsi.gsi, tsi.sport, self.config.dport)
            && !header.parity
            && data.sqn == self.window.end
            && in_window(data.sqn, data.trail)
            && self.is_quiet()
            && (self.path().is_some() || self.config.passive)
            && !self.ending.fin
            && !self.config.arrival_order
    }

    /// Takes a packet that [`Receiver::follows`], as [`Receiver::handle`] does, but that nothing can be
    /// missing after it. Something may be deliverable.
    pub fn follow(&mut self, now: Instant, packet: &Packet<'_>, payload: P) -> Result<(), Discard> {
        let Body::Odata(data) = packet.body else {
            return Err(Discard::UnexpectedType);
        };
        let result = self.data(now, data, false, packet, Some(payload));
        self.count_bytes(now, packet);
        self.hear(now);
        result
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
        self.count_bytes(now, packet);
        self.hear(now);
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
    pub fn is_quiet(&self) -> bool {
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
