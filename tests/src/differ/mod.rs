//! The differential suite: seeded random sequences of requests, what an etcd answered to them, and the comparison with
//! what another server answers. [`generate`] makes steps (it learns revisions and ids from the answers to the steps
//! before), [`player`] plays them against a server, [`recording`] keeps steps and answers in a file, [`compare`] says
//! where two answers differ once identities and clocks are masked. Nothing here knows which server it talks to.
//! A recording is made against a fresh etcd with `differ record`; `tests/tests/differential.rs` replays those in
//! `tests/data`.

//!
//! Every server must be fresh: revisions are compared exactly.

use anyhow::{Context, Result};

use compare::{Comparison, asked};
use generate::Generator;
use player::Player;
use recording::{Exchange, Outcome, Step};

pub mod compare;
pub mod generate;
pub mod player;
pub mod recording;
pub mod stream;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Plan {
    pub theme: String,
    pub seed: u64,
    pub requests: usize,
}

/// Plays a theme and keeps what was answered.
pub async fn record(plan: &Plan, endpoint: &str) -> Result<Vec<Exchange>> {
    let mut player = Player::connect(endpoint).await?;
    player.ensure_fresh().await?;
    let mut source = Source::new(plan)?;
    let mut exchanges = Vec::new();
    while let Some(step) = source.next() {
        let outcome = player.play(&step).await.with_context(|| failed(&exchanges, &step))?;
        source.generator.observe(&step, &outcome)?;
        exchanges.push(Exchange { step, outcome });
    }
    Ok(exchanges)
}

/// The step with those before it on the same method and stream.
fn failed(exchanges: &[Exchange], step: &Step) -> String {
    let alike = |before: &&Step| before.path == step.path && before.stream == step.stream;
    let before: Vec<_> = exchanges.iter().map(|exchange| &exchange.step).filter(alike).map(asked).collect();
    let before = before[before.len().saturating_sub(30)..].join("\n");
    format!("after\n{before}\nstep {}: {}", exchanges.len(), asked(step))
}

/// Plays a recording; tells the first `most` differences.
pub async fn replay(exchanges: &[Exchange], endpoint: &str, most: usize) -> Result<Vec<String>> {
    let mut player = Player::connect(endpoint).await?;
    player.ensure_fresh().await?;
    let (mut comparison, mut now, mut found) = (Comparison::default(), 1, Vec::new());
    for (number, Exchange { step, outcome }) in exchanges.iter().enumerate() {
        now = now.max(outcome.revision());
        let played = player.play(step).await;
        found.extend(difference(&mut comparison, number, step, outcome, played, now));
        if found.len() >= most {
            break;
        }
    }
    Ok(found)
}

/// Plays a theme against two servers, of which the first is right; tells the first `most` differences.
pub async fn live(plan: &Plan, right: &str, other: &str, most: usize) -> Result<Vec<String>> {
    let (mut right, mut other) = (Player::connect(right).await?, Player::connect(other).await?);
    right.ensure_fresh().await?;
    other.ensure_fresh().await?;
    let mut source = Source::new(plan)?;
    let (mut comparison, mut found) = (Comparison::default(), Vec::new());
    let mut number = 0;
    while let Some(step) = source.next()
        && found.len() < most
    {
        let outcome = right.play(&step).await.with_context(|| format!("step {number}: {}", asked(&step)))?;
        source.generator.observe(&step, &outcome)?;
        let played = other.play(&step).await;
        let now = source.generator.revision();
        found.extend(difference(&mut comparison, number, &step, &outcome, played, now));
        number += 1;
    }
    Ok(found)
}

fn difference(
    comparison: &mut Comparison,
    number: usize,
    step: &Step,
    expected: &Outcome,
    played: Result<Outcome>,
    now: i64,
) -> Option<String> {
    let compared = played.and_then(|actual| comparison.compare(step, expected, &actual, now));
    compared.err().map(|error| format!("step {number}: {}\n{error:#}\n", asked(step)))
}

/// As many steps as planned, and those that end a sequence.
struct Source {
    generator: Generator,
    left: usize,
    ending: Option<std::vec::IntoIter<Step>>,
}

impl Source {
    fn new(plan: &Plan) -> Result<Self> {
        Ok(Self { generator: Generator::new(&plan.theme, plan.seed)?, left: plan.requests, ending: None })
    }

    fn next(&mut self) -> Option<Step> {
        if self.left > 0 {
            self.left -= 1;
            return Some(self.generator.next_step());
        }
        self.ending.get_or_insert_with(|| self.generator.ending().into_iter()).next()
    }
}
