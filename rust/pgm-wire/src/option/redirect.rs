// SPDX-License-Identifier: GPL-2.0
//! OPT_REDIRECT: 12 or 24 bytes (RFC 3208 §9.5.5, which prints 4 + NLA), network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Addr, Error};

/// OPT_REDIRECT_NLA: the address of the local repairer that sends it.
pub(crate) struct Redirect(pub(crate) Addr);

impl Layout for Redirect {
    const NUMBER: u8 = number::REDIRECT;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        Addr::read(r).map(Redirect)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        self.0.write(w);
    }
}
