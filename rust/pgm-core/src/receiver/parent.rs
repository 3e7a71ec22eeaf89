// SPDX-License-Identifier: GPL-2.0

//! Whom SPMs are believed: their sequence and the Path NLA in them (RFC 3208 §6.2), damped so that
//! forged ones neither shut the source's out nor drive NAKs about (§10).

use pgm_wire::{Addr, Sqn};

use crate::receiver::rxw::newer;
use crate::time::{Duration, Instant};

/// How long something new must last before it is believed.
const DAMPING: Duration = Duration::from_secs(1);
/// SPMs in a row that may be lost without a doubt, and how often one may be sent at most.
const LEAP: u32 = 64;
const SPM_IVL: Duration = Duration::from_millis(1);

/// How an SPM fits those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It continues them.
    Next,
    /// Its source has been counting anew for a while.
    Anew,
    /// It is out of sequence.
    Refused,
}

/// SPMs that continue each other.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
struct Line {
    began: Instant,
    heard: Instant,
    last: Sqn,
    /// We are ahead of their source, they say.
    ahead: bool,
}

impl Line {
    const fn new(now: Instant, sqn: Sqn) -> Self {
        Self {
            began: now,
            heard: now,
            last: sqn,
            ahead: false,
        }
    }

    /// Whether `sqn` is newer, and no farther ahead than losses since then explain.
    fn continues(&self, now: Instant, sqn: Sqn) -> bool {
        let sent = now.since(self.heard).nanos().checked_div(SPM_IVL.nanos());
        let reach = sent.unwrap_or(0).saturating_add(u64::from(LEAP));
        newer(sqn, self.last) && u64::from(sqn.since(self.last)) <= reach
    }

    fn hear(&mut self, now: Instant, sqn: Sqn) {
        self.heard = now;
        self.last = sqn;
    }
}

/// The sequence of a session's SPMs.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Sequence {
    line: Option<Line>,
    /// SPMs that do not continue `line`, but each other.
    other: Option<Line>,
    /// Since when `line` says that we are ahead, and what had been received by then, modulo 2^32.
    since: Instant,
    received: u32,
}

impl Sequence {
    pub(super) const fn new() -> Self {
        Self {
            line: None,
            other: None,
            since: Instant::ZERO,
            received: 0,
        }
    }

    /// Whether we wait for what an SPM in sequence, and those of the last second, do not know of, while
    /// no data that we could use came in between, of which there had been `received`: the edge that we
    /// followed was forged, and hardly anything of the source would ever be heard again. Data that
    /// overtakes its SPM is no such thing.
    pub(super) fn is_misled(&mut self, now: Instant, ahead: bool, received: u64) -> bool {
        let Some(line) = &mut self.line else {
            return false;
        };
        let received = u32::try_from(received & u64::from(u32::MAX)).unwrap_or(0);
        if !ahead || !line.ahead || self.received != received {
            self.since = now;
            self.received = received;
        }
        line.ahead = ahead;
        ahead && now.since(self.since) >= DAMPING
    }

    /// SPM_SQN of the last SPM in sequence.
    pub(super) fn last(&self) -> Option<Sqn> {
        self.line.map(|line| line.last)
    }

    /// How an SPM fits: in sequence if newer than the last one that was (§6.2).
    ///
    /// One that leaps ahead could shut all others out, so it waits for company; and should a forged
    /// one have come first, those it shut out are believed again. Either way it takes SPMs that
    /// continue each other for a second while none continues the old sequence: a source that counts
    /// anew gets through, and one that still speaks is not talked down.
    pub(super) fn admit(&mut self, now: Instant, sqn: Sqn) -> Fit {
        let Some(line) = &mut self.line else {
            self.line = Some(Line::new(now, sqn));
            return Fit::Next;
        };
        if line.continues(now, sqn) {
            line.hear(now, sqn);
            self.other = None;
            return Fit::Next;
        }
        if sqn == line.last {
            return Fit::Refused;
        }
        match &mut self.other {
            Some(other) if other.continues(now, sqn) => {
                other.hear(now, sqn);
                if now.since(other.began) >= DAMPING {
                    self.line = self.other.take();
                    return Fit::Anew;
                }
            }
            Some(other) if other.last == sqn => {}
            other => *other = Some(Line::new(now, sqn)),
        }
        Fit::Refused
    }
}

/// The PGM neighbour upstream: where NAKs go.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Parent {
    current: Option<Addr>,
    /// The address that lasted.
    settled: Option<Addr>,
    /// When `current` last became an address that had not lasted.
    moved: Instant,
}

impl Parent {
    pub(super) const fn new() -> Self {
        Self {
            current: None,
            settled: None,
            moved: Instant::ZERO,
        }
    }

    /// The address in use.
    #[inline]
    pub(super) const fn path(&self) -> Option<Addr> {
        self.current
    }

    /// The Path NLA of an SPM in sequence. A new one is used at once, as routes do change, but there
    /// is only one such change in [`DAMPING`], and the way back to the address that lasted is always
    /// open.
    pub(super) fn hear(&mut self, now: Instant, path: Addr) {
        let lasted = now.since(self.moved) >= DAMPING;
        match self.current {
            Some(current) if current == path => {
                if lasted {
                    self.settled = Some(path);
                }
            }
            Some(_) if self.settled != Some(path) => {
                if !lasted {
                    return;
                }
                self.moved = now;
            }
            Some(_) => {}
            None => self.settled = Some(path),
        }
        self.current = Some(path);
    }
}
