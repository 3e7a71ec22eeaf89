// SPDX-License-Identifier: GPL-2.0
//! Hostile PGM packets: any packet that the format allows, the same with something wrong in it, and
//! noise. Each follows from a seed and a number, so that any of them can be made again.

pub mod any;
pub mod choice;
pub mod ip;
pub mod mutation;
pub mod storm;
