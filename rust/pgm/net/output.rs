// SPDX-License-Identifier: GPL-2.0

//! PGM packets onto IPv4, natively or inside UDP.

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::Destination;
use pgm_wire::{Addr, Sqn};

use super::address::{self, ANY4};
use super::udp::Encap;
use crate::sock::PgmSock;

/// Room in front of the PGM header: link layer, IPv4 header, Router Alert and UDP header.
const HEADROOM: u32 = 160;
/// IP option Router Alert, value 0 (RFC 2113).
const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0, 0];

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// Bytes in front of the PGM header of a repair, which carries Router Alert if any packet does.
pub(crate) fn overhead(encap: Encap, router_alert: bool) -> u32 {
    let alert = if router_alert { ROUTER_ALERT.len() } else { 0 };
    let udp = if encap.is_native() { 0 } else { UDP_HEADER };
    (IP_HEADER + alert + udp) as u32
}

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
pub(crate) struct Route(*mut b::rtable);

impl Drop for Route {
    fn drop(&mut self) {
        // SAFETY: The reference is ours.
        unsafe { b::pgm_rt_put(self.0) };
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
        let (daddr, saddr) = (address::be32(daddr)?, address::be32(saddr)?);
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
            if b::pgm_is_err(route.cast()) {
                return Err(Error::from_errno(b::pgm_ptr_err(route.cast()) as i32));
            }
            Ok(Self {
                route: Route(route),
                source: address::v4(flow.saddr),
            })
        }
    }

    /// The route that the socket's last multicast packet took, unless routes changed since.
    ///
    /// # Safety
    ///
    /// `sk` is locked.
    unsafe fn cached(sk: *mut b::sock, source: Addr) -> Option<Self> {
        // SAFETY: By the caller; the reference is ours.
        let route = unsafe { b::pgm_cached_rt(sk) };
        (!route.is_null()).then_some(Self {
            route: Route(route),
            source,
        })
    }

    /// Keeps the route for [`Way::cached`].
    ///
    /// # Safety
    ///
    /// `sk` is locked.
    pub(crate) unsafe fn cache(&self, sk: *mut b::sock) {
        // SAFETY: By the caller; the socket takes a reference of its own.
        unsafe { b::pgm_cache_rt(sk, self.route.0) };
    }

    /// The number of its interface.
    pub(crate) fn device(&self) -> i32 {
        // SAFETY: The route holds its device.
        unsafe { b::pgm_rt_ifindex(self.route.0) }
    }

    /// Whether its interface is up.
    pub(crate) fn is_up(&self) -> bool {
        // SAFETY: The route holds its device.
        unsafe { b::pgm_dev_is_up(b::pgm_rt_dev(self.route.0)) }
    }

    /// The route's MTU, or the interface's if IP_MTU_DISCOVER says so.
    ///
    /// # Safety
    ///
    /// `sk` is a live socket.
    pub(crate) unsafe fn mtu(&self, sk: *const b::sock) -> u32 {
        // SAFETY: The route is valid.
        let mtu = unsafe {
            if b::pgm_uses_pmtu(sk) {
                b::pgm_dst_mtu(self.route.0)
            } else {
                b::pgm_dev_mtu(self.route.0)
            }
        };
        mtu.min(u32::from(u16::MAX))
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
        // SAFETY: The route holds its device.
        address::v4(unsafe {
            b::inet_select_addr(
                b::pgm_rt_dev(self.route.0).cast(),
                0,
                b::rt_scope_t_RT_SCOPE_HOST as c_int,
            )
        })
    }
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
    path: Path,
    destination: Destination,
    router_alert: bool,
    header: &[u8],
    payload: Option<*const b::pgm_pages>,
    completes: Option<Sqn>,
) -> Result {
    let this = sk;
    let sk: *mut b::sock = sk.cast();
    // SAFETY: Constant.
    let encap = unsafe { (*this).encap };
    let port = match destination {
        Destination::Group | Destination::GroupLocal => encap.mcast,
        Destination::Unicast(_) => encap.ucast,
    };
    let (daddr, saddr, oif) = match destination {
        Destination::Group | Destination::GroupLocal => (path.group, path.source, path.oif),
        // SAFETY: The socket is valid.
        Destination::Unicast(addr) => (addr, ANY4, unsafe { b::pgm_sk_bound_dev(sk) }),
    };
    // Only a source has an address of its own; [`crate::link`] keeps its route.
    let keep = !saddr.is_unspecified();
    // SAFETY: The socket is locked by the caller.
    let way = unsafe {
        if keep {
            Way::cached(sk, saddr).ok_or(ENETUNREACH)?
        } else {
            Way::find(this, oif, daddr, saddr, port)?
        }
    };
    let inet: *mut b::inet_sock = sk.cast();
    // SAFETY: The socket is valid and locked.
    let ttl = unsafe {
        match destination {
            Destination::Group => (*inet).mc_ttl,
            Destination::GroupLocal => 1,
            Destination::Unicast(_) => b::pgm_unicast_ttl(sk, way.route.0),
        }
    };
    let (source, daddr) = (address::be32(way.source)?, address::be32(daddr)?);
    let options: &[u8] = if router_alert { &ROUTER_ALERT } else { &[] };
    let ip_len = IP_HEADER + options.len();
    let len = u32::try_from(header.len())?;

    // SAFETY: The skb is new and ours until ip_local_out() takes it; every pointer below is to
    // room that skb_push() and skb_put() just made.
    unsafe {
        let skb = b::pgm_alloc_skb(HEADROOM + len, b::GFP_ATOMIC_);
        if skb.is_null() {
            return Err(ENOBUFS);
        }
        b::pgm_skb_reserve(skb, HEADROOM as i32);
        let to = b::skb_put(skb, len).cast::<u8>();
        core::ptr::copy_nonoverlapping(header.as_ptr(), to, header.len());
        if let Some(payload) = payload {
            b::pgm_share_pages(skb, payload);
        }
        if port != 0 {
            b::skb_push(skb, UDP_HEADER as u32);
            b::pgm_reset_transport(skb);
            b::pgm_fill_udp(skb, encap.ucast.to_be(), port.to_be());
            b::udp_set_csum(false, skb, source, daddr, (*skb).len as c_int);
        } else {
            b::pgm_reset_transport(skb);
        }
        let ip = b::skb_push(skb, ip_len as u32).cast::<b::iphdr>();
        b::pgm_reset_network(skb);
        let first = (4u8 << 4) | (ip_len / 4) as u8;
        ip.cast::<u8>().write(first);
        (*ip).tos = (*inet).tos;
        let limit = match destination {
            Destination::Unicast(_) => way.mtu(sk),
            _ => path.mtu,
        };
        // A repair may be larger than a packet may be by now: then IP cuts it, unless
        // IP_MTU_DISCOVER forbids that.
        let forbidden = matches!(
            u32::from((*inet).pmtudisc),
            b::IP_PMTUDISC_DO | b::IP_PMTUDISC_PROBE
        );
        let fits = (*skb).len <= limit && b::pgm_dont_fragment(sk, way.route.0) != 0;
        (*ip).frag_off = if forbidden || fits {
            (b::IP_DF as u16).to_be()
        } else {
            0
        };
        (*ip).ttl = ttl;
        (*ip).protocol = if port == 0 {
            b::IPPROTO_PGM
        } else {
            b::IPPROTO_UDP
        } as u8;
        (*ip).__bindgen_anon_1.__bindgen_anon_1.saddr = source;
        (*ip).__bindgen_anon_1.__bindgen_anon_1.daddr = daddr;
        core::ptr::copy_nonoverlapping(options.as_ptr(), ip.cast::<u8>().add(20), options.len());
        b::skb_set_owner_w(skb, sk);
        b::pgm_clear_ipcb(skb);
        b::pgm_set_tx_meta(skb, sk);
        if let Some(sqn) = completes {
            b::pgm_tx_timestamp(skb, sk, sqn.get());
        }
        let net = b::pgm_sock_net(sk);
        b::pgm_skb_set_rt(skb, way.route.0);
        core::mem::forget(way);
        b::pgm_select_ident(net, skb, sk);
        // A negative answer means lost on this host, like NET_XMIT_DROP on the way.
        let _ = b::ip_local_out(net, sk, skb);
    }
    Ok(())
}
