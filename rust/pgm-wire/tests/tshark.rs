// SPDX-License-Identifier: GPL-2.0
//! An independent decoder reads in our packets what we meant.
//!
//! Runs `tshark`, or the command in the environment variable PGM_TSHARK: words with blanks between
//! them, to which arguments are added; it gets a capture on its standard input.

mod pdml;
mod vectors;

use pdml::{Decoded, Decoder};
use pgm_wire::option::number;
use pgm_wire::{
    Addr, DataOptions, Fragment, Nak, NakBoIvl, NakList, NcfOptions, Parity, PgmccFeedback, Repr,
    SpmOptions, Sqn,
};
use vectors::Vector;

/// What tshark must find: values of fields in the order of their bytes, and options by number and
/// length.
#[derive(Default)]
struct Expected {
    fields: Vec<(&'static str, Vec<u8>)>,
    options: Vec<(u8, usize)>,
}

impl Expected {
    fn field(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        self.fields.push((name, value.as_ref().to_vec()));
    }

    fn number(&mut self, name: &'static str, value: u32) {
        self.field(name, value.to_be_bytes());
    }

    fn short(&mut self, name: &'static str, value: u16) {
        self.field(name, value.to_be_bytes());
    }

    fn addr(&mut self, afi: &'static str, names: [&'static str; 2], addr: Addr) {
        match addr {
            Addr::V4(bytes) => {
                self.short(afi, 1);
                self.field(names[0], bytes);
            }
            Addr::V6(bytes) => {
                self.short(afi, 2);
                self.field(names[1], bytes);
            }
        }
    }

    fn option(&mut self, present: bool, number: u8, len: usize) {
        if present {
            self.options.push((number, len));
        }
    }

    fn of(vector: &Vector) -> Expected {
        let mut e = Expected::default();
        e.short("pgm.hdr.sport", vector.ports.sport);
        e.short("pgm.hdr.dport", vector.ports.dport);
        e.field("pgm.hdr.type", [vector.repr.kind().to_wire()]);
        e.field("pgm.hdr.gsi", vector.ports.gsi.0);
        e.short(
            "pgm.hdr.tsdulen",
            u16::try_from(vector.payload.len()).unwrap(),
        );
        match vector.repr {
            Repr::Spm(spm, options) => {
                e.number("pgm.spm.sqn", spm.sqn.get());
                e.number("pgm.spm.trail", spm.trail.get());
                e.number("pgm.spm.lead", spm.lead.get());
                e.addr(
                    "pgm.spm.pathafi",
                    ["pgm.spm.path.ipv4", "pgm.spm.path.ipv6"],
                    spm.path,
                );
                e.spm_options(options);
            }
            Repr::Poll(poll, options) => {
                e.number("pgm.poll.sqn", poll.sqn.get());
                e.short("pgm.poll.round", poll.round);
                e.short("pgm.poll.subtype", poll.subtype);
                let names = ["pgm.poll.path.ipv4", "pgm.poll.path.ipv6"];
                e.addr("pgm.poll.pathafi", names, poll.path);
                e.number("pgm.poll.backoff_ivl", poll.bo_ivl);
                e.number("pgm.poll.rand_str", poll.rand);
                e.number("pgm.poll.matching_bmask", poll.mask);
                e.nak_bo_ivl(options.nak_bo_ivl);
            }
            Repr::Polr(polr, options) => {
                e.number("pgm.polr.sqn", polr.sqn.get());
                e.short("pgm.polr.round", polr.round);
                if let Some(dlr) = options.redirect {
                    let names = ["pgm.opts.redirect.dlr.ipv4", "pgm.opts.redirect.dlr.ipv6"];
                    e.addr("pgm.opts.redirect.afi", names, dlr);
                    e.option(true, number::REDIRECT, if dlr.is_v4() { 12 } else { 24 });
                }
            }
            Repr::Odata(data, options) | Repr::Rdata(data, options) => {
                // tshark has the same names here as in SPMs.
                e.number("pgm.spm.sqn", data.sqn.get());
                e.number("pgm.spm.trail", data.trail.get());
                e.data_options(options);
            }
            Repr::Nak(nak, options) => {
                e.nak(nak);
                e.nak_list(options.list);
                if let Some(cr) = options.cr {
                    e.option(true, number::CR, if cr.receiver.is_v4() { 24 } else { 36 });
                }
                e.feedback(options.pgmcc_feedback);
            }
            Repr::Nnak(nak, options) => {
                e.nak(nak);
                e.nak_list(options.list);
            }
            Repr::Ncf(nak, options) => {
                e.nak(nak);
                e.ncf_options(options);
            }
            Repr::Spmr => {}
            Repr::Ack(ack, options) => {
                e.number("pgm.ack.maxsqn", ack.rx_max.get());
                e.number("pgm.ack.bitmap", ack.bitmap);
                e.feedback(options.pgmcc_feedback);
            }
        }
        e
    }

