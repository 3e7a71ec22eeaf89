// SPDX-License-Identifier: GPL-2.0

//! Socket options of level IPPROTO_PGM (see include/uapi/linux/pgm.h). Ranges and defaults come
//! from the engine's table of settings. An option that is one number is a row of [`numbers`]; any
//! other is a pair of functions, named in [`set_locked`] and [`get_locked`].

mod carriage;
mod numbers;
mod receiver;
mod source;
pub(crate) mod stats;
mod windows;

use kernel::ffi::{c_char, c_int, c_uint};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::settings::Values;
use pgm_wire::Gsi;

use crate::link;
use crate::net::address;
use crate::net::lock::{Locked, UserLock};
use crate::net::membership;
use crate::net::timer;
use crate::net::user::{Input, Output};
use crate::sock::Receive;

pub(crate) use self::source::{advance, msgsize_max, rate, uapi_tsi};
use self::source::{Intervals, SendWindow};

/// All settings of a socket. A session has those of its listener.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Whatever is one number.
    pub(crate) numbers: Values,
    pub(crate) window: SendWindow,
    pub(crate) heartbeat: Intervals,
    /// PGM_NAK_BO_IVL was set: what the source says does not change it.
    nak_bo_fixed: bool,
    /// It was, or PGM_NAK_RPT_IVL or PGM_NAK_RDATA_IVL: none of them follows what is measured.
    nak_set: bool,
    /// PGM_MSGSIZE_MAX was set: messages may have as many packets as that takes.
    pub(crate) msgsize_set: bool,
    /// Of sources yet to be; random without a setting.
    pub(crate) gsi: Option<Gsi>,
    /// Without a setting as the encapsulation asks for.
    router_alert: Option<u16>,
}

impl Options {
    /// Those of a new socket, from what its namespace has.
    pub(crate) fn new(defaults: Values) -> Self {
        Self {
            numbers: defaults,
            window: SendWindow::new(&defaults),
            heartbeat: Intervals::default(),
            nak_bo_fixed: false,
            nak_set: false,
            msgsize_set: false,
            gsi: None,
            router_alert: None,
        }
    }
}

/// The side an option belongs to; the other one does not have it.
#[derive(Clone, Copy)]
enum Side {
    Source,
    Receiver,
}

/// When an option may be set.
#[derive(Clone, Copy)]
enum Moment {
    /// Before connect(), or before listen() and the first joined group.
    Start,
    Always,
}

impl Side {
    /// Whether the socket is on this side, or may still come to be.
    fn check(self, sk: &Locked<'_>) -> Result {
        let other = match (self, &sk.receive) {
            // Such sockets only receive.
            (Self::Source, Receive::Listener(_) | Receive::Session(_)) => true,
            (Self::Source, Receive::Idle | Receive::Datagram(_)) => false,
            // A source that is not bound to a port receives nothing.
            // SAFETY: The lock is held.
            (Self::Receiver, _) => sk.source.is_some() && unsafe { b::pgm_sk_num(sk.sock()) } == 0,
        };
        if other {
            Err(ENOPROTOOPT)
        } else {
            Ok(())
        }
    }

    /// Whether this side has not begun.
    fn is_new(self, sk: &Locked<'_>) -> Result {
        match self {
            Self::Source if sk.source.is_some() => Err(EISCONN),
            Self::Source => Ok(()),
            Self::Receiver if !matches!(sk.receive, Receive::Idle) => Err(EBUSY),
            // SAFETY: The lock is held; only whether there is a list counts.
            Self::Receiver if unsafe { membership::any(sk.sock()) } => Err(EBUSY),
            Self::Receiver => Ok(()),
        }
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
        let (level_, name_) = (level as c_uint, name as c_uint);
        let ip = match (level_, address::is_v6(sk)) {
            (b::SOL_IP, false) => Some(b::ip_setsockopt(sk, level, name, value, len)),
            (b::SOL_IPV6, true) => Some(b::ipv6_setsockopt(sk, level, name, value, len)),
            _ => None,
        };
        if let Some(error) = ip {
            let discover = [
                (b::SOL_IP, b::IP_MTU_DISCOVER),
                (b::SOL_IPV6, b::IPV6_MTU_DISCOVER),
            ];
            if discover.contains(&(level_, name_)) && error == 0 {
                if let Some(mut sk) = UserLock::new(sk) {
                    link::remeasure(&mut sk);
                }
            }
            return error;
        }
        if level != b::IPPROTO_PGM as c_int {
            return ENOPROTOOPT.to_errno();
        }
        let (name, input) = (name as c_uint, Input::new(value, len));
        let result = match windows::set(sk, name, &input) {
            Some(result) => result,
            None => match UserLock::new(sk) {
                Some(mut sk) => set_locked(&mut sk, windows::our_name(name), &input),
                None => Err(EINVAL),
            },
        };
        result.map_or_else(|error| error.to_errno(), |()| 0)
    }
}

