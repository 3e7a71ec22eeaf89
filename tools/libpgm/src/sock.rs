// SPDX-License-Identifier: GPL-2.0

//! A socket of OpenPGM: one datagram socket of the kernel that receives, sends, or does both.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::abi::*;
use crate::failure::Failure;
use crate::options::{int, kernel, Settings, IPPROTO_PGM};
use crate::rcvinfo::rcvinfo;
use crate::sys;

/// `DEFAULT_DATA_DESTINATION_PORT`
const PORT: u16 = 7500;
/// A message is lent in pieces that a 16-bit length can tell.
pub const PIECE: usize = u16::MAX as usize;
/// The largest message that OpenPGM's programs can be given, 16 bytes less than the kernel may take.
const BUFFER: usize = MAX_FRAGMENTS * PIECE;
/// When to try again what an interface did not take.
pub const RETRY: Duration = Duration::from_millis(100);

// <linux/pgm.h>
const EVENT_LOSS: u32 = 0x02;
const EVENT_RESET: u32 = 0x08;
const EVENT_EXPIRY: u32 = 0x10;
const MSG_NOTIFICATION: c_int = 0x8000;

/// What a call of recv brought.
#[derive(Debug)]
pub enum Arrival {
    /// A message: its bytes are in the buffer.
    Message {
        bytes: Vec<u8>,
        tsi: pgm_tsi_t,
        sequence: u32,
    },
    /// So many packets of a session are lost for good. None: it has fallen silent, and what comes of
    /// it from now on need not follow what came before.
    Lost { tsi: pgm_tsi_t, count: Option<u32> },
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Wait until the socket is writable.
    Full,
    /// Try again in a moment: the interface is down, or memory short.
    Later,
    /// Never.
    Error,
}

/// What bind() was told.
#[derive(Clone, Copy, Debug)]
struct Local {
    tsi: pgm_tsi_t,
    port: u16,
    receive: Link,
    send: Link,
}

/// An interface, by index and one of its addresses, if they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    pub index: u32,
    pub address: Option<IpAddr>,
}

