// SPDX-License-Identifier: GPL-2.0

//! `pgm top`: what every session does now.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{bail, Result};
use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::{cursor, execute, queue, style, terminal};
use serde::Serialize;

use crate::cli::Top;
use crate::diag::{self, Role, Row};
use crate::list::{names, WORDS};
use crate::socket::Tsi;
use crate::table;
use crate::units;

const HEADER: [&str; 11] = [
    "ROLE",
    "SOURCE",
    "GROUP",
    "TSI",
    "RATE",
    "PACKETS/s",
    "REPAIRS/s",
    "NAKS/s",
    "LOST/s",
    "WAITING",
    "MEMORY",
];

/// What a session did in a second, on average over the interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Pace {
    bits: f64,
    packets: f64,
    repairs: f64,
    naks: f64,
    lost: f64,
}

/// What it did until now.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    bytes: u64,
    packets: u64,
    repairs: u64,
    naks: u64,
    lost: u64,
}

impl Totals {
    fn of(row: &Row) -> Self {
        if let Some(sender) = &row.sender {
            return Self {
                bytes: sender.bytes,
                packets: sender.odata,
                repairs: sender.rdata,
                naks: sender.naks,
                lost: 0,
            };
        }
        let receiver = row.receiver.unwrap_or_default();
        Self {
            bytes: receiver.bytes,
            packets: receiver.odata.saturating_add(receiver.rdata),
            repairs: receiver.repaired,
            naks: receiver.naks,
            lost: receiver.lost,
        }
    }

    fn since(&self, before: &Self, time: Duration) -> Pace {
        let seconds = time.as_secs_f64().max(1e-3);
        let pace = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Pace {
            bits: pace(self.bytes, before.bytes) * 8.0,
            packets: pace(self.packets, before.packets),
            repairs: pace(self.repairs, before.repairs),
            naks: pace(self.naks, before.naks),
            lost: pace(self.lost, before.lost),
        }
    }
}

/// Two looks at the same session have this in common.
type Key = (Role, Option<Tsi>, u32);

/// A look at all sessions.
struct Look {
    at: Instant,
    totals: HashMap<Key, Totals>,
}

/// A line of the table.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row,
    per_second: Pace,
}

impl Look {
    /// Looks again: the rows and what they did since the last look, the busiest first.
    fn again(&mut self, now: Instant, rows: &[Row]) -> Vec<(usize, Pace)> {
        let time = now.saturating_duration_since(self.at);
        let mut totals = HashMap::new();
        let mut lines = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let key = (row.role, row.tsi, row.inode);
            let current = Totals::of(row);
            // What is new began during the interval, or before the first look: it has no pace yet.
            let before = self.totals.get(&key).copied().unwrap_or(current);
            lines.push((place, current.since(&before, time)));
            totals.insert(key, current);
        }
        lines.sort_by(|(_, a), (_, b)| b.bits.total_cmp(&a.bits));
        *self = Self { at: now, totals };
        lines
    }
}

pub fn run(args: &Top) -> Result<()> {
    let mut look = Look {
        at: Instant::now(),
        totals: HashMap::new(),
    };
    look.again(Instant::now(), &diag::rows()?);
    if args.json {
        return print(args, &mut look);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!("top needs a terminal; pgm top --json or pgm list print to anything");
    }
    let _screen = Screen::new()?;
    let mut left = args.count;
    while left != Some(0) {
        draw(&mut look)?;
        if quit(args.interval)? {
            break;
        }
        left = left.map(|left| left.saturating_sub(1));
    }
    Ok(())
}

/// A line of JSON for each session and interval.
fn print(args: &Top, look: &mut Look) -> Result<()> {
    let mut left = args.count;
    while left != Some(0) {
        std::thread::sleep(args.interval);
        let rows = diag::rows()?;
        let lines = look.again(Instant::now(), &rows);
        let lines: Vec<Line<'_>> = lines
            .iter()
            .filter_map(|(place, pace)| {
                Some(Line {
                    row: rows.get(*place)?,
                    per_second: *pace,
                })
            })
            .collect();
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &lines)?;
        writeln!(out)?;
        out.flush()?;
        left = left.map(|left| left.saturating_sub(1));
    }
    Ok(())
}

