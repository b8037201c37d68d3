//! The export: in goes a log, out comes a snapshot file as `etcdctl snapshot save` writes it. Needs no running shim; a
//! running one goes on.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};

use super::{
    content::Content,
    import::Imported,
    load,
    progress::{Progress, say},
    read::{EtcdFile, HashCheck},
    source::{Feed, Step},
    write::{Member, Snapshot},
};
use crate::{
    grpc::hash,
    log::Log,
    model::{Position, ReadAt},
    state::State,
};

const PIECE_BYTES: usize = 1 << 20;

pub(super) async fn run(log: &dyn Log, path: &Path) -> Result<Imported> {
    let mut progress = Progress::of("loading");
    let state = load::state(log, &mut progress).await?;
    progress.done();
    ensure!(state.head().position > Position(0), "there is nothing to export: the log is empty");
    ensure!(!state.is_half_imported(), "an import into this store was begun and has not ended");
    let (path, part) = (path.to_owned(), path.with_extension("part"));
    let content = {
        let (state, part) = (state.clone(), part.clone());
        tokio::task::spawn_blocking(move || write(&state, &part)).await??
    };
    read_back(&part, content).await.context("what was written is not what was meant")?;
    fs::rename(&part, &path).with_context(|| format!("{}", path.display()))?;
    let scrub = state.scrub(ReadAt::Latest).context("cannot read the state")?;
    let (keys, leases) = (state.len(), state.leases().count());
    let (revision, compacted) = (state.revision(), state.compacted_at());
    Ok(Imported { revision, compacted, keys, leases, hash: hash::of(&scrub) })
}

fn write(state: &State, part: &Path) -> Result<super::content::Sum> {
    let named = || format!("{}", part.display());
    // Restoring gives the file members of its own.
    let member = Member { id: 1, name: "kine-shim".to_owned(), client_urls: Vec::new() };
    let mut file = BufWriter::new(File::create(part).with_context(named)?);
    let mut snapshot = Snapshot::of(state, &member);
    let content = Content::of(snapshot.kept());
    say(&format!("writing {} bytes", snapshot.bytes()));
    loop {
        let piece = snapshot.next(PIECE_BYTES);
        if piece.is_empty() {
            break;
        }
        file.write_all(&piece).with_context(named)?;
    }
    file.write_all(&snapshot.hash()).with_context(named)?;
    file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all()).with_context(named)?;
    Ok(content)
}

/// With the eyes of an import.
async fn read_back(part: &Path, expected: super::content::Sum) -> Result<()> {
    let file = EtcdFile::open(part, HashCheck::Required)?;
    let (feed, mut steps) = Feed::new();
    let reading = tokio::task::spawn_blocking(move || file.run(feed));
    let mut found = None;
    while let Some(step) = steps.recv().await {
        if let Step::End(end) = step? {
            found = Some(end.content);
        }
    }
    reading.await?;
    ensure!(found == Some(expected), "the records differ");
    Ok(())
}
