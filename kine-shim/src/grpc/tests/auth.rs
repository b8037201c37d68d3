//! Auth through a real client: what each RPC answers to nobody, to a user, to root; tokens between shims; names from
//! certificates.

use std::sync::Arc;

use proto::{authpb, etcdserverpb as pb, etcdserverpb::kv_server::Kv, v3electionpb as election, v3lockpb as lock};
use tonic::{Code, Request, transport::Channel};

use super::{Served, bytes, everything, op, put, serve_on, serve_with};
use crate::{
    auth::password::Passwords,
    grpc::{ClientName, GrpcOptions, Wire},
    log::memory::MemoryLog,
};

type AuthClient = pb::auth_client::AuthClient<Channel>;

fn options() -> GrpcOptions {
    // The cheapest hashes: what is tested is not their cost.
    GrpcOptions { bcrypt_cost: 4, ..GrpcOptions::default() }
}

fn auth(served: &Served) -> AuthClient {
    pb::auth_client::AuthClient::new(served.channel.clone())
}

/// A request as clientv3 sends it; without a token for "".
fn by<M>(token: &str, message: M) -> Request<M> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        request.metadata_mut().insert("token", token.parse().unwrap());
    }
    request
}

async fn token(auth: &mut AuthClient, name: &str) -> String {
    let request = pb::AuthenticateRequest { name: name.into(), password: name.into() };
    auth.authenticate(request).await.unwrap().into_inner().token
}

fn permission(perm_type: authpb::permission::Type, key: &str, end: &str) -> Option<authpb::Permission> {
    Some(authpb::Permission { perm_type: perm_type as i32, key: bytes(key), range_end: bytes(end) })
}

/// Users root and u, whose password is their name, and np without one. u may write [a, c) and read [b, c). Enabled.
async fn people(auth: &mut AuthClient) {
    use authpb::permission::Type::{Read, Write};
    for name in ["root", "u"] {
        let request = pb::AuthUserAddRequest { name: name.into(), password: name.into(), ..Default::default() };
        auth.user_add(request).await.unwrap();
    }
    let options = Some(authpb::UserAddOptions { no_password: true });
    let np = pb::AuthUserAddRequest { name: "np".into(), password: "given".into(), options, ..Default::default() };
    auth.user_add(np).await.unwrap();
    auth.role_add(pb::AuthRoleAddRequest { name: "r".into() }).await.unwrap();
    for perm in [permission(Write, "a", "c"), permission(Read, "b", "c")] {
        auth.role_grant_permission(pb::AuthRoleGrantPermissionRequest { name: "r".into(), perm }).await.unwrap();
    }
    for (user, role) in [("root", "root"), ("u", "r")] {
        let request = pb::AuthUserGrantRoleRequest { user: user.into(), role: role.into() };
        auth.user_grant_role(request).await.unwrap();
    }
    auth.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
}

async fn serve_people() -> (Served, AuthClient) {
    let served = serve_with(options()).await;
    let mut auth = auth(&served);
    people(&mut auth).await;
    (served, auth)
}

const EMPTY: (Code, &str) = (Code::InvalidArgument, "etcdserver: user name is empty");
const DENIED: (Code, &str) = (Code::PermissionDenied, "etcdserver: permission denied");
const INVALID: (Code, &str) = (Code::Unauthenticated, "etcdserver: invalid auth token");

fn expect<T: std::fmt::Debug>(answer: Result<T, tonic::Status>, expected: Option<(Code, &str)>, what: &str) {
    let answer = answer.map_err(|status| (status.code(), status.message().to_owned())).err();
    assert_eq!(answer, expected.map(|(code, text)| (code, text.to_owned())), "{what}");
}

fn range(key: &str, end: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: bytes(key), range_end: bytes(end), ..Default::default() }
}

