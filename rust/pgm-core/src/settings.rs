// SPDX-License-Identifier: GPL-2.0

//! One table of settings: name, unit, range and default. Socket options, the sysctls net.pgm.*, the
//! range checks of both and their documentation all come from here. A new row is a new sysctl: the
//! default of the sockets made after it was written, unless the row says otherwise.

use core::ffi::CStr;

/// What a setting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// Kilobits (1000 bits) a second.
    KbitPerSecond,
    /// Bytes.
    Bytes,
    /// 1024 bytes.
    Kib,
    /// Sequence numbers.
    Sqns,
    /// A plain number.
    Count,
    /// Percent.
    Percent,
    /// 0 or 1.
    Switch,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The RFC's name, or the socket option's.
    pub name: &'static str,
    /// Its file in /proc/sys/net/pgm, with the unit at the end; empty without one.
    pub sysctl: &'static CStr,
    /// What it sets, for the documentation.
    pub what: &'static str,
    /// What the number counts.
    pub unit: Unit,
    /// Smallest value allowed, but for the default.
    pub min: u32,
    /// Largest value allowed.
    pub max: u32,
    /// Value without a setting. Below `min` it means that the value is derived.
    pub default: u32,
    /// Where its value stands.
    place: usize,
}

impl Setting {
    /// Where its value stands in an array of all of them.
    pub const fn place(&self) -> usize {
        self.place
    }

    /// `value` if it is in range, or the default.
    pub const fn check(&self, value: u32) -> Option<u32> {
        if value == self.default || (value >= self.min && value <= self.max) {
            Some(value)
        } else {
            None
        }
    }
}

