//! etcd's public gRPC API, version 3.7, as Rust types, clients and server traits.
//!
//! One module per protobuf package, named after it. Names and field numbers are etcd's, so all of it is wire
//! compatible with etcd 3.6 and 3.7 and their clients. Every `bytes` field is a [`bytes::Bytes`].
//!
//! The sources are the files in `proto/`, compiled at build time; `protoc` is not needed.

macro_rules! packages {
    ($($(#[$doc:meta])* $module:ident = $package:literal;)*) => {$(
        $(#[$doc])*
        #[allow(missing_docs, unreachable_pub, unused, rustdoc::all, clippy::all, clippy::pedantic, clippy::nursery)]
        pub mod $module {
            tonic::include_proto!($package);
        }
    )*};
}

packages! {
    /// Stored key-value pairs and the changes made to them.
    mvccpb = "mvccpb";
    /// Users, roles and permissions.
    authpb = "authpb";
    /// The services KV, Watch, Lease, Cluster, Maintenance and Auth.
    etcdserverpb = "etcdserverpb";
    /// The service Lock.
    v3lockpb = "v3lockpb";
    /// The service Election.
    v3electionpb = "v3electionpb";
    /// The service Health of the package `grpc.health.v1`.
    health = "grpc.health.v1";
}

/// The encoded `google.protobuf.FileDescriptorSet` of every package here, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[cfg(test)]
mod tests;
