// SPDX-License-Identifier: GPL-2.0

//! What a seed stands for: the session, its traffic, the network and how it ends.

use pgm_core::receiver::ReceiverConfig;
use pgm_core::source::{Advance, Heartbeat, SourceConfig};
use pgm_core::{Duration, Rng, RING_MAX};
use pgm_wire::{Addr, Gsi, Sqn, Tsi};

use crate::draw::{Draw, MILLION};
use crate::link::{Burst, Profile};

/// The source's address.
pub const NLA: Addr = Addr::V4([10, 0, 0, 1]);
/// The group.
pub const GROUP: Addr = Addr::V4([239, 192, 0, 1]);
/// Data-destination port.
pub const DPORT: u16 = 7500;
/// IP header.
pub const IP_OVERHEAD: u32 = 20;

/// What the application sends.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// How many APDUs.
    pub apdus: u64,
    /// TSDU bytes of a packet.
    pub mss: usize,
    /// The largest APDU, in packets.
    pub fragments_max: u64,
    /// How often the application pauses before an APDU, in parts per million.
    pub pause_ppm: u64,
    /// Its longest pause.
    pub pause: Duration,
    /// Instead of all that: an APDU of exactly `mss` bytes at this interval.
    pub steady: Option<Duration>,
}

/// An application that does not read for a while.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// From when on, after the start.
    pub after: Duration,
    /// For how long.
    pub lasts: Duration,
    /// How many packets its socket buffer holds.
    pub room: u32,
}

/// One receiver and its links.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// From the source.
    pub down: Profile,
    /// To the source.
    pub up: Profile,
    /// The branch of the network that it is on.
    pub branch: Option<usize>,
    /// When it joins the group, after the start.
    pub joins: Duration,
    /// Whether its application stalls.
    pub stall: Option<Stall>,
}

/// How the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The source closes when all is sent.
    Fin,
    /// The source aborts at some time after the start.
    Reset {
        /// Its error code.
        code: u8,
        /// Whether it says that it answers no NAKs.
        no_naks: bool,
        /// When.
        after: Duration,
    },
    /// The source vanishes at some time after the start.
    Silence {
        /// When.
        after: Duration,
    },
}

/// A source that sends so many bytes a second, and whose window nothing leaves.
pub fn source(rate: u64) -> SourceConfig {
    SourceConfig {
        tsi: Tsi {
            gsi: Gsi([2, 0, 0, 0, 0, 1]),
            sport: 40_000,
        },
        dport: DPORT,
        nla: NLA,
        group: GROUP,
        rate,
        ip_overhead: IP_OVERHEAD,
        window: Duration::from_secs(30),
        window_bytes: 1 << 30,
        window_sqns: RING_MAX,
        advance: Advance::WithTime,
        advance_percent: 15,
        join_percent: 0,
        queue_bytes: 1 << 20,
        ambient: Duration::from_secs(8),
        heartbeat: Heartbeat::doubling(Duration::from_millis(100), Duration::from_secs(8)),
        first_sqn: Sqn::new(0),
    }
}

/// A receiver with the engine's own settings.
pub fn receiver() -> ReceiverConfig {
    ReceiverConfig {
        dport: DPORT,
        group: GROUP,
        ..ReceiverConfig::default()
    }
}

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Decides all that is random in the run.
    pub seed: u64,
    /// The source's settings.
    pub source: SourceConfig,
    /// Those of all receivers.
    pub receiver: ReceiverConfig,
    /// What is sent.
    pub traffic: Traffic,
    /// A link that all packets of the source pass first.
    pub shared: Profile,
    /// Links behind it, each of which some receivers share.
    pub branches: Vec<Profile>,
    /// The receivers.
    pub places: Vec<Place>,
    /// How it ends.
    pub ending: Ending,
    /// How often the engines are refused memory, in parts per million.
    pub refusals: u64,
    /// Whether window and retries are so ample that nothing may be lost.
    pub ample: bool,
}

