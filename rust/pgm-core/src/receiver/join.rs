// SPDX-License-Identifier: GPL-2.0

//! Where reception starts: RXW_TRAIL_INIT, and late joining (RFC 3208 §6.1, §9.4).

use pgm_wire::{Body, Packet, Spm, Sqn};

use crate::receiver::rxw::newer;

/// SPM_LEAD that says, with SPM_TRAIL 0, that an SPM has no window information (RFC 3208 §8.1).
const NO_LEAD: Sqn = Sqn::new(0x8000_0000);

/// Whether an SPM says nothing about the window (§8.1).
pub(super) fn is_windowless(spm: &Spm) -> bool {
    spm.trail == Sqn::new(0) && spm.lead == NO_LEAD
}

/// RXW_TRAIL_INIT: `first` without OPT_JOIN; with it as far back as OPT_JOIN_MIN and the trailing
/// edge allow (§9.4.2).
pub(super) fn history(join: Option<Sqn>, trail: Sqn, first: Sqn) -> Sqn {
    let Some(min) = join else {
        return first;
    };
    let min = if min.before(trail) { trail } else { min };
    if newer(first, min) {
        min
    } else {
        first
    }
}

/// Whether `packet` starts reception of a session that is not known yet: data, or an SPM whose
/// OPT_JOIN opens history (§6.1, §9.4). RDATA without OPT_JOIN repairs what was sent before we came.
pub fn starts_reception(packet: &Packet<'_>) -> bool {
    let join = packet.options.join();
    match &packet.body {
        Body::Odata(_) => true,
        Body::Rdata(_) => join.is_some(),
        Body::Spm(spm) => {
            let over = packet.options.fin() || packet.options.rst().is_some();
            let next = spm.lead.next();
            !over && !is_windowless(spm) && history(join, spm.trail, next) != next
        }
        _ => false,
    }
}
