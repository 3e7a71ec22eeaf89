// SPDX-License-Identifier: GPL-2.0
//! Options of PGMCC: 16 or 28 bytes, in the layout of deployed stacks; not in RFC 3208 and not
//! network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Addr, Error};

/// OPT_PGMCC_DATA: when the packet was sent, and who shall acknowledge it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PgmccData {
    /// The sender's time stamp, in milliseconds.
    pub tstamp: u32,
    /// The acker; unspecified when one is to be elected.
    pub acker: Addr,
}

impl Layout for PgmccData {
    const NUMBER: u8 = number::PGMCC_DATA;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(PgmccData {
            tstamp: r.u32()?,
            acker: Addr::read(r)?,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.u32(self.tstamp);
        self.acker.write(w);
    }
}

/// OPT_PGMCC_FEEDBACK: a receiver's report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PgmccFeedback {
    /// The sender's time stamp plus the time it was held, in milliseconds.
    pub tstamp: u32,
    /// Loss rate, linear, 0xFFFF is 100 %. It stands where other addresses have reserved bytes.
    pub loss_rate: u16,
    /// The receiver.
    pub receiver: Addr,
}

impl Layout for PgmccFeedback {
    const NUMBER: u8 = number::PGMCC_FEEDBACK;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        let tstamp = r.u32()?;
        let (receiver, loss_rate) = Addr::read_with(r)?;
        Ok(PgmccFeedback {
            tstamp,
            loss_rate,
            receiver,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.u32(self.tstamp);
        self.receiver.write_with(w, self.loss_rate);
    }
}