fn set_locked(sk: &mut Locked<'_>, name: c_uint, input: &Input) -> Result {
    match name {
        b::PGM_SEND_WINDOW => source::set_window(sk, input),
        b::PGM_HEARTBEAT_SPM => source::set_heartbeat(sk, input),
        b::PGM_MESSAGE_BOUNDARY => source::set_boundary(sk, input),
        b::PGM_MSGSIZE_MAX => source::set_msgsize_max(sk, input),
        b::PGM_WINDOW_ADV_METHOD => source::set_advance_method(sk, name, input),
        b::PGM_TSI => source::set_gsi(sk, input),
        b::PGM_UDP_ENCAP => carriage::set_udp_encap(sk, input),
        b::PGM_ROUTER_ALERT => carriage::set_router_alert(sk, input),
        _ => set_number(sk, name, input),
    }
}

fn set_number(sk: &mut Locked<'_>, name: c_uint, input: &Input) -> Result {
    let row = numbers::row(name).ok_or(ENOPROTOOPT)?;
    row.side.check(sk)?;
    let value = row.read(input.read()?);
    let mut numbers = sk.options.numbers;
    numbers.set(row.setting, value).ok_or(EINVAL)?;
    if let Moment::Start = row.moment {
        row.side.is_new(sk)?;
    }
    sk.options.numbers = numbers;
    if name == b::PGM_NAK_BO_IVL {
        sk.options.nak_bo_fixed = true;
    }
    let intervals = [b::PGM_NAK_BO_IVL, b::PGM_NAK_RPT_IVL, b::PGM_NAK_RDATA_IVL];
    sk.options.nak_set |= intervals.contains(&name);
    Ok(())
}

/// IP_MTU or IPV6_MTU of a source: what routers reported is not in its route.
///
/// # Safety
///
/// The calling process holds a reference to `sk`.
unsafe fn path_mtu(sk: *mut b::sock, name: c_uint) -> Option<c_int> {
    // SAFETY: By the caller.
    let mtu = if unsafe { address::is_v6(sk) } {
        b::IPV6_MTU
    } else {
        b::IP_MTU
    };
    if name != mtu {
        return None;
    }
    // SAFETY: By the caller.
    let mut sk = unsafe { UserLock::new(sk)? };
    let _ = link::follow(&mut sk, timer::now());
    sk.source.as_ref()?;
    c_int::try_from(sk.path.mtu).ok()
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
        let (level_, v6) = (level as c_uint, address::is_v6(sk));
        if level_ == if v6 { b::SOL_IPV6 } else { b::SOL_IP } {
            return match path_mtu(sk, name as c_uint) {
                Some(mtu) => match Output::new(value, len).write(&mtu) {
                    Ok(()) => 0,
                    Err(error) => error.to_errno(),
                },
                None if v6 => b::ipv6_getsockopt(sk, level, name, value, len),
                None => b::ip_getsockopt(sk, level, name, value, len),
            };
        }
        if level != b::IPPROTO_PGM as c_int {
            return ENOPROTOOPT.to_errno();
        }
        let Some(mut sk) = UserLock::new(sk) else {
            return EINVAL.to_errno();
        };
        let name = windows::our_name(name as c_uint);
        match get_locked(&mut sk, name, &Output::new(value, len)) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}

fn get_locked(sk: &mut Locked<'_>, name: c_uint, output: &Output) -> Result {
    match name {
        b::PGM_SEND_WINDOW => source::get_window(sk, output),
        b::PGM_HEARTBEAT_SPM => source::get_heartbeat(sk, output),
        b::PGM_MESSAGE_BOUNDARY => source::get_boundary(sk, output),
        b::PGM_MSS => source::get_mss(sk, output),
        b::PGM_MSGSIZE_MAX => source::get_msgsize_max(sk, output),
        b::PGM_TSI => source::get_tsi(sk, output),
        b::PGM_UDP_ENCAP => carriage::get_udp_encap(sk, output),
        b::PGM_ROUTER_ALERT => carriage::get_router_alert(sk, output),
        b::PGM_RESET_CODE => receiver::get_reset_code(sk, output),
        b::PGM_GET_LOSS => receiver::get_loss(sk, output),
        b::PGM_SENDER_STATS => stats::get_sender(sk, output),
        b::PGM_RECEIVER_STATS => stats::get_receiver(sk, output),
        _ => get_number(sk, name, output),
    }
}

fn get_number(sk: &mut Locked<'_>, name: c_uint, output: &Output) -> Result {
    let row = numbers::row(name).ok_or(ENOPROTOOPT)?;
    row.side.check(sk)?;
    output.write(&sk.options.numbers.get(row.setting))
}
