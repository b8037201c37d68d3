//! From an endpoint to the log that it names.

use std::sync::Arc;

use super::{Endpoint, Log, LogFault, Options, memory, postgres, sqlite};

/// Opens (and where needed creates or migrates) the log at `endpoint`.
pub async fn open(endpoint: &Endpoint, options: &Options) -> Result<Arc<dyn Log>, LogFault> {
    Ok(match endpoint {
        Endpoint::Memory => Arc::new(memory::MemoryLog::new()),
        Endpoint::Postgres { url } => Arc::new(postgres::PostgresLog::open(url, options).await?),
        Endpoint::Sqlite { file } => Arc::new(sqlite::SqliteLog::open(file, options.fsync).await?),
    })
}