    fn nak(&mut self, nak: Nak) {
        self.number("pgm.nak.sqn", nak.sqn.get());
        let (source, group) = (nak.source, nak.group);
        self.addr(
            "pgm.nak.srcafi",
            ["pgm.nak.src.ipv4", "pgm.nak.src.ipv6"],
            source,
        );
        self.addr(
            "pgm.nak.grpafi",
            ["pgm.nak.grp.ipv4", "pgm.nak.grp.ipv6"],
            group,
        );
    }

    fn spm_options(&mut self, options: SpmOptions) {
        self.nak_bo_ivl(options.nak_bo_ivl);
        if let Some(range) = options.nak_bo_rng {
            // The maximum comes first; tshark calls it the minimum.
            self.number("pgm.opts.nak_bo_rng.min_bo_ivl", range.max);
            self.number("pgm.opts.nak_bo_rng.max_bo_ivl", range.min);
            self.option(true, number::NAK_BO_RNG, 12);
        }
        if let Some(parity) = options.parity_prm {
            let bits = u8::from(parity.proactive) * 2 + u8::from(parity.on_demand);
            self.field("pgm.opts.parity_prm.op", [bits]);
            self.number("pgm.opts.parity_prm.prm_grp", parity.tgs);
            self.option(true, number::PARITY_PRM, 8);
        }
        self.option(options.curr_tgsize.is_some(), number::CURR_TGSIZE, 8);
        self.option(options.nbr_unreach, number::NBR_UNREACH, 4);
        self.option(options.crqst.is_some(), number::CRQST, 4);
        self.join(options.join);
        self.option(options.fin, number::FIN, 4);
        self.option(options.rst.is_some(), number::RST, 4);
    }

    fn data_options(&mut self, options: DataOptions) {
        self.option(options.curr_tgsize.is_some(), number::CURR_TGSIZE, 8);
        if let Some(Fragment {
            first,
            offset,
            apdu_len,
        }) = options.fragment
        {
            self.number("pgm.opts.fragment.first_sqn", first.get());
            self.number("pgm.opts.fragment.fragment_offset", offset);
            self.number("pgm.opts.fragment.total_length", apdu_len);
            self.option(true, number::FRAGMENT, 16);
        }
        if let Some(Parity { grp, fragment, .. }) = options.parity {
            self.option(fragment.is_some(), number::FRAGMENT, 16);
            self.option(grp != 0, number::PARITY_GRP, 8);
            if grp != 0 {
                self.number("pgm.opts.parity_prm.prm_grp", grp);
            }
        }
        self.join(options.join);
        self.option(options.syn, number::SYN, 4);
        self.option(options.fin, number::FIN, 4);
        if let Some(pgmcc) = options.pgmcc_data {
            self.number("pgm.opts.ccdata.tstamp", pgmcc.tstamp);
            self.acker(pgmcc.acker);
            self.option(
                true,
                number::PGMCC_DATA,
                if pgmcc.acker.is_v4() { 16 } else { 28 },
            );
        }
    }

    fn ncf_options(&mut self, options: NcfOptions) {
        self.nak_list(options.list);
        self.nak_bo_ivl(options.nak_bo_ivl);
        self.option(options.nbr_unreach, number::NBR_UNREACH, 4);
        if let Some(path) = options.path_nla {
            self.option(true, number::PATH_NLA, if path.is_v4() { 8 } else { 20 });
        }
    }

    fn nak_list(&mut self, list: NakList) {
        if !list.is_empty() {
            let sqns: Vec<u8> = list
                .iter()
                .flat_map(|sqn| sqn.get().to_be_bytes())
                .collect();
            self.field("pgm.opts.nak.list", sqns);
            self.option(true, number::NAK_LIST, 4 + 4 * list.len());
        }
    }

