//! The scale endpoint: how many replicas a workload has, in a form that all workloads share.

use futures::future::BoxFuture;

use super::{
    caller::Caller,
    get, input,
    lifecycle::{self, Proposal},
    options::{OptionsKind, WriteOptions},
    ownership::{Ownership, Served},
    patch::{BUILTIN, CUSTOM, patch_type},
    patch_document::Patch,
    respond::Answer,
    update::check_name,
    write::{self, Current, Rewrite, Step},
};
use crate::{
    api::schema::{Object, StructRef, Type, Value, convert_struct},
    cluster::{Target, known_kind},
    object::{
        managed_fields::{PATH, ReplicasPath, Versions, entries_of_parent, entries_of_scale},
        selector::LabelSelector,
    },
    request::{
        Request, User,
        info::Verb,
        negotiate::{self, Offer, PatchType},
        status::{ApiError, FieldError, go_quote},
    },
    verbs::Context,
};

fn kind(target: &Target) -> Result<Type, ApiError> {
    known_kind(&target.api.schema, "autoscaling", "v1", "Scale")
}

pub(super) async fn get(ctx: &Context, target: &Target, request: &Request) -> Result<Answer, ApiError> {
    let object = get::read(ctx, target, request).await?;
    let figures = Figures::of(target);
    if target.resource.custom && object.get(&figures.spec).is_none() {
        let missing = format!("the spec replicas field {} does not exist", go_quote(&figures.spec_text()));
        return Err(ApiError::internal(missing));
    }
    Ok(Answer::object(200, of_object(target, &object)?))
}

/// Where a workload keeps its figures. A custom resource's definition says it.
struct Figures<'t> {
    spec: Vec<&'t str>,
    status: Vec<&'t str>,
    /// A selector in the syntax of queries; none: the selector of a workload.
    selector: Option<Vec<&'t str>>,
}

impl<'t> Figures<'t> {
    fn of(target: &'t Target) -> Figures<'t> {
        let version = target.definition().and_then(|definition| definition.version(&target.resource.version));
        let Some(scale) = version.and_then(|version| version.scale.as_ref()) else {
            return Figures { spec: vec!["spec", "replicas"], status: vec!["status", "replicas"], selector: None };
        };
        let path = |text: &'t str| text.trim_start_matches('.').split('.').collect();
        let selector = scale.label_selector.as_deref().map(path).unwrap_or_default();
        Figures { spec: path(&scale.spec_replicas), status: path(&scale.status_replicas), selector: Some(selector) }
    }

    fn spec_text(&self) -> String {
        format!(".{}", self.spec.join("."))
    }
}

/// What stands for replicas that were never set, so that a patch that leaves them so is noticed.
const UNSET: i64 = i32::MIN as i64;

/// The scale of a workload.
fn of_object(target: &Target, object: &Object) -> Result<Object, ApiError> {
    let mut scale = Object::new(&kind(target)?);
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        scale.copy_from(object, &["metadata", field]);
    }
    let figures = Figures::of(target);
    scale.set(&["spec", "replicas"], object.get_i64(&figures.spec).unwrap_or(0));
    scale.set(&["status", "replicas"], object.get_i64(&figures.status).unwrap_or(0));
    let selector = match &figures.selector {
        Some(path) if path.is_empty() => String::new(),
        Some(path) => object.get_str(path).unwrap_or_default().to_owned(),
        None => selector_text(object),
    };
    if !selector.is_empty() {
        scale.set(&["status", "selector"], selector);
    }
    Ok(scale)
}

