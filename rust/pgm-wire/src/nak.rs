// SPDX-License-Identifier: GPL-2.0
//! NAK, NULL NAK and NAK confirmation (RFC 3208 §8.3).

use crate::option::{NbrUnreach, OptionWriter, PathNla};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Addr, Cr, Error, NakBoIvl, NakList, PgmccFeedback, Sqn};

/// The type-specific part of NAK, NNAK and NCF: 20 bytes with IPv4 addresses, 44 with IPv6, 32 with
/// one of each. Each address has its own family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nak {
    /// The sequence number asked for; for parity the transmission group, with the number of
    /// missing packets minus one in its low bits (§11.2).
    pub sqn: Sqn,
    /// NAK_SRC_NLA, the original source.
    pub source: Addr,
    /// NAK_GRP_NLA, the multicast group.
    pub group: Addr,
}

impl Nak {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Nak, Error> {
        r.require(20)?;
        Ok(Nak {
            sqn: r.sqn()?,
            source: Addr::read(r)?,
            group: Addr::read(r)?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.sqn(self.sqn);
        self.source.write(w);
        self.group.write(w);
    }
}

/// What a NAK may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NakOptions {
    /// OPT_NAK_LIST: further sequence numbers; no option when empty.
    pub list: NakList,
    /// OPT_CR: a congestion report.
    pub cr: Option<Cr>,
    /// OPT_PGMCC_FEEDBACK.
    pub pgmcc_feedback: Option<PgmccFeedback>,
    /// OPT_PARITY in the header: parity is asked for.
    pub parity: bool,
}

impl NakOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.list.non_empty());
        o.put(self.cr);
        o.put(self.pgmcc_feedback);
    }
}

/// What a NULL NAK may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NnakOptions {
    /// OPT_NAK_LIST: further sequence numbers; no option when empty.
    pub list: NakList,
    /// OPT_PARITY in the header, as in the NAK.
    pub parity: bool,
}

impl NnakOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.list.non_empty());
    }
}

/// What an NCF may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NcfOptions {
    /// OPT_NAK_LIST: the list of the NAK; no option when empty.
    pub list: NakList,
    /// OPT_NAK_BO_IVL.
    pub nak_bo_ivl: Option<NakBoIvl>,
    /// OPT_NBR_UNREACH: multicast from here does not arrive.
    pub nbr_unreach: bool,
    /// OPT_PATH_NLA: the sender's address on that interface.
    pub path_nla: Option<Addr>,
    /// OPT_PARITY in the header, as in the NAK.
    pub parity: bool,
}

impl NcfOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.list.non_empty());
        o.put(self.nak_bo_ivl);
        o.put(self.nbr_unreach.then_some(NbrUnreach));
        o.put(self.path_nla.map(PathNla));
    }
}
