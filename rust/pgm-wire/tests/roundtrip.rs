// SPDX-License-Identifier: GPL-2.0
//! Whatever can be sent is received as it was meant.

mod represent;
mod vectors;

use pgm_wire::option::number;
use pgm_wire::*;
use proptest::prelude::*;
use represent::{examine, represent};

fn sqn() -> impl Strategy<Value = Sqn> {
    any::<u32>().prop_map(Sqn::new)
}

fn addr() -> impl Strategy<Value = Addr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(Addr::V4),
        any::<[u8; 16]>().prop_map(Addr::V6)
    ]
}

fn list() -> impl Strategy<Value = NakList> {
    prop::collection::vec(sqn(), 0..=NAK_LIST_MAX).prop_map(|sqns| {
        let mut list = NakList::EMPTY;
        sqns.into_iter().for_each(|sqn| list.push(sqn).unwrap());
        list
    })
}

fn maybe<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    prop::option::of(strategy)
}

fn crqst() -> impl Strategy<Value = Crqst> {
    any::<[bool; 3]>().prop_map(|[ne_worst_link, ne_worst_path, rx_worst_path]| Crqst {
        ne_worst_link,
        ne_worst_path,
        rx_worst_path,
    })
}

fn nak_bo_ivl() -> impl Strategy<Value = NakBoIvl> {
    (any::<u32>(), sqn()).prop_map(|(micros, sqn)| NakBoIvl { micros, sqn })
}

fn feedback() -> impl Strategy<Value = PgmccFeedback> {
    (any::<u32>(), any::<u16>(), addr()).prop_map(|(tstamp, loss_rate, receiver)| PgmccFeedback {
        tstamp,
        loss_rate,
        receiver,
    })
}

fn spm() -> impl Strategy<Value = Repr> {
    let body = (sqn(), sqn(), sqn(), addr()).prop_map(|(sqn, trail, lead, path)| Spm {
        sqn,
        trail,
        lead,
        path,
    });
    let rst = (any::<bool>(), 0u8..64).prop_map(|(no_naks, code)| Rst { no_naks, code });
    let parity_prm = any::<(bool, bool, u32)>().prop_map(|(proactive, on_demand, tgs)| ParityPrm {
        proactive,
        on_demand,
        tgs,
    });
    let range = any::<(u32, u32)>().prop_map(|(max, min)| NakBoRng { max, min });
    let options = (
        (
            maybe(sqn()),
            any::<bool>(),
            maybe(rst),
            maybe(parity_prm),
            any::<Option<u32>>(),
        ),
        (
            maybe(nak_bo_ivl()),
            maybe(range),
            any::<bool>(),
            maybe(crqst()),
        ),
    )
        .prop_map(|((join, fin, rst, parity_prm, curr_tgsize), rest)| {
            let (nak_bo_ivl, nak_bo_rng, nbr_unreach, crqst) = rest;
            SpmOptions {
                join,
                fin,
                rst,
                parity_prm,
                curr_tgsize,
                nak_bo_ivl,
                nak_bo_rng,
                nbr_unreach,
                crqst,
            }
        });
    (body, options).prop_map(|(body, options)| Repr::Spm(body, options))
}

fn poll() -> impl Strategy<Value = Repr> {
    (
        sqn(),
        any::<u16>(),
        any::<u16>(),
        addr(),
        any::<(u32, u32, u32)>(),
        maybe(nak_bo_ivl()),
    )
        .prop_map(
            |(sqn, round, subtype, path, (bo_ivl, rand, mask), nak_bo_ivl)| {
                let poll = Poll {
                    sqn,
                    round,
                    subtype,
                    path,
                    bo_ivl,
                    rand,
                    mask,
                };
                Repr::Poll(poll, PollOptions { nak_bo_ivl })
            },
        )
}

fn polr() -> impl Strategy<Value = Repr> {
    (sqn(), any::<u16>(), maybe(addr()), any::<bool>()).prop_map(
        |(sqn, round, redirect, parity)| {
            Repr::Polr(Polr { sqn, round }, PolrOptions { redirect, parity })
        },
    )
}

fn data() -> impl Strategy<Value = Repr> {
    let fragment =
        (sqn(), any::<u32>(), any::<u32>()).prop_map(|(first, offset, apdu_len)| Fragment {
            first,
            offset,
            apdu_len,
        });
    let pgmcc = (any::<u32>(), addr()).prop_map(|(tstamp, acker)| PgmccData { tstamp, acker });
    let parity = (any::<u32>(), any::<bool>(), maybe(any::<[u8; 13]>())).prop_map(
        |(grp, var_pktlen, fragment)| Parity {
            grp,
            var_pktlen,
            fragment: fragment.map(EncodedFragment),
        },
    );
    let options = (
        maybe(fragment),
        maybe(sqn()),
        any::<bool>(),
        any::<bool>(),
        any::<Option<u32>>(),
        maybe(pgmcc),
        maybe(parity),
    )
        .prop_map(
            |(fragment, join, syn, fin, curr_tgsize, pgmcc_data, parity)| DataOptions {
                fragment: if parity.is_some() { None } else { fragment },
                join,
                syn,
                fin,
                curr_tgsize,
                pgmcc_data,
                parity,
            },
        );
    (sqn(), sqn(), options, any::<bool>()).prop_map(|(sqn, trail, options, repair)| {
        let data = Data { sqn, trail };
        if repair {
            Repr::Rdata(data, options)
        } else {
            Repr::Odata(data, options)
        }
    })
}

