// SPDX-License-Identifier: GPL-2.0
//! Throws hostile packets at hosts with live sessions.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Parser;
use pgm_storm::any::KINDS;
use pgm_storm::ip;
use pgm_storm::storm::{Shot, Victim};
use pgm_wire::{Addr, Gsi, PacketType, Tsi};
use socket2::{Domain, Protocol, Socket, Type};

/// Throws hostile PGM packets: valid, nearly valid and noise, of every type, from sessions that live and
/// from others. The same seed throws the same packets.
#[derive(Parser)]
#[command(name = "pgm-storm")]
struct Arguments {
    /// The group of the sessions
    #[arg(long)]
    group: IpAddr,
    /// The host of the source
    #[arg(long)]
    source: IpAddr,
    /// The host of the receivers
    #[arg(long)]
    receiver: IpAddr,
    /// This host, or whom it plays
    #[arg(long)]
    attacker: IpAddr,
    /// Data-destination port
    #[arg(long)]
    port: u16,
    /// Encapsulated: UDP ports of packets to a host and to a group
    #[arg(long, value_name = "UCAST:MCAST", default_value = "0:0", value_parser = udp)]
    udp: (u16, u16),
    /// A session that lives, 8 bytes in hexadecimal, and its newest sequence number
    #[arg(long, value_name = "TSI:SQN", value_parser = live)]
    live: Vec<(Tsi, u32)>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Packets of each type
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// The number of the first packet
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// End sooner, after so many seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// Only this type (SPM, POLL, POLR, ODATA, RDATA, NAK, NNAK, NCF, SPMR, ACK)
    #[arg(long, value_parser = kind)]
    kind: Option<PacketType>,
    /// Send nothing, print each packet instead
    #[arg(long)]
    print: bool,
}

fn udp(text: &str) -> Result<(u16, u16), String> {
    let (ucast, mcast) = text.split_once(':').ok_or("not UCAST:MCAST")?;
    let port = |text: &str| text.parse().map_err(|_| format!("no port: {text}"));
    Ok((port(ucast)?, port(mcast)?))
}

fn live(text: &str) -> Result<(Tsi, u32), String> {
    let (tsi, lead) = text.split_once(':').ok_or("not TSI:SQN")?;
    let tsi = u64::from_str_radix(tsi, 16).map_err(|error| error.to_string())?;
    let [a, b, c, d, e, f, g, h] = tsi.to_be_bytes();
    let tsi = Tsi {
        gsi: Gsi([a, b, c, d, e, f]),
        sport: u16::from_be_bytes([g, h]),
    };
    Ok((tsi, u32::from_str(lead).map_err(|error| error.to_string())?))
}

fn kind(text: &str) -> Result<PacketType, String> {
    let found = KINDS
        .into_iter()
        .find(|kind| name(*kind).eq_ignore_ascii_case(text));
    found.ok_or(format!("no such type: {text}"))
}

fn name(kind: PacketType) -> String {
    format!("{kind:?}").to_uppercase()
}

fn addr(ip: IpAddr) -> Addr {
    match ip {
        IpAddr::V4(ip) => Addr::V4(ip.octets()),
        IpAddr::V6(ip) => Addr::V6(ip.octets()),
    }
}

fn ip(addr: Addr) -> IpAddr {
    match addr {
        Addr::V4(bytes) => bytes.into(),
        Addr::V6(bytes) => bytes.into(),
    }
}

/// A socket for whole IP packets.
fn raw(v4: bool) -> io::Result<Socket> {
    const IPPROTO_RAW: i32 = 255;
    let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
    if v4 {
        socket.set_multicast_loop_v4(false)?;
    } else {
        socket.set_multicast_loop_v6(false)?;
    }
    Ok(socket)
}

impl Arguments {
    fn victim(&self) -> Victim {
        Victim {
            group: addr(self.group),
            source: addr(self.source),
            receiver: addr(self.receiver),
            attacker: addr(self.attacker),
            port: self.port,
            live: self.live.clone(),
        }
    }

    /// Sends it; whether the kernel took all of it.
    fn send(&self, socket: &Socket, shot: &Shot, id: u64) -> io::Result<bool> {
        let port = if shot.to.is_multicast() {
            self.udp.1
        } else {
            self.udp.0
        };
        let to = SocketAddr::new(ip(shot.to), 0).into();
        // No fragment of one packet has the name of another; 0 would be no name.
        let id = (id % 0xFFFF) as u32 + 1;
        for packet in ip::packets(shot.from, shot.to, port, &shot.bytes, shot.split, id) {
            match socket.send_to(&packet, &to) {
                Ok(_) => {}
                // Too large for the link, or no room in its queue.
                Err(error) if matches!(error.raw_os_error(), Some(90 | 105)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn run(&self) -> io::Result<()> {
        let victim = self.victim();
        let socket = raw(victim.group.is_v4())?;
        let kinds: Vec<_> = KINDS
            .into_iter()
            .filter(|kind| self.kind.is_none_or(|only| only == *kind))
            .collect();
        let end = self
            .seconds
            .map(|s| Instant::now() + Duration::from_secs_f64(s));
        let mut sent = BTreeMap::<String, u64>::new();
        'all: for n in self.from..self.from + self.count {
            for (place, kind) in kinds.iter().enumerate() {
                if n % 16 == 0 && end.is_some_and(|end| Instant::now() >= end) {
                    break 'all;
                }
                let shot = victim.shot(self.seed, *kind, n);
                if self.print {
                    let hex: String = shot.bytes.iter().map(|b| format!("{b:02x}")).collect();
                    let (from, to) = (ip(shot.from), ip(shot.to));
                    println!(
                        "{n} {} {:?} {from} {to} {:?} {hex}",
                        name(*kind),
                        shot.intent,
                        shot.split
                    );
                } else if self.send(&socket, &shot, n * kinds.len() as u64 + place as u64)? {
                    *sent.entry(name(*kind)).or_default() += 1;
                }
            }
        }
        for (kind, count) in sent {
            println!("{kind} {count}");
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgm-storm: {error}");
            ExitCode::FAILURE
        }
    }
}
