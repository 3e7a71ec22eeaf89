// SPDX-License-Identifier: GPL-2.0

//! The source of a session (RFC 3208 §5): numbers data and sends it at its rate, announces itself by
//! SPMs, confirms every NAK and repairs what its window still holds. It knows nothing of its
//! receivers, however many there are.

mod advance;
mod backoff;
mod close;
mod config;
mod express;
mod nak;
mod ncf;
mod nlas;
mod send;
mod spm;
mod stats;
#[cfg(any(test, feature = "fuzz"))]
pub mod tests;
mod txw;

pub use config::{Advance, Heartbeat, SourceConfig};
pub use stats::SourceStats;

use pgm_wire::{checksum, Addr, Sqn};

use crate::memory::{Heap, NoMemory};
use crate::meter::{Meter, Rates};
use crate::shaper::Shaper;
use crate::time::Instant;
use backoff::Backoff;
use close::Closing;
use config::earlier;
use ncf::NcfQueue;
use nlas::Nlas;
use spm::SpmTimers;
use txw::Window;

/// One source. `P` is a payload: what [`Source::push`] was given comes out of
/// [`Source::poll_transmit`] with its packet, each time it is sent.
pub struct Source<P, H: Heap> {
    config: SourceConfig,
    window: Window<P, H>,
    ncfs: NcfQueue<H>,
    nlas: Nlas,
    backoff: Backoff,
    /// Whom a unicast NCF that waits is for.
    unreached: Option<Addr>,
    /// No other unicast NCF before this.
    unicast_until: Instant,
    spm: SpmTimers,
    shaper: Shaper,
    /// When NCFs, which `shaper` does not hold back, will have had their time.
    ncf_until: Instant,
    closing: Closing,
    /// The last data packet was a repair: ODATA is next if any waits.
    repaired_last: bool,
    /// No NCF for SQNs outside the window before this.
    outside_until: Instant,
    stats: SourceStats,
    meter: Meter,
}

impl<P, H: Heap> Source<P, H> {
    /// A source that starts at `now`: its first SPM is due at once (RFC 3208 §5.1.4), its window is
    /// empty, and it has taken no memory yet.
    pub fn new(config: SourceConfig, now: Instant) -> Self {
        Self {
            window: Window::new(&config),
            ncfs: NcfQueue::new(),
            nlas: Nlas::new(config.nla),
            backoff: Backoff::new(&config),
            unreached: None,
            unicast_until: Instant::ZERO,
            spm: SpmTimers::new(&config, now),
            shaper: Shaper::new(config.rate),
            ncf_until: Instant::ZERO,
            closing: Closing::default(),
            repaired_last: false,
            outside_until: Instant::ZERO,
            stats: SourceStats::default(),
            meter: Meter::new(now),
            config,
        }
    }

    /// Whether an APDU of `fragments` packets and `bytes` TSDU bytes may be queued now: the window
    /// and the queue have room, and the source is not closing. Time makes room, so after a `false`
    /// the answer changes in [`Source::handle_timeout`] or [`Source::poll_transmit`].
    ///
    /// An APDU above the limit of the queue is let in when nothing else waits.
    pub fn room(&self, fragments: u32, bytes: u64) -> bool {
        self.closing.is_open() && self.window.room(fragments, bytes)
    }

    /// Says that somebody waits for room for such an APDU, after [`Source::room`] said no. A window that
    /// advances with data stops when it is full, and must know that it is (RFC 3208 §16.2).
    pub fn wait_for_room(&mut self, now: Instant, fragments: u32, bytes: u64) {
        // In a source that closes nothing has room any more.
        if self.closing.is_open() {
            self.window.want(now, fragments, bytes);
        }
    }

    /// Whether there is room for any of those who wait; they ask again.
    pub fn room_came(&mut self) -> bool {
        self.window.room_came()
    }

    /// Whether such an APDU can ever have room: EMSGSIZE if not.
    pub fn fits(&self, fragments: u32, bytes: u64) -> bool {
        self.window.fits(fragments, bytes)
    }

