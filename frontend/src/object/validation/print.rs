//! Values as field errors print them: JSON of the real server's internal types, which name their fields as Go does and
//! leave nothing out. Types of the API machinery print as in the API.

use super::internal_types::{IN_SECURITY_CONTEXT, NAMES, ORDERS, VOLUME_SOURCES, ZEROS};
use crate::api::schema::{Field, Kind, Presence, Shape, Struct, Value, codec};

/// Words that Go's names write in capitals where they begin a name.
const CAPITALS: &[&str] = &[
    "api", "aws", "cel", "cidr", "csi", "dns", "fc", "fs", "gce", "gid", "gmsa", "grpc", "http", "https", "id", "ip",
    "iqn", "iscsi", "nfs", "os", "pd", "pid", "rbd", "se", "tcp", "tls", "tty", "ttl", "uid", "url",
];

/// JSON of a value; `null` when there is none.
pub(super) fn printed(value: Option<&Value>) -> String {
    // A text alone is quoted as Go quotes it, one inside other values as JSON does.
    if let Some(Value::Str(text)) = value {
        return crate::request::status::go_quote(text);
    }
    let mut out = String::new();
    write(&mut out, value, None);
    out
}

pub(super) fn printed_struct(fields: &Struct) -> String {
    let mut out = String::new();
    write_struct(&mut out, fields, None);
    out
}

/// JSON of what a field holds; Go's zero when that is nothing and the field is plain.
pub(super) fn printed_field(field: &Field, value: Option<&Value>) -> String {
    let mut out = String::new();
    write_field(&mut out, field, value, None);
    out
}

/// The same over several lines, one blank a level.
pub(super) fn indented(value: Option<&Value>) -> String {
    let mut out = String::new();
    write(&mut out, value, Some(0));
    out
}

fn write(out: &mut String, value: Option<&Value>, level: Option<usize>) {
    match value {
        None | Some(Value::Null) => out.push_str("null"),
        Some(Value::Struct(fields)) => write_struct(out, fields, level),
        Some(Value::List(items)) => {
            let each = items.iter().map(|item| move |out: &mut String, level| write(out, Some(item), level));
            write_all(out, ('[', ']'), each, level);
        }
        Some(Value::Map(map)) => {
            let each = map.iter().map(|(key, item)| {
                move |out: &mut String, level: Option<usize>| {
                    out.push_str(&quoted(key));
                    out.push_str(if level.is_some() { ": " } else { ":" });
                    write(out, Some(item), level);
                }
            });
            write_all(out, ('{', '}'), each, level);
        }
        Some(Value::Str(text)) => out.push_str(&quoted(text)),
        Some(other) => out.push_str(&super::meta::json(other)),
    }
}

/// Entries between brackets, each on a line of its own when there are levels.
fn write_all<F: FnOnce(&mut String, Option<usize>)>(
    out: &mut String,
    (open, close): (char, char),
    entries: impl Iterator<Item = F>,
    level: Option<usize>,
) {
    let inner = level.map(|level| level + 1);
    let mut any = false;
    out.push(open);
    for entry in entries {
        if any {
            out.push(',');
        }
        any = true;
        new_line(out, inner);
        entry(out, inner);
    }
    if any {
        new_line(out, level);
    }
    out.push(close);
}

fn new_line(out: &mut String, level: Option<usize>) {
    if let Some(level) = level {
        out.push('\n');
        out.push_str(&" ".repeat(level));
    }
}

fn quoted(text: &str) -> String {
    crate::request::status::json_quote(text)
}

fn write_struct(out: &mut String, fields: &Struct, level: Option<usize>) {
    if fields.def().package.starts_with("apimachinery") {
        return write_as_in_api(out, fields, level);
    }
    let each = entries(fields).into_iter().map(|entry| {
        move |out: &mut String, level: Option<usize>| {
            let (Entry::Field((name, ..)) | Entry::Text(name, _)) = &entry;
            out.push_str(&quoted(name));
            out.push_str(if level.is_some() { ": " } else { ":" });
            match &entry {
                Entry::Field((_, field, value)) if &*field.name == "securityContext" && is_pod_spec(fields) => {
                    write_security_context(out, fields, value.and_then(Value::as_struct), level);
                }
                Entry::Field((_, field, value)) => write_field(out, field, *value, level),
                Entry::Text(_, value) => write_json(out, value, level),
            }
        }
    });
    write_all(out, ('{', '}'), each, level);
}

