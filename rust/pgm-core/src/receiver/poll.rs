// SPDX-License-Identifier: GPL-2.0

//! Answers to polls: how a parent counts its children (RFC 3208 §14.5).

use pgm_wire::{Addr, Poll, Polr, Sqn};

use crate::discard::Discard;
use crate::receiver::rxw::newer;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// PGM_POLL_GENERAL (§14.6). PGM_POLL_DLR asks local repairers only.
const GENERAL: u16 = 0;
/// Parents whose POLL_SQNs are kept apart (§14.2.1: POLL_PATH and TSI scope them). One is the rule;
/// two may share a link for a while.
const PARENTS: usize = 2;
/// Least time between two POLRs: whatever asks faster is not a parent that counts replies (§14.4).
const POLR_IVL: Duration = Duration::from_millis(10);

/// Rounds 0 that one parent sent.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
struct Parent {
    path: Addr,
    /// POLL_SQN of the oldest one that still compares, and of the last.
    first: Sqn,
    last: Sqn,
    /// The last use of this entry.
    stamp: u32,
}

/// A POLR that waits for its time.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
struct Reply {
    at: Instant,
    path: Addr,
    sqn: Sqn,
    round: u16,
}

impl Reply {
    fn answers(&self, poll: &Poll) -> bool {
        (self.path, self.sqn, self.round) == (poll.path, poll.sqn, poll.round)
    }
}

/// The polls of one session.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Polls {
    parents: [Option<Parent>; PARENTS],
    stamp: u32,
    pending: Option<Reply>,
    sent: Option<Reply>,
}

impl Polls {
    pub(super) const fn new() -> Self {
        Self {
            parents: [None; PARENTS],
            stamp: 0,
            pending: None,
            sent: None,
        }
    }

    /// Takes note of a POLL, whether it asks us or not: it may be a round 0, and it cancels the answer
    /// to an earlier POLL_SQN (§14.5). `parent` is the current one.
    pub(super) fn note(&mut self, poll: &Poll, parent: Option<Addr>) {
        if poll.round == 0 {
            self.begin(poll, parent);
        }
        if let Some(reply) = self.pending {
            if reply.path == poll.path && reply.sqn != poll.sqn {
                self.pending = None;
            }
        }
    }

    fn begin(&mut self, poll: &Poll, parent: Option<Addr>) {
        self.stamp = self.stamp.wrapping_add(1);
        let stamp = self.stamp;
        if let Some(known) = self
            .parents
            .iter_mut()
            .flatten()
            .find(|p| p.path == poll.path)
        {
            if !newer(poll.sqn, known.first) {
                known.first = poll.sqn;
            }
            known.last = poll.sqn;
            known.stamp = stamp;
            return;
        }
        // The place of nobody, else of the one that was silent longest, but never our parent's.
        let place = self
            .parents
            .iter_mut()
            .filter(|place| place.is_none_or(|known| Some(known.path) != parent))
            .max_by_key(|place| place.map_or(u32::MAX, |known| stamp.wrapping_sub(known.stamp)));
        if let Some(place) = place {
            *place = Some(Parent {
                path: poll.path,
                first: poll.sqn,
                last: poll.sqn,
                stamp,
            });
        }
    }

    fn parent(&self, path: Addr) -> Option<&Parent> {
        self.parents.iter().flatten().find(|p| p.path == path)
    }

    /// Whether round 0 of a POLL_SQN up to `sqn` came from `path` (§15.2.2).
    pub(super) fn began(&self, path: Addr, sqn: Sqn) -> bool {
        self.parent(path).is_some_and(|known| {
            [known.first, known.last]
                .into_iter()
                .any(|seen| seen == sqn || newer(sqn, seen))
        })
    }

    /// Schedules the answer to a POLL that [`Polls::note`] has seen, if it asks us.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        poll: &Poll,
        node_id: u32,
        parent: Option<Addr>,
        rng: &mut Rng,
    ) -> Result<(), Discard> {
        // §14.5: the random condition first; a mask of zeroes asks everybody.
        if node_id & poll.mask != poll.rand & poll.mask {
            return Err(Discard::Poll);
        }
        // Who came after round 0 does not count: rounds freeze the population (§14.3.1).
        if poll.round != 0 && self.parent(poll.path).map(|known| known.last) != Some(poll.sqn) {
            return Err(Discard::Poll);
        }
        if poll.subtype != GENERAL {
            return Err(Discard::Poll);
        }
        // One POLL, one POLR; and one at a time, our own parent's before others'.
        let repeated = [self.pending, self.sent]
            .iter()
            .flatten()
            .any(|reply| reply.answers(poll));
        let busy = self.pending.is_some_and(|reply| reply.path != poll.path);
        if repeated || (busy && parent != Some(poll.path)) {
            return Err(Discard::Poll);
        }
        let mut at = now.after(rng.interval(Duration::from_micros(poll.bo_ivl)));
        if let Some(sent) = self.sent {
            at = at.max(sent.at.after(POLR_IVL));
        }
        self.pending = Some(Reply {
            at,
            path: poll.path,
            sqn: poll.sqn,
            round: poll.round,
        });
        Ok(())
    }

    /// The POLR that leaves now, and where it goes.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<(Addr, Polr)> {
        let reply = self.pending.filter(|reply| reply.at <= now)?;
        self.pending = None;
        self.sent = Some(Reply { at: now, ..reply });
        let polr = Polr {
            sqn: reply.sqn,
            round: reply.round,
        };
        Some((reply.path, polr))
    }

    #[inline]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pending.map(|reply| reply.at)
    }
}
