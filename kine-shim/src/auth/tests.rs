//! Ranges that roles permit together, and changes as they bump etcd's auth revision.

use bytes::Bytes;
use proto::authpb::{self, permission::Type};

use super::{Auth, AuthRefusal, Caller, Change, Identity, NewPassword, Secret, ranges::KeySet};
use crate::{
    model::{DeleteRange, Key, KeyRange, Op, Put, Refusal, Reply},
    state::State,
};

fn range(key: &str, end: &str) -> KeyRange {
    KeyRange::from_wire(Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(end.as_bytes()))
}

#[test]
fn a_set_of_ranges_covers_what_they_cover_together() {
    // (permitted, asked for, covered), each range as key and end; "" is the key alone, "\0" has no end.
    type Case = (&'static [(&'static str, &'static str)], (&'static str, &'static str), bool);
    let cases: &[Case] = &[
        (&[], ("a", ""), false),
        (&[], ("a", "\0"), false),
        (&[("a", "")], ("a", ""), true),
        (&[("a", "")], ("a\0", ""), false),
        (&[("a", "")], ("a", "a\0"), true),
        (&[("a", "")], ("a", "b"), false),
        (&[("a", ""), ("a\0", "b")], ("a", "b"), true),
        (&[("a", "c")], ("b", ""), true),
        (&[("a", "c")], ("c", ""), false),
        (&[("a", "c")], ("", ""), false),
        (&[("a", "c")], ("a", "c"), true),
        (&[("a", "c")], ("a", "c\0"), false),
        (&[("a", "c")], ("a", "\0"), false),
        (&[("a", "b"), ("b", "c")], ("a", "c"), true),
        (&[("b", "c"), ("a", "b")], ("a", "c"), true),
        (&[("a", "b"), ("b\0", "c")], ("a", "c"), false),
        (&[("a", "d"), ("b", "c")], ("a", "d"), true),
        (&[("a", "c"), ("b", "d"), ("x", "z")], ("a", "d"), true),
        (&[("a", "c"), ("b", "d"), ("x", "z")], ("a", "y"), false),
        (&[("a", "\0")], ("a", "\0"), true),
        (&[("a", "\0")], ("zzz", ""), true),
        (&[("a", "\0")], ("zzz", "\0"), true),
        (&[("a", "\0")], ("\0", "\0"), false),
        (&[("\0", "\0")], ("\0", "\0"), true),
        (&[("a", "m"), ("f", "\0"), ("x", "z")], ("a", "\0"), true),
        (&[("a", "m"), ("n", "\0")], ("a", "\0"), false),
        // A range that ends before it begins holds nothing; etcd asks for the key it begins with.
        (&[("a", "c")], ("b", "a"), true),
        (&[("a", "c")], ("d", "a"), false),
        (&[("a", "c")], ("b", "b"), true),
    ];
    for (permitted, (key, end), covered) in cases {
        let set: KeySet = permitted.iter().map(|(key, end)| range(key, end)).collect();
        assert_eq!(set.covers(&range(key, end)), *covered, "{permitted:?} of {key:?} {end:?}");
    }
}

/// A store that is changed as the log changes it.
#[derive(Default)]
struct Store(Auth);

impl Store {
    fn change(&mut self, change: Change) -> Result<u64, AuthRefusal> {
        for (key, value) in self.0.evaluate(&change)? {
            self.0.apply(&key, &value);
        }
        Ok(self.0.revision())
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn secret() -> Secret {
    Secret(Bytes::from_static(b"secret"))
}

fn add(name: &str) -> Change {
    Change::UserAdd { name: text(name), password: Some(secret()) }
}

fn grant(user: &str, role: &str) -> Change {
    Change::UserGrantRole { user: text(user), role: text(role) }
}

fn permit(role: &str, perm_type: Type, key: &str, end: &str) -> Change {
    let (key, range_end) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(end.as_bytes()));
    let permission = Some(authpb::Permission { perm_type: perm_type as i32, key, range_end });
    Change::RoleGrantPermission { role: text(role), permission }
}

#[test]
fn changes_are_refused_and_counted_as_in_etcd() {
    use AuthRefusal::*;
    let mut store = Store::default();
    let role = |name: &str| Change::RoleAdd { name: text(name) };
    let password = |name: &str, password| Change::UserChangePassword { name: text(name), password };
    let revoke = |role: &str, key: &str, end: &str| Change::RoleRevokePermission {
        role: text(role),
        key: Bytes::copy_from_slice(key.as_bytes()),
        range_end: Bytes::copy_from_slice(end.as_bytes()),
    };
    let take = |user: &str, role: &str| Change::UserRevokeRole { user: text(user), role: text(role) };
    let steps = [
        (Change::Disable, Ok(1)),
        (Change::Enable(secret()), Err(RootUserNotExist)),
        (add(""), Err(UserEmpty)),
        (add("root"), Ok(2)),
        (add("root"), Err(UserAlreadyExist)),
        (Change::Enable(secret()), Err(RootRoleNotExist)),
        // The root role need not exist to be granted.
        (grant("root", "root"), Ok(3)),
        (grant("root", "root"), Ok(3)),
        (grant("nobody", "root"), Err(UserNotFound)),
        (grant("root", "r"), Err(RoleNotFound)),
        (Change::Enable(secret()), Ok(3)),
        (Change::Enable(secret()), Ok(3)),
        (role(""), Err(RoleEmpty)),
        (role("r"), Ok(4)),
        (role("r"), Err(RoleAlreadyExist)),
        (permit("r", Type::Read, "", ""), Err(InvalidManagement)),
        (permit("r", Type::Read, "b", "a"), Err(InvalidManagement)),
        (permit("s", Type::Read, "a", "b"), Err(RoleNotFound)),
        (Change::RoleGrantPermission { role: text("s"), permission: None }, Err(PermissionNotGiven)),
        (permit("r", Type::Read, "a", "b"), Ok(5)),
        (permit("r", Type::Readwrite, "a", "b"), Ok(6)),
        (revoke("r", "a", ""), Err(PermissionNotGranted)),
        (revoke("s", "a", ""), Err(RoleNotFound)),
        (revoke("r", "a", "b"), Ok(7)),
        (add("u"), Ok(8)),
        (grant("u", "r"), Ok(9)),
        (take("u", "root"), Err(RoleNotGranted)),
        (take("root", "root"), Err(InvalidManagement)),
        (take("x", "root"), Err(UserNotFound)),
        (Change::RoleDelete { name: text("root") }, Err(InvalidManagement)),
        (Change::RoleDelete { name: text("x") }, Err(RoleNotFound)),
        (Change::RoleDelete { name: text("r") }, Ok(10)),
        (take("u", "r"), Err(RoleNotGranted)),
        (password("x", NewPassword::Hash(secret())), Err(UserNotFound)),
        (password("u", NewPassword::Unreadable), Err(NoPasswordUser)),
        (password("u", NewPassword::Hash(secret())), Ok(11)),
        (Change::UserDelete { name: text("root") }, Err(InvalidManagement)),
        (Change::UserDelete { name: text("u") }, Ok(12)),
        (Change::UserDelete { name: text("u") }, Err(UserNotFound)),
        (Change::Disable, Ok(13)),
        (Change::Disable, Ok(13)),
        (Change::UserDelete { name: text("root") }, Ok(14)),
    ];
    for (at, (change, expected)) in steps.into_iter().enumerate() {
        let shown = format!("step {at}: {change:?}");
        assert_eq!(store.change(change), expected, "{shown}");
    }
    assert_eq!((store.0.user_names(), store.0.role_names()), (vec![], vec![]));
}

#[test]
fn a_second_range_from_the_same_key_is_added_beside_the_first() {
    let mut store = Store::default();
    let role = Change::RoleAdd { name: text("r") };
    let changes = [
        role,
        permit("r", Type::Read, "a", "b"),
        permit("r", Type::Read, "a", "c"),
        permit("r", Type::Write, "a", "c"),
    ];
    for change in changes {
        store.change(change).unwrap();
    }
    let kept: Vec<_> =
        store.0.permissions_of("r").unwrap().iter().map(|of| (of.range_end.clone(), of.perm_type)).collect();
    assert_eq!(kept, [(Key::from("b"), 0), (Key::from("c"), 0), (Key::from("c"), 1)]);
}

fn commit(state: &mut State, op: Op, caller: &Caller) -> Result<Reply, Refusal> {
    let mut draft = state.draft();
    let reply = draft.evaluate_as(&op, caller)?;
    *state = draft.finish(uuid::Uuid::new_v4(), uuid::Uuid::nil(), 0).1;
    Ok(reply)
}

/// Auth is on, and a user "u" has a role "r" with these permissions.
fn enabled(permissions: impl IntoIterator<Item = Change>) -> State {
    let mut state = State::new();
    let people = [add("root"), grant("root", "root"), add("u"), Change::RoleAdd { name: text("r") }, grant("u", "r")];
    for change in people.into_iter().chain(permissions).chain([Change::Enable(secret())]) {
        commit(&mut state, Op::Auth(change), &Caller::Nobody).unwrap();
    }
    state
}

fn user(state: &State, name: &str) -> Caller {
    Caller::User(Identity { name: name.into(), revision: state.auth().revision() })
}

#[test]
fn what_is_judged_sees_the_changes_before_it() {
    let mut state = enabled([permit("r", Type::Write, "a", "c"), permit("r", Type::Read, "b", "")]);
    let put = |key: &str, prev_kv| {
        let (key, value) = (Key::copy_from_slice(key.as_bytes()), Bytes::new());
        Op::Put(Put { prev_kv, ..Put::of(key, value) })
    };
    let delete = |prev_kv| Op::DeleteRange(DeleteRange { range: range("a", "c"), prev_kv });
    let denied = Some(Refusal::Auth(AuthRefusal::PermissionDenied));
    let empty = Some(Refusal::Auth(AuthRefusal::UserEmpty));
    let u = user(&state, "u");
    for (op, caller, refusal) in [
        (put("a", false), &Caller::Nobody, empty),
        (put("a", false), &u, None),
        (put("a", true), &u, denied),
        (put("b", true), &u, None),
        (put("c", false), &u, denied),
        (delete(true), &u, denied),
        (delete(false), &u, None),
        (Op::Compact { revision: 2 }, &u, denied),
        (Op::Compact { revision: 2 }, &Caller::Shim, None),
        (Op::Auth(Change::Disable), &u, denied),
        (Op::LeaseGrant { id: 1, ttl: 9 }, &Caller::Nobody, empty),
        (Op::LeaseGrant { id: 1, ttl: 9 }, &u, None),
    ] {
        assert_eq!(commit(&mut state, op.clone(), caller).err(), refusal, "{op:?} of {caller:?}");
    }
    // Within one batch, too: what is evaluated after a change is evaluated by it.
    let root = user(&state, "root");
    let mut draft = state.draft();
    draft.evaluate_as(&Op::Auth(Change::RoleDelete { name: text("r") }), &root).unwrap();
    let old = Err(Refusal::Auth(AuthRefusal::OldRevision));
    assert_eq!(draft.evaluate_as(&put("a", false), &u), old);
    assert_eq!(draft.evaluate_as(&put("a", false), &user(draft.state(), "u")).err(), denied);
    assert_eq!(draft.evaluate_as(&put("a", false), &root), old);
    // An old token of the root user still rules.
    draft.evaluate_as(&Op::Auth(Change::Disable), &root).unwrap();
    draft.evaluate_as(&put("z", true), &Caller::Nobody).unwrap();
}

#[test]
fn a_lease_belongs_to_whoever_may_write_its_keys() {
    let mut state = enabled([permit("r", Type::Readwrite, "a", "b")]);
    let u = user(&state, "u");
    let put = |key: &str, lease| {
        let (key, value) = (Key::copy_from_slice(key.as_bytes()), Bytes::new());
        Op::Put(Put { lease, ..Put::of(key, value) })
    };
    let denied = Some(Refusal::Auth(AuthRefusal::PermissionDenied));
    for (op, caller, refusal) in [
        (Op::LeaseGrant { id: 1, ttl: 9 }, &u, None),
        (put("a1", 1), &u, None),
        (put("b1", 1), &Caller::Shim, None),
        (put("a2", 1), &u, denied),
        (Op::LeaseRevoke { id: 1 }, &u, denied),
        (Op::DeleteRange(DeleteRange { range: range("b1", ""), prev_kv: false }), &Caller::Shim, None),
        (put("a2", 1), &u, None),
        (Op::LeaseRevoke { id: 1 }, &u, None),
        (Op::LeaseRevoke { id: 1 }, &u, Some(Refusal::LeaseNotFound)),
    ] {
        assert_eq!(commit(&mut state, op.clone(), caller).err(), refusal, "{op:?}");
    }
}
