// SPDX-License-Identifier: GPL-2.0

//! `pgm stat`: the counters of this network namespace.

use std::io::{self, Write};
use std::thread::sleep;

use anyhow::{bail, Context, Result};

use crate::cli::Stat;

const FILE: &str = "/proc/net/pgm/snmp";

/// Names and values, in the kernel's order.
type Counters = Vec<(String, u64)>;

pub fn run(args: &Stat) -> Result<()> {
    let mut before = read()?;
    let Some(interval) = args.interval else {
        return print(args, &before);
    };
    let mut left = args.count;
    while left != Some(0) {
        sleep(interval);
        let now = read()?;
        print(args, &difference(&now, &before))?;
        before = now;
        left = left.map(|left| left.saturating_sub(1));
    }
    Ok(())
}

fn read() -> Result<Counters> {
    match std::fs::read_to_string(FILE) {
        Ok(text) => parse(&text).with_context(|| format!("{FILE} is not what was expected")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("this kernel has no PGM: the module pgm is not loaded (modprobe pgm)")
        }
        Err(error) => Err(error).context(FILE),
    }
}

/// A line of names and a line of values, both after "Pgm:".
fn parse(text: &str) -> Option<Counters> {
    let mut lines = text.lines();
    let mut words = || {
        lines
            .next()?
            .strip_prefix("Pgm: ")
            .map(str::split_whitespace)
    };
    let (names, values) = (words()?, words()?);
    let counters = names.zip(values);
    let counters = counters.map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    counters.collect()
}

fn difference(now: &Counters, before: &Counters) -> Counters {
    now.iter()
        .map(|(name, value)| {
            let old = before.iter().find(|(other, _)| other == name);
            let old = old.map_or(0, |(_, value)| *value);
            (name.clone(), value.saturating_sub(old))
        })
        .collect()
}

fn print(args: &Stat, counters: &Counters) -> Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        let map: serde_json::Map<_, _> = counters
            .iter()
            .map(|(name, value)| (name.clone(), (*value).into()))
            .collect();
        serde_json::to_writer(&mut out, &map)?;
        writeln!(out)?;
    } else {
        for line in lines(counters, args.zero) {
            writeln!(out, "{line}")?;
        }
        if args.interval.is_some() {
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn lines(counters: &Counters, zero: bool) -> Vec<String> {
    counters
        .iter()
        .filter(|(_, value)| zero || *value != 0)
        .map(|(name, value)| format!("{name:<32}{value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_what_was_added() {
        let before = parse("Pgm: A B\nPgm: 1 2\n").expect("sound");
        let now = parse("Pgm: A B C\nPgm: 1 5 7\n").expect("sound");
        let added = difference(&now, &before);
        assert_eq!(added, [("A".into(), 0), ("B".into(), 3), ("C".into(), 7)]);
        assert_eq!(lines(&added, false).len(), 2);
        assert_eq!(lines(&added, true).len(), 3);
        assert!(lines(&added, false)[0].starts_with("B "));
        assert!(lines(&added, false)[0].ends_with(" 3"));
        for wrong in ["", "Pgm: A", "Pgm: A\nIp: 1", "Pgm: A\nPgm: x\n"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
