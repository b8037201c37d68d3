//! One statement and its answer: within a time, and with errors that say what is known of it.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{
    Client, Row,
    error::{Error, Severity, SqlState},
    types::{ToSql, Type},
};

use crate::{log::LogFault, model::Position};

/// No read of ours takes this long on a server that is alive.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Works for a client as long as it is held.
pub(crate) type Driver = tokio_util::task::AbortOnDropHandle<Result<(), Error>>;

/// An error with its cause: tokio-postgres' own text is only "db error".
pub(super) fn describe(error: &Error) -> String {
    let mut text = match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    };
    let mut source = std::error::Error::source(error).filter(|_| error.as_db_error().is_none());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// For statements whose repetition is harmless: whatever happened, the caller may say that nothing was written.
pub(super) fn unsent(error: &Error) -> LogFault {
    match error.code() {
        Some(code) if gone(code) => {
            LogFault::Unusable(format!("the tables of kine_shim are gone: {}", describe(error)))
        }
        _ => LogFault::NotApplied(describe(error)),
    }
}

pub(super) fn gone(code: &SqlState) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_COLUMN].contains(code)
}

/// A wrong password or database name does not mend itself; a server that starts or stops does.
pub(super) fn refused_connection(error: &Error) -> LogFault {
    let class = error.code().map(|code| &code.code()[..2]);
    match class {
        Some("28" | "3D" | "42") => LogFault::Unusable(describe(error)),
        _ => LogFault::NotApplied(describe(error)),
    }
}

/// What an append's error says about the append. An ERROR of the server aborts it: some tell that the server takes no
/// writes, or that a repetition may succeed, whatever is in the batch; the others are about this very statement. Errors
/// of the system or of a pooler, and whatever ends the connection, leave it open.
pub(super) fn append_fault(error: &Error) -> LogFault {
    let text = describe(error);
    let Some(db) = error.as_db_error() else { return LogFault::OutcomeUnknown(text) };
    let code = db.code();
    let is_error = db.parsed_severity() == Some(Severity::Error);
    match &code.code()[..2] {
        _ if is_error && *code == SqlState::QUERY_CANCELED => LogFault::Failed(text),
        "08" | "57" | "58" | "XX" => LogFault::OutcomeUnknown(text),
        _ if !is_error => LogFault::OutcomeUnknown(text),
        _ if gone(code) => LogFault::Unusable(text),
        "25" | "40" | "KS" => LogFault::NotApplied(text),
        _ => LogFault::Failed(text),
    }
}

/// One repeatable statement within [`ANSWER_WITHIN`].
pub(super) async fn query(
    client: &Client,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, LogFault> {
    match timeout(ANSWER_WITHIN, client.query_typed(statement, parameters)).await {
        Ok(answer) => answer.map_err(|error| unsent(&error)),
        Err(_) => Err(LogFault::NotApplied("the database does not answer".into())),
    }
}

/// Positions and counts are below 2^63 wherever they came from a database.
pub(super) fn as_i64(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

pub(super) fn as_position(number: i64) -> Position {
    Position(u64::try_from(number).unwrap_or(0))
}
