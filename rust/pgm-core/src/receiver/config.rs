// SPDX-License-Identifier: GPL-2.0

//! What the owner of a receiver decides.

use pgm_wire::Addr;

use crate::settings::{self, Values};
use crate::time::Duration;

/// The least window that a receive buffer is given: holes take no part of it.
const WINDOW_MIN: u32 = 4_096;
/// A buffered packet costs at least so much of the receive buffer.
const PACKET_MIN: u32 = 256;

/// Settings of one receiving session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// Data-destination port, host order.
    pub dport: u16,
    /// The group the data is sent to; goes into NAK_GRP (RFC 3208 §8.3).
    pub group: Addr,
    /// RAND_NODE_ID: random, the same for all sessions of one receiver (§14.5).
    pub node_id: u32,
    /// NAK_BO_IVL: NAK_RB_IVL is drawn over it (§6.3), until OPT_NAK_BO_IVL says otherwise.
    pub nak_bo_ivl: Duration,
    /// The user chose none of the three intervals: they follow what is measured, and start with what is
    /// given here.
    pub nak_adaptive: bool,
    /// No router is between the source and us, as far as can be told.
    pub near: bool,
    /// The user chose `nak_bo_ivl`: only the bounds of OPT_NAK_BO_RNG change it.
    pub nak_bo_fixed: bool,
    /// NAK_RPT_IVL: how long a NAK waits for its NCF (§6.3).
    pub nak_rpt_ivl: Duration,
    /// NAK_RDATA_IVL: how long a confirmed NAK waits for its data (§6.3).
    pub nak_rdata_ivl: Duration,
    /// NAK_NCF_RETRIES: NAKs repeated without an NCF before the data counts as lost, 1 to 255.
    pub ncf_retries: u32,
    /// NAK_DATA_RETRIES: confirmed NAKs repeated without data before it counts as lost, 1 to 255.
    pub data_retries: u32,
    /// SPMR_BO_IVL: the delay before an SPMR is drawn over it (§13.5).
    pub spmr_bo_ivl: Duration,
    /// SPMR_SPM_IVL: least time between two SPMRs (§13.5).
    pub spmr_spm_ivl: Duration,
    /// A source not heard for so long is gone.
    pub peer_expiry: Duration,
    /// Sequence numbers the receive window holds; rounded up to a power of two, at least 64.
    pub rxw_sqns: u32,
    /// Largest APDU, bytes.
    pub msgsize_max: u32,
    /// Most TPDUs of one APDU; an APDU never spans more than the window either.
    pub fragments_max: u32,
    /// Deliver APDUs when they are whole, not in the order of their numbers (§6.1).
    pub arrival_order: bool,
    /// Send neither NAKs nor SPMRs nor POLRs: only listen, and use the repairs that others ask for.
    pub passive: bool,
    /// Multicast each NAK with a TTL of 1 too: for links whose PGM parent is not on them (§6.3).
    pub multicast_nak: bool,
}

impl ReceiverConfig {
    /// `rxw_sqns` for PGM_RXW_SQNS, 0 if it was not set, and a receive buffer of so many bytes.
    pub fn window(asked: u32, buffer: u32) -> u32 {
        if asked != settings::RXW_SQNS.default {
            return asked;
        }
        let packets = buffer.checked_div(PACKET_MIN).unwrap_or(0);
        packets.clamp(WINDOW_MIN, settings::RXW_SQNS.max)
    }

    /// What `values` say; port and group are yet to be filled in.
    pub fn new(values: &Values) -> Self {
        let micros = |setting| Duration::from_micros(values.get(setting));
        Self {
            dport: 0,
            group: Addr::V4([0; 4]),
            node_id: 0,
            nak_bo_ivl: micros(&settings::NAK_BO_IVL),
            nak_adaptive: [
                &settings::NAK_BO_IVL,
                &settings::NAK_RPT_IVL,
                &settings::NAK_RDATA_IVL,
            ]
            .into_iter()
            .all(|setting| values.get(setting) == setting.default),
            near: false,
            nak_bo_fixed: false,
            nak_rpt_ivl: micros(&settings::NAK_RPT_IVL),
            nak_rdata_ivl: micros(&settings::NAK_RDATA_IVL),
            ncf_retries: values.get(&settings::NAK_NCF_RETRIES),
            data_retries: values.get(&settings::NAK_DATA_RETRIES),
            spmr_bo_ivl: micros(&settings::SPMR_BO_IVL),
            spmr_spm_ivl: micros(&settings::SPMR_SPM_IVL),
            peer_expiry: micros(&settings::PEER_EXPIRY),
            rxw_sqns: Self::window(
                values.get(&settings::RXW_SQNS),
                values.get(&settings::RCVBUF),
            ),
            msgsize_max: values.get(&settings::MSGSIZE_MAX),
            fragments_max: values.get(&settings::FRAGMENTS_MAX),
            arrival_order: values.get(&settings::ARRIVAL_ORDER) != 0,
            passive: values.get(&settings::PASSIVE) != 0,
            multicast_nak: values.get(&settings::MULTICAST_NAK) != 0,
        }
    }
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self::new(&Values::default())
    }
}
