//! Which objects a selection means, told by what the cache keeps of them.

use super::list_options::Selection;
use crate::{
    api::schema::{
        Object, Value,
        codec::{self, Message},
    },
    cluster::Target,
    store::{
        Entry, Scope,
        cache::{KindNumber, Selectable},
    },
    verbs::Context,
};

/// The part of the store that the target's collection (or object) is.
pub(super) fn scope(ctx: &Context, target: &Target) -> Result<Scope, crate::request::status::ApiError> {
    target.check_namespace()?;
    let prefix = format!("{}{}", ctx.cluster.store.prefix(), target.storage()?.prefix);
    Ok(if target.namespace.is_empty() {
        Scope::resource(&prefix)
    } else {
        Scope::namespace(&prefix, &target.namespace)
    })
}

/// Whether a view is selected. What selectors look at is read from it once.
pub(super) fn selects(target: &Target, selection: &Selection, entry: &Entry) -> bool {
    if selection.is_everything() {
        return true;
    }
    let by_key = |field: &str| match field {
        "metadata.name" => Some(entry.name().to_owned()),
        "metadata.namespace" if target.resource.namespaced => Some(entry.namespace().to_owned()),
        _ => None,
    };
    if selection.labels.is_empty() && selection.fields.terms().iter().all(|t| by_key(&t.field).is_some()) {
        return selection.fields.matches(|field| by_key(field).unwrap_or_default());
    }
    let selectable = entry.selectable(KindNumber(target.kind.number), |entry| read(target, entry));
    selection.labels.matches(|key| selectable.label(key))
        && selection.fields.matches(|field| match by_key(field) {
            Some(value) => value,
            None => selectable.field(field).unwrap_or_default().to_owned(),
        })
}

/// Labels and selectable fields of a stored object. One that cannot be read has neither.
fn read(target: &Target, entry: &Entry) -> Selectable {
    if let Some(selectable) = read_message(target, entry) {
        return selectable;
    }
    // Fields of built-in kinds are those of the version that is stored.
    let object = match target.resource.custom {
        true => target.decode_view(entry).ok(),
        false => codec::decode_stored(&target.api.schema, entry.value()).ok(),
    };
    let Some(object) = object else { return Selectable::default() };
    let labels = object.labels().map(|(key, value)| (key.into(), value.into())).collect();
    let fields = target
        .resource
        .selectable_fields
        .iter()
        .map(|field| {
            let found = field.paths.iter().find_map(|path| {
                let names: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
                printed(&object, &names).filter(|text| !text.is_empty())
            });
            (field.key.as_ref().into(), found.unwrap_or_else(|| field.unset.as_str().to_owned()).into())
        })
        .collect();
    Selectable { labels, fields }
}

/// The same from its bytes, without decoding the rest of it.
fn read_message(target: &Target, entry: &Entry) -> Option<Selectable> {
    let kind = target.stored_kind().ok().filter(|kind| kind.custom.is_none())?;
    let message = Message::read(&kind.root, codec::message_of(&kind.gvk, entry.value())?)?;
    let metadata = message.messages_of("metadata").next()??;
    let label = |(key, value): (&str, Option<&[u8]>)| {
        Some((key.into(), std::str::from_utf8(value.unwrap_or_default()).ok()?.into()))
    };
    let labels = metadata.entries_of("labels").map(label).collect::<Option<_>>()?;
    let fields = target.resource.selectable_fields.iter().map(|field| {
        let found = field.paths.iter().find_map(|path| {
            let names: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
            message.printed(&names).filter(|text| !text.is_empty())
        });
        (field.key.as_ref().into(), found.as_deref().unwrap_or_else(|| field.unset.as_str()).into())
    });
    Some(Selectable { labels, fields: fields.collect() })
}

fn printed(object: &Object, path: &[&str]) -> Option<String> {
    Some(match object.get(path)? {
        Value::Str(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return None,
    })
}
