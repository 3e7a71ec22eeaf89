// SPDX-License-Identifier: GPL-2.0
//! PGM packets (RFC 3208) on the wire: a checked view over bytes ([`Packet`]) and a representation
//! that holds only what may be sent ([`Repr`]).
//!
//! Nothing here allocates, panics or trusts a length that came from outside. Every integer on the
//! wire is big-endian. What the RFC leaves open, or prints wrongly, is decided where it is parsed.
//!
//! Readings that concern the whole crate:
//! - Reserved fields are sent as zero and ignored on receipt, with one exception: the version and
//!   reserved bits of the packet type, which make another protocol of it ([`Error::Version`]).
//! - ODATA and RDATA are exactly header, options and TSDU; other types may be followed by bytes,
//!   which are ignored. A TSDU length that exceeds the packet is an error for every type.
//! - The option list ends with the option that bears OPT_END, or else at the total length.
//! - An option that is unknown, not allowed on its packet type, or whose address family is unknown
//!   is passed over; one whose length is impossible makes the packet malformed.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::as_conversions
    )
)]

mod ack;
pub mod checksum;
mod data;
mod error;
mod header;
mod nak;
mod nla;
pub mod option;
mod packet;
mod poll;
mod reader;
mod repr;
mod spm;
mod sqn;
mod tsi;
mod writer;

pub use ack::{Ack, AckOptions};
pub use data::{Data, DataOptions, Parity};
pub use error::{BufferTooSmall, Error, NakListFull};
pub use header::{Header, PacketType};
pub use nak::{Nak, NakOptions, NcfOptions, NnakOptions};
pub use nla::Addr;
pub use option::{
    Cr, Crqst, EncodedFragment, Fragment, NakBoIvl, NakBoRng, NakList, Options, ParityPrm,
    PgmccData, PgmccFeedback, RawOption, RawOptions, Rst, NAK_LIST_MAX,
};
pub use packet::{extent, Body, Extent, Packet, PLAIN_DATA};
pub use poll::{Poll, PollOptions, Polr, PolrOptions};
pub use repr::{Ports, Repr, HEADER_MAX};
pub use spm::{Spm, SpmOptions};
pub use sqn::Sqn;
pub use tsi::{Gsi, Tsi};
