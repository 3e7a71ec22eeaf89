// SPDX-License-Identifier: GPL-2.0
//! Session identifiers (RFC 3208 §3.1).

/// Global source identifier: 6 bytes, the same for the whole session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Gsi(pub [u8; 6]);

/// Transport session identifier: the GSI and the data-source port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tsi {
    /// Global source identifier.
    pub gsi: Gsi,
    /// Data-source port.
    pub sport: u16,
}
