// SPDX-License-Identifier: GPL-2.0

//! A source driven by hand: packets go through the codec both ways, time moves when the test says so.

#![allow(clippy::arithmetic_side_effects)]

mod advance;
mod bench;
mod closing;
mod join;
mod model;
mod naks;
mod spms;
mod steering;
mod window;
