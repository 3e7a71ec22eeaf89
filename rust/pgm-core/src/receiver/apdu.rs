// SPDX-License-Identifier: GPL-2.0

//! From packets to APDUs: the rules of OPT_FRAGMENT and the cursor that delivers (RFC 3208 §6.1, §9.2).

use pgm_wire::{Fragment, Sqn};

use crate::discard::Discard;
use crate::memory::Heap;
use crate::receiver::nak::Repair;
use crate::receiver::rxw::{Held, State, Window};
use crate::receiver::stats::{add, count};
use crate::receiver::{Data, Delivery, End, ReceiverConfig, ReceiverStats, STEPS};

/// What one data packet must satisfy on its own; `limit` is the most TPDUs an APDU may have.
pub(super) fn check(
    sqn: Sqn,
    len: u16,
    fragment: Option<Fragment>,
    limit: u32,
    config: &ReceiverConfig,
) -> Result<(), Discard> {
    let len = u32::from(len);
    let Some(fragment) = fragment else {
        // An empty TSDU is a message too.
        return if len > config.msgsize_max {
            Err(Discard::ApduTooLarge)
        } else {
            Ok(())
        };
    };
    // RFC 3208 §9.2: the first fragment, and only that one, has offset 0 and its own SQN. None is
    // empty: an APDU may not have more of them than bytes.
    let is_first = sqn == fragment.first;
    let end = fragment.offset.checked_add(len).ok_or(Discard::Fragment)?;
    if len == 0 || end > fragment.apdu_len || is_first != (fragment.offset == 0) {
        return Err(Discard::Fragment);
    }
    if sqn.before(fragment.first) {
        return Err(Discard::Fragment);
    }
    if fragment.apdu_len > config.msgsize_max || sqn.since(fragment.first) >= limit {
        return Err(Discard::ApduTooLarge);
    }
    Ok(())
}

/// How a session ends, as far as is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    /// OPT_FIN was seen (§9.7).
    pub(super) fin: bool,
    /// OPT_RST was seen (§9.8): its code.
    pub(super) reset: Option<u8>,
    /// The source fell silent.
    pub(super) expired: bool,
}

impl Ending {
    /// Nothing more is received.
    pub(super) const fn is_cut(&self) -> bool {
        self.expired || self.reset.is_some()
    }

    fn end(&self) -> Option<End> {
        match (self.reset, self.fin, self.expired) {
            (Some(code), _, _) => Some(End::Reset { code }),
            (None, true, _) => Some(End::Fin),
            (None, false, true) => Some(End::Expired),
            (None, false, false) => None,
        }
    }
}

/// An APDU of which the first fragments are here: [commit, scan).
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
struct Assembly {
    first: Sqn,
    apdu_len: u32,
    /// Offset that the next fragment must have.
    next_offset: u32,
}

/// Fragments at the start of the session that belong to an APDU from before it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
enum Joining {
    /// Nothing was delivered yet.
    Fresh,
    /// Skipping the rest of the APDU with this first number.
    Skipping(Sqn),
    Done,
}

/// What stands at the cursor.
enum Found {
    /// Nothing that could be decided now.
    Nothing,
    /// A number that is lost.
    Lost,
    /// A number from before the session, of this APDU.
    Skipped(Sqn),
    /// The last packet of an APDU.
    Whole,
    /// A packet that more must follow.
    Part(Assembly),
    /// A packet that does not continue the APDU before it.
    Misfit,
    /// A packet that was delivered when it arrived.
    Passed,
}

/// The delivery cursor.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Cursor {
    /// The next number to look at; [commit, scan) are pieces of one APDU.
    scan: Sqn,
    /// [commit, whole) may be delivered.
    whole: Sqn,
    assembly: Option<Assembly>,
    joining: Joining,
    /// RXW_TRAIL_INIT.
    init: Sqn,
    /// Lost numbers not reported yet; they end at commit.
    loss: Option<(Sqn, u32)>,
    /// The next piece of an APDU that leaves in the order of arrival.
    pub(super) leaving: Option<Sqn>,
    /// The last call reached its bound.
    pub(super) more: bool,
}

impl Cursor {
    pub(super) const fn new() -> Self {
        let zero = Sqn::new(0);
        Self {
            scan: zero,
            whole: zero,
            assembly: None,
            joining: Joining::Fresh,
            init: zero,
            loss: None,
            leaving: None,
            more: false,
        }
    }

