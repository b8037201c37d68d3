//! Certificates that Go takes and we do not are refused with what to do about them.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::{
    cryptography,
    remedy::{remedy, with_remedy},
};

/// Valid for a hundred years, made by OpenSSL.
const AUTHORITY: &[u8] = include_bytes!("odd/authority.pem");
const P521_AUTHORITY: &[u8] = include_bytes!("odd/p521-authority.pem");

fn fault(authority: &[u8], client: &[u8]) -> Option<rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
    let provider = Arc::new(cryptography::provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let client = CertificateDer::from_pem_slice(client).unwrap();
    verifier.verify_client_cert(&client, &[], UnixTime::now()).err()
}

#[test]
fn what_go_takes_and_we_do_not_is_explained() {
    let plain = include_bytes!("odd/plain.pem");
    assert_eq!(fault(AUTHORITY, plain), None);
    let p521 = include_bytes!("odd/signed-with-p521.pem");
    assert_eq!(fault(P521_AUTHORITY, p521), None);
    let cases: [(&[u8], &[u8], &str); 4] = [
        (AUTHORITY, include_bytes!("odd/version-1.pem"), "version 1"),
        (AUTHORITY, include_bytes!("odd/authority-as-client.pem"), "CA:FALSE"),
        (AUTHORITY, include_bytes!("odd/any-usage.pem"), "anyExtendedKeyUsage"),
        (AUTHORITY, include_bytes!("odd/server-only.pem"), "clientAuth"),
    ];
    for (authority, client, part) in cases {
        let fault = fault(authority, client).expect(part);
        let told = with_remedy(&std::io::Error::other(fault.clone()));
        assert!(told.contains(part), "{part}: {told} ({fault:?})");
    }
    let unknown = fault(P521_AUTHORITY, plain).expect("another authority");
    assert_eq!(remedy(&unknown), None);
}
