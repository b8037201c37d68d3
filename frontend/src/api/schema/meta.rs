//! metadata by its names: what every verb asks of every object, whatever its kind.

use super::{
    object::Object,
    value::{MapValue, Value},
};

const METADATA: &str = "metadata";

/// One entry of ownerReferences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerReference<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub controller: bool,
    pub block_owner_deletion: bool,
}

macro_rules! text_fields {
    ($($get:ident $set:ident $name:literal;)*) => {
        /// Texts read as "" when absent, as in Go; setting "" removes.
        impl Object {$(
            pub fn $get(&self) -> &str {
                self.get_str(&[METADATA, $name]).unwrap_or("")
            }

            pub fn $set(&mut self, value: &str) {
                if value.is_empty() {
                    self.remove(&[METADATA, $name]);
                } else {
                    self.set(&[METADATA, $name], value);
                }
            }
        )*}
    };
}

text_fields! {
    name set_name "name";
    generate_name set_generate_name "generateName";
    namespace set_namespace "namespace";
    self_link set_self_link "selfLink";
    uid set_uid "uid";
    resource_version set_resource_version "resourceVersion";
    creation_timestamp set_creation_timestamp "creationTimestamp";
}

impl Object {
    pub fn generation(&self) -> i64 {
        self.get_i64(&[METADATA, "generation"]).unwrap_or(0)
    }

    pub fn set_generation(&mut self, generation: i64) {
        self.set(&[METADATA, "generation"], generation);
    }

    /// RFC 3339 in UTC.
    pub fn deletion_timestamp(&self) -> Option<&str> {
        self.get_str(&[METADATA, "deletionTimestamp"])
    }

    pub fn set_deletion_timestamp(&mut self, at: Option<&str>) {
        self.set_or_remove("deletionTimestamp", at.map(Value::from));
    }

    pub fn deletion_grace_period_seconds(&self) -> Option<i64> {
        self.get_i64(&[METADATA, "deletionGracePeriodSeconds"])
    }

    pub fn set_deletion_grace_period_seconds(&mut self, seconds: Option<i64>) {
        self.set_or_remove("deletionGracePeriodSeconds", seconds.map(Value::from));
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        text_entries(self.get_map(&[METADATA, "labels"]))
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.get_map(&[METADATA, "labels"])?.get(key)?.as_str()
    }

    pub fn set_label(&mut self, key: &str, value: &str) {
        self.set(&[METADATA, "labels", key], value);
    }

    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        text_entries(self.get_map(&[METADATA, "annotations"]))
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.get_map(&[METADATA, "annotations"])?.get(key)?.as_str()
    }

    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set(&[METADATA, "annotations", key], value);
    }

    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.get_list(&[METADATA, "finalizers"]).unwrap_or_default().iter().filter_map(Value::as_str)
    }

    pub fn set_finalizers<'a>(&mut self, finalizers: impl IntoIterator<Item = &'a str>) {
        let items: Vec<Value> = finalizers.into_iter().map(Value::from).collect();
        self.set_or_remove("finalizers", (!items.is_empty()).then_some(Value::List(items)));
    }

    pub fn owner_references(&self) -> impl Iterator<Item = OwnerReference<'_>> {
        self.get_list(&[METADATA, "ownerReferences"]).unwrap_or_default().iter().map(|entry| {
            let text = |name| entry.child(name).and_then(Value::as_str).unwrap_or("");
            let truth = |name| entry.child(name).and_then(Value::as_bool).unwrap_or(false);
            OwnerReference {
                api_version: text("apiVersion"),
                kind: text("kind"),
                name: text("name"),
                uid: text("uid"),
                controller: truth("controller"),
                block_owner_deletion: truth("blockOwnerDeletion"),
            }
        })
    }

    fn set_or_remove(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => {
                self.set(&[METADATA, name], value);
            }
            None => {
                self.remove(&[METADATA, name]);
            }
        }
    }
}

fn text_entries(map: Option<&MapValue>) -> impl Iterator<Item = (&str, &str)> {
    map.into_iter().flat_map(MapValue::iter).filter_map(|(key, value)| Some((key, value.as_str()?)))
}
