//! Which server may be written to: the one whose identity the shim has checked. In goes that identity, out comes the
//! run that a statement names (see the second migration), looked up once a session. Behind a pooler the server may
//! still change from one statement to the next: then the statement fails by itself.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{link::Session, query::query};
use crate::log::{Identity, LogFault};

const RUN: &str = "SELECT kine_shim.server_run(), (SELECT system_identifier::text FROM pg_control_system()), \
    CASE WHEN pg_is_in_recovery() THEN 0 \
         ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int4 END";
/// What `must_be` names a run that nobody asks for.
const ANY_RUN: i64 = 0;

/// System and timeline: an incarnation is the log's own.
type Server = (String, u32);

/// One for each connection that writes; all share what is trusted.
pub(super) struct Trust {
    trusted: Arc<Mutex<Option<Server>>>,
    known: Mutex<Option<Known>>,
}

/// The run found in a session, and whom it was checked against.
struct Known {
    session: u64,
    server: Server,
    run: i64,
}

impl Trust {
    pub(super) fn new() -> Self {
        Self { trusted: Arc::default(), known: Mutex::default() }
    }

    /// For another connection.
    pub(super) fn shared(&self) -> Self {
        Self { trusted: self.trusted.clone(), known: Mutex::default() }
    }

    pub(super) fn set(&self, identity: &Identity) {
        *self.trusted.lock() = Some((identity.system.clone(), identity.timeline));
    }

    /// The run to name in a statement of this session; `NotApplied` when another server answers.
    pub(super) async fn run(&self, session: &Session) -> Result<i64, LogFault> {
        let Some(server) = self.trusted.lock().clone() else { return Ok(ANY_RUN) };
        let known = |known: &Known| (known.session == session.number && known.server == server).then_some(known.run);
        if let Some(run) = self.known.lock().as_ref().and_then(known) {
            return Ok(run);
        }
        let rows = query(&session.client, RUN, &[]).await?;
        let row = rows.first().ok_or_else(|| LogFault::NotApplied("an empty answer".into()))?;
        let (run, found): (i64, Server) = (row.get(0), (row.get(1), row.get::<_, i32>(2).cast_unsigned()));
        if run == ANY_RUN || found != server {
            let text =
                format!("system {} on timeline {} answers, {} on {} is trusted", found.0, found.1, server.0, server.1);
            return Err(LogFault::NotApplied(text));
        }
        *self.known.lock() = Some(Known { session: session.number, server, run });
        Ok(run)
    }

    /// A statement found another server: look again before the next one.
    pub(super) fn doubt(&self) {
        *self.known.lock() = None;
    }
}

/// Whether `must_be` refused.
pub(super) fn is_refused(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code() == "KS001")
}