fn nak() -> impl Strategy<Value = Repr> {
    let body =
        || (sqn(), addr(), addr()).prop_map(|(sqn, source, group)| Nak { sqn, source, group });
    let cr = (crqst(), sqn(), any::<(u16, u16, u16)>(), addr()).prop_map(
        |(reported, lead, (ne_wl, ne_wp, rx_wp), receiver)| Cr {
            reported,
            lead,
            ne_wl,
            ne_wp,
            rx_wp,
            receiver,
        },
    );
    let nak = (body(), list(), maybe(cr), maybe(feedback()), any::<bool>()).prop_map(
        |(nak, list, cr, pgmcc_feedback, parity)| {
            Repr::Nak(
                nak,
                NakOptions {
                    list,
                    cr,
                    pgmcc_feedback,
                    parity,
                },
            )
        },
    );
    let nnak = (body(), list(), any::<bool>())
        .prop_map(|(nak, list, parity)| Repr::Nnak(nak, NnakOptions { list, parity }));
    let ncf = (
        body(),
        list(),
        maybe(nak_bo_ivl()),
        any::<bool>(),
        maybe(addr()),
        any::<bool>(),
    )
        .prop_map(|(nak, list, nak_bo_ivl, nbr_unreach, path_nla, parity)| {
            Repr::Ncf(
                nak,
                NcfOptions {
                    list,
                    nak_bo_ivl,
                    nbr_unreach,
                    path_nla,
                    parity,
                },
            )
        });
    prop_oneof![nak, nnak, ncf]
}

fn ack() -> impl Strategy<Value = Repr> {
    (sqn(), any::<u32>(), maybe(feedback())).prop_map(|(rx_max, bitmap, pgmcc_feedback)| {
        Repr::Ack(Ack { rx_max, bitmap }, AckOptions { pgmcc_feedback })
    })
}

fn repr() -> impl Strategy<Value = Repr> {
    prop_oneof![
        spm(),
        poll(),
        polr(),
        data(),
        nak(),
        Just(Repr::Spmr),
        ack()
    ]
}

fn ports() -> impl Strategy<Value = Ports> {
    any::<(u16, u16, [u8; 6])>().prop_map(|(sport, dport, gsi)| Ports {
        sport,
        dport,
        gsi: Gsi(gsi),
    })
}

/// The option types that set the NS bit (section 8 and the sections of the options).
fn significant(option: u8, kind: PacketType) -> bool {
    match option {
        number::CURR_TGSIZE => kind != PacketType::Odata,
        _ => [2, 4, 5, 7, 8, 0x0B, 0x0C, 0x10, 0x11].contains(&option),
    }
}

fn config() -> ProptestConfig {
    // Seeds of failures go to the output, not into the source tree.
    ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    // req: WIRE-02 WIRE-13 WIRE-19 WIRE-23 OPT-06
    #[test]
    fn sent_is_received(
        repr in repr(),
        ports in ports(),
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let payload = if repr.kind().has_payload() { &payload[..] } else { &[] };
        let bytes = vectors::emit(&repr, ports, payload);
        let packet = examine(&bytes).unwrap();
        prop_assert_eq!(represent(&packet), repr);
        prop_assert_eq!(represent::ports(&packet), ports);
        prop_assert_eq!(packet.payload, payload);
        prop_assert_eq!(usize::from(packet.header.tsdu_len), payload.len());
        prop_assert_eq!(packet.header_len(), repr.header_len());
        prop_assert_ne!(packet.header.checksum, 0);
        prop_assert_eq!(repr.header_len() % 4, 0);
        prop_assert!(repr.header_len() <= HEADER_MAX);
    }

    // req: OPT-01 OPT-02 OPT-03 OPT-04 OPT-05 OPT-07 OPT-08
    #[test]
    fn options_as_sent(repr in repr(), ports in ports()) {
        let bytes = vectors::emit(&repr, ports, b"");
        let packet = Packet::parse(&bytes).unwrap();
        let options: Vec<_> = packet.options.iter().collect();
        prop_assert!(options.len() <= 15);
        let order: Vec<bool> =
            options.iter().map(|o| significant(o.number, repr.kind())).collect();
        prop_assert!(order.windows(2).all(|pair| pair[0] || !pair[1]), "receiver-only first");
        prop_assert_eq!(bytes[5] & 0x01 != 0, !options.is_empty());
        prop_assert_eq!(bytes[5] & 0x02 != 0, order.contains(&true));
        prop_assert_eq!(bytes[5] & 0x3C, 0);
        if let Some((last, others)) = options.split_last() {
            let mut at = bytes.len() - last.body.len() - 4;
            prop_assert_eq!(bytes[at] & 0x80, 0x80);
            for option in others.iter().rev() {
                at -= option.body.len() + 4;
                prop_assert_eq!(bytes[at] & 0x80, 0);
            }
            let total = u16::try_from(bytes.len() - at + 4).unwrap().to_be_bytes();
            prop_assert_eq!(&bytes[at - 4..at], &[0, 4, total[0], total[1]]);
            for option in &options {
                let encoded = packet.header.parity && option.number == number::FRAGMENT;
                prop_assert_eq!(option.reserved, if encoded { 4 } else { 0 });
            }
        }
    }

    // req: SEC-07
    #[test]
    fn any_bytes_at_all(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..16) {
        let _ = examine(&bytes);
        if bytes.len() >= 16 {
            bytes[4] = kind;
            bytes[14..16].fill(0);
            vectors::fix_checksum(&mut bytes);
            let _ = examine(&bytes);
        }
    }
}
