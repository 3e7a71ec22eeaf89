// SPDX-License-Identifier: GPL-2.0

//! One table of settings: name, unit, range and default. Socket options, their range checks and
//! their documentation all come from here.

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
    /// What the number counts.
    pub unit: Unit,
    /// Smallest value allowed.
    pub min: u32,
    /// Largest value allowed.
    pub max: u32,
    /// Value without a setting.
    pub default: u32,
}

impl Setting {
    const fn new(name: &'static str, unit: Unit, min: u32, max: u32, default: u32) -> Self {
        Self {
            name,
            unit,
            min,
            max,
            default,
        }
    }

    /// `value` if it is in range.
    pub const fn check(&self, value: u32) -> Option<u32> {
        if value < self.min || value > self.max {
            None
        } else {
            Some(value)
        }
    }
}

macro_rules! settings {
    ($($ident:ident: $name:literal, $unit:ident, $min:expr, $max:expr, $default:expr;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $ident: Setting = Setting::new($name, Unit::$unit, $min, $max, $default);
        )*
        /// Every setting.
        pub const SETTINGS: &[Setting] = &[$($ident,)*];
    };
}

settings! {
    TXW_MAX_RTE: "TXW_MAX_RTE", KbitPerSecond, 8, 100_000_000, 100_000;
    TXW_SECS: "TXW_SECS", Millis, 10, 3_600_000, 0;
    TXW_BYTES: "TXW_BYTES", Bytes, 4_096, 268_435_456, 16_777_216;
    TXW_ADV_RATE: "PGM_WINDOW_ADV_RATE", Percent, 1, 50, 15;
    AMBIENT_SPM: "AMBIENT_SPM", Micros, 10_000, 300_000_000, 8_000_000;
    HEARTBEAT_SPM: "HEARTBEAT_SPM", Micros, 1_000, 300_000_000, 100_000;
    IHB_MAX: "IHB_MAX", Micros, 1_000, 300_000_000, 8_000_000;
    NAK_BO_IVL: "NAK_BO_IVL", Micros, 1_000, 2_000_000, 50_000;
    NAK_RPT_IVL: "NAK_RPT_IVL", Micros, 1_000, 60_000_000, 200_000;
    NAK_RDATA_IVL: "NAK_RDATA_IVL", Micros, 1_000, 60_000_000, 400_000;
    NAK_NCF_RETRIES: "NAK_NCF_RETRIES", Count, 1, 255, 50;
    NAK_DATA_RETRIES: "NAK_DATA_RETRIES", Count, 1, 255, 50;
    PEER_EXPIRY: "PEER_EXPIRY", Micros, 10_000, 3_600_000_000, 300_000_000;
    SPMR_BO_IVL: "SPMR_BO_IVL", Micros, 1_000, 60_000_000, 250_000;
    SPMR_SPM_IVL: "SPMR_SPM_IVL", Micros, 1_000, 60_000_000, 1_000_000;
    RXW_SQNS: "RXW_SQNS", Sqns, 64, 131_072, 32_768;
    MSGSIZE_MAX: "PGM_MSGSIZE_MAX", Bytes, 1, 1_048_576, 65_535;
    FRAGMENTS_MAX: "fragments of an APDU", Count, 1, 1_024, 64;
    ABORT_ON_RESET: "PGM_ABORT_ON_RESET", Switch, 0, 1, 1;
    RECVRCVINFO: "PGM_RECVRCVINFO", Switch, 0, 1, 0;
    PEERS_MAX: "sessions of a datagram socket", Count, 1, 65_536, 1_024;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range() {
        for setting in SETTINGS {
            // Derived from rate and bytes unless it is given.
            if setting.name != "TXW_SECS" {
                assert_eq!(setting.check(setting.default), Some(setting.default));
            }
            assert_eq!(setting.check(setting.max), Some(setting.max));
            assert!(setting.max == u32::MAX || setting.check(setting.max + 1).is_none());
            assert!(setting.min == 0 || setting.check(setting.min - 1).is_none());
        }
    }
}
