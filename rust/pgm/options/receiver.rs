// SPDX-License-Identifier: GPL-2.0

//! Options of receivers that are more than one number.

use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::ReceiverConfig;

use super::source::uapi_tsi;
use super::{Options, Side};
use crate::net::lock::Locked;
use crate::net::user::Output;

impl Options {
    /// What a receiver of this port starts with.
    pub(crate) fn receiver(&self, dport: u16) -> ReceiverConfig {
        ReceiverConfig {
            dport,
            ..ReceiverConfig::new(&self.numbers)
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
