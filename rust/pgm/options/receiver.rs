// SPDX-License-Identifier: GPL-2.0

//! Options of receivers that are more than one number.

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::ReceiverConfig;
use pgm_core::settings;

use super::source::uapi_tsi;
use super::{Options, Side};
use crate::net::lock::Locked;
use crate::net::user::Output;
use crate::sock::random_u64;

impl Options {
    /// What a receiver of this port starts with, given its SO_RCVBUF.
    pub(crate) fn receiver(&self, dport: u16, rcvbuf: c_int) -> ReceiverConfig {
        let sqns = self.numbers.get(&settings::RXW_SQNS);
        let config = ReceiverConfig::new(&self.numbers);
        ReceiverConfig {
            dport,
            node_id: random_u64() as u32,
            nak_bo_fixed: self.nak_bo_fixed,
            rxw_sqns: ReceiverConfig::window(sqns, u32::try_from(rcvbuf).unwrap_or(0)),
            nak_adaptive: config.nak_adaptive && !self.nak_set,
            ..config
        }
    }
}

/// PGM_GET_LOSS: the last loss that was reported.
pub(super) fn get_loss(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Receiver.check(sk)?;
    let loss = sk.last_loss.ok_or(ENODATA)?;
    output.write(&b::pgm_loss {
        tsi: uapi_tsi(loss.tsi),
        first: loss.first.get(),
        count: loss.count,
    })
}

/// PGM_RESET_CODE: the reason that the source gave (RFC 3208 §9.8).
pub(super) fn get_reset_code(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Receiver.check(sk)?;
    output.write(&u32::from(sk.reset_code.ok_or(ENODATA)?))
}
