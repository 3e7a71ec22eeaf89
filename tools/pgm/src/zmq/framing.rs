// SPDX-License-Identifier: GPL-2.0

//! How ZeroMQ lays its messages into PGM packets.
//!
//! A publisher writes its messages one after the other into a stream of bytes and cuts the stream
//! into packets. A message is one or more parts, a part is one frame of ZMTP 1.0:
//!
//! ```text
//! +--------+                               +-------+---------+
//! | length |            1 byte < 255, or   | flags | payload |
//! | 0xFF   | length |   8 bytes big-endian  | 1: more parts   |
//! +--------+                               +-------+---------+
//! ```
//!
//! The length counts flags and payload. Each packet is one PGM message: two bytes, big-endian, and
//! a piece of the stream. The two bytes say how many bytes of the piece come before the first
//! message that begins in it, or 0xFFFF if none does. There is no greeting and no subscription:
//! a receiver drops packets until one in which a message begins, reads the stream from there, and
//! does so again after a loss.

use std::fmt;

/// No message begins in the packet.
const NONE: u16 = 0xFFFF;
/// A frame whose length takes eight more bytes.
const LONG: u8 = 0xFF;
/// More parts of the message follow.
const MORE: u8 = 0x01;
/// Bytes before a piece of the stream.
const HEADER: usize = 2;

/// What a subscriber of libzmq takes for certain, native or in UDP: one packet of 1500 bytes with
/// every header that can be in it.
pub const PACKET_MAX: usize = 1428;

/// The largest message that is put together.
pub const MESSAGE_MAX: usize = 64 << 20;

/// What a part takes besides its bytes.
const PART: usize = 64;
/// What the stream of a publisher keeps of its memory.
const STREAM: usize = 64 << 10;

/// The parts of a message: one at least.
pub type Parts = Vec<Vec<u8>>;

/// Cuts messages into packets.
#[derive(Debug)]
pub struct Packer {
    packet: Vec<u8>,
    max: usize,
    first: u16,
}

impl Packer {
    /// Packets are so many bytes at most.
    pub fn new(max: usize) -> Self {
        Self {
            packet: vec![0; HEADER],
            // The offset must not be taken for NONE.
            max: max.clamp(HEADER + 1, usize::from(NONE)),
            first: NONE,
        }
    }

    /// Adds a message; hands out every packet that becomes full.
    pub fn add<E>(
        &mut self,
        parts: &[Vec<u8>],
        mut send: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.packet.len() == self.max {
            self.flush(&mut send)?;
        }
        if self.first == NONE {
            let before = self.packet.len().saturating_sub(HEADER);
            self.first = u16::try_from(before).unwrap_or(NONE);
        }
        for (n, part) in parts.iter().enumerate() {
            let last = n.saturating_add(1) == parts.len();
            let length = part.len().saturating_add(1);
            match u8::try_from(length) {
                Ok(length) if length != LONG => self.write(&[length], &mut send)?,
                _ => {
                    self.write(&[LONG], &mut send)?;
                    let length = u64::try_from(length).unwrap_or(u64::MAX);
                    self.write(&length.to_be_bytes(), &mut send)?;
                }
            }
            self.write(&[if last { 0 } else { MORE }], &mut send)?;
            self.write(part, &mut send)?;
        }
        Ok(())
    }

    fn write<E>(
        &mut self,
        mut bytes: &[u8],
        send: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.packet.len() == self.max {
                self.flush(&mut *send)?;
            }
            let room = self.max.saturating_sub(self.packet.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.packet.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Hands out what waits for more.
    pub fn flush<E>(&mut self, mut send: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.packet.len() > HEADER {
            if let Some(header) = self.packet.get_mut(..HEADER) {
                header.copy_from_slice(&self.first.to_be_bytes());
            }
            send(&self.packet)?;
            self.packet.truncate(HEADER);
            self.first = NONE;
        }
        Ok(())
    }
}

/// Why a packet is not of ZeroMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// No room for the offset, and nothing behind it.
    Short,
    /// The offset points behind the packet.
    Offset,
    /// A frame without its flags.
    Empty,
    /// A message above [`MESSAGE_MAX`].
    Large,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "a packet that is too short",
            Self::Offset => "a packet that claims to be longer than it is",
            Self::Empty => "a frame of no length",
            Self::Large => "a message of more than 64 MiB",
        })
    }
}

/// Puts the messages of one session together.
#[derive(Debug, Default)]
pub struct Unpacker {
    joined: bool,
    stream: Vec<u8>,
    parts: Parts,
    /// Memory of `parts`.
    size: usize,
}

impl Unpacker {
    /// What comes next does not follow what came before: look for the start of a message again.
    pub fn lost(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.stream.capacity().saturating_add(self.size)
    }

    /// A message has begun and not ended.
    pub fn is_midway(&self) -> bool {
        !self.stream.is_empty() || !self.parts.is_empty()
    }