#[tokio::test]
async fn keys_are_reached_by_whom_a_role_permits() {
    use pb::request_op::Request::{RequestDeleteRange, RequestPut, RequestRange, RequestTxn};
    let (mut served, mut auth) = serve_people().await;
    let (u, root) = (token(&mut auth, "u").await, token(&mut auth, "root").await);
    let (u, root) = (u.as_str(), root.as_str());
    let gets = [
        ("", range("b", ""), Some(EMPTY)),
        ("nonsense", range("b", ""), Some(INVALID)),
        (u, range("b", ""), None),
        (u, range("a", ""), Some(DENIED)),
        (u, range("b", "c"), None),
        (u, range("b", "c\0"), Some(DENIED)),
        (u, range("b", "\0"), Some(DENIED)),
        (u, pb::RangeRequest { serializable: true, ..range("a", "") }, Some(DENIED)),
        (u, pb::RangeRequest { serializable: true, ..range("b", "") }, None),
        (root, everything(), None),
    ];
    for (token, get, refusal) in gets {
        expect(served.kv.range(by(token, get.clone())).await, refusal, &format!("{get:?}"));
        expect(served.kv.range_stream(by(token, get.clone())).await.map(drop), refusal, &format!("stream {get:?}"));
    }
    let with_prev = |key: &str| pb::PutRequest { prev_kv: true, ..put(key, "1") };
    for (token, put, refusal) in [
        ("", put("a", "1"), Some(EMPTY)),
        (u, put("a", "1"), None),
        (u, put("c", "1"), Some(DENIED)),
        (u, with_prev("a"), Some(DENIED)),
        (u, with_prev("b"), None),
    ] {
        expect(served.kv.put(by(token, put.clone())).await, refusal, &format!("{put:?}"));
    }
    let delete =
        |key: &str, end: &str, prev_kv| pb::DeleteRangeRequest { key: bytes(key), range_end: bytes(end), prev_kv };
    for (token, delete, refusal) in [
        ("", delete("a", "", false), Some(EMPTY)),
        (u, delete("a", "c", false), None),
        (u, delete("a", "c", true), Some(DENIED)),
        (u, delete("b", "c", true), None),
        (u, delete("a", "\0", false), Some(DENIED)),
    ] {
        expect(served.kv.delete_range(by(token, delete.clone())).await, refusal, &format!("{delete:?}"));
    }
    let compare = |key: &str| pb::Compare { key: bytes(key), ..Default::default() };
    let txn = |compare: Vec<pb::Compare>, success: Vec<_>, failure: Vec<_>| pb::TxnRequest {
        compare,
        success: success.into_iter().map(op).collect(),
        failure: failure.into_iter().map(op).collect(),
    };
    let nested = |request| RequestTxn(txn(vec![], vec![], vec![request]));
    for (token, txn, refusal) in [
        ("", txn(vec![], vec![RequestPut(put("a", "1"))], vec![]), Some(EMPTY)),
        (u, txn(vec![compare("b")], vec![RequestPut(put("a", "1"))], vec![RequestRange(range("b", ""))]), None),
        (u, txn(vec![compare("a")], vec![], vec![]), Some(DENIED)),
        (u, txn(vec![], vec![], vec![RequestRange(range("a", ""))]), Some(DENIED)),
        (u, txn(vec![], vec![], vec![RequestPut(put("c", ""))]), Some(DENIED)),
        (u, txn(vec![], vec![RequestDeleteRange(delete("a", "", true))], vec![]), Some(DENIED)),
        (u, txn(vec![], vec![nested(RequestRange(range("a", "")))], vec![]), Some(DENIED)),
        (u, txn(vec![], vec![nested(RequestRange(range("b", "")))], vec![]), None),
        (root, txn(vec![compare("z")], vec![RequestPut(put("z", "1"))], vec![]), None),
    ] {
        expect(served.kv.txn(by(token, txn.clone())).await, refusal, &format!("{txn:?}"));
    }
    let compaction = pb::CompactionRequest { revision: 2, physical: false };
    for (token, refusal) in [("", Some(EMPTY)), (u, Some(DENIED)), (root, None)] {
        expect(served.kv.compact(by(token, compaction)).await, refusal, "compact");
    }
}

