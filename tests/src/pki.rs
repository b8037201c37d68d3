//! A certificate authority and leaves for one test run. Keys live in the caller's folder and go with it.

use std::{fs, net::IpAddr, path::Path};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Who a leaf certificate is for: `common_name` is the user, `organization` its group.
pub struct Leaf<'a> {
    /// File stem: `NAME.crt` and `NAME.key`.
    pub name: &'a str,
    pub common_name: &'a str,
    pub organization: Option<&'a str>,
}

/// Writes `ca.crt`, `ca.key` and a `NAME.crt`/`NAME.key` pair for each leaf. Every leaf may serve and call, on loopback.
pub fn write(dir: &Path, leaves: &[Leaf<'_>]) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    ca.distinguished_name.push(DnType::CommonName, "test-ca");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
    fs::write(dir.join("ca.crt"), ca.pem())?;
    fs::write(dir.join("ca.key"), ca.key().serialize_pem())?;
    for leaf in leaves {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "kubernetes.default.svc".to_owned()])?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::from([127, 0, 0, 1])));
        params.distinguished_name.push(DnType::CommonName, leaf.common_name);
        if let Some(organization) = leaf.organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        fs::write(dir.join(format!("{}.crt", leaf.name)), params.signed_by(&key, &ca)?.pem())?;
        fs::write(dir.join(format!("{}.key", leaf.name)), key.serialize_pem())?;
    }
    Ok(())
}
