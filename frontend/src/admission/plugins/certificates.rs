//! Certificate requests: who may approve and sign for a signer, and that nobody asks for the right to do everything.

use std::sync::Arc;

use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::{
    access::{Access, authz},
    admission::{Admitted, Attributes, Made, Parts, Plugin},
    api::schema::Value,
    cluster::Cluster,
    object::equality::same,
    request::{User, user::MASTERS_GROUP},
};

const REQUESTS: (&str, &str) = ("certificates.k8s.io", "certificatesigningrequests");
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

struct CertificateApproval(Arc<Access>);
struct CertificateSigning(Arc<Access>);

pub(in crate::admission) fn make_approval(parts: &Parts<'_>) -> Made {
    Ok(Arc::new(CertificateApproval(Arc::clone(&parts.access))))
}

pub(in crate::admission) fn make_signing(parts: &Parts<'_>) -> Made {
    Ok(Arc::new(CertificateSigning(Arc::clone(&parts.access))))
}

impl Plugin for CertificateApproval {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let (REQUESTS, "approval", Some(old)) = (attributes.row(), attributes.subresource, attributes.old) else {
                return Ok(());
            };
            let signer = old.get_str(&["spec", "signerName"]).unwrap_or_default();
            match may(&self.0, attributes.user, "approve", signer).await {
                true => Ok(()),
                false => {
                    Err(attributes
                        .forbidden(format!("user not permitted to approve requests with signerName {signer:?}")))
                }
            }
        })
    }
}

impl Plugin for CertificateSigning {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let (REQUESTS, "status", Some(old)) = (attributes.row(), attributes.subresource, attributes.old) else {
                return Ok(());
            };
            let Some(request) = &attributes.object else { return Ok(()) };
            let unchanged = |field: &str| same(request.get(&["status", field]), old.get(&["status", field]));
            if unchanged("certificate") && unchanged("conditions") {
                return Ok(());
            }
            let signer = old.get_str(&["spec", "signerName"]).unwrap_or_default();
            match may(&self.0, attributes.user, "sign", signer).await {
                true => Ok(()),
                false => {
                    Err(attributes.forbidden(format!("user not permitted to sign requests with signerName {signer:?}")))
                }
            }
        })
    }
}

/// Whether the user has the verb on the signer, or on all signers of its domain.
async fn may(access: &Access, user: &User, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    for name in [signer.to_owned(), format!("{domain}/*")] {
        let asked = authz::Attributes {
            user: user.clone(),
            verb: verb.to_owned(),
            is_resource: true,
            group: REQUESTS.0.to_owned(),
            version: "*".to_owned(),
            resource: "signers".to_owned(),
            name,
            ..authz::Attributes::default()
        };
        if access.authorization.allows(&asked).await {
            return true;
        }
    }
    false
}

/// No client certificate makes a member of the group that may do everything.
#[derive(Default)]
pub(in crate::admission) struct CertificateSubjectRestriction;

impl Plugin for CertificateSubjectRestriction {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(request) = attributes.object.as_ref().filter(|_| attributes.is_for(REQUESTS.0, REQUESTS.1)) else {
                return Ok(());
            };
            if request.get_str(&["spec", "signerName"]) != Some(CLIENT_SIGNER) {
                return Ok(());
            }
            let subject = Subject::of_request(request.get(&["spec", "request"]))
                .map_err(|why| attributes.forbidden(format!("failed to parse CSR: {why}")))?;
            if subject.organizations.iter().any(|group| group == MASTERS_GROUP) {
                let why = format!("use of {CLIENT_SIGNER} signer with system:masters group is not allowed");
                return Err(attributes.forbidden(why));
            }
            Ok(())
        })
    }
}

/// Whom a certificate request is about.
pub(super) struct Subject {
    pub(super) common_name: String,
    pub(super) organizations: Vec<String>,
}

impl Subject {
    /// Reads the PEM in a request.
    pub(super) fn of_request(request: Option<&Value>) -> Result<Subject, String> {
        let pem = request.and_then(Value::as_bytes).unwrap_or_default();
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem)
            .map_err(|_| "PEM block type must be CERTIFICATE REQUEST".to_owned())?;
        if !matches!(pem.label.as_str(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
            return Err("PEM block type must be CERTIFICATE REQUEST".to_owned());
        }
        let (_, parsed) = X509CertificationRequest::from_der(&pem.contents).map_err(|error| error.to_string())?;
        let subject = &parsed.certification_request_info.subject;
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            attribute.as_str().unwrap_or_default().to_owned()
        };
        Ok(Subject {
            common_name: subject.iter_common_name().last().map(text).unwrap_or_default(),
            organizations: subject.iter_organization().map(text).collect(),
        })
    }
}
