//! Resources that are answered without being stored: reviews.

use super::{
    caller::Caller,
    defaults, input,
    options::{OptionsKind, WriteOptions},
    ownership,
    respond::Answer,
};
use crate::{
    access::reviews,
    cluster::Target,
    request::{
        Request, User,
        negotiate::{self, Offer},
        status::{ApiError, Reason},
    },
    verbs::Context,
};

/// Decodes a review and answers it. Nothing is stored, so that nothing is defaulted or generated but its status.
pub(super) async fn create(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    if !reviews::is_review(&target.kind.gvk.kind) {
        let name = &target.resource.plural;
        return Err(ApiError::new(501, Reason::NotImplemented, format!("{name} is not implemented by this server")));
    }
    let media = negotiate::input(&request.headers, &Offer::OBJECTS)?;
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, &request.headers, OptionsKind::Create)?;
    let mut review = input::object(target, media, &body, &options, &request.notes)?;
    defaults::settle_namespace(target, &mut review)?;
    let caller = Caller::writes(user, &request.notes, &options);
    ownership::update(ctx, target, caller, None, &mut review).await;
    caller.admit(ctx, target, &mut review, None).await?;
    caller.validate(ctx, target, Some(&mut review), None).await?;
    reviews::answer(&ctx.access, &ctx.cluster, &mut review, user, &target.namespace).await?;
    Ok(Answer::object(201, review))
}
