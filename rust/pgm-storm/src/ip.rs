// SPDX-License-Identifier: GPL-2.0
//! IP packets around PGM packets: with any source, in UDP or not, whole or in fragments.

use pgm_wire::checksum::Sum;
use pgm_wire::Addr;

const PGM: u8 = 113;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;

fn octets(addr: Addr) -> Vec<u8> {
    match addr {
        Addr::V4(bytes) => bytes.to_vec(),
        Addr::V6(bytes) => bytes.to_vec(),
    }
}

/// The IP packets that bring `data`. `port` is the UDP port, 0 without encapsulation; `split` the most
/// bytes that one packet has, a multiple of 8; `id` names the fragments of one packet.
pub fn packets(
    from: Addr,
    to: Addr,
    port: u16,
    data: &[u8],
    split: Option<usize>,
    id: u32,
) -> Vec<Vec<u8>> {
    let (protocol, data) = match port {
        0 => (PGM, data.to_vec()),
        port => (UDP, datagram(from, to, port, data)),
    };
    let Some(split) = split.filter(|split| data.len() > *split) else {
        return vec![packet(from, to, protocol, &data, None)];
    };
    let last = data.len().div_ceil(split) - 1;
    let parts = data.chunks(split).enumerate();
    let parts = parts.map(|(n, part)| {
        let place = (n * split) as u16 | u16::from(n < last);
        packet(from, to, protocol, part, Some((place, id)))
    });
    parts.collect()
}

fn datagram(from: Addr, to: Addr, port: u16, data: &[u8]) -> Vec<u8> {
    let len = (8 + data.len()) as u16;
    let mut udp = [port, port, len, 0].map(u16::to_be_bytes).concat();
    udp.extend(data);
    let mut pseudo = [octets(from), octets(to)].concat();
    pseudo.extend([0, UDP]);
    pseudo.extend(len.to_be_bytes());
    let sum = Sum::of(&pseudo).add(Sum::of(&udp)).finish();
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    udp
}

/// `fragment`: offset in bytes with the lowest bit set if more follow, and the identification.
fn packet(
    from: Addr,
    to: Addr,
    protocol: u8,
    data: &[u8],
    fragment: Option<(u16, u32)>,
) -> Vec<u8> {
    let mut packet;
    if from.is_v4() {
        let (place, id) = fragment.unwrap_or((0, 0));
        let offset = place >> 3 | (place & 1) << 13;
        // The kernel fills in length and checksum.
        packet = vec![0x45, 0, 0, 0];
        packet.extend((id as u16).to_be_bytes());
        packet.extend(offset.to_be_bytes());
        packet.extend([16, protocol, 0, 0]);
    } else {
        let next = fragment.map_or(protocol, |_| FRAGMENT);
        let len = data.len() + fragment.map_or(0, |_| 8);
        packet = vec![0x60, 0, 0, 0];
        packet.extend((len as u16).to_be_bytes());
        packet.extend([next, 16]);
    }
    packet.extend(octets(from));
    packet.extend(octets(to));
    if let (false, Some((place, id))) = (from.is_v4(), fragment) {
        packet.extend([protocol, 0]);
        packet.extend(place.to_be_bytes());
        packet.extend(id.to_be_bytes());
    }
    packet.extend(data);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_bring_all_of_it() {
        let data: Vec<u8> = (0..100).collect();
        for (from, to, header) in [
            (Addr::V4([1; 4]), Addr::V4([2; 4]), 20),
            (Addr::V6([1; 16]), Addr::V6([2; 16]), 48),
        ] {
            let all = packets(from, to, 0, &data, Some(32), 9);
            assert_eq!(all.len(), 4);
            let whole: Vec<u8> = all.iter().flat_map(|p| p[header..].to_vec()).collect();
            assert_eq!(whole, data);
        }
    }

    #[test]
    fn datagrams_have_a_right_checksum() {
        let udp = datagram(Addr::V6([1; 16]), Addr::V6([2; 16]), 3055, b"odd");
        let mut pseudo = [[1u8; 16], [2u8; 16]].concat();
        pseudo.extend([0, UDP, 0, udp.len() as u8]);
        assert_eq!(Sum::of(&pseudo).add(Sum::of(&udp)).finish(), 0xFFFF);
    }
}
