// SPDX-License-Identifier: GPL-2.0

//! PGM (RFC 3208) as a socket: `socket(AF_INET or AF_INET6, SOCK_RDM, IPPROTO_PGM)`.
//!
//! The protocol itself is `pgm_core` (engine) and `pgm_wire` (codec), which know nothing of the
//! kernel. This crate gives them sockets, time, memory and packets.

// Inherited from C: every entry point is an unsafe function by nature.
#![deny(unsafe_op_in_unsafe_fn)]

use kernel::prelude::*;
use pgm_bindings as b;

mod account;
mod children;
mod close;
mod cork;
mod counters;
mod demux;
mod engine;
mod events;
mod icmp;
mod input;
mod link;
mod listener;
mod net;
mod netns;
mod observe;
mod ops;
mod options;
mod poll;
mod proc;
mod receive;
mod sock;
mod source;
mod sysctl;

module! {
    type: Pgm,
    name: "pgm",
    authors: ["PGM for Linux"],
    description: "Pragmatic General Multicast (RFC 3208) sockets",
    license: "GPL",
    alias: [
        "net-pf-2-proto-113-type-4",
        "net-pf-2-proto-113",
        "net-pf-2-proto-0-type-4",
        "net-pf-10-proto-113-type-4",
        "net-pf-10-proto-113",
        "net-pf-10-proto-0-type-4",
    ],
}

struct Pgm {
    _registration: ops::Registration,
}

impl kernel::Module for Pgm {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        check_layout()?;
        Ok(Self {
            _registration: ops::Registration::new()?,
        })
    }
}

/// Refuses to run if bindgen and the C compiler disagree on a structure both use.
fn check_layout() -> Result {
    use core::mem::{offset_of, size_of};
    let rust = [
        size_of::<b::sock>(),
        size_of::<b::inet_sock>(),
        offset_of!(b::sock, sk_receive_queue),
        offset_of!(b::sock, sk_shutdown),
        offset_of!(b::inet_sock, inet_saddr),
        offset_of!(b::inet_sock, mc_list),
        offset_of!(b::inet_sock, pinet6),
        size_of::<b::ipv6_pinfo>(),
        offset_of!(b::ipv6_pinfo, mcast_hops),
        offset_of!(b::ipv6_pinfo, ipv6_mc_list),
        size_of::<b::hrtimer>(),
        size_of::<b::proto>(),
    ];
    for (i, ours) in rust.iter().enumerate() {
        // SAFETY: helpers.c lists as many.
        let theirs = unsafe { *core::ptr::addr_of!(b::pgm_layout).cast::<usize>().add(i) };
        if *ours != theirs {
            pr_err!("layout {} is {} in Rust, {} in C\n", i, ours, theirs);
            return Err(EINVAL);
        }
    }
    Ok(())
}