    /// Reception starts at `first`.
    pub(super) fn open(&mut self, first: Sqn) {
        self.scan = first;
        self.whole = first;
        self.init = first;
    }

    /// Whether it stands at `commit` with nothing on its way out.
    #[inline]
    pub(super) fn is_idle(&self, commit: Sqn) -> bool {
        self.scan == commit
            && self.whole == commit
            && self.assembly.is_none()
            && self.loss.is_none()
            && self.leaving.is_none()
    }

    /// Whether it has seen all before `end` and has nothing to deliver.
    #[inline]
    pub(super) fn waits_for(&self, end: Sqn) -> bool {
        self.scan == end && self.loss.is_none() && self.leaving.is_none()
    }

    /// A whole APDU was delivered without it; the next number is `commit`.
    #[inline]
    pub(super) fn pass_over(&mut self, commit: Sqn) {
        self.joining = Joining::Done;
        self.scan = commit;
        self.whole = commit;
    }

    /// The number that delivery waits for.
    pub(super) const fn next(&self) -> Sqn {
        self.scan
    }

    /// The next thing for the application, if there is one. Looks at no more than [`STEPS`] numbers
    /// (and then at most one APDU's).
    pub(super) fn poll<P, H: Heap>(
        &mut self,
        window: &mut Window<P, H>,
        repair: &mut Repair<H>,
        ending: &Ending,
        limit: u32,
        stats: &mut ReceiverStats,
    ) -> Option<Delivery<P>> {
        self.more = false;
        if !window.is_open() {
            return ending.end().map(Delivery::End);
        }
        for _ in 0..STEPS {
            if self.is_delivering(window.commit) {
                if let Some(loss) = self.take_loss(stats) {
                    return Some(loss);
                }
                if let Some(data) = self.take_piece(window, stats) {
                    return Some(Delivery::Data(data));
                }
                continue;
            }
            match self.look(window, limit) {
                Found::Nothing => return self.rest(window, repair, ending, stats),
                Found::Lost => {
                    self.drop_to(window, repair, self.scan.next());
                }
                Found::Skipped(first) => {
                    if let Some(loss) = self.take_loss(stats) {
                        return Some(loss);
                    }
                    self.joining = Joining::Skipping(first);
                    window.take();
                    self.scan = window.commit;
                    self.whole = window.commit;
                }
                Found::Whole => {
                    self.joining = Joining::Done;
                    self.assembly = None;
                    self.scan = self.scan.next();
                    self.whole = self.scan;
                }
                Found::Part(assembly) => {
                    self.joining = Joining::Done;
                    self.assembly = Some(assembly);
                    self.scan = self.scan.next();
                }
                Found::Passed => {
                    if let Some(loss) = self.take_loss(stats) {
                        return Some(loss);
                    }
                    self.joining = Joining::Done;
                    window.take();
                    self.scan = window.commit;
                    self.whole = window.commit;
                }
                // What came before can never become whole; then look again.
                Found::Misfit => self.drop_to(window, repair, self.scan),
            }
        }
        self.more = true;
        None
    }

    /// Leaves numbers behind that the trailing edge passed, up to the next data packet or [`STEPS`] of
    /// them, so that the window has room for what comes after a jump.
    pub(super) fn skip<P, H: Heap>(
        &mut self,
        window: &mut Window<P, H>,
        repair: &mut Repair<H>,
        limit: u32,
    ) {
        let from = window.commit;
        let busy = self.is_delivering(from) || self.leaving.is_some() || self.assembly.is_some();
        if !busy && from.before(window.trail) && window.clear() {
            repair.clear();
            self.lose(from, window.commit);
            return;
        }
        for _ in 0..STEPS {
            let busy = self.is_delivering(window.commit) || self.leaving.is_some();
            if !window.commit.before(window.trail) || busy {
                return;
            }
            match self.look(window, limit) {
                Found::Lost => self.drop_to(window, repair, self.scan.next()),
                Found::Misfit => self.drop_to(window, repair, self.scan),
                _ => return,
            }
        }
    }

    /// Whether an APDU is on its way out, piece by piece, in its turn.
    pub(super) fn is_delivering(&self, commit: Sqn) -> bool {
        commit.before(self.whole)
    }

    /// The APDU from `first` on leaves in another way.
    pub(super) fn release(&mut self, first: Sqn, commit: Sqn) {
        if self.assembly.is_some_and(|open| open.first == first) {
            self.assembly = None;
            self.scan = commit;
            self.whole = commit;
        }
    }

