//! The state that a log makes, without a shim: in goes a log, out comes the state at the end that it had when the last page was read. An
//! unfinished import is no obstacle here.

use anyhow::{Context, Result};

use super::progress::Progress;
use crate::log::Log;
use crate::state::State;

const PAGE_BYTES: usize = 8 << 20;

pub(super) async fn state(log: &dyn Log, progress: &mut Progress) -> Result<State> {
    loop {
        if let Some(state) = once(log, progress).await? {
            return Ok(state);
        }
    }
}

/// `None` when rows were trimmed away between the first page and the last.
async fn once(log: &dyn Log, progress: &mut Progress) -> Result<Option<State>> {
    let (mut state, mut trimmed) = (State::new(), None);
    loop {
        let page = log.load(state.head().position, PAGE_BYTES).await.context("cannot read the log")?;
        if *trimmed.get_or_insert(page.trimmed) != page.trimmed {
            return Ok(None);
        }
        if page.batches.is_empty() {
            return Ok(Some(state));
        }
        for batch in &page.batches {
            for (_, entry) in &batch.entries {
                progress.count(entry.key.len() + entry.value.len(), entry.revision);
            }
            state.load(batch)?;
        }
        progress.tell();
    }
}
