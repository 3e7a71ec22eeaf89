// SPDX-License-Identifier: GPL-2.0

//! The source: connect(), or the first sendto(), and send().

use core::mem::size_of;
use core::ptr::addr_of_mut;

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::source::{Source, SourceConfig};
use pgm_core::{settings, Duration, Heap, Instant};
use pgm_wire::{Addr, Gsi, Sqn, Tsi};

use crate::cork::Part;
use crate::counters::{self, Counter};
use crate::net::address::{self, SocketAddress, ANY4};
use crate::net::burst::PACKETS_MAX;
use crate::net::heap::{accounted, KernelHeap};
use crate::net::lock::{Locked, UserLock};
use crate::net::output::{self, Path, Way};
use crate::net::skb::TxPayload;
use crate::net::udp::UdpPorts;
use crate::net::{timer, trace};
use crate::options;
use crate::sock::{random_u64, Key, Receive, State};
use crate::{account, demux, engine, link};

/// Bytes of ODATA header (RFC 3208 §8.2).
const FIXED_HEADER: u32 = 24;
/// What begins the options.
const LENGTH_OPTION: u32 = 4;
const FRAGMENT_OPTION: u32 = 16;
/// With OPT_LENGTH, OPT_SYN and OPT_FIN.
const DATA_HEADER: u32 = FIXED_HEADER + LENGTH_OPTION + 4 + 4;
/// The same with OPT_FRAGMENT.
const FRAGMENT_HEADER: u32 = DATA_HEADER + FRAGMENT_OPTION;
/// OPT_JOIN, on all data of a source that late receivers may ask.
const JOIN_OPTION: u32 = 8;
/// A link that cannot carry 64 bytes of payload is no use.
const TSDU_MIN: u32 = FRAGMENT_HEADER + 64;

/// Reads the group and data-destination port that connect() or sendto() was given.
///
/// # Safety
///
/// `addr` points to `len` bytes in kernel memory.
unsafe fn read_group(sk: &Locked<'_>, addr: *const u8, len: usize) -> Result<SocketAddress> {
    // SAFETY: By the caller.
    let group = unsafe { SocketAddress::read(sk.sock(), addr, len)? };
    if !group.addr.is_multicast() {
        return Err(EADDRNOTAVAIL);
    }
    if group.port == 0 {
        return Err(EINVAL);
    }
    Ok(group)
}

/// The group and port that a source already sends to.
fn group_of(sk: &State) -> Option<(Addr, u16)> {
    let config = sk.source.as_ref()?.config();
    Some((config.group, config.dport))
}

/// `proto_ops.connect`: the socket becomes a source. There is no handshake; SPMs start now.
///
/// # Safety
///
/// Called by the kernel with an address in kernel memory.
pub(crate) unsafe extern "C" fn connect(
    sock: *mut b::socket,
    addr: *mut b::sockaddr_unsized,
    len: c_int,
    _flags: c_int,
) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        let result = (|| {
            let len = usize::try_from(len).map_err(|_| EINVAL)?;
            let mut sk = UserLock::new((*sock).sk).ok_or(EINVAL)?;
            if sk.source.is_some() || !may_send(&sk) {
                return Err(EISCONN);
            }
            let family = addr.cast::<u16>();
            if len >= size_of::<u16>() && u32::from(family.read_unaligned()) == b::AF_UNSPEC {
                return Err(EOPNOTSUPP);
            }
            let group = read_group(&sk, addr.cast(), len)?;
            start(&mut sk, group)?;
            (*sock).state = b::socket_state_SS_CONNECTED;
            Ok(())
        })();
        result.map_or_else(|error: Error| error.to_errno(), |()| 0)
    }
}

/// Listeners and sessions only receive.
fn may_send(sk: &State) -> bool {
    matches!(sk.receive, Receive::Idle | Receive::Datagram(_))
}

