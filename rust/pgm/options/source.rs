// SPDX-License-Identifier: GPL-2.0

//! Options of sources that are more than one number.

use core::mem::size_of;

use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::settings::{self, Setting, Values};
use pgm_core::source::{Advance, Heartbeat};
use pgm_core::Duration;
use pgm_wire::{Gsi, Tsi};

use super::Side;
use crate::engine;
use crate::net::lock::Locked;
use crate::net::timer;
use crate::net::user::{Input, Output};
use crate::sock::{Receive, State};

/// Fragments of an APDU that we send, unless told to send more: deployed receivers refuse them.
const FRAGMENTS_SENT: u32 = 16;
/// The transmit window holds packets of this size on average, at least: bounds its overhead.
const BYTES_PER_SQN: u64 = 512;

/// A kbit/s in bytes a second.
const BYTES_PER_KBIT: u64 = 125;

/// PGM_SEND_WINDOW, with what follows from it.
#[derive(Clone, Copy)]
pub(crate) struct SendWindow {
    /// TXW_MAX_RTE, kbit/s.
    pub(crate) rate: u32,
    /// TXW_SECS, milliseconds.
    pub(crate) millis: u32,
    /// TXW_BYTES.
    pub(crate) bytes: u32,
}

impl SendWindow {
    /// That of a new socket.
    pub(super) fn new(defaults: &Values) -> Self {
        let rate = defaults.get(&settings::TXW_MAX_RTE);
        let bytes = defaults.get(&settings::TXW_BYTES);
        Self {
            rate,
            millis: Self::millis(rate, bytes),
            bytes,
        }
    }

    /// TXW_SECS of a window of so many bytes.
    fn millis(rate: u32, bytes: u32) -> u32 {
        let millis = u64::from(bytes) * 8 / u64::from(rate.max(1));
        u32::try_from(millis)
            .unwrap_or(u32::MAX)
            .clamp(settings::TXW_SECS.min, settings::TXW_SECS.max)
    }

    /// Fills in what is zero: the rate from its default, bytes and time from each other.
    fn derive(given: &b::pgm_send_window, defaults: &Values) -> Result<Self> {
        let in_range = |setting: &Setting, value: u32| setting.check(value).ok_or(EINVAL);
        let rate = match given.rate_kbit {
            0 => defaults.get(&settings::TXW_MAX_RTE),
            rate => in_range(&settings::TXW_MAX_RTE, rate)?,
        };
        // kbit/s times ms is bits.
        let bytes_of = |millis: u32| u64::from(rate) * u64::from(millis) / 8;
        let bytes = match (given.window_bytes, given.window_ms) {
            (0, 0) => defaults.get(&settings::TXW_BYTES),
            (0, millis) => {
                let bytes = u32::try_from(bytes_of(millis)).map_err(|_| EINVAL)?;
                in_range(&settings::TXW_BYTES, bytes)?
            }
            (bytes, _) => in_range(&settings::TXW_BYTES, bytes)?,
        };
        let millis = match given.window_ms {
            0 => Self::millis(rate, bytes),
            millis => in_range(&settings::TXW_SECS, millis)?,
        };
        Ok(Self {
            rate,
            millis,
            bytes,
        })
    }

    /// Bytes a second.
    pub(crate) fn rate_bytes(&self) -> u64 {
        u64::from(self.rate) * BYTES_PER_KBIT
    }

    /// The window in sequence numbers.
    pub(crate) fn sqns(&self) -> u32 {
        u32::try_from(u64::from(self.bytes) / BYTES_PER_SQN).unwrap_or(u32::MAX)
    }
}

/// PGM_HEARTBEAT_SPM as it was set: nothing, two intervals that are doubled between, or a table.
#[derive(Clone, Copy, Default)]
pub(crate) struct Intervals {
    table: [u32; 32],
    len: usize,
}

