// SPDX-License-Identifier: GPL-2.0

//! Options of both sides: what is around a PGM packet.

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;

use super::{Options, Side};
use crate::net::address;
use crate::net::lock::Locked;
use crate::net::output::Alert;
use crate::net::udp::{Encap, UdpPorts};
use crate::net::user::{Input, Output};

impl Options {
    /// Whether SPMs, NCFs and repairs carry IP Router Alert (RFC 3208 §4). Inside UDP they do not
    /// unless told to: a network element knows PGM by its IP protocol. Neither do they on IPv6, for
    /// which no value is assigned to PGM (RFC 2711).
    pub(crate) fn router_alert(&self, v6: bool, encap: Encap) -> Alert {
        match self.router_alert {
            None => (!v6 && encap.is_native()).then_some(0),
            Some(0) => None,
            Some(value) => Some(value),
        }
    }
}

/// The encapsulation of a socket.
pub(super) fn encap(sk: &Locked<'_>) -> Encap {
    // SAFETY: The lock is held.
    unsafe { (*sk.as_ptr()).encap }
}

/// PGM_UDP_ENCAP: both ports, or neither. A socket that is hashed keeps them.
pub(super) fn set_udp_encap(sk: &mut Locked<'_>, input: &Input) -> Result {
    let given: b::pgm_udp_encap = input.read()?;
    if (given.ucast == 0) != (given.mcast == 0) {
        return Err(EINVAL);
    }
    Side::Source.is_new(sk)?;
    // SAFETY: The lock is held. Without a port the socket is not hashed.
    unsafe {
        if b::pgm_sk_num(sk.sock()) != 0 {
            return Err(EBUSY);
        }
        // A bind() or connect() that failed may have taken those of before.
        sk.udp = UdpPorts::NONE;
        (*sk.as_ptr()).encap = Encap {
            ucast: u16::from_be(given.ucast),
            mcast: u16::from_be(given.mcast),
        };
    }
    Ok(())
}

pub(super) fn get_udp_encap(sk: &Locked<'_>, output: &Output) -> Result {
    let encap = encap(sk);
    output.write(&b::pgm_udp_encap {
        ucast: encap.ucast.to_be(),
        mcast: encap.mcast.to_be(),
    })
}

/// PGM_ROUTER_ALERT: on or off with IPv4, the option's value or 0 with IPv6.
pub(super) fn set_router_alert(sk: &mut Locked<'_>, input: &Input) -> Result {
    let given = input.read::<c_int>()?;
    // SAFETY: The lock is held.
    let value = if unsafe { address::is_v6(sk.sock()) } {
        u16::try_from(given).map_err(|_| EINVAL)?
    } else {
        u16::from(given != 0)
    };
    Side::Source.is_new(sk)?;
    Side::Receiver.is_new(sk)?;
    sk.options.router_alert = Some(value);
    Ok(())
}

pub(super) fn get_router_alert(sk: &Locked<'_>, output: &Output) -> Result {
    // SAFETY: The lock is held.
    let v6 = unsafe { address::is_v6(sk.sock()) };
    let value = match sk.options.router_alert(v6, encap(sk)) {
        None => 0,
        Some(0) => 1,
        Some(value) => value,
    };
    output.write(&c_int::from(value))
}