    /// Takes a packet; hands out every message that it completes. After an error the session
    /// is to be joined again.
    pub fn add(&mut self, packet: &[u8], mut message: impl FnMut(Parts)) -> Result<(), Malformed> {
        let result = self.take(packet, &mut message);
        if result.is_err() {
            self.lost();
        }
        result
    }

    fn take(&mut self, packet: &[u8], message: &mut impl FnMut(Parts)) -> Result<(), Malformed> {
        let (offset, mut piece) = packet.split_first_chunk().ok_or(Malformed::Short)?;
        let offset = u16::from_be_bytes(*offset);
        if piece.is_empty() {
            return Err(Malformed::Short);
        }
        if offset != NONE && usize::from(offset) > piece.len() {
            return Err(Malformed::Offset);
        }
        if !self.joined {
            if offset == NONE {
                return Ok(());
            }
            piece = piece.get(usize::from(offset)..).unwrap_or_default();
            self.joined = true;
        }
        self.stream.extend_from_slice(piece);
        let mut rest = self.stream.as_slice();
        while let Some((frame, after)) = Frame::read(rest, self.size)? {
            let cost = frame.payload.len().saturating_add(PART);
            self.size = self.size.saturating_add(cost);
            self.parts.push(frame.payload.to_vec());
            if !frame.more {
                self.size = 0;
                message(std::mem::take(&mut self.parts));
            }
            rest = after;
        }
        let used = self.stream.len().saturating_sub(rest.len());
        self.stream.drain(..used);
        if used > 0 {
            self.stream.shrink_to(STREAM);
        }
        Ok(())
    }
}

