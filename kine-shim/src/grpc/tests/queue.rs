//! Locks and elections.

use std::time::Duration;

use proto::{
    etcdserverpb::lease_client::LeaseClient, v3electionpb as election, v3electionpb::election_client::ElectionClient,
    v3lockpb as lock, v3lockpb::lock_client::LockClient,
};

use super::{Served, bytes, everything, refusal, serve};

async fn leased(ids: &[i64]) -> Served {
    let served = serve().await;
    let mut lease = LeaseClient::new(served.channel.clone());
    for id in ids {
        lease.lease_grant(proto::etcdserverpb::LeaseGrantRequest { id: *id, ttl: 60 }).await.unwrap();
    }
    served
}

/// Polls until so many keys exist; a test that waits forever fails by its deadline.
async fn keys(served: &mut Served, count: i64) {
    let arrived = async {
        while served.kv.range(everything()).await.unwrap().into_inner().count != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("the keys did not come");
}

#[tokio::test]
async fn a_lock_is_held_by_one_and_goes_to_the_next() {
    let mut served = leased(&[0xa, 0xb, 0xc]).await;
    let client = LockClient::new(served.channel.clone());
    let take = |lease| {
        let mut client = client.clone();
        tokio::spawn(async move { client.lock(lock::LockRequest { name: bytes("l"), lease }).await })
    };
    let first = take(0xa).await.unwrap().unwrap().into_inner();
    assert_eq!(first.key, "l/a");
    assert_eq!(take(0xa).await.unwrap().unwrap().into_inner().key, "l/a", "its holder has it already");
    let second = take(0xb);
    keys(&mut served, 2).await;
    let impatient = take(0xc);
    keys(&mut served, 3).await;
    impatient.abort();
    keys(&mut served, 2).await;
    assert!(!second.is_finished());
    client.clone().unlock(lock::UnlockRequest { key: first.key }).await.unwrap();
    let second = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
    assert_eq!(second.unwrap().into_inner().key, "l/b");
}

#[tokio::test]
async fn a_waiter_whose_lease_ends_does_not_get_the_lock() {
    let mut served = leased(&[1, 2]).await;
    let mut client = LockClient::new(served.channel.clone());
    client.lock(lock::LockRequest { name: bytes("l"), lease: 1 }).await.unwrap();
    let waiting = tokio::spawn(async move { client.lock(lock::LockRequest { name: bytes("l"), lease: 2 }).await });
    keys(&mut served, 2).await;
    let mut lease = LeaseClient::new(served.channel.clone());
    lease.lease_revoke(proto::etcdserverpb::LeaseRevokeRequest { id: 2 }).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(refusal(ended).1, "mutex: session is expired");
}

#[tokio::test]
async fn an_election_has_one_leader_whom_all_observe() {
    let mut served = leased(&[1, 2]).await;
    let mut client = ElectionClient::new(served.channel.clone());
    let name = || bytes("e");
    let nobody = client.leader(election::LeaderRequest { name: name() }).await;
    assert_eq!(refusal(nobody).1, "election: no leader");
    let mut observed = client.observe(election::LeaderRequest { name: name() }).await.unwrap().into_inner();
    let campaign = |lease, value: &str| election::CampaignRequest { name: name(), lease, value: bytes(value) };
    let first = client.campaign(campaign(1, "one")).await.unwrap().into_inner().leader.unwrap();
    let mut other = client.clone();
    let second = campaign(2, "two");
    let second = tokio::spawn(async move { other.campaign(second).await });
    keys(&mut served, 2).await;
    let proclaim = election::ProclaimRequest { leader: Some(first.clone()), value: bytes("uno") };
    client.proclaim(proclaim.clone()).await.unwrap();
    let led = client.leader(election::LeaderRequest { name: name() }).await.unwrap().into_inner();
    assert_eq!(led.kv.unwrap().value, "uno");
    client.resign(election::ResignRequest { leader: Some(first) }).await.unwrap();
    let second = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
    assert_eq!(second.unwrap().into_inner().leader.unwrap().key, "e/2");
    assert_eq!(refusal(client.proclaim(proclaim).await).1, "election: not leader");
    // Leaders may be skipped, the last one never.
    let mut told = Vec::new();
    while told.last().is_none_or(|value| value != "two") {
        let next = tokio::time::timeout(Duration::from_secs(10), observed.message()).await.unwrap();
        told.push(next.unwrap().unwrap().kv.unwrap().value);
    }
    assert!(told.len() <= 3, "{told:?}");
}
