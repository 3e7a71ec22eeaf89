// SPDX-License-Identifier: GPL-2.0

//! Whether a socket joined a group, on this interface and from this source.

use core::ptr::{addr_of, null};

use kernel::prelude::*;
use pgm_bindings as b;
use pgm_wire::Addr;

use super::address;
use super::rcu::ReadGuard;

/// Joins a group as IP_ADD_MEMBERSHIP and IPV6_JOIN_GROUP do.
///
/// # Safety
///
/// `sk` is a live socket that the calling process does not hold locked.
pub(crate) unsafe fn join(sk: *mut b::sock, group: Addr, oif: i32) -> Result {
    // SAFETY: By the caller.
    kernel::error::to_result(unsafe {
        match address::in6(group) {
            Ok(group) => b::pgm_join6(sk, &group, oif),
            Err(_) => b::pgm_join(sk, address::be32(group)?, oif),
        }
    })
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
            let join = match (address::in6(group), address::in6(source)) {
                (Ok(group), Ok(source)) => b::pgm_join_source6(sk, &group, &source, iif),
                _ => b::pgm_join_source(sk, address::be32(group)?, address::be32(source)?, iif),
            };
            return kernel::error::to_result(join);
        }
        join(sk, group, iif)
    }
}

/// Whether the socket takes some sources of the group only, on whichever interface.
///
/// # Safety
///
/// `sk` is a live socket.
unsafe fn is_filtered(guard: &ReadGuard, sk: *const b::sock, group: Addr) -> bool {
    // SAFETY: By the caller; the list is walked inside the read section.
    unsafe {
        Memberships::of(guard, sk).any(|membership| {
            membership.group() == group
                && match membership {
                    Membership::V4(at) => !b::pgm_mc_sflist_rcu(at).is_null(),
                    Membership::V6(at) => !b::pgm_mc6_sflist_rcu(at).is_null(),
                }
        })
    }
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
    /// Its TTL is at its end: who sends to one link only is on it.
    pub(crate) near: bool,
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

/// One group that a socket joined, in the list of its family.
#[derive(Clone, Copy)]
enum Membership {
    V4(*const b::ip_mc_socklist),
    V6(*const b::ipv6_mc_socklist),
}

/// The groups that a socket joined.
struct Memberships<'a> {
    next: Membership,
    _guard: &'a ReadGuard,
}

impl<'a> Memberships<'a> {
    /// # Safety
    ///
    /// `sk` is a socket found inside the read section.
    unsafe fn of(guard: &'a ReadGuard, sk: *const b::sock) -> Self {
        // SAFETY: By the caller.
        let next = unsafe {
            if address::is_v6(sk) {
                Membership::V6(b::pgm_mc6_first_rcu(sk))
            } else {
                Membership::V4(b::pgm_mc_first_rcu(sk))
            }
        };
        Self {
            next,
            _guard: guard,
        }
    }
}

impl Iterator for Memberships<'_> {
    type Item = Membership;

    fn next(&mut self) -> Option<Membership> {
        let this = self.next;
        // SAFETY: The list is freed by RCU; the guard keeps it.
        self.next = unsafe {
            match this {
                Membership::V4(at) if !at.is_null() => Membership::V4(b::pgm_mc_next_rcu(at)),
                Membership::V6(at) if !at.is_null() => Membership::V6(b::pgm_mc6_next_rcu(at)),
                _ => return None,
            }
        };
        Some(this)
    }
}

impl Membership {
    /// # Safety
    ///
    /// Found inside a read section that still lasts.
    unsafe fn group(self) -> Addr {
        // SAFETY: By the caller.
        unsafe {
            match self {
                Self::V4(at) => address::v4((*at).multi.imr_multiaddr.s_addr),
                Self::V6(at) => address::v6(addr_of!((*at).addr)),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`Membership::group`].
    unsafe fn interface(self) -> i32 {
        // SAFETY: By the caller.
        unsafe {
            match self {
                Self::V4(at) => (*at).multi.imr_ifindex,
                Self::V6(at) => (*at).ifindex,
            }
        }
    }

    /// Applies the source filter.
    ///
    /// # Safety
    ///
    /// As for [`Membership::group`].
    unsafe fn admits(self, source: Addr) -> bool {
        // SAFETY: The filter is freed by RCU, and its list has `sl_count` addresses.
        unsafe {
            let (mode, listed) = match self {
                Self::V4(at) => {
                    let filter = b::pgm_mc_sflist_rcu(at);
                    let (count, first) = if filter.is_null() {
                        (0, null())
                    } else {
                        (
                            (*filter).sl_count,
                            addr_of!((*filter).sl_addr).cast::<u32>(),
                        )
                    };
                    let listed = (0..count as usize).any(|i| address::v4(*first.add(i)) == source);
                    ((*at).sfmode, listed)
                }
                Self::V6(at) => {
                    let filter = b::pgm_mc6_sflist_rcu(at);
                    let (count, first) = if filter.is_null() {
                        (0, null())
                    } else {
                        let first = addr_of!((*filter).sl_addr).cast::<b::in6_addr>();
                        ((*filter).sl_count, first)
                    };
                    let listed = (0..count as usize).any(|i| address::v6(first.add(i)) == source);
                    ((*at).sfmode, listed)
                }
            };
            listed != (mode == b::MCAST_EXCLUDE)
        }
    }
}

/// Membership is per socket here: another socket's join never opens this one, so IP_MULTICAST_ALL
/// does not count.
///
/// # Safety
///
/// `sk` is a socket found inside the read section.
pub(crate) unsafe fn joined(guard: &ReadGuard, sk: *const b::sock, arrival: Arrival) -> bool {
    // SAFETY: By the caller; the list is walked inside the read section.
    unsafe {
        Memberships::of(guard, sk)
            .find(|membership| {
                let interface = membership.interface();
                membership.group() == arrival.group
                    && (interface == arrival.iif
                        || (arrival.sdif != 0 && interface == arrival.sdif))
            })
            .is_some_and(|membership| membership.admits(arrival.source))
    }
}

/// The interface on which a socket joined a group, if it did.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn interface_of(sk: *const b::sock, group: Addr) -> Option<i32> {
    let guard = ReadGuard::new();
    // SAFETY: By the caller; the list is walked inside the read section.
    unsafe {
        Memberships::of(&guard, sk)
            .find(|membership| membership.group() == group)
            .map(|membership| membership.interface())
    }
}

/// Whether a socket joined any group.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn any(sk: *const b::sock) -> bool {
    let guard = ReadGuard::new();
    // SAFETY: By the caller.
    unsafe { Memberships::of(&guard, sk).next().is_some() }
}

/// Names the interface of each membership.
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn each_interface(
    guard: &ReadGuard,
    sk: *const b::sock,
    mut visit: impl FnMut(i32),
) {
    // SAFETY: By the caller; the list is walked inside the read section.
    unsafe {
        for membership in Memberships::of(guard, sk) {
            visit(membership.interface());
        }
    }
}