impl Scenario {
    /// The scenario of `seed`.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let traffic = Traffic {
            apdus: rng.magnitude(5, 300),
            mss: rng.between(16, 1_400) as usize,
            fragments_max: rng.between(1, 12),
            pause_ppm: *pick(&mut rng, &[0, 10_000, 200_000, MILLION]),
            pause: rng.micros(1_000, 100_000),
            steady: None,
        };
        let rate = rng.magnitude(30_000, 20_000_000);
        let delay = Duration::from_nanos(rng.magnitude(200, 40_000) * 1_000);
        let worst = *pick(&mut rng, &[0, 1_000, 30_000, 150_000, 300_000, 300_000]);
        let count = rng.between(1, 8);
        let span = estimate(&traffic, rate);
        let places: Vec<Place> = (0..count)
            .map(|_| Self::place(&mut rng, delay, worst, span))
            .collect();
        let rtt = Duration::from_nanos(delay.nanos() * 6);
        let mut scenario = Self {
            seed,
            source: Self::source(&mut rng, rate),
            receiver: Self::receiver(&mut rng, rtt),
            traffic,
            shared: Profile::default(),
            branches: Vec::new(),
            places,
            ending: Self::ending(&mut rng, span),
            ample: rng.chance(700_000),
            refusals: *pick(&mut rng, &[0, 0, 0, 10_000, 300_000]),
        };
        if scenario.ample {
            scenario.make_ample(rate, span);
        }
        scenario
    }

    fn place(rng: &mut Rng, delay: Duration, worst: u64, span: Duration) -> Place {
        let down = Self::profile(rng, delay, worst);
        let up = Self::profile(rng, delay, worst);
        let joins = if rng.chance(200_000) {
            rng.interval(span)
        } else {
            Duration::ZERO
        };
        let stall = rng.chance(150_000).then(|| Stall {
            after: rng.interval(span),
            lasts: rng.micros(1_000, 1_000_000),
            room: rng.between(1, 100) as u32,
        });
        Place {
            down,
            up,
            branch: None,
            joins,
            stall,
        }
    }

    fn profile(rng: &mut Rng, delay: Duration, worst: u64) -> Profile {
        let delay = delay.scale(rng.between(50, 150) as u32, 100);
        // Independent loss and bursts share the worst case.
        let loss = rng.between(0, worst);
        let in_bursts = rng.between(0, worst - loss);
        let burst = (in_bursts > 0).then(|| Burst {
            bad: rng.micros(500, 40_000),
            ppm: in_bursts,
        });
        let rough = rng.chance(500_000);
        let upto = |rng: &mut Rng, most| if rough { rng.between(0, most) } else { 0 };
        Profile {
            delay,
            loss,
            burst,
            bottleneck: None,
            duplicate: upto(rng, 50_000),
            reorder: upto(rng, 200_000),
            reorder_by: delay.double(),
            corrupt: upto(rng, 20_000),
        }
    }

    fn source(rng: &mut Rng, rate: u64) -> SourceConfig {
        let heartbeat = Heartbeat::doubling(rng.micros(1_000, 50_000), rng.micros(50_000, 300_000));
        SourceConfig {
            window: rng.micros(50_000, 3_000_000),
            window_bytes: rng.magnitude(20_000, 1_000_000),
            window_sqns: rng.magnitude(64, 2_048) as u32,
            advance: *pick(rng, &[Advance::WithTime, Advance::WithData]),
            advance_percent: rng.between(1, 50) as u32,
            join_percent: *pick(rng, &[0, 0, 20, 75]),
            queue_bytes: rng.magnitude(1_000, 200_000),
            ambient: rng.micros(50_000, 2_000_000),
            heartbeat,
            first_sqn: *pick(
                rng,
                &[Sqn::new(0), Sqn::new(u32::MAX - 50), Sqn::new(1 << 31)],
            ),
            ..source(rate)
        }
    }

    fn receiver(rng: &mut Rng, rtt: Duration) -> ReceiverConfig {
        let mut times = |low, high| {
            let ivl = rtt.scale(rng.between(low, high) as u32, 100);
            ivl.max(Duration::from_millis(1))
        };
        ReceiverConfig {
            nak_bo_ivl: times(30, 300),
            nak_rpt_ivl: times(120, 500),
            nak_rdata_ivl: times(120, 500),
            ncf_retries: rng.between(2, 50) as u32,
            data_retries: rng.between(2, 50) as u32,
            spmr_bo_ivl: rng.micros(1_000, 250_000),
            spmr_spm_ivl: rng.micros(10_000, 1_000_000),
            peer_expiry: Duration::from_secs(15),
            rxw_sqns: rng.magnitude(64, 4_096) as u32,
            ..receiver()
        }
    }

    fn ending(rng: &mut Rng, span: Duration) -> Ending {
        let after = rng.interval(span.double());
        match rng.between(0, 19) {
            0 => Ending::Silence { after },
            1 => Ending::Reset {
                code: rng.between(0, 63) as u8,
                no_naks: rng.chance(500_000),
                after,
            },
            _ => Ending::Fin,
        }
    }

    /// Windows, retries and waits under which every loss of up to 30 % each way is repaired, whatever
    /// the rate: a repair may queue behind thousands of others.
    fn make_ample(&mut self, rate: u64, span: Duration) {
        // Every packet and three repairs of it leave within 128 waits.
        let packets = self.traffic.apdus * (self.traffic.fragments_max / 3 + 1) * 4;
        let bytes = packets * (self.traffic.mss as u64 + 100);
        let wait = Duration::from_nanos(bytes * 1_000_000_000 / rate / 128);
        let receiver = &mut self.receiver;
        receiver.ncf_retries = 255;
        receiver.data_retries = 255;
        receiver.nak_rpt_ivl = receiver.nak_rpt_ivl.max(wait);
        receiver.nak_rdata_ivl = receiver.nak_rdata_ivl.max(wait);
        let round = receiver.nak_bo_ivl.nanos()
            + receiver.nak_rpt_ivl.nanos()
            + receiver.nak_rdata_ivl.nanos();
        self.source.window = Duration::from_nanos(5_000_000_000 + 100 * round + 8 * span.nanos());
        self.source.window_sqns = RING_MAX;
        self.source.window_bytes = 1 << 30;
    }
}

/// About how long sending takes.
fn estimate(traffic: &Traffic, rate: u64) -> Duration {
    let bytes = traffic.apdus * (traffic.mss as u64 + 60) * (traffic.fragments_max / 3 + 1);
    let pauses = traffic.apdus * traffic.pause.nanos() / 2 * traffic.pause_ppm / MILLION;
    Duration::from_nanos(bytes * 1_000_000_000 / rate + pauses + 1_000_000)
}

fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.between(0, choices.len() as u64 - 1) as usize]
}
