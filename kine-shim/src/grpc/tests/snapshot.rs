//! Maintenance.Snapshot as a backup job sees it. What is in the file is tested in `migrate`.

use proto::{etcdserverpb as pb, etcdserverpb::maintenance_client::MaintenanceClient};
use sha2::{Digest, Sha256};

use super::{Served, serve};

async fn fetch(served: &Served) -> Vec<pb::SnapshotResponse> {
    let mut client = MaintenanceClient::new(served.channel.clone());
    let mut stream = client.snapshot(pb::SnapshotRequest {}).await.unwrap().into_inner();
    let mut pieces = Vec::new();
    while let Some(piece) = stream.message().await.unwrap() {
        pieces.push(piece);
    }
    pieces
}

#[tokio::test]
async fn a_snapshot_comes_in_pieces_that_count_down_and_ends_with_its_hash() {
    let mut served = serve().await;
    for number in 0..400 {
        served.put(&format!("key-{number}"), &"x".repeat(500)).await;
    }
    let mut pieces = fetch(&served).await;
    let hash = pieces.pop().unwrap();
    let mut remaining: u64 = pieces.iter().map(|piece| piece.blob.len() as u64).sum();
    assert!(pieces.len() > 2 && remaining.is_multiple_of(4096));
    let mut sum = Sha256::new();
    for (number, piece) in pieces.iter().enumerate() {
        assert_eq!(piece.blob.len(), if number + 1 < pieces.len() { 32 << 10 } else { remaining as usize });
        remaining -= piece.blob.len() as u64;
        assert_eq!((piece.remaining_bytes, piece.version.as_str()), (remaining, "3.6.0"));
        sum.update(&piece.blob);
    }
    assert_eq!((hash.remaining_bytes, hash.version.as_str()), (0, "3.6.0"));
    assert_eq!(hash.blob.as_ref(), sum.finalize().as_slice());
}

#[tokio::test]
async fn writes_go_on_while_a_slow_client_reads_a_snapshot_of_one_revision() {
    let mut served = serve().await;
    for number in 0..200 {
        served.put(&format!("key-{number}"), &"x".repeat(5_000)).await;
    }
    let mut client = MaintenanceClient::new(served.channel.clone());
    let mut stream = client.snapshot(pb::SnapshotRequest {}).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    // Far more than any buffer on the way holds is still to come.
    assert!(first.remaining_bytes > 500_000);
    for number in 0..200 {
        served.put(&format!("key-{number}"), "after").await;
    }
    served.compact(served.shim.snapshot().revision()).await;
    let (mut bytes, mut sum, mut last) = (0, Sha256::new(), first.blob.clone());
    while let Some(piece) = stream.message().await.unwrap() {
        bytes += last.len() as u64;
        sum.update(&last);
        assert!(!last.windows(5).any(|found| found == b"after"), "a later write got into the snapshot");
        last = piece.blob;
    }
    assert_eq!(bytes, first.remaining_bytes + first.blob.len() as u64);
    assert_eq!(last.as_ref(), sum.finalize().as_slice());
}