    fn nak_bo_ivl(&mut self, option: Option<NakBoIvl>) {
        if let Some(NakBoIvl { micros, sqn }) = option {
            self.number("pgm.opts.nak_bo_ivl.bo_ivl", micros);
            self.number("pgm.opts.nak_bo_ivl.bo_ivl_sqn", sqn.get());
            self.option(true, number::NAK_BO_IVL, 12);
        }
    }

    fn join(&mut self, option: Option<Sqn>) {
        if let Some(sqn) = option {
            self.number("pgm.opts.join.min_join", sqn.get());
            self.option(true, number::JOIN, 8);
        }
    }

    fn feedback(&mut self, option: Option<PgmccFeedback>) {
        if let Some(feedback) = option {
            self.number("pgm.opts.ccdata.tstamp", feedback.tstamp);
            self.short("pgm.opts.ccdata.lossrate", feedback.loss_rate);
            self.acker(feedback.receiver);
            let len = if feedback.receiver.is_v4() { 16 } else { 28 };
            self.option(true, number::PGMCC_FEEDBACK, len);
        }
    }

    fn acker(&mut self, acker: Addr) {
        let names = ["pgm.opts.ccdata.acker.ipv4", "pgm.opts.ccdata.acker.ipv6"];
        self.addr("pgm.opts.ccdata.afi", names, acker);
    }
}

fn compare(vector: &Vector, bytes: &[u8], decoded: &Decoded) {
    let name = vector.name;
    if vector.repr == Repr::Spmr && decoded.value("pgm.hdr.type").is_none() {
        // tshark knows no SPMR and shows the bytes (seen with 4.0).
        assert_eq!(decoded.value("data.data").as_deref(), Some(bytes), "{name}");
        return;
    }
    let expected = Expected::of(vector);
    for (field, value) in &expected.fields {
        assert_eq!(
            decoded.value(field).as_ref(),
            Some(value),
            "{name}: {field}"
        );
    }
    assert_eq!(decoded.options, expected.options, "{name}");
    for (flag, bit) in [
        ("opt", 0x01),
        ("netsig", 0x02),
        ("varlen", 0x40),
        ("parity", 0x80),
    ] {
        let shown = decoded.shown(&format!("pgm.hdr.opts.{flag}"));
        assert!(
            matches!(shown, Some("0" | "1" | "True" | "False")),
            "{name}: {flag} {shown:?}"
        );
        let set = matches!(shown, Some("1" | "True"));
        assert_eq!(set, bytes[5] & bit != 0, "{name}: {flag}");
    }
    if let Some(total) = decoded.value("pgm.opts.tlen") {
        let options: usize = expected.options.iter().map(|(_, len)| len).sum();
        assert_eq!(
            total,
            u16::try_from(4 + options).unwrap().to_be_bytes(),
            "{name}"
        );
    }
    assert_eq!(
        decoded.shown("pgm.hdr.cksum.status"),
        Some("1"),
        "{name}: checksum"
    );
    assert_eq!(
        decoded.value("data.data").unwrap_or_default(),
        vector.payload,
        "{name}"
    );
    assert_eq!(decoded.complaints, Vec::<String>::new(), "{name}");
}

// req: WIRE-02 WIRE-06 WIRE-13 WIRE-21 WIRE-22 WIRE-23 OPT-01 OPT-04 OPT-22 OPT-30 DLR-27
#[test]
fn tshark_agrees() {
    let Some(decoder) = Decoder::find() else {
        pdml::skip("tshark_agrees");
        return;
    };
    let vectors = vectors::all();
    let packets: Vec<Vec<u8>> = vectors.iter().map(Vector::emitted).collect();
    let decoded = decoder.decode(&packets);
    assert_eq!(decoded.len(), packets.len());
    for ((vector, bytes), decoded) in vectors.iter().zip(&packets).zip(&decoded) {
        compare(vector, bytes, decoded);
    }
}

// req: WIRE-13 WIRE-17
#[test]
fn tshark_sees_a_wrong_checksum() {
    let Some(decoder) = Decoder::find() else {
        pdml::skip("tshark_sees_a_wrong_checksum");
        return;
    };
    let mut packet = vectors::named("ODATA").emitted();
    packet[20] ^= 1;
    let decoded = decoder.decode(&[packet]);
    assert_eq!(decoded[0].shown("pgm.hdr.cksum.status"), Some("0"));
}
