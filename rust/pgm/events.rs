// SPDX-License-Identifier: GPL-2.0

//! PGM_EVENTS: what happens to sessions, told in its place among the messages, as SCTP does.

use core::mem::size_of;
use core::ptr::addr_of;

use pgm_bindings as b;
use pgm_core::receiver::{Data, End};
use pgm_core::settings;
use pgm_wire::{Sqn, Tsi};

use crate::account;
use crate::net::lock::Locked;
use crate::net::skb::{RxInfo, RxKind, SkBuff};
use crate::options::uapi_tsi;
use crate::sock::{Receive, State};

/// Something to tell.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    /// The first message of a session follows; `late` if it is not the source's first.
    Start { sqn: Sqn, late: bool },
    /// Messages were lost here.
    Loss { first: Sqn, count: u32 },
    /// The session is over.
    End(End),
}

impl Event {
    fn kind(self) -> u32 {
        match self {
            Self::Start { .. } => b::PGM_EVENT_START,
            Self::Loss { .. } => b::PGM_EVENT_LOSS,
            Self::End(End::Fin) => b::PGM_EVENT_END,
            Self::End(End::Reset { .. }) => b::PGM_EVENT_RESET,
            Self::End(End::Expired) => b::PGM_EVENT_EXPIRY,
        }
    }

    fn describe(self, tsi: Tsi) -> b::pgm_notification {
        let (sqn, count, code) = match self {
            Self::Start { sqn, .. } => (sqn.get(), 0, 0),
            Self::Loss { first, count } => (first.get(), count, 0),
            Self::End(End::Reset { code }) => (0, 0, code),
            Self::End(_) => (0, 0, 0),
        };
        b::pgm_notification {
            event: self.kind(),
            flags: match self {
                Self::Start { late: true, .. } => b::PGM_START_LATE,
                _ => 0,
            },
            tsi: uapi_tsi(tsi),
            sqn,
            count,
            code: code.into(),
            reserved: 0,
        }
    }
}

/// Whether the application asked to be told of such events.
fn wanted(sk: &State, event: Event) -> bool {
    sk.options.numbers.get(&settings::EVENTS) & event.kind() != 0
}

/// Queues a notification, if the application wants it. `false`: it will not be told this way. While
/// nobody reads, notifications take no more memory than repairs may.
pub(crate) fn notify(sk: &mut Locked<'_>, tsi: Tsi, event: Event) -> bool {
    const LEN: usize = size_of::<b::pgm_notification>();
    if !wanted(sk, event) {
        return false;
    }
    let sock = sk.sock();
    // SAFETY: The lock is held.
    let full = unsafe { b::pgm_rmem_alloc(sock) >= account::receive_limit(sock).saturating_mul(2) };
    if full {
        return false;
    }
    let info = RxInfo {
        tsi,
        sqn: 0,
        apdu_left: LEN as u32,
        read: 0,
        kind: RxKind::Notification,
        last: true,
    };
    let notification = event.describe(tsi);
    // SAFETY: So many bytes are copied; the skb is new and ours until the queue takes it.
    unsafe {
        let skb = b::pgm_new_skb(0, addr_of!(notification).cast(), LEN as u32);
        let Some(mut skb) = SkBuff::from_raw(skb) else {
            return false;
        };
        skb.keep(sk.as_ptr());
        let skb = skb.into_raw();
        SkBuff::rx_info(skb).write(info);
        b::pgm_queue_receive(sock, skb);
    }
    true
}

/// Tells that a session begins, if `data` is the first that is delivered of it.
pub(crate) fn begin(sk: &mut Locked<'_>, tsi: Tsi, data: &Data<SkBuff>) {
    let event = Event::Start {
        sqn: data.sqn,
        late: !data.syn,
    };
    if data.offset != 0 || !wanted(sk, event) {
        return;
    }
    let apdus = match &sk.receive {
        Receive::Session(session) => session.stats().apdus,
        Receive::Datagram(peers) => match peers.get(tsi) {
            Some(session) => session.stats().apdus,
            None => return,
        },
        Receive::Idle | Receive::Listener(_) => return,
    };
    // An APDU counts when its last packet was delivered.
    if apdus == u64::from(data.last) {
        notify(sk, tsi, event);
    }
}
