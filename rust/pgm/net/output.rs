// SPDX-License-Identifier: GPL-2.0

//! PGM packets onto IP, natively or inside UDP.

use core::ptr::{addr_of, null};

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::Destination;
use pgm_wire::{Addr, Sqn};

use super::address::{self, ANY4, ANY6};
use super::rcu::ReadGuard;
use super::skb::SkBuff;
use super::udp::Encap;
use crate::sock::PgmSock;

/// Room in front of the PGM header: link layer, IP header, Router Alert and UDP header.
const HEADROOM: u32 = 160;
/// IP option Router Alert, value 0 (RFC 2113).
const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0, 0];

const IP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// Hop-by-hop options with Router Alert (RFC 2711).
const HOP_BY_HOP: usize = 8;
const UDP_HEADER: usize = 8;

/// Bytes in front of the PGM header of a repair, which carries Router Alert if any packet does.
pub(crate) fn overhead(v6: bool, encap: Encap, alert: Alert) -> u32 {
    let (ip, option) = if v6 {
        (IPV6_HEADER, HOP_BY_HOP)
    } else {
        (IP_HEADER, ROUTER_ALERT.len())
    };
    let option = if alert.is_some() { option } else { 0 };
    let udp = if encap.is_native() { 0 } else { UDP_HEADER };
    (ip + option + udp) as u32
}

/// The value of Router Alert, if a packet carries it. IPv4 knows 0 only.
pub(crate) type Alert = Option<u16>;

/// Where the packets of a session leave.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    pub(crate) group: Addr,
    /// Source address of multicast packets; if there is none the route chooses.
    pub(crate) source: Addr,
    /// Interface of multicast packets; 0 lets the route choose.
    pub(crate) oif: i32,
    /// The path MTU of multicast packets.
    pub(crate) mtu: u32,
}

impl Path {
    /// Of a socket that has none yet.
    pub(crate) const NONE: Self = Self {
        group: ANY4,
        source: ANY4,
        oif: 0,
        mtu: 0,
    };
}

/// A route, given back when dropped.
pub(crate) struct Route(*mut b::dst_entry);

impl Route {
    /// That of the socket's last multicast packet. Each turn looks whether routes changed.
    ///
    /// # Safety
    ///
    /// `sk` is locked.
    unsafe fn cached(sk: *mut b::sock) -> Option<Self> {
        // SAFETY: By the caller; the reference is ours.
        let route = unsafe { b::pgm_cached_dst(sk) };
        (!route.is_null()).then_some(Self(route))
    }

    /// The route's MTU, or the interface's if IP_MTU_DISCOVER says so.
    ///
    /// # Safety
    ///
    /// `sk` is a live socket.
    unsafe fn mtu(&self, sk: *const b::sock) -> u32 {
        let _guard = ReadGuard::new();
        // SAFETY: The route is valid, and the guard keeps its device.
        let mtu = unsafe {
            if uses_pmtu(sk) {
                b::pgm_dst_mtu(self.0)
            } else {
                b::pgm_dev_mtu(self.0)
            }
        };
        mtu.min(u32::from(u16::MAX))
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        // SAFETY: The reference is ours.
        unsafe { b::pgm_dst_release(self.0) };
    }
}

/// A route and the source address it chose.
pub(crate) struct Way {
    route: Route,
    pub(crate) source: Addr,
}

