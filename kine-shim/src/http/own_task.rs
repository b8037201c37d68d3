//! An executor for one connection: what the connection spawns, a job for each request, runs in the connection's own
//! task. A request then costs no task of the runtime and no wake-up of another thread, and what many requests of one
//! moment answer is written at once. In come jobs, out comes the connection's own end. Work that takes long is not for
//! here: it has threads of its own (see `grpc/kv.rs`).

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;

type Job = BoxFuture<'static, ()>;

/// Clones hand jobs to one connection. Their number is that of the streams a client may have open.
#[derive(Clone, Default)]
pub(super) struct OwnTask(Arc<Mutex<Vec<Job>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for OwnTask {
    fn execute(&self, job: F) {
        // As in a task of its own, a panic ends one request and not its neighbours.
        self.0.lock().push(AssertUnwindSafe(job).catch_unwind().map(drop).boxed());
    }
}

/// A connection and the jobs that it spawned.
pub(super) struct Connection<C> {
    serving: Pin<Box<C>>,
    spawned: OwnTask,
    jobs: FuturesUnordered<Job>,
}

impl<C: Future> Connection<C> {
    pub(super) fn new(serving: C, spawned: OwnTask) -> Self {
        Self { serving: Box::pin(serving), spawned, jobs: FuturesUnordered::new() }
    }

    pub(super) fn as_mut(&mut self) -> Pin<&mut C> {
        self.serving.as_mut()
    }
}

impl<C: Future> Future for Connection<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let connection = self.get_mut();
        loop {
            // First the answers that are there, so that the connection writes all of them at once.
            while let Poll::Ready(Some(())) = connection.jobs.poll_next_unpin(cx) {}
            if let Poll::Ready(ended) = connection.serving.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            let spawned = std::mem::take(&mut *connection.spawned.0.lock());
            if spawned.is_empty() {
                return Poll::Pending;
            }
            connection.jobs.extend(spawned);
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Executor;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn jobs_run_beside_their_connection_and_one_that_panics_ends_alone() {
        let own_task = OwnTask::default();
        let (asked, question) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let spawner = own_task.clone();
        let serving = async move {
            spawner.execute(async { panic!("a request that fails") });
            spawner.execute(async move {
                let _ = question.await;
                let _ = answer.send(7);
            });
            // Spawned while others run.
            let _ = asked.send(());
            answered.await
        };
        assert_eq!(Connection::new(serving, own_task).await, Ok(7));
    }

    #[tokio::test]
    async fn a_connection_that_ends_takes_its_jobs_along() {
        let own_task = OwnTask::default();
        let (held, dropped) = oneshot::channel::<()>();
        let spawner = own_task.clone();
        let serving = async move {
            spawner.execute(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
            tokio::task::yield_now().await;
        };
        Connection::new(serving, own_task).await;
        assert!(dropped.await.is_err());
    }
}
