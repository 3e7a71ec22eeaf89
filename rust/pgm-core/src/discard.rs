// SPDX-License-Identifier: GPL-2.0

//! Every way in which a packet dies. One variant, one counter, one name.

/// Declares the enum and its tables together, so that they cannot disagree.
macro_rules! discards {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a packet was discarded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Discard {
            $($(#[$doc])* $variant,)*
        }

        impl Discard {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Discard] = &[$(Discard::$variant,)*];

            /// The name of the counter and of the trace string.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Discard::$variant => $name,)*
                }
            }
        }
    };
}

discards! {
    /// Shorter than its type, its NLAs or its options need.
    Truncated = "Truncated",
    /// Version other than 0, or reserved type bits set.
    Version = "Version",
    /// A packet type RFC 3208 does not define.
    UnknownType = "UnknownType",
    /// TSDU Length disagrees with the packet.
    TsduLength = "TsduLength",
    /// An NLA of an unknown address family.
    Afi = "Afi",
    /// Malformed option area (RFC 3208 §9).
    Options = "Options",
    /// Wrong checksum.
    Checksum = "Checksum",
    /// No checksum on ODATA or RDATA (RFC 3208 §8).
    ChecksumMissing = "ChecksumMissing",
    /// No socket for this port, group or TSI.
    NoSocket = "NoSocket",
    /// A type this role does not take.
    UnexpectedType = "UnexpectedType",
    /// NAK_SRC, NAK_GRP, TSI or data-destination port is another session's.
    OtherSession = "OtherSession",
    /// A NAK for SQNs the transmit window does not hold (RFC 3208 §5.3).
    NakOutsideWindow = "NakOutsideWindow",
    /// A NAK just confirmed for another receiver (RFC 3208 §5.2).
    NakRepeated = "NakRepeated",
    /// More NAKs pending than the source keeps.
    NakOverflow = "NakOverflow",
    /// A NULL NAK: counted, never answered (RFC 3208 §9.5).
    NullNak = "NullNak",
    /// An SPMR sooner than IHB_MIN after the last one answered (RFC 3208 §13.4).
    SpmrRepeated = "SpmrRepeated",
    /// An SPM that is not newer than the last one (RFC 3208 §6.2).
    SpmOutOfSequence = "SpmOutOfSequence",
    /// An SPM whose trailing edge is beyond its leading edge.
    SpmWindow = "SpmWindow",
    /// Data already received.
    Duplicate = "Duplicate",
    /// Data outside the receive window (RFC 3208 §6.1).
    OutsideWindow = "OutsideWindow",
    /// Data beyond what the receive window can hold now; it will be asked for again.
    BeyondWindow = "BeyondWindow",
    /// SO_RCVBUF is used up; the data will be asked for again.
    ReceiveBuffer = "ReceiveBuffer",
    /// An NCF or multicast NAK that matches nothing missing here (RFC 3208 §6.3).
    Unmatched = "Unmatched",
    /// A POLL that asks others, or asks again (RFC 3208 §14.5).
    Poll = "Poll",
    /// OPT_FRAGMENT contradicts itself or its APDU (RFC 3208 §9.2).
    Fragment = "Fragment",
    /// An APDU above the size or fragment limit.
    ApduTooLarge = "ApduTooLarge",
    /// The session is over.
    SessionEnded = "SessionEnded",
    /// The limit of sessions or of the accept queue is reached.
    SessionLimit = "SessionLimit",
    /// net.pgm.sessions_max is reached.
    SessionCeiling = "SessionCeiling",
    /// net.pgm.pieces_max is reached; the packet will be asked for again.
    PieceCeiling = "PieceCeiling",
    /// net.pgm.receive_kib_max is reached; the packet will be asked for again.
    MemoryCeiling = "MemoryCeiling",
    /// Memory was refused.
    NoMemory = "NoMemory",
    /// A socket filter or policy said no.
    Filtered = "Filtered",
}

impl From<pgm_wire::Error> for Discard {
    fn from(error: pgm_wire::Error) -> Self {
        use pgm_wire::Error;
        match error {
            Error::Truncated => Self::Truncated,
            Error::Version => Self::Version,
            Error::UnknownType => Self::UnknownType,
            Error::TsduLength => Self::TsduLength,
            Error::Afi => Self::Afi,
            Error::OptionLength
            | Error::OptionTotal
            | Error::OptionOrder
            | Error::TooManyOptions => Self::Options,
            Error::Checksum => Self::Checksum,
            Error::ChecksumMissing => Self::ChecksumMissing,
        }
    }
}

impl From<crate::NoMemory> for Discard {
    fn from(_: crate::NoMemory) -> Self {
        Self::NoMemory
    }
}

#[cfg(test)]
#[allow(clippy::as_conversions)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_its_own_name_and_place() {
        let names: BTreeSet<_> = Discard::ALL.iter().map(|d| d.name()).collect();
        assert_eq!(names.len(), Discard::ALL.len());
        for (place, discard) in Discard::ALL.iter().enumerate() {
            assert_eq!(usize::from(*discard as u8), place);
        }
    }
}
