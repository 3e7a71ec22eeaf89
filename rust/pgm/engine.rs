// SPDX-License-Identifier: GPL-2.0

//! Turning the engines: what a socket does after a packet, a call or its timer.
//!
//! Everything here runs under the socket lock, in a softirq or in a process. When a process holds
//! the lock, the timer only leaves a mark and the process does the work on its way out.

use core::sync::atomic::Ordering;

use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::{Data, Delivery, End};
use pgm_core::{settings, Destination, Discard, Duration, Instant, Transmit};
use pgm_wire::{PacketType, Tsi, HEADER_MAX};

use crate::account;
use crate::counters::{self, Counter};
use crate::events::{self, Event};
use crate::link;
use crate::net::burst::Burst;
use crate::net::lock::{BhLock, BhOff, Charged, Locked};
use crate::net::membership;
use crate::net::output::{Alert, Path};
use crate::net::skb::{RxInfo, RxKind, SkBuff};
use crate::net::trace::{self, Edges};
use crate::net::{output, timer};
use crate::netns;
use crate::sock::{self, Loss, PgmSock, Receive, SessionEngine, State};

/// While this much of SO_SNDBUF waits in device queues, the rest waits in the window.
const DEVICE_RETRY: Duration = Duration::from_millis(1);
/// While a loss waits for its reader nothing is delivered, and who has more to deliver looks again
/// after so long; recvmsg() does at once.
const READER_RETRY: Duration = Duration::from_millis(10);
/// How long a packet or message waits at most for the next one of the same buffer or sendmmsg(), for
/// one turn for all.
pub(crate) const HELD: Duration = Duration::from_millis(1);
/// Packets sent in one turn; the timer continues, so that a turn ends.
const BURST: usize = 256;
/// Of these so many leave before softirqs run, as many as one of them takes.
const TOGETHER: usize = 64;

/// The socket's timer fired.
///
/// # Safety
///
/// Called by the kernel in a softirq; `timer` is that of a [`PgmSock`] and owns a reference to it.
pub(crate) unsafe extern "C" fn fire(timer: *mut b::hrtimer) -> b::hrtimer_restart {
    // SAFETY: The timer is a field of the socket.
    let sk = unsafe { kernel::container_of!(timer, PgmSock, timer) };
    if let Some(this) = sock::pgm(sk.cast()) {
        // SAFETY: The timer's reference keeps the socket; it is given up at the end.
        unsafe {
            (*sk).firing.begin();
            let mut lock = BhLock::new(this);
            match lock.state() {
                Some(mut state) => {
                    let _charged = Charged::to(&state);
                    (*sk).firing.enter();
                    turn(&mut state, timer::now());
                }
                None => (*sk).deferred.store(true, Ordering::Relaxed),
            }
            (*sk).firing.leave();
            drop(lock);
            b::pgm_sock_put(sk.cast());
        }
    }
    b::hrtimer_restart_HRTIMER_NORESTART
}

/// `proto.release_cb`: a process leaves the lock, bottom halves are off.
///
/// # Safety
///
/// Called by the kernel with the lock held.
pub(crate) unsafe extern "C" fn release_cb(sk: *mut b::sock) {
    if let Some(this) = sock::pgm(sk) {
        // SAFETY: The process still owns the lock.
        unsafe {
            let deferred = &(*this.as_ptr()).deferred;
            if deferred.load(Ordering::Relaxed) {
                deferred.store(false, Ordering::Relaxed);
                let mut sk = Locked::assume(this);
                if (*this.as_ptr()).doomed.load(Ordering::Relaxed) {
                    crate::close::release(&mut sk);
                } else {
                    turn(&mut sk, timer::now());
                }
            }
        }
    }
}

/// Does all that is due: timers, deliveries, transmissions; then arms the timer.
pub(crate) fn turn(sk: &mut Locked<'_>, now: Instant) {
    if sk.is_released() {
        // SAFETY: The lock is held.
        return unsafe { timer::cancel(sk.as_ptr()) };
    }
    link::look(sk, now);
    set_rate(sk, now);
    account::set_ceilings(sk);
    run_timers(sk, now);
    work(sk, now);
}

