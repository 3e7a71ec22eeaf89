// SPDX-License-Identifier: GPL-2.0

//! What is said to standard error about publishers, whom anybody may play: a line in a second, and how
//! many more there would have been.

use std::time::{Duration, Instant};

use crate::units;

const INTERVAL: Duration = Duration::from_secs(1);
/// So many come at once, as a loss of several publishers does.
const FIRST: u32 = 10;

#[derive(Debug, Default)]
pub struct Complaints {
    /// Lines said since `since`.
    said: u32,
    since: Option<Instant>,
    /// Kept back meanwhile.
    held: u64,
}

impl Complaints {
    /// The lines to say now, if there is this one to say.
    fn lines(&mut self, now: Instant, line: String) -> Vec<String> {
        let quiet = |since| now.saturating_duration_since(since) < INTERVAL;
        if self.since.is_some_and(quiet) {
            if self.said >= FIRST {
                self.held = self.held.saturating_add(1);
                return Vec::new();
            }
        } else {
            (self.said, self.since) = (0, Some(now));
        }
        self.said = self.said.saturating_add(1);
        self.rest().into_iter().chain([line]).collect()
    }

    fn rest(&mut self) -> Option<String> {
        let held = std::mem::take(&mut self.held);
        (held > 0).then(|| format!("{} more", units::count(held, "such line")))
    }

    /// Says it, or counts it.
    pub fn say(&mut self, line: String) {
        for line in self.lines(Instant::now(), line) {
            eprintln!("pgm: {line}");
        }
    }
}

/// What was kept back until the end.
impl Drop for Complaints {
    fn drop(&mut self) {
        if let Some(rest) = self.rest() {
            eprintln!("pgm: {rest}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let mut complaints = Complaints::default();
        let start = Instant::now();
        let mut lines = Vec::new();
        for n in 0..1_000_000u32 {
            let now = start + Duration::from_micros(n.into());
            lines.extend(complaints.lines(now, n.to_string()));
        }
        let first: Vec<_> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(lines, first);
        let later = complaints.lines(start + INTERVAL, "later".into());
        assert_eq!(later, ["999990 such lines more", "later"]);
        assert_eq!(complaints.rest(), None);
    }
}
