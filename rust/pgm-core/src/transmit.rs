// SPDX-License-Identifier: GPL-2.0

//! What an engine wants on the wire.

use pgm_wire::{Addr, PacketType, Sqn};

/// Where a packet goes (RFC 3208 §3.6, §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The session's group, with the socket's multicast TTL.
    Group,
    /// The session's group, with a TTL of 1 (multicast NAK and SPMR).
    GroupLocal,
    /// One node, with the default TTL.
    Unicast(Addr),
}

/// One packet to send: the first `header_len` bytes of the caller's buffer, then the payload.
#[derive(Debug)]
pub struct Transmit<'a, P> {
    /// What it is.
    pub kind: PacketType,
    /// Where it goes.
    pub destination: Destination,
    /// Whether the same goes to the group with a TTL of 1 too (a multicast NAK, §6.3).
    pub copy: bool,
    /// Whether the IP Router Alert option belongs on it (RFC 3208 §4: SPM, NCF, RDATA).
    pub router_alert: bool,
    /// The number of the ODATA packet that completes the sending of its APDU.
    pub completes: Option<Sqn>,
    /// Bytes of PGM header, checksum included, in the buffer given to `poll_transmit`.
    pub header_len: usize,
    /// The TSDU, on ODATA and RDATA.
    pub payload: Option<&'a P>,
}
