// SPDX-License-Identifier: GPL-2.0

//! OpenPGM 5.3's public interface over the kernel's PGM sockets: programs that are linked against
//! libpgm-5.3.so.0, ZeroMQ first of all, use the kernel when they find this library instead.
//!
//! What differs from OpenPGM is in README.rst. All `unsafe` is in `boundary`, where C comes in, and in
//! the system calls that are shared with pgm(1).

#![deny(unsafe_code)]

mod abi;
mod boundary;
mod failure;
mod gsi;
mod network;
mod options;
#[path = "../../pgm/src/rcvinfo.rs"]
mod rcvinfo;
mod sock;
#[path = "../../pgm/src/sys.rs"]
mod sys;
