// SPDX-License-Identifier: GPL-2.0

//! Whether a socket joined a group, on this interface and from this source.

use core::ptr::addr_of;

use pgm_bindings as b;

use super::rcu::ReadGuard;

/// Whether `addr`, in network byte order, is an IPv4 group.
pub(crate) fn is_multicast(addr: u32) -> bool {
    addr.to_ne_bytes()[0] & 0xf0 == 0xe0
}

/// Where a multicast packet came in.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// Group, network byte order.
    pub(crate) group: u32,
    /// IP source, network byte order.
    pub(crate) source: u32,
    /// Interface, and the slave behind an L3 master.
    pub(crate) iif: i32,
    pub(crate) sdif: i32,
}

/// Membership is per socket here: another socket's join never opens this one, so IP_MULTICAST_ALL
/// does not count.
///
/// # Safety
///
/// `sk` is a socket found inside the read section.
pub(crate) unsafe fn joined(_guard: &ReadGuard, sk: *const b::sock, arrival: Arrival) -> bool {
    // SAFETY: The list and its filters are freed by RCU; the guard keeps them.
    unsafe {
        let mut pmc = b::pgm_mc_first_rcu(sk);
        while !pmc.is_null() {
            let multi = &(*pmc).multi;
            if multi.imr_multiaddr.s_addr == arrival.group
                && (multi.imr_ifindex == arrival.iif
                    || (arrival.sdif != 0 && multi.imr_ifindex == arrival.sdif))
            {
                return admits(pmc, arrival.source);
            }
            pmc = b::pgm_mc_next_rcu(pmc);
        }
    }
    false
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
