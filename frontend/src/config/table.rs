//! Every flag of kube-apiserver 1.35: name, type, and whether it acts here yet. A flag that does not act is accepted,
//! and named in a warning at start-up, so that what starts a kube-apiserver starts this.

use super::flag::{Flag, Kind, Section};

const fn acts(name: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag { name, kind, help: Some(help) }
}

const fn ignored(name: &'static str, kind: Kind) -> Flag {
    Flag { name, kind, help: None }
}

pub(super) const SECTIONS: &[Section] = &[
    Section {
        title: "Generic",
        flags: &[
            acts(
                "advertise-address",
                Kind::Ip,
                "The address that other members of the cluster use to reach this server; by default the address it binds to, or that of the default route's interface.",
            ),
            ignored("cors-allowed-origins", Kind::Strings),
            ignored("emulated-version", Kind::Strings),
            ignored("emulation-forward-compatible", Kind::Bool),
            acts(
                "external-hostname",
                Kind::Text,
                "The host name to put into URLs that this server hands out about itself.",
            ),
            ignored("feature-gates", Kind::Strings),
            ignored("goaway-chance", Kind::Float),
            ignored("livez-grace-period", Kind::Duration),
            acts(
                "max-mutating-requests-inflight",
                Kind::Int,
                "How many changing requests are handled at a time; more are told to try again. 0: no limit.",
            ),
            acts(
                "max-requests-inflight",
                Kind::Int,
                "How many reading requests are handled at a time, watches aside. 0: no limit.",
            ),
            ignored("min-compatibility-version", Kind::Strings),
            acts(
                "min-request-timeout",
                Kind::Int,
                "The shortest time in seconds after which a watch is ended by the server.",
            ),
            acts(
                "request-timeout",
                Kind::Duration,
                "How long a request may take that is not a watch or another stream.",
            ),
            ignored("runtime-config-emulation-forward-compatible", Kind::Bool),
            acts(
                "shutdown-delay-duration",
                Kind::Duration,
                "How long to go on serving, while /readyz fails, after the signal to stop.",
            ),
            ignored("shutdown-send-retry-after", Kind::Bool),
            ignored("shutdown-watch-termination-grace-period", Kind::Duration),
            ignored("storage-initialization-timeout", Kind::Duration),
            ignored("strict-transport-security-directives", Kind::Strings),
        ],
    },
    Section {
        title: "Etcd",
        flags: &[
            acts("delete-collection-workers", Kind::Int, "How many objects of a collection are deleted at a time."),
            ignored("enable-garbage-collector", Kind::Bool),
            ignored("encryption-provider-config", Kind::Text),
            ignored("encryption-provider-config-automatic-reload", Kind::Bool),
            acts(
                "etcd-cafile",
                Kind::Text,
                "The certificate authority that signed the certificates of the etcd servers.",
            ),
            acts("etcd-certfile", Kind::Text, "The client certificate to show to the etcd servers."),
            acts(
                "etcd-compaction-interval",
                Kind::Duration,
                "How much history etcd keeps, by compacting it this often in turns with other servers; 0: never.",
            ),
            ignored("etcd-count-metric-poll-period", Kind::Duration),
            ignored("etcd-db-metric-poll-interval", Kind::Duration),
            acts("etcd-healthcheck-timeout", Kind::Duration, "How long the etcd health check may take."),
            acts("etcd-keyfile", Kind::Text, "The key of the client certificate for the etcd servers."),
            acts("etcd-prefix", Kind::Text, "The prefix of all keys in etcd."),
            acts("etcd-readycheck-timeout", Kind::Duration, "How long the etcd readiness check may take."),
            acts(
                "etcd-servers",
                Kind::Strings,
                "The etcd servers to store everything in, as scheme://host:port, separated by commas. Required.",
            ),
            ignored("etcd-servers-overrides", Kind::Strings),
            ignored("lease-reuse-duration-seconds", Kind::Int),
            acts("storage-backend", Kind::Text, "The kind of store: etcd3 (the only one)."),
            acts(
                "storage-media-type",
                Kind::Text,
                "The encoding of stored objects: application/vnd.kubernetes.protobuf (the only one).",
            ),
            ignored("watch-cache", Kind::Bool),
            ignored("watch-cache-sizes", Kind::Strings),
        ],
    },
    Section {
        title: "Secure serving",
        flags: &[
            acts("bind-address", Kind::Ip, "The address to listen on. Loopback unless given."),
            acts("cert-dir", Kind::Text, "Where a self-signed certificate is kept when none is given."),
            acts("disable-http2-serving", Kind::Bool, "Serve HTTP/1.1 only."),
            acts(
                "http2-max-streams-per-connection",
                Kind::Int,
                "How many requests one HTTP/2 connection may have open; 0 means 100.",
            ),
            ignored("permit-address-sharing", Kind::Bool),
            ignored("permit-port-sharing", Kind::Bool),
            acts("secure-port", Kind::Int, "The port to serve HTTPS on."),
            acts("tls-cert-file", Kind::Text, "The certificate chain to serve with; with --tls-private-key-file."),
            ignored("tls-cipher-suites", Kind::Strings),
            acts("tls-min-version", Kind::Text, "The lowest TLS version: VersionTLS12 or VersionTLS13."),
            acts("tls-private-key-file", Kind::Text, "The key of --tls-cert-file."),
            ignored("tls-sni-cert-key", Kind::Strings),
        ],
    },
    Section {
        title: "Auditing",
        flags: &[
            acts(
                "audit-log-batch-buffer-size",
                Kind::Int,
                "How many lines are gathered with --audit-log-mode=batch; more are dropped.",
            ),
            acts(
                "audit-log-batch-max-size",
                Kind::Int,
                "How many audit events are written at a time with --audit-log-mode=batch; by default 1.",
            ),
            acts(
                "audit-log-batch-max-wait",
                Kind::Duration,
                "How long audit events wait for others to be written with; by default not at all.",
            ),
            acts(
                "audit-log-batch-throttle-burst",
                Kind::Int,
                "Batches that may be written at once where few were written before.",
            ),
            acts(
                "audit-log-batch-throttle-enable",
                Kind::Bool,
                "Whether batches are written at a rate; by default they are not.",
            ),
            acts("audit-log-batch-throttle-qps", Kind::Float, "Batches a second."),
            acts("audit-log-compress", Kind::Bool, "Compress old audit logs with gzip."),
            acts("audit-log-format", Kind::Text, "The format of audit events: json (the only one)."),
            acts("audit-log-maxage", Kind::Int, "How many days old audit logs are kept; 0: for ever."),
            acts("audit-log-maxbackup", Kind::Int, "How many old audit logs are kept; 0: all."),
            acts(
                "audit-log-maxsize",
                Kind::Int,
                "How many megabytes an audit log grows to before it is put aside; 0: 100.",
            ),
            acts(
                "audit-log-mode",
                Kind::Text,
                "Whether requests wait for their line: blocking (the default), blocking-strict, or batch.",
            ),
            acts("audit-log-path", Kind::Text, "The file that audit events are written to; - is standard output."),
            acts(
                "audit-log-truncate-enabled",
                Kind::Bool,
                "Leave the objects of large audit events out of the log, and events that are still too large.",
            ),
            acts(
                "audit-log-truncate-max-batch-size",
                Kind::Int,
                "Bytes of a batch of audit events; by default 10 MiB.",
            ),
            acts(
                "audit-log-truncate-max-event-size",
                Kind::Int,
                "Bytes of an audit event that are not too large; by default 100 KiB.",
            ),
            acts(
                "audit-log-version",
                Kind::Text,
                "The version of audit events in the log: audit.k8s.io/v1 (the only one).",
            ),
            acts("audit-policy-file", Kind::Text, "Which requests are recorded, and how much of them."),
            acts(
                "audit-webhook-batch-buffer-size",
                Kind::Int,
                "Audit events that wait to be sent; more are lost. By default 10000.",
            ),
            acts("audit-webhook-batch-max-size", Kind::Int, "Audit events that are sent at a time; by default 400."),
            acts(
                "audit-webhook-batch-max-wait",
                Kind::Duration,
                "How long audit events wait for others to be sent with; by default 30s.",
            ),
            acts(
                "audit-webhook-batch-throttle-burst",
                Kind::Int,
                "Batches that may be sent at once where few were sent before; by default 15.",
            ),
            acts(
                "audit-webhook-batch-throttle-enable",
                Kind::Bool,
                "Whether batches are sent at a rate; by default they are.",
            ),
            acts("audit-webhook-batch-throttle-qps", Kind::Float, "Batches a second; by default 10."),
            acts(
                "audit-webhook-config-file",
                Kind::Text,
                "A kubeconfig that leads to a service which audit events are sent to.",
            ),
            acts(
                "audit-webhook-initial-backoff",
                Kind::Duration,
                "The pause before events that could not be sent are sent again; by default 10s.",
            ),
            acts(
                "audit-webhook-mode",
                Kind::Text,
                "Whether requests wait until their events are sent: batch (the default), blocking, or blocking-strict.",
            ),
            acts(
                "audit-webhook-truncate-enabled",
                Kind::Bool,
                "Send large audit events without their objects, and those that are still too large not at all.",
            ),
            acts(
                "audit-webhook-truncate-max-batch-size",
                Kind::Int,
                "Bytes of a batch of audit events; by default 10 MiB.",
            ),
            acts(
                "audit-webhook-truncate-max-event-size",
                Kind::Int,
                "Bytes of an audit event that are not too large; by default 100 KiB.",
            ),
            acts(
                "audit-webhook-version",
                Kind::Text,
                "The version of audit events that are sent: audit.k8s.io/v1 (the only one).",
            ),
        ],
    },
    Section {
        title: "Features",
        flags: &[
            ignored("contention-profiling", Kind::Bool),
            ignored("debug-socket-path", Kind::Text),
            ignored("enable-priority-and-fairness", Kind::Bool),
            ignored("profiling", Kind::Bool),
        ],
    },
    Section {
        title: "Authentication",
        flags: &[
            acts(
                "anonymous-auth",
                Kind::Bool,
                "Let requests without credentials in as system:anonymous, for what everybody may do.",
            ),
            acts(
                "api-audiences",
                Kind::Strings,
                "What the tokens of service accounts must be meant for; by default each --service-account-issuer.",
            ),
            acts(
                "authentication-config",
                Kind::Text,
                "A file that names the issuers of OpenID Connect whose tokens are believed, and who may be anonymous; followed when it changes.",
            ),
            acts(
                "authentication-token-webhook-cache-ttl",
                Kind::Duration,
                "How long the answers of the token webhook count; by default 2m.",
            ),
            acts(
                "authentication-token-webhook-config-file",
                Kind::Text,
                "A kubeconfig that leads to a service which judges bearer tokens by TokenReviews.",
            ),
            acts(
                "authentication-token-webhook-version",
                Kind::Text,
                "The version of the TokenReviews that are sent: v1beta1, by default, or v1.",
            ),
            acts(
                "client-ca-file",
                Kind::Text,
                "Client certificates signed by one of these authorities authenticate: the common name is the user, the organizations are the groups.",
            ),
            acts(
                "enable-bootstrap-token-auth",
                Kind::Bool,
                "Believe tokens of secrets of type bootstrap.kubernetes.io/token in kube-system.",
            ),
            acts(
                "oidc-ca-file",
                Kind::Text,
                "Whose certificates the issuer may have; by default those that the host trusts.",
            ),
            acts("oidc-client-id", Kind::Text, "What tokens of the issuer must be meant for."),
            acts("oidc-groups-claim", Kind::Text, "The claim that holds groups: a text, or a list of them."),
            acts("oidc-groups-prefix", Kind::Text, "Put before each group of the issuer."),
            acts("oidc-issuer-url", Kind::Text, "Believe tokens of this issuer of OpenID Connect; https."),
            acts(
                "oidc-required-claim",
                Kind::Strings,
                "A key=value that tokens must have; may be given several times.",
            ),
            acts("oidc-signing-algs", Kind::Strings, "How tokens may be signed; by default RS256."),
            acts("oidc-username-claim", Kind::Text, "The claim that holds the name; by default sub."),
            acts(
                "oidc-username-prefix",
                Kind::Text,
                "Put before each name of the issuer; by default the issuer and '#', for email nothing; '-': nothing.",
            ),
            acts(
                "requestheader-allowed-names",
                Kind::Strings,
                "Common names of proxies that may name users; empty: any that --requestheader-client-ca-file signed.",
            ),
            acts(
                "requestheader-client-ca-file",
                Kind::Text,
                "Proxies with a certificate of these authorities may name users in headers.",
            ),
            acts(
                "requestheader-extra-headers-prefix",
                Kind::Strings,
                "Prefixes of headers with more about the user: X-Remote-Extra-.",
            ),
            acts("requestheader-group-headers", Kind::Strings, "Headers with groups of the user: X-Remote-Group."),
            acts("requestheader-uid-headers", Kind::Strings, "Headers with the uid of the user: X-Remote-Uid."),
            acts("requestheader-username-headers", Kind::Strings, "Headers with the name of the user: X-Remote-User."),
            acts(
                "service-account-extend-token-expiration",
                Kind::Bool,
                "Let tokens that pods ask for with kubelet's defaults live for a year (default true).",
            ),
            acts(
                "service-account-issuer",
                Kind::Texts,
                "The issuer of service-account tokens; the first one signs, all are believed.",
            ),
            acts("service-account-jwks-uri", Kind::Text, "Where the discovery document says that the keys are."),
            acts("service-account-key-file", Kind::Texts, "PEM keys that check service-account tokens."),
            acts("service-account-lookup", Kind::Bool, "Legacy tokens must still be in their secret (default true)."),
            acts("service-account-max-token-expiration", Kind::Duration, "The longest that a token may be asked for."),
            acts("token-auth-file", Kind::Text, "A CSV file of bearer tokens: token,user,uid,\"group1,group2\"."),
        ],
    },
    Section {
        title: "Authorization",
        flags: &[
            acts(
                "authorization-config",
                Kind::Text,
                "A file that names the authorizers in order, webhooks among them; followed when it changes. Instead of --authorization-mode.",
            ),
            acts(
                "authorization-mode",
                Kind::Strings,
                "How requests are authorized, in order: Node, RBAC, ABAC, Webhook, AlwaysAllow (the default), AlwaysDeny.",
            ),
            acts("authorization-policy-file", Kind::Text, "The policies of mode ABAC, a line each."),
            acts(
                "authorization-webhook-cache-authorized-ttl",
                Kind::Duration,
                "How long the webhook's permissions count; by default 5m.",
            ),
            acts(
                "authorization-webhook-cache-unauthorized-ttl",
                Kind::Duration,
                "How long the webhook's refusals count; by default 30s.",
            ),
            acts(
                "authorization-webhook-config-file",
                Kind::Text,
                "A kubeconfig that leads to the service of mode Webhook, which is asked by SubjectAccessReviews.",
            ),
            acts(
                "authorization-webhook-version",
                Kind::Text,
                "The version of the SubjectAccessReviews that are sent: v1beta1, by default, or v1.",
            ),
        ],
    },
    Section { title: "API enablement", flags: &[ignored("runtime-config", Kind::Strings)] },
    Section { title: "Egress selector", flags: &[ignored("egress-selector-config-file", Kind::Text)] },
    Section {
        title: "Admission",
        flags: &[
            acts(
                "admission-control",
                Kind::Strings,
                "The admission plugins that run, and no others. Deprecated: use --enable-admission-plugins and --disable-admission-plugins.",
            ),
            acts(
                "admission-control-config-file",
                Kind::Text,
                "A file of kind AdmissionConfiguration, with the configuration of admission plugins or the paths to it.",
            ),
            acts(
                "default-not-ready-toleration-seconds",
                Kind::Int,
                "How long a pod that says nothing of it stays on a node that is not ready (default 300).",
            ),
            acts(
                "default-unreachable-toleration-seconds",
                Kind::Int,
                "How long a pod that says nothing of it stays on a node that cannot be reached (default 300).",
            ),
            acts(
                "disable-admission-plugins",
                Kind::Strings,
                "Admission plugins that do not run although they would by default.",
            ),
            acts(
                "enable-admission-plugins",
                Kind::Strings,
                "Admission plugins that run besides those that run by default.",
            ),
        ],
    },
    Section {
        title: "Metrics",
        flags: &[
            ignored("allow-metric-labels", Kind::Strings),
            ignored("allow-metric-labels-manifest", Kind::Text),
            ignored("disabled-metrics", Kind::Strings),
            ignored("show-hidden-metrics-for-version", Kind::Text),
        ],
    },
    Section {
        title: "Logs",
        flags: &[
            ignored("log-flush-frequency", Kind::Duration),
            ignored("log-json-info-buffer-size", Kind::Text),
            ignored("log-json-split-stream", Kind::Bool),
            ignored("log-text-info-buffer-size", Kind::Text),
            ignored("log-text-split-stream", Kind::Bool),
            acts("logging-format", Kind::Text, "The format of the log: text or json."),
            acts("v", Kind::Int, "How much is logged; 0 to 10."),
            acts("vmodule", Kind::Text, "Levels of single modules: pattern=N, separated by commas."),
        ],
    },
    Section { title: "Traces", flags: &[ignored("tracing-config-file", Kind::Text)] },
    Section {
        title: "Misc",
        flags: &[
            ignored("aggregator-reject-forwarding-redirect", Kind::Bool),
            acts("allow-privileged", Kind::Bool, "Containers may ask for all rights (default false)."),
            ignored("coordinated-leadership-lease-duration", Kind::Duration),
            ignored("coordinated-leadership-renew-deadline", Kind::Duration),
            ignored("coordinated-leadership-retry-period", Kind::Duration),
            acts(
                "enable-aggregator-routing",
                Kind::Bool,
                "Call Services by their endpoints rather than by their own addresses (default false).",
            ),
            ignored("enable-logs-handler", Kind::Bool),
            acts(
                "endpoint-reconciler-type",
                Kind::Text,
                "How the endpoints of the kubernetes Service are kept: lease or none.",
            ),
            acts("event-ttl", Kind::Duration, "How long events are kept."),
            acts(
                "kubelet-certificate-authority",
                Kind::Text,
                "The certificate authority that signed the serving certificates of kubelets; without it any will do.",
            ),
            acts("kubelet-client-certificate", Kind::Text, "The client certificate to show to kubelets."),
            acts("kubelet-client-key", Kind::Text, "The key of the client certificate for kubelets."),
            acts(
                "kubelet-preferred-address-types",
                Kind::Strings,
                "The kinds of addresses of a node at which its kubelet is called, those first that are tried first.",
            ),
            ignored("kubelet-timeout", Kind::Duration),
            ignored("kubernetes-service-node-port", Kind::Int),
            ignored("max-connection-bytes-per-sec", Kind::Int),
            ignored("peer-advertise-ip", Kind::Text),
            ignored("peer-advertise-port", Kind::Text),
            ignored("peer-ca-file", Kind::Text),
            acts(
                "proxy-client-cert-file",
                Kind::Text,
                "Certificate that aggregated servers know this server by; with --proxy-client-key-file.",
            ),
            acts("proxy-client-key-file", Kind::Text, "The key of --proxy-client-cert-file."),
            ignored("service-account-signing-endpoint", Kind::Text),
            acts(
                "service-account-signing-key-file",
                Kind::Text,
                "The PEM key that signs service-account tokens: RSA or ECDSA.",
            ),
            acts(
                "service-cluster-ip-range",
                Kind::Text,
                "The range of the cluster IPs; the first one is that of the kubernetes Service.",
            ),
            ignored("service-node-port-range", Kind::Text),
        ],
    },
    Section {
        title: "Global",
        flags: &[
            acts("help", Kind::Bool, "Print this and stop."),
            acts("version", Kind::Bool, "Print the version and stop."),
        ],
    },
];
