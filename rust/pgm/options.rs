// SPDX-License-Identifier: GPL-2.0

//! Socket options of level IPPROTO_PGM (see include/uapi/linux/pgm.h). Ranges and defaults come
//! from the engine's table of settings.

use core::mem::size_of;

use kernel::ffi::{c_char, c_int, c_uint};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::ReceiverConfig;
use pgm_core::settings::{self, Setting};
use pgm_core::source::Heartbeat;
use pgm_core::Duration;
use pgm_wire::{Gsi, Tsi};

use crate::net::lock::{Locked, UserLock};
use crate::net::user::{Input, Output};
use crate::sock::{Loss, Receive, State};

/// SO_RCVBUF without a setting: room for the packets behind a hole while it is repaired.
pub(crate) const RCVBUF_DEFAULT: c_int = 8 << 20;
/// Fragments of an APDU that we send: deployed receivers refuse more.
pub(crate) const FRAGMENTS_SENT: u32 = 16;
/// An APDU we send is no longer than this.
pub(crate) const APDU_SENT: u32 = 65_535;
/// The transmit window holds packets of this size on average, at least: bounds its overhead.
const BYTES_PER_SQN: u64 = 512;

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
    /// Fills in what is zero: the rate from its default, bytes and time from each other.
    fn derive(given: &b::pgm_send_window) -> Result<Self> {
        let in_range = |setting: &Setting, value: u32| setting.check(value).ok_or(EINVAL);
        let rate = match given.rate_kbit {
            0 => settings::TXW_MAX_RTE.default,
            rate => in_range(&settings::TXW_MAX_RTE, rate)?,
        };
        // kbit/s times ms is bits.
        let bytes_of = |millis: u32| u64::from(rate) * u64::from(millis) / 8;
        let bytes = match (given.window_bytes, given.window_ms) {
            (0, 0) => settings::TXW_BYTES.default,
            (0, millis) => {
                let bytes = u32::try_from(bytes_of(millis)).map_err(|_| EINVAL)?;
                in_range(&settings::TXW_BYTES, bytes)?
            }
            (bytes, _) => in_range(&settings::TXW_BYTES, bytes)?,
        };
        let millis = match given.window_ms {
            0 => {
                let millis = u64::from(bytes) * 8 / u64::from(rate);
                u32::try_from(millis)
                    .unwrap_or(u32::MAX)
                    .clamp(settings::TXW_SECS.min, settings::TXW_SECS.max)
            }
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
        u64::from(self.rate) * 125
    }

    /// The window in sequence numbers.
    pub(crate) fn sqns(&self) -> u32 {
        u32::try_from(u64::from(self.bytes) / BYTES_PER_SQN).unwrap_or(u32::MAX)
    }
}

/// All settings of a socket.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) window: SendWindow,
    pub(crate) ambient: u32,
    heartbeat: [u32; 32],
    heartbeat_len: usize,
    nak_bo_ivl: u32,
    nak_rpt_ivl: u32,
    nak_rdata_ivl: u32,
    ncf_retries: u32,
    data_retries: u32,
    pub(crate) abort_on_reset: bool,
    pub(crate) rcvinfo: bool,
    /// Of sources yet to be; random without a setting.
    pub(crate) gsi: Option<Gsi>,
}

impl Default for Options {
    fn default() -> Self {
        let bytes = settings::TXW_BYTES.default;
        let rate = settings::TXW_MAX_RTE.default;
        Self {
            window: SendWindow {
                rate,
                millis: (u64::from(bytes) * 8 / u64::from(rate)) as u32,
                bytes,
            },
            ambient: settings::AMBIENT_SPM.default,
            heartbeat: [0; 32],
            heartbeat_len: 0,
            nak_bo_ivl: settings::NAK_BO_IVL.default,
            nak_rpt_ivl: settings::NAK_RPT_IVL.default,
            nak_rdata_ivl: settings::NAK_RDATA_IVL.default,
            ncf_retries: settings::NAK_NCF_RETRIES.default,
            data_retries: settings::NAK_DATA_RETRIES.default,
            abort_on_reset: true,
            rcvinfo: false,
            gsi: None,
        }
    }
}

