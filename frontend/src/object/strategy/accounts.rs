//! Service accounts: of the secrets that they refer to, only the names are kept.

use super::writer::Writer;
use crate::api::schema::{Object, Struct, Value};

pub(super) fn created(object: &mut Object, _: &Writer) {
    let Some(Value::List(secrets)) = object.get_mut(&["secrets"]) else { return };
    for secret in secrets.iter_mut().filter_map(Value::as_struct_mut) {
        let name = secret.remove("name");
        *secret = Struct::new(&secret.def().clone());
        if let Some(name) = name {
            secret.set("name", name);
        }
    }
}

pub(super) fn changed(object: &mut Object, _: &Object, writer: &Writer) {
    created(object, writer);
}
