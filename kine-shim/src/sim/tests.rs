//! Many seeds, the same seed twice, and every important rule broken once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Scenario, database::BrokenLog, links::LostAnswer};
use crate::settings::BrokenRule;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on all cores until one fails; the failing seed and what it broke.
fn first_failure(seeds: std::ops::Range<u64>, break_rules: impl Fn(&mut Scenario) + Sync) -> Option<(u64, String)> {
    let next = AtomicU64::new(seeds.start);
    let failure = parking_lot::Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failure.lock().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let mut scenario = Scenario::draw(seed);
                    break_rules(&mut scenario);
                    if let (Err(what), _) = scenario.run() {
                        failure.lock().get_or_insert((seed, what));
                    }
                }
            });
        }
    });
    failure.into_inner()
}

#[test]
fn every_seed_keeps_every_invariant() {
    if std::env::var("SIM_TRACE").is_ok() {
        // Fails only if another test was first.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).try_init();
    }
    let seeds = match from_env("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_env("SIM_SEEDS").unwrap_or(600),
    };
    if let Some((seed, what)) = first_failure(seeds, |_| {}) {
        panic!("{what}\n{:?}\nreplay with: SIM_SEED={seed} cargo test -p kine-shim --lib sim::", Scenario::draw(seed));
    }
}

#[test]
fn the_same_seed_runs_the_same_way() {
    for seed in 0..12 {
        let scenario = Scenario::draw(seed);
        let ((_, first), (_, second)) = (scenario.run(), scenario.run());
        let differs = first.iter().zip(&second).position(|(a, b)| a != b);
        if let Some(at) = differs {
            panic!("seed {seed} differs at {at}:\n{}\n{}", first[at], second[at]);
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

fn caught(break_rules: impl Fn(&mut Scenario) + Sync) {
    let found = first_failure(0..2_000, break_rules);
    let Some((seed, what)) = found else { panic!("nobody noticed") };
    eprintln!("seed {seed}: {}", what.lines().next().unwrap_or_default());
}

#[test]
fn notices_refusals_released_early() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::ReleaseRefusalsEarly));
}

#[test]
fn notices_answers_before_the_commit() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::AnswerBeforeCommit));
}

#[test]
fn notices_blind_retries() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::RetryBlindly));
}

#[test]
fn notices_belief_in_a_resubmission_not_applied() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::BelieveResubmissionNotApplied));
}

#[test]
fn notices_failovers_ignored() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::IgnoreFailover));
}

#[test]
fn notices_reads_from_a_standby() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::TrustStandby));
}

#[test]
fn notices_reads_without_a_read_index() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::ReadWithoutIndex));
}

#[test]
fn notices_expiry_without_a_mark() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::ExpireWithoutMark));
}

#[test]
fn notices_numbers_trusted_instead_of_ids() {
    caught(|scenario| scenario.broken_log = Some(BrokenLog::TrustNumbers));
}

#[test]
fn notices_appends_to_a_database_not_yet_trusted() {
    caught(|scenario| scenario.broken_log = Some(BrokenLog::TrustAnyDatabase));
}

#[test]
fn notices_batches_appended_twice() {
    caught(|scenario| scenario.broken_log = Some(BrokenLog::ForgetIds));
}

#[test]
fn notices_that_renewals_are_lost_with_a_crash() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::IgnoreLostRenewals));
}

#[test]
fn notices_that_marks_are_lost_with_a_crash() {
    // A crash has to fall between a lease's mark and its revocation: so there are many crashes, and a slow database.
    caught(|scenario| {
        (scenario.clients, scenario.calls) = (6, scenario.calls + 60);
        (scenario.restarts, scenario.faults.slow) = (scenario.restarts + 20, 2_000);
        scenario.broken_log = Some(BrokenLog::ForgetMarks);
    });
}

#[test]
fn notices_a_batch_that_is_submitted_for_ever() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::NeverBar));
}

#[test]
fn notices_operations_that_fail_for_the_sake_of_another() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::FailTogether));
}

#[test]
fn notices_loads_of_many_moments() {
    // A load that meets a trim is rare, and which seed has one changes with every change of timing: so there are many
    // loads, by several shims, while the others compact.
    caught(|scenario| {
        (scenario.shims, scenario.crashes, scenario.calls) = (3, scenario.crashes + 6, scenario.calls + 40);
        scenario.broken_log = Some(BrokenLog::LoadInPieces);
    });
}

#[test]
fn notices_that_another_shim_had_seen_what_a_failover_lost() {
    caught(|scenario| scenario.broken_rule = Some(BrokenRule::AskNoWitness));
}

/// Many operations are under way between shims when connections break.
fn linked(scenario: &mut Scenario) {
    (scenario.shims, scenario.is_linked) = (3, true);
    (scenario.clients, scenario.calls) = (6, scenario.calls + 40);
}

#[test]
fn notices_operations_forwarded_twice() {
    caught(|scenario| {
        linked(scenario);
        scenario.lost_answers = LostAnswer::Again;
    });
}

#[test]
fn notices_answers_ahead_of_the_state() {
    caught(|scenario| {
        linked(scenario);
        scenario.failovers = 0;
        scenario.broken_rule = Some(BrokenRule::AnswerAhead);
    });
}
