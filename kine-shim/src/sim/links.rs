//! Connections between the simulated shims: they delay, lose batches, and are cut, with operations under way. All drawn
//! from the seed.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    sequencer::{Forwarded, ForwardedOutcome as Outcome},
    shim::Shim,
};

/// What becomes of an operation whose answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LostAnswer {
    Unknown,
    /// A broken rule: it is evaluated once more.
    Again,
}

/// One direction: operations of `from` go to `to`, batches come back.
pub(super) struct Link {
    from: Shim,
    to: Shim,
    rng: StdRng,
    lost: LostAnswer,
}

/// The slots of both ends, as long as it lives.
pub(super) type Running = (usize, usize, AbortOnDropHandle<()>);

impl Link {
    pub(super) fn start(seed: u64, from: (usize, &Shim), to: (usize, &Shim), lost: LostAnswer) -> Running {
        let rng = StdRng::seed_from_u64(seed ^ (0x11_4C5 + (from.0 * 16 + to.0) as u64));
        let link = Self { from: from.1.clone(), to: to.1.clone(), rng, lost };
        (from.0, to.0, AbortOnDropHandle::new(tokio::spawn(link.run())))
    }

    async fn run(mut self) {
        loop {
            self.live().await;
            let pause = Duration::from_millis(self.rng.random_range(0..500));
            sleep(pause).await;
        }
    }

    async fn travel(&mut self) {
        let slow = self.rng.random_bool(0.02);
        let time = if slow { self.rng.random_range(50..800) } else { self.rng.random_range(0..3) };
        sleep(Duration::from_millis(time)).await;
    }

    /// From its opening until it is cut.
    async fn live(&mut self) {
        let mut way = self.from.forwarding().open_way(self.to.writer());
        let mut told = self.to.forwarding().listen();
        let mut cut = std::pin::pin!(sleep(Duration::from_millis(self.rng.random_range(100..4_000))));
        let (mut running, mut pending) = (FuturesUnordered::new(), BTreeMap::<u64, Forwarded>::new());
        let mut next_id = 0;
        loop {
            tokio::select! {
                biased;
                () = &mut cut => break,
                Some(batch) = told.recv() => {
                    self.travel().await;
                    if !self.rng.random_bool(0.03) {
                        self.from.forwarding().hear(batch);
                    }
                }
                Some((id, outcome)) = running.next(), if !running.is_empty() => {
                    self.travel().await;
                    while let Ok(batch) = told.try_recv() {
                        self.from.forwarding().hear(batch);
                    }
                    if let Some(forwarded) = pending.remove(&id) {
                        tokio::spawn(forwarded.settle(outcome));
                    }
                }
                Some(forwarded) = way.recv() => {
                    self.travel().await;
                    let (to, op, caller) = (self.to.clone(), forwarded.op().clone(), forwarded.caller().clone());
                    pending.insert(next_id, forwarded);
                    let id = next_id;
                    running.push(Box::pin(async move { (id, to.write_forwarded(op, caller).await) }));
                    next_id += 1;
                }
            }
        }
        way.close();
        while let Ok(forwarded) = way.try_recv() {
            forwarded.settle(Outcome::Left).await;
        }
        // What arrived goes on there, or is dropped with its connection.
        if self.rng.random_bool(0.5) {
            tokio::spawn(running.for_each(|_| std::future::ready(())));
        }
        for forwarded in pending.into_values() {
            let outcome = match self.lost {
                LostAnswer::Unknown => Outcome::Unknown("the connection broke".into()),
                LostAnswer::Again => Outcome::Left,
            };
            forwarded.settle(outcome).await;
        }
    }
}
