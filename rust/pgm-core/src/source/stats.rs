// SPDX-License-Identifier: GPL-2.0

//! What a source counts.

/// Totals of one source since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// ODATA packets sent.
    pub odata: u64,
    /// TSDU bytes in them.
    pub odata_bytes: u64,
    /// RDATA packets sent.
    pub rdata: u64,
    /// TSDU bytes in them.
    pub rdata_bytes: u64,
    /// NCF packets sent.
    pub ncf: u64,
    /// Of these, unicast ones: multicast does not seem to arrive (RFC 3208 §15.3).
    pub ncf_unicast: u64,
    /// SPM packets sent.
    pub spm: u64,
    /// Bytes of all packets sent, IP headers included.
    pub bytes: u64,
    /// NAK packets of this session received.
    pub naks: u64,
    /// Sequence numbers they asked for.
    pub nak_sqns: u64,
    /// NAK packets that asked for nothing the window holds.
    pub naks_outside: u64,
    /// NAK packets that were just confirmed to another receiver.
    pub naks_repeated: u64,
    /// NULL NAKs received.
    pub nnaks: u64,
    /// SPMRs received.
    pub spmrs: u64,
    /// Packets that left the window because their time was over.
    pub expired: u64,
}
