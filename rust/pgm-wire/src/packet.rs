// SPDX-License-Identifier: GPL-2.0
//! A checked view over a received packet.

use crate::header::OPTIONS_PRESENT;
use crate::reader::Reader;
use crate::{
    checksum, option, Ack, Data, Error, Gsi, Header, Nak, Options, PacketType, Poll, Polr, Spm,
    Sqn, Tsi,
};

const ODATA: u8 = PacketType::Odata.to_wire();
const RDATA: u8 = PacketType::Rdata.to_wire();

/// The type-specific part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// Source path message (RFC 3208 §8.1).
    Spm(Spm),
    /// Poll request (§14.7.1).
    Poll(Poll),
    /// Poll response (§14.7.2).
    Polr(Polr),
    /// Original data (§8.2).
    Odata(Data),
    /// Repair data (§8.2).
    Rdata(Data),
    /// Negative acknowledgment (§8.3).
    Nak(Nak),
    /// NULL negative acknowledgment (§8.3).
    Nnak(Nak),
    /// NAK confirmation (§8.3).
    Ncf(Nak),
    /// SPM request (§13.6): nothing but the header.
    Spmr,
    /// Acknowledgment of PGMCC.
    Ack(Ack),
}

impl Body {
    fn read(kind: PacketType, r: &mut Reader<'_>) -> Result<Body, Error> {
        match kind {
            PacketType::Spm => Spm::read(r).map(Body::Spm),
            PacketType::Poll => Poll::read(r).map(Body::Poll),
            PacketType::Polr => Polr::read(r).map(Body::Polr),
            PacketType::Odata => Data::read(r).map(Body::Odata),
            PacketType::Rdata => Data::read(r).map(Body::Rdata),
            PacketType::Nak => Nak::read(r).map(Body::Nak),
            PacketType::Nnak => Nak::read(r).map(Body::Nnak),
            PacketType::Ncf => Nak::read(r).map(Body::Ncf),
            PacketType::Spmr => Ok(Body::Spmr),
            PacketType::Ack => Ack::read(r).map(Body::Ack),
        }
    }
}

/// Answer of [`extent`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// Ask again with at least so many bytes of the packet: more than were given, no more than it has.
    More(usize),
    /// Header, type-specific part and options take so many bytes.
    Whole(usize),
}

/// How many leading bytes header, type-specific part and options take, told from the first bytes of
/// a packet of `total` bytes. Options are not checked beyond their total length.
pub fn extent(prefix: &[u8], total: usize) -> Result<Extent, Error> {
    let prefix = prefix.get(..total).unwrap_or(prefix);
    if let Some(len) = data_extent(prefix) {
        return Ok(Extent::Whole(len));
    }
    let mut r = Reader::new(prefix);
    match read(&mut r, total) {
        Ok(_) => Ok(Extent::Whole(r.position())),
        Err(Error::Truncated) if r.wanted() <= total => Ok(Extent::More(r.wanted())),
        Err(error) => Err(error),
    }
}

/// The same for data with options, if it is certain from these bytes alone.
fn data_extent(prefix: &[u8]) -> Option<usize> {
    let [_, _, _, _, ODATA | RDATA, flags, ..] = prefix else {
        return None;
    };
    let mut r = Reader::new(prefix.get(PLAIN_DATA..)?);
    if flags & OPTIONS_PRESENT == 0 {
        return None;
    }
    option::read_area(&mut r, prefix.len()).ok()?;
    PLAIN_DATA.checked_add(r.position())
}

/// Bytes of header and type-specific part of ODATA and RDATA.
pub const PLAIN_DATA: usize = Header::LEN + 8;

/// Everything before the payload; the options as their bytes behind OPT_LENGTH.
fn read<'a>(r: &mut Reader<'a>, total: usize) -> Result<(Header, Body, &'a [u8]), Error> {
    let header = Header::read(r)?;
    let body = Body::read(header.kind, r)?;
    let options = if header.options_present {
        option::read_area(r, total)?
    } else {
        &[]
    };
    Ok((header, body, options))
}

