// SPDX-License-Identifier: GPL-2.0

//! Packets and deliveries in words.

use pgm_core::receiver::Delivery;
use pgm_core::Instant;
use pgm_wire::Packet;

/// Seconds on the virtual clock.
pub fn seconds(at: Instant) -> f64 {
    at.nanos() as f64 / 1e9
}

/// A packet with the options that matter here.
pub fn packet(bytes: &[u8]) -> String {
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(why) => return format!("{why:?}"),
    };
    let mut text = format!("{:?}", packet.body);
    if let Some(list) = packet.options.nak_list() {
        let list: Vec<u32> = list.iter().map(|sqn| sqn.get()).collect();
        text += &format!(" and {list:?}");
    }
    if let Some(fragment) = packet.options.fragment() {
        text += &format!(" {fragment:?}");
    }
    if packet.options.fin() {
        text += " FIN";
    }
    if let Some(rst) = packet.options.rst() {
        text += &format!(" {rst:?}");
    }
    text
}

/// A delivery without its bytes.
pub fn delivery(delivery: &Delivery<Vec<u8>>) -> String {
    match delivery {
        Delivery::Data(data) => format!(
            "data {} offset {} len {} of {}",
            data.sqn.get(),
            data.offset,
            data.len,
            data.apdu_len
        ),
        other => format!("{other:?}"),
    }
}