/// Makes the socket a source, or leaves it as it was.
fn start(sk: &mut Locked<'_>, group: SocketAddress) -> Result {
    let sock = sk.sock();
    // SAFETY: The lock is held.
    unsafe {
        let dev = b::pgm_sk_bound_dev(sock);
        try_start(sk, group).inspect_err(|_| (*sock).__sk_common.skc_bound_dev_if = dev)
    }
}

fn try_start(sk: &mut Locked<'_>, group: SocketAddress) -> Result {
    let inet: *mut b::inet_sock = sk.sock().cast();
    // SAFETY: The lock is held.
    let (oif, saddr) = unsafe {
        address::bind_to_scope(sk.sock(), group)?;
        let saddr = match address::source(sk.sock()) {
            ANY4 => address::v4((*inet).mc_addr),
            saddr => saddr,
        };
        (address::multicast_interface(sk.sock()), saddr)
    };
    let this = sk.as_ptr();
    // SAFETY: The lock is held.
    let way = unsafe { Way::find(this, oif, group.addr, saddr, (*this).encap.mcast)? };
    let nla = way.nla()?;
    // SAFETY: The lock is held.
    if unsafe { way.mtu(sk.sock()) } < extra(sk) + TSDU_MIN {
        return Err(EMSGSIZE);
    }
    take_udp_ports(sk)?;
    let config = config(sk, group, nla);
    // SAFETY: The lock is held.
    unsafe {
        demux::add_source(
            sk.as_ptr(),
            Key {
                tsi: config.tsi,
                ddp: group.port,
                group: group.addr,
                ..Key::NONE
            },
        )?;
    }
    let tsi = config.tsi;
    let source = match KBox::new(Source::new(config, timer::now()), accounted()) {
        Ok(source) => source,
        Err(_) => {
            // SAFETY: The lock is held.
            unsafe { demux::remove_source(sk.as_ptr()) };
            return Err(ENOMEM);
        }
    };
    sk.source = Some(source);
    sk.path = Path {
        group: group.addr,
        source: nla,
        oif,
        mtu: 0,
    };
    sk.link.wanted = saddr;
    link::take(sk, &way);
    // SAFETY: The lock is held.
    unsafe {
        let sock = sk.sock();
        address::set_peer(sock, group);
        address::set_source(sock, nla);
        if (*inet).inet_sport == 0 {
            (*inet).inet_sport = tsi.sport.to_be();
        }
        b::pgm_sk_set_state(sock, b::TCP_ESTABLISHED as c_int);
        counters::count(sock, Counter::Sources, 1);
        trace::rate(tsi, options::rate(sk));
    }
    engine::turn(sk, timer::now());
    Ok(())
}

/// Bytes of a repair that are neither PGM's fixed part nor payload.
fn extra(sk: &Locked<'_>) -> u32 {
    match sk.options.numbers.get(&settings::LATE_JOIN) {
        0 => overhead(sk),
        _ => overhead(sk) + JOIN_OPTION,
    }
}

/// Bytes that IP, and UDP, add to a repair.
fn overhead(sk: &Locked<'_>) -> u32 {
    // SAFETY: The lock is held.
    let (v6, encap) = unsafe { (address::is_v6(sk.sock()), (*sk.as_ptr()).encap) };
    output::overhead(v6, encap, sk.options.router_alert(v6, encap))
}

/// Sees to it that an encapsulated socket receives.
pub(crate) fn take_udp_ports(sk: &mut Locked<'_>) -> Result {
    if sk.udp.is_empty() {
        // SAFETY: The calling process holds the lock.
        sk.udp = unsafe { UdpPorts::take(sk.sock(), (*sk.as_ptr()).encap)? };
    }
    Ok(())
}

