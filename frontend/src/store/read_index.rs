//! The current revision for many callers at once, as etcd's ReadIndex gives it to its own readers.
//!
//! In: callers who need a revision no older than their call. Out: the header revision of one tiny linearizable read for
//! each batch of callers. A caller joins only a read that is not sent yet: the answer to one that is already sent may
//! be older than the call.

use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{StoreError, read::Reader};

/// Callers that may wait; a caller beyond them waits until one of them is taken.
const WAITING_MAX: usize = 4096;
/// Reads under way at once: with two, a batch need not wait for the whole of its predecessor's round trip.
const UNDER_WAY_MAX: usize = 2;

type Reply = oneshot::Sender<Result<i64, StoreError>>;

#[derive(Clone)]
pub(super) struct ReadIndex(mpsc::Sender<Reply>);

impl ReadIndex {
    pub(super) fn start(reader: Reader, key: String, tasks: &TaskTracker, stop: CancellationToken) -> ReadIndex {
        let (sender, mailbox) = mpsc::channel(WAITING_MAX);
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(reader, key, mailbox) => {}
            }
        });
        ReadIndex(sender)
    }

    pub(super) async fn current_revision(&self) -> Result<i64, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

async fn serve(reader: Reader, key: String, mut mailbox: mpsc::Receiver<Reply>) {
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        let mut batch = Vec::new();
        if mailbox.recv_many(&mut batch, WAITING_MAX).await == 0 {
            return;
        }
        while under_way.len() >= UNDER_WAY_MAX {
            under_way.join_next().await;
        }
        // Callers that came while the batch waited may join it: its read is not sent yet.
        while let Ok(late) = mailbox.try_recv() {
            batch.push(late);
            if batch.len() >= 2 * WAITING_MAX {
                break;
            }
        }
        let (reader, key) = (reader.clone(), key.clone());
        under_way.spawn(async move {
            let revision = reader.revision(&key).await;
            for waiting in batch {
                // A caller that left is no fault.
                let _ = waiting.send(revision.clone());
            }
        });
    }
}
