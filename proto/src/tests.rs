use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;

use crate::{FILE_DESCRIPTOR_SET, etcdserverpb, mvccpb};

/// Every message, field, enum value and method of etcd 3.7.3, read out of its compiled Go descriptors.
const ETCD: &str = include_str!("../testdata/etcd-3.7.3.txt");

/// The parts of `google/protobuf/descriptor.proto` looked at here.
mod descriptor {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Set {
        #[prost(message, repeated, tag = "1")]
        pub(super) file: Vec<File>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct File {
        #[prost(string, tag = "2")]
        pub(super) package: String,
        #[prost(message, repeated, tag = "4")]
        pub(super) messages: Vec<Message>,
        #[prost(message, repeated, tag = "5")]
        pub(super) enums: Vec<Enum>,
        #[prost(message, repeated, tag = "6")]
        pub(super) services: Vec<Service>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Message {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) fields: Vec<Field>,
        #[prost(message, repeated, tag = "3")]
        pub(super) messages: Vec<Message>,
        #[prost(message, repeated, tag = "4")]
        pub(super) enums: Vec<Enum>,
        #[prost(message, repeated, tag = "8")]
        pub(super) oneofs: Vec<Oneof>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Field {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(int32, tag = "3")]
        pub(super) number: i32,
        #[prost(int32, tag = "4")]
        pub(super) label: i32,
        #[prost(int32, tag = "5")]
        pub(super) kind: i32,
        #[prost(string, tag = "6")]
        pub(super) type_name: String,
        #[prost(int32, optional, tag = "9")]
        pub(super) oneof: Option<i32>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Oneof {
        #[prost(string, tag = "1")]
        pub(super) name: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Enum {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) values: Vec<EnumValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct EnumValue {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(int32, tag = "2")]
        pub(super) number: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Service {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) methods: Vec<Method>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Method {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) input: String,
        #[prost(string, tag = "3")]
        pub(super) output: String,
        #[prost(bool, tag = "5")]
        pub(super) client_streaming: bool,
        #[prost(bool, tag = "6")]
        pub(super) server_streaming: bool,
    }
}

/// The descriptor set as lines of the form used in [`ETCD`].
fn ours() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in descriptor::Set::decode(FILE_DESCRIPTOR_SET).unwrap().file {
        file.enums.iter().for_each(|e| describe_enum(&file.package, e, &mut lines));
        file.messages.iter().for_each(|m| describe_message(&file.package, m, &mut lines));
        for service in &file.services {
            for method in &service.methods {
                lines.insert(format!(
                    "rpc {}.{}/{} {}{} -> {}{}",
                    file.package,
                    service.name,
                    method.name,
                    if method.client_streaming { "stream " } else { "" },
                    method.input.trim_start_matches('.'),
                    if method.server_streaming { "stream " } else { "" },
                    method.output.trim_start_matches('.'),
                ));
            }
        }
    }
    lines
}

fn describe_message(scope: &str, message: &descriptor::Message, lines: &mut BTreeSet<String>) {
    let name = format!("{scope}.{}", message.name);
    lines.insert(format!("message {name}"));
    for field in &message.fields {
        let kind = match field.kind {
            3 => "int64",
            4 => "uint64",
            8 => "bool",
            9 => "string",
            11 | 14 => field.type_name.trim_start_matches('.'),
            12 => "bytes",
            13 => "uint32",
            other => panic!("{name}.{} has type {other}", field.name),
        };
        let repeated = if field.label == 3 { "repeated " } else { "" };
        let oneof = match field.oneof {
            Some(index) => format!(" in {}", message.oneofs[usize::try_from(index).unwrap()].name),
            None => String::new(),
        };
        lines.insert(format!("field {name} {} = {}: {repeated}{kind}{oneof}", field.name, field.number));
    }
    message.enums.iter().for_each(|e| describe_enum(&name, e, lines));
    message.messages.iter().for_each(|m| describe_message(&name, m, lines));
}

fn describe_enum(scope: &str, of: &descriptor::Enum, lines: &mut BTreeSet<String>) {
    for value in &of.values {
        lines.insert(format!("enum {scope}.{} {} = {}", of.name, value.name, value.number));
    }
}

fn assert_same(keep: impl Fn(&str) -> bool) {
    let etcd: BTreeSet<String> = ETCD.lines().filter(|l| keep(l)).map(str::to_owned).collect();
    let ours: BTreeSet<String> = ours().into_iter().filter(|l| keep(l)).collect();
    assert!(!etcd.is_empty());
    let missing: Vec<_> = etcd.difference(&ours).collect();
    let extra: Vec<_> = ours.difference(&etcd).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:#?}\nextra: {extra:#?}");
}

#[test]
fn every_message_is_etcds() {
    assert_same(|line| !line.starts_with("rpc "));
}

#[test]
fn every_method_is_etcds() {
    assert_same(|line| line.starts_with("rpc "));
}

#[test]
fn the_methods_that_matter_are_there() {
    // Guards the list above, which could lose lines together with the descriptors.
    let ours = ours();
    let services = [
        ("KV", "Range RangeStream Put DeleteRange Txn Compact"),
        ("Watch", "Watch"),
        ("Lease", "LeaseGrant LeaseRevoke LeaseKeepAlive LeaseTimeToLive LeaseLeases"),
        ("Cluster", "MemberAdd MemberRemove MemberUpdate MemberList MemberPromote"),
        ("Maintenance", "Alarm Status Defragment Hash HashKV Snapshot MoveLeader Downgrade"),
        (
            "Auth",
            "AuthEnable AuthDisable AuthStatus Authenticate UserAdd UserGet UserList UserDelete UserChangePassword \
             UserGrantRole UserRevokeRole RoleAdd RoleGet RoleList RoleDelete RoleGrantPermission RoleRevokePermission",
        ),
    ];
    let mut count = 0;
    for (service, methods) in services {
        for method in methods.split(' ') {
            let start = format!("rpc etcdserverpb.{service}/{method} ");
            assert!(ours.iter().any(|line| line.starts_with(&start)), "{start}is missing");
            count += 1;
        }
    }
    assert_eq!(ours.iter().filter(|line| line.starts_with("rpc etcdserverpb.")).count(), count);
}

#[test]
fn range_request_bytes() {
    use etcdserverpb::range_request::{SortOrder, SortTarget};

    let request = etcdserverpb::RangeRequest {
        key: Bytes::from_static(b"a"),
        range_end: Bytes::from_static(b"b"),
        limit: 3,
        revision: 300,
        sort_order: SortOrder::Descend.into(),
        sort_target: SortTarget::Value.into(),
        serializable: true,
        keys_only: true,
        count_only: true,
        min_mod_revision: 10,
        max_mod_revision: 11,
        min_create_revision: 12,
        max_create_revision: 13,
    };
    // A tag is the field number times eight, plus 2 for bytes.
    let wire = [
        &[0x0a, 1, b'a'][..],
        &[0x12, 1, b'b'],
        &[0x18, 3],
        &[0x20, 0xac, 0x02],
        &[0x28, 2],
        &[0x30, 4],
        &[0x38, 1],
        &[0x40, 1],
        &[0x48, 1],
        &[0x50, 10],
        &[0x58, 11],
        &[0x60, 12],
        &[0x68, 13],
    ]
    .concat();
    assert_eq!(request.encode_to_vec(), wire);
    assert_eq!(etcdserverpb::RangeRequest::decode(&wire[..]).unwrap(), request);
}

#[test]
fn compare_and_watch_response_bytes() {
    use etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};

