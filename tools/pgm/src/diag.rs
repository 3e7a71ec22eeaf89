// SPDX-License-Identifier: GPL-2.0

//! The PGM sockets of this network namespace, as sock_diag(7) tells them: `<linux/pgm_diag.h>`.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

use crate::socket::{ReceiverStats, SenderStats, Tsi, IPPROTO_PGM};

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_HEAD: usize = 16;
/// struct inet_diag_req_v2
const REQUEST: usize = 56;
/// struct inet_diag_msg, and where user and inode are in it.
const MESSAGE: usize = 72;
const MESSAGE_UID: usize = 64;
const MESSAGE_INODE: usize = 68;

const PGM_DIAG_SOCKET: u16 = 64;
const PGM_DIAG_SENDER: u16 = 65;
const PGM_DIAG_RECEIVER: u16 = 66;

const F_CLOSING: u8 = 0x1;
const F_ENDED: u8 = 0x2;
const F_WAITING: u8 = 0x4;
const F_CONGESTED: u8 = 0x8;

/// What a socket or session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Source,
    Listener,
    Session,
    Datagram,
    Peer,
}

/// One socket, or one session of a datagram socket.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub role: Role,
    /// Closed, and repairing in the background.
    pub closing: bool,
    /// The session is over.
    pub ended: bool,
    /// Waits for accept(), or for its first data.
    pub waiting: bool,
    /// The reader is behind.
    pub congested: bool,
    pub group: Option<IpAddr>,
    pub port: u16,
    /// The source's address.
    pub source: Option<IpAddr>,
    pub tsi: Option<Tsi>,
    pub ifindex: u32,
    pub sessions: u32,
    pub announced: u32,
    pub rate_kbit: u32,
    pub queued_sqns: u32,
    pub queued_bytes: u32,
    pub back_off: u32,
    pub wait_ncf: u32,
    pub wait_data: u32,
    pub receive_memory: u32,
    pub receive_limit: u32,
    pub send_memory: u32,
    pub uid: u32,
    pub inode: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<SenderStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<ReceiverStats>,
}

/// Bytes read from the front; zeroes when there are no more, as of an older kernel.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_at(N.min(self.0.len()));
        self.0 = rest;
        let mut bytes = [0; N];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(Reader(bytes.get(at..).unwrap_or(&[])).take())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    Reader(bytes.get(at..).unwrap_or(&[])).u32()
}

/// An address of so many words, unless it is none.
fn address(family: u16, words: [u8; 16]) -> Option<IpAddr> {
    let [a, b, c, d, ..] = words;
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::from(Ipv4Addr::new(a, b, c, d)),
        libc::AF_INET6 => IpAddr::from(Ipv6Addr::from(words)),
        _ => return None,
    };
    (!address.is_unspecified()).then_some(address)
}

impl Row {
    /// Reads an inet_diag_msg with its attributes.
    fn parse(message: &[u8]) -> Option<Self> {
        let mut attributes = message.get(MESSAGE..)?;
        let (mut socket, mut sender, mut receiver) = (None, None, None);
        while attributes.len() >= 4 {
            let len = usize::from(u16_at(attributes, 0));
            let value = attributes.get(4..len)?;
            match u16_at(attributes, 2) {
                PGM_DIAG_SOCKET => socket = Some(value),
                PGM_DIAG_SENDER => sender = Some(SenderStats::from_bytes(value)),
                PGM_DIAG_RECEIVER => receiver = Some(ReceiverStats::from_bytes(value)),
                _ => {}
            }
            attributes = attributes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        }
        let mut reader = Reader(socket?);
        let [role, flags] = reader.take();
        let port = u16::from_be_bytes(reader.take());
        let family = u16::from_ne_bytes(reader.take());
        let _: [u8; 2] = reader.take();
        let tsi: [u8; 8] = reader.take();
        Some(Self {
            role: match role {
                1 => Role::Source,
                2 => Role::Listener,
                3 => Role::Session,
                4 => Role::Datagram,
                5 => Role::Peer,
                _ => return None,
            },
            closing: flags & F_CLOSING != 0,
            ended: flags & F_ENDED != 0,
            waiting: flags & F_WAITING != 0,
            congested: flags & F_CONGESTED != 0,
            port,
            tsi: (tsi != [0; 8]).then_some(Tsi(tsi)),
            group: address(family, reader.take()),
            source: address(family, reader.take()),
            ifindex: reader.u32(),
            sessions: reader.u32(),
            announced: reader.u32(),
            rate_kbit: reader.u32(),
            queued_sqns: reader.u32(),
            queued_bytes: reader.u32(),
            back_off: reader.u32(),
            wait_ncf: reader.u32(),
            wait_data: reader.u32(),
            receive_memory: reader.u32(),
            receive_limit: reader.u32(),
            send_memory: reader.u32(),
            uid: u32_at(message, MESSAGE_UID),
            inode: u32_at(message, MESSAGE_INODE),
            sender,
            receiver,
        })
    }

    /// Whether it sends.
    pub fn is_source(&self) -> bool {
        self.role == Role::Source
    }

    /// What it is, in a word.
    pub fn state(&self) -> &'static str {
        match self.role {
            Role::Source if self.closing => "closing",
            Role::Source => "source",
            Role::Listener => "listener",
            Role::Session if self.ended => "ended",
            Role::Session if self.waiting => "waiting",
            Role::Session => "session",
            Role::Datagram => "datagram",
            Role::Peer => "peer",
        }
    }
}

