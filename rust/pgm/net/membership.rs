// SPDX-License-Identifier: GPL-2.0

//! Whether a socket joined a group, on this interface and from this source.

use core::ptr::addr_of;

use kernel::prelude::*;
use pgm_bindings as b;
use pgm_wire::Addr;

use super::address;
use super::rcu::ReadGuard;

/// Joins a group as IP_ADD_MEMBERSHIP does.
///
/// # Safety
///
/// `sk` is a live socket that the calling process does not hold locked.
pub(crate) unsafe fn join(sk: *mut b::sock, group: Addr, oif: i32) -> Result {
    let group = address::be32(group)?;
    // SAFETY: By the caller.
    kernel::error::to_result(unsafe { b::pgm_join(sk, group, oif) })
}

/// Joins the group of a session for itself, so that it outlives its listener: if the listener takes
/// some sources only, then for this one, so that no more comes to this host than it asked for.
///
/// # Safety
///
/// As for [`join`], and `listener` is a live socket.
pub(crate) unsafe fn join_session(
    sk: *mut b::sock,
    listener: *const b::sock,
    group: Addr,
    source: Addr,
    iif: i32,
) -> Result {
    // SAFETY: By the caller.
    unsafe {
        if is_filtered(&ReadGuard::new(), listener, group) {
            let (group, source) = (address::be32(group)?, address::be32(source)?);
            return kernel::error::to_result(b::pgm_join_source(sk, group, source, iif));
        }
        join(sk, group, iif)
    }
}

/// Whether the socket takes some sources of the group only, on whichever interface.
///
/// # Safety
///
/// `sk` is a live socket.
unsafe fn is_filtered(_guard: &ReadGuard, sk: *const b::sock, group: Addr) -> bool {
    let Ok(group) = address::be32(group) else {
        return false;
    };
    // SAFETY: The list and its filters are freed by RCU; the guard keeps them.
    unsafe {
        let mut pmc = b::pgm_mc_first_rcu(sk);
        while !pmc.is_null() {
            if (*pmc).multi.imr_multiaddr.s_addr == group && !b::pgm_mc_sflist_rcu(pmc).is_null() {
                return true;
            }
            pmc = b::pgm_mc_next_rcu(pmc);
        }
    }
    false
}

/// Where a packet came in.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// Destination: a group, or this host.
    pub(crate) group: Addr,
    /// IP source.
    pub(crate) source: Addr,
    /// Interface, and the slave behind an L3 master.
    pub(crate) iif: i32,
    pub(crate) sdif: i32,
}

impl Arrival {
    /// The interface itself: not the VRF that it belongs to.
    pub(crate) fn device(self) -> i32 {
        if self.sdif == 0 {
            self.iif
        } else {
            self.sdif
        }
    }

    /// Whether a socket bound to `dev` (0: to none) hears it. As with UDP by default, a VRF is for those
    /// who are bound to it or to one of its interfaces: an answer of others would take other routes.
    pub(crate) fn is_for(self, dev: i32) -> bool {
        match dev {
            0 => self.sdif == 0,
            dev => dev == self.iif || dev == self.sdif,
        }
    }
}

/// Whether the socket joined the group, on whichever interface.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn is_member(_guard: &ReadGuard, sk: *const b::sock, group: Addr) -> bool {
    let Ok(group) = address::be32(group) else {
        return false;
    };
    // SAFETY: The list is freed by RCU; the guard keeps it.
    unsafe {
        let mut pmc = b::pgm_mc_first_rcu(sk);
        while !pmc.is_null() {
            if (*pmc).multi.imr_multiaddr.s_addr == group {
                return true;
            }
            pmc = b::pgm_mc_next_rcu(pmc);
        }
    }
    false
}

/// Membership is per socket here: another socket's join never opens this one, so IP_MULTICAST_ALL
/// does not count.
///
/// # Safety
///
/// `sk` is a socket found inside the read section.
pub(crate) unsafe fn joined(_guard: &ReadGuard, sk: *const b::sock, arrival: Arrival) -> bool {
    let (Ok(group), Ok(source)) = (address::be32(arrival.group), address::be32(arrival.source))
    else {
        return false;
    };
    // SAFETY: The list and its filters are freed by RCU; the guard keeps them.
    unsafe {
        let mut pmc = b::pgm_mc_first_rcu(sk);
        while !pmc.is_null() {
            let multi = &(*pmc).multi;
            if multi.imr_multiaddr.s_addr == group
                && (multi.imr_ifindex == arrival.iif
                    || (arrival.sdif != 0 && multi.imr_ifindex == arrival.sdif))
            {
                return admits(pmc, source);
            }
            pmc = b::pgm_mc_next_rcu(pmc);
        }
    }
    false
}

/// Names the interface of each membership.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn each_interface(
    _guard: &ReadGuard,
    sk: *const b::sock,
    mut visit: impl FnMut(i32),
) {
    // SAFETY: As in [`joined`].
    unsafe {
        let mut pmc = b::pgm_mc_first_rcu(sk);
        while !pmc.is_null() {
            visit((*pmc).multi.imr_ifindex);
            pmc = b::pgm_mc_next_rcu(pmc);
        }
    }
}

/// Applies the source filter of one membership.
///
/// # Safety
///
/// As for [`joined`].
unsafe fn admits(pmc: *const b::ip_mc_socklist, source: u32) -> bool {
    // SAFETY: The filter is freed by RCU, and its list has `sl_count` addresses.
    unsafe {
        let exclude = (*pmc).sfmode == b::MCAST_EXCLUDE;
        let filter = b::pgm_mc_sflist_rcu(pmc);
        if filter.is_null() {
            return exclude;
        }
        let count = (*filter).sl_count;
        let first = addr_of!((*filter).sl_addr).cast::<u32>();
        let listed = (0..count as usize).any(|i| *first.add(i) == source);
        listed != exclude
    }
}
