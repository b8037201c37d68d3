//! How a sequencer comes to be: the log is loaded once, and the name of the database compared with the recorded one.

use std::{collections::VecDeque, sync::Arc};

use futures::stream::FuturesOrdered;
use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    forwarding::Forwarding,
    group_commit::GroupCommit,
    hints::Hints,
    identity::{IDENTITY_RECORD, identity_value, is_same_database},
    load::{Reading, load},
    mailbox::Submission,
    publication::Publication,
    snapshots::Snapshots,
    task::{BACKOFF_MIN, Sequencer},
    trim::{Author, Trims},
};
use crate::{
    counters::Counters,
    leases::Leases,
    log::{Log, LogFault, Reader},
    model::{Op, Position},
    settings::ShimConfig,
    watch::Hub,
};

/// What a sequencer is given by the shim it belongs to.
pub(crate) struct Surroundings {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) config: ShimConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) mailbox: mpsc::Receiver<Submission>,
    pub(crate) trims: Trims,
    pub(crate) leases: Leases,
    pub(crate) started: Instant,
    pub(crate) stop: CancellationToken,
}

impl Sequencer {
    /// Loads the log. Dropping the future leaves nothing behind.
    pub(crate) async fn start(surroundings: Surroundings, mut rng: StdRng) -> Result<Self, LogFault> {
        let Surroundings { log, config, counters, mailbox, trims, leases, started, stop } = surroundings;
        let read_index = log.read_index(Position(0)).await?;
        let writer = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
        let reading = Reading {
            reader: Reader { id: writer, applied: read_index.head.position, timeline: read_index.identity.timeline },
            wanted: &[],
            progress: &config.loaded_rows,
            page_bytes: config.page_bytes,
        };
        let loaded = load(&*log, &reading).await?;
        for rows in loaded.garbage {
            trims.add(rows, Author::Us);
        }
        let state = loaded.state;
        let hints = Arc::new(Hints::default());
        let (forwarding, incoming) = Forwarding::new(hints.clone(), config.clone());
        let mut sequencer = Self {
            log,
            writer,
            rng,
            counters,
            started,
            stop,
            mailbox,
            backlog: VecDeque::new(),
            in_flight: VecDeque::new(),
            outcomes: FuturesOrdered::new(),
            committed: state.clone(),
            tip: state.clone(),
            look: None,
            next_look: Instant::now() + config.poll,
            backoff: BACKOFF_MIN,
            published: Publication::new(state.clone()),
            hints,
            hub: Arc::new(Hub::new(state.clone(), config.watch_revisions)),
            snapshots: Arc::new(Mutex::new(Snapshots::default())),
            trims,
            compacted_by: Author::Us,
            leases,
            peers: Default::default(),
            fairness: Default::default(),
            forwarding,
            incoming,
            last_writer: None,
            group_commit: GroupCommit::new(config.group_commit),
            trusted: bytes::Bytes::new(),
            config,
        };
        sequencer.note_contact();
        if !read_index.in_recovery {
            if state.record(IDENTITY_RECORD).is_none() || is_same_database(&state, &read_index) {
                sequencer.trust(&read_index.identity);
            }
            if state.record(IDENTITY_RECORD).is_none() {
                sequencer.record_identity(identity_value(&read_index.identity));
            } else if !is_same_database(&state, &read_index) {
                sequencer.reload(&[]).await;
            }
        }
        Ok(sequencer)
    }

    /// Names the database in the log, once.
    fn record_identity(&mut self, value: bytes::Bytes) {
        let op = Op::Record { key: IDENTITY_RECORD.into(), value };
        self.backlog.push_back(Submission::own(op));
    }
}