    let compare = etcdserverpb::Compare {
        result: CompareResult::NotEqual.into(),
        target: CompareTarget::Mod.into(),
        key: Bytes::from_static(b"k"),
        range_end: Bytes::from_static(b"l"),
        // The operand of a zero comparison is sent all the same: it is in a oneof.
        target_union: Some(TargetUnion::ModRevision(0)),
    };
    assert_eq!(compare.encode_to_vec(), [0x08, 3, 0x10, 2, 0x1a, 1, b'k', 0x30, 0, 0x82, 0x04, 1, b'l']);

    let response = etcdserverpb::WatchResponse {
        header: Some(etcdserverpb::ResponseHeader { cluster_id: 1, member_id: 2, revision: 3, raft_term: 4 }),
        watch_id: -1,
        fragment: true,
        events: vec![mvccpb::Event {
            r#type: mvccpb::event::EventType::Delete.into(),
            kv: Some(mvccpb::KeyValue { key: Bytes::from_static(b"k"), mod_revision: 3, ..Default::default() }),
            prev_kv: None,
        }],
        ..Default::default()
    };
    let wire = [
        &[0x0a, 8, 0x08, 1, 0x10, 2, 0x18, 3, 0x20, 4][..],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x38, 1],
        &[0x5a, 9, 0x08, 1, 0x12, 5, 0x0a, 1, b'k', 0x18, 3],
    ]
    .concat();
    assert_eq!(response.encode_to_vec(), wire);
}
