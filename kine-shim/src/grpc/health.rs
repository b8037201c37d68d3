//! grpc.health.v1: serving while the database answers.

use std::{collections::HashMap, pin::Pin, time::Duration};

use futures::Stream;
use proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus, health_server::Health,
};
use tonic::{Request, Response, Status};

use super::wire::Wire;

/// How often a health watch looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[tonic::async_trait]
impl Health for Wire {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match self.serving(&request.into_inner().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            status => Ok(Response::new(HealthCheckResponse { status: status as i32 })),
        }
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let whole = HealthCheckResponse { status: self.serving("") as i32 };
        Ok(Response::new(HealthListResponse { statuses: HashMap::from([(String::new(), whole)]) }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let session = (self.clone(), request.into_inner().service, None);
        Ok(Response::new(Box::pin(futures::stream::unfold(session, |(wire, service, told)| async move {
            loop {
                let now = wire.serving(&service);
                if told != Some(now) {
                    return Some((Ok(HealthCheckResponse { status: now as i32 }), (wire, service, Some(now))));
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        }))))
    }
}

impl Wire {
    fn serving(&self, service: &str) -> ServingStatus {
        // As etcd: the server as a whole is known, and no single service.
        if !service.is_empty() {
            return ServingStatus::ServiceUnknown;
        }
        if self.shim.is_serving() { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}