impl Options {
    /// What a receiver of this port starts with.
    pub(crate) fn receiver(&self, dport: u16) -> ReceiverConfig {
        ReceiverConfig {
            dport,
            nak_bo_ivl: Duration::from_micros(self.nak_bo_ivl),
            nak_rpt_ivl: Duration::from_micros(self.nak_rpt_ivl),
            nak_rdata_ivl: Duration::from_micros(self.nak_rdata_ivl),
            ncf_retries: self.ncf_retries,
            data_retries: self.data_retries,
            ..ReceiverConfig::default()
        }
    }

    /// PGM_HEARTBEAT_SPM: the table as it is, or two values as IHB_MIN and IHB_MAX, doubling.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let given = self.heartbeat.get(..self.heartbeat_len).unwrap_or(&[]);
        let (min, max) = match given {
            [] => (settings::HEARTBEAT_SPM.default, settings::IHB_MAX.default),
            [min, max] => (*min, *max),
            table => {
                if let Some(heartbeat) = Heartbeat::from_micros(table) {
                    return heartbeat;
                }
                (settings::HEARTBEAT_SPM.default, settings::IHB_MAX.default)
            }
        };
        Heartbeat::doubling(Duration::from_micros(min), Duration::from_micros(max))
    }

    /// The setting behind one of the receiver's numeric options.
    fn receiver_setting(&mut self, name: c_uint) -> Option<(&'static Setting, &mut u32)> {
        Some(match name {
            b::PGM_NAK_BO_IVL => (&settings::NAK_BO_IVL, &mut self.nak_bo_ivl),
            b::PGM_NAK_RPT_IVL => (&settings::NAK_RPT_IVL, &mut self.nak_rpt_ivl),
            b::PGM_NAK_RDATA_IVL => (&settings::NAK_RDATA_IVL, &mut self.nak_rdata_ivl),
            b::PGM_NAK_NCF_RETRIES => (&settings::NAK_NCF_RETRIES, &mut self.ncf_retries),
            b::PGM_NAK_DATA_RETRIES => (&settings::NAK_DATA_RETRIES, &mut self.data_retries),
            _ => return None,
        })
    }
}

/// `proto.setsockopt`.
///
/// # Safety
///
/// Called by the kernel for a process that holds a reference to `sk`.
pub(crate) unsafe extern "C" fn set(
    sk: *mut b::sock,
    level: c_int,
    name: c_int,
    value: b::sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        if level == b::SOL_IP as c_int {
            return b::ip_setsockopt(sk, level, name, value, len);
        }
        if level != b::IPPROTO_PGM as c_int {
            return ENOPROTOOPT.to_errno();
        }
        let Some(mut sk) = UserLock::new(sk) else {
            return EINVAL.to_errno();
        };
        match set_locked(&mut sk, name as c_uint, &Input::new(value, len)) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}

fn set_locked(sk: &mut Locked<'_>, name: c_uint, input: &Input) -> Result {
    match name {
        b::PGM_SEND_WINDOW => set_window(sk, input),
        b::PGM_AMBIENT_SPM => {
            source_side(sk)?;
            let value = settings::AMBIENT_SPM.check(input.read()?).ok_or(EINVAL)?;
            source_is_new(sk)?;
            sk.options.ambient = value;
            Ok(())
        }
        b::PGM_HEARTBEAT_SPM => set_heartbeat(sk, input),
        b::PGM_TSI => set_gsi(sk, input),
        b::PGM_ABORT_ON_RESET => {
            receiver_side(sk)?;
            sk.options.abort_on_reset = input.read::<c_int>()? != 0;
            Ok(())
        }
        b::PGM_RCVINFO => {
            receiver_side(sk)?;
            sk.options.rcvinfo = input.read::<c_int>()? != 0;
            Ok(())
        }
        _ => {
            let (busy, wrong_side) = (receiver_is_running(sk), receiver_side(sk).is_err());
            let (setting, place) = sk.options.receiver_setting(name).ok_or(ENOPROTOOPT)?;
            if wrong_side {
                return Err(ENOPROTOOPT);
            }
            let value = setting.check(input.read()?).ok_or(EINVAL)?;
            if busy {
                return Err(EBUSY);
            }
            *place = value;
            Ok(())
        }
    }
}

