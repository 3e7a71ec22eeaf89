// SPDX-License-Identifier: GPL-2.0

//! What the application sends: APDUs of many sizes, whose bytes tell them apart.

use pgm_core::{Instant, Rng};
use pgm_wire::Sqn;

use crate::draw::Draw;
use crate::scenario::Traffic;

/// One APDU.
pub struct Apdu {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When the application has it ready.
    pub at: Instant,
}

/// All that is sent, and which SQN carries which part of it.
pub struct Workload {
    /// TSDU bytes of a packet.
    pub mss: usize,
    /// In the order of sending.
    pub apdus: Vec<Apdu>,
    first: Sqn,
    /// For each SQN from the first: its APDU, and its place in it.
    packets: Vec<(usize, usize)>,
}

impl Workload {
    /// The traffic of a session that starts at `start` with SQN `first`.
    pub fn new(traffic: &Traffic, first: Sqn, start: Instant, rng: &mut Rng) -> Self {
        let mut at = start;
        let mut apdus = Vec::new();
        for n in 0..traffic.apdus {
            if let Some(interval) = traffic.steady {
                let bytes = n.to_be_bytes().repeat(traffic.mss / 8 + 1);
                apdus.push(Apdu {
                    bytes: bytes[..traffic.mss].to_vec(),
                    at,
                });
                at = at.after(interval);
                continue;
            }
            if rng.chance(traffic.pause_ppm) {
                at = at.after(rng.interval(traffic.pause));
            }
            let len = Self::length(traffic, rng);
            let mut bytes = Vec::with_capacity(len + 8);
            while bytes.len() < len {
                bytes.extend(rng.next_u64().to_be_bytes());
            }
            bytes.truncate(len);
            apdus.push(Apdu { bytes, at });
        }
        Self {
            mss: traffic.mss,
            apdus,
            first,
            packets: Vec::new(),
        }
    }

    fn length(traffic: &Traffic, rng: &mut Rng) -> usize {
        let mss = traffic.mss as u64;
        let len = match rng.between(0, 9) {
            0 => 0,
            1 => rng.between(1, 8),
            2 => mss,
            3..=6 => rng.between(1, mss),
            _ => rng.between(1, mss * traffic.fragments_max),
        };
        len as usize
    }

    /// When the second half of the APDUs was ready to be sent.
    pub fn second_half(&self) -> (Instant, Instant) {
        let at = |place: usize| self.apdus.get(place).map_or(Instant::ZERO, |apdu| apdu.at);
        (
            at(self.apdus.len() / 2),
            at(self.apdus.len().saturating_sub(1)),
        )
    }

    /// How many packets an APDU of `len` bytes takes.
    pub fn fragments(&self, len: usize) -> usize {
        len.div_ceil(self.mss).max(1)
    }

    /// Part `place` of APDU `apdu`.
    pub fn part(&self, apdu: usize, place: usize) -> &[u8] {
        let bytes = &self.apdus[apdu].bytes;
        let from = place * self.mss;
        &bytes[from..bytes.len().min(from + self.mss)]
    }

    /// Records that the next SQN carries that part.
    pub fn sent(&mut self, apdu: usize, place: usize) {
        self.packets.push((apdu, place));
    }

    /// How many SQNs were assigned.
    pub fn len(&self) -> u32 {
        self.packets.len() as u32
    }

    /// Distance of `sqn` from the first of the session.
    pub fn index(&self, sqn: Sqn) -> u32 {
        sqn.since(self.first)
    }

    /// APDU and place of the packet at `index`.
    pub fn packet(&self, index: u32) -> Option<(usize, usize)> {
        self.packets.get(index as usize).copied()
    }

    /// Indexes of all packets of the APDU that the packet at `index` is part of.
    pub fn siblings(&self, index: u32) -> std::ops::Range<u32> {
        let Some((apdu, place)) = self.packet(index) else {
            return index..index;
        };
        let first = index - place as u32;
        first..first + self.fragments(self.apdus[apdu].bytes.len()) as u32
    }
}
