// SPDX-License-Identifier: GPL-2.0
//! NAK, NNAK and NCF.

use super::{sqn, v4, v6, Vector, DOWN, UP};
use pgm_wire::{
    Addr, Cr, Crqst, Nak, NakBoIvl, NakList, NakOptions, NcfOptions, NnakOptions, PgmccFeedback,
    Repr,
};

/// 239.192.0.1
const GROUP: Addr = Addr::V4([239, 192, 0, 1]);
/// ff1e::113
const GROUP6: Addr = Addr::V6([0xFF, 0x1E, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x13]);

const fn nak(source: Addr, group: Addr) -> Nak {
    Nak {
        sqn: sqn(0x101),
        source,
        group,
    }
}

fn list(sqns: impl IntoIterator<Item = u32>) -> NakList {
    let mut list = NakList::EMPTY;
    for value in sqns {
        list.push(sqn(value)).unwrap();
    }
    list
}

fn reports(list: NakList, worst: Addr, own: Addr) -> NakOptions {
    NakOptions {
        list,
        cr: Some(Cr {
            reported: Crqst {
                ne_worst_link: true,
                ne_worst_path: false,
                rx_worst_path: true,
            },
            lead: sqn(0x1FF),
            ne_wl: 0x1111,
            ne_wp: 0,
            rx_wp: 0x1999,
            receiver: worst,
        }),
        pgmcc_feedback: Some(PgmccFeedback {
            tstamp: 123_460,
            loss_rate: 0x1999,
            receiver: own,
        }),
        parity: false,
    }
}

pub fn vectors() -> Vec<Vector> {
    let all_ncf = NcfOptions {
        list: list([0x103, 0x104, 0x110]),
        nak_bo_ivl: Some(NakBoIvl {
            micros: 50_000,
            sqn: sqn(0),
        }),
        nbr_unreach: true,
        path_nla: Some(v4(254)),
        parity: true,
    };
    vec![
        Vector {
            name: "NAK",
            repr: Repr::Nak(nak(v4(1), GROUP), NakOptions::default()),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 08 00 e2cb a1a2a3a4a5a6 0000
                00000101 00010000 0a000001 00010000 efc00001",
        },
        Vector {
            name: "NAK v6",
            repr: Repr::Nak(nak(v6(1), GROUP6), NakOptions::default()),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 08 00 aea0 a1a2a3a4a5a6 0000
                00000101 00020000 20010db8 00000000 00000000 00000001
                00020000 ff1e0000 00000000 00000000 00000113",
        },
        Vector {
            name: "NAK, v4 source and v6 group",
            repr: Repr::Nak(
                nak(v4(1), GROUP6),
                NakOptions {
                    parity: true,
                    ..Default::default()
                },
            ),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 08 80 d1da a1a2a3a4a5a6 0000
                00000101 00010000 0a000001
                00020000 ff1e0000 00000000 00000000 00000113",
        },
        Vector {
            name: "NAK with all options",
            repr: Repr::Nak(
                nak(v4(1), GROUP),
                reports(list([0x103, 0x104, 0x110]), v4(2), v4(3)),
            ),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 08 03 fda4 a1a2a3a4a5a6 0000
                00000101 00010000 0a000001 00010000 efc00001
                0004003c
                02100000 00000103 00000104 00000110
                10180005 000001ff 1111 0000 1999 0000 00010000 0a000002
                93100000 0001e244 0001 1999 0a000003",
        },
        Vector {
            name: "NAK v6, the longest",
            repr: Repr::Nak(
                nak(v6(1), GROUP6),
                reports(list(0x102..0x140), v6(2), v6(3)),
            ),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 08 03 3d35 a1a2a3a4a5a6 0000
                00000101 00020000 20010db8 00000000 00000000 00000001
                00020000 ff1e0000 00000000 00000000 00000113
                00040140
                02fc0000 00000102 00000103 00000104 00000105 00000106 00000107
                00000108 00000109 0000010a 0000010b 0000010c 0000010d 0000010e 0000010f
                00000110 00000111 00000112 00000113 00000114 00000115 00000116 00000117
                00000118 00000119 0000011a 0000011b 0000011c 0000011d 0000011e 0000011f
                00000120 00000121 00000122 00000123 00000124 00000125 00000126 00000127
                00000128 00000129 0000012a 0000012b 0000012c 0000012d 0000012e 0000012f
                00000130 00000131 00000132 00000133 00000134 00000135 00000136 00000137
                00000138 00000139 0000013a 0000013b 0000013c 0000013d 0000013e 0000013f
                10240005 000001ff 1111 0000 1999 0000
                00020000 20010db8 00000000 00000000 00000002
                931c0000 0001e244 0002 1999 20010db8 00000000 00000000 00000003",
        },
        Vector {
            name: "NNAK",
            repr: Repr::Nnak(
                nak(v4(1), GROUP),
                NnakOptions {
                    list: list([0x102]),
                    parity: false,
                },
            ),
            ports: UP,
            payload: b"",
            hex: "
                1d4c 1234 09 03 5eae a1a2a3a4a5a6 0000
                00000101 00010000 0a000001 00010000 efc00001
                0004000c
                82080000 00000102",
        },
        Vector {
            name: "NCF",
            repr: Repr::Ncf(nak(v4(1), GROUP), NcfOptions::default()),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 0a 00 e0cb a1a2a3a4a5a6 0000
                00000101 00010000 0a000001 00010000 efc00001",
        },
        Vector {
            name: "NCF with all options",
            repr: Repr::Ncf(nak(v4(1), GROUP), all_ncf),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 0a 83 718a a1a2a3a4a5a6 0000
                00000101 00010000 0a000001 00010000 efc00001
                0004002c
                02100000 00000103 00000104 00000110
                040c0000 0000c350 00000000
                0b040000
                8c080000 0a0000fe",
        },
        Vector {
            name: "NCF v6 with path",
            repr: Repr::Ncf(
                nak(v6(1), GROUP6),
                NcfOptions {
                    nbr_unreach: true,
                    path_nla: Some(v6(254)),
                    ..Default::default()
                },
            ),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 0a 03 e6ad a1a2a3a4a5a6 0000
                00000101 00020000 20010db8 00000000 00000000 00000001
                00020000 ff1e0000 00000000 00000000 00000113
                0004001c
                0b040000
                8c140000 20010db8 00000000 00000000 000000fe",
        },
    ]
}
