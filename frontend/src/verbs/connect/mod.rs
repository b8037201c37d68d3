//! Requests that are handed on to another server: a pod's log, exec, attach and port forwarding to a kubelet, and the
//! proxies of pods, services and nodes.
//!
//! In: a permitted request on a subresource that connects. Out: the other server's answer, or the switch to its
//! protocol with a session that the server runs. Not here: aggregated servers, and webhooks.

mod backends;
mod channels;
#[cfg(test)]
mod decoding;
mod forwarded;
mod links;
mod location;
mod log;
mod messages;
mod options;
mod outcome;
mod proxy;
mod remote;
mod spdy;
mod tunnel;
mod upgrade;
mod url;
mod websocket;

use bytes::Bytes;
use futures::Stream;
use http::Response;

pub use backends::Backends;
use location::{Location, Pod};

use crate::{
    access::authz::{Attributes as Question, Authorizer},
    admission::{Attributes, Operation, Reinvocation},
    api::schema::{Gvk, Object},
    cluster::{Target, known_kind},
    request::{
        Request, User,
        body::{Body, BodyError},
        info::Verb,
        negotiate::MediaType,
        status::{ApiError, GroupResource},
    },
    verbs::Context,
};

/// A pod's log is read; it is not admitted.
pub(super) async fn log(ctx: &Context, target: &Target, request: Request) -> Result<Response<Body>, ApiError> {
    log::get(ctx, target, request).await
}

/// The frames of a watch, as messages of the WebSocket that it was asked for over.
pub(super) fn watch<S>(request: Request, frames: S, media: MediaType) -> Result<Response<Body>, ApiError>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
{
    messages::watch(request, frames, media)
}

/// Whether a client wants a WebSocket.
pub(super) fn wants_websocket(request: &Request) -> bool {
    websocket::is_asked(&request.headers)
}

/// Hands a request on, once admission has seen what it wants.
pub(super) async fn connect(
    ctx: &Context,
    target: &Target,
    request: Request,
    user: &User,
) -> Result<Response<Body>, ApiError> {
    let Some(subresource) = &target.subresource else { return Err(ApiError::method_not_allowed()) };
    if request.query.get("dryRun").is_some() {
        return Err(ApiError::bad_request("dryRun is not supported"));
    }
    let kind = known_kind(&target.api.schema, &subresource.group, &subresource.version, &subresource.kind)?;
    let path = (subresource.name == "proxy").then(|| path_below(&request));
    let mut options = options::read(&kind, &request.query, path.as_deref())?;
    admit(ctx, target, &request, user, &mut options).await?;
    if subresource.name != "proxy" {
        may_create(ctx, &request, user).await?;
        return stream(ctx, target, request, &options).await;
    }
    let location = match target.resource.plural.as_ref() {
        "pods" => location::pod_proxy(ctx, target).await,
        "services" => location::service_proxy(ctx, target).await,
        _ => location::node_proxy(ctx, target).await,
    };
    proxy::serve(request, location?.below(options.get_str(&["path"]).unwrap_or_default())).await
}

/// What follows the subresource in the path, with its slashes.
fn path_below(request: &Request) -> String {
    let mut path = request.info.parts.get(3..).unwrap_or_default().join("/");
    if !path.is_empty() && !path.starts_with('/') {
        path.insert(0, '/');
    }
    if request.info.path.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

async fn admit(
    ctx: &Context,
    target: &Target,
    request: &Request,
    user: &User,
    options: &mut Object,
) -> Result<(), ApiError> {
    let subresource = request.info.subresource.as_str();
    let Gvk { group, version, kind } = options.gvk().clone();
    let mut attributes = Attributes {
        operation: Operation::Connect,
        api: &target.api,
        resource: &target.resource,
        subresource,
        kind: Gvk { group, version, kind },
        namespace: &target.namespace,
        name: &target.name,
        user,
        object: Some(options),
        old: None,
        options: None,
        dry_run: false,
        warnings: &request.notes.warnings,
        annotations: &request.notes.annotations,
        steps: &request.notes.steps,
        reinvocation: Reinvocation::default(),
    };
    ctx.admission.admit(&ctx.cluster, &mut attributes).await?;
    ctx.admission.validate(&ctx.cluster, &attributes).await
}

/// A WebSocket begins with a GET: whoever may only read must not run commands by it.
async fn may_create(ctx: &Context, request: &Request, user: &User) -> Result<(), ApiError> {
    if request.info.verb == Verb::Create {
        return Ok(());
    }
    let question = Question { verb: "create".to_owned(), ..Question::of_request(user, request) };
    let decision = ctx.access.authorization.authorize(&question).await;
    if decision.is_allowed() {
        return Ok(());
    }
    let resource = GroupResource::new(request.info.group.clone(), request.info.resource.clone());
    match decision.error {
        Some(error) => Err(ApiError::unknown(error)),
        None => Err(ApiError::forbidden(&resource, &request.info.name, decision.reason)),
    }
}

/// exec, attach and portforward.
async fn stream(
    ctx: &Context,
    target: &Target,
    request: Request,
    options: &Object,
) -> Result<Response<Body>, ApiError> {
    let location = kubelet(ctx, target, options).await?;
    let is_port_forward = request.info.subresource == "portforward";
    if is_port_forward && tunnel::is_asked(&request.headers) {
        return tunnel::serve(request, location).await;
    }
    let wants_channels = websocket::is_asked(&request.headers)
        && websocket::offered(&request.headers).any(|protocol| protocol == remote::PROTOCOL);
    if !is_port_forward && wants_channels {
        return remote::serve(request, location, options);
    }
    if !upgrade::is_upgrade(&request.headers) {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    upgrade::forward(request, location).await
}

/// Where the kubelet of a pod streams.
async fn kubelet(ctx: &Context, target: &Target, options: &Object) -> Result<Location, ApiError> {
    let pod = Pod::get(ctx, target).await?;
    let mut parameters = Vec::new();
    let path = match target.subresource.as_ref().map(|subresource| subresource.name.as_ref()) {
        Some("portforward") => {
            let ports = options.get_list(&["ports"]).unwrap_or_default();
            let ports: Vec<String> = ports.iter().filter_map(|port| port.as_i64()).map(|p| p.to_string()).collect();
            if !ports.is_empty() {
                parameters.push(("port", ports.join(",")));
            }
            pod.path("portForward")
        }
        other => {
            let container = pod.container(options.get_str(&["container"]).unwrap_or_default())?;
            for (field, name) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
                if options.get_bool(&[field]).unwrap_or_default() {
                    parameters.push((name, "1".to_owned()));
                }
            }
            let command = options.get_list(&["command"]).unwrap_or_default();
            parameters.extend(command.iter().filter_map(|word| word.as_str()).map(|word| ("command", word.to_owned())));
            format!("{}/{container}", pod.path(other.unwrap_or_default()))
        }
    };
    let Some(kubelet) = pod.kubelet(ctx, target).await? else {
        return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", target.name)));
    };
    Ok(kubelet.at(ctx.backends.kubelet(), path, parameters))
}
