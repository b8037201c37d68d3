//! One CustomResourceDefinition as what is served because of it.
//!
//! In: the definition as an object of apiextensions.k8s.io/v1. Out: rows for the registry, kinds for the schema, and
//! for each version what a request must know besides. Not here: whether the definition is good (validation), and its
//! status.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use crate::api::{
    registry::{
        Encoding, LabelRefusal, Name, Resource, SelectableField, Storage, Subresource, Unset, Updates, Verb, hash_of,
        is_newer_version,
    },
    schema::{
        Gvk, Object, Type, Value, codec,
        structural::{Node, Published},
    },
};

use super::{
    json_path::JsonPath,
    rules::{RuleTree, Whole},
    tables,
};

/// In the order in which the original tells them.
const VERBS: [Verb; 8] =
    [Verb::Delete, Verb::DeleteCollection, Verb::Get, Verb::List, Verb::Patch, Verb::Create, Verb::Update, Verb::Watch];
const VERBS_AT_THE_END: [Verb; 5] = [Verb::Delete, Verb::DeleteCollection, Verb::Get, Verb::List, Verb::Watch];

static STATES: AtomicU64 = AtomicU64::new(1);

/// A definition that is served.
#[derive(Debug)]
pub struct Definition {
    /// Greater than that of any state that was read before: what is derived from a state is kept under it.
    pub state: u64,
    pub group: String,
    pub plural: String,
    pub kind: String,
    pub list_kind: String,
    pub namespaced: bool,
    /// Its objects are being removed: nothing new is created.
    pub terminating: bool,
    pub storage_version: String,
    pub conversion: Conversion,
    pub versions: Vec<Version>,
    singular: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    /// Made once: a registry that has them is made anew whenever any definition changes.
    rows: OnceLock<Vec<Arc<Resource>>>,
}

/// How objects get from one version to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// Another apiVersion, and what the other schema has no place for is dropped.
    Rename,
    /// Asked of a webhook: its clientConfig, and the versions of reviews that it understands.
    Webhook { client_config: Value, review_versions: Vec<String> },
}

/// One version of a definition.
#[derive(Debug)]
pub struct Version {
    pub name: String,
    pub served: bool,
    pub schema: Arc<Node>,
    pub columns: Vec<Column>,
    pub scale: Option<Scale>,
    pub status: bool,
    /// What clients of this version are told.
    pub warning: Option<String>,
    selectable: Vec<String>,
    /// Compiled when first asked for.
    rules: OnceLock<Option<RuleTree>>,
    kinds: [Type; 2],
}

/// A column of tables.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: String,
    pub format: String,
    pub description: String,
    pub priority: u8,
    /// None: the path is none, and the cell stays empty.
    pub path: Option<JsonPath>,
}

/// Where the scale endpoint finds its figures: dotted paths with a leading dot, as the definition writes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    pub spec_replicas: String,
    pub status_replicas: String,
    pub label_selector: Option<String>,
}

