// SPDX-License-Identifier: GPL-2.0

//! What comes out of a receiver (RFC 3208 §6.1, §6.3).

use pgm_wire::Sqn;

use crate::discard::Discard;

/// What a data packet would be to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one that delivery waits for.
    Next,
    /// It fills a hole below the highest number received.
    Gap,
    /// It extends the window.
    Beyond,
    /// It would be discarded.
    Useless(Discard),
}

/// Something for the application, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<P> {
    /// A piece of a whole APDU; all its pieces follow each other.
    Data(Data<P>),
    /// Unrecoverable loss of `count` SQNs from `first` on (RFC 3208 §6.3).
    Loss {
        /// The first SQN lost.
        first: Sqn,
        /// How many.
        count: u32,
    },
    /// The session is over; nothing follows.
    End(End),
}

/// One TPDU of a whole APDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<P> {
    /// The payload as it was handed in.
    pub payload: P,
    /// Its sequence number.
    pub sqn: Sqn,
    /// Offset in the APDU, bytes.
    pub offset: u32,
    /// Bytes of TSDU.
    pub len: u32,
    /// Bytes of the APDU.
    pub apdu_len: u32,
    /// Whether this is the last piece of the APDU.
    pub last: bool,
    /// Whether OPT_SYN was on it: the session starts here (RFC 3208 §9.6).
    pub syn: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The source closed (RFC 3208 §9.7).
    Fin,
    /// The source aborted (RFC 3208 §9.8).
    Reset {
        /// The source's reason, 6 bits, 0 if unknown.
        code: u8,
    },
    /// Nothing was heard from the source for PEER_EXPIRY.
    Expired,
}