#[tokio::test]
async fn what_an_operator_asks_is_for_root_or_for_somebody() {
    let (served, mut auth) = serve_people().await;
    let (u, root) = (token(&mut auth, "u").await, token(&mut auth, "root").await);
    let (u, root) = (u.as_str(), root.as_str());
    let mut maintenance = pb::maintenance_client::MaintenanceClient::new(served.channel.clone());
    let mut cluster = pb::cluster_client::ClusterClient::new(served.channel.clone());
    for (token, known, admin) in [
        ("", Some(EMPTY), Some(EMPTY)),
        (u, None, Some(DENIED)),
        (root, None, None),
        ("x.0", Some(INVALID), Some(INVALID)),
    ] {
        expect(maintenance.status(by(token, pb::StatusRequest {})).await, known, "status");
        expect(maintenance.alarm(by(token, pb::AlarmRequest::default())).await, known, "alarms");
        expect(cluster.member_list(by(token, pb::MemberListRequest::default())).await, known, "members");
        expect(maintenance.defragment(by(token, pb::DefragmentRequest {})).await, admin, "defragment");
        expect(maintenance.hash_kv(by(token, pb::HashKvRequest::default())).await, admin, "hash of keys");
        let disarm = pb::AlarmRequest { action: 2, member_id: 1, alarm: 1 };
        expect(maintenance.alarm(by(token, disarm)).await, admin, "disarm");
        expect(auth.auth_status(by(token, pb::AuthStatusRequest {})).await, admin, "status of auth");
        expect(auth.user_list(by(token, pb::AuthUserListRequest {})).await, admin, "users");
        expect(auth.role_list(by(token, pb::AuthRoleListRequest {})).await, admin, "roles");
        if let Some(refused) = admin {
            expect(maintenance.hash(by(token, pb::HashRequest {})).await, admin, "hash");
            expect(maintenance.snapshot(by(token, pb::SnapshotRequest {})).await.map(drop), admin, "snapshot");
            expect(maintenance.move_leader(by(token, pb::MoveLeaderRequest::default())).await, admin, "move");
            expect(maintenance.downgrade(by(token, pb::DowngradeRequest::default())).await, admin, "downgrade");
            let removal = pb::MemberRemoveRequest { id: 1 };
            expect(cluster.member_remove(by(token, removal)).await, Some(refused), "member");
            expect(auth.auth_enable(by(token, pb::AuthEnableRequest {})).await, admin, "enable");
            expect(auth.auth_disable(by(token, pb::AuthDisableRequest {})).await, admin, "disable");
            let user = pb::AuthUserAddRequest { name: "v".into(), ..Default::default() };
            expect(auth.user_add(by(token, user)).await, admin, "user");
            let role = pb::AuthRoleAddRequest { name: "s".into() };
            expect(auth.role_add(by(token, role)).await, admin, "role");
        }
    }
    // Everybody may look at himself and at his roles.
    let user = |name: &str| pb::AuthUserGetRequest { name: name.into() };
    let role = |role: &str| pb::AuthRoleGetRequest { role: role.into() };
    assert_eq!(auth.user_get(by(u, user("u"))).await.unwrap().into_inner().roles, ["r"]);
    assert_eq!(auth.role_get(by(u, role("r"))).await.unwrap().into_inner().perm.len(), 2);
    expect(auth.user_get(by(u, user("root"))).await, Some(DENIED), "another user");
    expect(auth.role_get(by(u, role("root"))).await, Some(DENIED), "another role");
    expect(auth.user_get(user("u")).await, Some(EMPTY), "a user, by nobody");
}

