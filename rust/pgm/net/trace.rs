// SPDX-License-Identifier: GPL-2.0

//! The trace points of rust/bindings/trace.h. Each costs a jump that is not taken while nobody traces
//! it.

use kernel::jump_label::static_branch_unlikely;
use pgm_bindings as b;
use pgm_core::{Discard, NakState};
use pgm_wire::{Packet, Sqn, Tsi};

/// A TSI as one number.
fn number(tsi: Tsi) -> u64 {
    let [a, c, d, e, f, g] = tsi.gsi.0;
    let [h, i] = tsi.sport.to_be_bytes();
    u64::from_be_bytes([a, c, d, e, f, g, h, i])
}

/// A sound packet came.
pub(crate) fn receive(packet: &Packet<'_>) {
    // SAFETY: The key is that of a trace point; numbers may always be traced.
    unsafe {
        if static_branch_unlikely!(b::__tracepoint_pgm_receive, b::tracepoint, key) {
            b::rust_do_trace_pgm_receive(
                number(packet.tsi()),
                packet.data_port(),
                packet.header.kind.to_wire(),
                packet.header.tsdu_len.into(),
            );
        }
    }
}

/// A packet was dropped.
pub(crate) fn discard(discard: Discard) {
    // SAFETY: As above; the name is as long as said.
    unsafe {
        if static_branch_unlikely!(b::__tracepoint_pgm_discard, b::tracepoint, key) {
            let name = discard.name();
            b::rust_do_trace_pgm_discard(name.as_ptr().cast(), name.len() as u32);
        }
    }
}

/// A missing packet came to another state (RFC 3208 §6.3).
pub(crate) fn nak(tsi: Tsi, sqn: Sqn, state: NakState) {
    // SAFETY: As in `receive`.
    unsafe {
        if static_branch_unlikely!(b::__tracepoint_pgm_nak, b::tracepoint, key) {
            b::rust_do_trace_pgm_nak(number(tsi), sqn.get(), state as u8);
        }
    }
}

/// A source's rate was set.
pub(crate) fn rate(tsi: Tsi, bytes: u64) {
    // SAFETY: As in `receive`.
    unsafe {
        if static_branch_unlikely!(b::__tracepoint_pgm_rate, b::tracepoint, key) {
            let kbit = u32::try_from(bytes / 125).unwrap_or(u32::MAX);
            b::rust_do_trace_pgm_rate(number(tsi), kbit);
        }
    }
}

/// The edges of a window at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edges {
    pub(crate) tsi: Tsi,
    pub(crate) source: bool,
    pub(crate) trail: Sqn,
    pub(crate) lead: Sqn,
}

/// Whether somebody traces windows: only then it is worth looking at them.
pub(crate) fn windows() -> bool {
    // SAFETY: As in `receive`.
    unsafe { static_branch_unlikely!(b::__tracepoint_pgm_window, b::tracepoint, key) }
}

/// A window moved.
pub(crate) fn window(edges: Edges) {
    // SAFETY: As in `receive`; called if `windows` said so.
    unsafe {
        b::rust_do_trace_pgm_window(
            number(edges.tsi),
            edges.source,
            edges.trail.get(),
            edges.lead.get(),
        );
    }
}