fn text(value: &Value, path: &[&str]) -> String {
    value.at(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_list).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a definition's condition is true.
pub fn is_true(definition: &Object, condition: &str) -> bool {
    let conditions = definition.get_list(&["status", "conditions"]).unwrap_or_default();
    let found = conditions.iter().find(|each| each.child("type").and_then(Value::as_str) == Some(condition));
    found.is_some_and(|each| each.child("status").and_then(Value::as_str) == Some("True"))
}

impl Definition {
    /// None while the definition is not established, or lacks what must be there.
    pub fn read(object: &Object) -> Option<Definition> {
        if !is_true(object, "Established") {
            return None;
        }
        let (spec, status) = (object.get(&["spec"])?, object.get(&["status"])?);
        let names = status.child("acceptedNames")?;
        let (group, kind, list_kind) = (text(spec, &["group"]), text(names, &["kind"]), text(names, &["listKind"]));
        let given = spec.child("versions").and_then(Value::as_list)?;
        let plural = text(names, &["plural"]);
        let read = |version| Version::read(version, &group, &plural, [&kind, &list_kind]);
        let mut versions: Vec<Version> = given.iter().map(read).collect();
        let served: Vec<String> =
            given.iter().filter(|v| is(v, "served") && !is(v, "deprecated")).map(|v| text(v, &["name"])).collect();
        for (version, given) in versions.iter_mut().zip(given).filter(|(_, given)| is(given, "deprecated")) {
            let own = given.child("deprecationWarning").and_then(Value::as_str).map(str::to_owned);
            version.warning = Some(own.unwrap_or_else(|| deprecation(&group, &kind, &version.name, &served)));
        }
        let storage_version = given.iter().find(|version| is(version, "storage")).map(|v| text(v, &["name"]))?;
        (!plural.is_empty() && !kind.is_empty()).then(|| Definition {
            state: STATES.fetch_add(1, Ordering::Relaxed),
            namespaced: text(spec, &["scope"]) == "Namespaced",
            terminating: is_true(object, "Terminating"),
            conversion: Conversion::read(spec.child("conversion")),
            singular: text(names, &["singular"]),
            short_names: texts(names.child("shortNames")),
            categories: texts(names.child("categories")),
            group,
            plural,
            kind,
            list_kind,
            storage_version,
            versions,
            rows: OnceLock::new(),
        })
    }

    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// Whether a webhook converts its objects.
    pub fn asks_webhook(&self) -> bool {
        matches!(self.conversion, Conversion::Webhook { .. })
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Type> {
        self.versions.iter().flat_map(|version| &version.kinds)
    }

    /// A row for each version that is served.
    pub(super) fn rows(&self) -> &[Arc<Resource>] {
        let served = self.versions.iter().filter(|version| version.served);
        self.rows.get_or_init(|| served.map(|version| Arc::new(self.row(version))).collect())
    }

    fn row(&self, version: &Version) -> Resource {
        let name = |text: &str| Name::Owned(text.to_owned());
        let names = |texts: &[String]| texts.iter().map(|text| name(text)).collect();
        Resource {
            group: name(&self.group),
            version: name(&version.name),
            kind: name(&self.kind),
            list_kind: name(&self.list_kind),
            plural: name(&self.plural),
            singular: name(&self.singular),
            short_names: names(&self.short_names),
            categories: names(&self.categories),
            namespaced: self.namespaced,
            verbs: if self.terminating { VERBS_AT_THE_END.to_vec() } else { VERBS.to_vec() },
            subresources: self.subresources(version),
            storage: Some(Storage {
                prefix: Name::Owned(format!("/{}/{}", self.group, self.plural)),
                group: name(&self.group),
                version: name(&self.storage_version),
                kind: name(&self.kind),
                encoding: Encoding::Json,
                leased: false,
            }),
            updates: Updates { may_create: false, may_be_unconditional: false },
            selectable_fields: self.selectable_fields(version),
            label_refusal: LabelRefusal::Plain,
            custom: true,
        }
    }

    fn subresources(&self, version: &Version) -> Vec<Subresource> {
        let below = |name: &'static str, group: &str, version: &str, kind: &str| Subresource {
            name: Name::Borrowed(name),
            group: Name::Owned(group.to_owned()),
            version: Name::Owned(version.to_owned()),
            kind: Name::Owned(kind.to_owned()),
            verbs: vec![Verb::Get, Verb::Patch, Verb::Update],
            connects: &[],
        };
        let status = version.status.then(|| below("status", &self.group, &version.name, &self.kind));
        let scale = version.scale.as_ref().map(|_| below("scale", "autoscaling", "v1", "Scale"));
        status.into_iter().chain(scale).collect()
    }

    fn selectable_fields(&self, version: &Version) -> Vec<SelectableField> {
        let field = |label: &str, unset| SelectableField {
            label: Name::Owned(label.to_owned()),
            key: Name::Owned(label.to_owned()),
            paths: vec![label.split('.').map(|name| Name::Owned(name.to_owned())).collect()],
            unset,
        };
        let mut fields = vec![field("metadata.name", Unset::Empty)];
        fields.extend(self.namespaced.then(|| field("metadata.namespace", Unset::Empty)));
        fields.extend(version.selectable.iter().map(|path| field(path.trim_start_matches('.'), Unset::Empty)));
        fields
    }
}

fn is(version: &Value, flag: &str) -> bool {
    version.child(flag).and_then(Value::as_bool).unwrap_or(false)
}

/// What a deprecated version says when its definition has no words of its own.
fn deprecation(group: &str, kind: &str, version: &str, served: &[String]) -> String {
    let mut newest: Option<&String> = None;
    for other in served.iter().filter(|other| is_newer_version(other, version)) {
        if newest.is_none_or(|best| is_newer_version(other, best)) {
            newest = Some(other);
        }
    }
    let instead = newest.map(|newer| format!("; use {group}/{newer} {kind}")).unwrap_or_default();
    format!("{group}/{version} {kind} is deprecated{instead}")
}

impl Conversion {
    fn read(conversion: Option<&Value>) -> Conversion {
        let webhook = conversion.and_then(|conversion| conversion.child("webhook"));
        let strategy = conversion.and_then(|conversion| conversion.child("strategy")).and_then(Value::as_str);
        match (strategy, webhook.and_then(|webhook| webhook.child("clientConfig"))) {
            (Some("Webhook"), Some(config)) => Conversion::Webhook {
                client_config: config.clone(),
                review_versions: texts(webhook.and_then(|webhook| webhook.child("conversionReviewVersions"))),
            },
            _ => Conversion::Rename,
        }
    }
}

impl Version {
    /// The expressions of the schema; none where there are none.
    pub fn rules(&self) -> Option<&RuleTree> {
        self.rules.get_or_init(|| RuleTree::of(&self.schema, Whole::Object)).as_ref()
    }

    fn read(version: &Value, group: &str, plural: &str, [kind, list_kind]: [&str; 2]) -> Version {
        let name = text(version, &["name"]);
        let schema = version.at(&["schema", "openAPIV3Schema"]);
        let anything = || Node { preserve_unknown: true, ..Node::default() };
        let mut node = schema.map_or_else(anything, Node::read);
        node.published = Some(Box::new(published(schema, plural)));
        let schema = Arc::new(node);
        let list = |name: &str| version.child(name).and_then(Value::as_list).unwrap_or_default();
        Version {
            kinds: tables::kinds(&Gvk::new(group, name.clone(), kind), list_kind, &schema),
            served: is(version, "served"),
            columns: list("additionalPrinterColumns").iter().map(Column::read).collect(),
            scale: version.at(&["subresources", "scale"]).map(Scale::read),
            status: version.at(&["subresources", "status"]).is_some(),
            warning: None,
            rules: OnceLock::new(),
            selectable: list("selectableFields").iter().map(|field| text(field, &["jsonPath"])).collect(),
            schema,
            name,
        }
    }
}

fn published(schema: Option<&Value>, plural: &str) -> Published {
    let mut json = Vec::new();
    match schema.and_then(Value::as_struct) {
        Some(schema) => codec::encode_struct_json(schema, &mut json),
        None => json.extend(br#"{"type":"object","x-kubernetes-preserve-unknown-fields":true}"#),
    }
    Published { hash: hash_of(&json).into(), schema: String::from_utf8_lossy(&json).into(), plural: plural.into() }
}

impl Column {
    fn read(column: &Value) -> Column {
        let path = text(column, &["jsonPath"]);
        let described = text(column, &["description"]);
        let derived = || format!("Custom resource definition column (in JSONPath format): {path}");
        Column {
            name: text(column, &["name"]),
            kind: text(column, &["type"]),
            format: text(column, &["format"]),
            description: if described.is_empty() { derived() } else { described },
            priority: column.child("priority").and_then(Value::as_i64).and_then(|n| u8::try_from(n).ok()).unwrap_or(0),
            path: JsonPath::parse(&path).ok(),
        }
    }
}

impl Scale {
    fn read(scale: &Value) -> Scale {
        Scale {
            spec_replicas: text(scale, &["specReplicasPath"]),
            status_replicas: text(scale, &["statusReplicasPath"]),
            label_selector: scale.child("labelSelectorPath").and_then(Value::as_str).map(str::to_owned),
        }
    }
}