/// One line of a printed struct.
enum Entry<'t> {
    Field(Slot<'t>),
    /// Of an embedded struct, which prints as in the API.
    Text(String, serde_json::Value),
}

/// What stands between the braces of a struct. Go embeds metadata: its fields print as if they were the struct's own.
fn entries(fields: &Struct) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    for (name, field, value) in slots(fields) {
        let zero = ZEROS.iter().any(|(owner, zero)| *owner == fields.def().name && *zero == field.name);
        if zero && value.is_none() {
            entries.push(Entry::Text(name, 0.into()));
            continue;
        }
        if &*field.name != "metadata" {
            entries.push(Entry::Field((name, field, value)));
            continue;
        }
        let Some(metadata) = value.and_then(Value::as_struct) else { continue };
        let mut json = Vec::new();
        codec::encode_struct_json(metadata, &mut json);
        let parsed: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(&json).ok();
        entries.extend(parsed.into_iter().flatten().map(|(name, value)| Entry::Text(name, value)));
    }
    entries
}

type Slot<'t> = (String, &'t Field, Option<&'t Value>);

/// Go's names, fields and values, in the order of the internal type.
fn slots(fields: &Struct) -> Vec<Slot<'_>> {
    let def = fields.def();
    let slot = |name: &str| {
        let at = def.slot_of(name)?;
        Some((go_name(&def.name, name), &def.fields[at], fields.slot(at)))
    };
    match ORDERS.iter().find(|(name, _)| *name == def.name) {
        Some((_, order)) => order.iter().filter_map(|name| slot(name)).collect(),
        None => def.fields.iter().filter_map(|field| slot(&field.name)).collect(),
    }
}

fn write_field(out: &mut String, field: &Field, value: Option<&Value>, level: Option<usize>) {
    let pointer = matches!(field.presence, Presence::Pointer | Presence::Nullable);
    match (&field.kind, value) {
        (Kind::Raw, Some(Value::Bytes(json))) => match serde_json::from_slice(json) {
            Ok(parsed) => write_json(out, &parsed, level),
            Err(_) => out.push_str("null"),
        },
        (Kind::Raw, Some(Value::List(items))) => {
            let read = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap_or_default();
            let parsed: serde_json::Value = items.iter().filter_map(Value::as_bytes).map(read).collect();
            write_json(out, &parsed, level);
        }
        (Kind::SchemaOrBool(_), Some(value)) => {
            let schema = Some(value).filter(|value| value.as_struct().is_some());
            let allows = Value::Bool(value.as_bool().unwrap_or(true));
            write_all(out, ('{', '}'), pairs([("Allows", Some(&allows)), ("Schema", schema)]), level);
        }
        (Kind::SchemaOrArray(_), Some(value)) => {
            let (one, several) = if value.as_list().is_some() { (None, Some(value)) } else { (Some(value), None) };
            write_all(out, ('{', '}'), pairs([("Schema", one), ("JSONSchemas", several)]), level);
        }
        (_, Some(value)) => write(out, Some(value), level),
        _ if pointer || field.shape != Shape::One => out.push_str("null"),
        (Kind::Struct(def), None) => write_struct(out, &Struct::new(def), level),
        (Kind::Str, None) => out.push_str("\"\""),
        (Kind::Bool, None) => out.push_str("false"),
        (Kind::Int32 | Kind::Int64 | Kind::Float64 | Kind::IntOrString, None) => out.push('0'),
        (Kind::Quantity, None) => out.push_str("\"0\""),
        _ => out.push_str("null"),
    }
}