    /// Makes the next `fragments` calls of [`Source::push`] certain to succeed, as long as time
    /// does not pass between: [`Source::handle_timeout`] gives memory back.
    pub fn reserve(&mut self, fragments: u32) -> Result<(), NoMemory> {
        if !self.closing.is_open() {
            return Err(NoMemory);
        }
        self.window.reserve(fragments)
    }

    /// Queues one TPDU of `len` bytes and returns its number: packets are numbered, and will be sent,
    /// in the order of their submission (RFC 3208 §5.1.1).
    ///
    /// `sum` is the checksum over the payload. `fragment` is the offset in its APDU and the length of
    /// that APDU, both in bytes; `None` for an APDU of one packet. The fragments of an APDU are pushed
    /// one after the other, offset 0 first.
    ///
    /// Fails without a change if memory is refused, the window is full or the source is closing.
    pub fn push(
        &mut self,
        _now: Instant,
        payload: P,
        len: u16,
        sum: checksum::Sum,
        fragment: Option<(u32, u32)>,
    ) -> Result<Sqn, NoMemory> {
        if !self.closing.is_open() {
            return Err(NoMemory);
        }
        self.window.push(payload, len, sum, fragment)
    }

    /// When [`Source::handle_timeout`] and then [`Source::poll_transmit`] want to be called next; a
    /// time that has passed means at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_done() {
            return None;
        }
        if self.drops_queue() {
            return Some(Instant::ZERO);
        }
        let timers = earlier(self.ncf_ready_at(), self.ready_at());
        let timers = earlier(timers, self.closing.done_at());
        let spm = earlier(
            self.spm.timeout(self.data_waits()),
            self.window.advance_at(),
        );
        earlier(timers, spm)
    }

    /// Lets timers expire: SPMs become due, old packets leave the window. Work is bounded: when there
    /// is more, [`Source::poll_timeout`] asks for another call at once.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.spm.tick(now, self.data_waits());
        let expired = self.window.advance(now);
        self.stats.expired = self.stats.expired.saturating_add(u64::from(expired));
        if self.drops_queue() {
            self.window.drop_unsent();
        }
        self.closing.tick(now);
    }

    /// Changes TXW_MAX_RTE, in bytes a second.
    pub fn set_rate(&mut self, now: Instant, rate: u64) {
        self.config.rate = rate;
        self.shaper.set_rate(now, rate);
        self.window.set_rate(rate);
    }

    /// The source has another address now: SPMs announce it, the first one at once (RFC 3208 §8.1).
    /// The session stays the same.
    pub fn relocate(&mut self, nla: Addr) {
        self.nlas.set(nla);
        self.spm.at_once();
    }

    /// The network is there again: an SPM at once, so that receivers ask for what they missed.
    pub fn announce(&mut self) {
        self.spm.at_once();
    }

    /// TXW_TRAIL: the oldest packet that can be repaired.
    pub fn trail(&self) -> Sqn {
        self.window.trail()
    }

    /// TXW_LEAD: the newest packet sent; TRAIL - 1 if the window is empty.
    pub fn lead(&self) -> Sqn {
        self.window.lead()
    }

    /// TSDU bytes that wait to be sent for the first time.
    pub fn queued_bytes(&self) -> u64 {
        self.window.queued_bytes()
    }

    /// Packets that wait to be sent for the first time.
    pub fn queued_sqns(&self) -> u32 {
        self.window.queued_sqns()
    }

    /// TSDU bytes held: sent and still in the window, or queued.
    pub fn window_bytes_used(&self) -> u64 {
        self.window.bytes()
    }

    /// Packets held.
    pub fn window_sqns_used(&self) -> u32 {
        self.window.sqns()
    }

    /// TSDU bytes that a message may add to the window.
    pub fn window_bytes_free(&self) -> u64 {
        self.config.window_bytes.saturating_sub(self.window.bytes())
    }

    /// Repairs that wait to be sent.
    pub fn pending_repairs(&self) -> u32 {
        self.window.pending_repairs()
    }

    /// How fast it sends, IP headers included.
    pub fn rates(&self, now: Instant) -> Rates {
        self.meter.rates(now, self.stats.bytes)
    }

    /// Totals since the start.
    pub fn stats(&self) -> &SourceStats {
        &self.stats
    }

    /// What the source was made with, and the rate set since.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }
}
