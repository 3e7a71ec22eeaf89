// SPDX-License-Identifier: GPL-2.0

//! What must hold in a receiver after every call, checked the slow way.

use super::*;
use crate::receiver::nak::Phase;
use crate::receiver::rxw::{State, MISSING_MAX};

/// Walks the whole window and compares it with every counter, edge and timer.
pub(super) fn check<P, H: Heap>(rx: &Receiver<P, H>) {
    let window = &rx.window;
    if !window.is_open() {
        assert!(rx.repair.len() == 0 && rx.held() == 0 && rx.missing() == 0);
        return;
    }
    let commit = window.commit;
    let distance = |sqn: Sqn| sqn.since(commit);
    let half = 1u32 << 31;
    let (front, top, end) = (
        distance(window.front),
        distance(window.top),
        distance(window.end),
    );
    assert!(
        front <= top && top <= window.ring.capacity(),
        "{front} {top}"
    );
    assert!(
        front <= end && top <= end && end < half,
        "{front} {top} {end}"
    );
    assert!(
        window.end.since(window.trail) < half,
        "the trailing edge is beyond the end"
    );
    assert!(window.end.since(window.sure) < half);
    let (mut held, mut lost, mut absent, mut timers) = (0, 0, 0, 0);
    for n in 0..window.ring.capacity() {
        let sqn = commit.plus(n);
        let Some(slot) = window.ring.get(sqn) else {
            assert!(n >= front, "no slot below front");
            continue;
        };
        assert!(n < top, "a slot above the window");
        timers += u32::from(slot.position.is_set());
        absent += u32::from(matches!(slot.state, State::Missing(_)));
        match &slot.state {
            State::Data(_) => {
                held += 1;
                assert!(!slot.position.is_set() || rx.config.arrival_order);
                timers -= u32::from(slot.position.is_set());
            }
            State::Passed => {
                assert!(rx.config.arrival_order && !slot.position.is_set());
            }
            State::Lost => {
                lost += 1;
                assert!(!slot.position.is_set());
            }
            State::Missing(missing) if sqn.before(window.trail) => {
                assert!(missing.phase != Phase::Tempered || !slot.position.is_set());
            }
            State::Missing(missing) => {
                // Liveness: every recovery has its timer, or the cursor still gets there.
                let waits = slot.position.is_set();
                assert_eq!(waits, missing.is_confirmed(), "{:?} at {n}", missing.phase);
                let cursor = rx.patience.is_some() || rx.backlog || rx.retry.is_some();
                assert!(waits || cursor || rx.ending.is_cut());
            }
        }
    }
    assert_eq!(
        (held, lost, timers),
        (rx.held(), window.lost(), rx.repair.len())
    );
    assert!(absent <= MISSING_MAX);
    let all_slots =
        absent == MISSING_MAX || window.front == window.end || front == window.ring.capacity();
    let work = rx.retry.is_some() || rx.backlog || window.wants_slots();
    assert!(all_slots || work || rx.lacks_room() || window.front.before(window.trail));
    // What delivery waits for is asked for however little memory there is.
    assert!(!rx.lacks_room() || absent > 0);
    if !rx.is_ended() && !rx.ending.is_cut() {
        let at = rx
            .poll_timeout()
            .expect("a session that is not over has a timeout");
        assert!(at <= rx.heard.after(rx.config.peer_expiry));
    }
}
