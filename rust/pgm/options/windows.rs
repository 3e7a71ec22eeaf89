// SPDX-License-Identifier: GPL-2.0

//! The options of Windows' wsrm.h (include/uapi/linux/wsrm.h). Most are other names of our own;
//! interfaces and TTL are those of level IPPROTO_IP.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::addr_of_mut;

use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use pgm_bindings as b;

use super::Side;
use crate::net::address;
use crate::net::lock::UserLock;
use crate::net::user::Input;
use crate::sock::Receive;

/// Our number of a Windows option that is one of ours.
pub(super) fn our_name(name: c_uint) -> c_uint {
    match name {
        b::RM_RATE_WINDOW_SIZE => b::PGM_SEND_WINDOW,
        b::RM_SET_MESSAGE_BOUNDARY => b::PGM_MESSAGE_BOUNDARY,
        b::RM_SENDER_STATISTICS => b::PGM_SENDER_STATS,
        b::RM_SENDER_WINDOW_ADVANCE_METHOD => b::PGM_WINDOW_ADV_METHOD,
        b::RM_LATEJOIN => b::PGM_LATEJOIN,
        b::RM_SEND_WINDOW_ADV_RATE => b::PGM_WINDOW_ADV_RATE,
        b::RM_RECEIVER_STATISTICS => b::PGM_RECEIVER_STATS,
        _ => name,
    }
}

/// Sets an option that is one of level IPPROTO_IP here, which takes the socket lock itself. `None`:
/// the option is not of this kind.
///
/// # Safety
///
/// `sk` is a socket that the calling process has a reference to and does not hold locked.
pub(super) unsafe fn set(sk: *mut b::sock, name: c_uint, input: &Input) -> Option<Result> {
    // SAFETY: By the caller.
    unsafe {
        Some(match name {
            // These know IPv4 addresses only.
            b::RM_SET_SEND_IF
            | b::RM_ADD_RECEIVE_IF
            | b::RM_DEL_RECEIVE_IF
            | b::RM_SET_MCAST_TTL
                if address::is_v6(sk) =>
            {
                Err(ENOPROTOOPT)
            }
            b::RM_SET_SEND_IF => set_send_if(sk, input),
            b::RM_ADD_RECEIVE_IF => set_receive_if(sk, b::IP_ADD_MEMBERSHIP, input),
            b::RM_DEL_RECEIVE_IF => set_receive_if(sk, b::IP_DROP_MEMBERSHIP, input),
            b::RM_SET_MCAST_TTL => set_mcast_ttl(sk, input),
            b::RM_HIGH_SPEED_INTRANET_OPT => input.read::<u32>().map(|_| ()),
            _ => return None,
        })
    }
}

/// # Safety
///
/// As for [`set`].
unsafe fn set_send_if(sk: *mut b::sock, input: &Input) -> Result {
    // SAFETY: By the caller.
    unsafe {
        let lock = UserLock::new(sk).ok_or(EINVAL)?;
        Side::Source.check(&lock)?;
        let mut address: u32 = input.read()?;
        Side::Source.is_new(&lock)?;
        drop(lock);
        set_ip(sk, b::IP_MULTICAST_IF, &mut address)
    }
}

/// # Safety
///
/// As for [`set`].
unsafe fn set_mcast_ttl(sk: *mut b::sock, input: &Input) -> Result {
    // SAFETY: By the caller.
    unsafe {
        let lock = UserLock::new(sk).ok_or(EINVAL)?;
        Side::Source.check(&lock)?;
        drop(lock);
        let ttl: u32 = input.read()?;
        let mut ttl = c_int::from(u8::try_from(ttl).map_err(|_| EINVAL)?);
        set_ip(sk, b::IP_MULTICAST_TTL, &mut ttl)
    }
}

/// Joins or leaves the group that the socket is bound to, on the interface that has an address.
///
/// # Safety
///
/// As for [`set`].
unsafe fn set_receive_if(sk: *mut b::sock, name: c_uint, input: &Input) -> Result {
    // SAFETY: By the caller.
    unsafe {
        let lock = UserLock::new(sk).ok_or(EINVAL)?;
        Side::Receiver.check(&lock)?;
        let address: u32 = input.read()?;
        if let Receive::Session(_) = lock.receive {
            return Err(EISCONN);
        }
        // An address that is no group, INADDR_ANY among them, is refused by the join.
        let mut mreq = [b::pgm_sk_rcv_saddr(sk), address];
        drop(lock);
        set_ip(sk, name, &mut mreq)
    }
}

/// # Safety
///
/// As for [`set`]; `T` is the type of the option.
unsafe fn set_ip<T>(sk: *mut b::sock, name: c_uint, value: &mut T) -> Result {
    let value = addr_of_mut!(*value).cast::<c_void>();
    // SAFETY: The value is as long as said.
    kernel::error::to_result(unsafe {
        b::pgm_ip_setsockopt(sk, name as c_int, value, size_of::<T>() as c_uint)
    })
}
