// SPDX-License-Identifier: GPL-2.0
//! What can be sent, and nothing else.

use crate::checksum::Sum;
use crate::header::{CHECKSUM_AT, OPTIONS_AT, PARITY, VAR_PKTLEN};
use crate::option::OptionWriter;
use crate::writer::Writer;
use crate::{
    Ack, AckOptions, BufferTooSmall, Data, DataOptions, Gsi, Header, Nak, NakOptions, NcfOptions,
    NnakOptions, PacketType, Poll, PollOptions, Polr, PolrOptions, Spm, SpmOptions,
};

/// No header is longer than this: the longest is a NAK with IPv6 addresses, a full list, a congestion
/// report and PGMCC feedback (380 bytes).
pub const HEADER_MAX: usize = 384;

/// Ports and GSI as they stand in the header: (data-source, data-destination) downstream and the
/// other way round upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ports {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Global source identifier.
    pub gsi: Gsi,
}

/// A packet to be sent: its type-specific part and what that type may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repr {
    /// Source path message (RFC 3208 §8.1).
    Spm(Spm, SpmOptions),
    /// Poll request (§14.7.1).
    Poll(Poll, PollOptions),
    /// Poll response (§14.7.2).
    Polr(Polr, PolrOptions),
    /// Original data (§8.2).
    Odata(Data, DataOptions),
    /// Repair data (§8.2).
    Rdata(Data, DataOptions),
    /// Negative acknowledgment (§8.3).
    Nak(Nak, NakOptions),
    /// NULL negative acknowledgment (§8.3).
    Nnak(Nak, NnakOptions),
    /// NAK confirmation (§8.3).
    Ncf(Nak, NcfOptions),
    /// SPM request (§13.6): nothing but the header.
    Spmr,
    /// Acknowledgment of PGMCC, sent as type 0x0D.
    Ack(Ack, AckOptions),
}

impl Repr {
    /// The packet type.
    pub const fn kind(&self) -> PacketType {
        match self {
            Repr::Spm(..) => PacketType::Spm,
            Repr::Poll(..) => PacketType::Poll,
            Repr::Polr(..) => PacketType::Polr,
            Repr::Odata(..) => PacketType::Odata,
            Repr::Rdata(..) => PacketType::Rdata,
            Repr::Nak(..) => PacketType::Nak,
            Repr::Nnak(..) => PacketType::Nnak,
            Repr::Ncf(..) => PacketType::Ncf,
            Repr::Spmr => PacketType::Spmr,
            Repr::Ack(..) => PacketType::Ack,
        }
    }

    /// Bytes before the payload, a multiple of 4 and at most [`HEADER_MAX`].
    pub fn header_len(&self) -> usize {
        let mut w = Writer::new(&mut []);
        self.write(&mut w, Ports::default(), 0);
        w.len()
    }

    /// Writes header, type-specific part and options to the front of `buf` and returns their length.
    ///
    /// `tsdu_len` is the length of the payload and `payload` the sum over it; both are ignored for
    /// types that carry none. On an error part of `buf` may have been written.
    pub fn emit(
        &self,
        ports: Ports,
        tsdu_len: u16,
        payload: Sum,
        buf: &mut [u8],
    ) -> Result<usize, BufferTooSmall> {
        let (tsdu_len, payload) = if self.kind().has_payload() {
            (tsdu_len, payload)
        } else {
            (0, Sum::ZERO)
        };
        let mut w = Writer::new(buf);
        self.write(&mut w, ports, tsdu_len);
        let len = w.len();
        let header = buf.get(..len).ok_or(BufferTooSmall)?;
        let checksum = Sum::of(header).add(payload).finish();
        Writer::new(buf).patch(CHECKSUM_AT, checksum.to_be_bytes());
        Ok(len)
    }

    fn write(&self, w: &mut Writer<'_>, ports: Ports, tsdu_len: u16) {
        Header::write(w, self.kind(), ports, tsdu_len);
        match self {
            Repr::Spm(spm, _) => spm.write(w),
            Repr::Poll(poll, _) => poll.write(w),
            Repr::Polr(polr, _) => polr.write(w),
            Repr::Odata(data, _) | Repr::Rdata(data, _) => data.write(w),
            Repr::Nak(nak, _) | Repr::Nnak(nak, _) | Repr::Ncf(nak, _) => nak.write(w),
            Repr::Spmr => {}
            Repr::Ack(ack, _) => ack.write(w),
        }
        let mut o = OptionWriter::new(w, self.kind());
        match self {
            Repr::Spm(_, options) => options.write(&mut o),
            Repr::Poll(_, options) => options.write(&mut o),
            Repr::Polr(_, options) => options.write(&mut o),
            Repr::Odata(_, options) | Repr::Rdata(_, options) => options.write(&mut o),
            Repr::Nak(_, options) => options.write(&mut o),
            Repr::Nnak(_, options) => options.write(&mut o),
            Repr::Ncf(_, options) => options.write(&mut o),
            Repr::Spmr => {}
            Repr::Ack(_, options) => options.write(&mut o),
        }
        let flags = self.parity_flags() | o.finish();
        w.patch(OPTIONS_AT, [flags]);
    }

    fn parity_flags(&self) -> u8 {
        let (parity, var_pktlen) = match self {
            Repr::Odata(_, options) | Repr::Rdata(_, options) => match options.parity {
                Some(parity) => (true, parity.var_pktlen),
                None => (false, false),
            },
            Repr::Nak(_, options) => (options.parity, false),
            Repr::Nnak(_, options) => (options.parity, false),
            Repr::Ncf(_, options) => (options.parity, false),
            Repr::Polr(_, options) => (options.parity, false),
            Repr::Spm(..) | Repr::Poll(..) | Repr::Spmr | Repr::Ack(..) => (false, false),
        };
        (if parity { PARITY } else { 0 }) | (if var_pktlen { VAR_PKTLEN } else { 0 })
    }
}
