// SPDX-License-Identifier: GPL-2.0

//! Standard output that may be a pipe whose reader has seen enough.

use std::fmt::Display;
use std::io::Write;

/// Prints `text` and a newline. Ends the program if nobody listens any more.
pub fn line(text: impl Display) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(1);
    }
}
