// SPDX-License-Identifier: GPL-2.0

//! What sessions hold of what a host has little of, and how much of it they may hold (RFC 3208 §10).
//!
//! Anybody can make a session by a packet with a TSI of his own, and nothing in it can be checked. So
//! a session is worth little until it is proven: it delivered data, and its source was still heard a
//! second after it began. A flood of made-up TSIs proves none, since each would have to be kept up;
//! and what is proven is never given up for what is not.

use crate::memory::Heap;
use crate::receiver::rxw::MISSING_MAX;
use crate::receiver::Receiver;
use crate::time::{Duration, Instant};

/// How long a session must last to be proven.
const PROOF: Duration = Duration::from_secs(1);

/// Missing numbers that a session which is not proven may ask for at a time: two NAKs and their lists.
/// One forged edge is answered by so much, at an address of the forger's choice, and leaves most of
/// the owner's NAK states to others (RFC 3208 §10).
pub(super) const UNPROVEN_MISSING_MAX: u32 = 126;

/// Missing numbers for which a session may use [`Ceilings::naks_reserved`]: a NAK and its list.
const FEW: u32 = 63;

/// What sessions hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sessions.
    pub sessions: u32,
    /// NAK states: missing numbers with their timers.
    pub naks: u32,
    /// Packets in receive windows that are parts of larger APDUs.
    pub pieces: u32,
}

impl Usage {
    pub(super) fn add(&mut self, other: Usage) {
        self.sessions = self.sessions.saturating_add(other.sessions);
        self.naks = self.naks.saturating_add(other.naks);
        self.pieces = self.pieces.saturating_add(other.pieces);
    }

    pub(super) fn subtract(&mut self, other: Usage) {
        self.sessions = self.sessions.saturating_sub(other.sessions);
        self.naks = self.naks.saturating_sub(other.naks);
        self.pieces = self.pieces.saturating_sub(other.pieces);
    }
}

/// How many data packets an owner has memory for, those counted that are asked for already. What is
/// refused when it comes was asked for in vain, and takes the place of a repair that would have been of
/// use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of packets older than the newest that came: data that is here waits for them.
    pub gaps: u16,
    /// Of newer ones.
    pub beyond: u16,
}

impl Room {
    /// No bound.
    pub const NONE: Self = Self {
        gaps: u16::MAX,
        beyond: u16::MAX,
    };
}

/// What all sessions of one owner may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// Sessions.
    pub sessions: u32,
    /// NAK states.
    pub naks: u32,
    /// NAK states when it is a session that is not proven that wants more.
    pub naks_unproven: u32,
    /// Of `naks`, those for sessions that have few: one that is proven may have been made up as well.
    pub naks_reserved: u32,
    /// Packets that there is memory for.
    pub room: Room,
}

impl Ceilings {
    /// As many as the engine's own limits allow.
    pub const NONE: Self = Self {
        sessions: u32::MAX,
        naks: u32::MAX,
        naks_unproven: u32::MAX,
        naks_reserved: 0,
        room: Room::NONE,
    };

    /// The NAK states of a session.
    fn naks_of(&self, proven: bool) -> u32 {
        if proven {
            let many = self.naks.saturating_sub(self.naks_reserved);
            many.max(self.naks.min(FEW))
        } else {
            self.naks_unproven
        }
    }
}

impl<P, H: Heap> Receiver<P, H> {
    /// What the session holds.
    pub fn usage(&self) -> Usage {
        Usage {
            sessions: 1,
            naks: self.window.absent(),
            pieces: self.window.pieces(),
        }
    }

    /// The owner's ceilings, for the calls that follow. Of what is above them already nothing is given
    /// up.
    pub fn set_ceilings(&mut self, ceilings: &Ceilings) {
        let most = if self.is_proven() {
            MISSING_MAX
        } else {
            UNPROVEN_MISSING_MAX
        };
        let naks = ceilings.naks_of(self.is_proven()).min(most);
        self.window
            .limit_absent(u16::try_from(naks).unwrap_or(u16::MAX));
        self.window.limit_room(ceilings.room);
    }

    /// Whether something is not asked for only because there is no memory for it.
    pub fn lacks_room(&self) -> bool {
        self.window.lacks_room()
    }

    /// How often missing numbers had to wait for the ceilings.
    pub const fn naks_limited(&self) -> u32 {
        self.repair.limited
    }

    /// Whether the session delivered data, and its source was heard a second after it began.
    pub const fn is_proven(&self) -> bool {
        self.window.proven
    }

    /// A packet of the source came.
    pub(super) fn prove(&mut self, now: Instant) {
        self.window.proven |= self.stats.apdus > 0 && now.since(self.meter.start()) >= PROOF;
    }
}
