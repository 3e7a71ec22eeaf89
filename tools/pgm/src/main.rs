// SPDX-License-Identifier: GPL-2.0

//! pgm(1): files and streams over PGM sockets, and a look at these.

#![deny(unsafe_code)]

mod address;
mod cli;
mod diag;
mod list;
mod rcvinfo;
mod recv;
mod report;
mod send;
mod socket;
mod stat;
mod sys;
mod table;
mod top;
mod units;
mod zmq;

use std::process::ExitCode;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::read();
    let result = match &cli.command {
        Command::Send(args) => send::run(args),
        Command::Recv(args) => recv::run(args),
        Command::List(args) => list::run(args),
        Command::Stat(args) => stat::run(args),
        Command::Top(args) => top::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads a list may have seen enough.
        Err(error) if cli.command.only_prints() && is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let kind = io.map(std::io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>();
        let kind = kind.or(json.and_then(serde_json::Error::io_error_kind));
        kind == Some(std::io::ErrorKind::BrokenPipe)
    })
}