impl Intervals {
    /// The table as it is, or two values as IHB_MIN and IHB_MAX, doubling.
    pub(crate) fn heartbeat(&self, defaults: &Values) -> Heartbeat {
        let doubling =
            |min, max| Heartbeat::doubling(Duration::from_micros(min), Duration::from_micros(max));
        match self.table.get(..self.len) {
            Some([min, max]) => doubling(*min, *max),
            // Of an empty table there is none.
            given => given.and_then(Heartbeat::from_micros).unwrap_or_else(|| {
                doubling(
                    defaults.get(&settings::HEARTBEAT_SPM),
                    defaults.get(&settings::IHB_MAX),
                )
            }),
        }
    }
}

pub(super) fn set_window(sk: &mut Locked<'_>, input: &Input) -> Result {
    Side::Source.check(sk)?;
    let given: b::pgm_send_window = input.read()?;
    let old = sk.options.window;
    if sk.source.is_none() {
        sk.options.window = SendWindow::derive(&given, &sk.options.numbers)?;
        return Ok(());
    }
    // The window is fixed once the source runs, the rate is not.
    let same = |given, old| given == 0 || given == old;
    if !same(given.window_ms, old.millis) || !same(given.window_bytes, old.bytes) {
        return Err(EISCONN);
    }
    let rate = match given.rate_kbit {
        0 => old.rate,
        rate => settings::TXW_MAX_RTE.check(rate).ok_or(EINVAL)?,
    };
    sk.options.window = SendWindow { rate, ..old };
    // Which lets the engine know.
    engine::turn(sk, timer::now());
    Ok(())
}

/// PGM_WINDOW_ADV_METHOD. What Windows calls 2 keeps data until the application says otherwise;
/// there is nothing like it here.
pub(super) fn set_advance_method(sk: &mut Locked<'_>, name: c_uint, input: &Input) -> Result {
    Side::Source.check(sk)?;
    match input.read::<u32>()? {
        b::PGM_ADVANCE_WITH_TIME | b::PGM_ADVANCE_WITH_DATA => super::set_number(sk, name, input),
        _ => Err(EINVAL),
    }
}

/// How the transmit window of a source will advance.
pub(crate) fn advance(numbers: &Values) -> Advance {
    match numbers.get(&settings::TXW_ADV_METHOD) {
        b::PGM_ADVANCE_WITH_DATA => Advance::WithData,
        _ => Advance::WithTime,
    }
}

/// TXW_MAX_RTE in bytes a second: that of PGM_SEND_WINDOW, or SO_MAX_PACING_RATE if that is less.
pub(crate) fn rate(sk: &Locked<'_>) -> u64 {
    // SAFETY: The lock is held.
    let pacing = u64::try_from(unsafe { (*sk.sock()).sk_max_pacing_rate }).unwrap_or(u64::MAX);
    let least = u64::from(settings::TXW_MAX_RTE.min) * BYTES_PER_KBIT;
    sk.options.window.rate_bytes().min(pacing.max(least))
}

pub(super) fn get_window(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Source.check(sk)?;
    let window = sk.options.window;
    output.write(&b::pgm_send_window {
        rate_kbit: window.rate,
        window_ms: window.millis,
        window_bytes: window.bytes,
    })
}

pub(super) fn set_heartbeat(sk: &mut Locked<'_>, input: &Input) -> Result {
    Side::Source.check(sk)?;
    let bytes = input.len();
    let len = bytes / size_of::<u32>();
    if len == 0 || len > 32 || bytes % size_of::<u32>() != 0 {
        return Err(EINVAL);
    }
    let table: [u32; 32] = input.read_bytes(bytes)?;
    let given = table.get(..len).ok_or(EINVAL)?;
    let sound = |value: &u32| settings::HEARTBEAT_SPM.check(*value).is_some();
    if !given.iter().all(sound) || matches!(given, [min, max] if min > max) {
        return Err(EINVAL);
    }
    Side::Source.is_new(sk)?;
    sk.options.heartbeat = Intervals { table, len };
    Ok(())
}

