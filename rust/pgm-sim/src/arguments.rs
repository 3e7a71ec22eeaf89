// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::ops::Range;
use std::path::PathBuf;

use pgm_core::Duration;

use crate::draw::MILLION;

/// What `--help` prints.
pub const USAGE: &str = "\
pgm-sim: seeded simulation of PGM sessions over a bad network

usage:
  pgm-sim --seeds A..B [--jobs N]      run the seeds A to B-1 and print the totals
  pgm-sim --seed N                     run one seed and print everything that happens
  pgm-sim --receivers N [--shared-loss P] [--rtt-us T] [--seed S]
                                       one loss in front of N receivers: how many NAKs come?
                                       P is a percentage (default 2), T microseconds (default 1000)
  pgm-sim --bench FILE [--most N] [--jobs N]
                                       how recovery grows with the number of receivers, up to N
                                       (default 100000), and what overload leaves of the goodput;
                                       a table, and JSON into FILE

exit status: 0 all is as it must be, 1 a run failed (its seed is printed), 2 wrong arguments";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print [`USAGE`].
    Help,
    /// Run many seeds.
    Seeds {
        /// Which.
        seeds: Range<u64>,
        /// On how many threads; 0 for as many as there are processors.
        jobs: usize,
    },
    /// Run one seed with a trace.
    Seed(u64),
    /// Print how things grow.
    Bench {
        /// Where JSON goes.
        file: PathBuf,
        /// The most receivers.
        most: u32,
        /// On how many threads; 0 for as many as there are processors.
        jobs: usize,
    },
    /// Count NAKs behind a shared loss.
    Suppression {
        /// How many receivers.
        receivers: u32,
        /// Loss in parts per million.
        loss: u64,
        /// Mean round-trip time.
        rtt: Duration,
        /// The seed.
        seed: u64,
    },
}

#[derive(Default)]
struct Given {
    seeds: Option<Range<u64>>,
    seed: Option<u64>,
    jobs: Option<usize>,
    receivers: Option<u32>,
    loss: Option<u64>,
    rtt: Option<u32>,
    bench: Option<PathBuf>,
    most: Option<u32>,
}

/// Reads the arguments behind the program's name.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut given = Given::default();
    let mut arguments = arguments;
    while let Some(name) = arguments.next() {
        if name == "--help" || name == "-h" {
            return Ok(Command::Help);
        }
        let mut value = || arguments.next().ok_or(format!("{name} wants a value"));
        match name.as_str() {
            "--seeds" => given.seeds = Some(range(&value()?)?),
            "--seed" => given.seed = Some(number(&name, &value()?)?),
            "--jobs" => given.jobs = Some(number(&name, &value()?)?),
            "--receivers" => given.receivers = Some(number(&name, &value()?)?),
            "--shared-loss" => given.loss = Some(percent(&value()?)?),
            "--bench" => given.bench = Some(value()?.into()),
            "--most" => given.most = Some(number(&name, &value()?)?),
            "--rtt-us" => given.rtt = Some(number(&name, &value()?)?),
            _ => return Err(format!("{name} is not an option; --help lists them")),
        }
    }
    given.command()
}

impl Given {
    fn command(self) -> Result<Command, String> {
        let Self {
            seeds,
            seed,
            jobs,
            receivers,
            loss,
            rtt,
            bench,
            most,
        } = self;
        if let Some(file) = bench {
            let others = (seeds, seed, receivers, loss, rtt);
            if others != (None, None, None, None, None) {
                return Err("--bench goes with --most and --jobs only".into());
            }
            let (most, jobs) = (most.unwrap_or(100_000), jobs.unwrap_or(0));
            return Ok(Command::Bench { file, most, jobs });
        }
        if most.is_some() {
            return Err("--most goes with --bench".into());
        }
        match (seeds, seed, receivers) {
            (Some(seeds), None, None) if loss.is_none() && rtt.is_none() => Ok(Command::Seeds {
                seeds,
                jobs: jobs.unwrap_or(0),
            }),
            (None, Some(seed), None) if jobs.is_none() && loss.is_none() && rtt.is_none() => {
                Ok(Command::Seed(seed))
            }
            (None, seed, Some(receivers)) if jobs.is_none() => {
                if receivers == 0 || receivers > 60_000 {
                    return Err("--receivers is 1 to 60000".into());
                }
                let rtt = rtt.unwrap_or(1_000);
                if rtt == 0 {
                    return Err("--rtt-us is at least 1".into());
                }
                Ok(Command::Suppression {
                    receivers,
                    loss: loss.unwrap_or(20_000),
                    rtt: Duration::from_micros(rtt),
                    seed: seed.unwrap_or(1),
                })
            }
            _ => Err(
                "give one of --seeds A..B, --seed N, --receivers N, --bench FILE; see --help"
                    .into(),
            ),
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{name}: {text} is not a number that fits"))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("--seeds wants A..B")?;
    let seeds = number("--seeds", from)?..number("--seeds", to)?;
    if seeds.is_empty() {
        return Err(format!("--seeds: {text} is empty"));
    }
    Ok(seeds)
}

fn percent(text: &str) -> Result<u64, String> {
    let percent: f64 = number("--shared-loss", text)?;
    if !(0.0..=30.0).contains(&percent) {
        return Err("--shared-loss is 0 to 30 percent".into());
    }
    Ok((percent * MILLION as f64 / 100.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn right_lines_are_understood() {
        let seeds = 3..9;
        assert_eq!(
            read("--seeds 3..9 --jobs 2"),
            Ok(Command::Seeds { seeds, jobs: 2 })
        );
        let bench = Command::Bench {
            file: "x.json".into(),
            most: 64,
            jobs: 0,
        };
        assert_eq!(read("--bench x.json --most 64"), Ok(bench));
        assert_eq!(read("--seed 12"), Ok(Command::Seed(12)));
        assert_eq!(read("--help"), Ok(Command::Help));
        let suppression = Command::Suppression {
            receivers: 1_000,
            loss: 15_000,
            rtt: Duration::from_millis(1),
            seed: 1,
        };
        assert_eq!(read("--receivers 1000 --shared-loss 1.5"), Ok(suppression));
    }

    #[test]
    fn wrong_lines_get_a_sentence() {
        for line in [
            "",
            "--seed",
            "--seed x",
            "--seeds 5..5",
            "--seeds 5",
            "--seed 1 --seeds 1..2",
            "--receivers 0",
            "--receivers 10 --shared-loss 31",
            "--receivers 10 --rtt-us 0",
            "--bench",
            "--bench x --seed 1",
            "--seed 1 --most 3",
            "--frob",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
