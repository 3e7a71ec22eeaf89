// SPDX-License-Identifier: GPL-2.0

//! The publishers of a group: what each has sent of a message that is not complete.

use std::collections::HashMap;

use super::framing::{Malformed, Parts, Unpacker};
use crate::socket::Tsi;

/// What the beginnings of messages may take, of all publishers together: anybody may begin one.
const MEMORY_MAX: usize = 256 << 20;
/// What a publisher costs without any.
const PUBLISHER: usize = 256;

/// All of them, by session.
#[derive(Debug)]
pub struct Publishers {
    all: HashMap<Tsi, Unpacker>,
    memory: usize,
    max: usize,
}

fn memory(unpacker: &Unpacker) -> usize {
    PUBLISHER.saturating_add(unpacker.memory())
}

impl Publishers {
    pub fn new() -> Self {
        Self {
            all: HashMap::new(),
            memory: 0,
            max: MEMORY_MAX,
        }
    }

    /// Takes a packet; hands out every message that it completes.
    pub fn add(
        &mut self,
        tsi: Tsi,
        packet: &[u8],
        message: impl FnMut(Parts),
    ) -> Result<(), Malformed> {
        self.change(tsi, |publisher| publisher.add(packet, message))
    }

    /// What comes next of a publisher does not follow what came before.
    pub fn lost(&mut self, tsi: Tsi) {
        self.change(tsi, Unpacker::lost);
    }

    fn change<R>(&mut self, tsi: Tsi, change: impl FnOnce(&mut Unpacker) -> R) -> R {
        let before = self.all.get(&tsi).map_or(0, memory);
        let publisher = self.all.entry(tsi).or_default();
        let result = change(publisher);
        let after = memory(publisher);
        self.memory = self.memory.saturating_sub(before).saturating_add(after);
        result
    }

    /// A session is over. Whether that was in the middle of a message.
    pub fn over(&mut self, tsi: Tsi) -> bool {
        self.all.remove(&tsi).is_some_and(|publisher| {
            self.memory = self.memory.saturating_sub(memory(&publisher));
            publisher.is_midway()
        })
    }

    /// If all take too much, the one that takes most has to begin anew: which, and whether that was in
    /// the middle of a message.
    pub fn give_way(&mut self) -> Option<(Tsi, bool)> {
        if self.memory <= self.max {
            return None;
        }
        let most = self
            .all
            .iter()
            .max_by_key(|(_, publisher)| memory(publisher));
        let tsi = most.map(|(tsi, _)| *tsi)?;
        Some((tsi, self.over(tsi)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tsi(n: u32) -> Tsi {
        let [a, b, c, d] = n.to_be_bytes();
        Tsi([0, 0, a, b, c, d, 0, 1])
    }

    fn begin(publishers: &mut Publishers, n: u32, bytes: usize) {
        let mut packet = b"\0\0\xFF\0\0\0\0\0\x10\0\0\0".to_vec();
        packet.resize(packet.len() + bytes, 7);
        publishers.add(tsi(n), &packet, |_| ()).unwrap();
    }

    #[test]
    fn all_together_are_bounded() {
        let mut publishers = Publishers::new();
        publishers.max = 100_000;
        begin(&mut publishers, 0, 1_000);
        for n in 1..200 {
            begin(&mut publishers, n, 10_000);
            while let Some((gone, midway)) = publishers.give_way() {
                assert!(gone != tsi(0) && midway, "not who takes little");
            }
            assert!(publishers.memory <= publishers.max);
        }
        assert!(publishers.all.len() > 5, "{}", publishers.all.len());
        assert!(publishers.over(tsi(0)), "it is still there");
    }

    #[test]
    fn memory_is_what_they_hold() {
        let mut publishers = Publishers::new();
        begin(&mut publishers, 1, 5_000);
        assert!(publishers.memory >= 5_000 + PUBLISHER);
        publishers.lost(tsi(1));
        assert_eq!(publishers.memory, PUBLISHER);
        // Parts cost more than their bytes.
        let parts: Vec<u8> = [2, 1, b'x'].repeat(1_000);
        let packet = [&[0, 0][..], &parts].concat();
        publishers.add(tsi(1), &packet, |_| ()).unwrap();
        assert!(publishers.memory >= 50_000, "{}", publishers.memory);
        assert_eq!(publishers.give_way(), None);
        assert!(publishers.over(tsi(1)));
        assert_eq!(publishers.memory, 0);
        // Nor does a large message leave its memory behind.
        begin(&mut publishers, 2, (1 << 20) - 1);
        let mut messages = 0;
        publishers.add(tsi(2), b"\xFF\xFF", |_| ()).unwrap_err();
        begin(&mut publishers, 2, (1 << 20) - 1);
        publishers.lost(tsi(2));
        let mut whole = b"\0\0\xFF\0\0\0\0\0\x10\0\0\0".to_vec();
        whole.resize(whole.len() + (1 << 20) - 1, 7);
        publishers.add(tsi(2), &whole, |_| messages += 1).unwrap();
        assert_eq!(messages, 1);
        assert!(publishers.memory < 100_000, "{}", publishers.memory);
    }
}
