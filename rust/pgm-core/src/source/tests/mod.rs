// SPDX-License-Identifier: GPL-2.0

//! A source driven by hand: packets go through the codec both ways, time moves when the test says so.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(not(test), allow(dead_code, unused_imports))]

mod advance;
mod bench;
mod bounds;
mod clock;
mod closing;
#[cfg(test)]
mod express;
pub mod fuzz;
mod join;
#[cfg(test)]
mod model;
mod naks;
mod reference;
mod spms;
mod steering;
mod window;
