// SPDX-License-Identifier: GPL-2.0

//! The options that are one number. To add one, add a row here, its setting to the engine's table
//! and its number to include/uapi/linux/pgm.h; the rest follows.

use kernel::ffi::c_uint;
use pgm_bindings as b;
use pgm_core::settings::{self, Setting, Unit};

use super::{Moment, Side};

/// One such option, with the rules for changing it.
pub(super) struct Row {
    pub(super) side: Side,
    pub(super) moment: Moment,
    pub(super) setting: &'static Setting,
}

impl Row {
    /// What `value` means, in range or not. A switch is on with any number but zero.
    pub(super) fn read(&self, value: u32) -> u32 {
        match self.setting.unit {
            Unit::Switch => (value != 0).into(),
            _ => value,
        }
    }
}

macro_rules! numbers {
    ($($name:ident: $setting:ident, $side:ident, $moment:ident;)*) => {
        /// The row of the option `name`.
        pub(super) fn row(name: c_uint) -> Option<Row> {
            match name {
                $(b::$name => Some(Row {
                    side: Side::$side,
                    moment: Moment::$moment,
                    setting: &settings::$setting,
                }),)*
                _ => None,
            }
        }
    };
}

numbers! {
    PGM_WINDOW_ADV_METHOD: TXW_ADV_METHOD, Source, Start;
    PGM_WINDOW_ADV_RATE: TXW_ADV_RATE, Source, Start;
    PGM_LATEJOIN: LATE_JOIN, Source, Start;
    PGM_MTU: MTU, Source, Start;
    PGM_AMBIENT_SPM: AMBIENT_SPM, Source, Start;
    PGM_NAK_BO_IVL: NAK_BO_IVL, Receiver, Start;
    PGM_NAK_RPT_IVL: NAK_RPT_IVL, Receiver, Start;
    PGM_NAK_RDATA_IVL: NAK_RDATA_IVL, Receiver, Start;
    PGM_NAK_NCF_RETRIES: NAK_NCF_RETRIES, Receiver, Start;
    PGM_NAK_DATA_RETRIES: NAK_DATA_RETRIES, Receiver, Start;
    PGM_PEER_EXPIRY: PEER_EXPIRY, Receiver, Start;
    PGM_SPMR_EXPIRY: SPMR_BO_IVL, Receiver, Start;
    PGM_RXW_SQNS: RXW_SQNS, Receiver, Start;
    PGM_ARRIVAL_ORDER: ARRIVAL_ORDER, Receiver, Start;
    PGM_PASSIVE: PASSIVE, Receiver, Start;
    PGM_MULTICAST_NAK: MULTICAST_NAK, Receiver, Start;
    PGM_ABORT_ON_RESET: ABORT_ON_RESET, Receiver, Always;
    PGM_EVENTS: EVENTS, Receiver, Always;
    PGM_RECVRCVINFO: RECVRCVINFO, Receiver, Always;
}
