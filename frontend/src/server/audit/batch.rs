//! Events that are gathered before they are taken on.
//!
//! A batch goes when it is full, or when its first event has waited long enough; at a rate, if there is one. So many
//! batches are on their way at one time: beyond, events wait in the buffer, whose bound is the sender's.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use super::{AuditMetrics, backend::Backend};

/// Batches on their way.
const SENDING_MAX: usize = 64;

/// How events are gathered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batching {
    /// Events that wait; more are lost.
    pub waiting_max: usize,
    pub batch_max: usize,
    pub batch_bytes_max: usize,
    pub wait_max: Duration,
    /// Batches a second, and at once where fewer went before.
    pub throttle: Option<(f64, u32)>,
}

impl Batching {
    #[cfg(test)]
    pub fn one_by_one() -> Batching {
        let waiting_max = 10_000;
        Batching { waiting_max, batch_max: 1, batch_bytes_max: usize::MAX, wait_max: Duration::ZERO, throttle: None }
    }
}

/// Tokens that come back at a rate.
struct Throttle {
    rate: f64,
    most: f64,
    tokens: f64,
    at: Instant,
}

impl Throttle {
    async fn take(&mut self) {
        let now = Instant::now();
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * self.rate).min(self.most);
        self.at = now;
        self.tokens -= 1.0;
        if self.tokens < 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(-self.tokens / self.rate)).await;
        }
    }
}

/// Takes events on until the last sender is gone, and waits until all are taken.
pub(super) async fn gather(
    mut events: mpsc::Receiver<Bytes>,
    backend: Arc<Backend>,
    batching: Batching,
    metrics: AuditMetrics,
) {
    let mut throttle = batching.throttle.map(|(rate, burst)| Throttle {
        rate,
        most: f64::from(burst),
        tokens: f64::from(burst),
        at: Instant::now(),
    });
    let sending = Arc::new(Semaphore::new(SENDING_MAX));
    let mut tasks = tokio::task::JoinSet::new();
    let mut left = None;
    while let Some(batch) = next_batch(&mut events, &mut left, &batching).await {
        if let Some(throttle) = &mut throttle {
            throttle.take().await;
        }
        if batching.batch_max == 1 {
            take(&backend, &batch, &metrics).await;
            continue;
        }
        let Ok(permit) = Arc::clone(&sending).acquire_owned().await else { return };
        let (backend, metrics) = (Arc::clone(&backend), metrics.clone());
        tasks.spawn(async move {
            take(&backend, &batch, &metrics).await;
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

async fn take(backend: &Backend, batch: &[Bytes], metrics: &AuditMetrics) {
    if let Err(error) = backend.take(batch).await {
        metrics.lost(backend.name(), batch.len());
        tracing::error!(error, events = batch.len(), "audit events are lost");
    }
}

/// `left` is an event that did not fit into the batch before. None: there will be no more.
async fn next_batch(
    events: &mut mpsc::Receiver<Bytes>,
    left: &mut Option<Bytes>,
    batching: &Batching,
) -> Option<Vec<Bytes>> {
    let first = match left.take() {
        Some(first) => first,
        None => events.recv().await?,
    };
    let until = Instant::now() + batching.wait_max;
    let mut bytes = first.len();
    let mut batch = vec![first];
    while batch.len() < batching.batch_max {
        let Ok(Some(event)) = tokio::time::timeout_at(until, events.recv()).await else { break };
        bytes = bytes.saturating_add(event.len());
        if bytes > batching.batch_bytes_max {
            *left = Some(event);
            break;
        }
        batch.push(event);
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn batching() -> Batching {
        Batching { batch_max: 3, wait_max: 30 * SECOND, ..Batching::one_by_one() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_goes_when_it_is_full_or_late() {
        let (sender, mut events) = mpsc::channel(100);
        let mut left = None;
        for n in 0..5_u8 {
            sender.try_send(Bytes::from(vec![n; 10])).unwrap();
        }
        let started = Instant::now();
        let full = next_batch(&mut events, &mut left, &batching()).await.unwrap();
        assert_eq!((full.len(), started.elapsed()), (3, Duration::ZERO));
        let late = next_batch(&mut events, &mut left, &batching()).await.unwrap();
        assert_eq!((late.len(), started.elapsed()), (2, 30 * SECOND));
        for n in 0..3_u8 {
            sender.try_send(Bytes::from(vec![n; 10])).unwrap();
        }
        drop(sender);
        let small = Batching { batch_bytes_max: 25, ..batching() };
        let mut sizes = Vec::new();
        while let Some(batch) = next_batch(&mut events, &mut left, &small).await {
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [2, 1], "a batch that would be too large is cut");
    }

    #[tokio::test(start_paused = true)]
    async fn batches_go_at_a_rate() {
        let mut throttle = Throttle { rate: 10.0, most: 2.0, tokens: 2.0, at: Instant::now() };
        let started = Instant::now();
        for _ in 0..12 {
            throttle.take().await;
        }
        let took = started.elapsed();
        assert!((SECOND - SECOND / 100..SECOND + SECOND / 10).contains(&took), "{took:?}");
    }
}
