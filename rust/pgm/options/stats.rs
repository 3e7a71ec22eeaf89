// SPDX-License-Identifier: GPL-2.0

//! PGM_SENDER_STATS and PGM_RECEIVER_STATS.

use kernel::prelude::*;
use pgm_bindings as b;

use super::Side;
use crate::net::lock::Locked;
use crate::net::user::Output;
use crate::sock::Receive;

pub(super) fn get_sender(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Source.check(sk)?;
    let stats = sk.source.as_ref().ok_or(ENOTCONN)?.stats();
    output.write(&b::pgm_sender_stats {
        odata: stats.odata,
        odata_bytes: stats.odata_bytes,
        rdata: stats.rdata,
        rdata_bytes: stats.rdata_bytes,
        ncf: stats.ncf,
        spm: stats.spm,
        naks: stats.naks,
        nak_sqns: stats.nak_sqns,
        spmrs: stats.spmrs,
        nnaks: stats.nnaks,
    })
}

pub(super) fn get_receiver(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Receiver.check(sk)?;
    let stats = match &sk.receive {
        Receive::Session(session) => *session.stats(),
        Receive::Datagram(peers) => peers.stats(),
        Receive::Idle | Receive::Listener(_) => return Err(ENOTCONN),
    };
    output.write(&b::pgm_receiver_stats {
        data: stats.data_packets,
        data_bytes: stats.data_bytes,
        duplicates: stats.duplicates,
        missing: stats.missing_sqns,
        repaired: stats.repaired_sqns,
        lost: stats.lost_sqns,
        naks: stats.naks_sent,
        nak_sqns: stats.nak_sqns,
        ncfs: stats.ncfs,
        spms: stats.spms,
        spmrs: stats.spmrs_sent,
        apdus: stats.apdus,
        recovery_ns: stats.recovery_ns_total,
        recovery_max_ns: stats.recovery_max_ns,
    })
}
