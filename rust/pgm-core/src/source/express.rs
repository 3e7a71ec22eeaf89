// SPDX-License-Identifier: GPL-2.0

//! The usual packet: ODATA that bears no option but OPT_FRAGMENT, while nothing else wants to leave. It is
//! written at one look, and leaves everything as if it had gone the long way (RFC 3208 §5.1).

use pgm_wire::{Data, PacketType};

use super::Source;
use crate::memory::Heap;
use crate::time::Instant;
use crate::transmit::{Destination, Transmit};

#[cfg(test)]
std::thread_local! {
    /// For a test that compares: nothing is usual.
    pub(super) static LONG_WAY: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
    /// How much was.
    pub(super) static PASSED: core::cell::Cell<u32> = const { core::cell::Cell::new(0) };
}

impl<P, H: Heap> Source<P, H> {
    /// Whether [`Source::pass`] may send what is next.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        #[cfg(test)]
        if LONG_WAY.get() {
            return false;
        }
        self.window.is_plain()
            && self.ncfs.is_empty()
            && self.closing.is_open()
            && self.spm.is_at_rest(now)
    }

    /// Sends the next packet of a source that [`Source::is_quiet`].
    pub(super) fn pass(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit<'_, P>> {
        let (ports, trail) = (self.ports(), self.window.trail());
        let overhead = u64::from(self.config.ip_overhead);
        let mut sent = None;
        let slot = self.window.send_plain(now, |sqn, slot| {
            let data = Data { sqn, trail };
            let header = data.emit_plain(ports, slot.len, slot.sum, slot.fragment(), buf);
            sent = header.ok().and_then(|header_len| {
                let bytes = u64::try_from(header_len).ok()?;
                let bytes = bytes.saturating_add(slot.len.into());
                let bytes = bytes.saturating_add(overhead);
                let time = self.shaper.take(now, bytes)?;
                Some((sqn, header_len, bytes, time))
            });
            sent.is_some()
        })?;
        let (sqn, header_len, bytes, time) = sent?;
        #[cfg(test)]
        PASSED.set(PASSED.get().saturating_add(1));
        self.spm.data_sent(now, time);
        self.meter.tick(now, self.stats.bytes);
        self.stats.bytes = self.stats.bytes.saturating_add(bytes);
        self.repaired_last = false;
        self.stats.odata = self.stats.odata.saturating_add(1);
        self.stats.odata_bytes = self.stats.odata_bytes.saturating_add(slot.len.into());
        Some(Transmit {
            kind: PacketType::Odata,
            destination: Destination::Group,
            copy: false,
            router_alert: false,
            completes: slot.completes().then_some(sqn),
            header_len,
            payload: Some(&slot.payload),
        })
    }

    /// No deadline is earlier than this, but those that [`Source::poll_timeout`] knew of before: if all
    /// that was sent since `then` is ODATA, and nothing more waits. `None` says nothing.
    pub fn new_deadlines(&self, then: Instant) -> Option<Instant> {
        let rests = self.closing.is_open() && !self.has_more() && self.window.is_timed();
        rests.then(|| then.after(self.spm.ihb_min().min(self.config.window)))
    }
}
