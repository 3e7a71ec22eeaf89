// SPDX-License-Identifier: GPL-2.0

//! Sessions that a listener has done with: the application closed them, or their source ended them.
//! What still comes of them, data, SPMs with FIN and repairs for others (RFC 3208 §9.7.2), must not
//! make a new session.

use pgm_wire::{Packet, Tsi};

use crate::memory::Heap;
use crate::receiver::peers::{is_aftermath, LINGER};
use crate::time::Instant;

/// Sessions that are remembered; a new one takes the place of the one that was silent longest.
const ENTRIES: usize = 64;

#[derive(Clone, Copy)]
struct Entry {
    tsi: Tsi,
    /// When the source was heard last.
    heard: Instant,
    /// The source had not ended it: the application does not want it.
    unwanted: bool,
}

/// The sessions that one listener takes no more.
pub struct Refused<H: Heap> {
    entries: Option<H::Array<Option<Entry>>>,
}

impl<H: Heap> Refused<H> {
    /// None. Takes no memory yet.
    pub const fn new() -> Self {
        Self { entries: None }
    }

    /// Takes `tsi` no more until it was silent for half a minute. `unwanted`: all that its source
    /// sends counts; otherwise the source ended the session, and anything but the aftermath of that
    /// is a source that starts again. Without memory it is not remembered.
    pub fn refuse(&mut self, now: Instant, tsi: Tsi, unwanted: bool) {
        if self.entries.is_none() {
            self.entries = H::array(ENTRIES);
        }
        let Some(entries) = &mut self.entries else {
            return;
        };
        let place = entries.iter_mut().min_by_key(|place| match place {
            Some(entry) if entry.tsi == tsi => Instant::ZERO,
            Some(entry) => entry.heard,
            None => Instant::from_nanos(1),
        });
        if let Some(place) = place {
            *place = Some(Entry {
                tsi,
                heard: now,
                unwanted,
            });
        }
    }

    /// Whether a packet is of such a session.
    pub fn refuses(&mut self, now: Instant, packet: &Packet<'_>) -> bool {
        let tsi = packet.tsi();
        let Some(entries) = &mut self.entries else {
            return false;
        };
        let known = entries
            .iter_mut()
            .find(|place| place.is_some_and(|entry| entry.tsi == tsi));
        let Some(place) = known else {
            return false;
        };
        match place {
            Some(entry) if now.since(entry.heard) < LINGER => {
                if entry.unwanted || is_aftermath(packet) {
                    entry.heard = now;
                }
                true
            }
            _ => {
                *place = None;
                false
            }
        }
    }
}

impl<H: Heap> Default for Refused<H> {
    fn default() -> Self {
        Self::new()
    }
}
