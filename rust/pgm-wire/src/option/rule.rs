// SPDX-License-Identifier: GPL-2.0
//! Which options there are: their numbers, lengths and places.

use crate::PacketType::{self, *};

/// Option numbers: the type byte without OPT_END.
pub mod number {
    /// OPT_LENGTH (RFC 3208 §9.1).
    pub const LENGTH: u8 = 0x00;
    /// OPT_FRAGMENT (§9.2).
    pub const FRAGMENT: u8 = 0x01;
    /// OPT_NAK_LIST (§9.3).
    pub const NAK_LIST: u8 = 0x02;
    /// OPT_JOIN (§9.4).
    pub const JOIN: u8 = 0x03;
    /// OPT_NAK_BO_IVL (§15.4.1).
    pub const NAK_BO_IVL: u8 = 0x04;
    /// OPT_NAK_BO_RNG (§15.4.2).
    pub const NAK_BO_RNG: u8 = 0x05;
    /// OPT_REDIRECT (§9.5).
    pub const REDIRECT: u8 = 0x07;
    /// OPT_PARITY_PRM (§11.8.1).
    pub const PARITY_PRM: u8 = 0x08;
    /// OPT_PARITY_GRP (§11.8.2).
    pub const PARITY_GRP: u8 = 0x09;
    /// OPT_CURR_TGSIZE (§11.8.3).
    pub const CURR_TGSIZE: u8 = 0x0A;
    /// OPT_NBR_UNREACH (§15.4.3).
    pub const NBR_UNREACH: u8 = 0x0B;
    /// OPT_PATH_NLA (§15.4.4).
    pub const PATH_NLA: u8 = 0x0C;
    /// OPT_SYN (§9.6).
    pub const SYN: u8 = 0x0D;
    /// OPT_FIN (§9.7).
    pub const FIN: u8 = 0x0E;
    /// OPT_RST (§9.8).
    pub const RST: u8 = 0x0F;
    /// OPT_CR (§12.7.1).
    pub const CR: u8 = 0x10;
    /// OPT_CRQST (§12.7.2).
    pub const CRQST: u8 = 0x11;
    /// OPT_PGMCC_DATA, not in the RFC.
    pub const PGMCC_DATA: u8 = 0x12;
    /// OPT_PGMCC_FEEDBACK, not in the RFC.
    pub const PGMCC_FEEDBACK: u8 = 0x13;
    /// OPT_INVALID: what a network element made of an option it did not know (§9).
    pub const INVALID: u8 = 0x7F;
}

/// Whether an option of this number may have this length, its first four bytes included. Where the
/// RFC prints a length without them (OPT_FRAGMENT, OPT_REDIRECT) its drawing counts.
pub(super) const fn length_fits(number: u8, len: usize) -> bool {
    match number {
        number::LENGTH
        | number::NBR_UNREACH
        | number::SYN
        | number::FIN
        | number::RST
        | number::CRQST => len == 4,
        number::JOIN | number::PARITY_PRM | number::PARITY_GRP | number::CURR_TGSIZE => len == 8,
        number::NAK_BO_IVL | number::NAK_BO_RNG => len == 12,
        number::FRAGMENT => len == 16,
        number::NAK_LIST => len >= 8 && len <= 252 && len % 4 == 0,
        // One of these has an IPv4 address or an IPv6 address at its end.
        number::PATH_NLA => len == 8 || len == 20,
        number::REDIRECT => len == 12 || len == 24,
        number::PGMCC_DATA | number::PGMCC_FEEDBACK => len == 16 || len == 28,
        number::CR => len == 24 || len == 36,
        _ => len >= 4,
    }
}

/// Whether the option may stand on this packet type; elsewhere it is ignored.
pub(super) const fn belongs_on(number: u8, kind: PacketType) -> bool {
    match number {
        number::FRAGMENT | number::PARITY_GRP | number::SYN | number::PGMCC_DATA => {
            matches!(kind, Odata | Rdata)
        }
        number::JOIN | number::FIN | number::CURR_TGSIZE => matches!(kind, Odata | Rdata | Spm),
        number::NAK_LIST => matches!(kind, Nak | Nnak | Ncf),
        number::NAK_BO_IVL => matches!(kind, Ncf | Spm | Poll),
        number::NAK_BO_RNG | number::PARITY_PRM | number::RST | number::CRQST => {
            matches!(kind, Spm)
        }
        // §8.3 also allows it on NCFs, but no procedure puts it there.
        number::REDIRECT => matches!(kind, Polr),
        number::NBR_UNREACH => matches!(kind, Spm | Ncf),
        number::PATH_NLA => matches!(kind, Ncf),
        number::CR => matches!(kind, Nak),
        number::PGMCC_FEEDBACK => matches!(kind, Ack | Nak),
        _ => false,
    }
}

/// Whether network elements have to look at it: sets the NS bit of the header (§8).
pub(super) const fn network_significant(number: u8, kind: PacketType) -> bool {
    match number {
        number::NAK_LIST
        | number::NAK_BO_IVL
        | number::NAK_BO_RNG
        | number::REDIRECT
        | number::PARITY_PRM
        | number::NBR_UNREACH
        | number::PATH_NLA
        | number::CR
        | number::CRQST => true,
        // §11.8.3: except on ODATA.
        number::CURR_TGSIZE => !matches!(kind, Odata),
        _ => false,
    }
}
