// SPDX-License-Identifier: GPL-2.0
//! From a received packet to the packet to send that means the same, as far as that may be sent.
#![allow(dead_code)]

use pgm_wire::{
    extent, AckOptions, Body, DataOptions, Error, Extent, NakOptions, NcfOptions, NnakOptions,
    Options, Packet, Parity, PollOptions, PolrOptions, Ports, Repr, SpmOptions, PLAIN_DATA,
};

pub fn represent(packet: &Packet<'_>) -> Repr {
    let (o, parity) = (packet.options, packet.header.parity);
    let list = o.nak_list().unwrap_or_default();
    match packet.body {
        Body::Spm(spm) => Repr::Spm(
            spm,
            SpmOptions {
                join: o.join(),
                fin: o.fin(),
                rst: o.rst(),
                parity_prm: o.parity_prm(),
                curr_tgsize: o.curr_tgsize(),
                nak_bo_ivl: o.nak_bo_ivl(),
                nak_bo_rng: o.nak_bo_rng(),
                nbr_unreach: o.nbr_unreach(),
                crqst: o.crqst(),
            },
        ),
        Body::Poll(poll) => Repr::Poll(
            poll,
            PollOptions {
                nak_bo_ivl: o.nak_bo_ivl(),
            },
        ),
        Body::Polr(polr) => Repr::Polr(
            polr,
            PolrOptions {
                redirect: o.redirect(),
                parity,
            },
        ),
        Body::Odata(data) => Repr::Odata(data, data_options(packet)),
        Body::Rdata(data) => Repr::Rdata(data, data_options(packet)),
        Body::Nak(nak) => Repr::Nak(
            nak,
            NakOptions {
                list,
                cr: o.cr(),
                pgmcc_feedback: o.pgmcc_feedback(),
                parity,
            },
        ),
        Body::Nnak(nak) => Repr::Nnak(nak, NnakOptions { list, parity }),
        Body::Ncf(nak) => Repr::Ncf(
            nak,
            NcfOptions {
                list,
                nak_bo_ivl: o.nak_bo_ivl(),
                nbr_unreach: o.nbr_unreach(),
                path_nla: o.path_nla(),
                parity,
            },
        ),
        Body::Spmr => Repr::Spmr,
        Body::Ack(ack) => Repr::Ack(
            ack,
            AckOptions {
                pgmcc_feedback: o.pgmcc_feedback(),
            },
        ),
    }
}

fn data_options(packet: &Packet<'_>) -> DataOptions {
    let o = packet.options;
    let parity = packet.header.parity.then(|| Parity {
        grp: o.parity_grp().unwrap_or(0),
        var_pktlen: packet.header.var_pktlen,
        fragment: o.encoded_fragment(),
    });
    DataOptions {
        fragment: o.fragment(),
        join: o.join(),
        syn: o.syn(),
        fin: o.fin(),
        curr_tgsize: o.curr_tgsize(),
        pgmcc_data: o.pgmcc_data(),
        parity,
    }
}

pub fn ports(packet: &Packet<'_>) -> Ports {
    let header = packet.header;
    Ports {
        sport: header.sport,
        dport: header.dport,
        gsi: header.gsi,
    }
}

/// Runs [`extent`] as a receiver does that has 16 bytes at first and fetches what it is told to.
pub fn fetch(bytes: &[u8]) -> Result<usize, Error> {
    let total = bytes.len();
    let mut have = total.min(16);
    for _ in 0..7 {
        match extent(&bytes[..have], total)? {
            Extent::Whole(len) => {
                assert!(len <= have);
                return Ok(len);
            }
            Extent::More(more) => {
                assert!(more > have && more <= total, "{have} -> {more} of {total}");
                have = more;
            }
        }
    }
    panic!("extent does not come to an end");
}

/// Everything that must hold for any bytes whatever.
pub fn examine(bytes: &[u8]) -> Result<Packet<'_>, Error> {
    let fetched = fetch(bytes);
    let parsed = Packet::parse(bytes);
    let Ok(packet) = parsed else {
        let head = bytes.first_chunk::<PLAIN_DATA>();
        let plain = head.and_then(|head| Packet::parse_plain(head, bytes.len()));
        assert!(plain.is_none() || parsed == Err(Error::Checksum));
        return parsed;
    };
    let len = packet.header_len();
    assert_eq!(fetched, Ok(len));
    assert!(len + usize::from(packet.header.tsdu_len) <= bytes.len());
    let mut apart = Packet::parse_header(&bytes[..len], bytes.len()).unwrap();
    assert!(apart.payload.is_empty());
    apart.payload = packet.payload;
    assert_eq!(apart, packet);
    assert!(Packet::parse_header(&bytes[..len - 1], bytes.len()).is_err());
    examine_options(packet.options);
    examine_plain(bytes, &apart);

    let repr = represent(&packet);
    let mut again = vec![0; repr.header_len()];
    let sum = pgm_wire::checksum::Sum::of(packet.payload);
    let tsdu_len = packet.payload.len() as u16;
    assert_eq!(
        repr.emit(ports(&packet), tsdu_len, sum, &mut again),
        Ok(again.len())
    );
    again.extend_from_slice(packet.payload);
    let again = Packet::parse(&again).unwrap();
    assert_eq!(represent(&again), repr);
    assert_eq!(ports(&again), ports(&packet));
    assert_eq!(again.payload, packet.payload);
    Ok(packet)
}

/// The short way takes plain data, and says of it what the other says.
fn examine_plain(bytes: &[u8], packet: &Packet<'_>) {
    let head = bytes.first_chunk::<PLAIN_DATA>();
    let plain = head.and_then(|head| Packet::parse_plain(head, bytes.len()));
    let is_plain = packet.header.kind.has_payload() && bytes[5] == 0;
    let mut expected = *packet;
    expected.payload = &[];
    assert_eq!(plain, is_plain.then_some(expected));
}

fn examine_options(options: Options<'_>) {
    let count = options.iter().count();
    assert!(count <= 16);
    assert_eq!(options.is_empty(), count == 0);
}
