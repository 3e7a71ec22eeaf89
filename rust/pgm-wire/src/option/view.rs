// SPDX-License-Identifier: GPL-2.0
//! Received options.

use super::{
    number, rule, Cr, Crqst, CurrTgsize, EncodedFragment, Fin, Fragment, Join, Layout, NakBoIvl,
    NakBoRng, NakList, NbrUnreach, ParityGrp, ParityPrm, PathNla, PgmccData, PgmccFeedback,
    Redirect, Rst, Syn, ENCODED, END, HEADER_LEN, OPTIONS_MAX,
};
use crate::reader::Reader;
use crate::{Addr, Error, Header, PacketType, Sqn};

/// No list of 16 options is longer, so no more than this is ever asked to be contiguous.
const AREA_MAX: usize = HEADER_LEN + OPTIONS_MAX * 255;

/// Reads OPT_LENGTH and returns the bytes behind it that belong to options. `total` is the length of
/// the packet.
pub(crate) fn read_area<'a>(r: &mut Reader<'a>, total: usize) -> Result<&'a [u8], Error> {
    let [kind, len, high, low] = r.array()?;
    if kind & !END != number::LENGTH {
        return Err(Error::OptionOrder);
    }
    if usize::from(len) != HEADER_LEN {
        return Err(Error::OptionLength);
    }
    let area = usize::from(u16::from_be_bytes([high, low]));
    let rest = area.checked_sub(HEADER_LEN).ok_or(Error::OptionTotal)?;
    if area > AREA_MAX || r.position().saturating_add(rest) > total {
        return Err(Error::OptionTotal);
    }
    let options = r.take(rest)?;
    Ok(if kind & END == 0 { options } else { &[] })
}

/// One option as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawOption<'a> {
    /// The option number, without OPT_END.
    pub number: u8,
    /// The third byte: reserved bits, F (0x04) and OPX (0x03).
    pub reserved: u8,
    /// The fourth byte: U (0x80) and option-specific bits.
    pub bits: u8,
    /// What follows.
    pub body: &'a [u8],
}

/// The first option of a list, whether it is the last, and the bytes behind it.
fn split(list: &[u8]) -> Result<(RawOption<'_>, bool, &[u8]), Error> {
    let [kind, len, reserved, bits] = *list.first_chunk().ok_or(Error::OptionLength)?;
    let (number, len) = (kind & !END, usize::from(len));
    // OPT-13: a length below 4 fits no option, so that each step goes forward.
    if !rule::length_fits(number, len) {
        return Err(Error::OptionLength);
    }
    let (option, rest) = list.split_at_checked(len).ok_or(Error::OptionLength)?;
    let body = option.get(HEADER_LEN..).ok_or(Error::OptionLength)?;
    Ok((
        RawOption {
            number,
            reserved,
            bits,
            body,
        },
        kind & END != 0,
        rest,
    ))
}

/// The options behind OPT_LENGTH, in their order. Made by [`Options::iter`].
#[derive(Clone, Debug)]
pub struct RawOptions<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RawOptions<'a> {
    type Item = RawOption<'a>;

    fn next(&mut self) -> Option<RawOption<'a>> {
        let (option, last, rest) = split(self.rest).ok()?;
        self.rest = if last { &[] } else { rest };
        Some(option)
    }
}

/// The options of a packet, whose lengths, number and order were checked.
///
/// Look-ups return the first option of a type, and nothing where it may not stand on this packet
/// type or its address family is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options<'a> {
    kind: PacketType,
    parity: bool,
    /// Bit N stands for an option with number N, so that what is not there need not be looked for.
    present: u32,
    area: &'a [u8],
}

/// The bit of an option with this number; those of the RFC all have one.
fn bit(number: u8) -> u32 {
    1u32.checked_shl(number.into()).unwrap_or(0)
}

impl<'a> Options<'a> {
    pub(crate) fn check(header: &Header, area: &'a [u8]) -> Result<Options<'a>, Error> {
        let mut rest = area;
        let mut left = OPTIONS_MAX;
        let mut present = 0;
        while !rest.is_empty() {
            let (option, last, behind) = split(rest)?;
            present |= bit(option.number);
            left = left.checked_sub(1).ok_or(Error::TooManyOptions)?;
            rest = if last { &[] } else { behind };
        }
        Ok(Options {
            kind: header.kind,
            parity: header.parity,
            present,
            area,
        })
    }

    /// Of a packet of this type that has none.
    #[inline]
    pub(crate) const fn none(kind: PacketType) -> Options<'static> {
        Options {
            kind,
            parity: false,
            present: 0,
            area: &[],
        }
    }