/// As [`turn`], when a message was queued, just after [`link::follow`].
pub(crate) fn turn_to_send(sk: &mut Locked<'_>, now: Instant) {
    if link::is_told(sk) || timer::is_due(sk, now) || !matches!(sk.receive, Receive::Idle) {
        return turn(sk, now);
    }
    set_rate(sk, now);
    let sent = transmit(sk, now);
    if sent.plain && rests(sk, now) {
        return account::settle_sent(sk);
    }
    rest(sk, now, sent.stalled);
}

/// Whether the timer may stay as it is, after ODATA was sent and nothing else happened.
fn rests(sk: &Locked<'_>, now: Instant) -> bool {
    let source = sk.source.as_ref();
    !trace::windows()
        && source
            .and_then(|source| source.new_deadlines(now))
            .is_some_and(|at| timer::fires_by(sk, at))
}

/// Deliveries and transmissions; then arms the timer.
fn work(sk: &mut Locked<'_>, now: Instant) {
    deliver(sk);
    let sent = transmit(sk, now);
    rest(sk, now, sent.stalled);
}

/// Until the next turn. `stalled`: not before then, for devices are behind.
fn rest(sk: &mut Locked<'_>, now: Instant, stalled: Option<Instant>) {
    if trace::windows() {
        trace_windows(sk);
    }
    if sk.trays.is_any() {
        sk.trays.drop_empty();
    }
    account::settle(sk);
    // SAFETY: The lock is held.
    unsafe {
        if is_finished(sk, now) {
            crate::close::finish(sk);
            return;
        }
        let mut next = next_timeout(sk, now);
        if let Some(until) = sk.closing {
            next = Some(next.map_or(until, |at| at.min(until)));
        }
        if let Some(until) = stalled {
            next = Some(next.map_or(until, |at| at.max(until)));
        }
        if let Some(at) = next {
            // In the future: what is armed for the past fires again in the same softirq, which would
            // not end as long as there is something to do.
            timer::arm(sk.as_ptr(), at.max(now.after(Duration::from_nanos(1))));
        }
    }
}

/// Lets the source know of a new rate. Nobody tells us of SO_MAX_PACING_RATE.
fn set_rate(sk: &mut Locked<'_>, now: Instant) {
    if sk.source.is_none() {
        return;
    }
    let rate = crate::options::rate(sk);
    if let Some(source) = &mut sk.source {
        if source.config().rate != rate {
            source.set_rate(now, rate);
            trace::rate(source.config().tsi, rate);
        }
    }
}

/// Traces the window if it moved since it was traced last. The sessions of a datagram socket are
/// traced as their packets come.
#[cold]
fn trace_windows(sk: &mut State) {
    let source = sk.source.as_ref().map(|source| Edges {
        tsi: source.config().tsi,
        source: true,
        trail: source.trail(),
        lead: source.lead(),
    });
    let session = match &sk.receive {
        Receive::Session(session) => Some(edges(session)),
        _ => None,
    };
    let now = source.or(session);
    if let (Some(edges), true) = (now, now != sk.traced) {
        trace::window(edges);
    }
    sk.traced = now;
}

/// The receive window of a session.
pub(crate) fn edges(session: &SessionEngine) -> Edges {
    Edges {
        tsi: session.tsi(),
        source: false,
        trail: session.trail(),
        lead: session.lead(),
    }
}

fn is_finished(sk: &State, now: Instant) -> bool {
    sk.closing.is_some_and(|until| {
        now >= until || sk.source.as_ref().is_none_or(|source| source.is_done())
    })
}

/// Apart for the sake of the stack: what follows in a turn goes deep.
#[inline(never)]
fn run_timers(sk: &mut State, now: Instant) {
    if let Some(source) = &mut sk.source {
        if source.poll_timeout().is_some_and(|at| at <= now) {
            source.handle_timeout(now);
        }
    }
    match &mut sk.receive {
        Receive::Session(_) if sk.ended => {}
        Receive::Session(session) => {
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
            }
        }
        Receive::Datagram(peers) => {
            if peers.poll_timeout().is_some_and(|at| at <= now) {
                peers.handle_timeout(now);
            }
        }
        Receive::Idle | Receive::Listener(_) => {}
    }
}