pub(super) fn get_heartbeat(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Source.check(sk)?;
    let heartbeat = sk.options.heartbeat.heartbeat(&sk.options.numbers);
    let mut table = [0u32; 32];
    for (beats, place) in (0u32..).zip(table.iter_mut()) {
        *place = heartbeat.interval(beats).micros();
    }
    output.write(&table)
}

/// PGM_TSI: the GSI of a source, which says who it is. The data-source port stays random.
pub(super) fn set_gsi(sk: &mut Locked<'_>, input: &Input) -> Result {
    Side::Source.check(sk)?;
    let tsi: b::pgm_tsi = input.read()?;
    // SAFETY: The lock is held.
    if !unsafe { b::pgm_net_raw_capable(sk.sock()) } {
        return Err(EPERM);
    }
    Side::Source.is_new(sk)?;
    sk.options.gsi = Some(Gsi(tsi.gsi));
    Ok(())
}

/// PGM_TSI of a source or a session.
pub(super) fn get_tsi(sk: &State, output: &Output) -> Result {
    let tsi = match (&sk.source, &sk.receive) {
        (Some(source), _) => source.config().tsi,
        (None, Receive::Session(session)) => session.tsi(),
        _ => return Err(ENOTCONN),
    };
    output.write(&uapi_tsi(tsi))
}

pub(crate) fn uapi_tsi(tsi: Tsi) -> b::pgm_tsi {
    b::pgm_tsi {
        gsi: tsi.gsi.0,
        sport: tsi.sport.to_be(),
    }
}

/// PGM_MSS.
pub(super) fn get_mss(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Source.check(sk)?;
    match sk.source {
        Some(_) => output.write(&c_int::try_from(sk.mss)?),
        None => Err(ENOTCONN),
    }
}

/// PGM_MSGSIZE_MAX, of both sides: the largest message to send, or to accept. A receiver's is
/// settled when it begins.
pub(super) fn set_msgsize_max(sk: &mut Locked<'_>, input: &Input) -> Result {
    let value = settings::MSGSIZE_MAX.check(input.read()?).ok_or(EINVAL)?;
    Side::Receiver.is_new(sk)?;
    let fragments = &settings::FRAGMENTS_MAX;
    sk.options.msgsize_set = true;
    sk.options
        .numbers
        .set(fragments, fragments.max)
        .ok_or(EINVAL)?;
    sk.options
        .numbers
        .set(&settings::MSGSIZE_MAX, value)
        .ok_or(EINVAL)
}

pub(super) fn get_msgsize_max(sk: &Locked<'_>, output: &Output) -> Result {
    let value = match sk.source {
        Some(_) => msgsize_max(sk),
        None => sk.options.numbers.get(&settings::MSGSIZE_MAX),
    };
    output.write(&c_int::try_from(value)?)
}

/// The largest APDU that send() takes.
pub(crate) fn msgsize_max(sk: &State) -> u32 {
    let numbers = &sk.options.numbers;
    let fragments = if sk.options.msgsize_set {
        numbers.get(&settings::FRAGMENTS_MAX)
    } else {
        FRAGMENTS_SENT
    };
    let packets = sk.mss_fragment.saturating_mul(fragments);
    numbers.get(&settings::MSGSIZE_MAX).min(packets)
}

/// PGM_MESSAGE_BOUNDARY: the length of the next message, whatever calls bring it.
pub(super) fn set_boundary(sk: &mut Locked<'_>, input: &Input) -> Result {
    Side::Source.check(sk)?;
    let value = settings::MESSAGE_BOUNDARY
        .check(input.read()?)
        .ok_or(EINVAL)?;
    if sk.cork.is_open() {
        return Err(EBUSY);
    }
    sk.cork.set_boundary(value);
    Ok(())
}

pub(super) fn get_boundary(sk: &Locked<'_>, output: &Output) -> Result {
    Side::Source.check(sk)?;
    output.write(&sk.cork.boundary())
}
