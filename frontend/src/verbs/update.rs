//! PUT of an object, and what every other change of an existing object shares with it.

use futures::future::BoxFuture;

use super::{
    caller::Caller,
    input,
    lifecycle::{self, Proposal},
    options::{OptionsKind, WriteOptions},
    respond::Answer,
    write::{self, Current, Rewrite, Step},
};
use crate::{
    api::schema::Object,
    cluster::Target,
    request::{
        Request, User,
        negotiate::{self, Offer},
        status::ApiError,
    },
    verbs::Context,
};

pub(super) async fn update(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, &request.headers, OptionsKind::Update)?;
    let offer = if target.resource.custom { Offer::CUSTOM } else { Offer::OBJECTS };
    let media = negotiate::input(&request.headers, &offer)?;
    let mut object = input::object(target, media, &body, &options, &request.notes)?;
    request.notes.steps.done("decoded");
    super::defaults::settle_namespace(target, &mut object)?;
    check_name(target, &object)?;
    input::merge_owner_references(&mut object, &request.notes.warnings);
    let uid = object.uid().to_owned();
    let expected_uid = (!uid.is_empty()).then_some(uid);
    let caller = Caller::writes(user, &request.notes, &options);
    let mut change = Update { ctx, target, object, expected_uid, caller };
    let written = write::apply(ctx, target, options.dry_run, &mut change).await;
    request.notes.steps.done("stored");
    let written = written?;
    Ok(Answer::shown(if written.created { 201 } else { 200 }, written.shown))
}

pub(super) fn unnamed(target: &Target) -> ApiError {
    let name = &target.name;
    ApiError::bad_request(format!(
        "the name of the object ({name} based on URL) was undeterminable: name must be provided"
    ))
}

/// The name in the object must be the one in the path.
pub(super) fn check_name(target: &Target, object: &Object) -> Result<(), ApiError> {
    let name = object.name();
    if name.is_empty() {
        return Err(unnamed(target));
    }
    if name != target.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    Ok(())
}

struct Update<'a> {
    ctx: &'a Context,
    target: &'a Target,
    object: Object,
    expected_uid: Option<String>,
    caller: Caller<'a>,
}

impl Rewrite for Update<'_> {
    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            let may_create = self.target.resource.updates.may_create && self.target.subresource.is_none();
            if current.is_none() && !may_create {
                return Err(ApiError::not_found(&self.target.group_resource(), &self.target.name));
            }
            if let Some(expected) = &self.expected_uid {
                check_uid(&self.caller.shown_key(self.ctx, self.target)?, self.target, expected, current)?;
            }
            let proposal = Proposal::Sent(self.object.clone());
            lifecycle::change(self.ctx, self.target, proposal, current, self.caller).await
        })
    }
}

fn check_uid(key: &str, target: &Target, expected: &str, current: Option<&Current>) -> Result<(), ApiError> {
    let found = current.map_or("", |c| c.object.uid());
    if found == expected {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {expected}, UID in object meta: {found}"
    );
    Err(ApiError::conflict(&target.group_resource(), &target.name, why))
}
