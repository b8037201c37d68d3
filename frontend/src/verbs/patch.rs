//! PATCH of an object.

use futures::future::BoxFuture;

use super::{
    caller::Caller,
    input, lifecycle,
    options::{OptionsKind, WriteOptions},
    ownership::Ownership,
    patch_document::Patch,
    respond::Answer,
    update::check_name,
    write::{self, Current, Rewrite, Step},
};
use crate::{
    cluster::Target,
    object::managed_fields::FieldManager,
    request::{
        Request, User,
        negotiate::{self, PatchType},
        status::{ApiError, Reason},
    },
    verbs::Context,
};

pub(super) const BUILTIN: &[PatchType] =
    &[PatchType::Json, PatchType::Merge, PatchType::StrategicMerge, PatchType::ApplyYaml];
pub(super) const CUSTOM: &[PatchType] = &[PatchType::Json, PatchType::Merge, PatchType::ApplyYaml];

pub(super) async fn patch(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let supported = if target.resource.custom { CUSTOM } else { BUILTIN };
    let kind = patch_type(&request, supported)?;
    let body = request.body.read().await?;
    request.notes.steps.done("read");
    let options = WriteOptions::parse(
        &request.query,
        &request.headers,
        OptionsKind::Patch { apply: kind == PatchType::ApplyYaml },
    )?;
    let caller = Caller::writes(user, &request.notes, &options);
    let patch = Patch::new(kind, body, &options, &request.notes.warnings);
    let mut change = PatchObject { ctx, target, patch, caller };
    let written = write::apply(ctx, target, options.dry_run, &mut change).await;
    request.notes.steps.done("stored");
    let written = written?;
    Ok(Answer::shown(if written.created { 201 } else { 200 }, written.shown))
}

/// The router of built-in resources knows patch types by text; it answers a 415 of its own.
pub(super) fn patch_type(request: &Request, supported: &[PatchType]) -> Result<PatchType, ApiError> {
    negotiate::patch_type(&request.headers, supported).map_err(|error| {
        if supported.len() < BUILTIN.len() {
            return error;
        }
        ApiError::new(415, Reason::UnsupportedMediaType, "415: Unsupported Media Type").with_details(Default::default())
    })
}

struct PatchObject<'a> {
    ctx: &'a Context,
    target: &'a Target,
    patch: Patch,
    caller: Caller<'a>,
}

impl Rewrite for PatchObject<'_> {
    fn takes_turns(&self) -> bool {
        true
    }

    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            if current.is_none() && !(self.patch.may_create() && self.target.subresource.is_none()) {
                return Err(ApiError::not_found(&self.target.group_resource(), &self.target.name));
            }
            let ownership = Ownership::new(self.ctx, self.target, self.caller);
            let live = current.map(|current| &current.object);
            let (patch, target) = (&self.patch, self.target);
            let patched = |manager: FieldManager<'_>| patch.apply(target, &target.kind, live, manager);
            let mut proposal = ownership.settle(&self.ctx.cluster, patched).await?;
            let object = proposal.object_mut();
            if live.is_none() && !object.uid().is_empty() {
                let uid = object.uid();
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(ApiError::conflict(&self.target.group_resource(), &self.target.name, why));
            }
            super::defaults::settle_namespace(self.target, object)?;
            check_name(self.target, object)?;
            input::merge_owner_references(object, self.caller.warnings);
            lifecycle::change(self.ctx, self.target, proposal, current, self.caller).await
        })
    }
}
