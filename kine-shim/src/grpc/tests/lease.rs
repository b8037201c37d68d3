//! Leases.

use proto::{etcdserverpb as pb, etcdserverpb::lease_client::LeaseClient};
use tonic::Code;

use super::{everything, put, refusal, serve};

fn grant(id: i64, ttl: i64) -> pb::LeaseGrantRequest {
    pb::LeaseGrantRequest { id, ttl }
}

#[tokio::test]
async fn a_grant_draws_an_id_and_raises_the_ttl() {
    let served = serve().await;
    let mut lease = LeaseClient::new(served.channel.clone());
    let drawn = lease.lease_grant(grant(0, 1)).await.unwrap().into_inner();
    assert!(drawn.id > 0);
    assert_eq!((drawn.ttl, drawn.header.unwrap().revision), (2, 1));
    let chosen = lease.lease_grant(grant(7, 60)).await.unwrap().into_inner();
    assert_eq!((chosen.id, chosen.ttl), (7, 60));
    let exists = (Code::FailedPrecondition, "etcdserver: lease already exists".to_owned());
    assert_eq!(refusal(lease.lease_grant(grant(7, 60)).await), exists);
    let too_large = (Code::OutOfRange, "etcdserver: too large lease TTL".to_owned());
    assert_eq!(refusal(lease.lease_grant(grant(8, 9_000_000_001)).await), too_large);
    let listed = lease.lease_leases(pb::LeaseLeasesRequest {}).await.unwrap().into_inner();
    assert!(listed.leases.iter().map(|lease| lease.id).eq([drawn.id, 7]), "what ends first comes first");
}

#[tokio::test]
async fn a_revoke_deletes_the_attached_keys() {
    let mut served = serve().await;
    let mut lease = LeaseClient::new(served.channel.clone());
    lease.lease_grant(grant(7, 60)).await.unwrap();
    for key in ["a", "b"] {
        served.kv.put(pb::PutRequest { lease: 7, ..put(key, "1") }).await.unwrap();
    }
    let revoked = lease.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await.unwrap().into_inner();
    assert_eq!(revoked.header.unwrap().revision, 4);
    assert_eq!(served.kv.range(everything()).await.unwrap().into_inner().count, 0);
    let not_found = (Code::NotFound, "etcdserver: requested lease not found".to_owned());
    assert_eq!(refusal(lease.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await), not_found);
}

#[tokio::test]
async fn keep_alives_of_one_stream_are_answered_in_their_order_and_a_dead_lease_with_0() {
    let served = serve().await;
    let mut lease = LeaseClient::new(served.channel.clone());
    for id in 1..=300 {
        lease.lease_grant(grant(id, 60 + id)).await.unwrap();
    }
    let ids: Vec<i64> = (1..=301).rev().chain([5, 5]).collect();
    let requests: Vec<_> = ids.iter().map(|id| pb::LeaseKeepAliveRequest { id: *id }).collect();
    let mut answers = lease.lease_keep_alive(tokio_stream::iter(requests)).await.unwrap().into_inner();
    for id in ids {
        let answer = answers.message().await.unwrap().expect("an answer to each");
        assert_eq!((answer.id, answer.ttl), (id, if id == 301 { 0 } else { 60 + id }));
    }
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn renewals_move_a_lease_back_and_a_new_one_of_the_same_id_has_its_whole_time() {
    let served = serve().await;
    let mut lease = LeaseClient::new(served.channel.clone());
    for id in [1, 2, 3] {
        lease.lease_grant(grant(id, 100)).await.unwrap();
    }
    let renew = |id| tokio_stream::once(pb::LeaseKeepAliveRequest { id });
    let mut answers = lease.lease_keep_alive(renew(1)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().ttl, 100);
    lease.lease_revoke(pb::LeaseRevokeRequest { id: 2 }).await.unwrap();
    lease.lease_grant(grant(2, 100)).await.unwrap();
    let listed = lease.lease_leases(pb::LeaseLeasesRequest {}).await.unwrap().into_inner();
    assert!(listed.leases.iter().map(|lease| lease.id).eq([3, 1, 2]));
    let request = pb::LeaseTimeToLiveRequest { id: 2, keys: false };
    let left = lease.lease_time_to_live(request).await.unwrap().into_inner();
    assert!((50..100).contains(&left.ttl), "whole seconds of a little less than 100, not {}", left.ttl);
}
