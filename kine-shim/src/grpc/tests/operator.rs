//! What operators and client libraries ask: members, status, alarms, hashes, health, reflection.

use proto::etcdserverpb as pb;
use proto::etcdserverpb::cluster_client::ClusterClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::health::HealthCheckRequest;
use proto::health::health_client::HealthClient;
use tonic::Code;

use super::{put, refusal, serve, serve_with};
use crate::grpc::GrpcOptions;

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
    assert_eq!(refusal(cluster.member_add(pb::MemberAddRequest::default()).await).0, Code::Unimplemented);
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