impl Way {
    /// `udp` is the destination port of an encapsulated packet, 0 for a native one.
    ///
    /// # Safety
    ///
    /// `sk` is locked.
    pub(crate) unsafe fn find(
        sk: *mut PgmSock,
        oif: i32,
        daddr: Addr,
        saddr: Addr,
        udp: u16,
    ) -> Result<Self> {
        // SAFETY: By the caller.
        unsafe {
            match daddr {
                _ if daddr.is_v4() == address::is_v6(sk.cast()) => Err(EAFNOSUPPORT),
                Addr::V4(_) => Self::find4(sk, oif, daddr, saddr, udp),
                Addr::V6(_) => Self::find6(sk, oif, daddr, saddr, udp),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`Way::find`], with addresses of IPv4.
    unsafe fn find4(
        sk: *mut PgmSock,
        oif: i32,
        daddr: Addr,
        saddr: Addr,
        udp: u16,
    ) -> Result<Self> {
        let daddr = address::be32(daddr)?;
        let saddr = address::be32(saddr)?;
        // SAFETY: An all-zero flow is valid; the helper fills it.
        let mut flow: b::flowi4 = unsafe { core::mem::zeroed() };
        // SAFETY: The socket is valid; on success we own one reference to the route.
        unsafe {
            let from = (*sk).encap.ucast;
            let sk: *mut b::sock = sk.cast();
            b::pgm_flow4(&mut flow, sk, oif, daddr, saddr);
            if udp != 0 {
                b::pgm_flow4_udp(&mut flow, from.to_be(), udp.to_be());
            }
            let route = b::ip_route_output_flow(b::pgm_sock_net(sk), &mut flow, sk);
            let way = Self::found(route.cast(), address::v4(flow.saddr))?;
            // A forged SPM may name the broadcast address of a link as its Path NLA.
            if b::pgm_is_broadcast(way.route.0) {
                return Err(EACCES);
            }
            Ok(way)
        }
    }

    /// # Safety
    ///
    /// As for [`Way::find`], with addresses of IPv6.
    unsafe fn find6(
        sk: *mut PgmSock,
        oif: i32,
        daddr: Addr,
        saddr: Addr,
        udp: u16,
    ) -> Result<Self> {
        let saddr = if saddr.is_unspecified() { ANY6 } else { saddr };
        let (daddr, saddr) = (address::in6(daddr)?, address::in6(saddr)?);
        // SAFETY: An all-zero flow is valid; the helper fills it.
        let mut flow: b::flowi6 = unsafe { core::mem::zeroed() };
        // SAFETY: The socket is valid; on success we own one reference to the route.
        unsafe {
            let from = (*sk).encap.ucast;
            let sk: *mut b::sock = sk.cast();
            b::pgm_flow6(&mut flow, sk, oif, &daddr, &saddr);
            if udp != 0 {
                b::pgm_flow6_udp(&mut flow, from.to_be(), udp.to_be());
            }
            let net = b::pgm_sock_net(sk);
            let route = b::ip6_dst_lookup_flow(net, sk, &mut flow, null());
            Self::found(route, address::v6(addr_of!(flow.saddr)))
        }
    }

    /// # Safety
    ///
    /// `route` is what a lookup answered: an error, or a route with a reference that is ours.
    unsafe fn found(route: *mut b::dst_entry, source: Addr) -> Result<Self> {
        // SAFETY: By the caller.
        unsafe {
            if b::pgm_is_err(route.cast()) {
                return Err(Error::from_errno(b::pgm_ptr_err(route.cast()) as i32));
            }
        }
        Ok(Self {
            route: Route(route),
            source,
        })
    }

    /// [`Route::cached`] and its source address.
    ///
    /// # Safety
    ///
    /// `sk` is locked.
    pub(super) unsafe fn cached(sk: *mut b::sock, source: Addr) -> Option<Self> {
        // SAFETY: By the caller.
        let route = unsafe { Route::cached(sk)? };
        Some(Self { route, source })
    }

    /// Keeps the route for [`Way::cached`].
    ///
    /// # Safety
    ///
    /// `sk` is locked.
    pub(crate) unsafe fn cache(&self, sk: *mut b::sock) {
        // SAFETY: By the caller; the socket takes a reference of its own.
        unsafe {
            if let Some(cookie) = cookie_of(sk) {
                *cookie = b::pgm_dst_cookie6(self.route.0);
            }
            b::pgm_cache_dst(sk, self.route.0);
        }
    }

    /// The number of its interface.
    pub(crate) fn device(&self) -> i32 {
        let _guard = ReadGuard::new();
        // SAFETY: The guard keeps the device, which a route gives up when it vanishes.
        unsafe { b::pgm_dst_ifindex(self.route.0) }
    }

    /// Whether its interface is up.
    pub(crate) fn is_up(&self) -> bool {
        let _guard = ReadGuard::new();
        // SAFETY: As in `device`.
        unsafe { b::pgm_dev_is_up(b::pgm_dst_dev(self.route.0)) }
    }

    /// See [`Route::mtu`].
    ///
    /// # Safety
    ///
    /// `sk` is a live socket.
    pub(crate) unsafe fn mtu(&self, sk: *const b::sock) -> u32 {
        // SAFETY: By the caller.
        unsafe { self.route.mtu(sk) }
    }

    /// How many packets, and bytes, a buffer may hold for its interface.
    pub(super) fn gso_limits(&self) -> (u32, u32) {
        let _guard = ReadGuard::new();
        let (mut packets, mut bytes) = (1, 0);
        // SAFETY: As in `device`.
        unsafe { b::pgm_gso_limits(self.route.0, !self.source.is_v4(), &mut packets, &mut bytes) };
        (packets, bytes)
    }

    /// The source's address on this way. RFC 3208 §8.1: the path NLA is an address of the source,
    /// never zero.
    pub(crate) fn nla(&self) -> Result<Addr> {
        let nla = if self.source.is_unspecified() {
            self.device_address()
        } else {
            self.source
        };
        if nla.is_unspecified() {
            return Err(EADDRNOTAVAIL);
        }
        Ok(nla)
    }

    /// An address of the outgoing interface, for routes that name none (loopback).
    fn device_address(&self) -> Addr {
        // An IPv6 route always finds an address, or fails.
        if !self.source.is_v4() {
            return self.source;
        }
        let _guard = ReadGuard::new();
        // SAFETY: As in `device`.
        address::v4(unsafe {
            b::inet_select_addr(
                b::pgm_dst_dev(self.route.0).cast(),
                0,
                b::rt_scope_t_RT_SCOPE_HOST as c_int,
            )
        })
    }
}

/// Whether a smaller MTU somewhere on the way counts (IP_MTU_DISCOVER, IPV6_MTU_DISCOVER).
///
/// # Safety
///
/// `sk` is a live socket.
pub(crate) unsafe fn uses_pmtu(sk: *const b::sock) -> bool {
    // SAFETY: By the caller.
    unsafe {
        if address::is_v6(sk) {
            let inet: *const b::inet_sock = sk.cast();
            u32::from((*(*inet).pinet6).pmtudisc) <= b::IPV6_PMTUDISC_DO
        } else {
            b::pgm_uses_pmtu(sk)
        }
    }
}

/// Whether the route of [`Way::cached`] still holds.
///
/// # Safety
///
/// `sk` is locked.
pub(crate) unsafe fn has_route(sk: *mut b::sock) -> bool {
    // SAFETY: By the caller.
    unsafe { b::pgm_has_route(sk, cookie_of(sk).map_or(0, |cookie| *cookie)) }
}

/// What a socket's cached route of IPv6 is checked by.
///
/// # Safety
///
/// `sk` is locked as long as the result lives.
unsafe fn cookie_of<'a>(sk: *mut b::sock) -> Option<&'a mut u32> {
    let inet: *mut b::inet_sock = sk.cast();
    // SAFETY: By the caller.
    unsafe { address::is_v6(sk).then(|| &mut (*(*inet).pinet6).dst_cookie) }
}

/// Sends one packet: `header`, then the pages of `payload`. A packet that cannot be sent is lost
/// like any other; repairs do the rest.
///
/// SO_TIMESTAMPING: a message has one time stamp, when its last packet is sent for the first time;
/// its id is that packet's number, `completes`.
///
/// # Safety
///
/// `sk` is locked, and `payload`, if any, is of a packet in the window.
pub(crate) unsafe fn send(
    sk: *mut PgmSock,
    path: &Path,
    destination: Destination,
    alert: Alert,
    header: &[u8],
    payload: Option<*const b::pgm_tsdu>,
    completes: Option<Sqn>,
) -> Result {
    let this = sk;
    let sk: *mut b::sock = sk.cast();
    // SAFETY: Constant.
    let encap = unsafe { (*this).encap };
    let (daddr, saddr, port) = match &destination {
        Destination::Group | Destination::GroupLocal => (&path.group, &path.source, encap.mcast),
        Destination::Unicast(addr) => (addr, &ANY4, encap.ucast),
    };
    // SAFETY: The socket is locked by the caller.
    let (route, source) = unsafe {
        // Only a source has an address of its own; [`crate::link`] keeps its route.
        if saddr.is_unspecified() {
            let oif = match (&destination, b::pgm_sk_bound_dev(sk)) {
                (Destination::Unicast(addr), 0) if address::needs_scope(*addr) => path.oif,
                (Destination::Unicast(_), dev) => dev,
                _ => path.oif,
            };
            let way = Way::find(this, oif, *daddr, *saddr, port)?;
            (way.route, way.source)
        } else {
            (Route::cached(sk).ok_or(ENETUNREACH)?, *saddr)
        }
    };
    let packet = Outgoing {
        sk,
        route,
        source: &source,
        destination: &destination,
        daddr,
        mtu: path.mtu,
        alert,
        udp: (port != 0).then_some((encap.ucast, port)),
        segments: Segments::ONE,
    };
    // SAFETY: The skb is new and ours until it is sent.
    unsafe {
        let skb = allocate(header)?;
        if let Some(payload) = payload {
            b::pgm_share_tsdu(skb, payload);
        }
        if let Some(sqn) = completes {
            b::pgm_tx_timestamp(skb, sk, sqn.get());
        }
        packet.send(skb)
    }
}

/// A buffer that holds `header`, with room for what goes in front of it.
pub(super) fn allocate(header: &[u8]) -> Result<*mut b::sk_buff> {
    let len = u32::try_from(header.len())?;
    // SAFETY: So many bytes are copied.
    let skb = unsafe { b::pgm_new_skb(HEADROOM, header.as_ptr().cast(), len) };
    if skb.is_null() {
        return Err(ENOBUFS);
    }
    Ok(skb)
}

/// Packets in one buffer, all but the last of `size` bytes; IP, UDP or the device cuts it.
#[derive(Clone, Copy)]
pub(super) struct Segments {
    pub(super) size: u32,
    pub(super) count: u32,
}

impl Segments {
    /// An ordinary buffer.
    const ONE: Self = Self { size: 0, count: 1 };
}

/// Sends data packets of an encapsulated socket to its group in one buffer.
///
/// # Safety
///
/// `sk` is locked; `way` is its route, `skb` was made by [`allocate`] and becomes IP's.
pub(super) unsafe fn send_segments(
    sk: *mut PgmSock,
    way: Way,
    path: &Path,
    skb: *mut b::sk_buff,
    segments: Segments,
) -> Result {
    // SAFETY: By the caller.
    unsafe {
        let encap = (*sk).encap;
        let packet = Outgoing {
            sk: sk.cast(),
            route: way.route,
            source: &way.source,
            destination: &Destination::Group,
            daddr: &path.group,
            mtu: path.mtu,
            alert: None,
            udp: Some((encap.ucast, encap.mcast)),
            segments,
        };
        packet.send(skb)
    }
}

/// A packet and what IP must know of it.
struct Outgoing<'a> {
    sk: *mut b::sock,
    route: Route,
    source: &'a Addr,
    destination: &'a Destination,
    daddr: &'a Addr,
    /// Of the path to the group.
    mtu: u32,
    alert: Alert,
    /// Source and destination port.
    udp: Option<(u16, u16)>,
    segments: Segments,
}

impl Outgoing<'_> {
    fn protocol(&self) -> u8 {
        match self.udp {
            None => b::IPPROTO_PGM as u8,
            Some(_) => b::IPPROTO_UDP as u8,
        }
    }

