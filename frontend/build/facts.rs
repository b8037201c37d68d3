//! Facts about Kubernetes' types that the proto files do not carry. Data and the rules to read it, no generation.

use std::collections::HashMap;

use anyhow::Context;

/// Messages that are not structs in JSON.
pub(crate) const SPECIAL: &[(&str, &str)] = &[
    ("apimachinery.pkg.apis.meta.v1.Time", "Time"),
    ("apimachinery.pkg.apis.meta.v1.MicroTime", "MicroTime"),
    ("apimachinery.pkg.apis.meta.v1.Duration", "Duration"),
    ("apimachinery.pkg.apis.meta.v1.FieldsV1", "Raw"),
    ("apimachinery.pkg.apis.meta.v1.Verbs", "StringItems"),
    ("apimachinery.pkg.api.resource.Quantity", "Quantity"),
    ("apimachinery.pkg.util.intstr.IntOrString", "IntOrString"),
    ("apimachinery.pkg.runtime.RawExtension", "Raw"),
    ("api.authentication.v1.ExtraValue", "StringItems"),
    ("api.authentication.v1beta1.ExtraValue", "StringItems"),
    ("api.authorization.v1.ExtraValue", "StringItems"),
    ("api.authorization.v1beta1.ExtraValue", "StringItems"),
    ("api.certificates.v1.ExtraValue", "StringItems"),
    ("api.certificates.v1beta1.ExtraValue", "StringItems"),
    ("apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON", "Raw"),
    ("apiextensions_apiserver.pkg.apis.apiextensions.v1beta1.JSON", "Raw"),
];

/// Unions of a CRD's schema and something simpler, by name; the schema is their package's JSONSchemaProps.
pub(crate) const SCHEMA_UNIONS: &[(&str, &str)] = &[
    ("JSONSchemaPropsOrBool", "SchemaOrBool"),
    ("JSONSchemaPropsOrArray", "SchemaOrArray"),
    ("JSONSchemaPropsOrStringArray", "SchemaOrStringArray"),
];

/// Structs that Go embeds: their fields are the outer struct's in JSON.
const INLINE: &[(&str, &str)] = &[
    ("Volume", "volumeSource"),
    ("PersistentVolumeSpec", "persistentVolumeSource"),
    ("Probe", "handler"),
    ("EphemeralContainer", "ephemeralContainerCommon"),
    ("IngressRule", "ingressRuleValue"),
    ("RuleWithOperations", "rule"),
    ("NamedRuleWithOperations", "ruleWithOperations"),
    ("DeviceClaimConfiguration", "deviceConfiguration"),
    ("DeviceAllocationConfiguration", "deviceConfiguration"),
    ("DeviceClassConfiguration", "deviceConfiguration"),
    ("*", "localObjectReference"),
];

pub(crate) fn is_inline(message: &str, field: &str) -> bool {
    INLINE.iter().any(|(outer, inner)| (*outer == "*" || *outer == message) && *inner == field)
}