    /// Whether there is none but OPT_LENGTH.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// All options but the leading OPT_LENGTH, known or not, wherever they stand.
    pub const fn iter(&self) -> RawOptions<'a> {
        RawOptions { rest: self.area }
    }

    fn first(&self, number: u8) -> Option<RawOption<'a>> {
        let known = bit(number);
        if known != 0 && self.present & known == 0 {
            return None;
        }
        if !rule::belongs_on(number, self.kind) {
            return None;
        }
        self.iter().find(|option| option.number == number)
    }

    fn find<T: Layout>(&self) -> Option<T> {
        let option = self.first(T::NUMBER)?;
        let mut body = Reader::new(option.body);
        let value = T::read(option.bits, &mut body).ok()?;
        // The family of an address may contradict the length.
        body.rest().is_empty().then_some(value)
    }

    /// OPT_FRAGMENT (§9.2). A parity packet is no fragment.
    pub fn fragment(&self) -> Option<Fragment> {
        if self.parity {
            return None;
        }
        self.find()
    }

    /// OPT_FRAGMENT of a parity packet, encoded like its payload (§11.2).
    pub fn encoded_fragment(&self) -> Option<EncodedFragment> {
        let option = self.first(number::FRAGMENT)?;
        if !self.parity || option.reserved & ENCODED == 0 {
            return None;
        }
        self.find()
    }

    /// OPT_NAK_LIST (§9.3).
    pub fn nak_list(&self) -> Option<NakList> {
        self.find()
    }

    /// OPT_JOIN (§9.4): the oldest sequence number that may be asked for.
    pub fn join(&self) -> Option<Sqn> {
        self.find().map(|Join(sqn)| sqn)
    }

    /// OPT_SYN (§9.6).
    pub fn syn(&self) -> bool {
        self.find::<Syn>().is_some()
    }

    /// OPT_FIN (§9.7).
    pub fn fin(&self) -> bool {
        self.find::<Fin>().is_some()
    }

    /// OPT_RST (§9.8).
    pub fn rst(&self) -> Option<Rst> {
        self.find()
    }

    /// OPT_NAK_BO_IVL (§15.4.1).
    pub fn nak_bo_ivl(&self) -> Option<NakBoIvl> {
        self.find()
    }

    /// OPT_NAK_BO_RNG (§15.4.2).
    pub fn nak_bo_rng(&self) -> Option<NakBoRng> {
        self.find()
    }

    /// OPT_REDIRECT (§9.5): the address of a local repairer.
    pub fn redirect(&self) -> Option<Addr> {
        self.find().map(|Redirect(addr)| addr)
    }

    /// OPT_PARITY_PRM (§11.8.1).
    pub fn parity_prm(&self) -> Option<ParityPrm> {
        self.find()
    }

    /// OPT_PARITY_GRP (§11.8.2), on parity packets only; never 0.
    pub fn parity_grp(&self) -> Option<u32> {
        if !self.parity {
            return None;
        }
        self.find()
            .map(|ParityGrp(grp)| grp)
            .filter(|grp| *grp != 0)
    }

    /// OPT_CURR_TGSIZE (§11.8.3), in packets.
    pub fn curr_tgsize(&self) -> Option<u32> {
        self.find().map(|CurrTgsize(size)| size)
    }

    /// OPT_NBR_UNREACH (§15.4.3).
    pub fn nbr_unreach(&self) -> bool {
        self.find::<NbrUnreach>().is_some()
    }

    /// OPT_PATH_NLA (§15.4.4).
    pub fn path_nla(&self) -> Option<Addr> {
        self.find().map(|PathNla(addr)| addr)
    }

    /// OPT_CR (§12.7.1).
    pub fn cr(&self) -> Option<Cr> {
        self.find()
    }

    /// OPT_CRQST (§12.7.2).
    pub fn crqst(&self) -> Option<Crqst> {
        self.find()
    }

    /// OPT_PGMCC_DATA.
    pub fn pgmcc_data(&self) -> Option<PgmccData> {
        self.find()
    }

    /// OPT_PGMCC_FEEDBACK.
    pub fn pgmcc_feedback(&self) -> Option<PgmccFeedback> {
        self.find()
    }
}
