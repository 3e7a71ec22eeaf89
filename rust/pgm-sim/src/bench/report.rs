// SPDX-License-Identifier: GPL-2.0

//! The rows of `make bench-sim`, run, as a table and as JSON.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use super::{overloads, recoveries, Figures, Overload, Recovery};
use crate::draw::MILLION;
use crate::report::Outcome;
use crate::run;
use crate::scenario::Scenario;

/// Runs every scenario, a few at a time. Each has its own seed, so their order does not matter.
fn all(scenarios: &[Scenario], jobs: usize) -> Result<Vec<Outcome>, String> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![None; scenarios.len()]);
    let worker = || loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(scenario) = scenarios.get(place) else {
            return;
        };
        let outcome = run(scenario, false);
        if let Ok(mut results) = results.lock() {
            results[place] = Some(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
    });
    let results = results.into_inner().map_err(|_| "a run panicked")?;
    results
        .into_iter()
        .map(|result| result.unwrap_or(Err("a run panicked".into())))
        .collect()
}

/// What `--bench` measured.
pub struct Report {
    recoveries: Vec<(Recovery, Figures)>,
    overloads: Vec<(Overload, f64, Outcome)>,
}

/// Runs everything with at most `most` receivers.
pub fn measure(most: u32, jobs: usize) -> Result<Report, String> {
    let mut first = recoveries();
    first.retain(|row| row.receivers <= most);
    let mut second = overloads();
    second.retain(|row| row.receivers <= most);
    let scenarios = first.iter().map(Recovery::scenario);
    let scenarios: Vec<_> = scenarios
        .chain(second.iter().map(Overload::scenario))
        .collect();
    let mut outcomes = all(&scenarios, jobs)?.into_iter();
    let recoveries = first.into_iter().zip(&mut outcomes);
    let recoveries = recoveries
        .map(|(row, outcome)| (row, Figures::of(&outcome)))
        .collect();
    let overloads = second.into_iter().zip(outcomes);
    let overloads = overloads
        .map(|(row, outcome)| (row, row.goodput(&outcome), outcome))
        .collect();
    Ok(Report {
        recoveries,
        overloads,
    })
}

/// What both forms of the first table say of a row.
fn columns(row: &Recovery, figures: &Figures) -> [f64; 8] {
    let ([rtt50, rtt99], [age50, age99]) = (figures.rtts, figures.age);
    let (naks, wire, ncfs) = (figures.naks, figures.wire, figures.ncfs);
    [rtt50, rtt99, age50, age99, naks, wire, row.bound(), ncfs]
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "loss          p%  receivers  RTT ms | recovery RTT p50    p99 | age ms p50    p99 | \
             NAKs/loss | data/message  bound | NCFs/message | losses\n",
        );
        for (row, figures) in &self.recoveries {
            let [rtt50, rtt99, age50, age99, naks, wire, bound, ncfs] = columns(row, figures);
            let _ = writeln!(
                text,
                "{:<12} {:>3} {:>10} {:>7.2} | {rtt50:>16.2} {rtt99:>6.2} | {age50:>10.2} \
                 {age99:>6.2} | {naks:>9.3} | {wire:>12.3} {bound:>6.3} | {ncfs:>12.3} | {:>6}",
                row.loss.name(),
                row.ppm as f64 * 100.0 / MILLION as f64,
                row.receivers,
                row.rtt.nanos() as f64 / 1e6,
                figures.losses,
            );
        }
        text += "\nreceivers  bottleneck  sent %  goodput %  lost for good %  data/message  NAKs/message\n";
        for (row, goodput, outcome) in &self.overloads {
            let each = |n: u64| n as f64 / outcome.odata.max(1) as f64;
            let _ = writeln!(
                text,
                "{:>9} {:>11} {:>7} {:>10.1} {:>16.1} {:>13.3} {:>13.3}",
                row.receivers,
                if row.apart { "each" } else { "one" },
                row.percent,
                goodput * 100.0,
                each(outcome.unrecovered) * 100.0 / f64::from(row.receivers),
                each(outcome.odata + outcome.rdata),
                each(outcome.naks_at_source),
            );
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        let recoveries = self.recoveries.iter().map(|(row, figures)| {
            let [rtt50, rtt99, age50, age99, naks, wire, bound, ncfs] = columns(row, figures);
            format!(
                "{{\"loss\":\"{}\",\"loss_ppm\":{},\"receivers\":{},\"rtt_us\":{},\
                 \"recovery_rtts_p50\":{rtt50:.2},\"recovery_rtts_p99\":{rtt99:.2},\
                 \"age_ms_p50\":{age50:.3},\"age_ms_p99\":{age99:.3},\
                 \"naks_per_loss\":{naks:.4},\"data_per_message\":{wire:.4},\
                 \"arq_bound\":{bound:.4},\"ncfs_per_message\":{ncfs:.4},\"losses\":{}}}",
                row.loss.name(),
                row.ppm,
                row.receivers,
                row.rtt.micros(),
                figures.losses,
            )
        });
        let overloads = self.overloads.iter().map(|(row, goodput, outcome)| {
            format!(
                "{{\"receivers\":{},\"bottleneck_each\":{},\"sent_percent\":{},\
                 \"goodput\":{goodput:.4},\"lost_sqns\":{},\"odata\":{},\"rdata\":{},\"naks\":{}}}",
                row.receivers,
                row.apart,
                row.percent,
                outcome.unrecovered,
                outcome.odata,
                outcome.rdata,
                outcome.naks_at_source,
            )
        });
        let list = |rows: Vec<String>| rows.join(",\n    ");
        format!(
            "{{\n  \"recovery\": [\n    {}\n  ],\n  \"overload\": [\n    {}\n  ]\n}}\n",
            list(recoveries.collect()),
            list(overloads.collect()),
        )
    }
}
