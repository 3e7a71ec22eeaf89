// SPDX-License-Identifier: GPL-2.0

//! `pgm send`

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::cli::Send;
use crate::report::{Summary, Tally};
use crate::socket::{PgmSocket, SenderStats, SourceSettings};
use crate::units;
use crate::zmq;

/// How many messages one read of the input fills.
const MESSAGES_PER_READ: usize = 64;
/// SPMs while the session is announced: enough for one to get through a bad link.
const ANNOUNCEMENTS: u32 = 8;

/// Sends the input and waits for repairs to cease.
pub fn run(args: &Send) -> Result<()> {
    let (input, total) = open(args)?;
    let (window, window_bytes) = args.window().map_err(anyhow::Error::msg)?;
    let socket = PgmSocket::source(
        &args.place.get(),
        &SourceSettings {
            rate_kbit: args.rate,
            window,
            window_bytes,
            ambient: (args.announce / ANNOUNCEMENTS)
                .clamp(Duration::from_millis(50), Duration::from_secs(1)),
            ttl: args.ttl,
            multicast_loop: args.loopback(),
        },
    )?;
    let tsi = socket.tsi();

    let mut tally = Tally::new(total);
    let result = transfer(args, &socket, input, &mut tally);
    let stats = socket.sender_stats().ok();
    let totals = tally.finish();

    if result.is_ok() {
        let repairs = stats.map_or(0, |stats: SenderStats| stats.rdata);
        eprintln!(
            "pgm: sent {}, {}",
            totals.sentence(),
            units::count(repairs, "repair")
        );
    }
    if args.json {
        Summary {
            role: "send",
            ok: result.is_ok(),
            error: result.as_ref().err().map(|error| format!("{error:#}")),
            group: args.place.endpoint.group.to_string(),
            port: args.place.endpoint.port,
            tsi,
            source: None,
            totals: &totals,
            stats,
        }
        .print(false)
        .context("cannot print the summary")?;
    }
    result
}

fn open(args: &Send) -> Result<(Box<dyn Read>, Option<u64>)> {
    let Some(path) = args.file.as_ref().filter(|path| path.as_os_str() != "-") else {
        return Ok((Box::new(std::io::stdin()), None));
    };
    let context = || format!("cannot read '{}'", path.display());
    let file = File::open(path).with_context(context)?;
    let metadata = file.metadata().with_context(context)?;
    if metadata.is_dir() {
        bail!(
            "'{}' is a directory; send an archive of it (tar -c ... | pgm send ...)",
            path.display()
        );
    }
    let total = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), total))
}

fn transfer(
    args: &Send,
    socket: &PgmSocket,
    input: Box<dyn Read>,
    tally: &mut Tally,
) -> Result<()> {
    if args.zmq {
        sleep(args.announce);
        let bytes = zmq::publish(args, socket, input, tally)?;
        return end(args, socket, bytes);
    }
    let size = match args.message_size {
        None => socket
            .mss()
            .context("cannot learn how much fits one packet")?,
        Some(size) => {
            let size = usize::try_from(size)?;
            let max = socket
                .message_max()
                .context("cannot learn the largest message")?;
            if size > max {
                bail!("messages of {size} bytes are too large: the kernel takes up to {max}");
            }
            size
        }
    };
    sleep(args.announce);

    // Whole messages but for the last; a pipe's data go out as they come.
    let mut input = BufReader::with_capacity(size.saturating_mul(MESSAGES_PER_READ), input);
    loop {
        let piece = match input.fill_buf() {
            Ok([]) => break,
            Ok(piece) => piece.get(..size).unwrap_or(piece),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read the input"),
        };
        socket.send(piece).context("cannot send")?;
        tally.add(piece);
        let len = piece.len();
        input.consume(len);
    }
    if tally.messages() == 0 {
        // A session without data would never reach a listener: nothing, too, must be said.
        socket.send(&[]).context("cannot send")?;
    }
    end(args, socket, tally.bytes())
}

/// Ends the session after so many bytes.
fn end(args: &Send, socket: &PgmSocket, bytes: u64) -> Result<()> {
    socket
        .finish()
        .context("cannot end the transfer in good order")?;
    wait_for_repairs(socket, bytes, args.linger);
    Ok(())
}

/// Until everything has left and no NAK has come for `quiet`. Only the counters depend on this: the
/// kernel repairs on its own after close().
fn wait_for_repairs(socket: &PgmSocket, bytes: u64, quiet: Duration) {
    let mut naks = 0;
    let mut since = Instant::now();
    while since.elapsed() < quiet {
        sleep(Duration::from_millis(50).min(quiet));
        let Ok(stats) = socket.sender_stats() else {
            return;
        };
        if stats.odata_bytes < bytes || stats.naks != naks {
            naks = stats.naks;
            since = Instant::now();
        }
    }
}