fn next_timeout(sk: &State, now: Instant) -> Option<Instant> {
    let source = sk.source.as_ref().and_then(|source| source.poll_timeout());
    let mut receive = match &sk.receive {
        Receive::Session(_) if sk.ended => None,
        Receive::Session(session) => session.poll_timeout(),
        Receive::Datagram(peers) => peers.poll_timeout(),
        Receive::Idle | Receive::Listener(_) => None,
    };
    if sk.loss.is_some() {
        receive = receive.map(|at| at.max(now.after(READER_RETRY)));
    }
    match (source, receive) {
        (Some(a), Some(c)) => Some(a.min(c)),
        (a, c) => a.or(c),
    }
}

/// Moves what is in order to the receive queue, up to the next loss: recvmsg() reports that first.
pub(crate) fn deliver(sk: &mut Locked<'_>) {
    let mut wake = false;
    while sk.loss.is_none() && !sk.ended {
        let state: &mut State = sk;
        let (tsi, delivery) = match &mut state.receive {
            Receive::Session(session) => {
                let tsi = session.tsi();
                match session.poll_deliver() {
                    Some(delivery) => (tsi, delivery),
                    None => break,
                }
            }
            Receive::Datagram(peers) => match peers.poll_deliver() {
                Some((tsi, _, delivery)) => (tsi, delivery),
                None => break,
            },
            Receive::Idle | Receive::Listener(_) => break,
        };
        let is_session = matches!(state.receive, Receive::Session(_));
        match delivery {
            Delivery::Data(mut data) => {
                if data.offset == 0 {
                    let this = sk.as_ptr();
                    // SAFETY: The lock is held; `input::admit` pulled the header.
                    sk.refused = unsafe { data.payload.is_refused(this) };
                }
                let refused = sk.refused;
                queue(sk, tsi, data, refused);
            }
            Delivery::Loss { first, count } => {
                let loss = Loss { tsi, first, count };
                // SAFETY: The lock is held.
                unsafe { counters::count(sk.sock(), Counter::Lost, count.into()) };
                let told = events::notify(sk, tsi, Event::Loss { first, count });
                if is_session && sk.options.numbers.get(&settings::ABORT_ON_RESET) != 0 {
                    // The loss ends the session: nothing after it is delivered, nothing more is
                    // asked for.
                    sk.last_loss = Some(loss);
                    sk.ended = true;
                    if !told {
                        fail(sk, ECONNRESET);
                    }
                } else if told {
                    sk.last_loss = Some(loss);
                } else {
                    sk.loss = Some(loss);
                }
            }
            Delivery::End(end) => {
                if let End::Reset { code } = end {
                    sk.reset_code = Some(code);
                }
                let told = events::notify(sk, tsi, Event::End(end));
                // A datagram socket outlives its sources.
                if !is_session {
                    wake |= told;
                    continue;
                }
                sk.ended = true;
                match end {
                    _ if told => {}
                    End::Fin => {}
                    End::Reset { .. } => fail(sk, ECONNRESET),
                    End::Expired => fail(sk, ETIMEDOUT),
                }
            }
        }
        wake = true;
    }
    if wake && (sk.ended || sk.loss.is_some()) {
        wake_all(sk);
    } else if wake {
        // SAFETY: The lock is held, the socket is live.
        unsafe { b::pgm_data_ready(sk.sock()) };
    }
}

/// Wakes readers, and who waits for POLLRDHUP or POLLERR only.
pub(crate) fn wake_all(sk: &Locked<'_>) {
    // SAFETY: The lock is held, the socket is live.
    unsafe {
        b::pgm_data_ready(sk.sock());
        b::pgm_state_change(sk.sock());
    }
}

/// After the messages that wait, the next call fails with this, once.
fn fail(sk: &mut Locked<'_>, error: Error) {
    // SAFETY: The lock is held, the socket is live.
    unsafe { b::pgm_report_error(sk.sock(), error.to_errno().wrapping_neg()) };
}

