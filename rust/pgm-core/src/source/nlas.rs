// SPDX-License-Identifier: GPL-2.0

//! The addresses of a source. The session stays the same when its source moves to another address
//! (RFC 3208 §8: a TSI is no address): SPMs announce the new one, while NAKs go on to name the "original
//! source of the missing ODATA" (§8.3).

use pgm_wire::Addr;

/// The first address, the one before, and that of now; fewer if it moved less.
pub(super) struct Nlas {
    known: [Addr; 3],
    now: u8,
}

impl Nlas {
    pub(super) const fn new(first: Addr) -> Self {
        Self {
            known: [first; 3],
            now: 0,
        }
    }

    pub(super) fn now(&self) -> Addr {
        self.named(self.now)
    }

    /// The address that [`Self::find`] found.
    pub(super) fn named(&self, place: u8) -> Addr {
        let [first, _, _] = self.known;
        self.known.get(usize::from(place)).copied().unwrap_or(first)
    }

    /// The place of an address that the source has or had.
    pub(super) fn find(&self, nla: Addr) -> Option<u8> {
        (0u8..)
            .zip(&self.known)
            .find_map(|(place, known)| (*known == nla).then_some(place))
    }

    /// The source has another address from now on.
    pub(super) fn set(&mut self, nla: Addr) {
        let place = match self.find(nla) {
            Some(place) => place,
            // Never in place of the first one, which receivers from the start know.
            None if self.now == 1 => 2,
            None => 1,
        };
        if let Some(known) = self.known.get_mut(usize::from(place)) {
            *known = nla;
        }
        self.now = place;
    }
}