#[tokio::test]
async fn a_lease_is_for_those_who_may_touch_its_keys() {
    let (mut served, mut auth) = serve_people().await;
    let (u, root) = (token(&mut auth, "u").await, token(&mut auth, "root").await);
    let (u, root) = (u.as_str(), root.as_str());
    let mut lease = pb::lease_client::LeaseClient::new(served.channel.clone());
    let grant = |id| pb::LeaseGrantRequest { id, ttl: 100 };
    expect(lease.lease_grant(grant(1)).await, Some(EMPTY), "a grant to nobody");
    for id in [1, 2] {
        lease.lease_grant(by(u, grant(id))).await.unwrap();
    }
    let bound = |key: &str, lease| pb::PutRequest { lease, ..put(key, "1") };
    served.kv.put(by(u, bound("b", 1))).await.unwrap();
    served.kv.put(by(root, bound("z", 2))).await.unwrap();
    expect(served.kv.put(by(u, bound("a", 2))).await, Some(DENIED), "a key to a lease with another's key");
    let ttl = |id, keys| pb::LeaseTimeToLiveRequest { id, keys };
    for (token, request, refusal) in [
        ("", ttl(1, false), Some(EMPTY)),
        ("", ttl(9, false), Some(EMPTY)),
        (u, ttl(1, true), None),
        (u, ttl(2, true), Some(DENIED)),
        (u, ttl(2, false), None),
        (u, ttl(9, true), None),
        (root, ttl(2, true), None),
    ] {
        expect(lease.lease_time_to_live(by(token, request)).await, refusal, &format!("{request:?}"));
    }
    expect(lease.lease_leases(pb::LeaseLeasesRequest {}).await, Some(EMPTY), "leases");
    expect(lease.lease_leases(by(u, pb::LeaseLeasesRequest {})).await, Some(DENIED), "leases");
    assert_eq!(lease.lease_leases(by(root, pb::LeaseLeasesRequest {})).await.unwrap().into_inner().leases.len(), 2);
    for (token, id, refusal) in
        [("", 1, Some(EMPTY)), (u, 1, None), (u, 2, Some(DENIED)), (u, 9, None), (root, 2, None)]
    {
        let requests = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
        let mut answers = lease.lease_keep_alive(by(token, requests)).await.unwrap().into_inner();
        expect(answers.message().await, refusal, &format!("keep-alive of {id}"));
    }
    let missing = Some((Code::NotFound, "etcdserver: requested lease not found"));
    for (token, id, refusal) in
        [("", 1, Some(EMPTY)), (u, 2, Some(DENIED)), (u, 1, None), (u, 1, missing), (root, 2, None)]
    {
        let revoke = pb::LeaseRevokeRequest { id };
        expect(lease.lease_revoke(by(token, revoke)).await, refusal, &format!("revocation of {id}"));
    }
}

#[tokio::test]
async fn a_watch_that_is_not_permitted_is_created_and_canceled_at_once() {
    let (mut served, mut auth) = serve_people().await;
    let (u, root) = (token(&mut auth, "u").await, token(&mut auth, "root").await);
    let (u, root) = (u.as_str(), root.as_str());
    let create = |key: &str, end: &str, start_revision| {
        let create =
            pb::WatchCreateRequest { key: bytes(key), range_end: bytes(end), start_revision, ..Default::default() };
        pb::WatchRequest { request_union: Some(pb::watch_request::RequestUnion::CreateRequest(create)) }
    };
    let mut watch = pb::watch_client::WatchClient::new(served.channel.clone());
    let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    for (token, requests) in [
        ("", vec![(create("b", "", 0), "rpc error: code = InvalidArgument desc = etcdserver: user name is empty")]),
        ("x", vec![(create("b", "", 0), "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token")]),
        (
            u,
            vec![
                (create("b", "", 0), ""),
                (create("a", "", 0), denied),
                (create("", "\0", 0), denied),
                (create("a", "", -1), compacted),
                (create("b", "c", 0), ""),
            ],
        ),
        (root, vec![(create("", "\0", 0), "")]),
    ] {
        let (requests, reasons): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        let requests = tokio_stream::StreamExt::chain(tokio_stream::iter(requests), tokio_stream::pending());
        let mut messages = watch.watch(by(token, requests)).await.unwrap().into_inner();
        for reason in reasons {
            let message = messages.message().await.unwrap().unwrap();
            assert_eq!((message.cancel_reason.as_str(), message.created), (reason, true), "{token}");
            assert_eq!((message.canceled, message.watch_id < 0), (!reason.is_empty(), !reason.is_empty()));
        }
    }
    served.kv.put(by(u, put("b", "1"))).await.unwrap();
}

