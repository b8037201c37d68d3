//! What operators and client libraries ask: members, status, alarms, hashes, health, reflection.

use proto::{
    etcdserverpb as pb,
    etcdserverpb::{cluster_client::ClusterClient, maintenance_client::MaintenanceClient, request_op::Request},
    health::{HealthCheckRequest, health_client::HealthClient},
};
use tonic::Code;

use super::{bytes, everything, op, put, refusal, serve, serve_with};
use crate::grpc::{GrpcOptions, Quota};

#[tokio::test]
async fn the_member_list_tells_where_clients_reach_this_shim() {
    let urls = vec!["https://shim-1:2379".to_owned()];
    let options =
        GrpcOptions { member_id: 9, name: "shim-1".into(), advertise_client_urls: urls, ..Default::default() };
    let served = serve_with(options).await;
    let mut cluster = ClusterClient::new(served.channel.clone());
    let listed = cluster.member_list(pb::MemberListRequest { linearizable: true }).await.unwrap().into_inner();
    let [member] = listed.members.as_slice() else { panic!("{listed:?}") };
    assert_eq!((member.id, member.name.as_str(), member.client_ur_ls.len()), (9, "shim-1", 1));
    let header = listed.header.unwrap();
    assert_eq!((header.member_id, header.revision), (9, 0), "membership has no revision");
}

#[tokio::test]
async fn reconfiguration_is_refused_in_etcds_words() {
    let served = serve_with(GrpcOptions { member_id: 9, ..Default::default() }).await;
    let (mut cluster, mut maintenance) =
        (ClusterClient::new(served.channel.clone()), MaintenanceClient::new(served.channel.clone()));
    let add = |urls: &[&str]| pb::MemberAddRequest {
        peer_ur_ls: urls.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let bad_urls = (Code::InvalidArgument, "etcdserver: given member URLs are invalid".to_owned());
    for urls in [&[][..], &["foo"], &["http://h"], &["http://h:1/path"], &["http://h:1", "ftp://h:1"]] {
        assert_eq!(refusal(cluster.member_add(add(urls)).await), bad_urls, "{urls:?}");
    }
    assert_eq!(refusal(cluster.member_add(add(&["http://h:1"])).await).0, Code::Unimplemented);

    let unknown = (Code::NotFound, "etcdserver: member not found".to_owned());
    assert_eq!(refusal(cluster.member_remove(pb::MemberRemoveRequest { id: 5 }).await), unknown);
    assert_eq!(refusal(cluster.member_promote(pb::MemberPromoteRequest { id: 5 }).await), unknown);
    let needed = "etcdserver: re-configuration failed due to not enough started members".to_owned();
    assert_eq!(refusal(cluster.member_remove(pb::MemberRemoveRequest { id: 9 }).await), (Code::Unknown, needed));
    let no_learner = "etcdserver: can only promote a learner member".to_owned();
    let promoted = cluster.member_promote(pb::MemberPromoteRequest { id: 9 }).await;
    assert_eq!(refusal(promoted), (Code::FailedPrecondition, no_learner));

    let nobody = (Code::FailedPrecondition, "etcdserver: bad leader transferee".to_owned());
    assert_eq!(refusal(maintenance.move_leader(pb::MoveLeaderRequest { target_id: 5 }).await), nobody);
    maintenance.move_leader(pb::MoveLeaderRequest { target_id: 9 }).await.unwrap();

    let downgrade = |action, version: &str| pb::DowngradeRequest { action, version: version.to_owned() };
    let cases = [
        (0, "3.5", Code::InvalidArgument, "etcdserver: invalid downgrade target version"),
        (1, "3.6.0", Code::InvalidArgument, "etcdserver: invalid downgrade target version"),
        (0, "3", Code::InvalidArgument, "etcdserver: wrong downgrade target version format"),
        (1, "x.y", Code::InvalidArgument, "etcdserver: wrong downgrade target version format"),
        (7, "3.5", Code::Unknown, "etcdserver: unknown method"),
    ];
    for (action, version, code, text) in cases {
        let answer = refusal(maintenance.downgrade(downgrade(action, version)).await);
        assert_eq!(answer, (code, text.to_owned()), "{action} {version}");
    }
    assert_eq!(maintenance.downgrade(downgrade(2, "")).await.unwrap().into_inner().version, "3.6");
}

#[tokio::test]
async fn status_shows_an_etcd_that_kube_apiserver_accepts() {
    let served = serve().await;
    let mut maintenance = MaintenanceClient::new(served.channel.clone());
    let status = maintenance.status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.version.as_str(), status.leader, status.errors.len()), ("3.6.16", 1, 0));
    maintenance.defragment(pb::DefragmentRequest {}).await.unwrap();
}

