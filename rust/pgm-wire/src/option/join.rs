// SPDX-License-Identifier: GPL-2.0
//! OPT_JOIN: 8 bytes (RFC 3208 §9.4), not network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, Sqn};

/// OPT_JOIN_MIN: the oldest sequence number a new receiver may ask for.
pub(crate) struct Join(pub(crate) Sqn);

impl Layout for Join {
    const NUMBER: u8 = number::JOIN;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        r.sqn().map(Join)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.sqn(self.0);
    }
}