/// Every PGM socket of this network namespace.
pub fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        match dump(family, &mut rows) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !std::path::Path::new("/proc/net/pgm").exists() {
                    bail!("this kernel has no PGM: the module pgm is not loaded (modprobe pgm)");
                }
                bail!(
                    "the module pgm_diag is not loaded (modprobe pgm_diag); \
                     /proc/net/pgm/sources and receivers show the sockets without it"
                );
            }
            Err(error) => return Err(error).context("asking the kernel for its PGM sockets"),
        }
    }
    Ok(rows)
}

fn dump(family: i32, rows: &mut Vec<Row>) -> io::Result<()> {
    let mut socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::from(libc::SOCK_RAW),
        Some(Protocol::from(NETLINK_SOCK_DIAG)),
    )?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = Vec::with_capacity(NLMSG_HEAD + REQUEST);
    let len = u32::try_from(NLMSG_HEAD + REQUEST).map_err(io::Error::other)?;
    request.extend(len.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]); // sequence number, port
    let (family, protocol) = (u8::try_from(family), u8::try_from(IPPROTO_PGM));
    request.push(family.map_err(io::Error::other)?);
    request.push(protocol.map_err(io::Error::other)?);
    request.extend([0; 2]);
    request.extend(u32::MAX.to_ne_bytes()); // sockets in every state
    request.resize(NLMSG_HEAD + REQUEST, 0);
    socket.write_all(&request)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = socket.read(&mut buffer)?;
        if read_messages(&buffer[..len], rows)? {
            return Ok(());
        }
    }
}

/// Reads what one recv() brought; true at the end of the dump.
fn read_messages(mut bytes: &[u8], rows: &mut Vec<Row>) -> io::Result<bool> {
    while bytes.len() >= NLMSG_HEAD {
        let len = u32_at(bytes, 0) as usize;
        let Some(body) = bytes.get(NLMSG_HEAD..len) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match u16_at(bytes, 4) {
            NLMSG_ERROR | NLMSG_DONE => {
                let code = i32::from_ne_bytes(Reader(body).take());
                return match code {
                    0.. => Ok(true),
                    _ => Err(io::Error::from_raw_os_error(code.saturating_neg())),
                };
            }
            _ => rows.extend(Row::parse(body)),
        }
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Ok(false)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + value.len()).expect("short");
        let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// A struct pgm_diag_socket whose numbers count from 1.
    fn socket(role: u8, flags: u8) -> Vec<u8> {
        let mut bytes = vec![role, flags];
        bytes.extend(7500u16.to_be_bytes());
        bytes.extend(2u16.to_ne_bytes());
        bytes.extend([0, 0, 1, 2, 3, 4, 5, 6, 0x1f, 0x40]);
        bytes.extend([239, 192, 0, 1]);
        bytes.extend([0; 12]);
        bytes.extend([10, 0, 0, 1]);
        bytes.extend([0; 12]);
        bytes.extend((1..=12u32).flat_map(u32::to_ne_bytes));
        bytes
    }

    /// A row as the kernel sends it.
    pub fn row(role: u8, flags: u8) -> Row {
        let mut message = vec![0; MESSAGE];
        message[MESSAGE_INODE] = 77;
        message.extend(attribute(8, &[0])); // INET_DIAG_SHUTDOWN
        message.extend(attribute(PGM_DIAG_SOCKET, &socket(role, flags)));
        let counters: Vec<u8> = (1..=19u64).flat_map(u64::to_ne_bytes).collect();
        match role {
            1 => message.extend(attribute(PGM_DIAG_SENDER, &counters)),
            3 | 5 => message.extend(attribute(PGM_DIAG_RECEIVER, &counters)),
            _ => {}
        }
        Row::parse(&message).expect("valid")
    }

    #[test]
    fn messages_are_read() {
        let row = row(1, F_CLOSING);
        assert_eq!((row.state(), row.port, row.inode), ("closing", 7500, 77));
        assert_eq!(row.group, Some([239, 192, 0, 1].into()));
        assert_eq!(row.source, Some([10, 0, 0, 1].into()));
        let tsi = row.tsi.map(|tsi| tsi.to_string());
        assert_eq!(tsi.as_deref(), Some("010203040506.8000"));
        assert_eq!((row.ifindex, row.send_memory), (1, 12));
        assert_eq!(row.sender.map(|sender| sender.odata_bytes), Some(1));
        assert!(row.receiver.is_none());
    }

    #[test]
    fn a_dump_ends_or_fails() {
        let message = |kind: u16, body: &[u8]| {
            let len = u32::try_from(NLMSG_HEAD + body.len()).expect("short");
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(body);
            bytes
        };
        let mut rows = Vec::new();
        let done = message(NLMSG_DONE, &0i32.to_ne_bytes());
        assert!(read_messages(&done, &mut rows).expect("sound"));
        let failed = message(NLMSG_DONE, &(-libc::ENOENT).to_ne_bytes());
        let error = read_messages(&failed, &mut rows).expect_err("an error");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        // Cut or strange messages are no panic.
        for len in 0..failed.len() {
            let _ = read_messages(&failed[..len], &mut rows);
        }
        assert!(Row::parse(&[0; MESSAGE]).is_none());
        assert!(Row::parse(&[1; MESSAGE + 6]).is_none());
        assert!(rows.is_empty());
    }
}
