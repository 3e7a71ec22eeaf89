// SPDX-License-Identifier: GPL-2.0
//! ODATA and RDATA.

use super::{sqn, v4, v6, Vector, DOWN};
use pgm_wire::{Data, DataOptions, EncodedFragment, Fragment, Parity, PgmccData, Repr};

const DATA: Data = Data {
    sqn: sqn(0x100),
    trail: sqn(0xF0),
};
const FRAGMENT: Fragment = Fragment {
    first: sqn(0xFE),
    offset: 2800,
    apdu_len: 4000,
};

pub fn vectors() -> Vec<Vector> {
    let all_odata = DataOptions {
        fragment: Some(FRAGMENT),
        join: Some(sqn(0xF8)),
        syn: true,
        fin: true,
        curr_tgsize: Some(5),
        pgmcc_data: Some(PgmccData {
            tstamp: 123_456,
            acker: v4(2),
        }),
        parity: None,
    };
    let parity = Parity {
        grp: 1,
        var_pktlen: true,
        fragment: Some(EncodedFragment([
            0x81, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B,
        ])),
    };
    vec![
        Vector {
            name: "ODATA",
            repr: Repr::Odata(DATA, DataOptions::default()),
            ports: DOWN,
            payload: b"hello",
            hex: "
                1234 1d4c 04 00 9bca a1a2a3a4a5a6 0005
                00000100 000000f0
                68656c6c6f",
        },
        Vector {
            name: "ODATA, empty",
            repr: Repr::Odata(DATA, DataOptions::default()),
            ports: DOWN,
            payload: b"",
            hex: "
                1234 1d4c 04 00 dfa1 a1a2a3a4a5a6 0000
                00000100 000000f0",
        },
        Vector {
            name: "ODATA with all options",
            repr: Repr::Odata(DATA, all_odata),
            ports: DOWN,
            payload: b"odd",
            hex: "
                1234 1d4c 04 01 47f0 a1a2a3a4a5a6 0003
                00000100 000000f0
                0004003c
                0a080000 00000005
                01100000 000000fe 00000af0 00000fa0
                03080000 000000f8
                0d040000
                0e040000
                92100000 0001e240 00010000 0a000002
                6f6464",
        },
        Vector {
            name: "ODATA, parity",
            repr: Repr::Odata(
                Data {
                    sqn: sqn(0x103),
                    trail: sqn(0xF0),
                },
                DataOptions {
                    curr_tgsize: Some(5),
                    fin: true,
                    parity: Some(parity),
                    ..Default::default()
                },
            ),
            ports: DOWN,
            payload: &[0x35, 0x59, 0xEB, 0x4C, 0xC7],
            hex: "
                1234 1d4c 04 c1 d1d5 a1a2a3a4a5a6 0005
                00000103 000000f0
                00040028
                0a080000 00000005
                01100481 10111213 14151617 18191a1b
                09080000 00000001
                8e040000
                3559eb4cc7",
        },
        Vector {
            name: "RDATA",
            repr: Repr::Rdata(
                DATA,
                DataOptions {
                    fragment: Some(FRAGMENT),
                    ..Default::default()
                },
            ),
            ports: DOWN,
            payload: b"hello",
            hex: "
                1234 1d4c 05 01 fe12 a1a2a3a4a5a6 0005
                00000100 000000f0
                00040014
                81100000 000000fe 00000af0 00000fa0
                68656c6c6f",
        },
        Vector {
            name: "RDATA with network-significant option",
            repr: Repr::Rdata(
                DATA,
                DataOptions {
                    curr_tgsize: Some(5),
                    syn: true,
                    pgmcc_data: Some(PgmccData {
                        tstamp: 123_456,
                        acker: v6(2),
                    }),
                    ..Default::default()
                },
            ),
            ports: DOWN,
            payload: b"hello",
            hex: "
                1234 1d4c 05 03 e16a a1a2a3a4a5a6 0005
                00000100 000000f0
                0004002c
                0a080000 00000005
                0d040000
                921c0000 0001e240 00020000 20010db8 00000000 00000000 00000002
                68656c6c6f",
        },
    ]
}
