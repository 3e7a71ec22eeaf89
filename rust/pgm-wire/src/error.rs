// SPDX-License-Identifier: GPL-2.0
//! Why a packet is refused, and what cannot be written.

use core::fmt;

/// Why received bytes are not an acceptable PGM packet. One cause each, so that each can be counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// Shorter than the header, the type-specific part or OPT_LENGTH.
    Truncated,
    /// A version other than 0, or reserved bits of the type are set (RFC 3208 §8).
    Version,
    /// No such packet type (§8).
    UnknownType,
    /// The TSDU length exceeds the packet, or does not match it on ODATA and RDATA (§8).
    TsduLength,
    /// An address family other than 1 (IPv4) and 2 (IPv6) in the type-specific part (§8.1, §8.3).
    Afi,
    /// An option's length is below 4, beyond the options, or impossible for its type (§9).
    OptionLength,
    /// The total of OPT_LENGTH is impossible or exceeds the packet (§9.1).
    OptionTotal,
    /// The options do not start with OPT_LENGTH (§9.1).
    OptionOrder,
    /// More than 16 options besides OPT_LENGTH (§9).
    TooManyOptions,
    /// The checksum is wrong (§8).
    Checksum,
    /// ODATA or RDATA without a checksum (§8).
    ChecksumMissing,
}

impl Error {
    /// A short name, the same for every packet with this cause.
    pub const fn as_str(self) -> &'static str {
        match self {
            Error::Truncated => "packet too short",
            Error::Version => "version or reserved type bits",
            Error::UnknownType => "unknown packet type",
            Error::TsduLength => "TSDU length does not fit the packet",
            Error::Afi => "unknown address family",
            Error::OptionLength => "impossible option length",
            Error::OptionTotal => "impossible total length of options",
            Error::OptionOrder => "options do not start with OPT_LENGTH",
            Error::TooManyOptions => "too many options",
            Error::Checksum => "wrong checksum",
            Error::ChecksumMissing => "no checksum on a data packet",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for Error {}

/// The buffer is shorter than [`Repr::header_len`](crate::Repr::header_len).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferTooSmall;

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("buffer too small for the header")
    }
}

impl core::error::Error for BufferTooSmall {}

/// The NAK list holds [`NAK_LIST_MAX`](crate::NAK_LIST_MAX) sequence numbers already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NakListFull;

impl fmt::Display for NakListFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NAK list full")
    }
}

impl core::error::Error for NakListFull {}