/// Appends one buffer to the receive queue, unless a socket filter refused its APDU. The filter is
/// asked about what was received, not about what comes: the engine would ask for a packet that it never
/// got, again and again, and nothing behind it could be delivered.
pub(crate) fn queue(sk: &mut Locked<'_>, tsi: Tsi, data: Data<SkBuff>, refused: bool) {
    let this = sk.as_ptr();
    events::begin(sk, tsi, &data);
    if refused {
        data.payload.discard();
        if data.last {
            // SAFETY: The socket keeps its namespace.
            unsafe { netns::count_discard(netns::of_sock(sk.sock()), Discard::Filtered) };
        }
        return;
    }
    let info = RxInfo {
        tsi,
        sqn: data.sqn.get(),
        apdu_left: data.apdu_len.saturating_sub(data.offset),
        read: 0,
        kind: if data.syn {
            RxKind::First
        } else {
            RxKind::Message
        },
        last: data.last,
    };
    let skb = data.payload.into_raw();
    // SAFETY: The skb is ours; the queue takes it. It was charged when it entered the window.
    unsafe {
        SkBuff::rx_info(skb).write(info);
        b::pgm_queue_receive(this.cast(), skb);
    }
}

/// What a turn sent.
struct Sent {
    /// Until when to wait, if devices are behind.
    stalled: Option<Instant>,
    /// Nothing but ODATA.
    plain: bool,
}

/// Sends what the engines want sent.
fn transmit(sk: &mut Locked<'_>, now: Instant) -> Sent {
    let this = sk.as_ptr();
    let mut buf = [0u8; HEADER_MAX];
    let mut stalled = None;
    let mut plain = true;
    let mut now = now;
    let mut burst = Burst::EMPTY;
    let mut together = None;
    for n in 0..BURST {
        if n % TOGETHER == 0 || is_stalled(this) {
            together = None;
            if is_stalled(this) {
                stalled = Some(now.after(DEVICE_RETRY));
                break;
            }
        }
        let State {
            source,
            path,
            options,
            receive,
            ended,
            ..
        } = &mut **sk;
        let path = &*path;
        // SAFETY: Constant.
        let encap = unsafe { (*this).encap };
        if let Some(source) = source {
            let more = source.queued_sqns() > 1;
            if more && together.is_none() {
                together = Some(BhOff::new());
            }
            let more = more && !encap.is_native();
            if let Some(packet) = source.poll_transmit(now, &mut buf) {
                let payload = packet.payload.map(|payload| payload.as_ptr());
                plain &= packet.kind == PacketType::Odata;
                if more || !burst.is_empty() {
                    // SAFETY: The lock is held, a new data packet stays in the window.
                    if unsafe { gather(&mut burst, this, path, &packet, &buf, payload, more) } {
                        continue;
                    }
                }
                let alert = options.router_alert(!path.group.is_v4(), encap);
                send_by(this, path, alert, &packet, &buf, payload);
                if matches!(receive, Receive::Idle) && !source.has_more() {
                    break;
                }
                now = timer::now();
                continue;
            }
        }
        match receive {
            Receive::Session(_) if *ended => break,
            Receive::Session(session) => match session.poll_transmit(now, &mut buf) {
                Some(packet) => send_by(this, path, None, &packet, &buf, None),
                None => break,
            },
            Receive::Datagram(peers) => match peers.poll_transmit(now, &mut buf) {
                Some((group, packet)) => {
                    // SAFETY: The socket is live.
                    let oif = unsafe { membership::interface_of(this.cast(), group) }.unwrap_or(0);
                    let path = Path {
                        group,
                        oif,
                        ..*path
                    };
                    send_by(this, &path, None, &packet, &buf, None);
                }
                None => break,
            },
            Receive::Idle | Receive::Listener(_) => break,
        }
    }
    // SAFETY: The lock is held; neither the route nor the encapsulation changed meanwhile.
    unsafe { burst.flush(this, &sk.path) };
    let room_came = sk.source.as_mut().is_some_and(|source| source.room_came());
    if room_came {
        // SAFETY: The lock is held, the socket is live.
        unsafe { b::pgm_wake_writers(sk.sock()) };
    }
    Sent { stalled, plain }
}

/// Whether devices are behind.
fn is_stalled(sk: *mut PgmSock) -> bool {
    let sock: *mut b::sock = sk.cast();
    // SAFETY: The lock is held.
    unsafe { b::pgm_wmem_alloc(sock) > (*sock).sk_sndbuf }
}

