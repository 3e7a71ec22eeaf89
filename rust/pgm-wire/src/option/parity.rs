// SPDX-License-Identifier: GPL-2.0
//! Options of forward error correction: 8 bytes each (RFC 3208 §11.8).

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::Error;

/// OPT_PARITY_PRM: the parity a source offers. Network-significant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParityPrm {
    /// P: parity is sent unasked. The drawing puts P to the left of O; OpenPGM has them exchanged.
    pub proactive: bool,
    /// O: parity is sent on demand.
    pub on_demand: bool,
    /// PARITY_PRM_TGS: data packets in a transmission group.
    pub tgs: u32,
}

impl ParityPrm {
    const PROACTIVE: u8 = 0x02;
    const ON_DEMAND: u8 = 0x01;
}

impl Layout for ParityPrm {
    const NUMBER: u8 = number::PARITY_PRM;

    fn read(bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(ParityPrm {
            proactive: bits & Self::PROACTIVE != 0,
            on_demand: bits & Self::ON_DEMAND != 0,
            tgs: r.u32()?,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        let proactive = if self.proactive { Self::PROACTIVE } else { 0 };
        let on_demand = if self.on_demand { Self::ON_DEMAND } else { 0 };
        w.u8(proactive | on_demand);
        w.u32(self.tgs);
    }
}

/// OPT_PARITY_GRP: the number of a parity group. Not network-significant.
pub(crate) struct ParityGrp(pub(crate) u32);

impl Layout for ParityGrp {
    const NUMBER: u8 = number::PARITY_GRP;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        r.u32().map(ParityGrp)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.u32(self.0);
    }
}

/// OPT_CURR_TGSIZE: data packets in a group that was ended early. Network-significant but on ODATA.
pub(crate) struct CurrTgsize(pub(crate) u32);

impl Layout for CurrTgsize {
    const NUMBER: u8 = number::CURR_TGSIZE;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        r.u32().map(CurrTgsize)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.u32(self.0);
    }
}
