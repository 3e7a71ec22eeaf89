// SPDX-License-Identifier: GPL-2.0
//! Any packet that may be sent.

use pgm_wire::{
    Ack, AckOptions, Addr, Cr, Crqst, Data, DataOptions, EncodedFragment, Fragment, Nak, NakBoIvl,
    NakBoRng, NakList, NakOptions, NcfOptions, NnakOptions, PacketType, Parity, ParityPrm,
    PgmccData, PgmccFeedback, Poll, PollOptions, Polr, PolrOptions, Repr, Rst, Spm, SpmOptions,
    Sqn, NAK_LIST_MAX,
};

use crate::choice::Choice;

/// Every type there is.
pub const KINDS: [PacketType; 10] = [
    PacketType::Spm,
    PacketType::Poll,
    PacketType::Polr,
    PacketType::Odata,
    PacketType::Rdata,
    PacketType::Nak,
    PacketType::Nnak,
    PacketType::Ncf,
    PacketType::Spmr,
    PacketType::Ack,
];

/// What packets speak of.
pub struct Subject {
    /// The newest sequence number, more or less.
    pub lead: u32,
    /// Addresses that occur in them.
    pub addresses: Vec<Addr>,
}

impl Subject {
    fn addr(&self, c: &mut impl Choice) -> Addr {
        match c.below(16) {
            0 => Addr::V4(c.bytes()),
            1 => Addr::V6(c.bytes()),
            2 => Addr::V4([0; 4]),
            3 => Addr::V6([255; 16]),
            _ if self.addresses.is_empty() => Addr::V4(c.bytes()),
            _ => *c.pick(&self.addresses),
        }
    }

    /// Near the newest, as often as not; or where arithmetic may go wrong.
    fn sqn(&self, c: &mut impl Choice) -> Sqn {
        let half = 1 << 31;
        Sqn::new(match c.below(16) {
            0 => c.number(),
            1 => self
                .lead
                .wrapping_add(half)
                .wrapping_add(c.below(5))
                .wrapping_sub(2),
            2 => *c.pick(&[0, 1, half - 1, half, half + 1, u32::MAX]),
            3 => self.lead.wrapping_sub(c.below(200_000)),
            4 => self.lead.wrapping_add(c.below(200_000)),
            _ => self.lead.wrapping_sub(40).wrapping_add(c.below(50)),
        })
    }

    fn number(&self, c: &mut impl Choice) -> u32 {
        match c.below(4) {
            0 => c.number(),
            1 => *c.pick(&[0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX]),
            _ => c.below(100_000),
        }
    }

    fn nak_list(&self, c: &mut impl Choice) -> NakList {
        let mut list = NakList::EMPTY;
        let most = *c.pick(&[0, 0, 3, NAK_LIST_MAX as u32]);
        for _ in 0..c.below(most + 1) {
            let _ = list.push(self.sqn(c));
        }
        list
    }

    fn nak_bo_ivl(&self, c: &mut impl Choice) -> NakBoIvl {
        NakBoIvl {
            micros: self.number(c),
            sqn: Sqn::new(c.below(4)),
        }
    }

    fn feedback(&self, c: &mut impl Choice) -> PgmccFeedback {
        PgmccFeedback {
            tstamp: c.number(),
            loss_rate: c.number() as u16,
            receiver: self.addr(c),
        }
    }

    fn crqst(c: &mut impl Choice) -> Crqst {
        Crqst {
            ne_worst_link: c.chance(50),
            ne_worst_path: c.chance(50),
            rx_worst_path: c.chance(50),
        }
    }

    fn spm(&self, c: &mut impl Choice) -> Repr {
        let lead = self.sqn(c);
        let trail = if c.chance(80) {
            Sqn::new(lead.get().wrapping_sub(c.below(100)))
        } else {
            self.sqn(c)
        };
        let sqn = if c.chance(80) {
            self.lead.wrapping_add(c.below(4))
        } else {
            c.number()
        };
        let body = Spm {
            sqn: Sqn::new(sqn),
            trail,
            lead,
            path: self.addr(c),
        };
        let options = SpmOptions {
            join: maybe(c, 20, |c| self.sqn(c)),
            fin: c.chance(3),
            rst: maybe(c, 3, |c| Rst {
                no_naks: c.chance(50),
                code: c.below(64) as u8,
            }),
            parity_prm: maybe(c, 5, |c| ParityPrm {
                proactive: c.chance(50),
                on_demand: c.chance(50),
                tgs: self.number(c),
            }),
            curr_tgsize: maybe(c, 5, |c| self.number(c)),
            nak_bo_ivl: maybe(c, 20, |c| self.nak_bo_ivl(c)),
            nak_bo_rng: maybe(c, 20, |c| NakBoRng {
                max: self.number(c),
                min: self.number(c),
            }),
            nbr_unreach: c.chance(10),
            crqst: maybe(c, 10, Self::crqst),
        };
        Repr::Spm(body, options)
    }

