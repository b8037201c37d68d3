//! The user behind a token.

use futures::future::BoxFuture;

use super::{ServiceAccounts, accounts::LEGACY_ISSUER, bound, legacy};
use crate::{
    access::{
        authn::{BadCredentials, Identity, TokenAuthenticator},
        authz::rbac::quoted_list,
    },
    request::Warnings,
};

impl TokenAuthenticator for ServiceAccounts {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
        warnings: &'a Warnings,
    ) -> BoxFuture<'a, Result<Option<Identity>, BadCredentials>> {
        Box::pin(async move {
            let Some(claims) = self.verify(token)? else { return Ok(None) };
            let of_token = if claims.aud.is_empty() { &self.audiences } else { &claims.aud };
            let common: Vec<String> =
                audiences.iter().filter(|audience| of_token.contains(audience)).cloned().collect();
            if common.is_empty() && !self.audiences.is_empty() {
                return Err(BadCredentials(format!(
                    "token audiences {} is invalid for the target audiences {}",
                    quoted_list(of_token),
                    quoted_list(audiences)
                )));
            }
            let user = match claims.iss == LEGACY_ISSUER {
                true => legacy::validate(self, token, &claims, warnings).await?,
                false => bound::validate(self, &claims).await?,
            };
            Ok(Some(Identity { user, audiences: common }))
        })
    }
}
