use std::sync::Arc;

use bytes::BytesMut;
use uuid::Uuid;

use super::{
    Door,
    frames::{Answer, Ask, Frame, Said, WireBatch},
};
use crate::{
    auth::{Caller, Identity},
    log::{Member, Peer, memory::MemoryLog},
    members::Members,
    model::{
        Batch, Compare, CompareResult, CompareTarget, DeleteRange, DeleteRangeReply, Entry, EntryKind, Grant, Key,
        KeyRange, KeyValue, Op, Position, Put, PutReply, Range, RangeEnd, RangeReply, ReadAt, Reply, SortOrder,
        SortTarget, Txn, TxnOp, TxnOpReply, TxnReply,
    },
    sequencer::{ForwardedOutcome as Outcome, Told},
    settings::ShimConfig,
    shim::Shim,
};

fn key(text: &'static str) -> Key {
    Key::from_static(text.as_bytes())
}

fn put() -> Put {
    Put { lease: 7, prev_kv: true, ignore_lease: true, ..Put::of(key("k"), key("v")) }
}

fn kv() -> KeyValue {
    KeyValue { key: key("k"), value: key("v"), create_revision: 2, mod_revision: 5, version: 3, lease: 7 }
}

/// Each of the model's words at least once.
fn txn() -> Txn {
    use CompareResult::{Anything, Equal, Greater, Less, NotEqual};
    let targets = [
        (Equal, CompareTarget::Version(1)),
        (Greater, CompareTarget::Create(2)),
        (Less, CompareTarget::Mod(3)),
        (NotEqual, CompareTarget::Value(key("x"))),
        (Anything, CompareTarget::Lease(4)),
        (Equal, CompareTarget::Nothing),
    ];
    let ends = [RangeEnd::Single, RangeEnd::Unbounded, RangeEnd::Before(key("z"))];
    let range = |end: &RangeEnd| KeyRange { start: key("a"), end: end.clone() };
    let compare = targets.into_iter().zip(ends.iter().cycle());
    let look = Range {
        at: ReadAt::Revision(9),
        limit: 5,
        sort_target: SortTarget::Mod,
        sort_order: SortOrder::Descend,
        keys_only: true,
        count_only: true,
        mod_revisions: (1, 2),
        create_revisions: (3, 4),
        ..Range::of(range(&ends[2]))
    };
    let delete = DeleteRange { range: range(&ends[1]), prev_kv: true };
    let inner = Txn { compare: vec![], success: vec![TxnOp::Put(put())], failure: vec![] };
    Txn {
        compare: compare.map(|((result, target), end)| Compare { range: range(end), result, target }).collect(),
        success: vec![TxnOp::Range(look), TxnOp::Txn(inner)],
        failure: vec![TxnOp::DeleteRange(delete), TxnOp::Range(Range::of(range(&ends[0])))],
    }
}

/// Through bytes that come in two pieces.
fn carried(said: Said) -> Said {
    let mut bytes = BytesMut::new();
    Frame::from(said).write(&mut bytes);
    let rest = bytes.split_off(bytes.len() / 2);
    assert!(Frame::read(&mut bytes).expect("a part").is_none());
    bytes.extend_from_slice(&rest);
    let said = Frame::read(&mut bytes).expect("a frame").expect("a whole one").said;
    assert!(bytes.is_empty());
    said.expect("a content")
}

#[test]
fn operations_travel_whole() {
    let delete = DeleteRange { range: KeyRange::single(key("k")), prev_kv: false };
    let user = Caller::User(Identity { name: "ann".into(), revision: 3 });
    let ops = [
        (Op::Put(put()), Caller::Nobody),
        (Op::DeleteRange(delete), user),
        (Op::Txn(txn()), Caller::Shim),
        (Op::Compact { revision: 8 }, Caller::Nobody),
        (Op::LeaseGrant { id: 4, ttl: 60 }, Caller::Nobody),
        (Op::LeaseRevoke { id: 4 }, Caller::Nobody),
    ];
    for (id, (op, caller)) in (0..).zip(ops) {
        let Said::Ask(ask) = carried(Said::Ask(Ask::of(id, &op, &caller).expect("it travels"))) else {
            panic!("{op:?}")
        };
        assert_eq!(ask.read().expect("readable"), (id, op, caller));
    }
    let grant = Grant { id: 1, at: Position(2) };
    for op in [Op::LeaseExpire(grant), Op::Record { key: key("k"), value: key("v") }] {
        assert!(Ask::of(1, &op, &Caller::Shim).is_none());
    }
}

