//! Who sends a request, and what it may do. In go metadata and the connection's certificate, out come callers (see
//! `auth`) on a state. etcd's client sends its token as `token`, the JSON gateway as `authorization`.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tonic::{Request, Status};

use super::{errors, wire::Wire};
use crate::{
    auth::{AuthRefusal, Caller, Identity, token::Verdict},
    model::{Error, Op, Refusal, Reply, Revision},
    shim::Consistency,
    state::State,
};

/// The common name of the certificate that the connection's client showed: whoever accepts connections puts it among
/// the extensions of their requests when certificates name users.
#[derive(Clone, Debug)]
pub struct ClientName(pub Arc<str>);

/// How often an operation is evaluated again because users or roles changed between the look at its token and its
/// judgement.
const JUDGED_AGAIN_MAX: usize = 5;

/// What a request shows of its sender. Not for logs.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    token: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

impl Credentials {
    pub(super) fn of<M>(request: &Request<M>) -> Self {
        let metadata = request.metadata();
        let token = metadata.get("token").or_else(|| metadata.get("authorization")).map(|token| {
            let token = token.to_str().unwrap_or_default();
            token.strip_prefix("Bearer ").unwrap_or(token).into()
        });
        // A gateway shows its own certificate, not its client's.
        let is_direct = || metadata.get("grpcgateway-accept").is_none();
        let name = request.extensions().get::<ClientName>().filter(|_| is_direct()).map(|name| name.0.clone());
        Self { token, name }
    }

    fn is_anonymous(&self) -> bool {
        self.token.is_none() && self.name.is_none()
    }
}

impl Wire {
    /// The newest state this shim has, or a newer one if the token speaks of one, and the caller on it.
    pub(super) async fn known(&self, credentials: &Credentials) -> Result<(State, Caller), Error> {
        let state = self.shim.snapshot();
        match self.caller(credentials, &state)? {
            Some(Caller::User(identity)) if identity.revision > state.auth().revision() => {}
            Some(caller) => return Ok((state, caller)),
            None => {}
        }
        self.read(credentials, Consistency::Linearizable).await
    }

    /// A state to read from, and the caller on it.
    pub(super) async fn read(
        &self,
        credentials: &Credentials,
        consistency: Consistency,
    ) -> Result<(State, Caller), Error> {
        if consistency == Consistency::Serializable {
            return Box::pin(self.known(credentials)).await;
        }
        let state = self.shim.read(consistency).await?;
        let caller = self.caller(credentials, &state)?.ok_or(Refusal::Auth(AuthRefusal::InvalidToken))?;
        Ok((state, caller))
    }

    /// `None` when the token speaks of a later state.
    fn caller(&self, credentials: &Credentials, state: &State) -> Result<Option<Caller>, Refusal> {
        let (auth, position) = (state.auth(), state.head().position);
        let tokens = &self.options.tokens;
        match credentials {
            Credentials { token: Some(token), .. } if !auth.is_enabled() => {
                Ok((!tokens.is_ahead(token, position)).then_some(Caller::Nobody))
            }
            _ if !auth.is_enabled() => Ok(Some(Caller::Nobody)),
            Credentials { token: Some(token), .. } => match tokens.verify(token, auth, position, now_ms()) {
                Verdict::Known(identity) => Ok(Some(Caller::User(identity))),
                Verdict::Ahead => Ok(None),
                Verdict::Invalid => Err(AuthRefusal::InvalidToken.into()),
            },
            Credentials { name: Some(name), .. } => {
                Ok(Some(Caller::User(Identity { name: name.clone(), revision: auth.revision() })))
            }
            Credentials { token: None, name: None } => Ok(Some(Caller::Nobody)),
        }
    }

    /// Has the operation evaluated on behalf of its sender.
    pub(super) async fn evaluated(&self, credentials: &Credentials, op: Op) -> Result<(Revision, Reply), Error> {
        if credentials.is_anonymous() {
            return self.shim.write_as(op, Caller::Nobody).await;
        }
        let (_, mut caller) = self.known(credentials).await?;
        for _ in 0..JUDGED_AGAIN_MAX {
            let answer = self.shim.write_as(op.clone(), caller.clone()).await;
            if !answer.as_ref().is_err_and(is_stale) {
                return answer;
            }
            // A simple token and a certificate are bound to no revision: only the look at them was old.
            let (_, now) = self.known(credentials).await?;
            if now == caller {
                return answer;
            }
            caller = now;
        }
        self.shim.write_as(op, caller).await
    }

    pub(super) async fn write(&self, credentials: &Credentials, op: Op) -> Result<(Revision, Reply), Status> {
        self.evaluated(credentials, op).await.map_err(errors::failed)
    }

    /// For what only a holder of the root role may ask.
    pub(super) async fn require_admin<M>(&self, request: &Request<M>) -> Result<(), Status> {
        let (state, caller) = self.known(&Credentials::of(request)).await.map_err(errors::failed)?;
        Ok(state.access(&caller).admin()?)
    }

    /// For what everybody may ask who is somebody.
    pub(super) async fn require_user<M>(&self, request: &Request<M>) -> Result<(), Status> {
        let (state, caller) = self.known(&Credentials::of(request)).await.map_err(errors::failed)?;
        Ok(state.access(&caller).known()?)
    }
}

/// What a newer look at the caller may cure.
fn is_stale(error: &Error) -> bool {
    matches!(error, Error::Refused(Refusal::Auth(AuthRefusal::OldRevision | AuthRefusal::UserEmpty)))
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
