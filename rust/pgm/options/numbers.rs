// SPDX-License-Identifier: GPL-2.0

//! The options that are one number. To add one, add a row here, its setting to the engine's table
//! and its number to include/uapi/linux/pgm.h; the rest follows.

use kernel::ffi::c_uint;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::settings::{self, Setting, Unit};

use super::{Moment, Side};

/// One of [`Numbers`], with the rules for changing it.
pub(super) struct Row {
    pub(super) side: Side,
    pub(super) moment: Moment,
    setting: &'static Setting,
    pub(super) place: fn(&mut Numbers) -> &mut u32,
}

impl Row {
    /// `value` if it is in range. A switch is on with any number but zero.
    pub(super) fn check(&self, value: u32) -> Result<u32> {
        match self.setting.unit {
            Unit::Switch => Ok((value != 0).into()),
            _ => self.setting.check(value).ok_or(EINVAL),
        }
    }
}

macro_rules! numbers {
    ($($field:ident: $name:ident, $setting:ident, $side:ident, $moment:ident;)*) => {
        /// The settings that are one number, each as its option has it.
        #[derive(Clone, Copy)]
        pub(crate) struct Numbers {
            $(pub(crate) $field: u32,)*
        }

        impl Default for Numbers {
            fn default() -> Self {
                Self {
                    $($field: settings::$setting.default,)*
                }
            }
        }

        /// The row of the option `name`.
        pub(super) fn row(name: c_uint) -> Option<Row> {
            match name {
                $(b::$name => Some(Row {
                    side: Side::$side,
                    moment: Moment::$moment,
                    setting: &settings::$setting,
                    place: |numbers| &mut numbers.$field,
                }),)*
                _ => None,
            }
        }
    };
}

numbers! {
    ambient: PGM_AMBIENT_SPM, AMBIENT_SPM, Source, Start;
    nak_bo_ivl: PGM_NAK_BO_IVL, NAK_BO_IVL, Receiver, Start;
    nak_rpt_ivl: PGM_NAK_RPT_IVL, NAK_RPT_IVL, Receiver, Start;
    nak_rdata_ivl: PGM_NAK_RDATA_IVL, NAK_RDATA_IVL, Receiver, Start;
    ncf_retries: PGM_NAK_NCF_RETRIES, NAK_NCF_RETRIES, Receiver, Start;
    data_retries: PGM_NAK_DATA_RETRIES, NAK_DATA_RETRIES, Receiver, Start;
    abort_on_reset: PGM_ABORT_ON_RESET, ABORT_ON_RESET, Receiver, Always;
    rcvinfo: PGM_RECVRCVINFO, RECVRCVINFO, Receiver, Always;
}
