//! Maintenance.Snapshot: the state as etcd's own file, in pieces as large as etcd's, its SHA-256 at the end. A slow
//! client slows nobody: the next piece is made when it asks for more.

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use proto::etcdserverpb as pb;
use tonic::Status;

use super::{errors, wire::Wire};
use crate::{
    migrate::{
        schema,
        write::{Member, Snapshot},
    },
    shim::Consistency,
};

pub(super) type Pieces = BoxStream<'static, Result<pb::SnapshotResponse, Status>>;

/// Of one message, as in etcd.
const PIECE_BYTES: usize = 32 << 10;
/// Made at once, off the threads that serve others.
const PIECES: usize = 32;

impl Wire {
    /// Has all that was acknowledged before. While the database does not answer it is what this shim knows, as a member
    /// of etcd without a quorum gives what it has: that is when a backup is wanted most.
    pub(super) async fn stream_snapshot(&self) -> Result<Pieces, Status> {
        let state = match self.shim.read(Consistency::Linearizable).await {
            Ok(state) => state,
            Err(fault) => {
                let state = self.shim.snapshot();
                tracing::warn!(%fault, revision = state.revision(), "the snapshot may lack the newest writes");
                state
            }
        };
        let member = Member {
            id: self.options.member_id,
            name: self.options.name.clone(),
            client_urls: self.options.advertise_client_urls.clone(),
        };
        let revision = state.revision();
        let laid_out = tokio::task::spawn_blocking(move || Snapshot::of(&state, &member));
        let snapshot = laid_out.await.map_err(|_| errors::stopped())?;
        tracing::info!(revision, bytes = snapshot.bytes(), "sending a snapshot");
        let remaining = snapshot.bytes();
        let pieces = stream::try_unfold(Some((snapshot, remaining)), next_pieces);
        Ok(pieces.map_ok(|pieces| stream::iter(pieces).map(Ok)).try_flatten().boxed())
    }
}

type Progress = Option<(Snapshot, u64)>;

/// Several pieces at once; the last one is the hash.
async fn next_pieces(progress: Progress) -> Result<Option<(Vec<pb::SnapshotResponse>, Progress)>, Status> {
    let Some((mut snapshot, mut remaining)) = progress else { return Ok(None) };
    let making = tokio::task::spawn_blocking(move || {
        let mut pieces = Vec::with_capacity(PIECES);
        while pieces.len() < PIECES && remaining > 0 {
            let blob = snapshot.next(PIECE_BYTES);
            remaining = remaining.saturating_sub(blob.len() as u64);
            pieces.push(piece(remaining, blob));
        }
        if remaining > 0 {
            return (pieces, Some((snapshot, remaining)));
        }
        pieces.push(piece(0, snapshot.hash()));
        (pieces, None)
    });
    Ok(Some(making.await.map_err(|_| errors::stopped())?))
}

fn piece(remaining_bytes: u64, blob: bytes::Bytes) -> pb::SnapshotResponse {
    pb::SnapshotResponse { header: None, remaining_bytes, blob, version: schema::VERSION.to_owned() }
}
