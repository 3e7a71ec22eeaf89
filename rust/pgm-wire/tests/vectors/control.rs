// SPDX-License-Identifier: GPL-2.0
//! SPM, POLL, POLR, SPMR and ACK.

use super::{sqn, v4, v6, Vector, DOWN, UP};
use pgm_wire::{
    Ack, AckOptions, Addr, Crqst, NakBoIvl, NakBoRng, ParityPrm, PgmccFeedback, Poll, PollOptions,
    Polr, PolrOptions, Repr, Rst, Spm, SpmOptions,
};

fn spm(path: Addr, options: SpmOptions) -> Repr {
    let spm = Spm {
        sqn: sqn(7),
        trail: sqn(100),
        lead: sqn(0xFFFF_FFF0),
        path,
    };
    Repr::Spm(spm, options)
}

fn poll(path: Addr, options: PollOptions) -> Repr {
    let poll = Poll {
        sqn: sqn(3),
        round: 2,
        subtype: 1,
        path,
        bo_ivl: 200_000,
        rand: 0xDEAD_BEEF,
        mask: 0xFF,
    };
    Repr::Poll(poll, options)
}

fn polr(options: PolrOptions) -> Repr {
    Repr::Polr(
        Polr {
            sqn: sqn(3),
            round: 2,
        },
        options,
    )
}

fn ack(receiver: Addr) -> Repr {
    let feedback = PgmccFeedback {
        tstamp: 123_460,
        loss_rate: 0x1999,
        receiver,
    };
    Repr::Ack(
        Ack {
            rx_max: sqn(0x105),
            bitmap: 0xFFFF_FFF7,
        },
        AckOptions {
            pgmcc_feedback: Some(feedback),
        },
    )
}

pub fn vectors() -> Vec<Vector> {
    let all_spm = SpmOptions {
        join: Some(sqn(90)),
        fin: true,
        rst: Some(Rst {
            no_naks: true,
            code: 9,
        }),
        parity_prm: Some(ParityPrm {
            proactive: true,
            on_demand: false,
            tgs: 8,
        }),
        curr_tgsize: Some(5),
        nak_bo_ivl: Some(NakBoIvl {
            micros: 50_000,
            sqn: sqn(9),
        }),
        nak_bo_rng: Some(NakBoRng {
            max: 2_000_000,
            min: 1_000,
        }),
        nbr_unreach: true,
        crqst: Some(Crqst {
            ne_worst_link: true,
            ne_worst_path: true,
            rx_worst_path: true,
        }),
    };
    vec![
        Vector {
            name: "SPM",
            repr: spm(v4(1), SpmOptions::default()),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 00 00 db33 a1a2a3a4a5a6 0000
                00000007 00000064 fffffff0 00010000 0a000001",
        },
        Vector {
            name: "SPM v6",
            repr: spm(v6(1), SpmOptions::default()),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 00 00 b779 a1a2a3a4a5a6 0000
                00000007 00000064 fffffff0 00020000 20010db8 00000000 00000000 00000001",
        },
        Vector {
            name: "SPM with all options",
            repr: spm(v4(1), all_spm),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 00 03 b70e a1a2a3a4a5a6 0000
                00000007 00000064 fffffff0 00010000 0a000001
                00040044
                040c0000 0000c350 00000009
                050c0000 001e8480 000003e8
                08080002 00000008
                0a080000 00000005
                0b040000
                11040007
                03080000 0000005a
                0e040000
                8f040049",
        },
        Vector {
            name: "SPM with FIN",
            repr: spm(
                v4(1),
                SpmOptions {
                    fin: true,
                    ..Default::default()
                },
            ),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 00 01 4d22 a1a2a3a4a5a6 0000
                00000007 00000064 fffffff0 00010000 0a000001
                00040008
                8e040000",
        },
        Vector {
            name: "POLL",
            repr: poll(v4(1), PollOptions::default()),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 01 00 2eaa a1a2a3a4a5a6 0000
                00000003 0002 0001 00010000 0a000001 00030d40 deadbeef 000000ff",
        },
        Vector {
            name: "POLL v6",
            repr: poll(
                v6(1),
                PollOptions {
                    nak_bo_ivl: Some(NakBoIvl {
                        micros: 50_000,
                        sqn: sqn(3),
                    }),
                },
            ),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 01 03 c378 a1a2a3a4a5a6 0000
                00000003 0002 0001 00020000 20010db8 00000000 00000000 00000001
                00030d40 deadbeef 000000ff
                00040010
                840c0000 0000c350 00000003",
        },
        Vector {
            name: "POLR",
            repr: polr(PolrOptions::default()),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 02 00 e38c a1a2a3a4a5a6 0000
                00000003 0002 0000",
        },
        Vector {
            name: "POLR redirecting",
            repr: polr(PolrOptions {
                redirect: Some(v4(9)),
                parity: true,
            }),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 02 83 51df a1a2a3a4a5a6 0000
                00000003 0002 0000
                00040010
                870c0000 00010000 0a000009",
        },
        Vector {
            name: "POLR redirecting v6",
            repr: polr(PolrOptions {
                redirect: Some(v6(9)),
                parity: false,
            }),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 02 03 2e8d a1a2a3a4a5a6 0000
                00000003 0002 0000
                0004001c
                87180000 00020000 20010db8 00000000 00000000 00000009",
        },
        Vector {
            name: "SPMR",
            repr: Repr::Spmr,
            ports: UP,
            payload: b"",
            hex: "1d4c 1234 0c 00 d991 a1a2a3a4a5a6 0000",
        },
        Vector {
            name: "ACK",
            repr: ack(v4(3)),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 0d 01 3e88 a1a2a3a4a5a6 0000
                00000105 fffffff7
                00040014
                93100000 0001e244 0001 1999 0a000003",
        },
        Vector {
            name: "ACK v6",
            repr: ack(v6(3)),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 0d 01 1ab6 a1a2a3a4a5a6 0000
                00000105 fffffff7
                00040020
                931c0000 0001e244 0002 1999 20010db8 00000000 00000000 00000003",
        },
    ]
}
