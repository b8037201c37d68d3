//! Structs and kinds as the tables need them: proto messages joined with the facts.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use crate::{
    docs::Doc,
    facts::{self, FieldForm, PresenceFacts},
};

const META: &str = "apimachinery.pkg.apis.meta.v1";

pub(crate) struct Model {
    pub(crate) structs: Vec<Struct>,
    /// (group, version, kind, index of the struct)
    pub(crate) kinds: Vec<(String, String, String, usize)>,
}

pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) package: String,
    pub(crate) doc: Doc,
    pub(crate) fields: Vec<Field>,
    pub(crate) wire: Vec<Wire>,
}

#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) shape: &'static str,
    pub(crate) presence: &'static str,
    pub(crate) required: bool,
    pub(crate) doc: Doc,
    pub(crate) embedded: String,
    pub(crate) go_type: String,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Plain(&'static str),
    /// A variant that names a struct, by index.
    Of(&'static str, usize),
}

pub(crate) enum Wire {
    Slot(u32, usize),
    Inline(u32, Vec<Wire>),
}

impl Wire {
    fn number(&self) -> u32 {
        match self {
            Wire::Slot(number, _) | Wire::Inline(number, _) => *number,
        }
    }
}

struct Message<'a> {
    package: &'a str,
    descriptor: &'a DescriptorProto,
    doc: Doc,
    field_docs: Vec<Doc>,
}

struct Builder<'a> {
    messages: BTreeMap<String, Message<'a>>,
    /// Index of each message's struct.
    index: HashMap<String, usize>,
    presence: PresenceFacts,
}

impl Model {
    pub(crate) fn new(files: &[FileDescriptorProto]) -> anyhow::Result<Model> {
        let mut messages = BTreeMap::new();
        for file in files {
            read_file(file, &mut messages);
        }
        let index = messages.keys().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        let builder = Builder { messages, index, presence: PresenceFacts::read()? };
        let mut structs = Vec::new();
        let mut kinds = Vec::new();
        for (name, message) in &builder.messages {
            let is_kind = is_kind(message);
            structs.push(builder.build(message, is_kind.is_some_and(|named| named))?);
            if let (Some(_), Some((group, version))) = (is_kind, facts::group_version(message.package)) {
                let kind = message.descriptor.name().to_owned();
                kinds.push((group, version.to_owned(), kind, builder.index[name]));
            }
        }
        Ok(Model { structs, kinds })
    }
}

/// Some(whether it has kind and apiVersion) when the message is a kind.
fn is_kind(message: &Message<'_>) -> Option<bool> {
    let name = message.descriptor.name();
    if facts::UNNAMED_KINDS.contains(&name) {
        return Some(false);
    }
    let meta = message.descriptor.field.iter().any(|field| {
        field.name() == "metadata"
            && field.number() == 1
            && (field.type_name().ends_with(".ObjectMeta") || field.type_name().ends_with(".ListMeta"))
    });
    let kind = facts::BARE_KINDS.contains(&name) || (meta && !facts::NOT_KINDS.contains(&name));
    kind.then_some(true)
}

fn read_file<'a>(file: &'a FileDescriptorProto, messages: &mut BTreeMap<String, Message<'a>>) {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let comments: HashMap<&[i32], &str> =
        locations.map(|location| (location.path.as_slice(), location.leading_comments())).collect();
    let doc = |path: &[i32]| comments.get(path).map(|text| Doc::parse(text)).unwrap_or_default();
    for (at, descriptor) in file.message_type.iter().enumerate() {
        let full_name = format!("{}.{}", file.package(), descriptor.name());
        let field_docs = (0..descriptor.field.len()).map(|field| doc(&[4, at as i32, 2, field as i32])).collect();
        let message = Message { package: file.package(), descriptor, doc: doc(&[4, at as i32]), field_docs };
        messages.insert(full_name, message);
    }
}

