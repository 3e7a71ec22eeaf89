// SPDX-License-Identifier: GPL-2.0

//! PGM_SENDER_STATS and PGM_RECEIVER_STATS. Both begin as their Windows counterparts do.

use core::mem::offset_of;

use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::ReceiverStats;
use pgm_core::{Instant, Rates};

use super::Side;
use crate::net::lock::Locked;
use crate::net::timer;
use crate::net::user::Output;
use crate::sock::{Receive, SessionEngine, SourceEngine};

const _: () = assert!(
    offset_of!(b::pgm_sender_stats, odata)
        == offset_of!(b::_RM_SENDER_STATS, TotalODataPacketsSent)
);
const _: () = assert!(
    offset_of!(b::pgm_receiver_stats, parity_naks)
        == offset_of!(b::_RM_RECEIVER_STATS, TotalParityNaksSent)
);

/// Bytes a second in kbit/s.
fn kbit(rate: u64) -> u64 {
    rate.saturating_mul(8) / 1000
}

pub(super) fn get_sender(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Source.check(sk)?;
    output.write(&sender(sk.source.as_ref().ok_or(ENOTCONN)?))
}

/// The counters of a source.
pub(crate) fn sender(source: &SourceEngine) -> b::pgm_sender_stats {
    let stats = source.stats();
    let rates = source.rates(timer::now());
    b::pgm_sender_stats {
        odata_bytes: stats.odata_bytes,
        bytes: stats.bytes,
        naks: stats.naks,
        naks_outside: stats.naks_outside,
        repairs_pending: source.pending_repairs().into(),
        naks_repeated: stats.naks_repeated,
        rdata: stats.rdata,
        window_bytes_free: source.window_bytes_free(),
        trail: source.trail().get().into(),
        lead: source.lead().get().into(),
        rate_kbit: kbit(rates.overall),
        rate_recent_kbit: kbit(rates.recent),
        odata: stats.odata,
        rdata_bytes: stats.rdata_bytes,
        ncf: stats.ncf,
        spm: stats.spm,
        nak_sqns: stats.nak_sqns,
        spmrs: stats.spmrs,
        nnaks: stats.nnaks,
    }
}

/// What is so at one moment, added up over the sessions of a socket.
#[derive(Default)]
struct Figures {
    rates: Rates,
    missing: u64,
    outstanding: u64,
    buffered: u64,
}

impl Figures {
    fn add(&mut self, now: Instant, session: &SessionEngine) {
        let rates = session.rates(now);
        let outstanding = session.outstanding().map_or(0, |(_, count)| count);
        for (total, n) in [
            (&mut self.rates.overall, rates.overall),
            (&mut self.rates.recent, rates.recent),
            (&mut self.missing, session.missing().into()),
            (&mut self.outstanding, outstanding.into()),
            (&mut self.buffered, session.held().into()),
        ] {
            *total = total.saturating_add(n);
        }
    }
}

pub(super) fn get_receiver(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Receiver.check(sk)?;
    match &sk.receive {
        Receive::Session(session) => output.write(&receiver(session)),
        Receive::Datagram(peers) => {
            let now = timer::now();
            let mut figures = Figures::default();
            for session in peers.iter() {
                figures.add(now, session);
            }
            output.write(&receiver_stats(&peers.stats(), &figures))
        }
        Receive::Idle | Receive::Listener(_) => Err(ENOTCONN),
    }
}

/// The counters of a session.
pub(crate) fn receiver(session: &SessionEngine) -> b::pgm_receiver_stats {
    let mut figures = Figures::default();
    figures.add(timer::now(), session);
    let first = session.outstanding().map_or(0, |(first, _)| first.get());
    b::pgm_receiver_stats {
        trail: session.trail().get().into(),
        lead: session.lead().get().into(),
        nak_first: first.into(),
        ..receiver_stats(session.stats(), &figures)
    }
}

/// All of them but what only one session has.
fn receiver_stats(stats: &ReceiverStats, figures: &Figures) -> b::pgm_receiver_stats {
    let average = stats.window_sum.checked_div(stats.data_packets);
    b::pgm_receiver_stats {
        odata: stats.data_packets.saturating_sub(stats.rdata_packets),
        rdata: stats.rdata_packets,
        duplicates: stats.duplicates,
        data_bytes: stats.data_bytes,
        bytes: stats.bytes,
        rate_kbit: kbit(figures.rates.overall),
        rate_recent_kbit: kbit(figures.rates.recent),
        trail: 0,
        lead: 0,
        window_sqns_avg: average.unwrap_or(0),
        window_sqns_min: stats.window_min,
        window_sqns_max: stats.window_max,
        nak_first: 0,
        missing_now: figures.missing.saturating_sub(figures.outstanding),
        outstanding: figures.outstanding,
        buffered: figures.buffered,
        naks: stats.naks_sent,
        parity_naks: 0,
        missing: stats.missing_sqns,
        repaired: stats.repaired_sqns,
        lost: stats.lost_sqns,
        nak_sqns: stats.nak_sqns,
        ncfs: stats.ncfs,
        spms: stats.spms,
        spmrs: stats.spmrs_sent,
        apdus: stats.apdus,
        recovery_ns: stats.recovery_ns_total,
        recovery_max_ns: stats.recovery_max_ns,
    }
}
