// SPDX-License-Identifier: GPL-2.0

//! What runs add up to.

use std::collections::BTreeMap;
use std::fmt;

use crate::histogram::Histogram;

/// Totals of one run, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Runs.
    pub runs: u64,
    /// Receivers that had a session.
    pub receivers: u64,
    /// Events of the virtual clock, timers not counted.
    pub events: u64,
    /// Packets that the sources sent.
    pub sent: u64,
    /// How many of them were ODATA.
    pub odata: u64,
    /// Repairs.
    pub rdata: u64,
    /// NAK confirmations.
    pub ncfs: u64,
    /// ODATA that some receiver in session did not get.
    pub odata_missed: u64,
    /// Packets that reached a node, damaged ones included; a multicast counts for every receiver.
    pub arrived: u64,
    /// Packets that did not, counted alike.
    pub dropped: u64,
    /// Receivers of sessions that the source closed by FIN. What follows is counted there: a session
    /// that breaks off has losses and NAKs that nobody answers.
    pub closed: u64,
    /// ODATA that did not come undamaged to a receiver in session.
    pub losses: u64,
    /// How many of them happened where windows and retries were ample.
    pub ample_losses: u64,
    /// ODATA lost before the network branched.
    pub odata_lost_by_all: u64,
    /// NAK packets that receivers sent.
    pub naks: u64,
    /// SQNs in them.
    pub nak_sqns: u64,
    /// NAK packets that reached the source undamaged.
    pub naks_at_source: u64,
    /// APDUs delivered.
    pub apdus: u64,
    /// How many of them while the second half was being sent.
    pub in_time: u64,
    /// How old they were at delivery, in microseconds.
    pub ages: Histogram,
    /// SQNs that receivers reported lost, however the session ended.
    pub unrecovered: u64,
    /// How many of them where windows and retries were ample; the oracle tolerates none.
    pub ample_unrecovered: u64,
    /// Recovery times, from when the packet would have come, in hundredths of the receiver's RTT.
    pub recoveries: Vec<u32>,
    /// The most steps that one call of an engine took (see `take_steps`).
    pub worst_steps: u64,
    /// Packets that the engines discarded, by cause.
    pub discards: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// Adds another run's totals.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.receivers += other.receivers;
        self.events += other.events;
        self.sent += other.sent;
        self.odata += other.odata;
        self.rdata += other.rdata;
        self.ncfs += other.ncfs;
        self.odata_missed += other.odata_missed;
        self.in_time += other.in_time;
        self.ages.merge(&other.ages);
        self.arrived += other.arrived;
        self.dropped += other.dropped;
        self.closed += other.closed;
        self.losses += other.losses;
        self.ample_losses += other.ample_losses;
        self.odata_lost_by_all += other.odata_lost_by_all;
        self.naks += other.naks;
        self.nak_sqns += other.nak_sqns;
        self.naks_at_source += other.naks_at_source;
        self.apdus += other.apdus;
        self.unrecovered += other.unrecovered;
        self.ample_unrecovered += other.ample_unrecovered;
        self.recoveries.extend(other.recoveries);
        self.worst_steps = self.worst_steps.max(other.worst_steps);
        for (name, count) in other.discards {
            *self.discards.entry(name).or_default() += count;
        }
    }

    /// The recovery times, in RTTs, that so many permille of them do not exceed.
    pub(crate) fn recovery_rtts<const N: usize>(&self, permille: [usize; N]) -> [f64; N] {
        let mut times = self.recoveries.clone();
        times.sort_unstable();
        permille.map(|part| {
            let place = (times.len() * part / 1_000).min(times.len().saturating_sub(1));
            times
                .get(place)
                .map_or(0.0, |time| f64::from(*time) / 100.0)
        })
    }
}

/// `a / b`, 0 if there is nothing to divide by.
pub(crate) fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 {
        0.0
    } else {
        a as f64 / b as f64
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.recoveries.iter().map(|time| u64::from(*time)).sum();
        let mean = ratio(total, self.recoveries.len() as u64) / 100.0;
        let [median, p99, max] = self.recovery_rtts([500, 990, 1_000]);
        write!(f, "{:<34}{:>14}", "seeds", self.runs)?;
        let mut row = |name: &str, value: String| write!(f, "\n{name:<34}{value:>14}");
        row("receivers", self.receivers.to_string())?;
        row("packets sent by sources", self.sent.to_string())?;
        row("packets arrived", self.arrived.to_string())?;
        row("packets dropped", self.dropped.to_string())?;
        row("APDUs delivered", self.apdus.to_string())?;
        row("SQNs reported as lost", self.unrecovered.to_string())?;
        row("receivers closed by FIN", self.closed.to_string())?;
        row("  data packets lost on the way", self.losses.to_string())?;
        row("    of them recovered", self.recoveries.len().to_string())?;
        row("    under ample windows", self.ample_losses.to_string())?;
        let unrecovered = self.ample_unrecovered;
        row("      of them unrecovered", unrecovered.to_string())?;
        let naks = ratio(self.naks, self.losses);
        row("  NAK packets per lost packet", format!("{naks:.3}"))?;
        let sqns = ratio(self.nak_sqns, self.losses);
        row("  NAKed SQNs per lost packet", format!("{sqns:.3}"))?;
        row("  recovery time in RTT: mean", format!("{mean:.2}"))?;
        row("  recovery time in RTT: median", format!("{median:.2}"))?;
        row("  recovery time in RTT: p99", format!("{p99:.2}"))?;
        row("  recovery time in RTT: max", format!("{max:.2}"))?;
        row(
            "worst call of an engine: steps",
            self.worst_steps.to_string(),
        )?;
        for (name, count) in &self.discards {
            row(&format!("discarded: {name}"), count.to_string())?;
        }
        Ok(())
    }
}