    fn data(&self, c: &mut impl Choice) -> (Data, DataOptions) {
        let sqn = self.sqn(c);
        let trail = if c.chance(80) {
            Sqn::new(sqn.get().wrapping_sub(c.below(100)))
        } else {
            self.sqn(c)
        };
        let parity = maybe(c, 5, |c| Parity {
            grp: self.number(c),
            var_pktlen: c.chance(50),
            fragment: maybe(c, 50, |c| EncodedFragment(c.bytes())),
        });
        let options = DataOptions {
            fragment: maybe(c, if parity.is_some() { 0 } else { 40 }, |c| {
                self.fragment(c, sqn)
            }),
            join: maybe(c, 10, |c| self.sqn(c)),
            syn: c.chance(10),
            fin: c.chance(3),
            curr_tgsize: maybe(c, 5, |c| self.number(c)),
            pgmcc_data: maybe(c, 10, |c| PgmccData {
                tstamp: c.number(),
                acker: self.addr(c),
            }),
            parity,
        };
        (Data { sqn, trail }, options)
    }

    /// A fragment of an APDU of some packets of 100 bytes, or one that contradicts itself.
    fn fragment(&self, c: &mut impl Choice, sqn: Sqn) -> Fragment {
        if c.chance(70) {
            let place = sqn.get() % 8;
            return Fragment {
                first: Sqn::new(sqn.get().wrapping_sub(place)),
                offset: 100 * place,
                apdu_len: 800,
            };
        }
        Fragment {
            first: self.sqn(c),
            offset: self.number(c),
            apdu_len: self.number(c),
        }
    }

    fn nak(&self, c: &mut impl Choice) -> Nak {
        Nak {
            sqn: self.sqn(c),
            source: self.addr(c),
            group: self.addr(c),
        }
    }

    /// Any packet of this type.
    pub fn packet(&self, c: &mut impl Choice, kind: PacketType) -> Repr {
        match kind {
            PacketType::Spm => self.spm(c),
            PacketType::Poll => {
                let body = Poll {
                    sqn: Sqn::new(c.below(8)),
                    round: c.below(3) as u16,
                    subtype: c.below(3) as u16,
                    path: self.addr(c),
                    bo_ivl: self.number(c),
                    rand: c.number(),
                    mask: *c.pick(&[0, 0, 1, u32::MAX]),
                };
                let nak_bo_ivl = maybe(c, 30, |c| self.nak_bo_ivl(c));
                Repr::Poll(body, PollOptions { nak_bo_ivl })
            }
            PacketType::Polr => {
                let body = Polr {
                    sqn: Sqn::new(c.below(8)),
                    round: c.below(3) as u16,
                };
                let options = PolrOptions {
                    redirect: maybe(c, 30, |c| self.addr(c)),
                    parity: c.chance(10),
                };
                Repr::Polr(body, options)
            }
            PacketType::Odata => {
                let (body, options) = self.data(c);
                Repr::Odata(body, options)
            }
            PacketType::Rdata => {
                let (body, options) = self.data(c);
                Repr::Rdata(body, options)
            }
            PacketType::Nak => {
                let options = NakOptions {
                    list: self.nak_list(c),
                    cr: maybe(c, 10, |c| Cr {
                        reported: Self::crqst(c),
                        lead: self.sqn(c),
                        ne_wl: c.number() as u16,
                        ne_wp: c.number() as u16,
                        rx_wp: c.number() as u16,
                        receiver: self.addr(c),
                    }),
                    pgmcc_feedback: maybe(c, 10, |c| self.feedback(c)),
                    parity: c.chance(5),
                };
                Repr::Nak(self.nak(c), options)
            }
            PacketType::Nnak => {
                let options = NnakOptions {
                    list: self.nak_list(c),
                    parity: c.chance(5),
                };
                Repr::Nnak(self.nak(c), options)
            }
            PacketType::Ncf => {
                let options = NcfOptions {
                    list: self.nak_list(c),
                    nak_bo_ivl: maybe(c, 10, |c| self.nak_bo_ivl(c)),
                    nbr_unreach: c.chance(20),
                    path_nla: maybe(c, 20, |c| self.addr(c)),
                    parity: c.chance(5),
                };
                Repr::Ncf(self.nak(c), options)
            }
            PacketType::Spmr => Repr::Spmr,
            PacketType::Ack => {
                let body = Ack {
                    rx_max: self.sqn(c),
                    bitmap: c.number(),
                };
                let pgmcc_feedback = maybe(c, 50, |c| self.feedback(c));
                Repr::Ack(body, AckOptions { pgmcc_feedback })
            }
        }
    }
}

fn maybe<C: Choice, T>(c: &mut C, percent: u32, make: impl FnOnce(&mut C) -> T) -> Option<T> {
    c.chance(percent).then(|| make(c))
}