/// An option of sources: not for sockets that only receive.
fn source_side(sk: &State) -> Result {
    match sk.receive {
        Receive::Listener(_) | Receive::Session(_) => Err(ENOPROTOOPT),
        Receive::Idle | Receive::Datagram(_) => Ok(()),
    }
}

/// An option of receivers: not for a source that is not bound to a port.
fn receiver_side(sk: &Locked<'_>) -> Result {
    // SAFETY: The lock is held.
    if sk.source.is_some() && unsafe { b::pgm_sk_num(sk.sock()) } == 0 {
        return Err(ENOPROTOOPT);
    }
    Ok(())
}

fn source_is_new(sk: &State) -> Result {
    match sk.source {
        Some(_) => Err(EISCONN),
        None => Ok(()),
    }
}

/// Whether listen() was called, or a group was joined.
fn receiver_is_running(sk: &Locked<'_>) -> bool {
    let inet: *const b::inet_sock = sk.sock().cast();
    // SAFETY: The lock is held; only whether there is a list counts.
    !matches!(sk.receive, Receive::Idle) || unsafe { !(*inet).mc_list.is_null() }
}

fn set_window(sk: &mut Locked<'_>, input: &Input) -> Result {
    source_side(sk)?;
    let given: b::pgm_send_window = input.read()?;
    let old = sk.options.window;
    let Some(source) = &mut sk.source else {
        sk.options.window = SendWindow::derive(&given)?;
        return Ok(());
    };
    // The window is fixed once the source runs, the rate is not.
    let same = |given, old| given == 0 || given == old;
    if !same(given.window_ms, old.millis) || !same(given.window_bytes, old.bytes) {
        return Err(EISCONN);
    }
    let rate = match given.rate_kbit {
        0 => old.rate,
        rate => settings::TXW_MAX_RTE.check(rate).ok_or(EINVAL)?,
    };
    let window = SendWindow { rate, ..old };
    source.set_rate(window.rate_bytes());
    sk.options.window = window;
    Ok(())
}

/// PGM_TSI: the GSI of a source, which says who it is. The data-source port stays random.
fn set_gsi(sk: &mut Locked<'_>, input: &Input) -> Result {
    source_side(sk)?;
    let tsi: b::pgm_tsi = input.read()?;
    // SAFETY: The lock is held.
    if !unsafe { b::pgm_net_raw_capable(sk.sock()) } {
        return Err(EPERM);
    }
    source_is_new(sk)?;
    sk.options.gsi = Some(Gsi(tsi.gsi));
    Ok(())
}

fn set_heartbeat(sk: &mut Locked<'_>, input: &Input) -> Result {
    source_side(sk)?;
    let len = input.len();
    let count = len / size_of::<u32>();
    if count == 0 || count > 32 || len % size_of::<u32>() != 0 {
        return Err(EINVAL);
    }
    let table: [u32; 32] = input.read_bytes(len)?;
    let given = table.get(..count).ok_or(EINVAL)?;
    let sound = |value: &u32| settings::HEARTBEAT_SPM.check(*value).is_some();
    if !given.iter().all(sound) || matches!(given, [min, max] if min > max) {
        return Err(EINVAL);
    }
    source_is_new(sk)?;
    sk.options.heartbeat = table;
    sk.options.heartbeat_len = count;
    Ok(())
}

/// `proto.getsockopt`.
///
/// # Safety
///
/// Called by the kernel for a process that holds a reference to `sk`.
pub(crate) unsafe extern "C" fn get(
    sk: *mut b::sock,
    level: c_int,
    name: c_int,
    value: *mut c_char,
    len: *mut c_int,
) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        if level == b::SOL_IP as c_int {
            return b::ip_getsockopt(sk, level, name, value, len);
        }
        if level != b::IPPROTO_PGM as c_int {
            return ENOPROTOOPT.to_errno();
        }
        let Some(mut sk) = UserLock::new(sk) else {
            return EINVAL.to_errno();
        };
        match get_locked(&mut sk, name as c_uint, &Output::new(value, len)) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}