#[tokio::test]
async fn locks_and_elections_ask_for_their_keys() {
    let (served, mut auth) = serve_people().await;
    let u = token(&mut auth, "u").await;
    let u = u.as_str();
    let mut locks = lock::lock_client::LockClient::new(served.channel.clone());
    let mut elections = election::election_client::ElectionClient::new(served.channel.clone());
    let unknown = |refusal: (Code, &'static str)| Some((Code::Unknown, refusal.1));
    for (token, name, refusal) in [("", "b", unknown(EMPTY)), (u, "a", unknown(DENIED)), (u, "bb", None)] {
        let request = lock::LockRequest { name: bytes(name), lease: 0 };
        expect(locks.lock(by(token, request)).await, refusal, name);
        let name = format!("{name}-election");
        let name = name.as_str();
        let request = election::CampaignRequest { name: bytes(name), lease: 0, value: bytes("me") };
        expect(elections.campaign(by(token, request)).await, refusal, name);
        let request = election::LeaderRequest { name: bytes(name) };
        expect(elections.leader(by(token, request.clone())).await, refusal, name);
        expect(elections.observe(by(token, request)).await.map(drop), refusal, name);
    }
    expect(locks.unlock(lock::UnlockRequest { key: bytes("b") }).await, unknown(EMPTY), "unlock");
}

#[tokio::test]
async fn passwords_are_compared_and_tokens_end_with_them() {
    let (mut served, mut auth) = serve_people().await;
    let failed = Some((Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password"));
    let no_password = "auth: authentication failed, password was given for no password user";
    for (name, password, refusal) in [
        ("u", "u", None),
        ("u", "U", failed),
        ("u", "", failed),
        ("nobody", "x", failed),
        ("", "", failed),
        ("np", "given", Some((Code::Unknown, no_password))),
    ] {
        let request = pb::AuthenticateRequest { name: name.into(), password: password.into() };
        expect(auth.authenticate(request).await, refusal, name);
    }
    let (mut u, root) = (token(&mut auth, "u").await, token(&mut auth, "root").await);
    // Whatever is changed elsewhere, a simple token goes on.
    auth.role_add(by(&root, pb::AuthRoleAddRequest { name: "s".into() })).await.unwrap();
    served.kv.put(by(&u, put("a", "1"))).await.unwrap();
    let change = |password: &str, hash: &str| pb::AuthUserChangePasswordRequest {
        name: "u".into(),
        password: password.into(),
        hashed_password: hash.into(),
    };
    let too_long = "x".repeat(73);
    let refusal = Some((Code::Unknown, "bcrypt: password length exceeds 72 bytes"));
    expect(auth.user_change_password(by(&root, change(&too_long, ""))).await, refusal, "too long");
    expect(auth.user_change_password(by(&root, change("", "?"))).await, Some((Code::Unknown, no_password)), "no hash");
    // A hash that the client made: of "u", by Go.
    let hash = "JDJhJDA0JEVnTmFWMmNFaEtmbU1IQmhwSmNCZXVzVmRXTi9yM0Jsb3FCL1BlSGQxM3FZTlNnMU9xaGFD";
    for request in [change("u", ""), change("", hash)] {
        auth.user_change_password(by(&root, request)).await.unwrap();
        expect(served.kv.put(by(&u, put("a", "1"))).await, Some(INVALID), "the token of an older password");
        u = token(&mut auth, "u").await;
        served.kv.put(by(&u, put("a", "1"))).await.unwrap();
    }
    let mut bearer = Request::new(put("a", "1"));
    bearer.metadata_mut().insert("authorization", format!("Bearer {u}").parse().unwrap());
    served.kv.put(bearer).await.unwrap();
    auth.auth_disable(by(&root, pb::AuthDisableRequest {})).await.unwrap();
    served.put("anything", "1").await;
    served.kv.put(by("nonsense", put("a", "1"))).await.unwrap();
    let off = Some((Code::FailedPrecondition, "etcdserver: authentication is not enabled"));
    let request = pb::AuthenticateRequest { name: "u".into(), password: "u".into() };
    expect(auth.authenticate(request).await, off, "auth is off");
    auth.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    expect(served.kv.put(by(&u, put("a", "1"))).await, Some(INVALID), "a token from before");
}

#[tokio::test]
async fn a_token_made_by_one_shim_is_accepted_by_the_others_at_once() {
    let log = Arc::new(MemoryLog::new());
    let (one, mut two) = (serve_on(log.clone(), options()).await, serve_on(log, options()).await);
    let mut auth = auth(&one);
    people(&mut auth).await;
    for _ in 0..20 {
        let u = token(&mut auth, "u").await;
        // The other one may not have read of any of it yet.
        two.kv.put(by(&u, put("a", "1"))).await.unwrap();
        expect(two.kv.range(by(&u, range("a", ""))).await, Some(DENIED), "a get");
        let root = token(&mut auth, "root").await;
        let request =
            pb::AuthUserChangePasswordRequest { name: "u".into(), password: "u".into(), ..Default::default() };
        auth.user_change_password(by(&root, request)).await.unwrap();
        expect(two.kv.range(by(&u, range("b", ""))).await, Some(INVALID), "a get after the change");
    }
}

#[tokio::test]
async fn concurrent_changes_of_two_shims_each_take_a_revision() {
    let log = Arc::new(MemoryLog::new());
    let (one, two) = (serve_on(log.clone(), options()).await, serve_on(log, options()).await);
    let add = |served: &Served, name: String| {
        let mut auth = auth(served);
        async move { auth.role_add(pb::AuthRoleAddRequest { name }).await.is_ok() }
    };
    let races = (0..20).flat_map(|n| [&one, &two].map(|served| add(served, format!("role-{}", n / 2))));
    let added = futures::future::join_all(races).await;
    assert_eq!(added.iter().filter(|added| **added).count(), 10);
    for served in [&one, &two] {
        let status = auth(served).auth_status(pb::AuthStatusRequest {}).await.unwrap().into_inner();
        assert_eq!(status.auth_revision, 11);
    }
}

#[tokio::test]
async fn a_certificate_names_its_user_but_not_through_a_gateway() {
    let (served, _auth) = serve_people().await;
    let wire = Wire { shim: served.shim.clone(), options: Arc::new(options()), passwords: Passwords::new(4) };
    let shown = |name: &str, key: &str| {
        let mut request = Request::new(put(key, "1"));
        request.extensions_mut().insert(ClientName(name.into()));
        request
    };
    for (name, key, refusal) in [
        ("u", "a", None),
        ("u", "c", Some(DENIED)),
        ("np", "a", Some(DENIED)),
        ("nobody", "a", Some(DENIED)),
        ("", "a", Some(DENIED)),
    ] {
        expect(wire.put(shown(name, key)).await, refusal, name);
    }
    let mut through = shown("root", "a");
    through.metadata_mut().insert("grpcgateway-accept", "*/*".parse().unwrap());
    expect(wire.put(through).await, Some(EMPTY), "a gateway's certificate");
    let mut with_token = shown("root", "a");
    with_token.metadata_mut().insert("token", "nonsense".parse().unwrap());
    expect(wire.put(with_token).await, Some(INVALID), "a token goes before a certificate");
}
