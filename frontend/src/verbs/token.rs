//! POST to a service account's token: a token that dies with what it is bound to.

use super::{
    caller::Caller,
    defaults, input,
    options::{OptionsKind, WriteOptions},
    ownership,
    respond::Answer,
};
use crate::{
    access::authn::service_account::{Bound, Wish},
    api::schema::{Object, Value},
    cluster::{Target, known_kind},
    request::{
        Request, User,
        negotiate::{self, Offer},
        status::{ApiError, FieldError, GroupResource},
    },
    verbs::Context,
};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";
const SHORTEST_SECONDS: i64 = 10 * 60;
const LONGEST_SECONDS: i64 = 1 << 32;

pub(super) async fn create(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let media = negotiate::input(&request.headers, &Offer::OBJECTS)?;
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, &request.headers, OptionsKind::Create)?;
    let kind = known_kind(&target.api.schema, GROUP, "v1", KIND)?;
    let mut wanted =
        input::decode(&target.api.schema, &kind, media, &body, options.field_validation, &request.notes.warnings)?;
    defaults::settle_namespace(target, &mut wanted)?;
    let caller = Caller::writes(user, &request.notes, &options);
    ownership::update(ctx, target, caller, None, &mut wanted).await;
    caller.admit(ctx, target, &mut wanted, None).await?;
    if !wanted.name().is_empty() && wanted.name() != target.name {
        let why = "must match the service account name if specified";
        let error = FieldError::invalid("metadata.name", wanted.name(), why);
        return Err(ApiError::invalid(GROUP, KIND, &target.name, vec![error]));
    }
    let account = find(ctx, "serviceaccounts", &target.namespace, &target.name).await?;
    complete(ctx, &mut wanted, &account)?;
    let seconds = wanted.get_i64(&["spec", "expirationSeconds"]).unwrap_or_default();
    let errors = lifetime_errors(seconds);
    if !errors.is_empty() {
        return Err(ApiError::invalid(GROUP, KIND, "", errors));
    }
    caller.validate(ctx, target, Some(&mut wanted), None).await?;
    let objects = bound_objects(ctx, target, &wanted).await?;
    let seconds = match ctx.access.service_accounts.max_expiration_seconds() {
        Some(max) if seconds > max => {
            let text = format!("requested expiration of {seconds} seconds shortened to {max} seconds");
            request.notes.warnings.add(text);
            wanted.set(&["spec", "expirationSeconds"], max);
            max
        }
        _ => seconds,
    };
    let audiences = texts(&wanted, &["spec", "audiences"]);
    let wish = Wish { account: &account, audiences: &audiences, expiration_seconds: seconds, bound: objects.bound() };
    let issued = ctx.access.service_accounts.issue(&wish).map_err(|error| ApiError::internal(error.to_string()))?;
    let until = ctx.cluster.clock.now().checked_add(jiff::SignedDuration::from_secs(seconds));
    wanted.set(&["status", "token"], issued.token);
    if let Ok(until) = until {
        wanted.set(&["status", "expirationTimestamp"], crate::cluster::time_text(until));
    }
    Ok(Answer::object(201, wanted))
}

fn texts(object: &Object, path: &[&str]) -> Vec<String> {
    let items = object.get_list(path).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// An object as the store has it, or the 404 that a client of that resource gets.
async fn find(ctx: &Context, plural: &'static str, namespace: &str, name: &str) -> Result<Object, ApiError> {
    match ctx.cluster.informer().read(("", plural), namespace, name).await? {
        Some(object) => Ok((*object).clone()),
        None => Err(ApiError::not_found(&GroupResource::new("", plural), name)),
    }
}

/// Fills in what the request leaves open; refuses another account's uid.
fn complete(ctx: &Context, wanted: &mut Object, account: &Object) -> Result<(), ApiError> {
    if !wanted.uid().is_empty() && wanted.uid() != account.uid() {
        let why = format!(
            "the UID in the token request ({}) does not match the UID of the service account ({})",
            wanted.uid(),
            account.uid()
        );
        return Err(ApiError::conflict(&GroupResource::new(GROUP, KIND), account.name(), why));
    }
    if texts(wanted, &["spec", "audiences"]).is_empty() {
        let audiences = ctx.access.service_accounts.audiences().iter().map(|a| Value::from(a.as_str())).collect();
        wanted.set(&["spec", "audiences"], Value::List(audiences));
    }
    wanted.set_name(account.name());
    wanted.set_namespace(account.namespace());
    wanted.set_uid(account.uid());
    wanted.set_creation_timestamp(&ctx.cluster.now_text());
    wanted.remove(&["status"]);
    Ok(())
}

fn lifetime_errors(seconds: i64) -> Vec<FieldError> {
    let refuse = |why: &str| vec![FieldError::invalid_value("spec.expirationSeconds", seconds, why)];
    match seconds {
        ..SHORTEST_SECONDS => refuse("may not specify a duration less than 10 minutes"),
        SHORTEST_SECONDS..=LONGEST_SECONDS => Vec::new(),
        _ => refuse("may not specify a duration larger than 2^32 seconds"),
    }
}

/// What the token is to be bound to.
enum Objects {
    Nothing,
    Pod(Object, Option<(String, String)>),
    Secret(Object),
    Node(Object),
}

impl Objects {
    fn bound(&self) -> Bound<'_> {
        match self {
            Objects::Nothing => Bound::Nothing,
            Objects::Pod(pod, node) => Bound::Pod(pod, node.clone()),
            Objects::Secret(secret) => Bound::Secret(secret),
            Objects::Node(node) => Bound::Node(node),
        }
    }

    fn uid(&self) -> &str {
        match self {
            Objects::Nothing => "",
            Objects::Pod(object, _) | Objects::Secret(object) | Objects::Node(object) => object.uid(),
        }
    }
}

async fn bound_objects(ctx: &Context, target: &Target, wanted: &Object) -> Result<Objects, ApiError> {
    if wanted.get(&["spec", "boundObjectRef"]).is_none_or(|reference| matches!(reference, Value::Null)) {
        return Ok(Objects::Nothing);
    }
    let text = |field| wanted.get_str(&["spec", "boundObjectRef", field]).unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let (kind, name, uid) = (text("kind"), text("name"), text("uid"));
    let objects = match (group, kind) {
        ("", "Pod") => {
            let pod = find(ctx, "pods", &target.namespace, name).await?;
            if pod.get_str(&["spec", "serviceAccountName"]) != Some(target.name.as_str()) {
                return Err(ApiError::bad_request(format!(
                    "cannot bind token for serviceaccount \"{}\" to pod running with different serviceaccount name.",
                    target.name
                )));
            }
            let node = node_of(ctx, &pod).await?;
            Objects::Pod(pod, node)
        }
        ("", "Secret") => Objects::Secret(find(ctx, "secrets", &target.namespace, name).await?),
        ("", "Node") => Objects::Node(find(ctx, "nodes", "", name).await?),
        _ => {
            return Err(ApiError::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    if !uid.is_empty() && uid != objects.uid() {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(&GroupResource::new("", kind.to_owned()), name, why));
    }
    Ok(objects)
}

/// Name and uid of the node of a pod; the name alone of one that is not there.
async fn node_of(ctx: &Context, pod: &Object) -> Result<Option<(String, String)>, ApiError> {
    let Some(name) = pod.get_str(&["spec", "nodeName"]).filter(|name| !name.is_empty()) else { return Ok(None) };
    let node = ctx.cluster.informer().find(("", "nodes"), "", name).await?;
    Ok(Some((name.to_owned(), node.map(|node| node.uid().to_owned()).unwrap_or_default())))
}