/// Makes new APDUs fit packets of this size. RFC 3208 §4: repairs, with Router Alert, must fit as well.
pub(crate) fn fit(sk: &mut Locked<'_>, mtu: u32) {
    let mtu = match sk.options.numbers.get(&settings::MTU) {
        0 => mtu,
        limit => mtu.min(limit),
    };
    let room = mtu.saturating_sub(extra(sk)).max(TSDU_MIN);
    sk.mss = room.saturating_sub(DATA_HEADER);
    sk.mss_fragment = room.saturating_sub(FRAGMENT_HEADER);
}

fn config(sk: &Locked<'_>, group: SocketAddress, nla: Addr) -> SourceConfig {
    let options = &sk.options;
    let random = random_u64().to_ne_bytes();
    let [a, c, d, e, f, g, h, i] = random;
    // RFC 3208 §8: the data-source port is random; it is kept apart from the destination's.
    let sport = u16::from_be_bytes([h, i]) | 0x8000;
    let sport = if sport == group.port {
        sport ^ 1
    } else {
        sport
    };
    // SAFETY: The lock is held.
    let queue_bytes = u64::try_from(unsafe { (*sk.sock()).sk_sndbuf }).unwrap_or(0);
    SourceConfig {
        tsi: Tsi {
            gsi: options.gsi.unwrap_or(Gsi([a, c, d, e, f, g])),
            sport,
        },
        dport: group.port,
        nla,
        group: group.addr,
        rate: options::rate(sk),
        ip_overhead: overhead(sk),
        window: Duration::from_millis(options.window.millis),
        window_bytes: u64::from(options.window.bytes),
        window_sqns: options.window.sqns(),
        advance: options::advance(&options.numbers),
        join_percent: options.numbers.get(&settings::LATE_JOIN),
        advance_percent: options.numbers.get(&settings::TXW_ADV_RATE),
        queue_bytes,
        ambient: Duration::from_micros(options.numbers.get(&settings::AMBIENT_SPM)),
        heartbeat: options.heartbeat.heartbeat(&options.numbers),
        first_sqn: Sqn::new(0),
    }
}

/// `proto_ops.sendmsg`: one call, one APDU, unless the application says otherwise.
///
/// # Safety
///
/// Called by the kernel for a process, with its message.
pub(crate) unsafe extern "C" fn sendmsg(
    sock: *mut b::socket,
    msg: *mut b::msghdr,
    len: usize,
) -> c_int {
    // SAFETY: By the caller.
    unsafe {
        let result = match UserLock::new((*sock).sk) {
            Some(mut sk) => begin(&mut sk, sock, msg).and_then(|()| send(&mut sk, msg, len)),
            None => Err(EINVAL),
        };
        result.unwrap_or_else(|error| error.to_errno())
    }
}

/// Whether this socket may send this; with an address it may become a source by that.
///
/// # Safety
///
/// `msg` is that of a sendmsg() call on `sock`.
unsafe fn begin(sk: &mut UserLock<'_>, sock: *mut b::socket, msg: *mut b::msghdr) -> Result {
    // SAFETY: `msg` is valid, its name was copied to kernel memory.
    let (flags, name, name_len) =
        unsafe { ((*msg).msg_flags, (*msg).msg_name, (*msg).msg_namelen) };
    if !may_send(sk) || flags & b::MSG_OOB != 0 {
        return Err(EOPNOTSUPP);
    }
    // SAFETY: The lock is held.
    let error = unsafe { b::pgm_sock_error(sk.sock()) };
    kernel::error::to_result(error)?;
    if !name.is_null() {
        // SAFETY: As above.
        let group = unsafe { read_group(sk, name.cast(), usize::try_from(name_len)?)? };
        match group_of(sk) {
            None => {
                start(sk, group)?;
                // SAFETY: `sock` is the socket of this call.
                unsafe { (*sock).state = b::socket_state_SS_CONNECTED };
            }
            Some(connected) if connected == (group.addr, group.port) => {}
            Some(_) => return Err(EISCONN),
        }
    }
    match sk.source {
        Some(_) => Ok(()),
        None => Err(EDESTADDRREQ),
    }
}