#[test]
fn replies_travel_whole() {
    let range = RangeReply { kvs: vec![kv()], more: true, count: 3, revision: 6 };
    let inner = TxnReply { succeeded: false, replies: vec![TxnOpReply::Range(range)], revision: 0 };
    let delete = DeleteRangeReply { deleted: 2, prevs: vec![kv(), kv()], revision: 6 };
    let txn = TxnReply {
        succeeded: true,
        replies: vec![TxnOpReply::Txn(inner), TxnOpReply::DeleteRange(delete.clone())],
        revision: 6,
    };
    let replies = [
        Reply::Put(PutReply { prev: Some(kv()), revision: 6 }),
        Reply::Put(PutReply { prev: None, revision: 6 }),
        Reply::DeleteRange(delete),
        Reply::Txn(txn),
        Reply::Compact,
        Reply::LeaseGrant,
        Reply::LeaseRevoke,
    ];
    let done = |reply| Outcome::Done { revision: 6, reply, position: Position(4) };
    let outcomes = replies.into_iter().map(done).chain([Outcome::Left, Outcome::Unknown("why".into())]);
    for (id, outcome) in (0..).zip(outcomes) {
        let text = format!("{outcome:?}");
        let Said::Answer(answer) = carried(Said::Answer(Answer::of(id, outcome))) else { panic!("{text}") };
        assert_eq!((answer.id, format!("{:?}", answer.read())), (id, text));
    }
}

#[test]
fn batches_travel_whole() {
    let entry = Entry { revision: 5, sub_revision: 1, key: key("k"), value: key("v"), ..Entry::plain(EntryKind::Put) };
    let batch = Batch {
        position: Position(9),
        id: Uuid::from_u128(1),
        prev_id: Uuid::from_u128(2),
        first_revision: 5,
        last_revision: 6,
        writer: Uuid::from_u128(3),
        at_ms: 77,
        entries: vec![(0, entry), (3, Entry { lease: 8, version: 9, ..Entry::plain(EntryKind::LeaseGrant) })],
    };
    let told = Told { batch: Arc::new(batch), database: key("here/1") };
    let Said::Told(wire) = carried(Said::Told(WireBatch::of(&told))) else { panic!("another frame") };
    let read = wire.read().expect("readable");
    assert_eq!((read.batch, read.database), (told.batch, told.database));
}

#[test]
fn what_is_no_frame_is_a_fault() {
    assert!(Frame::read(&mut BytesMut::from(&[255_u8; 64][..])).is_err(), "too long");
    assert!(Frame::read(&mut BytesMut::from(&[0, 0, 0, 2, 255, 255][..])).is_err(), "no message");
}

/// Whose certificate is not in the list of members is turned away, and so is a server with another one.
#[tokio::test]
async fn only_members_are_admitted() {
    let shim = Shim::start(Arc::new(MemoryLog::new()), ShimConfig::default()).await.expect("a shim");
    let stranger = Door::open("127.0.0.1:0", None, Uuid::from_u128(1)).await.expect("a door");
    let door = Door::open("127.0.0.1:0", None, shim.writer()).await.expect("a door");
    let (peer, members) = (door.peer().clone(), Members::default());
    let own = Member { id: 1, peer: Some(peer.clone()), ..Member::default() };
    let serving = tokio::spawn(door.run(shim.clone(), members, own));
    let reach = |peer: Peer| stranger.reach(shim.clone(), peer);
    // Both end at once, instead of following for ever.
    reach(peer.clone()).await;
    reach(Peer { certificate: vec![0; 32], ..peer }).await;
    serving.abort();
    shim.stop().await;
}