/// Names that JSON spells otherwise than the proto file.
pub(crate) fn json_name(message: &str, field: &str) -> String {
    match (message, field) {
        ("DaemonEndpoint", "Port") => "Port".to_owned(),
        ("JSONSchemaProps", "ref") => "$ref".to_owned(),
        ("JSONSchemaProps", "schema") => "$schema".to_owned(),
        (_, "uID") => "uid".to_owned(),
        (_, "aPIGroup") => "apiGroup".to_owned(),
        (_, name) if name.starts_with("xKubernetes") => kebab(name),
        (_, "Webhooks" | "Expression" | "Name") => field.to_lowercase(),
        _ => field.to_owned(),
    }
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// Structs with metadata that are not kinds of their own.
pub(crate) const NOT_KINDS: &[&str] =
    &["PodTemplateSpec", "JobTemplateSpec", "PersistentVolumeClaimTemplate", "ResourceClaimTemplateSpec"];

/// Kinds without metadata.
pub(crate) const BARE_KINDS: &[&str] = &[
    "AdmissionReview",
    "ConversionReview",
    "DeploymentRollback",
    "SerializedReference",
    "NodeProxyOptions",
    "PodAttachOptions",
    "PodExecOptions",
    "PodLogOptions",
    "PodPortForwardOptions",
    "PodProxyOptions",
    "ServiceProxyOptions",
    "APIGroup",
    "APIGroupList",
    "APIResourceList",
    "APIVersions",
    "ApplyOptions",
    "CreateOptions",
    "DeleteOptions",
    "GetOptions",
    "ListOptions",
    "PatchOptions",
    "TableOptions",
    "UpdateOptions",
];

/// Kinds without kind and apiVersion of their own.
pub(crate) const UNNAMED_KINDS: &[&str] = &["WatchEvent"];

/// The API group and version of a package; None for packages without kinds.
pub(crate) fn group_version(package: &str) -> Option<(String, &str)> {
    let (rest, version) = package.rsplit_once('.')?;
    let group = rest.rsplit('.').next()?;
    let group = match (rest, group) {
        ("api.core", _) => String::new(),
        (_, "apps" | "batch" | "autoscaling" | "policy" | "extensions") => group.to_owned(),
        (_, "rbac") => "rbac.authorization.k8s.io".to_owned(),
        (_, "flowcontrol") => "flowcontrol.apiserver.k8s.io".to_owned(),
        (_, "apiserverinternal") => "internal.apiserver.k8s.io".to_owned(),
        (_, "runtime" | "resource") if rest.starts_with("apimachinery") => return None,
        _ => format!("{group}.k8s.io"),
    };
    version.starts_with('v').then_some((group, version))
}

/// Pointer-ness and omitempty, from presence.txt or by the rule.
pub(crate) struct PresenceFacts(HashMap<(String, String), char>);

impl PresenceFacts {
    pub(crate) fn read() -> anyhow::Result<PresenceFacts> {
        let mut facts = HashMap::new();
        for line in include_str!("presence.txt").lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let owner = words.next().context("a struct")?;
            for word in words.filter(|word| !word.is_empty()) {
                let mark = word.chars().next().context("a mark")?;
                facts.insert((owner.to_owned(), word[1..].to_owned()), mark);
            }
        }
        Ok(PresenceFacts(facts))
    }

    pub(crate) fn of(&self, package: &str, message: &str, field: &str) -> Option<char> {
        let qualified = format!("{}/{message}", package.strip_prefix("api.").unwrap_or(package));
        let find = |owner: String| self.0.get(&(owner, field.to_owned())).copied();
        find(qualified).or_else(|| find(message.to_owned()))
    }
}

/// Go's names of types, from go_types.txt.
pub(crate) fn go_type(package: &str, message: &str, field: &str) -> String {
    let mut parts = package.rsplit('.');
    let (version, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let words_of =
        |owner: &str| include_str!("go_types.txt").lines().find_map(|line| line.strip_prefix(owner)?.strip_prefix(' '));
    let words = words_of(&format!("{group}/{message}")).or_else(|| words_of(message));
    let named = words.and_then(|words| words.split(' ').find_map(|word| word.strip_prefix(field)?.strip_prefix('=')));
    named.map(|name| name.replace('@', version)).unwrap_or_default()
}

/// Plain structs with omitempty: printed always, yet not required.
const NOT_REQUIRED: &[(&str, &str)] = &[
    ("ValidatingAdmissionPolicy", "spec"),
    ("ValidatingAdmissionPolicyBinding", "spec"),
    ("ControllerRevision", "data"),
    ("DeploymentCondition", "lastTransitionTime"),
    ("DeploymentCondition", "lastUpdateTime"),
    ("StatefulSetSpec", "updateStrategy"),
    ("SelfSubjectReview", "status"),
    ("Endpoint", "conditions"),
    ("FlowSchemaCondition", "lastTransitionTime"),
    ("PriorityLevelConfigurationCondition", "lastTransitionTime"),
    ("LimitedPriorityLevelConfiguration", "limitResponse"),
    ("IngressServiceBackend", "port"),
    ("CSIDriver", "metadata"),
    ("CSINode", "metadata"),
    ("APIService", "spec"),
    ("APIService", "status"),
];

pub(crate) fn is_required(package: &str, message: &str, field: &str, mark: char, doc: &crate::docs::Doc) -> bool {
    if (package, message) == ("api.core.v1", "EventSeries") {
        return false;
    }
    let optional = doc.has("optional") || doc.has("k8s:optional");
    let by_form = !optional && matches!(mark, '!' | '^') && !NOT_REQUIRED.contains(&(message, field));
    by_form || doc.has("required") || doc.has("k8s:required")
}

/// What a field's presence is when presence.txt does not say.
pub(crate) enum FieldForm<'a> {
    Map,
    List,
    Scalar,
    Message { name: &'a str },
}

pub(crate) fn presence_by_rule(form: &FieldForm<'_>, field: &str, optional: bool) -> char {
    match form {
        FieldForm::Map => '~',
        FieldForm::List | FieldForm::Scalar if optional => '~',
        FieldForm::Message { name } if optional => {
            let value = matches!(*name, "ObjectMeta" | "ListMeta" | "Time") || matches!(field, "spec" | "status");
            if value { '!' } else { '*' }
        }
        _ => '!',
    }
}
