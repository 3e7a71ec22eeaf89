// SPDX-License-Identifier: GPL-2.0

//! PGM sockets: socket(AF_INET or AF_INET6, SOCK_RDM, IPPROTO_PGM) and the options of `<linux/pgm.h>`.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

use crate::address::{Endpoint, Interface, UdpPorts};
use crate::rcvinfo::rcvinfo;
use crate::sys;

// include/uapi/linux/pgm.h
pub const IPPROTO_PGM: i32 = 113;
const PGM_SEND_WINDOW: i32 = 1;
const PGM_SENDER_STATS: i32 = 6;
const PGM_RECEIVER_STATS: i32 = 7;
const PGM_MSS: i32 = 9;
const PGM_MSGSIZE_MAX: i32 = 10;
const PGM_AMBIENT_SPM: i32 = 11;
const PGM_TSI: i32 = 23;
const PGM_UDP_ENCAP: i32 = 24;
const PGM_GET_LOSS: i32 = 27;
const PGM_EVENTS: i32 = 29;
const PGM_RECVRCVINFO: i32 = 30;
const PGM_RCV_SYN: u32 = 0x1;
const PGM_EVENT_LOSS: u32 = 0x02;
const PGM_EVENT_END: u32 = 0x04;
const PGM_EVENT_RESET: u32 = 0x08;
const PGM_EVENT_EXPIRY: u32 = 0x10;
const MSG_NOTIFICATION: i32 = 0x8000;

/// Transport Session Identifier: six bytes of Global Source ID, two of data-source port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tsi(pub [u8; 8]);

impl fmt::Display for Tsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, high, low] = self.0;
        let port = u16::from_be_bytes([high, low]);
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{g:02x}.{port}")
    }
}

impl Serialize for Tsi {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Serialize)]
        pub struct $name {
            $(#[doc = concat!("`", stringify!($field), "` of the header")] pub $field: u64,)*
        }

        impl $name {
            /// In the header's order; what an older kernel did not fill stays 0.
            pub fn from_bytes(bytes: &[u8]) -> Self {
                let mut words = bytes
                    .chunks_exact(8)
                    .map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
                Self { $($field: words.next().unwrap_or(0),)* }
            }
        }
    };
}

counters! {
    /// struct pgm_sender_stats
    SenderStats {
        odata_bytes, bytes, naks, naks_outside, repairs_pending, naks_repeated, rdata,
        window_bytes_free, trail, lead, rate_kbit, rate_recent_kbit, odata, rdata_bytes, ncf, spm,
        nak_sqns, spmrs, nnaks,
    }
}

counters! {
    /// struct pgm_receiver_stats
    ReceiverStats {
        odata, rdata, duplicates, data_bytes, bytes, rate_kbit, rate_recent_kbit, trail, lead,
        window_sqns_avg, window_sqns_min, window_sqns_max, nak_first, missing_now, outstanding,
        buffered, naks, parity_naks, missing, repaired, lost, nak_sqns, ncfs, spms, spmrs, apdus,
        recovery_ns, recovery_max_ns,
    }
}

/// struct pgm_loss: what was lost for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// First sequence number.
    pub first: u32,
    /// How many in a row.
    pub count: u32,
}

/// Where a session takes place.
#[derive(Clone, Debug)]
pub struct Place {
    /// Group and port.
    pub endpoint: Endpoint,
    /// By route without.
    pub interface: Option<Interface>,
    /// Inside UDP, on these ports.
    pub udp: Option<UdpPorts>,
}

/// How a source sends.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// TXW_MAX_RTE in kbit/s.
    pub rate_kbit: u32,
    /// TXW_SECS.
    pub window: Duration,
    /// TXW_BYTES.
    pub window_bytes: u32,
    /// Interval of ambient SPMs.
    pub ambient: Duration,
    /// IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS; the system's without.
    pub ttl: Option<u32>,
    /// IP_MULTICAST_LOOP; the system's without.
    pub multicast_loop: Option<bool>,
}

/// One message of a session.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Bytes in the buffer.
    pub len: usize,
    /// The end of the session, not a message.
    pub end: bool,
    /// The first message of the session, where the kernel tells.
    pub first: bool,
}

