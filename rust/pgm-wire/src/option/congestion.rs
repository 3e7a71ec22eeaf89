// SPDX-License-Identifier: GPL-2.0
//! OPT_CR and OPT_CRQST: congestion reports (RFC 3208 §12.7), network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Addr, Error, Sqn};

/// OPT_CRQST: which reports a source wants. 4 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Crqst {
    /// L: the worst link, seen by network elements.
    pub ne_worst_link: bool,
    /// P: the worst path, seen by network elements.
    pub ne_worst_path: bool,
    /// R: the worst path, seen by receivers.
    pub rx_worst_path: bool,
}

impl Crqst {
    const LINK: u8 = 0x04;
    const PATH: u8 = 0x02;
    const RECEIVER: u8 = 0x01;

    fn from_bits(bits: u8) -> Crqst {
        Crqst {
            ne_worst_link: bits & Self::LINK != 0,
            ne_worst_path: bits & Self::PATH != 0,
            rx_worst_path: bits & Self::RECEIVER != 0,
        }
    }

    fn bits(self) -> u8 {
        (if self.ne_worst_link { Self::LINK } else { 0 })
            | (if self.ne_worst_path { Self::PATH } else { 0 })
            | (if self.rx_worst_path {
                Self::RECEIVER
            } else {
                0
            })
    }
}

impl Layout for Crqst {
    const NUMBER: u8 = number::CRQST;

    fn read(bits: u8, _body: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Crqst::from_bits(bits))
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(self.bits());
    }
}

/// OPT_CR: a congestion report. 24 or 36 bytes. Loads are linear, 0xFFFF is 100 %.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cr {
    /// L, P and R: which of the three loads are reported.
    pub reported: Crqst,
    /// OPT_CR_LEAD: the sequence number the report refers to.
    pub lead: Sqn,
    /// OPT_CR_NE_WL: load of the worst link.
    pub ne_wl: u16,
    /// OPT_CR_NE_WP: load of the worst path, seen by network elements.
    pub ne_wp: u16,
    /// OPT_CR_RX_WP: load of the worst path, seen by receivers.
    pub rx_wp: u16,
    /// OPT_CR_RCVR: the receiver of that worst path.
    pub receiver: Addr,
}

impl Layout for Cr {
    const NUMBER: u8 = number::CR;

    fn read(bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        let (lead, ne_wl, ne_wp, rx_wp) = (r.sqn()?, r.u16()?, r.u16()?, r.u16()?);
        let _reserved = r.u16()?;
        let receiver = Addr::read(r)?;
        Ok(Cr {
            reported: Crqst::from_bits(bits),
            lead,
            ne_wl,
            ne_wp,
            rx_wp,
            receiver,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(self.reported.bits());
        w.sqn(self.lead);
        w.u16(self.ne_wl);
        w.u16(self.ne_wp);
        w.u16(self.rx_wp);
        w.u16(0);
        self.receiver.write(w);
    }
}
