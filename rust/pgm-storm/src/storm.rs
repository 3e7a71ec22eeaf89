// SPDX-License-Identifier: GPL-2.0
//! The packets that an attacker throws at two hosts with live sessions.

use pgm_wire::checksum::Sum;
use pgm_wire::{Addr, Gsi, PacketType, Ports, Tsi, HEADER_MAX};

use crate::any::Subject;
use crate::choice::{Choice, Seeded};
use crate::mutation;

/// Whom the storm is for.
pub struct Victim {
    /// The group.
    pub group: Addr,
    /// The host of the source, whose address its session has.
    pub source: Addr,
    /// The host of the receivers.
    pub receiver: Addr,
    /// The host of the attacker.
    pub attacker: Addr,
    /// Data-destination port.
    pub port: u16,
    /// Sessions that live there, and their newest sequence number.
    pub live: Vec<(Tsi, u32)>,
}

/// What is meant by a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intent {
    /// It obeys the format.
    Valid,
    /// Something in it is wrong, but not the checksum.
    Spoilt,
    /// Even the checksum may be wrong.
    Noise,
}

/// A packet and its way.
pub struct Shot {
    /// What is meant by it.
    pub intent: Intent,
    /// The source that its IP header claims.
    pub from: Addr,
    /// Where it goes.
    pub to: Addr,
    /// The PGM packet.
    pub bytes: Vec<u8>,
    /// IP packets have no more of it than this, if it is set.
    pub split: Option<usize>,
}

/// Sessions that exist only in the storm.
const SPOOFED: u32 = 200;
/// Every so many packets, an old one comes again.
const REPLAY_PERCENT: u32 = 10;
/// How far back.
const REPLAY: u32 = 300;

impl Victim {
    /// The `n`th packet of a seed, of this type. It depends on nothing else.
    pub fn shot(&self, seed: u64, kind: PacketType, n: u64) -> Shot {
        let mut c = Seeded::new(seed ^ (kind as u64) << 32, n);
        if c.chance(REPLAY_PERCENT) {
            let back = u64::from(1 + c.below(REPLAY));
            if back <= n {
                return self.fresh(
                    &mut Seeded::new(seed ^ (kind as u64) << 32, n - back),
                    kind,
                    n - back,
                );
            }
        }
        self.fresh(&mut c, kind, n)
    }

    /// A session of somebody's, and its newest sequence number when the `n`th packet is sent.
    fn session(&self, c: &mut impl Choice, n: u64) -> (Tsi, u32) {
        let advance = (n / 64) as u32;
        match c.below(10) {
            0..=3 if !self.live.is_empty() => {
                let (tsi, lead) = *c.pick(&self.live);
                (tsi, lead.wrapping_add(advance))
            }
            9 => {
                let tsi = Tsi {
                    gsi: Gsi(c.bytes()),
                    sport: c.number() as u16,
                };
                (tsi, c.number())
            }
            _ => {
                let which = c.below(SPOOFED);
                let mut own = Seeded::new(0, u64::from(which));
                let tsi = Tsi {
                    gsi: Gsi(own.bytes()),
                    sport: own.number() as u16,
                };
                (tsi, own.number().wrapping_add(advance))
            }
        }
    }

    fn fresh(&self, c: &mut Seeded, kind: PacketType, n: u64) -> Shot {
        let (tsi, lead) = self.session(c, n);
        let addresses = vec![
            self.source,
            self.source,
            self.group,
            self.group,
            self.receiver,
            self.attacker,
        ];
        let subject = Subject { lead, addresses };
        let repr = subject.packet(c, kind);
        let port = if c.chance(97) {
            self.port
        } else {
            c.number() as u16
        };
        let (sport, dport) = if kind.is_downstream() {
            (tsi.sport, port)
        } else {
            (port, tsi.sport)
        };
        let ports = Ports {
            sport,
            dport,
            gsi: tsi.gsi,
        };
        let payload = match kind.has_payload() {
            true => {
                let len = *c.pick(&[0, 1, 10, 100, 100, 100, 1_000, 1_400]);
                vec![n as u8; len]
            }
            false => Vec::new(),
        };
        let mut bytes = vec![0; HEADER_MAX];
        let header = repr
            .emit(ports, payload.len() as u16, Sum::of(&payload), &mut bytes)
            .unwrap_or(0);
        bytes.truncate(header);
        bytes.extend(payload);
        let intent = match c.below(100) {
            0..45 => Intent::Valid,
            45..85 => Intent::Spoilt,
            _ => Intent::Noise,
        };
        match intent {
            Intent::Valid => {}
            Intent::Spoilt => {
                mutation::spoil(c, &mut bytes, header);
                mutation::sum(&mut bytes);
            }
            Intent::Noise => {
                bytes.truncate(16);
                let len = c.below(200) as usize;
                bytes.extend(c.noise(len));
                if c.chance(90) {
                    mutation::sum(&mut bytes);
                }
            }
        }
        Shot {
            intent,
            from: *c.pick(&[self.source, self.attacker, self.attacker]),
            to: self.destination(c, kind),
            split: c.chance(5).then(|| 8 << c.below(5)),
            bytes,
        }
    }

    /// Downstream to the group and upstream to the source, but now and then elsewhere.
    fn destination(&self, c: &mut impl Choice, kind: PacketType) -> Addr {
        let usual = match kind {
            PacketType::Nak | PacketType::Spmr if c.chance(40) => self.group,
            kind if kind.is_downstream() => self.group,
            _ => self.source,
        };
        match c.below(10) {
            0 => self.source,
            1 => self.receiver,
            2 => self.group,
            _ => usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any::KINDS;
    use pgm_wire::Packet;

    fn victim() -> Victim {
        let tsi = Tsi {
            gsi: Gsi([1, 2, 3, 4, 5, 6]),
            sport: 7,
        };
        Victim {
            group: Addr::V4([239, 192, 7, 1]),
            source: Addr::V4([10, 77, 0, 1]),
            receiver: Addr::V4([10, 77, 0, 2]),
            attacker: Addr::V4([10, 77, 0, 3]),
            port: 7500,
            live: vec![(tsi, 1000)],
        }
    }

    #[test]
    fn a_seed_is_a_storm() {
        let (one, two) = (victim(), victim());
        let mut differ = 0;
        for kind in KINDS {
            for n in 0..500 {
                let (a, b) = (one.shot(1, kind, n), two.shot(1, kind, n));
                assert_eq!((a.bytes, a.to, a.from), (b.bytes, b.to, b.from));
                let other = one.shot(2, kind, n);
                differ += usize::from(other.bytes != two.shot(1, kind, n).bytes);
            }
        }
        assert!(differ > 3_000, "{differ}");
    }

    /// What is meant to be valid is; of the rest, some still is, and most has the right checksum.
    #[test]
    fn intents_come_true() {
        for kind in KINDS {
            let (mut valid, mut taken, mut refused) = (0, 0, 0);
            for n in 0..2_000 {
                let shot = victim().shot(3, kind, n);
                let parsed = Packet::parse(&shot.bytes);
                match shot.intent {
                    Intent::Valid => {
                        assert_eq!(parsed.map(|packet| packet.header.kind), Ok(kind), "{n}");
                        valid += 1;
                    }
                    _ if parsed.is_ok() => taken += 1,
                    _ => refused += 1,
                }
            }
            assert!(
                valid > 700 && taken > 50 && refused > 200,
                "{kind:?}: {valid} {taken} {refused}"
            );
        }
    }
}
