//! What every verb may use.

use std::sync::Arc;

use super::connect::Backends;
use crate::{access::Access, admission::Admission, cluster::Cluster};

/// Shared by all requests of one server; built once, by the wiring.
pub struct Context {
    pub cluster: Arc<Cluster>,
    pub access: Arc<Access>,
    pub admission: Admission,
    pub backends: Backends,
}
