// SPDX-License-Identifier: GPL-2.0
//! Polls and their answers (RFC 3208 §14.7).

use crate::option::{OptionWriter, Redirect};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Addr, Error, NakBoIvl, Sqn};

/// A poll request: 28 bytes with an IPv4 address, 40 with IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Poll {
    /// POLL_SQN, a space of its own.
    pub sqn: Sqn,
    /// POLL_ROUND, 0 in the first round of a POLL_SQN.
    pub round: u16,
    /// POLL_S_TYPE: 0 asks everyone, 1 asks local repairers.
    pub subtype: u16,
    /// POLL_PATH, where answers go.
    pub path: Addr,
    /// POLL_BO_IVL, the back-off interval for answers, in microseconds.
    pub bo_ivl: u32,
    /// POLL_RAND, a random string.
    pub rand: u32,
    /// POLL_MASK, the bits of it that must match.
    pub mask: u32,
}

impl Poll {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Poll, Error> {
        r.require(28)?;
        let (sqn, round, subtype) = (r.sqn()?, r.u16()?, r.u16()?);
        let path = Addr::read(r)?;
        r.require(12)?;
        Ok(Poll {
            sqn,
            round,
            subtype,
            path,
            bo_ivl: r.u32()?,
            rand: r.u32()?,
            mask: r.u32()?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.sqn(self.sqn);
        w.u16(self.round);
        w.u16(self.subtype);
        self.path.write(w);
        w.u32(self.bo_ivl);
        w.u32(self.rand);
        w.u32(self.mask);
    }
}

/// What a POLL may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PollOptions {
    /// OPT_NAK_BO_IVL.
    pub nak_bo_ivl: Option<NakBoIvl>,
}

impl PollOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.nak_bo_ivl);
    }
}

/// A poll response: 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Polr {
    /// POLR_SQN, copied from the POLL.
    pub sqn: Sqn,
    /// POLR_ROUND, copied from the POLL.
    pub round: u16,
}

impl Polr {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Polr, Error> {
        r.require(8)?;
        let (sqn, round, _reserved) = (r.sqn()?, r.u16()?, r.u16()?);
        Ok(Polr { sqn, round })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.sqn(self.sqn);
        w.u16(self.round);
        w.u16(0);
    }
}

/// What a POLR may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PolrOptions {
    /// OPT_REDIRECT: the address of the local repairer that answers (§9.5).
    pub redirect: Option<Addr>,
    /// OPT_PARITY in the header: that repairer gives parity (§11.7).
    pub parity: bool,
}

impl PolrOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.redirect.map(Redirect));
    }
}
