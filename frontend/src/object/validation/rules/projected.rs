//! Projected volumes: several sources in one folder.

use super::{
    super::{
        check::Check::Required,
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
        rule::{Rule, rule, with},
    },
    volumes::MODE,
};
use crate::api::schema::Value;

pub(super) static RULES: &[Rule] = &[
    with("core.v1.ProjectedVolumeSource", projected, &[("defaultMode", MODE)]),
    rule("core.v1.SecretProjection", &[("name", Required)]),
    rule("core.v1.ConfigMapProjection", &[("name", Required)]),
];

/// Several sources in one folder: no two files of one path.
fn projected<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut paths: Vec<&str> = Vec::new();
    for (at, item) in path.structs("sources").enumerate() {
        let source = path.below("sources", Nth::Index(at), item);
        for field in ["secret", "configMap", "downwardAPI"] {
            let Some(of) = source.child(field) else { continue };
            for file in of.get("items").and_then(Value::as_list).unwrap_or_default() {
                let file_path = file.child("path").and_then(Value::as_str).unwrap_or_default();
                let shown = if field == "downwardAPI" { file_path } else { super::resources::text(of, "name") };
                once(path, &mut paths, file_path, shown, errors);
            }
        }
        token(path, &source, errors);
        trust_bundle(path, &source, &mut paths, errors);
        pod_certificate(path, &source, &mut paths, errors);
        if item.iter().count() > 1 {
            errors.forbidden(&source, "", "may not specify more than 1 volume type per source");
        }
    }
}

fn once<'t>(
    path: &FieldPath<'_, 't>,
    paths: &mut Vec<&'t str>,
    file_path: &'t str,
    shown: &str,
    errors: &mut ErrorList<'t>,
) {
    if file_path.is_empty() {
        return;
    }
    if paths.contains(&file_path) {
        errors.invalid(path, "", shown, "conflicting duplicate paths");
    } else {
        paths.push(file_path);
    }
}

/// Errors of the path name the volume.
fn token<'t>(path: &FieldPath<'_, 't>, source: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(token) = source.child("serviceAccountToken") else { return };
    let here = source.below("serviceAccountToken", Nth::Only, token);
    let seconds = here.number("expirationSeconds").unwrap_or(0);
    if seconds < 600 {
        errors.invalid_as(&here, "expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        errors.invalid_as(&here, "expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds");
    }
    match here.text("path") {
        "" => errors.required(path, "path", ""),
        file_path => errors.invalid_each(path, "path", file_path, forms::volume_path(file_path)),
    }
}

fn trust_bundle<'t>(
    path: &FieldPath<'_, 't>,
    source: &FieldPath<'_, 't>,
    paths: &mut Vec<&'t str>,
    errors: &mut ErrorList<'t>,
) {
    let Some(bundle) = source.child("clusterTrustBundle") else { return };
    let here = source.below("clusterTrustBundle", Nth::Only, bundle);
    match (here.optional_text("name"), here.optional_text("signerName")) {
        (Some(_), Some(_)) => {
            let shown = super::super::print::printed_struct(bundle);
            errors.invalid_as(&here, "", shown, "only one of name and signerName may be used");
        }
        (Some(name), None) => {
            if name.is_empty() {
                errors.required(&here, "name", "must be a valid object name");
            }
            for message in bundle_name(name) {
                errors.invalid(&here, "name", name, format!("not a valid clustertrustbundlename: {message}"));
            }
            if here.has("labelSelector") {
                let detail = "labelSelector must be unset if name is specified";
                errors.invalid_value(&here, "labelSelector", here.get("labelSelector"), detail);
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                errors.required(&here, "signerName", "must be a valid signer name");
            }
            super::certificates::signer_name(&here, "signerName", signer, errors);
        }
        (None, None) => errors.required(&here, "", "either name or signerName must be specified"),
    }
    let file_path = here.text("path");
    if file_path.is_empty() {
        errors.required(&here, "path", "");
    }
    errors.invalid_each(&here, "path", file_path, forms::volume_path(file_path));
    if paths.contains(&file_path) {
        errors.invalid(path, "", file_path, "conflicting duplicate paths");
    } else {
        paths.push(file_path);
    }
}

/// A bundle that belongs to a signer is named after it.
fn bundle_name(name: &str) -> Vec<String> {
    match name.rsplit_once(':') {
        None => names::dns_1123_subdomain(name),
        Some((_, rest)) => names::dns_1123_subdomain(rest),
    }
}

fn pod_certificate<'t>(
    path: &FieldPath<'_, 't>,
    source: &FieldPath<'_, 't>,
    paths: &mut Vec<&'t str>,
    errors: &mut ErrorList<'t>,
) {
    const KEYS: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
    const FILES: [&str; 3] = ["credentialBundlePath", "keyPath", "certificateChainPath"];
    let Some(certificate) = source.child("podCertificate") else { return };
    let here = source.below("podCertificate", Nth::Only, certificate);
    super::certificates::signer_name(&here, "signerName", here.text("signerName"), errors);
    if !KEYS.contains(&here.text("keyType")) {
        errors.unsupported(&here, "keyType", here.text("keyType"), &KEYS);
    }
    if let Some(seconds) = here.number("maxExpirationSeconds") {
        let kubernetes = here.text("signerName").split('/').next().unwrap_or_default().ends_with("kubernetes.io");
        let most = if kubernetes { 86_400 } else { 7_862_400 };
        if seconds < 3600 {
            let detail = "if provided, maxExpirationSeconds must be >= 3600";
            errors.invalid_as(&here, "maxExpirationSeconds", seconds, detail);
        }
        if seconds > most {
            let detail = format!("if provided, maxExpirationSeconds must be <= {most}");
            errors.invalid_as(&here, "maxExpirationSeconds", seconds, detail);
        }
    }
    let given = FILES.into_iter().filter(|file| !here.text(file).is_empty());
    if given.clone().next().is_none() {
        let detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errors.required(&here, "", detail);
    }
    for file in given {
        let file_path = here.text(file);
        errors.invalid_each(&here, file, file_path, forms::volume_path(file_path));
        once(path, paths, file_path, file_path, errors);
    }
}