impl Builder<'_> {
    fn build(&self, message: &Message<'_>, named: bool) -> anyhow::Result<Struct> {
        let mut fields = Vec::new();
        if named {
            fields.extend(self.type_meta()?);
        }
        let wire = self.flatten(message, "", &mut fields)?;
        Ok(Struct {
            name: message.descriptor.name().to_owned(),
            package: message.package.to_owned(),
            doc: message.doc.clone(),
            fields,
            wire,
        })
    }

    /// kind and apiVersion, which the envelope carries on the wire.
    fn type_meta(&self) -> anyhow::Result<Vec<Field>> {
        let message = self.messages.get(&format!("{META}.TypeMeta")).context("TypeMeta")?;
        let mut fields = Vec::new();
        self.flatten(message, "", &mut fields)?;
        for field in &mut fields {
            field.presence = "Omit";
            field.required = false;
        }
        Ok(fields)
    }

    /// Appends the message's fields, those of embedded structs in their place; gives the wire's view of them.
    fn flatten(&self, message: &Message<'_>, embedded: &str, fields: &mut Vec<Field>) -> anyhow::Result<Vec<Wire>> {
        let mut wire = Vec::new();
        let owner = message.descriptor.name();
        for (field, doc) in message.descriptor.field.iter().zip(&message.field_docs) {
            let number = field.number() as u32;
            if facts::is_inline(owner, field.name()) {
                let inner = self.message(field.type_name())?;
                let inner_name = match embedded {
                    "" => inner.descriptor.name().to_owned(),
                    outer => format!("{outer}.{}", inner.descriptor.name()),
                };
                wire.push(Wire::Inline(number, self.flatten(inner, &inner_name, fields)?));
            } else {
                wire.push(Wire::Slot(number, fields.len()));
                fields.push(self.field(message, field, doc, embedded)?);
            }
        }
        wire.sort_by_key(Wire::number);
        Ok(wire)
    }

    fn message(&self, type_name: &str) -> anyhow::Result<&Message<'_>> {
        self.messages.get(type_name.trim_start_matches('.')).with_context(|| type_name.to_owned())
    }

    fn field(
        &self,
        message: &Message<'_>,
        field: &FieldDescriptorProto,
        doc: &Doc,
        embedded: &str,
    ) -> anyhow::Result<Field> {
        let entry = map_entry(message.descriptor, field);
        let typed = match entry {
            Some(entry) => entry.field.iter().find(|part| part.number() == 2).context("a map's value")?,
            None => field,
        };
        let kind = self.kind(typed)?;
        let form = match (&entry, field.label(), typed.r#type()) {
            (Some(_), _, _) => FieldForm::Map,
            (None, Label::Repeated, _) => FieldForm::List,
            (None, _, Type::Message) => {
                FieldForm::Message { name: typed.type_name().rsplit('.').next().unwrap_or_default() }
            }
            _ => FieldForm::Scalar,
        };
        let optional = doc.has("optional") || doc.has("k8s:optional");
        let owner = message.descriptor.name();
        let mark = self.presence.of(message.package, owner, field.name());
        let mark = mark.unwrap_or_else(|| facts::presence_by_rule(&form, field.name(), optional));
        Ok(Field {
            name: facts::json_name(owner, field.name()),
            kind,
            shape: match form {
                FieldForm::Map => "Map",
                FieldForm::List => "List",
                _ => "One",
            },
            presence: match mark {
                '*' => "Pointer",
                '^' => "Nullable",
                '~' => "Omit",
                _ => "Always",
            },
            required: facts::is_required(message.package, owner, field.name(), mark, doc),
            doc: doc.clone(),
            embedded: embedded.to_owned(),
            go_type: facts::go_type(message.package, owner, field.name()),
        })
    }

    fn kind(&self, field: &FieldDescriptorProto) -> anyhow::Result<Kind> {
        Ok(match field.r#type() {
            Type::Bool => Kind::Plain("Bool"),
            Type::Int32 => Kind::Plain("Int32"),
            Type::Int64 => Kind::Plain("Int64"),
            Type::Double => Kind::Plain("Float64"),
            Type::String => Kind::Plain("Str"),
            Type::Bytes => Kind::Plain("Bytes"),
            Type::Message => self.message_kind(field.type_name().trim_start_matches('.'))?,
            other => anyhow::bail!("{}: {other:?}", field.name()),
        })
    }

    fn message_kind(&self, full_name: &str) -> anyhow::Result<Kind> {
        if let Some((_, kind)) = facts::SPECIAL.iter().find(|(name, _)| *name == full_name) {
            return Ok(Kind::Plain(kind));
        }
        let (package, name) = full_name.rsplit_once('.').context("a qualified name")?;
        let union = facts::SCHEMA_UNIONS.iter().find(|(union, _)| *union == name);
        let (variant, target) = match union {
            Some((_, variant)) => (*variant, format!("{package}.JSONSchemaProps")),
            None => ("Struct", full_name.to_owned()),
        };
        Ok(Kind::Of(variant, *self.index.get(&target).with_context(|| target.clone())?))
    }
}

fn map_entry<'a>(owner: &'a DescriptorProto, field: &FieldDescriptorProto) -> Option<&'a DescriptorProto> {
    let name = field.type_name().rsplit('.').next()?;
    owner
        .nested_type
        .iter()
        .find(|nested| nested.name() == name && nested.options.as_ref().is_some_and(|options| options.map_entry()))
}
