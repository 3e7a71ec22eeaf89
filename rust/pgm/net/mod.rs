// SPDX-License-Identifier: GPL-2.0

//! The kernel's networking objects, wrapped: all `unsafe` that does not belong to an entry point
//! lives here.

use kernel::prelude::*;

pub(crate) mod address;
pub(crate) mod burst;
pub(crate) mod heap;
pub(crate) mod lock;
pub(crate) mod membership;
pub(crate) mod output;
pub(crate) mod rcu;
pub(crate) mod skb;
pub(crate) mod timer;
pub(crate) mod trace;
pub(crate) mod tray;
pub(crate) mod udp;
pub(crate) mod user;

/// Whether an error of the kernel's means that memory is short.
pub(crate) fn is_memory(error: Error) -> bool {
    error == ENOMEM || error == ENOBUFS
}
