//! Connections that switch protocols: what one side sends, the other gets, until either ends or the server goes down.
//! Small and without knowledge of the protocol; bytes flow only as fast as they are taken.

use http::Response;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use crate::{
    client::remove_hop_headers,
    request::body::{self, Body},
    server::respond,
};

/// The answer to an upgrade that the other server agreed to. The two connections are joined when the client has it.
pub(super) fn pass_through(
    mut answer: Response<Incoming>,
    client: Option<OnUpgrade>,
    stop: CancellationToken,
) -> Response<Body> {
    let Some(client) = client else {
        return respond::text_error(400, "the connection cannot be upgraded");
    };
    let backend = hyper::upgrade::on(&mut answer);
    // It ends with either connection, or with the server.
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let joined = async {
            let (client, backend) = tokio::try_join!(client, backend)?;
            let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
            tokio::io::copy_bidirectional(&mut client, &mut backend).await?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        };
        if let Err(error) = joined.await {
            tracing::debug!(%error, "an upgraded connection ended");
        }
    }));
    let (mut parts, _) = answer.into_parts();
    let upgrade = parts.headers.remove(http::header::UPGRADE);
    remove_hop_headers(&mut parts.headers);
    parts.headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = upgrade {
        parts.headers.insert(http::header::UPGRADE, protocol);
    }
    Response::from_parts(parts, body::empty())
}
