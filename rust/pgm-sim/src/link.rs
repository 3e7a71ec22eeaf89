// SPDX-License-Identifier: GPL-2.0

//! A one-way link and what it does to packets.

use pgm_core::{Duration, Instant, Rng};

use crate::draw::{Draw, MILLION};

/// Loss in bursts (Gilbert-Elliott): the link is good or bad for random times, and what enters it
/// while it is bad is lost.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// Mean length of a bad time.
    pub bad: Duration,
    /// Share of bad time, in parts per million; less than a million.
    pub ppm: u64,
}

/// A queue that drops what does not fit (drop-tail), drained at a rate.
#[derive(Clone, Copy, Debug)]
pub struct Bottleneck {
    /// Bytes a second.
    pub rate: u64,
    /// Bytes that may wait.
    pub queue: u64,
}

/// How a link treats packets. Probabilities are parts per million.
#[derive(Clone, Copy, Debug, Default)]
pub struct Profile {
    /// How long every packet takes.
    pub delay: Duration,
    /// Independent loss.
    pub loss: u64,
    /// Loss in bursts.
    pub burst: Option<Burst>,
    /// Loss where it is full.
    pub bottleneck: Option<Bottleneck>,
    /// A second copy.
    pub duplicate: u64,
    /// An additional delay, so that others overtake.
    pub reorder: u64,
    /// The largest additional delay.
    pub reorder_by: Duration,
    /// One byte changed, or the end cut off.
    pub corrupt: u64,
}

/// One copy of a packet that will arrive.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// Whether it was damaged on the way.
    pub damaged: bool,
}

/// The link.
#[derive(Clone, Debug)]
pub struct Link {
    profile: Profile,
    rng: Rng,
    bad: bool,
    /// When good turns bad or bad good.
    turns_at: Instant,
    /// When the queue of the bottleneck will be empty.
    busy_until: Instant,
}

impl Link {
    /// A link with its own stream of choices.
    pub fn new(profile: Profile, rng: Rng) -> Self {
        Self {
            profile,
            rng,
            bad: true,
            turns_at: Instant::ZERO,
            busy_until: Instant::ZERO,
        }
    }

    /// A packet of `bytes` that enters at `now`: when it leaves the queue, if it finds room.
    pub fn queue(&mut self, now: Instant, bytes: u64) -> Option<Instant> {
        let Some(Bottleneck { rate, queue }) = self.profile.bottleneck else {
            return Some(now);
        };
        let time = |bytes: u64| Duration::from_nanos(bytes * 1_000_000_000 / rate);
        let start = self.busy_until.max(now);
        if start.since(now) > time(queue) {
            return None;
        }
        self.busy_until = start.after(time(bytes));
        Some(self.busy_until)
    }

    /// When a packet that enters at `now` would arrive if nothing happened to it.
    pub fn undisturbed(&self, now: Instant) -> Instant {
        now.after(self.profile.delay)
    }

    /// What becomes of a packet that enters at `now`: up to two arrivals.
    pub fn pass(&mut self, now: Instant) -> [Option<Arrival>; 2] {
        if self.is_bad(now) || self.rng.chance(self.profile.loss) {
            return [None, None];
        }
        let again = self.rng.chance(self.profile.duplicate);
        let first = self.arrival(now);
        [Some(first), again.then(|| self.arrival(now))]
    }

    fn arrival(&mut self, now: Instant) -> Arrival {
        let mut at = self.undisturbed(now);
        if self.rng.chance(self.profile.reorder) {
            at = at.after(self.rng.interval(self.profile.reorder_by));
        }
        let damaged = self.rng.chance(self.profile.corrupt);
        Arrival { at, damaged }
    }

    fn is_bad(&mut self, now: Instant) -> bool {
        let Some(burst) = self.profile.burst else {
            return false;
        };
        while self.turns_at <= now {
            self.bad = !self.bad;
            let mean = if self.bad {
                burst.bad.nanos()
            } else {
                burst.bad.nanos() * (MILLION - burst.ppm) / burst.ppm.max(1)
            };
            // Uniform, not exponential: integers replay alike on every machine.
            let stay = self.rng.interval(Duration::from_nanos(2 * mean));
            self.turns_at = self.turns_at.after(stay);
        }
        self.bad
    }

    /// Damages a packet so that the checksum must see it: one byte changed, which one's complement
    /// sums always tell, or the end missing.
    pub fn damage(&mut self, packet: &mut Vec<u8>) {
        let last = packet.len() as u64 - 1;
        if self.rng.chance(MILLION / 4) {
            packet.truncate(self.rng.between(0, last) as usize);
        } else {
            let place = self.rng.between(0, last) as usize;
            packet[place] ^= self.rng.between(1, 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survivors(profile: Profile) -> usize {
        let mut link = Link::new(profile, Rng::new(7));
        let passed = (0..100_000u64).map(|n| link.pass(Instant::from_nanos(n * 1_000_000)));
        passed.map(|p| p.into_iter().flatten().count()).sum()
    }

    #[test]
    fn losses_and_copies_come_as_often_as_asked() {
        assert_eq!(survivors(Profile::default()), 100_000);
        let loss = Profile {
            loss: 200_000,
            ..Profile::default()
        };
        assert!(survivors(loss).abs_diff(80_000) < 1_000);
        let burst = Burst {
            bad: Duration::from_millis(20),
            ppm: 300_000,
        };
        let bursts = Profile {
            burst: Some(burst),
            ..Profile::default()
        };
        assert!(survivors(bursts).abs_diff(70_000) < 2_000);
        let duplicate = Profile {
            duplicate: 100_000,
            ..Profile::default()
        };
        assert!(survivors(duplicate).abs_diff(110_000) < 1_000);
    }

    #[test]
    fn damage_is_always_seen() {
        use pgm_wire::{checksum::Sum, Data, DataOptions, Packet, Ports, Repr, Sqn};
        let sqn = Sqn::new(5);
        let repr = Repr::Odata(Data { sqn, trail: sqn }, DataOptions::default());
        let mut buf = [0; pgm_wire::HEADER_MAX];
        let payload = [0, 255, 0, 0, 7];
        let sum = Sum::of(&payload);
        let len = repr.emit(Ports::default(), 5, sum, &mut buf).unwrap();
        let whole: Vec<u8> = buf[..len].iter().chain(&payload).copied().collect();
        assert!(Packet::parse(&whole).is_ok());
        let mut link = Link::new(Profile::default(), Rng::new(1));
        for _ in 0..100_000 {
            let mut packet = whole.clone();
            link.damage(&mut packet);
            assert!(Packet::parse(&packet).is_err());
        }
    }
}