/// What a datagram socket gets next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message of a session.
    Message { len: usize, tsi: Tsi },
    /// Something happened to a session, after the messages before it.
    Event { event: Event, tsi: Tsi },
}

/// What happens to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many packets were lost.
    Loss(u32),
    /// It ended, was broken off or fell silent.
    Over,
}

/// A PGM socket in any role.
#[derive(Debug)]
pub struct PgmSocket(Socket);

impl PgmSocket {
    fn new(place: &Place) -> Result<Self> {
        let group = place.endpoint.group;
        let domain = match group {
            IpAddr::V4(_) => Domain::IPV4,
            IpAddr::V6(_) => Domain::IPV6,
        };
        let protocol = Some(Protocol::from(IPPROTO_PGM));
        match Socket::new(domain, Type::from(libc::SOCK_RDM), protocol) {
            Ok(socket) => {
                let socket = Self(socket);
                if let Some(interface) = &place.interface {
                    socket.set_interface(group, interface)?;
                }
                if let Some(ports) = place.udp {
                    socket
                        .set(IPPROTO_PGM, PGM_UDP_ENCAP, &ports.to_bytes())
                        .context("cannot use these UDP ports")?;
                }
                Ok(socket)
            }
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT | libc::EAFNOSUPPORT)
                ) =>
            {
                bail!("this kernel has no PGM sockets; load the pgm module (modprobe pgm)")
            }
            Err(error) => Err(error).context("cannot open a PGM socket"),
        }
    }

    fn set_interface(&self, group: IpAddr, interface: &Interface) -> Result<()> {
        match group {
            IpAddr::V4(_) => self.set(libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &interface.mreqn()?),
            IpAddr::V6(_) => self.0.set_multicast_if_v6(interface.index()?),
        }
        .context("cannot use that interface")
    }

    fn set(&self, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
        sys::set_option(self.0.as_fd(), level, name, value)
    }

    fn get<'a>(&self, name: i32, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let len = sys::get_option(self.0.as_fd(), IPPROTO_PGM, name, buffer)?;
        Ok(buffer.get(..len).unwrap_or_default())
    }

    fn get_int(&self, name: i32) -> io::Result<i32> {
        let mut buffer = [0; 4];
        self.get(name, &mut buffer)?;
        Ok(i32::from_ne_bytes(buffer))
    }

    /// A source, connected to the group. From here to [`Self::finish`] the socket tells receivers
    /// that the transfer failed if this process ends, whatever ends it.
    pub fn source(place: &Place, settings: &SourceSettings) -> Result<Self> {
        let socket = Self::new(place)?;
        let endpoint = place.endpoint;
        if let Some(ttl) = settings.ttl {
            match endpoint.group {
                IpAddr::V4(_) => socket.0.set_multicast_ttl_v4(ttl),
                IpAddr::V6(_) => socket.0.set_multicast_hops_v6(ttl),
            }
            .context("cannot set the TTL")?;
        }
        if let Some(on) = settings.multicast_loop {
            match endpoint.group {
                IpAddr::V4(_) => socket.0.set_multicast_loop_v4(on),
                IpAddr::V6(_) => socket.0.set_multicast_loop_v6(on),
            }
            .context("cannot set multicast loopback")?;
        }
        let millis = u32::try_from(settings.window.as_millis()).unwrap_or(u32::MAX);
        let window: Vec<u8> = [settings.rate_kbit, millis, settings.window_bytes]
            .into_iter()
            .flat_map(u32::to_ne_bytes)
            .collect();
        socket
            .set(IPPROTO_PGM, PGM_SEND_WINDOW, &window)
            .context("the kernel refused this rate and window")?;
        let ambient = u32::try_from(settings.ambient.as_micros()).unwrap_or(u32::MAX);
        socket
            .set(IPPROTO_PGM, PGM_AMBIENT_SPM, &ambient.to_ne_bytes())
            .context("cannot set the interval of session messages")?;
        // A killed sender must not look like a complete one: linger {1,0} makes any close() a reset.
        socket
            .0
            .set_linger(Some(Duration::ZERO))
            .context("cannot set SO_LINGER")?;
        socket
            .0
            .connect(&endpoint.socket_addr(place.interface.as_ref())?.into())
            .with_context(|| format!("cannot send to {endpoint}"))?;
        Ok(socket)
    }

    /// Sends one message.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        loop {
            match self.0.send(message) {
                Ok(len) if len == message.len() => return Ok(()),
                Ok(_) => return Err(io::Error::other("the kernel took part of a message")),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the session in good order (FIN). Repairs go on.
    pub fn finish(&self) -> io::Result<()> {
        self.0.set_linger(None)?;
        self.0.shutdown(std::net::Shutdown::Write)
    }

    /// A listener on the group.
    pub fn listener(place: &Place) -> Result<Self> {
        let socket = Self::new(place)?;
        let endpoint = place.endpoint;
        // Several receivers of one host share the group and port.
        socket
            .0
            .set_reuse_address(true)
            .context("cannot set SO_REUSEADDR")?;
        socket
            .0
            .bind(&endpoint.socket_addr(place.interface.as_ref())?.into())
            .with_context(|| format!("cannot bind to {endpoint}"))?;
        socket
            .0
            .listen(1)
            .with_context(|| format!("cannot join {endpoint}"))?;
        Ok(socket)
    }

    /// A datagram socket that hears every source of the group.
    pub fn datagram(place: &Place) -> Result<Self> {
        let socket = Self::new(place)?;
        let endpoint = place.endpoint;
        socket
            .0
            .set_reuse_address(true)
            .context("cannot set SO_REUSEADDR")?;
        let events = PGM_EVENT_LOSS | PGM_EVENT_END | PGM_EVENT_RESET | PGM_EVENT_EXPIRY;
        for (option, value) in [(PGM_EVENTS, events), (PGM_RECVRCVINFO, 1)] {
            socket
                .set(IPPROTO_PGM, option, &value.to_ne_bytes())
                .context("cannot ask for what happens to sessions")?;
        }
        socket
            .0
            .bind(&endpoint.socket_addr(place.interface.as_ref())?.into())
            .with_context(|| format!("cannot bind to {endpoint}"))?;
        match endpoint.group {
            IpAddr::V4(group) => {
                let mut membership = match &place.interface {
                    Some(interface) => interface.mreqn()?,
                    None => [0; 12],
                };
                membership[..4].copy_from_slice(&group.octets());
                socket.set(libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &membership)
            }
            IpAddr::V6(group) => {
                let index = place.interface.as_ref().map_or(Ok(0), Interface::index)?;
                socket.0.join_multicast_v6(&group, index)
            }
        }
        .with_context(|| format!("cannot join {endpoint}"))?;
        Ok(socket)
    }

    /// Waits for a source. `None` when none came in time.
    pub fn accept(&self, wait: Option<Duration>) -> Result<Option<(Self, Option<SocketAddr>)>> {
        self.set_timeout(wait)?;
        loop {
            match self.0.accept() {
                Ok((session, peer)) => {
                    let session = Self(session);
                    session
                        .set(IPPROTO_PGM, PGM_RECVRCVINFO, &1i32.to_ne_bytes())
                        .context("cannot ask for the start of the session")?;
                    return Ok(Some((session, peer.as_socket())));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).context("cannot wait for a source"),
            }
        }
    }

    /// Longest wait of one call; for ever without.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        // A timeout of zero would mean for ever.
        let timeout = timeout.map(|time| time.max(Duration::from_millis(1)));
        self.0
            .set_read_timeout(timeout)
            .context("cannot set a timeout")
    }

    /// Receives one message, or the part of it that `data` can hold.
    pub fn receive(&self, data: &mut [u8]) -> io::Result<Message> {
        // struct cmsghdr and struct pgm_rcvinfo, with room for one more message.
        let mut control = [0u8; 128];
        loop {
            match sys::receive(self.0.as_fd(), data, &mut control, 0) {
                Ok(got) => {
                    let control = control.get(..got.control).unwrap_or_default();
                    return Ok(Message {
                        len: got.len,
                        // An empty message ends in MSG_EOR like every message; the end has none.
                        end: got.len == 0 && got.flags & libc::MSG_EOR == 0,
                        first: rcvinfo(control).is_some_and(|info| info.flags & PGM_RCV_SYN != 0),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives what comes next at a datagram socket.
    pub fn receive_any(&self, data: &mut [u8]) -> io::Result<Received> {
        let mut control = [0u8; 128];
        loop {
            let got = match sys::receive(self.0.as_fd(), data, &mut control, 0) {
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = data.get(..got.len).unwrap_or_default();
            let received = if got.flags & MSG_NOTIFICATION != 0 {
                notification(bytes)
            } else {
                let info = rcvinfo(control.get(..got.control).unwrap_or_default());
                info.map(|info| Received::Message {
                    len: got.len,
                    tsi: Tsi(info.tsi),
                })
            };
            return received.ok_or_else(|| io::Error::other("the kernel told no session"));
        }
    }

    /// Largest message that needs no fragments.
    pub fn mss(&self) -> io::Result<usize> {
        let value = self.get_int(PGM_MSS)?;
        usize::try_from(value).map_err(io::Error::other)
    }

    /// Largest message.
    pub fn message_max(&self) -> io::Result<usize> {
        let value = self.get_int(PGM_MSGSIZE_MAX)?;
        usize::try_from(value).map_err(io::Error::other)
    }

    /// The session's identifier, where there is one.
    pub fn tsi(&self) -> Option<Tsi> {
        let mut buffer = [0; 8];
        (self.get(PGM_TSI, &mut buffer).ok()?.len() == 8).then_some(Tsi(buffer))
    }

    /// Counters of a source.
    pub fn sender_stats(&self) -> io::Result<SenderStats> {
        let mut buffer = [0; 256];
        self.get(PGM_SENDER_STATS, &mut buffer)
            .map(SenderStats::from_bytes)
    }

    /// Counters of a session.
    pub fn receiver_stats(&self) -> io::Result<ReceiverStats> {
        let mut buffer = [0; 256];
        self.get(PGM_RECEIVER_STATS, &mut buffer)
            .map(ReceiverStats::from_bytes)
    }

    /// What the last failed call reported as lost, if that was its reason.
    pub fn loss(&self) -> Option<Loss> {
        let mut buffer = [0; 16];
        let bytes = self.get(PGM_GET_LOSS, &mut buffer).ok()?;
        let word = |at: usize| {
            let bytes = bytes.get(at..at.checked_add(4)?)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let loss = Loss {
            first: word(8)?,
            count: word(12)?,
        };
        (loss.count > 0).then_some(loss)
    }
}

/// struct pgm_notification
fn notification(bytes: &[u8]) -> Option<Received> {
    // event (4), flags (4), tsi (8), sqn (4), count (4), code (4), reserved (4)
    let (event, rest) = bytes.split_first_chunk::<4>()?;
    let tsi = rest.get(4..12)?.try_into().ok()?;
    let count = rest.get(16..20)?.try_into().ok()?;
    let event = match u32::from_ne_bytes(*event) {
        PGM_EVENT_LOSS => Event::Loss(u32::from_ne_bytes(count)),
        _ => Event::Over,
    };
    Some(Received::Event {
        event,
        tsi: Tsi(tsi),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_tell_the_session() {
        let words = [PGM_EVENT_LOSS, 0, 0x0101_0101, 0x0101_0101, 7, 3, 0, 0];
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        let tsi = Tsi([1; 8]);
        let loss = Event::Loss(3);
        assert_eq!(
            notification(&bytes),
            Some(Received::Event { event: loss, tsi })
        );
        let mut end = bytes.clone();
        end[..4].copy_from_slice(&PGM_EVENT_END.to_ne_bytes());
        let over = Event::Over;
        assert_eq!(
            notification(&end),
            Some(Received::Event { event: over, tsi })
        );
        assert_eq!(notification(&bytes[..20]), None);
    }

    #[test]
    fn counters_of_an_older_kernel_read_as_zero() {
        let bytes: Vec<u8> = [1u64, 2, 3]
            .into_iter()
            .flat_map(u64::to_ne_bytes)
            .collect();
        let stats = SenderStats::from_bytes(&bytes);
        assert_eq!((stats.odata_bytes, stats.naks, stats.odata), (1, 3, 0));
    }

    #[test]
    fn session_identifier_is_printed_with_its_port() {
        assert_eq!(
            Tsi([0, 1, 2, 0xab, 4, 5, 0x1d, 0x4c]).to_string(),
            "000102ab0405.7500"
        );
    }
}
