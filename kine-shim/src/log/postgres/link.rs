//! One connection that comes back: in goes how to connect, out comes a client, or a fault that says that nothing was
//! sent. A link is made for one purpose; what is sent over it is not known here.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client, Connection, error::DbError};
use tokio_util::task::AbortOnDropHandle;

use super::{schema, url::Connector};
use crate::log::LogFault;

/// Sessions so far.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long a call waits for a lost connection to come back before it says that nothing was sent.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the server's settings are looked at again.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// What is called for each NOTIFY, and with `None` once listening (again).
pub(super) type OnNotify = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// A live connection's client.
#[derive(Clone)]
pub(super) struct Session {
    /// Tells one session of this process from another.
    pub(super) number: u64,
    pub(super) client: Arc<Client>,
    /// Counts warnings of the server. One beside a commit means that the wait for a synchronous standby was cancelled.
    pub(super) warnings: Arc<AtomicU64>,
}

pub(super) struct Link {
    sessions: watch::Receiver<Option<Session>>,
    _task: AbortOnDropHandle<()>,
}

impl Link {
    pub(super) fn open(purpose: &'static str, connector: Connector) -> Self {
        Self::spawn(purpose, connector, None)
    }

    /// A connection that only listens on the channel; a pooler may swallow that, which costs a hint and no more.
    pub(super) fn listen(connector: Connector, on_notify: OnNotify) -> Self {
        Self::spawn("listen", connector, Some(on_notify))
    }

    fn spawn(purpose: &'static str, connector: Connector, on_notify: Option<OnNotify>) -> Self {
        let (publish, sessions) = watch::channel(None);
        let task = tokio::spawn(keep_connected(purpose, connector, publish, on_notify));
        Self { sessions, _task: AbortOnDropHandle::new(task) }
    }

    /// The live session, waiting a little for one. Dropping the future loses nothing.
    pub(super) async fn session(&self) -> Result<Session, LogFault> {
        let mut sessions = self.sessions.clone();
        let live = |session: &Option<Session>| session.as_ref().is_some_and(|session| !session.client.is_closed());
        match timeout(PATIENCE, sessions.wait_for(live)).await {
            Ok(Ok(session)) => session.clone().ok_or_else(|| LogFault::NotApplied("not connected".into())),
            _ => Err(LogFault::NotApplied("not connected to the database".into())),
        }
    }
}

async fn keep_connected(
    purpose: &'static str,
    connector: Connector,
    publish: watch::Sender<Option<Session>>,
    on_notify: Option<OnNotify>,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        match connect_once(&connector, &publish, on_notify.as_ref()).await {
            Ok(()) => backoff = BACKOFF_MIN,
            Err(fault) => {
                tracing::warn!(purpose, %fault, "no database connection");
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
        publish.send_replace(None);
        sleep(backoff).await;
    }
}

/// Connects, checks the server, publishes the session and drives it to its end.
async fn connect_once(
    connector: &Connector,
    publish: &watch::Sender<Option<Session>>,
    on_notify: Option<&OnNotify>,
) -> Result<(), LogFault> {
    let (client, connection) =
        connector.config.connect(connector.tls.clone()).await.map_err(|e| super::query::unsent(&e))?;
    let warnings = Arc::new(AtomicU64::new(0));
    let counter = warnings.clone();
    let drive = drive(connection, &counter, on_notify);
    let setup = async {
        check_settings(&client).await?;
        if let Some(on_notify) = on_notify {
            client.batch_execute("LISTEN kine_shim").await.map_err(|e| super::query::unsent(&e))?;
            on_notify(None);
        }
        let client = Arc::new(client);
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        publish.send_replace(Some(Session { number, client: client.clone(), warnings }));
        // The server's settings may change while it runs: what would break a promise ends the session.
        loop {
            sleep(CHECK_EVERY).await;
            if let Err(fault @ LogFault::Unusable(_)) = check_settings(&client).await {
                return Err::<(), _>(fault);
            }
        }
    };
    tokio::select! {
        biased;
        ended = drive => {
            tracing::info!(reason = ended.map(|e| super::query::describe(&e)), "database connection ended");
            Ok(())
        }
        failed = setup => failed,
    }
}

async fn check_settings(client: &Client) -> Result<(), LogFault> {
    let check = timeout(PATIENCE, schema::check_settings(client)).await;
    check.map_err(|_| LogFault::NotApplied("the server does not answer".into()))?.map(drop)
}

async fn drive<S, T>(
    mut connection: Connection<S, T>,
    warnings: &AtomicU64,
    on_notify: Option<&OnNotify>,
) -> Option<tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await? {
            Ok(AsyncMessage::Notification(note)) => on_notify.into_iter().for_each(|f| f(Some(note.payload()))),
            Ok(AsyncMessage::Notice(notice)) => noticed(&notice, warnings),
            Ok(_) => {}
            Err(error) => return Some(error),
        }
    }
}

/// The count goes up before the statement's own end is seen: the server sends the warning first.
fn noticed(notice: &DbError, warnings: &AtomicU64) {
    let level = notice.severity();
    if level == "WARNING" || notice.parsed_severity() == Some(tokio_postgres::error::Severity::Warning) {
        warnings.fetch_add(1, Ordering::SeqCst);
        tracing::warn!(message = notice.message(), "the database warns");
    }
}