/// A received packet that obeys the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The common header.
    pub header: Header,
    /// The type-specific part.
    pub body: Body,
    /// The options.
    pub options: Options<'a>,
    /// The TSDU; empty on all types but ODATA and RDATA, and after [`Packet::parse_header`].
    pub payload: &'a [u8],
    header_len: usize,
}

impl<'a> Packet<'a> {
    /// Checks a whole packet; `bytes` is the payload of the IP packet.
    ///
    /// A checksum of 0 means none, which ODATA and RDATA may not have; any other is verified.
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, Error> {
        // The checksum first: what was damaged on the way says nothing about its sender.
        let header = Header::read(&mut Reader::new(bytes))?;
        if header.checksum != 0 && !checksum::verify(bytes) {
            return Err(Error::Checksum);
        }
        let mut packet = Packet::parse_header(bytes, bytes.len())?;
        if header.kind.has_payload() {
            packet.payload = bytes.get(packet.header_len..).unwrap_or(&[]);
        }
        Ok(packet)
    }

    /// The same when the payload is elsewhere: `header` has at least as many bytes as [`extent`]
    /// says, of a packet of `total` bytes. A checksum that is there is left to the caller.
    pub fn parse_header(header: &'a [u8], total: usize) -> Result<Packet<'a>, Error> {
        let mut r = Reader::new(header);
        let (header, body, area) = read(&mut r, total)?;
        if header.checksum == 0 && header.kind.has_payload() {
            return Err(Error::ChecksumMissing);
        }
        let options = Options::check(&header, area)?;
        let header_len = r.position();
        let rest = total.checked_sub(header_len).ok_or(Error::Truncated)?;
        let tsdu_len = usize::from(header.tsdu_len);
        if tsdu_len > rest || (tsdu_len < rest && header.kind.has_payload()) {
            return Err(Error::TsduLength);
        }
        Ok(Packet {
            header,
            body,
            options,
            payload: &[],
            header_len,
        })
    }

    /// As [`Packet::parse_header`], for what nearly all packets are and nothing else: sound data
    /// without options. Nothing of `header` is kept.
    #[inline]
    pub fn parse_plain(header: &[u8; PLAIN_DATA], total: usize) -> Option<Packet<'static>> {
        let [s0, s1, d0, d1, kind, flags, c0, c1, _, _, _, _, _, _, l0, l1, rest @ ..] = *header;
        let [n0, n1, n2, n3, t0, t1, t2, t3] = rest;
        let gsi = Gsi(*header.get(8..)?.first_chunk()?);
        let data = Data {
            sqn: Sqn::new(u32::from_be_bytes([n0, n1, n2, n3])),
            trail: Sqn::new(u32::from_be_bytes([t0, t1, t2, t3])),
        };
        let (kind, body) = match kind {
            ODATA => (PacketType::Odata, Body::Odata(data)),
            RDATA => (PacketType::Rdata, Body::Rdata(data)),
            _ => return None,
        };
        let checksum = u16::from_be_bytes([c0, c1]);
        let tsdu_len = u16::from_be_bytes([l0, l1]);
        if flags != 0 || checksum == 0 || total != PLAIN_DATA.saturating_add(tsdu_len.into()) {
            return None;
        }
        let header = Header {
            sport: u16::from_be_bytes([s0, s1]),
            dport: u16::from_be_bytes([d0, d1]),
            kind,
            gsi,
            checksum,
            tsdu_len,
            parity: false,
            var_pktlen: false,
            options_present: false,
            network_significant: false,
        };
        Some(Packet {
            header,
            body,
            options: Options::none(kind),
            payload: &[],
            header_len: PLAIN_DATA,
        })
    }

    /// Offset of the payload.
    #[inline]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// See [`Header::tsi`].
    #[inline]
    pub const fn tsi(&self) -> Tsi {
        self.header.tsi()
    }

    /// See [`Header::data_port`].
    #[inline]
    pub const fn data_port(&self) -> u16 {
        self.header.data_port()
    }
}
