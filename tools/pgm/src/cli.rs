// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::address::{Endpoint, Interface, UdpPorts};
use crate::socket::Place;
use crate::units;
use crate::zmq;

/// Largest TXW_BYTES the kernel takes.
const WINDOW_BYTES_MAX: u64 = 256 << 20;
/// A window of fewer bytes than this could not hold a burst of packets.
const WINDOW_BYTES_MIN: u64 = 64 << 10;
const WINDOW_DEFAULT: Duration = Duration::from_secs(10);

/// Send a file or a stream once to any number of receivers of a multicast group, and receive it.
///
/// The kernel's PGM sockets (RFC 3208) repair what the network loses: a transfer arrives complete
/// and in order, or the receiver says that it did not.
///
/// Start the receivers, then the sender:
///
///   pgm recv 239.192.0.1:7500 -o copy.iso
///   pgm send 239.192.0.1:7500 image.iso
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Send(Send),
    Recv(Recv),
    List(List),
    Stat(Stat),
    Top(Top),
}

/// Bytes that messages begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(pub Vec<u8>);

fn topic(text: &str) -> Result<Topic, String> {
    zmq::parse_part(text.as_bytes()).map(Topic)
}

/// What sender and receiver must agree on, and the interface.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Multicast group and port, for example 239.192.0.1:7500 or [ff15::1]:7500
    #[arg(value_name = "GROUP:PORT", value_parser = Endpoint::parse)]
    pub endpoint: Endpoint,

    /// Interface to use, by name or IPv4 address [default: by route]
    #[arg(short, long, value_name = "INTERFACE", value_parser = Interface::parse)]
    interface: Option<Interface>,

    /// Inside UDP, on one port, or on one for single hosts and one for groups [default: 3055:3056]
    #[arg(
        short,
        long,
        value_name = "PORT[:PORT]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3055:3056",
        value_parser = UdpPorts::parse
    )]
    udp: Option<UdpPorts>,
}

impl PlaceArgs {
    /// For a socket.
    pub fn get(&self) -> Place {
        Place {
            endpoint: self.endpoint,
            interface: self.interface.clone(),
            udp: self.udp,
        }
    }
}

/// Send a file, or standard input, to a multicast group
///
/// The sender knows nothing about its receivers: start them first. It ends a complete transfer in
/// good order; if it is interrupted, the receivers are told that the transfer failed.
#[derive(Debug, Args)]
pub struct Send {
    #[command(flatten)]
    pub place: PlaceArgs,

    /// File to send [default: standard input]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// How many routers the packets may pass, plus one [default: 1, the local network]
    #[arg(long, value_name = "1..255", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub ttl: Option<u32>,

    /// Highest rate in bits a second, repairs included: 500k, 20M, 1G
    #[arg(short, long, value_name = "RATE", default_value = "20M", value_parser = units::parse_rate)]
    pub rate: u32,

    /// How long a packet stays available for repair [default: 10s, less above 200M]
    ///
    /// A receiver that misses a packet for longer than this loses it for good. The kernel keeps
    /// RATE times TIME of data in memory, at most 256 MiB.
    #[arg(short, long, value_name = "TIME", value_parser = units::parse_time)]
    pub window: Option<Duration>,

    /// Bytes in a message [default: what fits one packet]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub message_size: Option<u32>,

    /// Announce the session for this long before the first byte
    ///
    /// Receivers that know the session repair its very first packet too.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::parse_time)]
    pub announce: Duration,

    /// After the last byte, stay until no receiver has asked for a repair for this long
    ///
    /// The kernel goes on repairing for the window's time after that, also without this process.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::parse_time)]
    pub linger: Duration,

    /// Let receivers on this host hear the transfer too (the default)
    #[arg(long = "loop", overrides_with = "no_loop")]
    pub multicast_loop: bool,

    /// Keep the transfer from receivers on this host
    #[arg(long)]
    pub no_loop: bool,

    /// Send each line to ZeroMQ's SUB sockets: tabs separate the parts of a message
    #[arg(long)]
    pub zmq: bool,

    /// With --zmq, put this in front of each message as a part of its own
    #[arg(long, value_name = "TOPIC", requires = "zmq", value_parser = topic)]
    pub topic: Option<Topic>,

