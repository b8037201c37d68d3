//! Resources that are answered without being stored: reviews.

use super::{respond::Answer, target::Target};
use crate::{authn::User, context::Context, pipeline::Request, status::ApiError};

pub(super) async fn create(
    _ctx: &Context,
    target: &Target,
    _request: Request,
    _user: &User,
) -> Result<Answer, ApiError> {
    let name = &target.resource.plural;
    Err(ApiError::new(501, "NotImplemented", format!("{name} is not implemented by this server")))
}