/// The C string of a literal that ends in a zero.
const fn c_string(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

macro_rules! settings {
    ($($ident:ident: $name:literal, $sysctl:literal, $unit:ident,
        $min:expr, $max:expr, $default:expr, $what:literal;)*) => {
        /// Where the value of each setting stands in [`Values`].
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place {
            $($ident,)*
        }

        $(
            #[doc = concat!("`", $name, "`: ", $what)]
            #[allow(clippy::as_conversions)]
            pub const $ident: Setting = Setting {
                name: $name,
                sysctl: c_string(concat!($sysctl, "\0")),
                what: $what,
                unit: Unit::$unit,
                min: $min,
                max: $max,
                default: $default,
                place: Place::$ident as usize,
            };
        )*
        /// Every setting.
        pub static SETTINGS: [Setting; COUNT] = [$($ident,)*];

        /// How many settings there are.
        pub const COUNT: usize = [$($name,)*].len();
    };
}

settings! {
    TXW_MAX_RTE: "TXW_MAX_RTE", "txw_max_rte_kbit", KbitPerSecond, 8, 100_000_000, 100_000,
        "rate of a source";
    // Derived from rate and bytes unless it is given.
    TXW_SECS: "TXW_SECS", "", Millis, 10, 3_600_000, 0,
        "time a packet stays in the transmit window";
    TXW_BYTES: "TXW_BYTES", "txw_bytes", Bytes, 4_096, 268_435_456, 16_777_216,
        "size of the transmit window";
    TXW_ADV_RATE: "PGM_WINDOW_ADV_RATE", "window_adv_rate_percent", Percent, 1, 50, 15,
        "share of the transmit window that leaves at once";
    TXW_ADV_METHOD: "PGM_WINDOW_ADV_METHOD", "", Count, 1, 3, 1,
        "how the transmit window advances: 1 with time, 3 with data";
    LATE_JOIN: "PGM_LATEJOIN", "", Percent, 0, 75, 0,
        "share of the transmit window that late receivers may ask for";
    // That of the route unless it is given.
    MTU: "PGM_MTU", "", Bytes, 256, 65_535, 0,
        "largest packet of a source, IP header included";
    AMBIENT_SPM: "AMBIENT_SPM", "ambient_spm_us", Micros, 10_000, 300_000_000, 8_000_000,
        "interval of ambient SPMs";
    HEARTBEAT_SPM: "IHB_MIN", "ihb_min_us", Micros, 1_000, 300_000_000, 100_000,
        "first interval of heartbeat SPMs, which doubles from one to the next";
    IHB_MAX: "IHB_MAX", "ihb_max_us", Micros, 1_000, 300_000_000, 8_000_000,
        "last interval of heartbeat SPMs; never less than the first";
    NAK_BO_IVL: "NAK_BO_IVL", "nak_bo_ivl_us", Micros, 1_000, 2_000_000, 50_000,
        "over which the back-off before a NAK is drawn";
    NAK_BO_IVL_MIN: "NAK_BO_IVL_MIN", "", Micros, 1_000, 2_000_000, 50_000,
        "least back-off interval that a source advertises";
    NAK_BO_IVL_MAX: "NAK_BO_IVL_MAX", "", Micros, 1_000, 2_000_000, 2_000_000,
        "largest back-off interval that a source advertises";
    NAK_PROBE_NUM: "NAK_PROBE_NUM", "", Count, 1, 1_024, 16,
        "repair states without a duplicate NAK before a source halves the back-off interval";
    DUP_NAK_MAX: "DUP_NAK_MAX", "", Count, 1, 255, 32,
        "duplicate NAKs for a packet before a source assumes that its multicast does not arrive";
    NAK_RPT_IVL: "NAK_RPT_IVL", "nak_rpt_ivl_us", Micros, 1_000, 60_000_000, 200_000,
        "how long a NAK waits for its NCF";
    NAK_RDATA_IVL: "NAK_RDATA_IVL", "nak_rdata_ivl_us", Micros, 1_000, 60_000_000, 400_000,
        "how long a confirmed NAK waits for its RDATA";
    NAK_NCF_RETRIES: "NAK_NCF_RETRIES", "nak_ncf_retries", Count, 1, 255, 50,
        "NAKs repeated without an NCF before data counts as lost";
    NAK_DATA_RETRIES: "NAK_DATA_RETRIES", "nak_data_retries", Count, 1, 255, 50,
        "confirmed NAKs repeated without RDATA before data counts as lost";
    PEER_EXPIRY: "PGM_PEER_EXPIRY", "peer_expiry_us", Micros, 10_000, 3_600_000_000, 300_000_000,
        "a source that is silent for so long is gone";
    SPMR_BO_IVL: "SPMR_BO_IVL", "spmr_bo_ivl_us", Micros, 1_000, 60_000_000, 250_000,
        "over which the delay before an SPMR is drawn";
    SPMR_SPM_IVL: "SPMR_SPM_IVL", "spmr_spm_ivl_us", Micros, 1_000, 60_000_000, 1_000_000,
        "least time between two SPMRs of a receiver";
    // Derived from SO_RCVBUF unless it is given.
    RXW_SQNS: "RXW_SQNS", "", Sqns, 64, 131_072, 0,
        "packets that a receive window spans";
    ARRIVAL_ORDER: "PGM_ARRIVAL_ORDER", "", Switch, 0, 1, 0,
        "whether messages are delivered when they are whole";
    PASSIVE: "PGM_PASSIVE", "", Switch, 0, 1, 0,
        "whether a receiver only listens";
    MULTICAST_NAK: "PGM_MULTICAST_NAK", "", Switch, 0, 1, 0,
        "whether NAKs are multicast too";
    MSGSIZE_MAX: "PGM_MSGSIZE_MAX", "msgsize_max", Bytes, 1, 1_048_576, 65_535,
        "largest message that a source sends and a receiver takes";
    MESSAGE_BOUNDARY: "PGM_MESSAGE_BOUNDARY", "", Bytes, 0, 1_048_576, 0,
        "length of the next message";
    FRAGMENTS_MAX: "fragments of an APDU", "fragments_max", Count, 1, 1_024, 64,
        "most packets of a message that a receiver takes";
    ABORT_ON_RESET: "PGM_ABORT_ON_RESET", "abort_on_reset", Switch, 0, 1, 1,
        "whether a loss that cannot be repaired ends a session";
    EVENTS: "PGM_EVENTS", "", Count, 0, 31, 0,
        "mask of the events that are told among the messages";
    RECVRCVINFO: "PGM_RECVRCVINFO", "", Switch, 0, 1, 0,
        "whether PGM_RCVINFO comes with each message";
    PEERS_MAX: "sessions of a datagram socket", "peers_max", Count, 1, 65_536, 1_024,
        "sources that a datagram socket hears at a time";
    ANNOUNCED_MAX: "announced sources", "announced_max", Count, 1, 65_536, 64,
        "sources of a listener that sent an SPM and no data yet";
    RCVBUF: "SO_RCVBUF", "rcvbuf_default", Bytes, 4_096, 268_435_456, 8_388_608,
        "receive memory of a socket, as SO_RCVBUF reads it";
    REPAIR_MAX: "repairs after close()", "repair_max_ms", Millis, 0, 3_600_000, 120_000,
        "the longest time a closed source goes on repairing";
    // Of the whole namespace, whatever its sockets have.
    SESSIONS_MAX: "all sessions", "sessions_max", Count, 1, 1_048_576, 16_384,
        "sources that all sockets hear at a time";
    NAK_STATES_MAX: "all NAK states", "nak_states_max", Count, 64, 16_777_216, 262_144,
        "missing packets that all sessions keep track of";
    PIECES_MAX: "all parts of messages", "pieces_max", Count, 64, 16_777_216, 131_072,
        "packets of messages that are not whole";
    RECEIVE_KIB_MAX: "all receive memory", "receive_kib_max", Kib, 64, 1_073_741_824, 524_288,
        "receive windows and queues of all sockets";
    SEND_KIB_MAX: "all send memory", "send_kib_max", Kib, 64, 1_073_741_824, 524_288,
        "transmit windows and unfinished messages of all sockets";
    CLOSED_MAX: "all closed sources", "closed_max", Count, 1, 1_048_576, 16_384,
        "closed sources that go on repairing";
}

/// A value for each setting: the defaults of a namespace, or what a socket was told.
#[derive(Clone, Copy, Debug)]
pub struct Values([u32; COUNT]);

impl Values {
    /// Each setting as [`Values::get`] shall have it.
    pub fn from_fn(mut value: impl FnMut(&Setting) -> u32) -> Self {
        let mut values = [0; COUNT];
        for (place, setting) in values.iter_mut().zip(&SETTINGS) {
            *place = value(setting);
        }
        Self(values)
    }

    /// The value of one setting.
    pub fn get(&self, setting: &Setting) -> u32 {
        self.0
            .get(setting.place)
            .copied()
            .unwrap_or(setting.default)
    }

    /// Changes one setting, if `value` is in range.
    pub fn set(&mut self, setting: &Setting, value: u32) -> Option<()> {
        let place = self.0.get_mut(setting.place)?;
        *place = setting.check(value)?;
        Some(())
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::from_fn(|setting| setting.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn defaults_are_in_range() {
        for setting in &SETTINGS {
            if !setting.sysctl.is_empty() {
                assert_eq!(setting.check(setting.default), Some(setting.default));
            }
            assert_eq!(setting.check(setting.max), Some(setting.max));
            assert!(setting.max == u32::MAX || setting.check(setting.max + 1).is_none());
            assert!(setting.min == 0 || setting.check(setting.min - 1).is_none());
        }
    }

    #[test]
    fn each_setting_has_its_own_value_and_sysctl() {
        let mut values = Values::default();
        for (n, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(setting.place, n);
            assert_eq!(values.get(setting), setting.default);
            values.set(setting, setting.max).unwrap();
            assert_eq!(values.get(setting), setting.max);
            if setting.min > 0 {
                assert!(values.set(setting, setting.min - 1).is_none());
            }
            assert_eq!(values.get(setting), setting.max);
        }
        let names: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.sysctl).collect();
        let unnamed = SETTINGS.iter().filter(|setting| setting.sysctl.is_empty());
        assert_eq!(names.len() - 1 + unnamed.count(), COUNT);
        for name in names {
            let name = name.to_str().unwrap();
            assert!(name
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'));
        }
    }
}
