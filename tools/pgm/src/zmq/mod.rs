// SPDX-License-Identifier: GPL-2.0

//! `--zmq`: messages of ZeroMQ's PUB and SUB sockets over `pgm://` and `epgm://`.

mod complaints;
mod framing;
mod publish;
mod publishers;
mod subscribe;
mod text;

pub use publish::run as publish;
pub use subscribe::run as subscribe;
pub use text::parse_part;
