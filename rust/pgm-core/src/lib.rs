// SPDX-License-Identifier: GPL-2.0

//! The PGM protocol engine (RFC 3208): source and receiver, sans I/O.
//!
//! Nothing here reads a clock, opens a socket, takes a lock or allocates by itself. Time is a
//! parameter, packets come in as [`pgm_wire::Packet`] views with an opaque payload handle `P` (an
//! skb in the kernel, bytes on the host), memory comes from a [`Heap`] and may be refused. What the
//! engine wants is polled: `poll_transmit`, `poll_deliver` and one `poll_timeout`.
//!
//! After every call that takes `&mut self` and a time, the owner polls until each of them is empty
//! and then arms one timer for `poll_timeout`.

#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

mod deadlines;
mod discard;
#[cfg(any(test, feature = "fuzz"))]
mod draw;
mod memory;
mod meter;
mod paged;
mod ring;
mod rng;

mod shaper;
mod time;
mod transmit;

pub mod receiver;
pub mod settings;
pub mod source;

pub use deadlines::{Deadlines, Position, Positions};
pub use discard::Discard;
#[cfg(any(test, feature = "std"))]
pub use memory::StdHeap;
pub use memory::{Heap, NakState, NoMemory};
pub use meter::Rates;
#[cfg(any(test, feature = "std"))]
pub use paged::steps::take as take_steps;
pub use ring::{Ring, RING_MAX};
pub use rng::Rng;
pub use settings::{Setting, SETTINGS};
pub use time::{Duration, Instant};
pub use transmit::{Destination, Transmit};
