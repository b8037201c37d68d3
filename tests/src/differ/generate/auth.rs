//! Users, roles and what they may do. Requests go with the token of root, of another user, with one never given out, or
//! with none.

use proto::{authpb, etcdserverpb as pb};
use rand::RngExt;

use super::{Generator, kv, lease, txn};
use crate::differ::player::{AUTHENTICATE, WATCH};

const USERS: [&str; 5] = ["root", "alice", "bob", "bob", "nobody"];
const ROLES: [&str; 4] = ["root", "r1", "r2", "nothing"];

/// A user or a role is changed or looked at, mostly by root.
pub(super) fn change(g: &mut Generator) {
    let by = if g.rarely(6) { caller(g) } else { "root" };
    let (user, role) = (g.of(&USERS).to_owned(), g.of(&ROLES).to_owned());
    match g.rng.random_range(0..16) {
        0 | 1 => {
            let name = if g.rarely(12) { String::new() } else { user };
            let password = if g.rarely(8) { String::new() } else { name.clone() };
            let options = if g.rarely(3) { Some(authpb::UserAddOptions { no_password: g.rarely(3) }) } else { None };
            let hashed_password = String::new();
            g.unary_as(by, &path("UserAdd"), pb::AuthUserAddRequest { name, password, options, hashed_password });
        }
        2 => g.unary_as(by, &path("UserGet"), pb::AuthUserGetRequest { name: user }),
        3 => g.unary_as(by, &path("UserList"), pb::AuthUserListRequest {}),
        4 if g.rarely(2) => g.unary_as(by, &path("UserDelete"), pb::AuthUserDeleteRequest { name: user }),
        4 | 5 => {
            let password = if g.rarely(8) { "other".to_owned() } else { user.clone() };
            let request = pb::AuthUserChangePasswordRequest { name: user, password, hashed_password: String::new() };
            g.unary_as(by, &path("UserChangePassword"), request);
        }
        6 | 7 => g.unary_as(by, &path("UserGrantRole"), pb::AuthUserGrantRoleRequest { user, role }),
        8 => g.unary_as(by, &path("UserRevokeRole"), pb::AuthUserRevokeRoleRequest { name: user, role }),
        9 => {
            let name = if g.rarely(12) { String::new() } else { role };
            g.unary_as(by, &path("RoleAdd"), pb::AuthRoleAddRequest { name });
        }
        10 => g.unary_as(by, &path("RoleGet"), pb::AuthRoleGetRequest { role }),
        11 => g.unary_as(by, &path("RoleList"), pb::AuthRoleListRequest {}),
        12 if g.rarely(2) => g.unary_as(by, &path("RoleDelete"), pb::AuthRoleDeleteRequest { role }),
        12 | 13 => {
            let (key, range_end) = g.key_range();
            g.unary_as(by, &path("RoleRevokePermission"), pb::AuthRoleRevokePermissionRequest { role, key, range_end });
        }
        _ => {
            let (key, range_end) = g.key_range();
            let perm = authpb::Permission { perm_type: g.of(&[0, 1, 2, 2, 9]), key, range_end };
            let perm = if g.rarely(20) { None } else { Some(perm) };
            g.unary_as(by, &path("RoleGrantPermission"), pb::AuthRoleGrantPermissionRequest { name: role, perm });
        }
    }
}

pub(super) fn login(g: &mut Generator) {
    let name = g.of(&USERS).to_owned();
    let password = if g.rarely(6) { g.of(&["", "other", "wrong"]).to_owned() } else { name.clone() };
    g.unary(AUTHENTICATE, pb::AuthenticateRequest { name, password });
}

/// Mostly on: with the root user and role that it takes, and logins after it.
pub(super) fn toggle(g: &mut Generator) {
    if g.rarely(3) {
        let by = if g.rarely(3) { caller(g) } else { "root" };
        return g.unary_as(by, &path("AuthDisable"), pb::AuthDisableRequest {});
    }
    if !g.rarely(4) {
        let (name, role) = ("root".to_owned(), "root".to_owned());
        let user = pb::AuthUserAddRequest { name: name.clone(), password: name.clone(), ..Default::default() };
        g.unary_as("root", &path("UserAdd"), user);
        g.unary_as("root", &path("RoleAdd"), pb::AuthRoleAddRequest { name: role.clone() });
        g.unary_as("root", &path("UserGrantRole"), pb::AuthUserGrantRoleRequest { user: name, role });
    }
    g.unary_as("root", &path("AuthEnable"), pb::AuthEnableRequest {});
    for name in ["root", "alice", "bob"] {
        g.unary(AUTHENTICATE, pb::AuthenticateRequest { name: name.to_owned(), password: name.to_owned() });
    }
}

/// What the other services say to somebody.
pub(super) fn access(g: &mut Generator) {
    let by = caller(g);
    match g.rng.random_range(0..20) {
        0..4 => {
            let request = kv::range_request(g);
            g.unary_as(by, kv::RANGE, request);
        }
        4..8 => {
            let request = kv::put_request(g);
            g.unary_as(by, kv::PUT, request);
        }
        8..10 => {
            let request = kv::delete_request(g);
            g.unary_as(by, kv::DELETE_RANGE, request);
        }
        10..13 => {
            let request = txn::whole(g);
            g.unary_as(by, txn::TXN, request);
        }
        13 if g.rarely(4) => {
            g.unary_as(by, kv::COMPACT, pb::CompactionRequest { revision: g.revision, physical: false });
        }
        13 => g.unary_as(by, &path("AuthStatus"), pb::AuthStatusRequest {}),
        14 | 15 => lease::any_as(g, by),
        16 | 17 => {
            let (key, range_end) = g.key_range();
            let create = pb::WatchCreateRequest { key, range_end, ..Default::default() };
            let request_union = Some(pb::watch_request::RequestUnion::CreateRequest(create));
            g.first_as(by, WATCH, pb::WatchRequest { request_union });
        }
        _ => super::operator::any_as(g, by),
    }
}

/// A name that has a token, or had one; "ghost" goes with a token of its own making.
fn caller(g: &mut Generator) -> &'static str {
    g.of(&["root", "alice", "alice", "alice", "bob", "bob", "bob", "", "ghost"])
}

fn path(method: &str) -> String {
    format!("/etcdserverpb.Auth/{method}")
}
