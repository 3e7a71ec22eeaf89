// SPDX-License-Identifier: GPL-2.0
//! The common header (RFC 3208 §8).

use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, Gsi, Ports, Tsi};

/// Bits of the Options field. The RFC numbers bits from the left and so names the mirror image;
/// these are the values of all deployed stacks.
pub(crate) const OPTIONS_PRESENT: u8 = 0x01;
pub(crate) const NETWORK_SIGNIFICANT: u8 = 0x02;
pub(crate) const VAR_PKTLEN: u8 = 0x40;
pub(crate) const PARITY: u8 = 0x80;

/// Offsets of the fields that are written last.
pub(crate) const OPTIONS_AT: usize = 5;
pub(crate) const CHECKSUM_AT: usize = 6;

/// The type of a packet (§8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PacketType {
    /// Source path message (§8.1).
    Spm,
    /// Poll request (§14.7.1).
    Poll,
    /// Poll response (§14.7.2).
    Polr,
    /// Original data (§8.2).
    Odata,
    /// Repair data (§8.2).
    Rdata,
    /// Negative acknowledgment (§8.3).
    Nak,
    /// Null negative acknowledgment, by a local repairer (§8.3).
    Nnak,
    /// NAK confirmation (§8.3).
    Ncf,
    /// SPM request (§13.6).
    Spmr,
    /// Acknowledgment of PGMCC, not in the RFC.
    Ack,
}

impl PacketType {
    /// The type of a number on the wire. ACK is accepted under both numbers in use, 0x0B and 0x0D.
    pub const fn from_wire(number: u8) -> Option<PacketType> {
        Some(match number {
            0x00 => PacketType::Spm,
            0x01 => PacketType::Poll,
            0x02 => PacketType::Polr,
            0x04 => PacketType::Odata,
            0x05 => PacketType::Rdata,
            0x08 => PacketType::Nak,
            0x09 => PacketType::Nnak,
            0x0A => PacketType::Ncf,
            0x0B | 0x0D => PacketType::Ack,
            0x0C => PacketType::Spmr,
            _ => return None,
        })
    }

    /// The number on the wire; 0x0D for ACK.
    pub const fn to_wire(self) -> u8 {
        match self {
            PacketType::Spm => 0x00,
            PacketType::Poll => 0x01,
            PacketType::Polr => 0x02,
            PacketType::Odata => 0x04,
            PacketType::Rdata => 0x05,
            PacketType::Nak => 0x08,
            PacketType::Nnak => 0x09,
            PacketType::Ncf => 0x0A,
            PacketType::Spmr => 0x0C,
            PacketType::Ack => 0x0D,
        }
    }

    /// Whether it flows from the source: then the source port is the data-source port.
    #[inline]
    pub const fn is_downstream(self) -> bool {
        matches!(
            self,
            PacketType::Spm
                | PacketType::Poll
                | PacketType::Odata
                | PacketType::Rdata
                | PacketType::Ncf
        )
    }

    /// Whether it carries a TSDU, and so must bear a checksum.
    #[inline]
    pub const fn has_payload(self) -> bool {
        matches!(self, PacketType::Odata | PacketType::Rdata)
    }
}

/// The common header: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Packet type.
    pub kind: PacketType,
    /// Global source identifier.
    pub gsi: Gsi,
    /// The checksum field as received.
    pub checksum: u16,
    /// Bytes of payload.
    pub tsdu_len: u16,
    /// OPT_PARITY: a parity packet, or a NAK or NCF for such.
    pub parity: bool,
    /// OPT_VAR_PKTLEN: the packets of the transmission group vary in length.
    pub var_pktlen: bool,
    /// Option extensions are present.
    pub options_present: bool,
    /// Some of them are network-significant.
    pub network_significant: bool,
}

impl Header {
    /// Bytes on the wire.
    pub const LEN: usize = 16;

    /// The session it belongs to: the data-source port is the source port downstream, the
    /// destination port upstream.
    #[inline]
    pub const fn tsi(&self) -> Tsi {
        let sport = if self.kind.is_downstream() {
            self.sport
        } else {
            self.dport
        };
        Tsi {
            gsi: self.gsi,
            sport,
        }
    }

    /// The data-destination port: the destination port downstream, the source port upstream.
    #[inline]
    pub const fn data_port(&self) -> u16 {
        if self.kind.is_downstream() {
            self.dport
        } else {
            self.sport
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Header, Error> {
        r.require(Self::LEN)?;
        let sport = r.u16()?;
        let dport = r.u16()?;
        let [kind, flags] = r.array()?;
        let checksum = r.u16()?;
        let gsi = Gsi(r.array()?);
        let tsdu_len = r.u16()?;
        if kind & 0xF0 != 0 {
            return Err(Error::Version);
        }
        Ok(Header {
            sport,
            dport,
            kind: PacketType::from_wire(kind).ok_or(Error::UnknownType)?,
            gsi,
            checksum,
            tsdu_len,
            parity: flags & PARITY != 0,
            var_pktlen: flags & VAR_PKTLEN != 0,
            options_present: flags & OPTIONS_PRESENT != 0,
            network_significant: flags & NETWORK_SIGNIFICANT != 0,
        })
    }

    /// Writes a header with Options field and checksum 0.
    pub(crate) fn write(w: &mut Writer<'_>, kind: PacketType, ports: Ports, tsdu_len: u16) {
        w.u16(ports.sport);
        w.u16(ports.dport);
        w.u8(kind.to_wire());
        w.u8(0);
        w.u16(0);
        w.array(ports.gsi.0);
        w.u16(tsdu_len);
    }
}