#[derive(Debug, Default)]
struct Setup {
    settings: Settings,
    local: Option<Local>,
    connected: bool,
    send_group: Option<(IpAddr, u32)>,
    /// Memberships to be made by connect(): option and value.
    memberships: Vec<(c_int, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct Inbox {
    /// What was read before it was wanted.
    waiting: VecDeque<Arrival>,
    buffer: Vec<u8>,
    /// With PGM_ABORT_ON_RESET: the loss that ended everything.
    over: Option<(pgm_tsi_t, u32)>,
}

/// A socket.
#[derive(Debug)]
pub struct Sock {
    kernel: Socket,
    ipv6: bool,
    udp: bool,
    setup: Mutex<Setup>,
    inbox: Mutex<Inbox>,
    /// Readable while the inbox holds something that was read already.
    pending: (UnixStream, UnixStream),
    /// Never readable: repairs are the kernel's business.
    repair: (UnixStream, UnixStream),
    /// The second descriptor of a socket that sends and receives; a poller has one for each.
    twin: Socket,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set(socket: &Socket, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    sys::set_option(socket.as_fd(), level, name, value)
}

impl Sock {
    /// pgm_socket()
    pub fn new(family: c_int, kind: c_int, protocol: c_int) -> Result<Self, Failure> {
        let (domain, ipv6) = match family {
            libc::AF_INET => (Domain::IPV4, false),
            libc::AF_INET6 => (Domain::IPV6, true),
            _ => {
                return Err(Failure::socket(
                    PGM_ERROR_AFNOSUPPORT,
                    "neither IPv4 nor IPv6",
                ))
            }
        };
        if kind != libc::SOCK_SEQPACKET {
            let reason = "the type of a socket is SOCK_SEQPACKET";
            return Err(Failure::socket(PGM_ERROR_INVAL, reason));
        }
        let udp = match protocol {
            IPPROTO_PGM => false,
            libc::IPPROTO_UDP => true,
            _ => {
                let reason = "the protocol of a socket is IPPROTO_PGM or IPPROTO_UDP";
                return Err(Failure::socket(PGM_ERROR_INVAL, reason));
            }
        };
        let open = || {
            let protocol = Some(Protocol::from(IPPROTO_PGM));
            let kernel = Socket::new(domain, Type::from(libc::SOCK_RDM), protocol)?;
            kernel.set_reuse_address(true)?;
            // Repairs are bounded by the program's window, which advances with its data.
            let method = kernel::ADVANCE_WITH_DATA.to_ne_bytes();
            set(&kernel, IPPROTO_PGM, kernel::WINDOW_ADV_METHOD, &method)?;
            set(
                &kernel,
                IPPROTO_PGM,
                kernel::RECVRCVINFO,
                &1u32.to_ne_bytes(),
            )?;
            let events = EVENT_LOSS | EVENT_RESET | EVENT_EXPIRY;
            set(&kernel, IPPROTO_PGM, kernel::EVENTS, &events.to_ne_bytes())?;
            let pending = UnixStream::pair()?;
            pending.0.set_nonblocking(true)?;
            pending.1.set_nonblocking(true)?;
            Ok(Self {
                twin: kernel.try_clone()?,
                kernel,
                ipv6,
                udp,
                setup: Mutex::default(),
                inbox: Mutex::default(),
                pending,
                repair: UnixStream::pair()?,
            })
        };
        open().map_err(|error: io::Error| match error.raw_os_error() {
            // What OpenPGM says where there is no PGM.
            Some(libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT) => {
                let reason = "this kernel has no PGM sockets; load the pgm module";
                Failure::socket(PGM_ERROR_NODEV, reason)
            }
            _ => Failure::system("cannot open a PGM socket", &error),
        })
    }

    /// pgm_setsockopt()
    pub fn set(&self, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
        let refused = |errno| Err(io::Error::from_raw_os_error(errno));
        if level == libc::SOL_SOCKET {
            return match name {
                libc::SO_SNDBUF | libc::SO_RCVBUF => set(&self.kernel, level, name, value),
                _ => refused(libc::ENOPROTOOPT),
            };
        }
        if level != IPPROTO_PGM {
            return refused(libc::EINVAL);
        }
        let mut setup = lock(&self.setup);
        // The numbers of <linux/in.h>, which take what OpenPGM's structures begin with.
        const GROUP_REQ: usize = 8 + 128;
        const GROUP_SOURCE_REQ: usize = GROUP_REQ + 128;
        let (option, size) = match name {
            PGM_SEND_GROUP => {
                let Some(group) = value.get(8..GROUP_REQ) else {
                    return refused(libc::EINVAL);
                };
                let group = Storage(group.try_into().map_err(io::Error::other)?);
                return match group.address() {
                    Some(address) if address.is_multicast() && address.is_ipv6() == self.ipv6 => {
                        setup.send_group = Some((address, group.scope()));
                        Ok(())
                    }
                    _ => refused(libc::EINVAL),
                };
            }
            PGM_JOIN_GROUP => (libc::MCAST_JOIN_GROUP, GROUP_REQ),
            PGM_LEAVE_GROUP => (libc::MCAST_LEAVE_GROUP, GROUP_REQ),
            PGM_BLOCK_SOURCE => (libc::MCAST_BLOCK_SOURCE, GROUP_SOURCE_REQ),
            PGM_UNBLOCK_SOURCE => (libc::MCAST_UNBLOCK_SOURCE, GROUP_SOURCE_REQ),
            PGM_JOIN_SOURCE_GROUP => (libc::MCAST_JOIN_SOURCE_GROUP, GROUP_SOURCE_REQ),
            PGM_LEAVE_SOURCE_GROUP => (libc::MCAST_LEAVE_SOURCE_GROUP, GROUP_SOURCE_REQ),
            PGM_MSFILTER => (libc::MCAST_MSFILTER, value.len()),
            _ => {
                return setup
                    .settings
                    .set(self.kernel.as_fd(), self.ipv6, name, value)
            }
        };
        let Some(value) = value.get(..size) else {
            return refused(libc::EINVAL);
        };
        if setup.connected {
            set(&self.kernel, self.ip_level(), option, value)
        } else {
            setup.memberships.push((option, value.to_vec()));
            Ok(())
        }
    }

    /// pgm_getsockopt(): what holds a number.
    pub fn get(&self, level: c_int, name: c_int) -> io::Result<i32> {
        if level == libc::SOL_SOCKET {
            return match name {
                libc::SO_SNDBUF | libc::SO_RCVBUF => self.kernel_int(level, name),
                _ => Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT)),
            };
        }
        if level != IPPROTO_PGM {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let setup = lock(&self.setup);
        let own = setup.settings.get(self.ipv6, self.udp, name);
        // A source knows better: its interface may take less.
        let kernel = match name {
            PGM_MSSS | PGM_MSS => self.kernel_int(IPPROTO_PGM, kernel::MSS),
            PGM_PDU => self.kernel_int(IPPROTO_PGM, kernel::MSGSIZE_MAX),
            PGM_SEND_SOCK => return Ok(self.kernel.as_raw_fd()),
            PGM_RECV_SOCK if setup.settings.send_only => return Ok(self.repair.1.as_raw_fd()),
            PGM_RECV_SOCK => return Ok(self.twin.as_raw_fd()),
            PGM_REPAIR_SOCK => return Ok(self.repair.0.as_raw_fd()),
            PGM_PENDING_SOCK => return Ok(self.pending.0.as_raw_fd()),
            _ => return own,
        };
        match kernel {
            Ok(kernel) if setup.connected && !setup.settings.recv_only => Ok(own?.min(kernel)),
            _ => own,
        }
    }

    fn kernel_int(&self, level: c_int, name: c_int) -> io::Result<i32> {
        let mut value = [0; 4];
        sys::get_option(self.kernel.as_fd(), level, name, &mut value)?;
        int(&value)
    }

    const fn ip_level(&self) -> c_int {
        match self.ipv6 {
            false => libc::IPPROTO_IP,
            true => libc::IPPROTO_IPV6,
        }
    }

    /// pgm_bind3(): only remembers; the kernel's socket is bound by connect(), when its role is known.
    pub fn bind(&self, address: pgm_sockaddr_t, receive: Link, send: Link) -> Result<(), Failure> {
        let mut setup = lock(&self.setup);
        if setup.local.is_some() {
            return Err(Failure::socket(
                PGM_ERROR_INVAL,
                "the socket is bound already",
            ));
        }
        setup.local = Some(Local {
            tsi: address.sa_addr,
            port: match address.sa_port {
                0 => PORT,
                port => port,
            },
            receive,
            send,
        });
        Ok(())
    }

    /// pgm_connect(): from now on messages come and go.
    pub fn connect(&self) -> Result<(), Failure> {
        let mut setup = lock(&self.setup);
        let Some(local) = setup.local else {
            return Err(Failure::socket(PGM_ERROR_INVAL, "the socket is not bound"));
        };
        if setup.connected {
            return Err(Failure::socket(
                PGM_ERROR_INVAL,
                "the socket is connected already",
            ));
        }
        let settings = setup.settings;
        if settings.send_only && settings.recv_only {
            let reason = "a socket that neither sends nor receives";
            return Err(Failure::socket(PGM_ERROR_INVAL, reason));
        }
        self.carry(&settings)
            .map_err(|error| Failure::system("cannot use these UDP ports", &error))?;
        if !settings.send_only {
            self.receive_from_here(&settings, &local, &setup.memberships)
                .map_err(|error| Failure::system("cannot receive", &error))?;
        }
        if !settings.recv_only {
            let Some((group, scope)) = setup.send_group else {
                return Err(Failure::socket(PGM_ERROR_INVAL, "no group to send to"));
            };
            self.send_from_here(&settings, &local, group, scope)
                .map_err(|error| Failure::system(&format!("cannot send to {group}"), &error))?;
        }
        setup.connected = true;
        Ok(())
    }

    fn carry(&self, settings: &Settings) -> io::Result<()> {
        if !self.udp {
            return Ok(());
        }
        let (unicast, multicast) = settings.udp_ports();
        let port = |port: i32| u16::try_from(port).map(u16::to_be_bytes);
        let (unicast, multicast) = (
            port(unicast).map_err(io::Error::other)?,
            port(multicast).map_err(io::Error::other)?,
        );
        let ports = [unicast, multicast].concat();
        set(&self.kernel, IPPROTO_PGM, kernel::UDP_ENCAP, &ports)
    }

    fn receive_from_here(
        &self,
        settings: &Settings,
        local: &Local,
        memberships: &[(c_int, Vec<u8>)],
    ) -> io::Result<()> {
        if let Some(packets) = settings.receive_window() {
            let packets = packets.to_ne_bytes();
            set(&self.kernel, IPPROTO_PGM, kernel::RXW_SQNS, &packets)?;
        }
        let any: IpAddr = match self.ipv6 {
            false => Ipv4Addr::UNSPECIFIED.into(),
            true => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.kernel.bind(&SocketAddr::new(any, local.port).into())?;
        for (option, value) in memberships {
            let mut value = value.clone();
            // A group without an interface is on that of bind().
            if let Some(index @ [0, 0, 0, 0]) = value.first_chunk_mut::<4>() {
                *index = local.receive.index.to_ne_bytes();
            }
            set(&self.kernel, self.ip_level(), *option, &value)?;
        }
        Ok(())
    }

    fn send_from_here(
        &self,
        settings: &Settings,
        local: &Local,
        group: IpAddr,
        scope: u32,
    ) -> io::Result<()> {
        let window = settings.send_window();
        set(&self.kernel, IPPROTO_PGM, kernel::SEND_WINDOW, &window)?;
        // Programs share a host: they hear each other. What is our own, we drop ourselves.
        let to = match group {
            IpAddr::V4(group) => {
                let mut interface = [0; 12];
                if let Some(IpAddr::V4(address)) = local.send.address {
                    interface[4..8].copy_from_slice(&address.octets());
                }
                interface[8..].copy_from_slice(&local.send.index.to_ne_bytes());
                if interface != [0; 12] {
                    set(
                        &self.kernel,
                        libc::IPPROTO_IP,
                        libc::IP_MULTICAST_IF,
                        &interface,
                    )?;
                }
                self.kernel.set_multicast_loop_v4(true)?;
                SocketAddr::new(group.into(), local.port)
            }
            IpAddr::V6(group) => {
                if local.send.index != 0 {
                    self.kernel.set_multicast_if_v6(local.send.index)?;
                }
                self.kernel.set_multicast_loop_v6(true)?;
                std::net::SocketAddrV6::new(group, local.port, 0, scope).into()
            }
        };
        // The GSI takes a privilege. Without it the kernel's own random one does as well.
        let tsi = local.tsi.to_bytes();
        if tsi != [0; 8] {
            let _ = set(&self.kernel, IPPROTO_PGM, kernel::TSI, &tsi);
        }
        self.kernel.connect(&to.into())
    }

    /// pgm_getsockname(): the session that this socket sends.
    pub fn name(&self) -> Option<pgm_sockaddr_t> {
        let setup = lock(&self.setup);
        let local = setup.local?;
        let sa_addr = self.tsi().filter(|_| setup.connected).unwrap_or(local.tsi);
        Some(pgm_sockaddr_t {
            sa_port: local.port,
            sa_addr,
        })
    }

    fn tsi(&self) -> Option<pgm_tsi_t> {
        let mut tsi = [0; 8];
        sys::get_option(self.kernel.as_fd(), IPPROTO_PGM, kernel::TSI, &mut tsi).ok()?;
        Some(pgm_tsi_t::from_bytes(tsi))
    }

    /// The data-destination port.
    pub fn port(&self) -> u16 {
        lock(&self.setup).local.map_or(PORT, |local| local.port)
    }

    /// The descriptors of an event loop: to be read, and to be written.
    pub fn descriptors(&self) -> (Vec<RawFd>, Option<RawFd>) {
        let setup = lock(&self.setup);
        let settings = setup.settings;
        drop(setup);
        let get = |name| self.get(IPPROTO_PGM, name).ok();
        let read = match settings.recv_only {
            false => &[PGM_RECV_SOCK, PGM_REPAIR_SOCK, PGM_PENDING_SOCK][..],
            true => &[PGM_RECV_SOCK, PGM_PENDING_SOCK],
        };
        let write = get(PGM_SEND_SOCK).filter(|_| !settings.recv_only);
        (read.iter().filter_map(|name| get(*name)).collect(), write)
    }

    /// Sends one message.
    pub fn send(&self, message: &[IoSlice<'_>]) -> Result<usize, Refusal> {
        let nonblocking = {
            let setup = lock(&self.setup);
            if !setup.connected || setup.settings.recv_only {
                return Err(Refusal::Error);
            }
            setup.settings.nonblocking
        };
        let flags = libc::MSG_NOSIGNAL | if nonblocking { libc::MSG_DONTWAIT } else { 0 };
        loop {
            let error = match self.kernel.send_vectored_with_flags(message, flags) {
                Ok(sent) => return Ok(sent),
                Err(error) => error.raw_os_error(),
            };
            return Err(match error {
                Some(libc::EINTR) => continue,
                Some(libc::EAGAIN) => Refusal::Full,
                Some(
                    libc::ENETDOWN
                    | libc::ENETUNREACH
                    | libc::EHOSTUNREACH
                    | libc::ENOBUFS
                    | libc::ENOMEM,
                ) if nonblocking => Refusal::Later,
                _ => Refusal::Error,
            });
        }
    }

    /// Receives what comes next; None if there is nothing and the socket, or the call, does not wait.
    pub fn receive(&self, wait: bool) -> io::Result<Option<Arrival>> {
        let settings = lock(&self.setup).settings;
        let mut inbox = lock(&self.inbox);
        if let Some((tsi, count)) = inbox.over {
            let count = Some(count);
            return Ok(Some(Arrival::Lost { tsi, count }));
        }
        if let Some(arrival) = inbox.waiting.pop_front() {
            if inbox.waiting.is_empty() {
                let _ = (&self.pending.0).read(&mut [0; 16]);
            }
            return Ok(Some(arrival));
        }
        if settings.send_only {
            // Clears what the interface reported, which would keep pollers busy.
            let _ = self.kernel.take_error();
            return Ok(None);
        }
        let own = if settings.recv_only || settings.own {
            None
        } else {
            self.tsi()
        };
        let wait = wait && !settings.nonblocking;
        let inbox = &mut *inbox;
        inbox.buffer.resize(BUFFER, 0);
        loop {
            let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
            let mut control = [0; 128];
            let got = sys::receive(self.kernel.as_fd(), &mut inbox.buffer, &mut control, flags);
            let arrival = match got {
                Ok(got) => {
                    let bytes = inbox.buffer.get(..got.len).unwrap_or_default();
                    if got.flags & MSG_NOTIFICATION != 0 {
                        notification(bytes)
                    } else {
                        let control = control.get(..got.control).unwrap_or_default();
                        let message = rcvinfo(control).map(|info| Arrival::Message {
                            bytes: bytes.to_vec(),
                            tsi: pgm_tsi_t::from_bytes(info.tsi),
                            sequence: info.sqn,
                        });
                        if got.flags & libc::MSG_EOR == 0 {
                            self.skip_rest(&mut inbox.buffer);
                            too_large(message, own)
                        } else {
                            message
                        }
                    }
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(None),
                    // Nothing that ends a session: it goes on when the interface is back.
                    Some(libc::EINTR | libc::ENETDOWN | libc::ENETUNREACH) => continue,
                    // A loss, and no memory for its notification.
                    Some(libc::ENOBUFS) => self.loss(),
                    _ => return Err(error),
                },
            };
            match arrival {
                Some(Arrival::Message { tsi, .. }) if Some(tsi) == own => {}
                Some(arrival) => {
                    if let (
                        Arrival::Lost {
                            tsi,
                            count: Some(count),
                        },
                        true,
                    ) = (&arrival, settings.abort_on_reset)
                    {
                        inbox.over = Some((*tsi, *count));
                        self.tell_pending();
                    }
                    return Ok(Some(arrival));
                }
                None => return Err(io::Error::other("the kernel told no session")),
            }
        }
    }

    /// The rest of a message that nobody can be given.
    fn skip_rest(&self, buffer: &mut [u8]) {
        loop {
            match sys::receive(self.kernel.as_fd(), buffer, &mut [], libc::MSG_DONTWAIT) {
                Ok(got) if got.flags & libc::MSG_EOR == 0 => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// PGM_GET_LOSS: what the last call failed for.
    fn loss(&self) -> Option<Arrival> {
        // struct pgm_loss: tsi (8), first (4), count (4)
        let mut loss = [0; 16];
        sys::get_option(
            self.kernel.as_fd(),
            IPPROTO_PGM,
            kernel::GET_LOSS,
            &mut loss,
        )
        .ok()?;
        Some(Arrival::Lost {
            tsi: pgm_tsi_t::from_bytes(*loss.first_chunk()?),
            count: Some(u32::from_ne_bytes(*loss.last_chunk()?)),
        })
    }

    /// Gives back what a call cannot tell any more.
    pub fn put_back(&self, arrival: Arrival) {
        lock(&self.inbox).waiting.push_front(arrival);
        self.tell_pending();
    }

    fn tell_pending(&self) {
        // Full is as good as one byte.
        let _ = (&self.pending.1).write(&[0]);
    }
}

/// A message that no program can be given is lost; who sent it himself does not miss it.
fn too_large(message: Option<Arrival>, own: Option<pgm_tsi_t>) -> Option<Arrival> {
    match message {
        Some(Arrival::Message { tsi, .. }) if Some(tsi) != own => Some(Arrival::Lost {
            tsi,
            count: Some(1),
        }),
        message => message,
    }
}

/// struct pgm_notification
fn notification(bytes: &[u8]) -> Option<Arrival> {
    // event (4), flags (4), tsi (8), sqn (4), count (4), code (4), reserved (4)
    let event = u32::from_ne_bytes(*bytes.first_chunk()?);
    let tsi = pgm_tsi_t::from_bytes(bytes.get(8..16)?.try_into().ok()?);
    let count = u32::from_ne_bytes(bytes.get(20..24)?.try_into().ok()?);
    let count = (event != EVENT_EXPIRY).then_some(count);
    Some(Arrival::Lost { tsi, count })
}
