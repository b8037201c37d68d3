//! The state that a log makes, without a shim: in goes a log, out comes the state at the end that it had when the
//! reading began. An unfinished import is no obstacle here.

use anyhow::{Context, Result};

use super::progress::Progress;
use crate::{
    log::Log,
    state::{Loading, State},
};

const PAGE_BYTES: usize = 8 << 20;

pub(super) async fn state(log: &dyn Log, progress: &mut Progress) -> Result<State> {
    let mut loading = Loading::default();
    let mut snapshot = log.snapshot().await.context("cannot read the log")?;
    loop {
        let batches = snapshot.next(PAGE_BYTES).await.context("cannot read the log")?;
        if batches.is_empty() {
            return Ok(loading.finish());
        }
        for batch in &batches {
            for (_, entry) in &batch.entries {
                progress.count(entry.key.len() + entry.value.len(), entry.revision);
            }
            loading.load(batch)?;
        }
        progress.tell();
    }
}
