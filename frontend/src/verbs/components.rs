//! ComponentStatuses: the health of the store and of the two daemons that usually run beside an API server, asked for
//! when a client asks. Nothing of it is stored.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};

use super::{
    list_options::ListOptions,
    respond::{Answer, respond},
    table::table_of_objects,
};
use crate::{
    api::schema::{Object, Value},
    client::{Client, Peer},
    cluster::{Target, known_kind},
    request::{
        Request,
        body::Body,
        info::Verb,
        negotiate::{self, Offer, Transform},
        status::{ApiError, GroupResource},
    },
    verbs::Context,
};

pub(super) const ROW: (&str, &str) = ("", "componentstatuses");

/// Where the daemons say how they are.
const DAEMONS: [(&str, &str); 2] =
    [("scheduler", "https://127.0.0.1:10259/healthz"), ("controller-manager", "https://127.0.0.1:10257/healthz")];
const STORE: &str = "etcd-0";
const TIME_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn read(ctx: &Context, target: &Target, request: &Request) -> Result<Response<Body>, ApiError> {
    let output = negotiate::output(&request.headers, &request.query, &Offer::OBJECTS)?;
    if request.info.verb == Verb::Get {
        let Some(found) = status(ctx, target, &target.name).await? else {
            return Err(ApiError::not_found(&GroupResource::new("", "componentstatus"), &target.name));
        };
        return respond(ctx, target, &request.query, output, Answer::object(200, found));
    }
    let found = selected(ctx, target, request).await?;
    if let Transform::Table(version) = output.transform {
        return table_of_objects(ctx, target, request, output, version, &found);
    }
    let items = found.into_iter().map(|mut item| {
        item.root_mut().remove("kind");
        item.root_mut().remove("apiVersion");
        Value::Struct(item.root().clone())
    });
    let mut list = Object::new(&known_kind(&target.api.schema, "", "v1", "ComponentStatusList")?);
    list.set(&["items"], Value::List(items.collect()));
    respond(ctx, target, &request.query, output, Answer::object(200, list))
}

async fn selected(ctx: &Context, target: &Target, request: &Request) -> Result<Vec<Object>, ApiError> {
    let selection = ListOptions::parse(&request.query, target)?.selection;
    let mut found = Vec::new();
    for name in DAEMONS.iter().map(|(name, _)| *name).chain([STORE]) {
        let named = |field: &str| if field == "metadata.name" { name.to_owned() } else { String::new() };
        if selection.labels.matches(|_| None) && selection.fields.matches(named) {
            found.extend(status(ctx, target, name).await?);
        }
    }
    Ok(found)
}

/// How a component is; none of that name is known.
async fn status(ctx: &Context, target: &Target, name: &str) -> Result<Option<Object>, ApiError> {
    let health = if name == STORE {
        ctx.cluster.store.health().await.map_err(|error| error.to_string())
    } else if let Some((_, url)) = DAEMONS.iter().find(|(daemon, _)| *daemon == name) {
        probe(url).await
    } else {
        return Ok(None);
    };
    let (health, message) = match health {
        Ok(()) => ("True", "ok".to_owned()),
        Err(why) => ("False", why),
    };
    let mut found = Object::new(&target.kind);
    found.set_name(name);
    let condition = found.root().def().field("conditions").and_then(|field| field.struct_ref());
    let condition = condition.ok_or_else(|| ApiError::internal("a component status without conditions"))?;
    let mut condition = crate::api::schema::Struct::new(condition);
    condition.set("type", "Healthy");
    condition.set("status", health);
    condition.set("message", message);
    found.set(&["conditions"], Value::List(vec![Value::Struct(condition)]));
    Ok(Some(found))
}

async fn probe(url: &str) -> Result<(), String> {
    let client = Client::new(&Peer { insecure: true, ..Peer::default() }).map_err(|error| error.to_string())?;
    let reply = client.call(Method::GET, url, HeaderMap::new(), Bytes::new(), TIME_LIMIT).await;
    let status = reply.map_err(|error| error.to_string())?.status;
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    Err(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
}
