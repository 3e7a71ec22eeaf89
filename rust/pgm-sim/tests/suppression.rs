// SPDX-License-Identifier: GPL-2.0

//! NAK suppression (RFC 3208 §6.3) at scale.

use pgm_core::Duration;
use pgm_sim::run;
use pgm_sim::suppression::{scenario, Count};

/// Back-offs are drawn evenly over NAK_BO_IVL (50 ms), and about one RTT passes from the first NAK to
/// its NCF at the receivers: 1 + N x RTT / NAK_BO_IVL of them are expected to send a NAK.
// req: NAK-03 NAK-16
#[test]
fn a_thousand_receivers_behind_one_loss_send_few_naks() {
    for (rtt, expected) in [(200, 5.0), (1_000, 21.0)] {
        let scenario = scenario(1, 1_000, 20_000, Duration::from_micros(rtt));
        let outcome = run(&scenario, false).unwrap();
        let count = Count::of(&outcome);
        println!("{count}");
        assert!(count.losses >= 10);
        assert_eq!(outcome.losses, 1_000 * count.losses);
        assert_eq!(outcome.unrecovered, 0);
        assert!(count.naks_per_loss() < 1.5 * expected, "{count}");
    }
}
