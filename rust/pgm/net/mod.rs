// SPDX-License-Identifier: GPL-2.0

//! The kernel's networking objects, wrapped: all `unsafe` that does not belong to an entry point
//! lives here.

pub(crate) mod address;
pub(crate) mod heap;
pub(crate) mod lock;
pub(crate) mod membership;
pub(crate) mod output;
pub(crate) mod rcu;
pub(crate) mod skb;
pub(crate) mod timer;
pub(crate) mod trace;
pub(crate) mod udp;
pub(crate) mod user;