/// Adds a packet to the burst, or to a new one after that has left. `false`: it goes alone.
///
/// # Safety
///
/// As for [`Burst::add`] and [`Burst::flush`].
unsafe fn gather<P>(
    burst: &mut Burst,
    sk: *mut PgmSock,
    path: &Path,
    packet: &Transmit<'_, P>,
    buf: &[u8],
    payload: Option<*const b::pgm_tsdu>,
    more: bool,
) -> bool {
    let header = buf.get(..packet.header_len);
    // SAFETY: By the caller.
    unsafe {
        if let (PacketType::Odata, Some(header), Some(payload)) = (packet.kind, header, payload) {
            if burst.add(sk, path, header, payload, more) {
                return true;
            }
            if !burst.is_empty() {
                burst.flush(sk, path);
                return burst.add(sk, path, header, payload, more);
            }
        }
        burst.flush(sk, path);
    }
    false
}

/// Sends one packet of an engine.
pub(crate) fn send<P>(
    sk: *mut PgmSock,
    path: Path,
    alert: Alert,
    packet: &Transmit<'_, P>,
    buf: &[u8],
    payload: Option<*const b::pgm_tsdu>,
) {
    send_by(sk, &path, alert, packet, buf, payload);
}

fn send_by<P>(
    sk: *mut PgmSock,
    path: &Path,
    alert: Alert,
    packet: &Transmit<'_, P>,
    buf: &[u8],
    payload: Option<*const b::pgm_tsdu>,
) {
    let Some(header) = buf.get(..packet.header_len) else {
        return;
    };
    let copy = packet.copy.then_some(Destination::GroupLocal);
    for destination in [Some(packet.destination), copy].into_iter().flatten() {
        // SAFETY: The lock is held; the payload stays in the window meanwhile. A packet that
        // cannot be sent counts as lost on the way.
        unsafe {
            let sent = output::send(
                sk,
                path,
                destination,
                alert.filter(|_| packet.router_alert),
                header,
                payload,
                packet.completes,
            );
            if sent.is_ok() {
                counters::count(sk.cast(), Counter::sent(packet.kind), 1);
            }
        }
    }
}

/// Whether a message of ordinary size would be taken now (POLLOUT).
pub(crate) fn writable(sk: &State) -> bool {
    match &sk.source {
        Some(source) => source.room(1, ordinary(sk)),
        None => true,
    }
}

/// Asks for POLLOUT when a message of ordinary size would be taken.
pub(crate) fn wait_for_room(sk: &mut Locked<'_>) {
    let (now, bytes) = (timer::now(), ordinary(sk));
    if let Some(source) = &mut sk.source {
        source.wait_for_room(now, 1, bytes);
        turn(sk, now);
    }
}

/// The ordinary size of a message: a packet, or a part of a window that holds but a few.
fn ordinary(sk: &State) -> u64 {
    let window = u64::from(sk.options.window.bytes);
    u64::from(sk.mss).min(window / 4)
}

/// Whether nothing should be asked for: the link is down, or the receive memory is used up by
/// messages that nobody reads.
pub(crate) fn congested(sk: &Locked<'_>) -> bool {
    let received = account::received(sk);
    sk.link.down || received.unread && received.used > received.limit
}

/// Whether something is not asked for only because there is no memory for it.
pub(crate) fn lacks_room(sk: &State) -> bool {
    match &sk.receive {
        Receive::Session(session) => session.lacks_room(),
        Receive::Datagram(peers) => peers.lacks_room(),
        Receive::Idle | Receive::Listener(_) => false,
    }
}

/// If that is over, the next turn goes on. To look after each message would cost more than it gains.
pub(crate) fn make_room(sk: &mut Locked<'_>) -> bool {
    let received = account::received(sk);
    let behind = received.unread && received.used > received.limit / 2;
    if behind || !lacks_room(sk) {
        return false;
    }
    if let Receive::Datagram(peers) = &mut sk.receive {
        peers.make_room();
    }
    true
}

/// Tells the engine whether repairs may be asked for.
pub(crate) fn note_congestion(sk: &mut Locked<'_>) {
    let congested = congested(sk);
    sk.throttled = congested;
    let now = timer::now();
    match &mut sk.receive {
        Receive::Session(session) => session.set_congested(now, congested),
        Receive::Datagram(peers) => peers.set_congested(now, congested),
        Receive::Idle | Receive::Listener(_) => {}
    }
}
