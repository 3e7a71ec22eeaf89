// SPDX-License-Identifier: GPL-2.0

//! `pgm list`: the sources and receivers of this network namespace.

use std::io::{self, Write};

use anyhow::Result;

use crate::cli::List;
use crate::diag::{self, Row};
use crate::table;
use crate::units;

const SOURCES: [&str; 15] = [
    "ROLE", "LOCAL", "GROUP", "TSI", "TRAIL", "LEAD", "RATE", "LIMIT", "QUEUED", "ODATA", "RDATA",
    "NAKS", "PENDING", "MEMORY", "INODE",
];
const RECEIVERS: [&str; 17] = [
    "ROLE", "SOURCE", "GROUP", "TSI", "TRAIL", "LEAD", "RATE", "DATA", "MISSING", "REPAIRED",
    "LOST", "BACKOFF", "NCF", "RDATA", "SESSIONS", "MEMORY", "INODE",
];
/// Columns that are words.
pub const WORDS: usize = 4;

pub fn run(args: &List) -> Result<()> {
    let rows = diag::rows()?;
    let both = args.sources == args.receivers;
    let wanted = |row: &&Row| both || row.is_source() == args.sources;
    let mut out = io::stdout().lock();
    if args.json {
        for row in rows.iter().filter(wanted) {
            serde_json::to_writer(&mut out, row)?;
            writeln!(out)?;
        }
        return Ok(());
    }
    let (sources, receivers): (Vec<&Row>, Vec<&Row>) =
        rows.iter().filter(wanted).partition(|row| row.is_source());
    let mut lines = Vec::new();
    if both || args.sources {
        lines.extend(show_sources(&sources));
    }
    if both {
        lines.push(String::new());
    }
    if both || args.receivers {
        lines.extend(show_receivers(&receivers));
    }
    writeln!(out, "{}", lines.join("\n"))?;
    Ok(())
}

/// Role, address, group and session.
pub fn names(row: &Row) -> Vec<String> {
    let dash = || "-".to_owned();
    let group = match row.group {
        Some(group) => std::net::SocketAddr::new(group, row.port).to_string(),
        None => format!("*:{}", row.port),
    };
    vec![
        row.state().to_owned(),
        row.source.map_or_else(dash, |source| source.to_string()),
        group,
        row.tsi.map_or_else(dash, |tsi| tsi.to_string()),
    ]
}

/// A rate of so many kbit/s.
fn kbit(rate: u64) -> String {
    units::rate(rate as f64 * 1000.0)
}

fn show_sources(rows: &[&Row]) -> Vec<String> {
    let cells = |row: &&Row| {
        let sender = row.sender.unwrap_or_default();
        let mut cells = names(row);
        cells.extend([
            sender.trail.to_string(),
            sender.lead.to_string(),
            kbit(sender.rate_recent_kbit),
            kbit(row.rate_kbit.into()),
            units::bytes(row.queued_bytes.into()),
            sender.odata.to_string(),
            sender.rdata.to_string(),
            sender.naks.to_string(),
            sender.repairs_pending.to_string(),
            units::bytes(row.send_memory.into()),
            row.inode.to_string(),
        ]);
        cells
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    table::render(&SOURCES, &rows, WORDS)
}

fn show_receivers(rows: &[&Row]) -> Vec<String> {
    let cells = |row: &&Row| {
        let mut cells = names(row);
        match row.receiver {
            Some(receiver) => cells.extend([
                receiver.trail.to_string(),
                receiver.lead.to_string(),
                kbit(receiver.rate_recent_kbit),
                receiver.odata.saturating_add(receiver.rdata).to_string(),
                receiver.missing.to_string(),
                receiver.repaired.to_string(),
                receiver.lost.to_string(),
                row.back_off.to_string(),
                row.wait_ncf.to_string(),
                row.wait_data.to_string(),
                "-".to_owned(),
            ]),
            None => {
                cells.extend((0..10).map(|_| "-".to_owned()));
                cells.push(row.sessions.to_string());
            }
        }
        cells.extend([
            units::bytes(row.receive_memory.into()),
            row.inode.to_string(),
        ]);
        cells
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    table::render(&RECEIVERS, &rows, WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::tests::row;

    #[test]
    fn every_row_has_every_column() {
        let sources = show_sources(&[&row(1, 0)]);
        assert_eq!(sources.len(), 2);
        let words: Vec<&str> = sources[1].split_whitespace().collect();
        assert_eq!(
            words[..4],
            [
                "source",
                "10.0.0.1",
                "239.192.0.1:7500",
                "010203040506.8000"
            ]
        );
        assert_eq!(words.last(), Some(&"77"));

        let rows = [row(2, 0), row(3, 0), row(4, 0), row(5, 0)];
        let receivers = show_receivers(&rows.iter().collect::<Vec<_>>());
        assert_eq!(receivers.len(), 5);
        for (line, role) in receivers[1..]
            .iter()
            .zip(["listener", "session", "datagram", "peer"])
        {
            assert!(line.starts_with(role), "{line}");
            assert!(line.ends_with("77"), "{line}");
        }
    }

    #[test]
    fn names_of_what_has_none() {
        let mut row = row(2, 0);
        (row.group, row.source, row.tsi) = (None, None, None);
        assert_eq!(names(&row), ["listener", "-", "*:7500", "-"]);
    }
}