fn pairs<'v>(
    of: [(&'static str, Option<&'v Value>); 2],
) -> impl Iterator<Item = impl FnOnce(&mut String, Option<usize>) + use<'v>> {
    of.into_iter().map(|(name, value)| {
        move |out: &mut String, level: Option<usize>| {
            out.push_str(&quoted(name));
            out.push_str(if level.is_some() { ": " } else { ":" });
            write(out, value, level);
        }
    })
}

/// A pod's spec prints with a security context that holds more than the API's.
fn is_pod_spec(fields: &Struct) -> bool {
    &*fields.def().name == "PodSpec" && &*fields.def().package == "api.core.v1"
}

fn write_security_context(out: &mut String, spec: &Struct, context: Option<&Struct>, level: Option<usize>) {
    let Some(context) = context else { return out.push_str("null") };
    let moved = IN_SECURITY_CONTEXT.iter().filter_map(|name| {
        let at = spec.def().slot_of(name)?;
        Some((go_name("", name), &spec.def().fields[at], spec.slot(at)))
    });
    let each = moved.chain(slots(context)).map(|(name, field, value)| {
        move |out: &mut String, level: Option<usize>| {
            out.push_str(&quoted(&name));
            out.push_str(if level.is_some() { ": " } else { ":" });
            write_field(out, field, value, level);
        }
    });
    write_all(out, ('{', '}'), each, level);
}

/// What a volume is made of: the part of its spec that is one type of its own.
pub(super) fn indented_source(spec: &Struct) -> String {
    let mut out = String::new();
    let kept =
        slots(spec).into_iter().filter(|(_, field, _)| VOLUME_SOURCES.iter().any(|(source, _)| *source == field.name));
    let each = kept.map(|(name, field, value)| {
        move |out: &mut String, level: Option<usize>| {
            out.push_str(&format!("{}: ", quoted(&name)));
            write_field(out, field, value, level);
        }
    });
    write_all(&mut out, ('{', '}'), each, Some(0));
    out
}

/// Types that the API and the internal types share.
fn write_as_in_api(out: &mut String, fields: &Struct, level: Option<usize>) {
    let mut json = Vec::new();
    codec::encode_struct_json(fields, &mut json);
    let text = String::from_utf8_lossy(&json);
    let parsed = level.and_then(|_| serde_json::from_str::<serde_json::Value>(&text).ok());
    match parsed {
        Some(parsed) => write_json(out, &parsed, level),
        None => out.push_str(&text),
    }
}

fn write_json(out: &mut String, value: &serde_json::Value, level: Option<usize>) {
    match value {
        serde_json::Value::Object(map) => {
            let each = map.iter().map(|(key, item)| {
                move |out: &mut String, level: Option<usize>| {
                    out.push_str(&quoted(key));
                    out.push_str(if level.is_some() { ": " } else { ":" });
                    write_json(out, item, level);
                }
            });
            write_all(out, ('{', '}'), each, level);
        }
        serde_json::Value::Array(items) => {
            let each = items.iter().map(|item| move |out: &mut String, level| write_json(out, item, level));
            write_all(out, ('[', ']'), each, level);
        }
        serde_json::Value::String(text) => out.push_str(&quoted(text)),
        other => out.push_str(&other.to_string()),
    }
}

/// The name that Go gives to the field of a JSON name.
fn go_name(owner: &str, name: &str) -> String {
    let known = NAMES.iter().find(|(of, field, _)| (of.is_empty() || *of == owner) && *field == name);
    if let Some((_, _, known)) = known {
        return (*known).to_owned();
    }
    let word = name.find(|letter: char| letter.is_ascii_uppercase()).unwrap_or(name.len());
    let (first, rest) = name.split_at(word);
    let plural = first.strip_suffix('s').filter(|single| CAPITALS.contains(single) && !CAPITALS.contains(&first));
    if let Some(single) = plural {
        return format!("{}s{rest}", single.to_ascii_uppercase());
    }
    if CAPITALS.contains(&first) {
        return format!("{}{rest}", first.to_ascii_uppercase());
    }
    let mut letters = first.chars();
    let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
    capital.into_iter().chain(letters).collect::<String>() + rest
}
