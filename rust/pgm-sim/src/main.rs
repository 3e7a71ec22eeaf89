// SPDX-License-Identifier: GPL-2.0

//! The command: many seeds, one seed, a count of NAKs, or the benchmark.

use std::ops::Range;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pgm_core::Duration;
use pgm_sim::arguments::{self, Command};
use pgm_sim::bench::report;
use pgm_sim::report::Outcome;
use pgm_sim::scenario::Scenario;
use pgm_sim::{print, run, suppression};

fn main() -> ExitCode {
    match arguments::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print::line(arguments::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Command::Bench { file, most, jobs }) => benchmark(&file, most, jobs),
        Ok(Command::Seeds { seeds, jobs }) => many(seeds, jobs),
        Ok(Command::Seed(seed)) => one(seed),
        Ok(Command::Suppression {
            receivers,
            loss,
            rtt,
            seed,
        }) => count_naks(receivers, loss, rtt, seed),
        Err(why) => {
            eprintln!("pgm-sim: {why}");
            ExitCode::from(2)
        }
    }
}

/// As many as were asked for, or as there are processors.
fn threads(jobs: usize) -> usize {
    match jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    }
}

fn benchmark(file: &Path, most: u32, jobs: usize) -> ExitCode {
    let written = report::measure(most, threads(jobs)).and_then(|report| {
        print::line(report.table());
        std::fs::write(file, report.json()).map_err(|why| format!("{}: {why}", file.display()))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("pgm-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

fn judge(seed: u64) -> Result<Outcome, String> {
    let run = || run(&Scenario::random(seed), false);
    catch_unwind(run).unwrap_or_else(|_| Err("the engine panicked".into()))
}

fn complain(seed: u64, why: &str) {
    eprintln!("seed {seed} failed {why}");
    eprintln!("replay: cargo run --release -p pgm-sim -- --seed {seed}");
}

fn many(seeds: Range<u64>, jobs: usize) -> ExitCode {
    let start = Instant::now();
    let jobs = threads(jobs);
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let (mut total, mut failed) = (Outcome::default(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return (total, failed);
            }
            match judge(seed) {
                Ok(outcome) => total.add(outcome),
                Err(why) => {
                    complain(seed, &why);
                    failed += 1;
                }
            }
        }
    };
    let (mut total, mut failed) = (Outcome::default(), 0u64);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            match worker.join() {
                Ok((part, failures)) => {
                    total.add(part);
                    failed += failures;
                }
                Err(_) => failed += 1,
            }
        }
    });
    print::line(total);
    let seconds = start.elapsed().as_secs_f64();
    print::line(format_args!("{:<34}{failed:>14}", "failed seeds"));
    print::line(format_args!("{:<34}{seconds:>14.1}", "seconds"));
    ExitCode::from(u8::from(failed > 0))
}

fn one(seed: u64) -> ExitCode {
    let scenario = Scenario::random(seed);
    print::line(format_args!("{scenario:#?}"));
    match run(&scenario, true) {
        Ok(outcome) => {
            print::line(outcome);
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(seed, &why);
            ExitCode::FAILURE
        }
    }
}

fn count_naks(receivers: u32, loss: u64, rtt: Duration, seed: u64) -> ExitCode {
    match run(&suppression::scenario(seed, receivers, loss, rtt), false) {
        Ok(outcome) => {
            print::line(suppression::Count::of(&outcome));
            print::line(outcome);
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("pgm-sim: {why}");
            ExitCode::FAILURE
        }
    }
}
