//! Flags that older versions of kube-apiserver had. They are accepted, so that an old unit file starts this server, and
//! a warning says what took their place. What would open a port without TLS is refused.

use super::{Flag, Kind};

const fn removed(name: &'static str, kind: Kind, instead: &'static str) -> (Flag, &'static str) {
    (Flag { name, kind, help: Some("") }, instead)
}

const TO_STDERR: &str = "the log goes to stderr; let what starts this server redirect it";
const SECURE: &str = "serving without TLS is gone; use --secure-port and --bind-address";
const CLOUD: &str = "cloud providers run in a cloud-controller-manager of their own";
const KUBELET: &str = "kubelets say at which port they listen, in the status of their node; always by HTTPS";
const CERTIFICATES: &str = "use client certificates, service accounts or OIDC";

pub(super) static REMOVED: &[(Flag, &str)] = &[
    removed("address", Kind::Text, SECURE),
    removed("insecure-bind-address", Kind::Text, SECURE),
    removed("insecure-port", Kind::Int, SECURE),
    removed("port", Kind::Int, SECURE),
    removed("add-dir-header", Kind::Bool, TO_STDERR),
    removed("alsologtostderr", Kind::Bool, TO_STDERR),
    removed("log-backtrace-at", Kind::Text, TO_STDERR),
    removed("log-dir", Kind::Text, TO_STDERR),
    removed("log-file", Kind::Text, TO_STDERR),
    removed("log-file-max-size", Kind::Int, TO_STDERR),
    removed("logtostderr", Kind::Bool, TO_STDERR),
    removed("one-output", Kind::Bool, TO_STDERR),
    removed("skip-headers", Kind::Bool, TO_STDERR),
    removed("skip-log-headers", Kind::Bool, TO_STDERR),
    removed("stderrthreshold", Kind::Text, TO_STDERR),
    removed("cloud-config", Kind::Text, CLOUD),
    removed("cloud-provider", Kind::Text, CLOUD),
    removed("cloud-provider-gce-l7lb-src-cidrs", Kind::Text, CLOUD),
    removed("cloud-provider-gce-lb-src-cidrs", Kind::Text, CLOUD),
    removed("kubelet-https", Kind::Bool, KUBELET),
    removed("kubelet-port", Kind::Int, KUBELET),
    removed("kubelet-read-only-port", Kind::Int, KUBELET),
    removed("basic-auth-file", Kind::Text, CERTIFICATES),
    removed("experimental-keystone-url", Kind::Text, CERTIFICATES),
    removed("experimental-keystone-ca-file", Kind::Text, CERTIFICATES),
    removed("apiserver-count", Kind::Int, "servers count each other by leases"),
    removed("audit-dynamic-configuration", Kind::Bool, "use --audit-policy-file and --audit-webhook-config-file"),
    removed("authorization-rbac-super-user", Kind::Text, "use the group system:masters"),
    removed("deserialization-cache-size", Kind::Int, "decoded objects are kept with the watch cache"),
    removed("enable-swagger-ui", Kind::Bool, "use /openapi/v2 and /openapi/v3"),
    removed("etcd-quorum-read", Kind::Bool, "reads are always consistent"),
    removed("experimental-bootstrap-token-auth", Kind::Bool, "use --enable-bootstrap-token-auth"),
    removed("experimental-encryption-provider-config", Kind::Text, "use --encryption-provider-config"),
    removed("master-service-namespace", Kind::Text, "the kubernetes Service is in the namespace default"),
    removed("repair-malformed-updates", Kind::Bool, "malformed updates are refused"),
    removed("service-account-api-audiences", Kind::Strings, "use --api-audiences"),
    removed("ssh-keyfile", Kind::Text, "use --egress-selector-config-file"),
    removed("ssh-user", Kind::Text, "use --egress-selector-config-file"),
    removed("storage-versions", Kind::Text, "every resource is stored in one version"),
    removed("target-ram-mb", Kind::Int, "the watch cache holds what the store has"),
    removed("tls-ca-file", Kind::Text, "use --client-ca-file"),
];

pub(super) fn find(name: &str) -> Option<&'static Flag> {
    REMOVED.iter().map(|(flag, _)| flag).find(|flag| flag.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, FlagError, parse};

    /// The flags of a unit file that operators wrote for an older version.
    const OLD_UNIT: &[&str] = &[
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--client-ca-file=/etc/kubernetes/pki/ca.crt",
        "--disable-admission-plugins=PersistentVolumeLabel,LimitPodHardAntiAffinityTopology",
        "--event-ttl=24h0m0s",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        "--etcd-cafile=/etc/kubernetes/pki/etcd.crt",
        "--etcd-certfile=/etc/kubernetes/pki/client.crt",
        "--etcd-keyfile=/etc/kubernetes/pki/client.key",
        "--etcd-servers=https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379",
        "--feature-gates=PodPriority=false",
        "--kubelet-client-certificate=/etc/kubernetes/pki/kubelet.crt",
        "--kubelet-client-key=/etc/kubernetes/pki/kubelet.key",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        "--logtostderr=false",
        "--log-dir=/var/log/kubernetes",
        "--proxy-client-cert-file=/etc/kubernetes/pki/proxy.crt",
        "--proxy-client-key-file=/etc/kubernetes/pki/proxy.key",
        "--port=0",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-client-ca-file=/etc/kubernetes/pki/front.crt",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        "--secure-port=6443",
        "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
        "--service-cluster-ip-range=10.178.64.0/19",
        "--tls-cert-file=/etc/kubernetes/pki/server.crt",
        "--tls-private-key-file=/etc/kubernetes/pki/server.key",
        "-v=4",
    ];

    fn read(flags: &[&str]) -> Result<(Config, Vec<&'static str>), FlagError> {
        let given = parse(flags.iter().map(|flag| (*flag).to_owned()))?;
        let names = given.removed().into_iter().map(|(name, _)| name).collect();
        Config::from_flags(&given).map(|config| (config, names))
    }

    #[test]
    fn an_old_unit_file_starts_this_server() {
        let (config, removed) = read(OLD_UNIT).unwrap();
        assert_eq!(removed, ["port", "log-dir", "logtostderr"]);
        assert_eq!(config.etcd.servers.len(), 3);
        let headers = config.authentication.request_header.unwrap();
        assert_eq!(headers.username_headers, ["x-remote-user"]);
        assert!(config.authentication.bootstrap_tokens);
    }

    #[test]
    fn a_port_without_tls_is_refused() {
        for flag in ["--port=8080", "--insecure-port=8080"] {
            let error = read(&["--etcd-servers=http://e:1", flag]).unwrap_err().to_string();
            assert!(error.contains(flag) && error.contains("--secure-port"), "{error}");
        }
    }

    #[test]
    fn no_flag_is_both_there_and_gone() {
        for (flag, _) in REMOVED {
            let here = crate::config::table::SECTIONS.iter().flat_map(|s| s.flags).any(|f| f.name == flag.name);
            assert!(!here, "{}", flag.name);
        }
    }
}
