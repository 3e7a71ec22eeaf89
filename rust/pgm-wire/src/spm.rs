// SPDX-License-Identifier: GPL-2.0
//! Source path messages (RFC 3208 §8.1).

use crate::option::{CurrTgsize, Fin, Join, NbrUnreach, OptionWriter};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Addr, Crqst, Error, NakBoIvl, NakBoRng, ParityPrm, Rst, Sqn};

/// A source path message: 20 bytes with an IPv4 address, 32 with IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spm {
    /// SPM_SQN, a space of its own.
    pub sqn: Sqn,
    /// SPM_TRAIL, the trailing edge of the transmit window.
    pub trail: Sqn,
    /// SPM_LEAD, its leading edge.
    pub lead: Sqn,
    /// SPM_PATH, where NAKs go.
    pub path: Addr,
}

impl Spm {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Spm, Error> {
        r.require(20)?;
        Ok(Spm {
            sqn: r.sqn()?,
            trail: r.sqn()?,
            lead: r.sqn()?,
            path: Addr::read(r)?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.sqn(self.sqn);
        w.sqn(self.trail);
        w.sqn(self.lead);
        self.path.write(w);
    }
}

/// What an SPM may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpmOptions {
    /// OPT_JOIN: the oldest sequence number a new receiver may ask for.
    pub join: Option<Sqn>,
    /// OPT_FIN: the session ends.
    pub fin: bool,
    /// OPT_RST: the session is aborted.
    pub rst: Option<Rst>,
    /// OPT_PARITY_PRM: the source offers parity.
    pub parity_prm: Option<ParityPrm>,
    /// OPT_CURR_TGSIZE: data packets in the transmission group that was ended early.
    pub curr_tgsize: Option<u32>,
    /// OPT_NAK_BO_IVL.
    pub nak_bo_ivl: Option<NakBoIvl>,
    /// OPT_NAK_BO_RNG.
    pub nak_bo_rng: Option<NakBoRng>,
    /// OPT_NBR_UNREACH: multicast from here does not arrive.
    pub nbr_unreach: bool,
    /// OPT_CRQST: congestion reports are wanted.
    pub crqst: Option<Crqst>,
}

impl SpmOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.nak_bo_ivl);
        o.put(self.nak_bo_rng);
        o.put(self.parity_prm);
        o.put(self.curr_tgsize.map(CurrTgsize));
        o.put(self.nbr_unreach.then_some(NbrUnreach));
        o.put(self.crqst);
        o.put(self.join.map(Join));
        o.put(self.fin.then_some(Fin));
        o.put(self.rst);
    }
}
