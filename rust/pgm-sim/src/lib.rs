// SPDX-License-Identifier: GPL-2.0

//! One source and many receivers of the real engine, joined by a network that loses, delays,
//! duplicates, reorders and damages packets. Time is virtual and a seed decides everything, so a
//! failure replays.
//!
//! The oracle's rule: every receiver delivers exactly the APDUs that were sent, in order and once, or
//! reports each missing one, and every session ends.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod arguments;
pub mod bench;
mod clock;
mod draw;
mod engine;
mod heap;
pub mod histogram;
mod link;
mod network;
mod node;
mod oracle;
pub mod print;
pub mod report;
pub mod scenario;
pub mod suppression;
mod trace;
mod workload;

pub use network::run;
