//! NOTIFY and LISTEN, as a hint and nothing more: everything is right when none ever arrives. Sent after appends,
//! coalesced, over another connection: NOTIFY takes a lock that would queue all appends of a cluster.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep};
use tokio_postgres::types::Type;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{link::Link, url::Connector};

/// At most one NOTIFY in this time; the first goes at once.
const GAP: Duration = Duration::from_millis(4);

/// The hint needs no durability: its commit does not wait for the disk.
const ANNOUNCE: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('kine_shim', $1)::text";

pub(super) struct Hints {
    changed: Arc<Notify>,
    appended: Arc<Notify>,
    _listener: Link,
    _announcer: AbortOnDropHandle<()>,
}

impl Hints {
    pub(super) fn open(connector: Connector, chores: Arc<Link>) -> Self {
        let own = Uuid::new_v4().to_string();
        let (changed, appended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (heard, name) = (changed.clone(), own.clone());
        let on_notify = move |writer: Option<&str>| {
            if writer != Some(name.as_str()) {
                heard.notify_waiters();
                heard.notify_one();
            }
        };
        let listener = Link::listen(connector, Box::new(on_notify));
        let announcer = tokio::spawn(announce(appended.clone(), chores, own));
        Self { changed, appended, _listener: listener, _announcer: AbortOnDropHandle::new(announcer) }
    }

    pub(super) fn announce(&self) {
        self.appended.notify_one();
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

async fn announce(appended: Arc<Notify>, chores: Arc<Link>, own: String) {
    loop {
        appended.notified().await;
        if let Ok(session) = chores.session().await
            && let Err(fault) = super::query::query(&session.client, ANNOUNCE, &[(&own, Type::TEXT)]).await
        {
            tracing::debug!(%fault, "a hint was not sent");
        }
        sleep(GAP).await;
    }
}
