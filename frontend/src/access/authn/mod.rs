//! Who makes a request: by client certificate, by headers of a proxy, by bearer token, or nobody in particular.
//!
//! In: headers and the certificates of the connection. Out: a user, or the 401 of the real server.
//! Not here: what the user may do (authz).

mod anonymous;
mod authentication;
mod bootstrap_token;
mod certificate;
mod credentials;
pub mod jose;
pub mod oidc;
mod request_header;
pub mod service_account;
mod token_file;
mod token_webhook;
mod websocket;

pub use anonymous::Anonymous;
pub use authentication::Authentication;
pub use bootstrap_token::BootstrapTokens;
pub use certificate::{Authority, CertificateAuthenticator, CertificateError};
pub use credentials::{Authenticator, BadCredentials, ForAudiences, Identity, TokenAuthenticator, TokenLookup};
pub use request_header::RequestHeader;
pub use token_file::{TokenFile, TokenFileError};
pub use token_webhook::TokenWebhook;

#[cfg(test)]
mod tests;