/// Takes the bytes of one call: as a message, as a piece of one, or as its last piece.
///
/// # Safety
///
/// `msg` is that of a sendmsg() call on this socket.
unsafe fn send(sk: &mut UserLock<'_>, msg: *mut b::msghdr, len: usize) -> Result<c_int> {
    let mut now = timer::now();
    link::follow(sk, now)?;
    let len = u32::try_from(len).map_err(|_| EMSGSIZE)?;
    // SAFETY: `msg` is valid.
    let (flags, from) = unsafe { ((*msg).msg_flags, addr_of_mut!((*msg).msg_iter)) };
    loop {
        let limit = options::msgsize_max(sk);
        let part = sk.cork.part(len, flags & b::MSG_MORE != 0, limit)?;
        if part == Part::Piece {
            check_open(sk)?;
            account::may_hold(sk, len.saturating_mul(2))?;
            // SAFETY: The iterator is that of this call.
            unsafe { sk.cork.append(from, len)? };
            account::settle(sk);
            return Ok(len as c_int);
        }
        let gathered = sk.cork.len();
        let total = gathered.saturating_add(len);
        let fragments = fragments_of(sk, total);
        if wait_for_room(sk, fragments, total, flags & b::MSG_DONTWAIT != 0)? {
            now = timer::now();
            link::follow(sk, now)?;
        }
        // While this thread slept, another one may have changed the message, or the MTU changed.
        if sk.cork.look(len, flags & b::MSG_MORE != 0, limit)? != part
            || sk.cork.len() != gathered
            || fragments_of(sk, total) != fragments
        {
            continue;
        }
        account::may_hold(sk, total)?;
        if part == Part::Whole {
            // SAFETY: The lock is held, the iterator is that of this call.
            unsafe { push(sk, now, from, fragments, total)? };
        } else {
            // SAFETY: As above.
            unsafe { complete(sk, now, from, fragments, len)? };
        }
        sk.cork.end();
        if flags & b::MSG_BATCH == 0 || !hold(sk, now) {
            engine::turn_to_send(sk, now);
        }
        return Ok(len as c_int);
    }
}

/// Lets a message wait for those that sendmmsg() brings next: they leave in one turn. Should they not
/// come, the timer sends it. `false`: enough wait already.
fn hold(sk: &mut Locked<'_>, now: Instant) -> bool {
    let waiting = sk.source.as_ref().map_or(0, |source| source.queued_sqns());
    if waiting >= PACKETS_MAX {
        return false;
    }
    account::settle_sent(sk);
    // SAFETY: The lock is held.
    unsafe { timer::arm(sk.as_ptr(), now.after(engine::HELD)) };
    true
}

/// Sends what was gathered, with the `len` bytes of this call at the end.
///
/// # Safety
///
/// `from` is the iterator of a sendmsg() call on this socket.
unsafe fn complete(
    sk: &mut Locked<'_>,
    now: Instant,
    from: *mut b::iov_iter,
    fragments: u32,
    len: u32,
) -> Result {
    let mut cork = core::mem::take(&mut sk.cork);
    // SAFETY: By the caller; the gathered bytes stay while they are copied.
    let result = unsafe {
        cork.append(from, len).and_then(|()| {
            let total = cork.len();
            cork.read(|bytes| push(sk, now, bytes, fragments, total))
                .inspect_err(|_| cork.take_back(len))
        })
    };
    sk.cork = cork;
    result
}

