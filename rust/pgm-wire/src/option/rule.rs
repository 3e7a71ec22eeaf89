// SPDX-License-Identifier: GPL-2.0
//! Which options there are: their numbers, lengths and places.

use crate::PacketType::{self, *};

/// Option numbers.
#[allow(missing_docs)]
pub mod number {
    pub const LENGTH: u8 = 0x00;
    pub const FRAGMENT: u8 = 0x01;
    pub const NAK_LIST: u8 = 0x02;
    pub const JOIN: u8 = 0x03;
    pub const NAK_BO_IVL: u8 = 0x04;
    pub const NAK_BO_RNG: u8 = 0x05;
    pub const REDIRECT: u8 = 0x07;
    pub const PARITY_PRM: u8 = 0x08;
    pub const PARITY_GRP: u8 = 0x09;
    pub const CURR_TGSIZE: u8 = 0x0A;
    pub const NBR_UNREACH: u8 = 0x0B;
    pub const PATH_NLA: u8 = 0x0C;
    pub const SYN: u8 = 0x0D;
    pub const FIN: u8 = 0x0E;
    pub const RST: u8 = 0x0F;
    pub const CR: u8 = 0x10;
    pub const CRQST: u8 = 0x11;
    pub const PGMCC_DATA: u8 = 0x12;
    pub const PGMCC_FEEDBACK: u8 = 0x13;
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
