//! A certificate authority and leaves for one test run. Keys live in the caller's folder and go with it.

use std::{fs, net::IpAddr, path::Path};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};

/// Who a leaf certificate is for: `common_name` is the user, `organization` its group.
pub struct Leaf<'a> {
    /// File stem: `NAME.crt` and `NAME.key`.
    pub name: &'a str,
    pub common_name: &'a str,
    pub organization: Option<&'a str>,
}

/// Writes `ca.crt`, `ca.key` and a `NAME.crt`/`NAME.key` pair for each leaf. Every leaf may serve and call, on
/// loopback; serial numbers count from 1.
pub fn write(dir: &Path, leaves: &[Leaf<'_>]) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    ca.distinguished_name.push(DnType::CommonName, "test-ca");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
    fs::write(dir.join("ca.crt"), ca.pem())?;
    fs::write(dir.join("ca.key"), ca.key().serialize_pem())?;
    for (leaf, serial) in leaves.iter().zip(1_u64..) {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "kubernetes.default.svc".to_owned()])?;
        params.serial_number = Some(serial.into());
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

/// Writes `crl.pem`: what the authority of `write` revokes, by serial numbers, in place of what it revoked before.
pub fn revoke(dir: &Path, serials: &[u64]) -> Result<()> {
    let key = KeyPair::from_pem(&fs::read_to_string(dir.join("ca.key"))?)?;
    let ca = Issuer::from_ca_cert_pem(&fs::read_to_string(dir.join("ca.crt"))?, key)?;
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(4000, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    fs::write(dir.join("crl.pem"), list.signed_by(&ca)?.pem()?)?;
    Ok(())
}