/// The terminal in raw mode, as it was before when dropped.
struct Screen;

impl Screen {
    fn new() -> Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Waits for the end of the interval; true if the user wants to leave. A new size is drawn at once.
fn quit(interval: Duration) -> Result<bool> {
    let until = Instant::now() + interval;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        match event::read()? {
            Event::Key(key) => {
                let interrupt =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
            Event::Resize(..) => return Ok(false),
            _ => {}
        }
    }
}

fn draw(look: &mut Look) -> Result<()> {
    let rows = diag::rows()?;
    let lines = look.again(Instant::now(), &rows);
    // A terminal that does not know its size is an ordinary one.
    let (width, height) = match terminal::size()? {
        (0, _) | (_, 0) => (80, 24),
        size => size,
    };
    let mut out = io::stdout().lock();
    queue!(out, terminal::Clear(terminal::ClearType::All))?;
    for (n, line) in (0..height).zip(page(&rows, &lines)) {
        let line: String = line.chars().take(width.into()).collect();
        queue!(out, cursor::MoveTo(0, n), style::Print(line))?;
    }
    out.flush()?;
    Ok(())
}

/// The screen: a line of sums, then a line for each session.
fn page(rows: &[Row], lines: &[(usize, Pace)]) -> Vec<String> {
    let count = |role: fn(&Row) -> bool| rows.iter().filter(|row| role(row)).count() as u64;
    let sums = format!(
        "pgm top: {}, {} of receivers, {}   (q quits)",
        units::count(count(Row::is_source), "source"),
        units::count(
            count(|row| matches!(row.role, Role::Session | Role::Peer)),
            "session"
        ),
        units::count(count(|row| row.role == Role::Listener), "listener"),
    );
    let cells: Vec<_> = lines
        .iter()
        .filter_map(|(place, pace)| Some(cells(rows.get(*place)?, pace)))
        .collect();
    let mut page = vec![sums, String::new()];
    page.extend(table::render(&HEADER, &cells, WORDS));
    page
}

fn cells(row: &Row, pace: &Pace) -> Vec<String> {
    let mut cells = names(row);
    let number = |value: f64| format!("{value:.0}");
    // Of a source what it has not sent, of a receiver what it does not have yet.
    let waiting = match row.role {
        Role::Source => row.queued_sqns,
        Role::Listener | Role::Datagram => row.sessions,
        Role::Session | Role::Peer => row
            .back_off
            .saturating_add(row.wait_ncf)
            .saturating_add(row.wait_data),
    };
    let memory = if row.is_source() {
        row.send_memory
    } else {
        row.receive_memory
    };
    cells.extend([
        units::rate(pace.bits),
        number(pace.packets),
        number(pace.repairs),
        number(pace.naks),
        number(pace.lost),
        waiting.to_string(),
        units::bytes(memory.into()),
    ]);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::tests::row;

    #[test]
    fn pace_is_what_was_added_in_a_second() {
        let mut rows = vec![row(5, 0), row(1, 0)];
        let start = Instant::now();
        let mut look = Look {
            at: start,
            totals: HashMap::new(),
        };
        for (_, pace) in look.again(start, &rows) {
            assert_eq!(pace, Pace::default());
        }
        for row in &mut rows {
            if let Some(sender) = &mut row.sender {
                sender.bytes += 1000;
                sender.odata += 10;
            }
        }
        let lines = look.again(start + Duration::from_secs(2), &rows);
        // The busiest first.
        assert_eq!(lines[0].0, 1);
        assert_eq!((lines[0].1.bits, lines[0].1.packets), (4000.0, 5.0));
        let page = page(&rows, &lines);
        assert_eq!(page.len(), 5);
        assert!(page[0].contains("1 source, 1 session of receivers, 0 listeners"));
        assert!(page[3].starts_with("source"));
        assert!(page[3].contains("4.0 kbit/s"));
        assert!(page[4].starts_with("peer"));
    }
}