struct Frame<'a> {
    more: bool,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame of the stream and what follows, if all of it is there; `before` is the memory
    /// of the parts before it.
    fn read(stream: &'a [u8], before: usize) -> Result<Option<(Self, &'a [u8])>, Malformed> {
        let (length, rest) = match stream.split_first() {
            None => return Ok(None),
            Some((&LONG, rest)) => match rest.split_first_chunk() {
                None => return Ok(None),
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
            },
            Some((&length, rest)) => (u64::from(length), rest),
        };
        let length = usize::try_from(length).map_err(|_| Malformed::Large)?;
        if length == 0 {
            return Err(Malformed::Empty);
        }
        if length.saturating_add(before) > MESSAGE_MAX {
            return Err(Malformed::Large);
        }
        let Some((frame, after)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        let (flags, payload) = frame.split_first().ok_or(Malformed::Empty)?;
        let more = flags & MORE != 0;
        Ok(Some((Self { more, payload }, after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn pack(messages: &[Parts], max: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut packer = Packer::new(max);
        let mut send = |packet: &[u8]| {
            packets.push(packet.to_vec());
            Ok::<_, ()>(())
        };
        for message in messages {
            packer.add(message, &mut send).unwrap();
        }
        packer.flush(&mut send).unwrap();
        packets
    }

    fn unpack(unpacker: &mut Unpacker, packets: &[Vec<u8>]) -> Result<Vec<Parts>, Malformed> {
        let mut messages = Vec::new();
        for packet in packets {
            unpacker.add(packet, |message| messages.push(message))?;
        }
        Ok(messages)
    }

    fn message(parts: &[&[u8]]) -> Parts {
        parts.iter().map(|part| part.to_vec()).collect()
    }

    /// Bytes that libzmq 4.3.4 sent.
    #[test]
    fn packets_are_those_of_libzmq() {
        assert_eq!(
            pack(&[message(&[b"first"])], PACKET_MAX),
            [b"\0\0\x06\0first"]
        );
        assert_eq!(
            pack(&[message(&[b"topic", b"body"])], PACKET_MAX),
            [b"\0\0\x06\x01topic\x05\0body"]
        );
        let long = &pack(&[message(&[&[7; 300]])], PACKET_MAX)[0];
        assert_eq!(long[..12], [0, 0, 0xFF, 0, 0, 0, 0, 0, 0, 1, 0x2D, 0]);
        // The third begins with what is left of the message.
        let three = pack(&[message(&[&[7; 3000]]), message(&[b"x"])], PACKET_MAX);
        let offsets: Vec<_> = three.iter().map(|packet| &packet[..2]).collect();
        assert_eq!(offsets, [[0, 0], [0xFF, 0xFF], [0, 158]]);
        // 254 bytes, flags included, are the most that one byte of length can say.
        assert_eq!(pack(&[message(&[&[7; 253]])], PACKET_MAX)[0][2], 254);
        assert_eq!(pack(&[message(&[&[7; 254]])], PACKET_MAX)[0][2], LONG);
    }

    #[test]
    fn a_stream_is_joined_where_a_message_begins() {
        let messages: Vec<_> = (0..20u8)
            .map(|n| message(&[&[n], &vec![n; 40 * usize::from(n)]]))
            .collect();
        let packets = pack(&messages, 100);
        for from in 0..packets.len() {
            let got = unpack(&mut Unpacker::default(), &packets[from..]).unwrap();
            assert_eq!(got, messages[messages.len() - got.len()..], "from {from}");
        }
        // The rest of a message, with its end exactly at the packet's.
        let mut unpacker = Unpacker::default();
        assert_eq!(unpack(&mut unpacker, &[b"\0\x03abc".to_vec()]), Ok(vec![]));
        let got = unpack(&mut unpacker, &[b"\xFF\xFF\x02\0x".to_vec()]);
        assert_eq!(got, Ok(vec![message(&[b"x"])]));
    }

    #[test]
    fn a_loss_costs_the_messages_it_touches() {
        let messages: Vec<_> = (0..9u8).map(|n| message(&[b"t", &[n; 30]])).collect();
        let packets = pack(&messages, 50);
        let mut unpacker = Unpacker::default();
        let mut got = unpack(&mut unpacker, &packets[..2]).unwrap();
        unpacker.lost();
        got.extend(unpack(&mut unpacker, &packets[3..]).unwrap());
        assert!(got.len() >= 6, "{got:?}");
        assert!(got.iter().all(|message| messages.contains(message)));
        assert_eq!(got.last(), messages.last());
    }

    #[test]
    fn the_middle_of_a_message_is_known() {
        let mut unpacker = Unpacker::default();
        let mut midway = |packet: &[u8]| {
            unpacker.add(packet, |_| ()).unwrap();
            unpacker.is_midway()
        };
        assert!(!midway(b"\xFF\xFFrest of what was missed"));
        assert!(!midway(b"\0\0\x02\0x"));
        assert!(midway(b"\0\0\x02\x01x"));
        assert!(!midway(b"\xFF\xFF\x02\0y"));
        assert!(midway(b"\0\0\x05\0a"));
        assert!(!midway(b"\xFF\xFFbcd"));
    }

    #[test]
    fn what_is_not_of_zeromq_is_refused() {
        let refused = |packet: &[u8]| Unpacker::default().add(packet, |_| ()).unwrap_err();
        assert_eq!(refused(b""), Malformed::Short);
        assert_eq!(refused(b"\0"), Malformed::Short);
        assert_eq!(refused(b"\0\0"), Malformed::Short);
        assert_eq!(refused(b"\0\x02a"), Malformed::Offset);
        assert_eq!(refused(b"\0\0\0"), Malformed::Empty);
        assert_eq!(refused(b"\0\0\xFF\0\0\0\0\0\0\0\0"), Malformed::Empty);
        assert_eq!(refused(b"\0\0\xFF\0\0\0\0\x10\0\0\0"), Malformed::Large);
        assert_eq!(
            refused(b"\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
            Malformed::Large
        );
        // It starts anew with the next packet in which a message begins.
        let mut unpacker = Unpacker::default();
        unpacker.add(b"\0\0\0", |_| ()).unwrap_err();
        let got = unpack(
            &mut unpacker,
            &[b"\xFF\xFFab".to_vec(), b"\0\0\x02\0x".to_vec()],
        );
        assert_eq!(got, Ok(vec![message(&[b"x"])]));
    }

    proptest! {
        #[test]
        fn messages_survive(
            messages in vec(vec(vec(any::<u8>(), 0..600), 1..4), 0..8),
            max in 3usize..1500,
        ) {
            let packets = pack(&messages, max);
            prop_assert!(packets.iter().all(|packet| (3..=max).contains(&packet.len())));
            let got = unpack(&mut Unpacker::default(), &packets);
            prop_assert_eq!(got, Ok(messages));
        }

        /// Any bytes, in any number of packets: no panic, no memory beyond what came.
        #[test]
        fn nothing_makes_the_unpacker_panic(packets in vec(vec(any::<u8>(), 0..80), 0..40)) {
            let mut unpacker = Unpacker::default();
            let mut bytes = 0usize;
            for packet in &packets {
                let _ = unpacker.add(packet, |message| bytes += message.concat().len());
            }
            let came: usize = packets.iter().map(Vec::len).sum();
            prop_assert!(bytes + unpacker.stream.len() + unpacker.parts.concat().len() <= came);
        }

        /// The same with bytes that are nearly right.
        #[test]
        fn damage_does_no_harm(
            messages in vec(vec(vec(any::<u8>(), 0..300), 1..4), 1..8),
            damage in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..9),
        ) {
            let mut packets = pack(&messages, 200);
            for (packet, at, byte) in damage {
                let packet = packet.get(&packets).clone();
                let place = at.index(packet.len());
                let found = packets.iter().position(|p| *p == packet).unwrap_or(0);
                packets[found][place] = byte;
            }
            let mut unpacker = Unpacker::default();
            for packet in &packets {
                let _ = unpacker.add(packet, |_| ());
            }
        }
    }
}
