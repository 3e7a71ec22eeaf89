// SPDX-License-Identifier: GPL-2.0
//! OPT_FRAGMENT: 16 bytes (RFC 3208 §9.2.4, which prints 12), not network-significant.

use super::{number, Layout, ENCODED};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, Sqn};

/// A data packet that holds a part of an APDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// OPT_SQN: the sequence number of the fragment at offset 0.
    pub first: Sqn,
    /// OPT_FRAG_OFF: offset of this fragment in the APDU, in bytes.
    pub offset: u32,
    /// OPT_FRAG_LEN: length of the APDU, in bytes.
    pub apdu_len: u32,
}

impl Layout for Fragment {
    const NUMBER: u8 = number::FRAGMENT;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Fragment {
            first: r.sqn()?,
            offset: r.u32()?,
            apdu_len: r.u32()?,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        w.sqn(self.first);
        w.u32(self.offset);
        w.u32(self.apdu_len);
    }
}

/// OPT_FRAGMENT on a parity packet (§11.2): byte 3 and all that follows is FEC-encoded over the
/// options of the transmission group, where a packet without the option counts as zeros with U
/// (0x80 of the first byte) set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncodedFragment(pub [u8; 13]);

impl Layout for EncodedFragment {
    const NUMBER: u8 = number::FRAGMENT;
    const RESERVED: u8 = ENCODED;

    fn read(bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = r.array()?;
        Ok(EncodedFragment([bits, a, b, c, d, e, f, g, h, i, j, k, l]))
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.array(self.0);
    }
}