/// Bytes in front of a TSDU for the header of its ODATA, so that both lie together in a burst
/// ([`crate::net::burst`]). The first and the last packet of a session need more, and go alone.
fn header_room(sk: &Locked<'_>, fragmented: bool) -> u16 {
    // SAFETY: Constant.
    if unsafe { (*sk.as_ptr()).encap.is_native() } {
        return 0;
    }
    let fragment = if fragmented { FRAGMENT_OPTION } else { 0 };
    let join = match sk.options.numbers.get(&settings::LATE_JOIN) {
        0 => 0,
        _ => JOIN_OPTION,
    };
    let length = if fragment + join > 0 {
        LENGTH_OPTION
    } else {
        0
    };
    (FIXED_HEADER + length + fragment + join) as u16
}

/// How many packets an APDU of this length takes.
fn fragments_of(sk: &State, len: u32) -> u32 {
    if len <= sk.mss {
        1
    } else {
        // Not div_ceil(), which the kernel's build does not inline.
        len.saturating_sub(1) / sk.mss_fragment.max(1) + 1
    }
}

/// EPIPE after shutdown().
fn check_open(sk: &Locked<'_>) -> Result {
    // SAFETY: The lock is held.
    match unsafe { u32::from((*sk.sock()).sk_shutdown) } & b::SEND_SHUTDOWN {
        0 => Ok(()),
        _ => Err(EPIPE),
    }
}

/// Blocks until the transmit window and SO_SNDBUF take the APDU. Whether that took time.
fn wait_for_room(sk: &mut UserLock<'_>, fragments: u32, len: u32, noblock: bool) -> Result<bool> {
    let mut waited = false;
    // SAFETY: The lock is held.
    let mut timeo = unsafe { b::pgm_sndtimeo(sk.sock(), noblock) };
    loop {
        check_open(sk)?;
        let source = sk.source.as_mut().ok_or(EPIPE)?;
        if !source.fits(fragments, u64::from(len)) {
            return Err(EMSGSIZE);
        }
        if source.room(fragments, u64::from(len)) {
            return Ok(waited);
        }
        waited = true;
        // Also for a caller that asks epoll when to try again.
        let now = timer::now();
        source.wait_for_room(now, fragments, u64::from(len));
        engine::turn(sk, now);
        let source = sk.source.as_ref().ok_or(EPIPE)?;
        if !source.room(fragments, u64::from(len)) {
            sk.sleep(&mut timeo)?;
        }
    }
}

/// Copies the message and queues its TPDUs: all of them or none.
///
/// # Safety
///
/// `from` has `len` bytes, and is not kept.
unsafe fn push(
    sk: &mut Locked<'_>,
    now: Instant,
    from: *mut b::iov_iter,
    fragments: u32,
    len: u32,
) -> Result {
    let this = sk.as_ptr();
    let room = header_room(sk, fragments > 1);
    if fragments == 1 {
        let len = u16::try_from(len)?;
        // SAFETY: By the caller.
        let (payload, sum) = unsafe { TxPayload::read(this, from, len, room)? };
        let source = sk.source.as_mut().ok_or(EPIPE)?;
        return source
            .push(now, payload, len, sum, None)
            .map_or(Err(ENOBUFS), |_| Ok(()));
    }
    let mss = sk.mss_fragment;
    let mut parts = KernelHeap::array(fragments as usize).ok_or(ENOBUFS)?;
    let mut offset = 0;
    for part in parts.iter_mut() {
        let size = u16::try_from(mss.min(len.saturating_sub(offset)))?;
        // SAFETY: By the caller.
        let (payload, sum) = unsafe { TxPayload::read(this, from, size, room)? };
        *part = Some((offset, size, payload, sum));
        offset = offset.saturating_add(size.into());
    }
    let source = sk.source.as_mut().ok_or(EPIPE)?;
    source.reserve(fragments).map_err(|_| ENOBUFS)?;
    for (offset, size, payload, sum) in parts.iter_mut().filter_map(Option::take) {
        // The slots are reserved; should one be refused all the same, the APDU is cut short and
        // its receivers report it.
        source
            .push(now, payload, size, sum, Some((offset, len)))
            .map_err(|_| ENOBUFS)?;
    }
    Ok(())
}