#[tokio::test]
async fn an_alarm_is_raised_listed_obeyed_and_disarmed() {
    let mut served = serve().await;
    let mut maintenance = MaintenanceClient::new(served.channel.clone());
    let alarm = |action| pb::AlarmRequest { action, member_id: 5, alarm: pb::AlarmType::Nospace as i32 };
    let raised = pb::AlarmMember { member_id: 5, alarm: pb::AlarmType::Nospace as i32 };
    assert_eq!(maintenance.alarm(alarm(1)).await.unwrap().into_inner().alarms, [raised]);
    assert_eq!(maintenance.alarm(alarm(0)).await.unwrap().into_inner().alarms, [raised]);
    let no_space = (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded".to_owned());
    assert_eq!(refusal(served.kv.put(put("a", "1")).await), no_space);
    let errors = maintenance.status(pb::StatusRequest {}).await.unwrap().into_inner().errors;
    assert_eq!(errors, ["memberID:5 alarm:NOSPACE "]);
    assert_eq!(maintenance.alarm(alarm(2)).await.unwrap().into_inner().alarms, [raised]);
    served.put("a", "1").await;
}

#[tokio::test]
async fn a_full_store_refuses_what_grows_and_takes_the_rest() {
    let quota = Quota::new(3000);
    let mut served = serve_with(GrpcOptions { member_id: 5, quota: quota.clone(), ..Default::default() }).await;
    let mut maintenance = MaintenanceClient::new(served.channel.clone());
    let mut lease = pb::lease_client::LeaseClient::new(served.channel.clone());
    served.put("small", "1").await;
    let no_space = (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded".to_owned());
    let large = "x".repeat(3000);
    assert_eq!(refusal(served.kv.put(put("large", &large)).await), no_space, "it would not fit");
    let alarm = |action| pb::AlarmRequest { action, member_id: 5, alarm: pb::AlarmType::Nospace as i32 };
    let raised = pb::AlarmMember { member_id: 5, alarm: pb::AlarmType::Nospace as i32 };
    assert_eq!(maintenance.alarm(alarm(0)).await.unwrap().into_inner().alarms, [raised]);
    let status = maintenance.status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.errors, status.db_size_quota), (vec!["memberID:5 alarm:NOSPACE ".to_owned()], 3000));

    assert_eq!(refusal(served.kv.put(put("a", "1")).await), no_space, "the alarm stands");
    assert_eq!(refusal(lease.lease_grant(pb::LeaseGrantRequest { ttl: 9, id: 0 }).await), no_space);
    let branch = vec![op(Request::RequestPut(put("a", "1")))];
    let growing = pb::TxnRequest { failure: branch, ..Default::default() };
    assert_eq!(refusal(served.kv.txn(growing).await), no_space, "whichever branch would run");
    let reading = vec![op(Request::RequestRange(everything()))];
    served.kv.txn(pb::TxnRequest { success: reading, ..Default::default() }).await.unwrap();
    let revision = served.delete("small").await;
    served.compact(revision).await;
    assert_eq!(served.kv.range(everything()).await.unwrap().into_inner().count, 0);

    maintenance.alarm(alarm(2)).await.unwrap();
    quota.measure(&served.shim).await;
    served.put("a", "1").await;
}

#[tokio::test]
async fn a_corrupt_store_takes_no_change() {
    let mut served = serve().await;
    served.put("a", "1").await;
    let mut maintenance = MaintenanceClient::new(served.channel.clone());
    let alarm = |action| pb::AlarmRequest { action, member_id: 5, alarm: pb::AlarmType::Corrupt as i32 };
    maintenance.alarm(alarm(1)).await.unwrap();
    let corrupt = (Code::DataLoss, "etcdserver: corrupt cluster".to_owned());
    assert_eq!(refusal(served.kv.put(put("a", "2")).await), corrupt);
    assert_eq!(
        refusal(served.kv.delete_range(pb::DeleteRangeRequest { key: bytes("a"), ..Default::default() }).await),
        corrupt
    );
    assert_eq!(refusal(served.kv.compact(pb::CompactionRequest { revision: 2, physical: false }).await), corrupt);
    assert_eq!(served.kv.range(everything()).await.unwrap().into_inner().count, 1);
    maintenance.alarm(alarm(2)).await.unwrap();
    served.put("a", "2").await;
}

#[tokio::test]
async fn the_hash_of_everything_tells_leases_apart_too() {
    let mut served = serve().await;
    let mut maintenance = MaintenanceClient::new(served.channel.clone());
    let mut hashes = Vec::new();
    served.put("a", "1").await;
    hashes.push(maintenance.hash(pb::HashRequest {}).await.unwrap().into_inner().hash);
    hashes.push(maintenance.hash(pb::HashRequest {}).await.unwrap().into_inner().hash);
    let mut lease = pb::lease_client::LeaseClient::new(served.channel.clone());
    lease.lease_grant(pb::LeaseGrantRequest { ttl: 900, id: 7 }).await.unwrap();
    hashes.push(maintenance.hash(pb::HashRequest {}).await.unwrap().into_inner().hash);
    assert!(hashes[0] == hashes[1] && hashes[1] != hashes[2], "{hashes:?}");
}

#[tokio::test]
async fn the_hash_of_a_known_history_is_etcds() {
    // The numbers are what etcd 3.6 answers to the same writes.
    let mut served = serve().await;
    for (key, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
        served.put(key, value).await;
    }
    served.delete("b").await;
    let mut maintenance = MaintenanceClient::new(served.channel.clone());
    let hash = maintenance.hash_kv(pb::HashKvRequest { revision: 0 }).await.unwrap().into_inner();
    assert_eq!((hash.hash, hash.compact_revision, hash.hash_revision), (1_125_682_900, -1, 5));
    served.compact(4).await;
    let hash = maintenance.hash_kv(pb::HashKvRequest { revision: 0 }).await.unwrap().into_inner();
    assert_eq!((hash.hash, hash.compact_revision, hash.hash_revision), (1_468_967_122, 4, 5));
}

#[tokio::test]
async fn health_is_serving_until_the_shim_stops() {
    let served = serve().await;
    let mut health = HealthClient::new(served.channel.clone());
    let check = |service: &str| HealthCheckRequest { service: service.to_owned() };
    assert_eq!(health.check(check("")).await.unwrap().into_inner().status, 1);
    assert_eq!(refusal(health.check(check("nobody")).await).0, Code::NotFound);
    served.shim.stop().await;
    assert_eq!(health.check(check("")).await.unwrap().into_inner().status, 2);
}
