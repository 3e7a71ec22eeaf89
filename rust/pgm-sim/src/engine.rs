// SPDX-License-Identifier: GPL-2.0

//! What every engine is held to, whatever happens: no call costs more than a bound, and nothing that has
//! begun is ever left without a timer.

use pgm_core::receiver::Receiver;
use pgm_core::settings::NAK_BO_IVL;
use pgm_core::source::Source;
use pgm_core::{take_steps, Duration, Heap, Instant};

/// The most steps of one call: a walk over 1,024 numbers whose timers move in heaps of as many as a
/// window has, or the largest NAK.
const STEPS_MAX: u64 = 100_000;

/// How long a receiver may do nothing about what is missing, beyond its own longest wait.
const PATIENCE: Duration = Duration::from_millis(200);

/// The steps of the calls so far, the worst of them kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// The most steps that one call took.
    pub worst: u64,
}

impl Cost {
    /// A call ended.
    pub fn called(&mut self, what: &str) -> Result<(), String> {
        let steps = take_steps();
        self.worst = self.worst.max(steps);
        if steps > STEPS_MAX {
            return Err(format!("{what} took {steps} steps"));
        }
        Ok(())
    }
}

/// A source that was polled until it wanted nothing more: it has a timer unless it is done, and a time
/// at which what waits will leave.
pub fn source_lives<P, H: Heap>(now: Instant, source: &Source<P, H>) -> Result<(), String> {
    if source.is_done() {
        return Ok(());
    }
    let Some(at) = source.poll_timeout() else {
        return Err("the source is not done and has no timer".into());
    };
    let waits = source.queued_sqns() > 0 || source.pending_repairs() > 0;
    // A packet of the largest size, and the burst before it.
    let rate = source.config().rate.max(1);
    let slowest = Duration::from_nanos(80_000 * 1_000_000_000 / rate);
    if waits && at > now.after(slowest).after(PATIENCE) {
        return Err("packets wait, and the source sleeps".into());
    }
    Ok(())
}

/// A receiver that was polled until it wanted nothing more: it has a timer until its end was delivered,
/// and one soon while something is missing that it may ask for.
pub fn receiver_lives<P, H: Heap>(now: Instant, receiver: &Receiver<P, H>) -> Result<(), String> {
    if receiver.is_ended() {
        return Ok(());
    }
    let Some(at) = receiver.poll_timeout() else {
        return Err("the session has not ended and has no timer".into());
    };
    let states = receiver.nak_states();
    let recovers = states.back_off + states.wait_ncf + states.wait_data > 0;
    let config = receiver.config();
    // A back-off may have been drawn when NAK_BO_IVL was longer than it is now.
    let longest = Duration::from_micros(NAK_BO_IVL.max)
        .max(config.nak_rpt_ivl)
        .max(config.nak_rdata_ivl);
    // Else it waits for its reader, or for an SPM.
    if recovers && receiver.may_nak() && at > now.after(longest).after(PATIENCE) {
        return Err("numbers are missing, and the receiver sleeps".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgm_core::receiver::ReceiverConfig;
    use pgm_core::settings::Values;
    use pgm_core::{Ring, StdHeap};
    use pgm_wire::{
        checksum::Sum, Addr, Packet, Ports, Repr, Spm, SpmOptions, Sqn, Tsi, HEADER_MAX,
    };

    // attack: A-11
    #[test]
    fn a_receiver_that_nobody_wakes_is_noticed() {
        let config = ReceiverConfig {
            dport: 7500,
            ..ReceiverConfig::new(&Values::default())
        };
        let tsi = Tsi {
            sport: 1000,
            ..Tsi::default()
        };
        let source = Addr::V4([10, 0, 0, 1]);
        let now = Instant::ZERO.after(Duration::from_secs(100));
        let mut receiver = Receiver::<u32, StdHeap>::new(config, tsi, source, now, 1);
        assert_eq!(receiver_lives(now, &receiver), Ok(()));
        for lead in [0, 5] {
            let spm = Spm {
                sqn: Sqn::new(1 + lead),
                trail: Sqn::new(0),
                lead: Sqn::new(lead),
                path: source,
            };
            let mut buf = [0; HEADER_MAX];
            let ports = Ports {
                sport: 1000,
                dport: 7500,
                gsi: tsi.gsi,
            };
            let len = Repr::Spm(spm, SpmOptions::default())
                .emit(ports, 0, Sum::ZERO, &mut buf)
                .unwrap();
            let packet = Packet::parse(&buf[..len]).unwrap();
            receiver.handle(now, source, &packet, None).unwrap();
        }
        assert_eq!(receiver_lives(now, &receiver), Ok(()));
        // Had its timer been set for later than this, it would have slept.
        let before = now.before(Duration::from_secs(50));
        assert!(receiver_lives(before, &receiver).is_err());
    }

    // attack: A-23
    #[test]
    fn a_call_that_walks_too_far_is_noticed() {
        take_steps();
        let mut cost = Cost::default();
        assert_eq!(cost.called("nothing"), Ok(()));
        let mut ring = Ring::<u32, StdHeap>::new(64);
        for n in 0..=STEPS_MAX {
            ring.get_mut(Sqn::new(n as u32));
        }
        assert!(cost.called("a walk").is_err());
        assert!(cost.worst > STEPS_MAX);
    }
}
