// SPDX-License-Identifier: GPL-2.0

//! pgm(1): files and streams over PGM sockets.

#![deny(unsafe_code)]

mod address;
mod cli;
mod recv;
mod report;
mod send;
mod socket;
mod sys;
mod units;

use std::process::ExitCode;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::read();
    let result = match &cli.command {
        Command::Send(args) => send::run(args),
        Command::Recv(args) => recv::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgm: {error:#}");
            ExitCode::FAILURE
        }
    }
}
