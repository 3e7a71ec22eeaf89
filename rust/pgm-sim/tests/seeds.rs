// SPDX-License-Identifier: GPL-2.0

//! A thousand sessions over bad networks.

use pgm_sim::report::Outcome;
use pgm_sim::run;
use pgm_sim::scenario::Scenario;

fn judge(seeds: std::ops::Range<u64>) {
    let mut total = Outcome::default();
    for seed in seeds {
        match run(&Scenario::random(seed), false) {
            Ok(outcome) => total.add(outcome),
            Err(why) => panic!(
                "seed {seed} failed {why}\nreplay: cargo run --release -p pgm-sim -- --seed {seed}"
            ),
        }
    }
    println!("{total}");
    assert!(total.ample_losses > 5_000);
    assert_eq!(total.ample_unrecovered, 0);
    // 0 to 30 % loss both ways, NAKs and repairs included. Reordered packets are NAKed too.
    assert!(total.naks < 2 * total.losses, "{total}");
}

// Two halves, so that both of a small machine's processors have one.
// attack: A-11 A-23
#[test]
fn seeds_0_to_499_deliver_in_order_or_report_loss() {
    judge(0..500);
}

// attack: A-11 A-23
#[test]
fn seeds_500_to_999_deliver_in_order_or_report_loss() {
    judge(500..1_000);
}

#[test]
fn a_seed_decides_the_whole_run() {
    for seed in 0..20 {
        let once = run(&Scenario::random(seed), false);
        assert_eq!(once, run(&Scenario::random(seed), false));
    }
}