    /// # Safety
    ///
    /// `skb` begins at the PGM header; it is ours and becomes IP's. The socket is locked.
    unsafe fn send(self, skb: *mut b::sk_buff) -> Result {
        // SAFETY: By the caller.
        unsafe {
            if self.udp.is_some() {
                b::skb_push(skb, UDP_HEADER as u32);
            }
            b::pgm_to_send(skb, self.sk);
            if self.segments.count > 1 {
                b::pgm_gso_udp(skb, self.segments.size, self.segments.count);
            }
            match self.daddr {
                Addr::V4(_) => self.send4(skb),
                Addr::V6(_) => self.send6(skb),
            }
        }
    }

    /// # Safety
    ///
    /// `skb` is ours and becomes IP's. It has its transport header and, inside UDP, room for that;
    /// the socket is locked.
    unsafe fn send4(self, skb: *mut b::sk_buff) -> Result {
        // SAFETY: Taken over, so that an error frees it.
        let skb = unsafe { SkBuff::from_raw(skb) }.ok_or(ENOBUFS)?;
        let (source, daddr) = (address::be32(*self.source)?, address::be32(*self.daddr)?);
        let options: &[u8] = match self.alert {
            Some(_) => &ROUTER_ALERT,
            None => &[],
        };
        let ip_len = IP_HEADER + options.len();
        let protocol = self.protocol();
        let Self {
            sk,
            route,
            destination,
            mtu,
            udp,
            segments,
            ..
        } = self;
        let skb = skb.into_raw();
        let inet: *mut b::inet_sock = sk.cast();
        // SAFETY: By the caller; every pointer is to room that skb_push() just made.
        unsafe {
            if let Some((sport, dport)) = udp {
                b::pgm_fill_udp(skb, sport.to_be(), dport.to_be());
                b::udp_set_csum(false, skb, source, daddr, (*skb).len as c_int);
            }
            let limit = match destination {
                Destination::Unicast(_) => route.mtu(sk),
                _ => mtu,
            };
            let ip = b::skb_push(skb, ip_len as u32).cast::<b::iphdr>();
            b::pgm_reset_network(skb);
            let first = (4u8 << 4) | (ip_len / 4) as u8;
            ip.cast::<u8>().write(first);
            (*ip).tos = (*inet).tos;
            // A repair may be larger than a packet may be by now: then IP cuts it, unless
            // IP_MTU_DISCOVER forbids that.
            let forbidden = matches!(
                u32::from((*inet).pmtudisc),
                b::IP_PMTUDISC_DO | b::IP_PMTUDISC_PROBE
            );
            // Packets that share a buffer fit, or they would not be in it.
            let fits = (segments.count > 1 || (*skb).len <= limit)
                && b::pgm_dont_fragment(sk, route.0) != 0;
            (*ip).frag_off = if forbidden || fits {
                (b::IP_DF as u16).to_be()
            } else {
                0
            };
            (*ip).ttl = match destination {
                Destination::Group => (*inet).mc_ttl,
                Destination::GroupLocal => 1,
                Destination::Unicast(_) => b::pgm_unicast_ttl(sk, route.0),
            };
            (*ip).protocol = protocol;
            (*ip).__bindgen_anon_1.__bindgen_anon_1.saddr = source;
            (*ip).__bindgen_anon_1.__bindgen_anon_1.daddr = daddr;
            let to = ip.cast::<u8>().add(IP_HEADER);
            core::ptr::copy_nonoverlapping(options.as_ptr(), to, options.len());
            let net = b::pgm_sock_net(sk);
            b::pgm_skb_set_dst(skb, route.0);
            core::mem::forget(route);
            b::pgm_select_ident(net, skb, sk);
            // A negative answer means lost on this host, like NET_XMIT_DROP on the way.
            let _ = b::ip_local_out(net, sk, skb);
        }
        Ok(())
    }

