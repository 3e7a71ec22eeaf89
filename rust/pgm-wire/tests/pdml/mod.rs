// SPDX-License-Identifier: GPL-2.0
//! Feeds packets to tshark and reads what it made of them, in its packet details markup language.

use std::io::Write;
use std::process::{Command, Stdio};

/// A tshark that runs.
pub struct Decoder {
    program: String,
    arguments: Vec<String>,
}

/// One packet as tshark sees it.
#[derive(Debug, Default)]
pub struct Decoded {
    fields: Vec<Field>,
    /// Number and length of every option but OPT_LENGTH.
    pub options: Vec<(u8, usize)>,
    /// Malformed parts and remarks of tshark.
    pub complaints: Vec<String>,
}

#[derive(Debug)]
struct Field {
    name: String,
    shown: String,
    value: Vec<u8>,
}

/// Says that a test did not run, where the test runner does not swallow it.
pub fn skip(test: &str) {
    let why = "no tshark in PATH, PGM_TSHARK is not set";
    let _ = writeln!(std::io::stderr(), "ok {test} # SKIP {why}");
}

impl Decoder {
    /// The command in PGM_TSHARK, which must run when it is set, or the tshark in PATH.
    pub fn find() -> Option<Decoder> {
        let named = std::env::var("PGM_TSHARK").ok();
        let mut words = named
            .as_deref()
            .unwrap_or("tshark")
            .split_whitespace()
            .map(str::to_owned);
        let program = words.next().expect("PGM_TSHARK is empty");
        let decoder = Decoder {
            program,
            arguments: words.collect(),
        };
        match decoder.command().arg("--version").output() {
            Ok(output) if output.status.success() => Some(decoder),
            _ if named.is_some() => panic!("PGM_TSHARK does not run: {named:?}"),
            _ => None,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }

    pub fn decode(&self, packets: &[Vec<u8>]) -> Vec<Decoded> {
        let mut child = self
            .command()
            .args([
                "-n",
                "-r",
                "-",
                "-T",
                "pdml",
                "-o",
                "pgm.check_checksum:TRUE",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let capture = capture(packets);
        let writer = std::thread::spawn(move || stdin.write_all(&capture));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.split("<packet>").skip(1).map(Decoded::read).collect()
    }
}

/// A pcap file (link type 228: IPv4) of the packets, each in an IPv4 packet of its own.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(&0xA1B2_C3D4u32.to_ne_bytes());
    for half in [2u16, 4] {
        file.extend_from_slice(&half.to_ne_bytes());
    }
    for word in [0u32, 0, 65535, 228] {
        file.extend_from_slice(&word.to_ne_bytes());
    }
    for packet in packets {
        let total = u32::try_from(20 + packet.len()).unwrap();
        for word in [0, 0, total, total] {
            file.extend_from_slice(&word.to_ne_bytes());
        }
        let [_, _, high, low] = total.to_be_bytes();
        let mut ip = [
            0x45, 0, high, low, 0, 0, 0, 0, 16, 113, 0, 0, 10, 0, 0, 1, 239, 192, 0, 1,
        ];
        let sum = pgm_wire::checksum::Sum::of(&ip).finish();
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        file.extend_from_slice(&ip);
        file.extend_from_slice(packet);
    }
    file
}

/// The value of an attribute in a line of markup.
fn attribute<'a>(line: &'a str, name: &str) -> &'a str {
    let key = format!(" {name}=\"");
    let Some(start) = line.find(&key) else {
        return "";
    };
    line[start + key.len()..].split('"').next().unwrap_or("")
}

impl Decoded {
    fn read(markup: &str) -> Decoded {
        let mut decoded = Decoded::default();
        for line in markup.lines().filter(|line| line.contains("<field ")) {
            let (name, shown) = (attribute(line, "name"), attribute(line, "show"));
            let hex = attribute(line, "value");
            // Single bits have a value of one digit.
            let value = if hex.len() % 2 == 0 {
                super::vectors::unhex(hex)
            } else {
                Vec::new()
            };
            if name.starts_with("_ws.") || name.ends_with("invalid") {
                decoded.complaints.push(line.trim().to_owned());
            }
            if shown.starts_with("Option: ") {
                let (_, len) = shown
                    .rsplit_once("Length: ")
                    .expect("an option without length");
                decoded
                    .options
                    .push((value[0] & 0x7F, len.parse().unwrap()));
                assert_eq!(value.len(), decoded.options.last().unwrap().1);
            }
            let (name, shown) = (name.to_owned(), shown.to_owned());
            decoded.fields.push(Field { name, shown, value });
        }
        decoded
    }

    /// The bytes of a field; one that is shown in parts is put together.
    pub fn value(&self, name: &str) -> Option<Vec<u8>> {
        let parts: Vec<_> = self
            .fields
            .iter()
            .filter(|field| field.name == name)
            .collect();
        (!parts.is_empty()).then(|| parts.iter().flat_map(|field| field.value.clone()).collect())
    }

    /// What is displayed of it. Version 4.0 has one name for the checksum and its status, which comes
    /// last.
    pub fn shown(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .rfind(|field| field.name == name)
            .map(|field| field.shown.as_str())
    }
}
