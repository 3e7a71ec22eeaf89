// SPDX-License-Identifier: GPL-2.0
//! Option extensions: how they are laid out, walked and written (RFC 3208 §9, §9.1).

mod backoff;
mod congestion;
mod fragment;
mod join;
mod nak_list;
mod parity;
mod pgmcc;
mod redirect;
mod rule;
mod session;
mod unreach;
mod view;
mod write;

pub use backoff::{NakBoIvl, NakBoRng};
pub use congestion::{Cr, Crqst};
pub use fragment::{EncodedFragment, Fragment};
pub use nak_list::{NakList, NAK_LIST_MAX};
pub use parity::ParityPrm;
pub use pgmcc::{PgmccData, PgmccFeedback};
pub use rule::number;
pub use session::Rst;
pub use view::{Options, RawOption, RawOptions};

pub(crate) use join::Join;
pub(crate) use parity::{CurrTgsize, ParityGrp};
pub(crate) use redirect::Redirect;
pub(crate) use session::{Fin, Syn};
pub(crate) use unreach::{NbrUnreach, PathNla};
pub(crate) use view::read_area;
pub(crate) use write::OptionWriter;

use crate::reader::Reader;
use crate::writer::Writer;
use crate::Error;

/// Every option starts with type, length, reserved and option-specific bits: one byte each.
const HEADER_LEN: usize = 4;

/// OPT_END, in the type byte of the last option.
pub(crate) const END: u8 = 0x80;

/// OP_ENCODED, in the third byte: the option is encoded by FEC like the payload (§11.2).
const ENCODED: u8 = 0x04;

/// At most 16 options besides OPT_LENGTH (§9). The RFC does not say whether OPT_LENGTH counts; no
/// packet we can send has so many.
const OPTIONS_MAX: usize = 16;

/// The layout of one option type.
pub(crate) trait Layout: Sized {
    /// Its number.
    const NUMBER: u8;
    /// Reserved bits, F and OPX as sent. Receivers ignore them but for F on parity packets: deployed
    /// senders leave rubbish there.
    const RESERVED: u8 = 0;
    /// Reads the option-specific bits and the bytes behind the first four.
    fn read(bits: u8, body: &mut Reader<'_>) -> Result<Self, Error>;
    /// Writes the byte of option-specific bits and what follows.
    fn write(&self, w: &mut Writer<'_>);
}
