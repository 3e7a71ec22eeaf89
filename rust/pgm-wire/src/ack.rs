// SPDX-License-Identifier: GPL-2.0
//! Acknowledgments of PGMCC (draft-ietf-rmt-bb-pgmcc-03, layout of deployed stacks; not in RFC 3208).

use crate::option::OptionWriter;
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, PgmccFeedback, Sqn};

/// An acknowledgment: 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// The highest sequence number received.
    pub rx_max: Sqn,
    /// What was received of the 32 numbers up to `rx_max`, which is the lowest bit.
    pub bitmap: u32,
}

impl Ack {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Ack, Error> {
        r.require(8)?;
        Ok(Ack {
            rx_max: r.sqn()?,
            bitmap: r.u32()?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.sqn(self.rx_max);
        w.u32(self.bitmap);
    }
}

/// What an ACK may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AckOptions {
    /// OPT_PGMCC_FEEDBACK.
    pub pgmcc_feedback: Option<PgmccFeedback>,
}

impl AckOptions {
    pub(crate) fn write(&self, o: &mut OptionWriter<'_, '_>) {
        o.put(self.pgmcc_feedback);
    }
}
