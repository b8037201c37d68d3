//! What to do about a certificate that is refused here and taken by Go or OpenSSL. In goes the fault of a handshake or
//! of a file, out comes a sentence for the operator. Only what is refused by its form is here; what is expired, revoked
//! or of another authority is refused there too, and says so itself.

/// (what the fault's name has in it, what to say).
const REMEDIES: [(&str, &str); 5] = [
    (
        "UnsupportedCertVersion",
        "the certificate is of X.509 version 1, which names no use: issue it again with an extension, such as \
         subjectAltName, which makes it version 3",
    ),
    (
        "CaUsedAsEndEntity",
        "the certificate says that it is an authority (CA:TRUE): issue one with CA:FALSE for whoever connects",
    ),
    (
        "InvalidPurpose",
        "the certificate's extended key usage does not name what it is used for: clientAuth for who connects, serverAuth \
         for who is connected to (anyExtendedKeyUsage is not taken for either)",
    ),
    (
        "UnsupportedSignatureAlgorithm",
        "the certificate, or the authority's, is signed with an algorithm that is not known here: use ECDSA \
         (P-256, P-384, P-521), Ed25519 or RSA",
    ),
    (
        "failed to parse private key",
        "the key is of a kind that is not known here: use P-256, P-384, P-521, Ed25519 or RSA",
    ),
];

pub(crate) fn remedy(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut fault = format!("{error:?} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        fault.push_str(&format!("{error:?}"));
        cause = error.source();
    }
    REMEDIES.iter().find(|(name, _)| fault.contains(name)).map(|(_, remedy)| *remedy)
}

/// A fault with what to do about it, where that is known.
pub(crate) fn with_remedy(error: &(dyn std::error::Error + 'static)) -> String {
    match remedy(error) {
        Some(remedy) => format!("{error}: {remedy}"),
        None => error.to_string(),
    }
}
