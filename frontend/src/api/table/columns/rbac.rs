//! Bindings of roles, and certificate signing requests.

use super::super::{
    column::{AGE, Cell, CellValue, Doc, NAME, Printer, printer, text},
    format::human_duration,
    row::Row,
    value::text_in,
};

pub(super) static ROLE_BINDING: Printer = printer(&[
    NAME,
    text("Role", Doc::Field(&["roleRef"]), Cell::With(role)),
    AGE,
    text("Users", Doc::Text("Users in the roleBinding"), Cell::With(users)).wide(),
    text("Groups", Doc::Text("Groups in the roleBinding"), Cell::With(groups)).wide(),
    text("ServiceAccounts", Doc::Text("ServiceAccounts in the roleBinding"), Cell::With(accounts)).wide(),
])
.described_by("rbac.authorization.k8s.io", "v1beta1");

pub(super) static CLUSTER_ROLE_BINDING: Printer = printer(&[
    NAME,
    text("Role", Doc::Field(&["roleRef"]), Cell::With(role)),
    AGE,
    text("Users", Doc::Text("Users in the clusterRoleBinding"), Cell::With(users)).wide(),
    text("Groups", Doc::Text("Groups in the clusterRoleBinding"), Cell::With(groups)).wide(),
    text("ServiceAccounts", Doc::Text("ServiceAccounts in the clusterRoleBinding"), Cell::With(accounts)).wide(),
])
.described_by("rbac.authorization.k8s.io", "v1beta1");

pub(super) static SIGNING_REQUEST: Printer = printer(&[
    NAME,
    AGE,
    text("SignerName", Doc::Field(&["spec", "signerName"]), Cell::With(signer)),
    text("Requestor", Doc::Field(&["spec", "request"]), Cell::Text(&["spec", "username"])),
    text("RequestedDuration", Doc::Field(&["spec", "expirationSeconds"]), Cell::With(requested_duration)),
    text("Condition", Doc::Field(&["status", "conditions"]), Cell::With(request_state)),
])
.described_by("certificates.k8s.io", "v1beta1");

fn role(row: &Row<'_>) -> CellValue {
    format!("{}/{}", row.text(&["roleRef", "kind"]), row.text(&["roleRef", "name"])).into()
}

fn subjects(row: &Row<'_>, kind: &str) -> CellValue {
    let named = row.list(&["subjects"]).iter().filter(|s| text_in(s, &["kind"]) == kind);
    let name = |subject| match kind {
        "ServiceAccount" => format!("{}/{}", text_in(subject, &["namespace"]), text_in(subject, &["name"])),
        _ => text_in(subject, &["name"]).to_owned(),
    };
    named.map(name).collect::<Vec<_>>().join(", ").into()
}

fn users(row: &Row<'_>) -> CellValue {
    subjects(row, "User")
}

fn groups(row: &Row<'_>) -> CellValue {
    subjects(row, "Group")
}

fn accounts(row: &Row<'_>) -> CellValue {
    subjects(row, "ServiceAccount")
}

fn signer(row: &Row<'_>) -> CellValue {
    super::super::format::or_none(row.text(&["spec", "signerName"]).to_owned()).into()
}

fn requested_duration(row: &Row<'_>) -> CellValue {
    match row.object.get_i64(&["spec", "expirationSeconds"]) {
        Some(seconds) => human_duration(i128::from(seconds) * 1000).into(),
        None => "<none>".into(),
    }
}

fn request_state(row: &Row<'_>) -> CellValue {
    let has = |kind| row.list(&["status", "conditions"]).iter().any(|c| text_in(c, &["type"]) == kind);
    let mut state = match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    }
    .to_owned();
    if has("Failed") {
        state.push_str(",Failed");
    }
    if row.value(&["status", "certificate"]).is_some_and(|c| !c.is_zero()) {
        state.push_str(",Issued");
    }
    state.into()
}
