//! Services may not take external addresses that they did not have: nobody checks whose they are.

use crate::{
    admission::{Admitted, Attributes, Plugin},
    api::schema::{Object, Value},
    cluster::Cluster,
};

#[derive(Default)]
pub(in crate::admission) struct DenyServiceExternalIPs;

impl Plugin for DenyServiceExternalIPs {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(service) = attributes.object.as_ref().filter(|_| attributes.is_for("", "services")) else {
                return Ok(());
            };
            let addresses = |service: &Object| -> Vec<String> {
                let list = service.get_list(&["spec", "externalIPs"]).unwrap_or_default().iter();
                list.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let before = attributes.old.map(addresses).unwrap_or_default();
            match addresses(service).iter().all(|address| before.contains(address)) {
                true => Ok(()),
                false => Err(attributes.forbidden("Use of external IPs is denied by admission control")),
            }
        })
    }
}
