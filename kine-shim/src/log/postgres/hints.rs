//! NOTIFY and LISTEN, as a hint and nothing more: everything is right when none ever arrives. Sent after appends,
//! coalesced, over another connection: NOTIFY takes a lock that would queue all appends of a cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use tokio_postgres::types::Type;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{link::Link, url::Connector};
use crate::model::Position;

/// At most one NOTIFY in this time; the first goes at once.
const GAP: Duration = Duration::from_millis(4);

/// Of a note by a release that names no position.
const UNKNOWN: u64 = u64::MAX;

/// The hint needs no durability: its commit does not wait for the disk.
const ANNOUNCE: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('kine_shim', $1)::text";

/// Something that happened, and up to which position.
#[derive(Default)]
struct News {
    upto: AtomicU64,
    happened: Notify,
}

impl News {
    fn tell(&self, upto: u64) {
        self.upto.fetch_max(upto, Ordering::SeqCst);
        self.happened.notify_one();
    }

    async fn wait(&self) -> u64 {
        self.happened.notified().await;
        self.upto.swap(0, Ordering::SeqCst)
    }
}

pub(super) struct Hints {
    changed: Arc<News>,
    appended: Arc<News>,
    _listener: Link,
    _announcer: AbortOnDropHandle<()>,
}

impl Hints {
    pub(super) fn open(connector: Connector, chores: Arc<Link>) -> Self {
        let own = Uuid::new_v4().to_string();
        let (changed, appended) = (Arc::new(News::default()), Arc::new(News::default()));
        let (heard, name) = (changed.clone(), own.clone());
        let on_notify = move |note: Option<&str>| match note.map(|note| note.split_once(' ').unwrap_or((note, ""))) {
            Some((writer, _)) if writer == name => {}
            Some((_, position)) => heard.tell(position.parse().unwrap_or(UNKNOWN)),
            None => heard.tell(UNKNOWN),
        };
        let listener = Link::listen(connector, Box::new(on_notify));
        let announcer = tokio::spawn(announce(appended.clone(), chores, own));
        Self { changed, appended, _listener: listener, _announcer: AbortOnDropHandle::new(announcer) }
    }

    pub(super) fn announce(&self, position: Position) {
        self.appended.tell(position.0);
    }

    pub(super) async fn changed(&self) -> Option<Position> {
        Some(self.changed.wait().await).filter(|upto| *upto != UNKNOWN && *upto != 0).map(Position)
    }
}

async fn announce(appended: Arc<News>, chores: Arc<Link>, own: String) {
    loop {
        // Who wrote, and up to where: whoever has heard of that already need not look.
        let note = format!("{own} {}", appended.wait().await);
        if let Ok(session) = chores.session().await
            && let Err(fault) = super::query::query(&session.client, ANNOUNCE, &[(&note, Type::TEXT)]).await
        {
            tracing::debug!(%fault, "a hint was not sent");
        }
        sleep(GAP).await;
    }
}