    fn look<P, H: Heap>(&self, window: &Window<P, H>, limit: u32) -> Found {
        let passed = self.scan.before(window.trail);
        if !window.reaches(self.scan) {
            return if passed { Found::Lost } else { Found::Nothing };
        }
        match window.state(self.scan) {
            Some(State::Data(held)) => self.judge(held, window.commit, limit),
            Some(State::Lost) => Found::Lost,
            Some(State::Passed) if self.assembly.is_some() => Found::Misfit,
            Some(State::Passed) => Found::Passed,
            // RFC 3208 §6.3: the trailing edge ends all hope.
            Some(State::Missing(_)) | None if passed => Found::Lost,
            Some(State::Missing(_)) | None => Found::Nothing,
        }
    }

    /// Decides about the data packet at `scan`, which passed [`check`].
    fn judge<P>(&self, held: &Held<P>, commit: Sqn, limit: u32) -> Found {
        let len = u32::from(held.len);
        let assembly = match (self.assembly, held.fragment) {
            (None, None) => return Found::Whole,
            (Some(_), None) => return Found::Misfit,
            (None, Some(fragment)) if fragment.offset == 0 => Assembly {
                first: fragment.first,
                apdu_len: fragment.apdu_len,
                next_offset: len,
            },
            // The beginning is missing: it was lost, or it was sent before we came.
            (None, Some(fragment)) => {
                let before = match self.joining {
                    Joining::Fresh => fragment.first.before(self.init),
                    Joining::Skipping(first) => fragment.first == first,
                    Joining::Done => false,
                };
                return if before {
                    Found::Skipped(fragment.first)
                } else {
                    Found::Lost
                };
            }
            (Some(open), Some(fragment)) => {
                if fragment.first != open.first
                    || fragment.apdu_len != open.apdu_len
                    || fragment.offset != open.next_offset
                {
                    return Found::Misfit;
                }
                Assembly {
                    next_offset: open.next_offset.saturating_add(len),
                    ..open
                }
            }
        };
        if assembly.next_offset == assembly.apdu_len {
            Found::Whole
        } else if self.scan.since(commit).saturating_add(1) >= limit {
            // The window holds no more of it: waiting would be for ever.
            Found::Lost
        } else {
            Found::Part(assembly)
        }
    }

    /// Nothing at the cursor: report what is behind it.
    fn rest<P, H: Heap>(
        &mut self,
        window: &mut Window<P, H>,
        repair: &mut Repair<H>,
        ending: &Ending,
        stats: &mut ReceiverStats,
    ) -> Option<Delivery<P>> {
        let end = match ending.end() {
            Some(end) if self.scan == window.end => end,
            _ => return self.take_loss(stats),
        };
        // An APDU whose last fragments were never sent.
        self.drop_to(window, repair, self.scan);
        self.take_loss(stats).or(Some(Delivery::End(end)))
    }

    /// Gives up everything below `to`: at most the open APDU and the number after it, or else
    /// numbers that have no slot.
    fn drop_to<P, H: Heap>(&mut self, window: &mut Window<P, H>, repair: &mut Repair<H>, to: Sqn) {
        let from = window.commit;
        while window.commit.before(to) && window.reaches(window.commit) {
            repair.forget(window, window.commit);
            window.take();
        }
        if window.commit.before(to) {
            // No slot from here to the trailing edge, however far that is.
            window.jump();
        }
        self.lose(from, window.commit);
    }

    /// The numbers from `from` up to `commit`, where the window begins now, are lost.
    fn lose(&mut self, from: Sqn, commit: Sqn) {
        let n = commit.since(from);
        if n > 0 {
            let (first, count) = self.loss.unwrap_or((from, 0));
            self.loss = Some((first, count.saturating_add(n)));
        }
        self.assembly = None;
        self.scan = commit;
        self.whole = commit;
    }

    fn take_loss<P>(&mut self, stats: &mut ReceiverStats) -> Option<Delivery<P>> {
        let (first, count) = self.loss.take()?;
        add(&mut stats.lost_sqns, u64::from(count));
        Some(Delivery::Loss { first, count })
    }

    fn take_piece<P, H: Heap>(
        &mut self,
        window: &mut Window<P, H>,
        stats: &mut ReceiverStats,
    ) -> Option<Data<P>> {
        let sqn = window.commit;
        let Some(State::Data(held)) = window.take() else {
            return None;
        };
        let data = held.into_data(sqn);
        if data.last {
            count(&mut stats.apdus);
        }
        Some(data)
    }
}
