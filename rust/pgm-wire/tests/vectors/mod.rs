// SPDX-License-Identifier: GPL-2.0
//! Packets written by hand from the drawings of RFC 3208, and what each of them means.
#![allow(dead_code)]

mod control;
mod data;
mod nak;

use pgm_wire::{checksum::Sum, Addr, Gsi, Ports, Repr, Sqn};

pub struct Vector {
    pub name: &'static str,
    pub repr: Repr,
    pub ports: Ports,
    pub payload: &'static [u8],
    /// One line each for header, type-specific part, every option, and payload.
    pub hex: &'static str,
}

impl Vector {
    pub fn bytes(&self) -> Vec<u8> {
        unhex(self.hex)
    }

    /// The packet as this crate writes it.
    pub fn emitted(&self) -> Vec<u8> {
        emit(&self.repr, self.ports, self.payload)
    }
}

pub fn all() -> Vec<Vector> {
    let mut all = control::vectors();
    all.extend(data::vectors());
    all.extend(nak::vectors());
    all
}

pub fn named(name: &str) -> Vector {
    all()
        .into_iter()
        .find(|vector| vector.name == name)
        .expect("no such vector")
}

pub fn emit(repr: &Repr, ports: Ports, payload: &[u8]) -> Vec<u8> {
    let mut buf = vec![0xAA; pgm_wire::HEADER_MAX];
    let tsdu_len = u16::try_from(payload.len()).unwrap();
    let len = repr
        .emit(ports, tsdu_len, Sum::of(payload), &mut buf)
        .unwrap();
    assert_eq!(len, repr.header_len());
    buf.truncate(len);
    buf.extend_from_slice(payload);
    buf
}

/// Puts the right checksum into a packet.
pub fn fix_checksum(bytes: &mut [u8]) {
    bytes[6..8].fill(0);
    let sum = Sum::of(bytes).finish();
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    assert_eq!(digits.len() % 2, 0);
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

const GSI: Gsi = Gsi([0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6]);
/// Data-source port 4660, data-destination port 7500.
const DOWN: Ports = Ports {
    sport: 4660,
    dport: 7500,
    gsi: GSI,
};
const UP: Ports = Ports {
    sport: 7500,
    dport: 4660,
    gsi: GSI,
};

const fn sqn(value: u32) -> Sqn {
    Sqn::new(value)
}

/// 10.0.0.x
const fn v4(last: u8) -> Addr {
    Addr::V4([10, 0, 0, last])
}

/// 2001:db8::x
const fn v6(last: u8) -> Addr {
    Addr::V6([0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
}
