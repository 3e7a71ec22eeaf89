// SPDX-License-Identifier: GPL-2.0
//! Data packets, original and repair (RFC 3208 §8.2).

use crate::checksum::Sum;
use crate::header::OPTIONS_PRESENT;
use crate::option::{number, CurrTgsize, Fin, Join, OptionWriter, ParityGrp, Syn, END};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{
    BufferTooSmall, EncodedFragment, Error, Fragment, Gsi, PacketType, PgmccData, Ports, Sqn,
};

/// Header and type-specific part of a data packet.
const FIXED: usize = 24;
/// With OPT_LENGTH and OPT_FRAGMENT.
const FRAGMENTED: usize = 44;

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

    /// Writes the header of ODATA that bears nothing but OPT_FRAGMENT, if that: what [`Repr::emit`]
    /// writes for it, word by word, since nearly all packets are such.
    ///
    /// [`Repr::emit`]: crate::Repr::emit
    #[inline]
    pub fn emit_plain(
        &self,
        ports: Ports,
        tsdu_len: u16,
        payload: Sum,
        fragment: Option<Fragment>,
        buf: &mut [u8],
    ) -> Result<usize, BufferTooSmall> {
        let Gsi([a, b, c, d, e, f]) = ports.gsi;
        let [s, t] = ports.sport.to_be_bytes();
        let [u, v] = ports.dport.to_be_bytes();
        let [l, m] = tsdu_len.to_be_bytes();
        let kind = PacketType::Odata.to_wire();
        let flags = if fragment.is_some() {
            OPTIONS_PRESENT
        } else {
            0
        };
        let ports = u32::from_be_bytes([s, t, u, v]);
        let first = u32::from_be_bytes([kind, flags, 0, 0]);
        let gsi = u32::from_be_bytes([a, b, c, d]);
        let last = u32::from_be_bytes([e, f, l, m]);
        let (sqn, trail) = (self.sqn.get(), self.trail.get());
        let mut sum = total([ports, first, gsi, last, sqn, trail]);
        if let Some(fragment) = fragment {
            let options = [
                u32::from_be_bytes([number::LENGTH, 4, 0, 20]),
                u32::from_be_bytes([number::FRAGMENT | END, 16, 0, 0]),
                fragment.first.get(),
                fragment.offset,
                fragment.apdu_len,
            ];
            sum = sum.wrapping_add(total(options));
            put::<{ FRAGMENTED - FIXED }, 5>(buf.get_mut(FIXED..), options)?;
        }
        let [x, y] = Sum::fold(sum).add(payload).finish().to_be_bytes();
        let first = u32::from_be_bytes([kind, flags, x, y]);
        let words = [ports, first, gsi, last, sqn, trail];
        put::<FIXED, 6>(Some(buf), words)?;
        Ok(if fragment.is_some() {
            FRAGMENTED
        } else {
            FIXED
        })
    }
}

/// The sum of words, which [`Sum::fold`] ends.
fn total<const N: usize>(words: [u32; N]) -> u64 {
    words.map(u64::from).into_iter().fold(0, u64::wrapping_add)
}

/// Writes words that are `BYTES` long.
fn put<const BYTES: usize, const N: usize>(
    buf: Option<&mut [u8]>,
    words: [u32; N],
) -> Result<(), BufferTooSmall> {
    let bytes = words.map(u32::to_be_bytes);
    let from = bytes.as_flattened().first_chunk::<BYTES>();
    let to = buf.and_then(<[u8]>::first_chunk_mut::<BYTES>);
    *to.ok_or(BufferTooSmall)? = *from.ok_or(BufferTooSmall)?;
    Ok(())
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
