// SPDX-License-Identifier: GPL-2.0

//! What a transfer tells its user: progress, the closing sentence, the JSON summary.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::socket::Tsi;
use crate::units;

/// Bytes, messages and hash of a transfer while it runs.
pub struct Tally {
    started: Option<Instant>,
    last: Option<Instant>,
    bytes: u64,
    messages: u64,
    hash: Sha256,
    bar: ProgressBar,
}

impl Tally {
    /// `total` bytes are expected, if that is known. The bar appears on a terminal only.
    pub fn new(total: Option<u64>) -> Self {
        let bar = if !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else if let Some(total) = total {
            ProgressBar::new(total).with_style(style(
                "{wide_bar} {percent}% of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left",
            ))
        } else {
            ProgressBar::new_spinner()
                .with_style(style("{spinner} {decimal_bytes}  {decimal_bytes_per_sec}"))
        };
        Self {
            started: None,
            last: None,
            bytes: 0,
            messages: 0,
            hash: Sha256::new(),
            bar,
        }
    }

    /// Counts one message.
    pub fn add(&mut self, message: &[u8]) {
        let now = Instant::now();
        self.started.get_or_insert(now);
        self.last = Some(now);
        let len = u64::try_from(message.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(len);
        self.messages = self.messages.saturating_add(1);
        self.hash.update(message);
        self.bar.inc(len);
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Messages so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Takes the bar away and sums up.
    pub fn finish(self) -> Totals {
        self.bar.finish_and_clear();
        let time = match (self.started, self.last) {
            (Some(started), Some(last)) => last.duration_since(started),
            _ => Duration::ZERO,
        };
        let seconds = time.as_secs_f64();
        Totals {
            bytes: self.bytes,
            messages: self.messages,
            seconds,
            bits_per_second: if seconds > 0.0 {
                self.bytes as f64 * 8.0 / seconds
            } else {
                0.0
            },
            sha256: self
                .hash
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// What a transfer amounted to. Seconds run from the first message to the last.
#[derive(Debug, Serialize)]
pub struct Totals {
    pub bytes: u64,
    pub messages: u64,
    pub seconds: f64,
    pub bits_per_second: f64,
    pub sha256: String,
}

impl Totals {
    /// "12.6 MB in 5.0 s (20.0 Mbit/s)"
    pub fn sentence(&self) -> String {
        format!(
            "{} in {:.1} s ({})",
            units::bytes(self.bytes),
            self.seconds,
            units::rate(self.bits_per_second)
        )
    }
}

/// The line of `--json`.
#[derive(Debug, Serialize)]
pub struct Summary<'a, S: Serialize> {
    pub role: &'static str,
    pub ok: bool,
    pub error: Option<String>,
    pub group: String,
    pub port: u16,
    pub tsi: Option<Tsi>,
    pub source: Option<String>,
    #[serde(flatten)]
    pub totals: &'a Totals,
    pub stats: Option<S>,
}

impl<S: Serialize> Summary<'_, S> {
    /// Prints the line to standard output, or to standard error if the data went there.
    pub fn print(&self, data_on_stdout: bool) -> std::io::Result<()> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        if data_on_stdout {
            std::io::stderr().write_all(line.as_bytes())
        } else {
            std::io::stdout().write_all(line.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_counts_and_hashes() {
        let mut tally = Tally::new(None);
        tally.add(b"ab");
        tally.add(b"");
        tally.add(b"c");
        assert_eq!(tally.bytes(), 3);
        let totals = tally.finish();
        assert_eq!((totals.bytes, totals.messages), (3, 3));
        assert_eq!(
            totals.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(totals.bits_per_second.is_finite());
    }

    #[test]
    fn summary_is_one_flat_line() {
        let totals = Tally::new(None).finish();
        let summary = Summary::<()> {
            role: "recv",
            ok: false,
            error: Some("why".to_owned()),
            group: "239.192.0.1".to_owned(),
            port: 7500,
            tsi: None,
            source: None,
            totals: &totals,
            stats: None,
        };
        let value = serde_json::to_value(&summary).expect("serializable");
        assert_eq!(value["bytes"], 0);
        assert_eq!(value["ok"], false);
        assert_eq!(value["error"], "why");
    }
}
