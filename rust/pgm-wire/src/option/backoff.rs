// SPDX-License-Identifier: GPL-2.0
//! OPT_NAK_BO_IVL and OPT_NAK_BO_RNG: 12 bytes (RFC 3208 §15.4), network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, Sqn};

/// The back-off interval for NAKs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NakBoIvl {
    /// NAK_BO_IVL, in microseconds.
    pub micros: u32,
    /// NAK_BO_IVL_SQN: the POLL_SQN it rests on; 0 when it rests on none.
    pub sqn: Sqn,
}

impl Layout for NakBoIvl {
    const NUMBER: u8 = number::NAK_BO_IVL;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(NakBoIvl {
            micros: r.u32()?,
            sqn: r.sqn()?,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.u32(self.micros);
        w.sqn(self.sqn);
    }
}

/// The bounds of the back-off interval, in microseconds. The maximum comes first on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NakBoRng {
    /// NAK_MAX_BO_IVL.
    pub max: u32,
    /// NAK_MIN_BO_IVL.
    pub min: u32,
}

impl Layout for NakBoRng {
    const NUMBER: u8 = number::NAK_BO_RNG;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(NakBoRng {
            max: r.u32()?,
            min: r.u32()?,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.u32(self.max);
        w.u32(self.min);
    }
}
