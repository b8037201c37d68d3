//! The gRPC methods and codes that metrics tell apart.

use prometheus_client::encoding::EncodeLabelSet;
use tonic::Code;

/// A gRPC method. Values come from a closed list (see [`methods`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MethodLabels {
    pub grpc_service: &'static str,
    pub grpc_method: &'static str,
    pub grpc_type: &'static str,
}

pub(crate) const UNARY: &str = "unary";
const SERVER_STREAM: &str = "server_stream";
const BIDI_STREAM: &str = "bidi_stream";

/// Labels are of a closed list: a client cannot make us remember paths of its own.
const METHODS: &[(&str, &str, &[&str])] = &[
    ("etcdserverpb.KV", UNARY, &["Range", "Put", "DeleteRange", "Txn", "Compact"]),
    ("etcdserverpb.KV", SERVER_STREAM, &["RangeStream"]),
    ("etcdserverpb.Watch", BIDI_STREAM, &["Watch"]),
    ("etcdserverpb.Lease", UNARY, &["LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"]),
    ("etcdserverpb.Lease", BIDI_STREAM, &["LeaseKeepAlive"]),
    ("etcdserverpb.Cluster", UNARY, &["MemberList", "MemberAdd", "MemberRemove", "MemberUpdate", "MemberPromote"]),
    (
        "etcdserverpb.Maintenance",
        UNARY,
        &["Alarm", "Status", "Defragment", "Hash", "HashKV", "MoveLeader", "Downgrade"],
    ),
    ("etcdserverpb.Maintenance", SERVER_STREAM, &["Snapshot"]),
    ("etcdserverpb.Auth", UNARY, &["AuthEnable", "AuthDisable", "AuthStatus", "Authenticate"]),
    (
        "etcdserverpb.Auth",
        UNARY,
        &["UserAdd", "UserGet", "UserList", "UserDelete", "UserChangePassword", "UserGrantRole", "UserRevokeRole"],
    ),
    (
        "etcdserverpb.Auth",
        UNARY,
        &["RoleAdd", "RoleGet", "RoleList", "RoleDelete", "RoleGrantPermission", "RoleRevokePermission"],
    ),
    ("v3lockpb.Lock", UNARY, &["Lock", "Unlock"]),
    ("v3electionpb.Election", UNARY, &["Campaign", "Proclaim", "Leader", "Resign"]),
    ("v3electionpb.Election", SERVER_STREAM, &["Observe"]),
    ("grpc.health.v1.Health", UNARY, &["Check", "List"]),
    ("grpc.health.v1.Health", SERVER_STREAM, &["Watch"]),
];

pub(crate) const OTHER: MethodLabels = MethodLabels { grpc_service: "other", grpc_method: "other", grpc_type: UNARY };

/// Shown from the start, at 0, as etcd does: a rate needs a beginning.
pub(crate) fn methods() -> impl Iterator<Item = MethodLabels> {
    let of = |(grpc_service, grpc_type, names): &'static (&'static str, &'static str, &'static [&'static str])| {
        names.iter().map(|grpc_method| MethodLabels { grpc_service, grpc_method, grpc_type })
    };
    METHODS.iter().flat_map(of)
}

pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
