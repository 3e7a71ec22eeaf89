// SPDX-License-Identifier: GPL-2.0

//! What a receiver counts.

/// Counters of one session since it began. None of them ever goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverStats {
    /// Data packets accepted into the window, ODATA and RDATA.
    pub data_packets: u64,
    /// Bytes of TSDU in them.
    pub data_bytes: u64,
    /// How many of them were RDATA.
    pub rdata_packets: u64,
    /// Data packets that were there already.
    pub duplicates: u64,
    /// Data packets outside or beyond the window.
    pub outside_window: u64,
    /// Data packets refused for want of receive buffer or memory.
    pub refused: u64,
    /// Whole APDUs delivered.
    pub apdus: u64,
    /// SQNs reported lost.
    pub lost_sqns: u64,
    /// Missing SQNs filled by RDATA, or by ODATA after loss was assumed.
    pub repaired_sqns: u64,
    /// NAK packets sent.
    pub naks_sent: u64,
    /// SQNs asked for in them.
    pub nak_sqns: u64,
    /// NAKs of other receivers heard.
    pub naks_heard: u64,
    /// NCFs heard.
    pub ncfs: u64,
    /// SPMs in sequence.
    pub spms: u64,
    /// SPMRs sent, the multicast and the unicast copy counting as one.
    pub spmrs_sent: u64,
    /// Nanoseconds from detection to repair, summed over `repaired_sqns`.
    pub recovery_ns_total: u64,
    /// The longest of them.
    pub recovery_max_ns: u64,
}

/// Adds one to a counter.
pub(super) fn count(counter: &mut u64) {
    add(counter, 1);
}

/// Adds `n` to a counter.
pub(super) fn add(counter: &mut u64, n: u64) {
    *counter = counter.saturating_add(n);
}
