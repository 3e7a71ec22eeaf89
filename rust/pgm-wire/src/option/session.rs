// SPDX-License-Identifier: GPL-2.0
//! OPT_SYN, OPT_FIN and OPT_RST: 4 bytes (RFC 3208 §9.6 to §9.8), not network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::Error;

/// The session starts.
pub(crate) struct Syn;

impl Layout for Syn {
    const NUMBER: u8 = number::SYN;

    fn read(_bits: u8, _body: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Syn)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
    }
}

/// The session ends.
pub(crate) struct Fin;

impl Layout for Fin {
    const NUMBER: u8 = number::FIN;

    fn read(_bits: u8, _body: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Fin)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
    }
}

/// The session is aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rst {
    /// N: the source answers no more NAKs.
    pub no_naks: bool,
    /// The application's error code, 0 to 63; 0 is unknown. Higher bits are not sent.
    pub code: u8,
}

impl Rst {
    const NO_NAKS: u8 = 0x40;
    const CODE: u8 = 0x3F;
}

impl Layout for Rst {
    const NUMBER: u8 = number::RST;

    fn read(bits: u8, _body: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Rst {
            no_naks: bits & Self::NO_NAKS != 0,
            code: bits & Self::CODE,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        let no_naks = if self.no_naks { Self::NO_NAKS } else { 0 };
        w.u8(no_naks | (self.code & Self::CODE));
    }
}