/// The selector in the syntax of queries.
fn selector_text(object: &Object) -> String {
    let pairs = |path: &[&str]| -> Vec<(String, String)> {
        let map = object
            .get_map(path)
            .map(|m| m.iter().map(|(k, v)| (k.to_owned(), v.as_str().unwrap_or("").to_owned())).collect());
        map.unwrap_or_default()
    };
    let mut labels = pairs(&["spec", "selector", "matchLabels"]);
    if labels.is_empty() {
        labels = pairs(&["spec", "selector"]);
    }
    let mut text = LabelSelector::from_labels(labels.iter().map(|(k, v)| (k.as_str(), v.as_str()))).to_string();
    for expression in object.get_list(&["spec", "selector", "matchExpressions"]).unwrap_or_default() {
        let part = |name| expression.child(name).and_then(|v| v.as_str()).unwrap_or_default();
        let values: Vec<&str> = expression
            .child("values")
            .and_then(|v| v.as_list())
            .unwrap_or_default()
            .iter()
            .filter_map(|v| v.as_str())
            .collect();
        let (key, values) = (part("key"), values.join(","));
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&match part("operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    text
}

enum Source {
    Whole(Box<Object>),
    Patch(Patch),
}

pub(super) async fn change(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let (source, options) = if request.info.verb == Verb::Patch {
        let patch = patch_type(&request, if target.resource.custom { CUSTOM } else { BUILTIN })?;
        let body = request.body.read().await?;
        let options = WriteOptions::parse(
            &request.query,
            &request.headers,
            OptionsKind::Patch { apply: patch == PatchType::ApplyYaml },
        )?;
        (Source::Patch(Patch::new(patch, body, &options, &request.notes.warnings)), options)
    } else {
        let body = request.body.read().await?;
        let options = WriteOptions::parse(&request.query, &request.headers, OptionsKind::Update)?;
        let media = negotiate::input(&request.headers, &Offer::OBJECTS)?;
        let validation = options.field_validation;
        let mut scale =
            input::decode(&target.api.schema, &kind(target)?, media, &body, validation, &request.notes.warnings)?;
        super::defaults::settle_namespace(target, &mut scale)?;
        check_name(target, &scale)?;
        (Source::Whole(Box::new(scale)), options)
    };
    let caller = Caller::writes(user, &request.notes, &options);
    // The workload itself is written, by the rules of its main endpoint.
    let main = Target { subresource: None, ..target.clone() };
    let mut rescale = Rescale { ctx, target: &main, endpoint: target, source, caller };
    let written = write::apply(ctx, &main, options.dry_run, &mut rescale).await?;
    Ok(Answer::object(200, of_object(target, &written.shown.into_object(&main)?)?))
}

struct Rescale<'a> {
    ctx: &'a Context,
    target: &'a Target,
    /// The scale endpoint itself.
    endpoint: &'a Target,
    source: Source,
    caller: Caller<'a>,
}

impl Rewrite for Rescale<'_> {
    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            let current = write::existing(current, self.target)?;
            let mut scale = self.new_scale(&current.object)?;
            let old = of_object(self.target, &current.object)?;
            self.caller.admit(self.ctx, self.endpoint, &mut scale, Some(&old)).await?;
            let replicas = scale.get_i64(&["spec", "replicas"]).unwrap_or(0);
            let figures = Figures::of(self.endpoint);
            if self.endpoint.resource.custom && replicas == UNSET {
                let path = go_quote(&figures.spec_text());
                return Err(ApiError::bad_request(format!("the spec replicas field {path} cannot be empty")));
            }
            if replicas < 0 && !self.endpoint.resource.custom {
                let detail = "must be greater than or equal to 0";
                let error = FieldError::invalid_value("spec.replicas", replicas, detail);
                return Err(ApiError::invalid("autoscaling", "Scale", scale.name(), vec![error]));
            }
            let mut object = current.object.clone();
            object.set(&figures.spec, replicas);
            if !scale.resource_version().is_empty() {
                object.set_resource_version(scale.resource_version());
            }
            let entries = entries_of_parent(
                entries(&current.object),
                entries(&scale),
                &current.object.gvk().api_version(),
                &|version| self.replicas_in(&current.object, &figures.spec, version),
                metadata(&object)?,
            );
            set_entries(&mut object, entries.map_err(ApiError::unknown)?);
            let mut final_scale = of_object(self.target, &object)?;
            self.caller.validate(self.ctx, self.endpoint, Some(&mut final_scale), Some(&old)).await?;
            let caller = self.caller.admitted();
            lifecycle::change(self.ctx, self.target, Proposal::Owned(object), Some(current), caller).await
        })
    }
}

impl Rescale<'_> {
    /// The scale as it shall be, with its owners.
    fn new_scale(&self, workload: &Object) -> Result<Object, ApiError> {
        let mut old = of_object(self.target, workload)?;
        if self.endpoint.resource.custom && workload.get(&Figures::of(self.endpoint).spec).is_none() {
            old.set(&["spec", "replicas"], UNSET);
        }
        let figures = Figures::of(self.endpoint);
        let replicas = |version: &str| self.replicas_in(workload, &figures.spec, version);
        let owners = entries_of_scale(entries(workload), &replicas, metadata(&old)?);
        set_entries(&mut old, owners.map_err(ApiError::unknown)?);
        let ownership = Ownership::new(self.ctx, self.endpoint, self.caller);
        let proposal = match &self.source {
            Source::Whole(scale) => Proposal::Sent((**scale).clone()),
            Source::Patch(patch) => {
                let mut patched = patch.apply(self.target, old.ty(), Some(&old), ownership.manager())?;
                check_name(self.target, patched.object_mut())?;
                patched
            }
        };
        Ok(match proposal {
            Proposal::Owned(scale) => scale,
            Proposal::Sent(mut scale) => {
                ownership.manager().update(Some(&old), &mut scale);
                scale
            }
        })
    }

    fn replicas_in<'p>(&self, workload: &Object, path: &'p [&'p str], api_version: &str) -> ReplicasPath<'p> {
        match Served::of(self.target).serves(workload, api_version) {
            true => ReplicasPath::At(path),
            false => ReplicasPath::Unknown,
        }
    }
}

fn entries(object: &Object) -> &[Value] {
    object.get_list(&PATH).unwrap_or_default()
}

fn set_entries(object: &mut Object, entries: Option<Value>) {
    object.remove(&PATH);
    if let Some(entries) = entries {
        let entries = fitted(object, entries);
        object.set(&PATH, entries);
    }
}

/// Entries of a workload as those of a scale, and back: kinds may have the fields of metadata in an order of their own.
fn fitted(object: &Object, entries: Value) -> Value {
    let metadata = object.root().def().field("metadata").and_then(|field| field.struct_ref());
    let entry = metadata.and_then(|def| def.field("managedFields")).and_then(|field| field.struct_ref());
    match (entries, entry) {
        (Value::List(items), Some(def)) => {
            let fit = |item: Value| item.as_struct().map_or(item.clone(), |entry| convert_struct(entry, def).into());
            Value::List(items.into_iter().map(fit).collect())
        }
        (other, _) => other,
    }
}

fn metadata(object: &Object) -> Result<&StructRef, ApiError> {
    let field = object.root().def().field("metadata").and_then(|field| field.struct_ref());
    field.ok_or_else(|| ApiError::internal("an object without metadata"))
}
