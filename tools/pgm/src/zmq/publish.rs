// SPDX-License-Identifier: GPL-2.0

//! `pgm send --zmq`: every line of the input is a message to subscribers.

use std::io::{BufRead, BufReader, Read};

use anyhow::{anyhow, Context, Result};

use super::framing::{Packer, PACKET_MAX};
use super::text;
use crate::cli::Send;
use crate::report::Tally;
use crate::socket::PgmSocket;

/// Sends the lines; returns how many bytes that took.
pub fn run(
    args: &Send,
    socket: &PgmSocket,
    input: Box<dyn Read>,
    tally: &mut Tally,
) -> Result<u64> {
    let mss = socket
        .mss()
        .context("cannot learn how much fits one packet")?;
    // Never in fragments: a subscriber ends its process at these.
    let size = args.message_size.map_or(Ok(PACKET_MAX), usize::try_from)?;
    let mut packer = Packer::new(size.min(mss));
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut line = Vec::new();
    let mut number = 0u64;
    let mut bytes = 0u64;
    let mut send = |packet: &[u8]| {
        bytes = bytes.saturating_add(u64::try_from(packet.len())?);
        socket.send(packet).context("cannot send")
    };
    while input
        .read_until(b'\n', &mut line)
        .context("cannot read the input")?
        > 0
    {
        number = number.saturating_add(1);
        let mut parts = text::parse(line.strip_suffix(b"\n").unwrap_or(&line))
            .map_err(|reason| anyhow!("line {number} of the input has {reason}"))?;
        if let Some(topic) = &args.topic {
            parts.insert(0, topic.0.clone());
        }
        tally.add(&parts.concat());
        packer.add(&parts, &mut send)?;
        // What comes line by line goes out line by line.
        if input.buffer().is_empty() {
            packer.flush(&mut send)?;
        }
        line.clear();
    }
    packer.flush(&mut send)?;
    Ok(bytes)
}