fn get_locked(sk: &mut Locked<'_>, name: c_uint, output: &Output) -> Result {
    match name {
        b::PGM_SEND_WINDOW => {
            source_side(sk)?;
            let window = sk.options.window;
            output.write(&b::pgm_send_window {
                rate_kbit: window.rate,
                window_ms: window.millis,
                window_bytes: window.bytes,
            })
        }
        b::PGM_AMBIENT_SPM | b::PGM_HEARTBEAT_SPM if source_side(sk).is_err() => Err(ENOPROTOOPT),
        b::PGM_AMBIENT_SPM => output.write(&sk.options.ambient),
        b::PGM_HEARTBEAT_SPM => {
            let heartbeat = sk.options.heartbeat();
            let mut table = [0u32; 32];
            for (beats, place) in (0u32..).zip(table.iter_mut()) {
                *place = heartbeat.interval(beats).micros();
            }
            output.write(&table)
        }
        b::PGM_MSS | b::PGM_MSGSIZE_MAX => {
            source_side(sk)?;
            if sk.source.is_none() {
                return Err(ENOTCONN);
            }
            let value = match name {
                b::PGM_MSS => sk.mss,
                _ => msgsize_max(sk),
            };
            output.write(&c_int::try_from(value)?)
        }
        b::PGM_ABORT_ON_RESET => output.write(&c_int::from(sk.options.abort_on_reset)),
        b::PGM_RCVINFO => output.write(&c_int::from(sk.options.rcvinfo)),
        b::PGM_TSI => output.write(&uapi_tsi(own_tsi(sk)?)),
        b::PGM_GET_LOSS => {
            receiver_side(sk)?;
            let loss = sk.last_loss.ok_or(ENODATA)?;
            output.write(&uapi_loss(loss))
        }
        b::PGM_SENDER_STATS => output.write(&sender_stats(sk)?),
        b::PGM_RECEIVER_STATS => output.write(&receiver_stats(sk)?),
        _ => {
            let (_, place) = sk.options.receiver_setting(name).ok_or(ENOPROTOOPT)?;
            let value = *place;
            output.write(&value)
        }
    }
}

/// The largest APDU that send() takes.
pub(crate) fn msgsize_max(sk: &State) -> u32 {
    APDU_SENT.min(sk.mss_fragment.saturating_mul(FRAGMENTS_SENT))
}

fn own_tsi(sk: &State) -> Result<Tsi> {
    match (&sk.source, &sk.receive) {
        (Some(source), _) => Ok(source.config().tsi),
        (None, Receive::Session(session)) => Ok(session.tsi()),
        _ => Err(ENOTCONN),
    }
}

pub(crate) fn uapi_tsi(tsi: Tsi) -> b::pgm_tsi {
    b::pgm_tsi {
        gsi: tsi.gsi.0,
        sport: tsi.sport.to_be(),
    }
}

fn uapi_loss(loss: Loss) -> b::pgm_loss {
    b::pgm_loss {
        tsi: uapi_tsi(loss.tsi),
        first: loss.first.get(),
        count: loss.count,
    }
}

fn sender_stats(sk: &State) -> Result<b::pgm_sender_stats> {
    source_side(sk)?;
    let stats = sk.source.as_ref().ok_or(ENOTCONN)?.stats();
    Ok(b::pgm_sender_stats {
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

fn receiver_stats(sk: &Locked<'_>) -> Result<b::pgm_receiver_stats> {
    receiver_side(sk)?;
    let stats = match &sk.receive {
        Receive::Session(session) => *session.stats(),
        Receive::Datagram(peers) => peers.stats(),
        Receive::Idle | Receive::Listener(_) => return Err(ENOTCONN),
    };
    Ok(b::pgm_receiver_stats {
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
