//! A built-in row before its group and version are known, written down with as few words as rows differ in.

use http::Method;

use crate::api::registry::{
    fields,
    row::{Encoding, Name, Resource, Storage, Subresource, Updates, Verb},
};

const ALL_VERBS: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];
const READ_WRITE: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];
/// Those that a browser can use for a WebSocket, too.
const STREAM_METHODS: &[Method] = &[Method::GET, Method::POST];
const PROXY_METHODS: &[Method] =
    &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

const PROXY: &[Verb] = &[Verb::Create, Verb::Delete, Verb::Get, Verb::Patch, Verb::Update];

/// A row before its group and version are known.
pub(super) struct Row {
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    short_names: &'static [&'static str],
    category: Option<&'static str>,
    verbs: &'static [Verb],
    prefix: Option<&'static str>,
    stored_as: Option<(&'static str, &'static str)>,
    stored: bool,
    encoding: Encoding,
    leased: bool,
    updates: Updates,
    subresources: Vec<SubRow>,
}

struct SubRow {
    name: &'static str,
    /// Group and version of the kind, when they are not the row's own.
    of: Option<(&'static str, &'static str)>,
    kind: &'static str,
    verbs: &'static [Verb],
    connects: &'static [Method],
}

pub(super) fn namespaced(plural: &'static str, kind: &'static str) -> Row {
    Row {
        plural,
        kind,
        namespaced: true,
        short_names: &[],
        category: None,
        verbs: ALL_VERBS,
        prefix: None,
        stored_as: None,
        stored: true,
        encoding: Encoding::Protobuf,
        leased: false,
        updates: Updates { may_create: false, may_be_unconditional: true },
        subresources: Vec::new(),
    }
}

pub(super) fn cluster(plural: &'static str, kind: &'static str) -> Row {
    Row { namespaced: false, ..namespaced(plural, kind) }
}

impl Row {
    pub(super) fn short(self, short_names: &'static [&'static str]) -> Row {
        Row { short_names, ..self }
    }

    pub(super) fn category(self, category: &'static str) -> Row {
        Row { category: Some(category), ..self }
    }

    pub(super) fn verbs(self, verbs: &'static [Verb]) -> Row {
        Row { verbs, ..self }
    }

    pub(super) fn create_only(self) -> Row {
        self.verbs(&[Verb::Create]).unstored()
    }

    pub(super) fn unstored(self) -> Row {
        Row { stored: false, ..self }
    }

    pub(super) fn prefix(self, prefix: &'static str) -> Row {
        Row { prefix: Some(prefix), ..self }
    }

    pub(super) fn stored_as(self, group: &'static str, version: &'static str) -> Row {
        Row { stored_as: Some((group, version)), ..self }
    }

    pub(super) fn json(self) -> Row {
        Row { encoding: Encoding::Json, ..self }
    }

    pub(super) fn leased(self) -> Row {
        Row { leased: true, ..self }
    }

    pub(super) fn put_creates(mut self) -> Row {
        self.updates.may_create = true;
        self
    }

    pub(super) fn put_needs_version(mut self) -> Row {
        self.updates.may_be_unconditional = false;
        self
    }

    pub(super) fn sub(mut self, name: &'static str, kind: &'static str, verbs: &'static [Verb]) -> Row {
        self.subresources.push(SubRow { name, of: None, kind, verbs, connects: &[] });
        self
    }

    pub(super) fn sub_of(
        mut self,
        name: &'static str,
        (group, version, kind): (&'static str, &'static str, &'static str),
        verbs: &'static [Verb],
    ) -> Row {
        self.subresources.push(SubRow { name, of: Some((group, version)), kind, verbs, connects: &[] });
        self
    }

    pub(super) fn status(self) -> Row {
        let kind = self.kind;
        self.sub("status", kind, READ_WRITE)
    }

    pub(super) fn scale(self) -> Row {
        self.sub_of("scale", ("autoscaling", "v1", "Scale"), READ_WRITE)
    }

    pub(super) fn proxy(mut self, options: &'static str) -> Row {
        let (of, verbs, connects) = (None, PROXY, PROXY_METHODS);
        self.subresources.push(SubRow { name: "proxy", of, kind: options, verbs, connects });
        self
    }

    /// A stream to a kubelet.
    pub(super) fn stream(mut self, name: &'static str, options: &'static str) -> Row {
        let (of, verbs, connects) = (None, &[Verb::Create, Verb::Get], STREAM_METHODS);
        self.subresources.push(SubRow { name, of, kind: options, verbs, connects });
        self
    }

    pub(super) fn build(self, group: &'static str, version: &'static str) -> Resource {
        let (selectable_fields, label_refusal) = fields::builtin(group, self.plural, self.namespaced);
        let storage = self.stored.then(|| self.storage(group, version));
        let subresource = |row: SubRow| {
            let (group, version) = row.of.unwrap_or((group, version));
            Subresource {
                name: Name::Borrowed(row.name),
                group: Name::Borrowed(group),
                version: Name::Borrowed(version),
                kind: Name::Borrowed(row.kind),
                verbs: row.verbs.to_vec(),
                connects: row.connects,
            }
        };
        Resource {
            group: Name::Borrowed(group),
            version: Name::Borrowed(version),
            kind: Name::Borrowed(self.kind),
            list_kind: Name::Owned(format!("{}List", self.kind)),
            plural: Name::Borrowed(self.plural),
            singular: Name::Owned(self.kind.to_ascii_lowercase()),
            short_names: self.short_names.iter().map(|n| Name::Borrowed(*n)).collect(),
            categories: self.category.into_iter().map(Name::Borrowed).collect(),
            namespaced: self.namespaced,
            verbs: self.verbs.to_vec(),
            subresources: self.subresources.into_iter().map(subresource).collect(),
            storage,
            updates: self.updates,
            selectable_fields,
            label_refusal,
            custom: false,
        }
    }

    fn storage(&self, group: &'static str, version: &'static str) -> Storage {
        let (group, version) = self.stored_as.unwrap_or((group, version));
        let prefix = match self.prefix {
            Some(prefix) => Name::Borrowed(prefix),
            None => Name::Owned(format!("/{}", self.plural)),
        };
        Storage {
            prefix,
            group: Name::Borrowed(group),
            version: Name::Borrowed(version),
            kind: Name::Borrowed(self.kind),
            encoding: self.encoding,
            leased: self.leased,
        }
    }
}
