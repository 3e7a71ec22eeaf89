// SPDX-License-Identifier: GPL-2.0

//! Delivery in the order of arrival: APDUs leave when they are whole, whatever is missing before
//! them (RFC 3208 §6.1). What is lost is still found by the cursor, which passes what has left.

use pgm_wire::Sqn;

use crate::memory::Heap;
use crate::receiver::apdu::Cursor;
use crate::receiver::rxw::{Held, State, Window};
use crate::receiver::stats::count;
use crate::receiver::{Data, ReceiverStats};

/// The first number of the APDU that `sqn` completes; `limit` is the most TPDUs of one.
pub(super) fn completes<P, H: Heap>(window: &Window<P, H>, sqn: Sqn, limit: u32) -> Option<Sqn> {
    let held = held(window, sqn)?;
    let Some(fragment) = held.fragment else {
        return Some(sqn);
    };
    let mut offset = 0u32;
    for n in 0..limit {
        let piece = held_at(window, fragment.first.plus(n))?;
        let other = piece.fragment?;
        if (other.first, other.apdu_len, other.offset)
            != (fragment.first, fragment.apdu_len, offset)
        {
            return None;
        }
        offset = offset.saturating_add(u32::from(piece.len));
        if offset == fragment.apdu_len {
            return Some(fragment.first);
        }
    }
    None
}

fn held<P, H: Heap>(window: &Window<P, H>, sqn: Sqn) -> Option<&Held<P>> {
    match window.state(sqn) {
        Some(State::Data(held)) => Some(held),
        _ => None,
    }
}

/// As [`held`], for any number.
fn held_at<P, H: Heap>(window: &Window<P, H>, sqn: Sqn) -> Option<&Held<P>> {
    if window.reaches(sqn) {
        held(window, sqn)
    } else {
        None
    }
}

impl Cursor {
    /// The next piece of the APDU that became whole first.
    pub(super) fn poll_whole<P, H: Heap>(
        &mut self,
        window: &mut Window<P, H>,
        stats: &mut ReceiverStats,
    ) -> Option<Data<P>> {
        if self.is_delivering(window.commit) {
            return None;
        }
        let sqn = match self.leaving.take() {
            Some(sqn) => sqn,
            None => {
                let first = window.next_whole()?;
                self.release(first, window.commit);
                first
            }
        };
        let data = window.pass(sqn)?.into_data(sqn);
        if data.last {
            count(&mut stats.apdus);
        } else {
            self.leaving = Some(sqn.next());
        }
        Some(data)
    }
}
