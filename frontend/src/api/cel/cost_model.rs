//! The numbers that estimates (`cost`) and runs (`runtime_cost`) share. They are an interface: rules of custom
//! resources are refused by them, and limits are set in them.

pub(super) const LIST_CREATE: u64 = 10;
pub(super) const MAP_CREATE: u64 = 30;
pub(super) const STRUCT_CREATE: u64 = 40;
/// Walking over one code point of a text, or byte.
pub(super) const TRAVERSAL: f64 = 0.1;
/// One letter of a pattern, for each step in the text.
pub(super) const PATTERN: f64 = 0.25;
/// Allows for two checks in one expression.
pub(super) const AUTHORIZATION: u64 = 350_000;

/// Functions of Kubernetes' libraries that cost 1, whatever they are called with.
const CONSTANT: [&str; 38] = [
    "add",
    "allowed",
    "asApproximateFloat",
    "asInteger",
    "compareTo",
    "error",
    "errored",
    "family",
    "format.named",
    "getEscapedPath",
    "getHost",
    "getHostname",
    "getPort",
    "getQuery",
    "getScheme",
    "group",
    "isGlobalUnicast",
    "isGreaterThan",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isUnspecified",
    "major",
    "masked",
    "minor",
    "name",
    "namespace",
    "patch",
    "path",
    "prefixLength",
    "reason",
    "resource",
    "serviceAccount",
    "sign",
    "sub",
    "subresource",
];

pub(super) fn is_constant(function: &str) -> bool {
    CONSTANT.binary_search(&function).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn constant_functions_can_be_searched() {
        assert!(super::CONSTANT.is_sorted());
    }
}