    /// # Safety
    ///
    /// As for [`Outgoing::send4`].
    unsafe fn send6(self, skb: *mut b::sk_buff) -> Result {
        // SAFETY: Taken over, so that an error frees it.
        let skb = unsafe { SkBuff::from_raw(skb) }.ok_or(ENOBUFS)?;
        let (source, daddr) = (address::in6(*self.source)?, address::in6(*self.daddr)?);
        let protocol = self.protocol();
        let Self {
            sk,
            route,
            destination,
            alert,
            udp,
            ..
        } = self;
        let skb = skb.into_raw();
        // SAFETY: By the caller; every pointer is to room that skb_push() just made.
        unsafe {
            let np = (*sk.cast::<b::inet_sock>()).pinet6;
            if let Some((sport, dport)) = udp {
                b::pgm_fill_udp(skb, sport.to_be(), dport.to_be());
                b::udp6_set_csum(false, skb, &source, &daddr, (*skb).len as c_int);
            }
            let mut next = protocol;
            if let Some(value) = alert {
                // Router Alert, then two bytes of padding (RFC 2711, RFC 8200 section 4.2).
                let [high, low] = value.to_be_bytes();
                let options = b::skb_push(skb, HOP_BY_HOP as u32).cast::<[u8; HOP_BY_HOP]>();
                options.write([next, 0, 5, 2, high, low, 1, 0]);
                next = 0;
            }
            let ip = b::skb_push(skb, IPV6_HEADER as u32).cast::<u8>();
            b::pgm_reset_network(skb);
            let first = (6u32 << 28) | (u32::from((*np).tclass) << 20);
            let hops = match destination {
                Destination::Group => (*np).mcast_hops,
                Destination::GroupLocal => 1,
                Destination::Unicast(_) if (*np).hop_limit >= 0 => (*np).hop_limit as u8,
                Destination::Unicast(_) => b::ip6_dst_hoplimit(route.0) as u8,
            };
            // ip6_local_out() fills in the length.
            ip.cast::<[u8; 4]>().write(first.to_be_bytes());
            ip.add(4).cast::<[u8; 4]>().write([0, 0, next, hops]);
            ip.add(8).cast::<b::in6_addr>().write_unaligned(source);
            ip.add(24).cast::<b::in6_addr>().write_unaligned(daddr);
            b::pgm_allow_fragments6(skb, sk);
            let net = b::pgm_sock_net(sk);
            b::pgm_skb_set_dst(skb, route.0);
            core::mem::forget(route);
            // As in `send4`.
            let _ = b::ip6_local_out(net, sk, skb);
        }
        Ok(())
    }
}