    /// Print a summary as one line of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Receive a transfer into a file, or to standard output
///
/// Waits for a sender, receives its transfer to the end and exits. The exit status is 0 only if
/// everything arrived. A file appears under its name only when it is complete; until then it is
/// called FILE.part.
#[derive(Debug, Args)]
pub struct Recv {
    #[command(flatten)]
    pub place: PlaceArgs,

    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Give up if no sender has begun after this long [default: wait for ever]
    #[arg(long, value_name = "TIME", value_parser = units::parse_time)]
    pub wait: Option<Duration>,

    /// Give up if a transfer brings nothing new for this long
    /// [default: when the kernel has heard nothing from the sender for five minutes]
    #[arg(long, value_name = "TIME", value_parser = units::parse_time)]
    pub timeout: Option<Duration>,

    /// Take what is left of a transfer that had already begun, instead of failing
    #[arg(long)]
    pub late: bool,

    /// Print what ZeroMQ's PUB sockets publish, a line for each message, tabs between its parts
    ///
    /// \t, \n, \r, \\ and \xNN stand for what a line cannot hold. Receives from all publishers of the
    /// group, for ever unless --count says otherwise.
    #[arg(long, conflicts_with = "late")]
    pub zmq: bool,

    /// With --zmq, only messages that begin with this; several times: with one of these
    #[arg(long, value_name = "TOPIC", requires = "zmq", value_parser = topic)]
    pub topic: Vec<Topic>,

    /// With --zmq, end after so many messages
    #[arg(long, value_name = "N", requires = "zmq")]
    pub count: Option<u64>,

    /// Print a summary as one line of JSON on standard output, or on standard error if standard
    /// output carries the data
    #[arg(long)]
    pub json: bool,
}

/// List the sources and receivers of this network namespace
///
/// One line for each source, listener, session and datagram socket, with its window, its rate, what it
/// lacks and its memory.
#[derive(Debug, Args)]
pub struct List {
    /// Sources only
    #[arg(long)]
    pub sources: bool,

    /// Receivers only
    #[arg(long)]
    pub receivers: bool,

    /// Print a line of JSON for each
    #[arg(long)]
    pub json: bool,
}

/// Print the counters of this network namespace
#[derive(Debug, Args)]
pub struct Stat {
    /// Print what is added in each interval, for ever
    #[arg(short, long, value_name = "TIME", value_parser = units::parse_interval)]
    pub interval: Option<Duration>,

    /// So many intervals
    #[arg(short, long, value_name = "N", requires = "interval")]
    pub count: Option<u64>,

    /// Counters that are zero too
    #[arg(short, long)]
    pub zero: bool,

    /// Print an object of JSON, with all counters
    #[arg(long)]
    pub json: bool,
}

/// Show what every session does now: rates, repairs, losses
///
/// The busiest first. q quits.
#[derive(Debug, Args)]
pub struct Top {
    /// How long to count
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = units::parse_interval)]
    pub interval: Duration,

    /// End after so many intervals
    #[arg(short, long, value_name = "N")]
    pub count: Option<u64>,

    /// Print an array of JSON in each interval, in a line; needs no terminal
    #[arg(long)]
    pub json: bool,
}

impl Command {
    /// Whether it only looks and prints what it sees.
    pub fn only_prints(&self) -> bool {
        matches!(self, Self::List(_) | Self::Stat(_) | Self::Top(_))
    }
}

impl Cli {
    /// Parses the arguments of this process; ends it with a sentence and status 2 if they are wrong.
    pub fn read() -> Self {
        let cli = Self::parse();
        if let Command::Send(send) = &cli.command {
            if let Err(reason) = send.window() {
                Self::command()
                    .error(ErrorKind::ValueValidation, reason)
                    .exit();
            }
        }
        cli
    }
}

