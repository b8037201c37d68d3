//! The Auth service. What a change means and who may make it is evaluated with everything else that is written (see
//! `auth`); passwords are hashed and tokens made here, before.

use base64::{Engine, engine::general_purpose::STANDARD};
use proto::{etcdserverpb as pb, etcdserverpb::auth_server::Auth};
use tonic::{Request, Response, Status};

use super::{
    credentials::{Credentials, now_ms},
    errors,
    wire::Wire,
};
use crate::{
    auth::{AuthRefusal, Caller, Change, NewPassword, Secret, password::PasswordFault},
    model::Op,
    shim::Consistency,
    state::State,
};

/// An answer to a request of the first type.
type Answer<M> = Result<Response<M>, Status>;

/// How often a password is compared again because users changed meanwhile.
const COMPARED_AGAIN_MAX: usize = 5;

#[tonic::async_trait]
impl Auth for Wire {
    async fn auth_status(&self, request: Request<pb::AuthStatusRequest>) -> Answer<pb::AuthStatusResponse> {
        let state = self.as_admin(&Credentials::of(&request)).await?;
        let header = Some(self.header(state.revision()));
        let (enabled, auth_revision) = (state.auth().is_enabled(), state.auth().revision());
        Ok(Response::new(pb::AuthStatusResponse { header, enabled, auth_revision }))
    }

    async fn authenticate(&self, request: Request<pb::AuthenticateRequest>) -> Answer<pb::AuthenticateResponse> {
        let request = request.into_inner();
        let (header, token) = self.token(&request.name, request.password).await?;
        Ok(Response::new(pb::AuthenticateResponse { header: Some(header), token }))
    }

    async fn auth_enable(&self, request: Request<pb::AuthEnableRequest>) -> Answer<pb::AuthEnableResponse> {
        let secret: [u8; 32] = rand::random();
        let header = self.change(request, |_| Change::Enable(Secret(secret.to_vec().into()))).await?;
        Ok(Response::new(pb::AuthEnableResponse { header }))
    }

    async fn auth_disable(&self, request: Request<pb::AuthDisableRequest>) -> Answer<pb::AuthDisableResponse> {
        let header = self.change(request, |_| Change::Disable).await?;
        Ok(Response::new(pb::AuthDisableResponse { header }))
    }

    async fn user_add(&self, request: Request<pb::AuthUserAddRequest>) -> Answer<pb::AuthUserAddResponse> {
        let message = request.get_ref();
        let password = match message.options.as_ref().is_some_and(|options| options.no_password) {
            true => None,
            false => Some(self.hashed(&Credentials::of(&request), message.password.clone()).await?),
        };
        let header = self.change(request, |request| Change::UserAdd { name: request.name, password }).await?;
        Ok(Response::new(pb::AuthUserAddResponse { header }))
    }

    async fn user_get(&self, request: Request<pb::AuthUserGetRequest>) -> Answer<pb::AuthUserGetResponse> {
        let (credentials, name) = (Credentials::of(&request), request.into_inner().name);
        let (state, caller) = self.read(&credentials, Consistency::Linearizable).await.map_err(errors::failed)?;
        // Everybody may look at himself.
        state
            .access(&caller)
            .admin()
            .or_else(|refusal| if name_of(&caller) == name { Ok(()) } else { Err(refusal) })?;
        let roles = state.auth().roles_of(&name)?;
        Ok(Response::new(pb::AuthUserGetResponse { header: Some(self.header(state.revision())), roles }))
    }

    async fn user_list(&self, request: Request<pb::AuthUserListRequest>) -> Answer<pb::AuthUserListResponse> {
        let state = self.as_admin(&Credentials::of(&request)).await?;
        let (header, users) = (Some(self.header(state.revision())), state.auth().user_names());
        Ok(Response::new(pb::AuthUserListResponse { header, users }))
    }

    async fn user_delete(&self, request: Request<pb::AuthUserDeleteRequest>) -> Answer<pb::AuthUserDeleteResponse> {
        let header = self.change(request, |request| Change::UserDelete { name: request.name }).await?;
        Ok(Response::new(pb::AuthUserDeleteResponse { header }))
    }

