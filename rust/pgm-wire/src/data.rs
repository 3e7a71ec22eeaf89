// SPDX-License-Identifier: GPL-2.0
//! Data packets, original and repair (RFC 3208 §8.2).

use crate::option::{CurrTgsize, Fin, Join, OptionWriter, ParityGrp, Syn};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{EncodedFragment, Error, Fragment, PgmccData, Sqn};

/// The type-specific part of ODATA and RDATA: 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data {
    /// The sequence number; of a parity packet the transmission group and its number in it (§11.2).
    pub sqn: Sqn,
    /// The trailing edge of the transmit window.
    pub trail: Sqn,
}

impl Data {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Data, Error> {
        r.require(8)?;
        Ok(Data {
            sqn: r.sqn()?,
            trail: r.sqn()?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.sqn(self.sqn);
        w.sqn(self.trail);
    }
}

/// What a data packet may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DataOptions {
    /// OPT_FRAGMENT: a part of an APDU. Not written on a parity packet.
    pub fragment: Option<Fragment>,
    /// OPT_JOIN: the oldest sequence number a new receiver may ask for.
    pub join: Option<Sqn>,
    /// OPT_SYN: the session starts.
    pub syn: bool,
    /// OPT_FIN: the session ends.
    pub fin: bool,
    /// OPT_CURR_TGSIZE: data packets in this transmission group, ended early.
    pub curr_tgsize: Option<u32>,
    /// OPT_PGMCC_DATA.
    pub pgmcc_data: Option<PgmccData>,
    /// Set on parity packets, which have OPT_PARITY in the header.
    pub parity: Option<Parity>,
}

/// What only a parity packet may bear (§11.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parity {
    /// OPT_PARITY_GRP: the parity group; group 0 has no option.
    pub grp: u32,
    /// OPT_VAR_PKTLEN in the header: lengths are appended and encoded too.
    pub var_pktlen: bool,
    /// OPT_FRAGMENT of the data packets, encoded like their payload.
    pub fragment: Option<EncodedFragment>,
}

impl DataOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.curr_tgsize.map(CurrTgsize));
        match self.parity {
            Some(parity) => {
                o.put(parity.fragment);
                o.put((parity.grp != 0).then_some(ParityGrp(parity.grp)));
            }
            None => o.put(self.fragment),
        }
        o.put(self.join.map(Join));
        o.put(self.syn.then_some(Syn));
        o.put(self.fin.then_some(Fin));
        o.put(self.pgmcc_data);
    }
}