impl Send {
    /// TXW_SECS and TXW_BYTES for the rate.
    pub fn window(&self) -> Result<(Duration, u32), String> {
        let bytes_per_ms = u64::from(self.rate) / 8;
        let fits = Duration::from_millis(WINDOW_BYTES_MAX / bytes_per_ms.max(1));
        let window = match self.window {
            None => WINDOW_DEFAULT.min(fits),
            Some(window) if window < Duration::from_millis(10) => {
                return Err("the window is too short: at least 10ms".into());
            }
            Some(window) if window > Duration::from_secs(3600) => {
                return Err("the window is too long: at most 60m".into());
            }
            Some(window) if window > fits => {
                return Err(format!(
                    "at this rate a window of {} s would take more than 256 MiB of memory; \
                     at most {} s fit",
                    window.as_secs_f64(),
                    fits.as_millis() as f64 / 1000.0
                ));
            }
            Some(window) => window,
        };
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let bytes = bytes_per_ms
            .saturating_mul(millis)
            .clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
        Ok((window, u32::try_from(bytes).unwrap_or(u32::MAX)))
    }

    /// IP_MULTICAST_LOOP, if the user said anything about it.
    pub fn loopback(&self) -> Option<bool> {
        if self.no_loop {
            Some(false)
        } else {
            self.multicast_loop.then_some(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(args: &[&str]) -> Send {
        let words = ["pgm", "send", "239.192.0.1:7500"];
        let cli = Cli::try_parse_from(words.iter().chain(args)).expect("valid arguments");
        match cli.command {
            Command::Send(send) => send,
            _ => unreachable!("this is send"),
        }
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn window_follows_the_rate() {
        let default = send(&[]).window();
        assert_eq!(default, Ok((Duration::from_secs(10), 25_000_000)));
        let (window, bytes) = send(&["--rate", "1G"]).window().expect("shortened");
        assert!(window > Duration::from_secs(2) && window < Duration::from_secs(3));
        assert!(bytes <= 256 << 20);
        assert!(send(&["-r", "1G", "-w", "10s"]).window().is_err());
        assert!(send(&["-w", "1ms"]).window().is_err());
        assert!(send(&["-w", "61m", "-r", "8k"]).window().is_err());
        let (_, smallest) = send(&["-r", "8k", "-w", "1s"]).window().expect("valid");
        assert_eq!(smallest, 65_536);
    }

    #[test]
    fn udp_ports_are_a_choice() {
        assert_eq!(send(&[]).place.get().udp, None);
        let ports = |args| send(args).place.get().udp.map(|p| (p.unicast, p.multicast));
        assert_eq!(ports(&["--udp", "file"]), Some((3055, 3056)));
        assert_eq!(ports(&["--udp=7000"]), Some((7000, 7000)));
        assert_eq!(ports(&["-u=7000:7001"]), Some((7000, 7001)));
    }

    #[test]
    fn topics_may_be_any_bytes() {
        let topic = send(&["--zmq", "--topic", "a\\x00"]).topic;
        assert_eq!(topic, Some(Topic(b"a\0".to_vec())));
    }

    #[test]
    fn the_last_word_on_loopback_counts() {
        assert_eq!(send(&[]).loopback(), None);
        assert_eq!(send(&["--loop"]).loopback(), Some(true));
        assert_eq!(send(&["--no-loop"]).loopback(), Some(false));
        assert_eq!(send(&["--loop", "--no-loop"]).loopback(), Some(false));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            &["send"][..],
            &["send", "192.0.2.1:7500"],
            &["send", "239.192.0.1:7500", "a", "b"],
            &["send", "239.192.0.1:7500", "--ttl", "0"],
            &["send", "239.192.0.1:7500", "--ttl", "256"],
            &["send", "239.192.0.1:7500", "--rate", "fast"],
            &["send", "239.192.0.1:7500", "--message-size", "0"],
            &["recv"],
            &["recv", "239.192.0.1:7500", "--wait", "soon"],
            &["send", "239.192.0.1:7500", "--topic", "a"],
            &["send", "239.192.0.1:7500", "--zmq", "--topic", "\\"],
            &["recv", "239.192.0.1:7500", "--topic", "a"],
            &["recv", "239.192.0.1:7500", "--count", "1"],
            &["recv", "239.192.0.1:7500", "--zmq", "--late"],
            &["bench"],
            &["list", "--interval", "1s"],
            &["stat", "--count", "2"],
            &["stat", "--interval", "0"],
            &["top", "--interval", "soon"],
        ] {
            let words = ["pgm"].iter().chain(wrong);
            assert!(Cli::try_parse_from(words).is_err(), "{wrong:?}");
        }
    }
}