    async fn user_change_password(
        &self,
        request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Answer<pb::AuthUserChangePasswordResponse> {
        let message = request.get_ref();
        let password = match message.password.is_empty() {
            true => given_hash(&message.hashed_password),
            false => {
                let credentials = Credentials::of(&request);
                NewPassword::Hash(self.hashed(&credentials, message.password.clone()).await?)
            }
        };
        let change = |request: pb::AuthUserChangePasswordRequest| {
            let name = request.name;
            Change::UserChangePassword { name, password }
        };
        let header = self.change(request, change).await?;
        Ok(Response::new(pb::AuthUserChangePasswordResponse { header }))
    }

    async fn user_grant_role(
        &self,
        request: Request<pb::AuthUserGrantRoleRequest>,
    ) -> Answer<pb::AuthUserGrantRoleResponse> {
        let change = |request: pb::AuthUserGrantRoleRequest| {
            let (user, role) = (request.user, request.role);
            Change::UserGrantRole { user, role }
        };
        Ok(Response::new(pb::AuthUserGrantRoleResponse { header: self.change(request, change).await? }))
    }

    async fn user_revoke_role(
        &self,
        request: Request<pb::AuthUserRevokeRoleRequest>,
    ) -> Answer<pb::AuthUserRevokeRoleResponse> {
        let change = |request: pb::AuthUserRevokeRoleRequest| {
            let (user, role) = (request.name, request.role);
            Change::UserRevokeRole { user, role }
        };
        Ok(Response::new(pb::AuthUserRevokeRoleResponse { header: self.change(request, change).await? }))
    }

    async fn role_add(&self, request: Request<pb::AuthRoleAddRequest>) -> Answer<pb::AuthRoleAddResponse> {
        let header = self.change(request, |request| Change::RoleAdd { name: request.name }).await?;
        Ok(Response::new(pb::AuthRoleAddResponse { header }))
    }

    async fn role_get(&self, request: Request<pb::AuthRoleGetRequest>) -> Answer<pb::AuthRoleGetResponse> {
        let (credentials, role) = (Credentials::of(&request), request.into_inner().role);
        let (state, caller) = self.read(&credentials, Consistency::Linearizable).await.map_err(errors::failed)?;
        let auth = state.auth();
        let is_own = || auth.has_role(&caller, &role);
        state.access(&caller).admin().or_else(|refusal| if is_own() { Ok(()) } else { Err(refusal) })?;
        let perm = auth.permissions_of(&role)?;
        Ok(Response::new(pb::AuthRoleGetResponse { header: Some(self.header(state.revision())), perm }))
    }

    async fn role_list(&self, request: Request<pb::AuthRoleListRequest>) -> Answer<pb::AuthRoleListResponse> {
        let state = self.as_admin(&Credentials::of(&request)).await?;
        let (header, roles) = (Some(self.header(state.revision())), state.auth().role_names());
        Ok(Response::new(pb::AuthRoleListResponse { header, roles }))
    }

    async fn role_delete(&self, request: Request<pb::AuthRoleDeleteRequest>) -> Answer<pb::AuthRoleDeleteResponse> {
        let header = self.change(request, |request| Change::RoleDelete { name: request.role }).await?;
        Ok(Response::new(pb::AuthRoleDeleteResponse { header }))
    }

    async fn role_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Answer<pb::AuthRoleGrantPermissionResponse> {
        let change = |request: pb::AuthRoleGrantPermissionRequest| {
            let (role, permission) = (request.name, request.perm);
            Change::RoleGrantPermission { role, permission }
        };
        Ok(Response::new(pb::AuthRoleGrantPermissionResponse { header: self.change(request, change).await? }))
    }

    async fn role_revoke_permission(
        &self,
        request: Request<pb::AuthRoleRevokePermissionRequest>,
    ) -> Answer<pb::AuthRoleRevokePermissionResponse> {
        let change = |request: pb::AuthRoleRevokePermissionRequest| {
            let (role, key, range_end) = (request.role, request.key, request.range_end);
            Change::RoleRevokePermission { role, key, range_end }
        };
        Ok(Response::new(pb::AuthRoleRevokePermissionResponse { header: self.change(request, change).await? }))
    }
}

impl Wire {
    async fn change<M: prost::Message>(
        &self,
        request: Request<M>,
        change: impl FnOnce(M) -> Change,
    ) -> Result<Option<pb::ResponseHeader>, Status> {
        let credentials = Credentials::of(&request);
        let op = Op::Auth(change(self.sized(request)?));
        let (revision, _) = self.write(&credentials, op).await?;
        Ok(Some(self.header(revision)))
    }

    /// A state to read from for somebody who may see all of it.
    async fn as_admin(&self, credentials: &Credentials) -> Result<State, Status> {
        let (state, caller) = self.read(credentials, Consistency::Linearizable).await.map_err(errors::failed)?;
        state.access(&caller).admin()?;
        Ok(state)
    }

    /// Hashing costs much by design: only who may change users makes us do it.
    async fn hashed(&self, credentials: &Credentials, password: String) -> Result<Secret, Status> {
        self.passwords.check(&password).map_err(password_failed)?;
        self.as_admin(credentials).await?;
        self.passwords.hash(password).await.map_err(password_failed)
    }

    async fn token(&self, user: &str, password: String) -> Result<(pb::ResponseHeader, String), Status> {
        let refused = |refusal: AuthRefusal| {
            tracing::warn!(user, %refusal, "a client was not authenticated");
            Status::from(refusal)
        };
        for _ in 0..COMPARED_AGAIN_MAX {
            let state = self.shim.read(Consistency::Linearizable).await.map_err(errors::faulted)?;
            let auth = state.auth();
            let hash = auth.password_of(user).map_err(refused)?;
            if !self.passwords.matches(password.clone(), hash).await.map_err(password_failed)? {
                return Err(refused(AuthRefusal::AuthFailed));
            }
            if self.shim.snapshot().auth().revision() == auth.revision() {
                let token = self.options.tokens.assign(user, auth, state.head().position, now_ms()).map_err(refused)?;
                return Ok((self.header(state.revision()), token));
            }
        }
        Err(refused(AuthRefusal::OldRevision))
    }
}

fn name_of(caller: &Caller) -> &str {
    match caller {
        Caller::User(identity) => &identity.name,
        Caller::Nobody | Caller::Shim => "",
    }
}

/// Go's decoder passes over line ends.
fn given_hash(text: &str) -> NewPassword {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD.decode(text).map_or(NewPassword::Unreadable, |hash| NewPassword::Hash(Secret(hash.into())))
}

fn password_failed(fault: PasswordFault) -> Status {
    match fault {
        PasswordFault::TooLong => Status::unknown("bcrypt: password length exceeds 72 bytes"),
        PasswordFault::Busy => errors::too_many_requests(),
        PasswordFault::Stopped => errors::stopped(),
    }
}
