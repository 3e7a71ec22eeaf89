// SPDX-License-Identifier: GPL-2.0

//! What a receiver counts.

/// Counters of one session since it began. None of them ever goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverStats {
    /// Bytes of all downstream packets of the session, without IP headers.
    pub bytes: u64,
    /// Data packets accepted into the window, ODATA and RDATA.
    pub data_packets: u64,
    /// Bytes of TSDU in them.
    pub data_bytes: u64,
    /// How many of them were RDATA.
    pub rdata_packets: u64,
    /// Numbers in the window, from the next one to deliver to the highest one known: added up over
    /// `data_packets`, the fewest and the most.
    pub window_sum: u64,
    /// See `window_sum`.
    pub window_min: u64,
    /// See `window_sum`.
    pub window_max: u64,
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
    /// SQNs whose loss was assumed: not those that were merely late (RFC 3208 §6.3).
    pub missing_sqns: u64,
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

impl ReceiverStats {
    /// Adds the counters of another session; of extremes it takes the more extreme one.
    pub fn merge(&mut self, other: &ReceiverStats) {
        if self.data_packets == 0 || (other.data_packets > 0 && other.window_min < self.window_min)
        {
            self.window_min = other.window_min;
        }
        self.window_max = self.window_max.max(other.window_max);
        for (total, n) in [
            (&mut self.bytes, other.bytes),
            (&mut self.data_packets, other.data_packets),
            (&mut self.data_bytes, other.data_bytes),
            (&mut self.rdata_packets, other.rdata_packets),
            (&mut self.window_sum, other.window_sum),
            (&mut self.duplicates, other.duplicates),
            (&mut self.outside_window, other.outside_window),
            (&mut self.refused, other.refused),
            (&mut self.apdus, other.apdus),
            (&mut self.lost_sqns, other.lost_sqns),
            (&mut self.missing_sqns, other.missing_sqns),
            (&mut self.repaired_sqns, other.repaired_sqns),
            (&mut self.naks_sent, other.naks_sent),
            (&mut self.nak_sqns, other.nak_sqns),
            (&mut self.naks_heard, other.naks_heard),
            (&mut self.ncfs, other.ncfs),
            (&mut self.spms, other.spms),
            (&mut self.spmrs_sent, other.spmrs_sent),
            (&mut self.recovery_ns_total, other.recovery_ns_total),
        ] {
            add(total, n);
        }
        self.recovery_max_ns = self.recovery_max_ns.max(other.recovery_max_ns);
    }
}

impl ReceiverStats {
    /// The window had `sqns` numbers when a data packet came into it, which was counted before.
    #[inline]
    pub(super) fn sample_window(&mut self, sqns: u32) {
        let sqns = u64::from(sqns);
        add(&mut self.window_sum, sqns);
        self.window_max = self.window_max.max(sqns);
        if self.data_packets <= 1 || sqns < self.window_min {
            self.window_min = sqns;
        }
    }
}

/// Adds one to a counter.
#[inline]
pub(super) fn count(counter: &mut u64) {
    add(counter, 1);
}

/// Adds `n` to a counter.
#[inline]
pub(super) fn add(counter: &mut u64, n: u64) {
    *counter = counter.saturating_add(n);
}
