// SPDX-License-Identifier: GPL-2.0

//! What a network namespace counts, besides discards: totals over all its sockets.

use core::sync::atomic::{AtomicU64, Ordering};

use pgm_bindings as b;
use pgm_wire::PacketType;

use crate::netns;

/// Declares the counters and their names together.
macro_rules! counters {
    (
        packets { $($kind:ident: $in:ident, $out:ident;)* }
        others { $($(#[$doc:meta])* $other:ident,)* }
    ) => {
        /// One counter.
        #[derive(Clone, Copy)]
        pub(crate) enum Counter {
            $($in,)*
            $($out,)*
            $($(#[$doc])* $other,)*
        }

        impl Counter {
            /// Their names in /proc/net/pgm/snmp, in the order of the counters.
            const NAMES: &'static [&'static str] = &[
                $(stringify!($in),)*
                $(stringify!($out),)*
                $(stringify!($other),)*
            ];

            /// A packet of this type that came.
            pub(crate) const fn received(kind: PacketType) -> Self {
                match kind {
                    $(PacketType::$kind => Self::$in,)*
                }
            }

            /// A packet of this type that was sent.
            pub(crate) const fn sent(kind: PacketType) -> Self {
                match kind {
                    $(PacketType::$kind => Self::$out,)*
                }
            }
        }
    };
}

counters! {
    packets {
        Spm: InSpm, OutSpm;
        Poll: InPoll, OutPoll;
        Polr: InPolr, OutPolr;
        Odata: InOdata, OutOdata;
        Rdata: InRdata, OutRdata;
        Nak: InNak, OutNak;
        Nnak: InNnak, OutNnak;
        Ncf: InNcf, OutNcf;
        Spmr: InSpmr, OutSpmr;
        Ack: InAck, OutAck;
    }
    others {
        /// Sources that began.
        Sources,
        /// Sessions of receivers that began.
        Sessions,
        /// RDATA that brought what was missing.
        Repaired,
        /// Sequence numbers reported as lost.
        Lost,
        /// Sessions that were given up for others, before they had proven themselves.
        SessionsEvicted,
        /// How often missing packets had to wait, because of net.pgm.nak_states_max.
        NakStatesRefused,
        /// Calls of send() that failed because of net.pgm.send_kib_max.
        SendsRefused,
        /// Sources that close() broke off because of net.pgm.closed_max.
        SourcesCut,
    }
}

/// The counters of one namespace.
pub(crate) struct Counters([AtomicU64; Counter::NAMES.len()]);

impl Counters {
    pub(crate) fn add(&self, counter: Counter, n: u64) {
        if let Some(counter) = self.0.get(counter as usize) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let values = self.0.iter().map(|value| value.load(Ordering::Relaxed));
        Counter::NAMES.iter().copied().zip(values)
    }
}

/// Adds to a counter of a socket's namespace.
///
/// # Safety
///
/// `sk` is a live socket of ours.
pub(crate) unsafe fn count(sk: *const b::sock, counter: Counter, n: u64) {
    // SAFETY: The counters are atomic and live as long as the namespace, which a socket keeps.
    unsafe { (*netns::of_sock(sk)).counters.add(counter, n) };
}
