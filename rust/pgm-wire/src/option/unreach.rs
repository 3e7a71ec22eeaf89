// SPDX-License-Identifier: GPL-2.0
//! OPT_NBR_UNREACH and OPT_PATH_NLA (RFC 3208 §15.4), network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Addr, Error};

/// Multicast from the sender does not arrive: 4 bytes.
pub(crate) struct NbrUnreach;

impl Layout for NbrUnreach {
    const NUMBER: u8 = number::NBR_UNREACH;

    fn read(_bits: u8, _body: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(NbrUnreach)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
    }
}

/// The sender's address: 8 or 20 bytes. It has no AFI, so the length tells the family.
pub(crate) struct PathNla(pub(crate) Addr);

impl Layout for PathNla {
    const NUMBER: u8 = number::PATH_NLA;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        match r.rest().len() {
            4 => r.array().map(Addr::V4),
            _ => r.array().map(Addr::V6),
        }
        .map(PathNla)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        self.0.write_bare(w);
    }
}
