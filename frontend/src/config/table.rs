//! Every flag of kube-apiserver 1.35: name, type, and whether it acts here yet. A flag that does not act is accepted,
//! and named in a warning at start-up, so that what starts a kube-apiserver starts this.

use super::flag::{Flag, Kind, Section};

/// One flag a line: its name, its type, and, where it acts, what `--help` says of it.
macro_rules! section {
    ($title:literal: $($name:literal: $kind:ident $(= $help:literal)?;)*) => {
        Section {
            title: $title,
            flags: &[$(Flag { name: $name, kind: Kind::$kind, help: section!(@help $($help)?) }),*],
        }
    };
    (@help) => { None };
    (@help $help:literal) => { Some($help) };
}

pub(super) const SECTIONS: &[Section] = &[
    section! {
        "Generic":
        "advertise-address": Ip =
            "The address that other members of the cluster use to reach this server; by default the address it binds to, or that of the default route's interface.";
        "cors-allowed-origins": Strings;
        "emulated-version": Strings;
        "emulation-forward-compatible": Bool;
        "external-hostname": Text = "The host name to put into URLs that this server hands out about itself.";
        "feature-gates": Strings;
        "goaway-chance": Float;
        "livez-grace-period": Duration;
        "max-mutating-requests-inflight": Int =
            "How many changing requests are handled at a time; more are told to try again. 0: no limit.";
        "max-requests-inflight": Int = "How many reading requests are handled at a time, watches aside. 0: no limit.";
        "min-compatibility-version": Strings;
        "min-request-timeout": Int = "The shortest time in seconds after which a watch is ended by the server.";
        "request-timeout": Duration = "How long a request may take that is not a watch or another stream.";
        "runtime-config-emulation-forward-compatible": Bool;
        "shutdown-delay-duration": Duration =
            "How long to go on serving, while /readyz fails, after the signal to stop.";
        "shutdown-send-retry-after": Bool;
        "shutdown-watch-termination-grace-period": Duration;
        "storage-initialization-timeout": Duration;
        "strict-transport-security-directives": Strings;
    },
    section! {
        "Etcd":
        "delete-collection-workers": Int = "How many objects of a collection are deleted at a time.";
        "enable-garbage-collector": Bool;
        "encryption-provider-config": Text;
        "encryption-provider-config-automatic-reload": Bool;
        "etcd-cafile": Text = "The certificate authority that signed the certificates of the etcd servers.";
        "etcd-certfile": Text = "The client certificate to show to the etcd servers.";
        "etcd-compaction-interval": Duration =
            "How much history etcd keeps, by compacting it this often in turns with other servers; 0: never.";
        "etcd-count-metric-poll-period": Duration;
        "etcd-db-metric-poll-interval": Duration;
        "etcd-healthcheck-timeout": Duration = "How long the etcd health check may take.";
        "etcd-keyfile": Text = "The key of the client certificate for the etcd servers.";
        "etcd-prefix": Text = "The prefix of all keys in etcd.";
        "etcd-readycheck-timeout": Duration = "How long the etcd readiness check may take.";
        "etcd-servers": Strings =
            "The etcd servers to store everything in, as scheme://host:port, separated by commas. Required.";
        "etcd-servers-overrides": Strings;
        "lease-reuse-duration-seconds": Int;
        "storage-backend": Text = "The kind of store: etcd3 (the only one).";
        "storage-media-type": Text =
            "The encoding of stored objects: application/vnd.kubernetes.protobuf (the only one).";
        "watch-cache": Bool;
        "watch-cache-sizes": Strings;
    },
    section! {
        "Secure serving":
        "bind-address": Ip = "The address to listen on. Loopback unless given.";
        "cert-dir": Text = "Where a self-signed certificate is kept when none is given.";
        "disable-http2-serving": Bool = "Serve HTTP/1.1 only.";
        "http2-max-streams-per-connection": Int = "How many requests one HTTP/2 connection may have open; 0 means 100.";
        "permit-address-sharing": Bool;
        "permit-port-sharing": Bool;
        "secure-port": Int = "The port to serve HTTPS on.";
        "tls-cert-file": Text = "The certificate chain to serve with; with --tls-private-key-file.";
        "tls-cipher-suites": Strings;
        "tls-min-version": Text = "The lowest TLS version: VersionTLS12 or VersionTLS13.";
        "tls-private-key-file": Text = "The key of --tls-cert-file.";
        "tls-sni-cert-key": Strings;
    },
    section! {
        "Auditing":
        "audit-log-batch-buffer-size": Int =
            "How many lines are gathered with --audit-log-mode=batch; more are dropped.";
        "audit-log-batch-max-size": Int =
            "How many audit events are written at a time with --audit-log-mode=batch; by default 1.";
        "audit-log-batch-max-wait": Duration =
            "How long audit events wait for others to be written with; by default not at all.";
        "audit-log-batch-throttle-burst": Int = "Batches that may be written at once where few were written before.";
        "audit-log-batch-throttle-enable": Bool = "Whether batches are written at a rate; by default they are not.";
        "audit-log-batch-throttle-qps": Float = "Batches a second.";
        "audit-log-compress": Bool = "Compress old audit logs with gzip.";
        "audit-log-format": Text = "The format of audit events: json (the only one).";
        "audit-log-maxage": Int = "How many days old audit logs are kept; 0: for ever.";
        "audit-log-maxbackup": Int = "How many old audit logs are kept; 0: all.";
        "audit-log-maxsize": Int = "How many megabytes an audit log grows to before it is put aside; 0: 100.";
        "audit-log-mode": Text =
            "Whether requests wait for their line: blocking (the default), blocking-strict, or batch.";
        "audit-log-path": Text = "The file that audit events are written to; - is standard output.";
        "audit-log-truncate-enabled": Bool =
            "Leave the objects of large audit events out of the log, and events that are still too large.";
        "audit-log-truncate-max-batch-size": Int = "Bytes of a batch of audit events; by default 10 MiB.";
        "audit-log-truncate-max-event-size": Int =
            "Bytes of an audit event that are not too large; by default 100 KiB.";
        "audit-log-version": Text = "The version of audit events in the log: audit.k8s.io/v1 (the only one).";
        "audit-policy-file": Text = "Which requests are recorded, and how much of them.";
        "audit-webhook-batch-buffer-size": Int = "Audit events that wait to be sent; more are lost. By default 10000.";
        "audit-webhook-batch-max-size": Int = "Audit events that are sent at a time; by default 400.";
        "audit-webhook-batch-max-wait": Duration =
            "How long audit events wait for others to be sent with; by default 30s.";
        "audit-webhook-batch-throttle-burst": Int =
            "Batches that may be sent at once where few were sent before; by default 15.";
        "audit-webhook-batch-throttle-enable": Bool = "Whether batches are sent at a rate; by default they are.";
        "audit-webhook-batch-throttle-qps": Float = "Batches a second; by default 10.";
        "audit-webhook-config-file": Text = "A kubeconfig that leads to a service which audit events are sent to.";
        "audit-webhook-initial-backoff": Duration =
            "The pause before events that could not be sent are sent again; by default 10s.";
        "audit-webhook-mode": Text =
            "Whether requests wait until their events are sent: batch (the default), blocking, or blocking-strict.";
        "audit-webhook-truncate-enabled": Bool =
            "Send large audit events without their objects, and those that are still too large not at all.";
        "audit-webhook-truncate-max-batch-size": Int = "Bytes of a batch of audit events; by default 10 MiB.";
        "audit-webhook-truncate-max-event-size": Int =
            "Bytes of an audit event that are not too large; by default 100 KiB.";
        "audit-webhook-version": Text = "The version of audit events that are sent: audit.k8s.io/v1 (the only one).";
    },
    section! {
        "Features":
        "contention-profiling": Bool;
        "debug-socket-path": Text;
        "enable-priority-and-fairness": Bool;
        "profiling": Bool;
    },
    section! {
        "Authentication":
        "anonymous-auth": Bool = "Let requests without credentials in as system:anonymous, for what everybody may do.";
        "api-audiences": Strings =
            "What the tokens of service accounts must be meant for; by default each --service-account-issuer.";
        "authentication-config": Text =
            "A file that names the issuers of OpenID Connect whose tokens are believed, and who may be anonymous; followed when it changes.";
        "authentication-token-webhook-cache-ttl": Duration =
            "How long the answers of the token webhook count; by default 2m.";
        "authentication-token-webhook-config-file": Text =
            "A kubeconfig that leads to a service which judges bearer tokens by TokenReviews.";
        "authentication-token-webhook-version": Text =
            "The version of the TokenReviews that are sent: v1beta1, by default, or v1.";
        "client-ca-file": Text =
            "Client certificates signed by one of these authorities authenticate: the common name is the user, the organizations are the groups.";
        "enable-bootstrap-token-auth": Bool =
            "Believe tokens of secrets of type bootstrap.kubernetes.io/token in kube-system.";
        "oidc-ca-file": Text = "Whose certificates the issuer may have; by default those that the host trusts.";
        "oidc-client-id": Text = "What tokens of the issuer must be meant for.";
        "oidc-groups-claim": Text = "The claim that holds groups: a text, or a list of them.";
        "oidc-groups-prefix": Text = "Put before each group of the issuer.";
        "oidc-issuer-url": Text = "Believe tokens of this issuer of OpenID Connect; https.";
        "oidc-required-claim": Strings = "A key=value that tokens must have; may be given several times.";
        "oidc-signing-algs": Strings = "How tokens may be signed; by default RS256.";
        "oidc-username-claim": Text = "The claim that holds the name; by default sub.";
        "oidc-username-prefix": Text =
            "Put before each name of the issuer; by default the issuer and '#', for email nothing; '-': nothing.";
        "requestheader-allowed-names": Strings =
            "Common names of proxies that may name users; empty: any that --requestheader-client-ca-file signed.";
        "requestheader-client-ca-file": Text =
            "Proxies with a certificate of these authorities may name users in headers.";
        "requestheader-extra-headers-prefix": Strings =
            "Prefixes of headers with more about the user: X-Remote-Extra-.";
        "requestheader-group-headers": Strings = "Headers with groups of the user: X-Remote-Group.";
        "requestheader-uid-headers": Strings = "Headers with the uid of the user: X-Remote-Uid.";
        "requestheader-username-headers": Strings = "Headers with the name of the user: X-Remote-User.";
        "service-account-extend-token-expiration": Bool =
            "Let tokens that pods ask for with kubelet's defaults live for a year (default true).";
        "service-account-issuer": Texts =
            "The issuer of service-account tokens; the first one signs, all are believed.";
        "service-account-jwks-uri": Text = "Where the discovery document says that the keys are.";
        "service-account-key-file": Texts = "PEM keys that check service-account tokens.";
        "service-account-lookup": Bool = "Legacy tokens must still be in their secret (default true).";
        "service-account-max-token-expiration": Duration = "The longest that a token may be asked for.";
        "token-auth-file": Text = "A CSV file of bearer tokens: token,user,uid,\"group1,group2\".";
    },
    section! {
        "Authorization":
        "authorization-config": Text =
            "A file that names the authorizers in order, webhooks among them; followed when it changes. Instead of --authorization-mode.";
        "authorization-mode": Strings =
            "How requests are authorized, in order: Node, RBAC, ABAC, Webhook, AlwaysAllow (the default), AlwaysDeny.";
        "authorization-policy-file": Text = "The policies of mode ABAC, a line each.";
        "authorization-webhook-cache-authorized-ttl": Duration =
            "How long the webhook's permissions count; by default 5m.";
        "authorization-webhook-cache-unauthorized-ttl": Duration =
            "How long the webhook's refusals count; by default 30s.";
        "authorization-webhook-config-file": Text =
            "A kubeconfig that leads to the service of mode Webhook, which is asked by SubjectAccessReviews.";
        "authorization-webhook-version": Text =
            "The version of the SubjectAccessReviews that are sent: v1beta1, by default, or v1.";
    },
    section! {
        "API enablement":
        "runtime-config": Strings;
    },
    section! {
        "Egress selector":
        "egress-selector-config-file": Text;
    },
    section! {
        "Admission":
        "admission-control": Strings =
            "The admission plugins that run, and no others. Deprecated: use --enable-admission-plugins and --disable-admission-plugins.";
        "admission-control-config-file": Text =
            "A file of kind AdmissionConfiguration, with the configuration of admission plugins or the paths to it.";
        "default-not-ready-toleration-seconds": Int =
            "How long a pod that says nothing of it stays on a node that is not ready (default 300).";
        "default-unreachable-toleration-seconds": Int =
            "How long a pod that says nothing of it stays on a node that cannot be reached (default 300).";
        "disable-admission-plugins": Strings = "Admission plugins that do not run although they would by default.";
        "enable-admission-plugins": Strings = "Admission plugins that run besides those that run by default.";
    },
    section! {
        "Metrics":
        "allow-metric-labels": Strings;
        "allow-metric-labels-manifest": Text;
        "disabled-metrics": Strings;
        "show-hidden-metrics-for-version": Text;
    },
    section! {
        "Logs":
        "log-flush-frequency": Duration;
        "log-json-info-buffer-size": Text;
        "log-json-split-stream": Bool;
        "log-text-info-buffer-size": Text;
        "log-text-split-stream": Bool;
        "logging-format": Text = "The format of the log: text or json.";
        "v": Int = "How much is logged; 0 to 10.";
        "vmodule": Text = "Levels of single modules: pattern=N, separated by commas.";
    },
    section! {
        "Traces":
        "tracing-config-file": Text;
    },
    section! {
        "Misc":
        "aggregator-reject-forwarding-redirect": Bool;
        "allow-privileged": Bool = "Containers may ask for all rights (default false).";
        "coordinated-leadership-lease-duration": Duration;
        "coordinated-leadership-renew-deadline": Duration;
        "coordinated-leadership-retry-period": Duration;
        "enable-aggregator-routing": Bool =
            "Call Services by their endpoints rather than by their own addresses (default false).";
        "enable-logs-handler": Bool;
        "endpoint-reconciler-type": Text = "How the endpoints of the kubernetes Service are kept: lease or none.";
        "event-ttl": Duration = "How long events are kept.";
        "kubelet-certificate-authority": Text =
            "The certificate authority that signed the serving certificates of kubelets; without it any will do.";
        "kubelet-client-certificate": Text = "The client certificate to show to kubelets.";
        "kubelet-client-key": Text = "The key of the client certificate for kubelets.";
        "kubelet-preferred-address-types": Strings =
            "The kinds of addresses of a node at which its kubelet is called, those first that are tried first.";
        "kubelet-timeout": Duration;
        "kubernetes-service-node-port": Int;
        "max-connection-bytes-per-sec": Int;
        "peer-advertise-ip": Text;
        "peer-advertise-port": Text;
        "peer-ca-file": Text;
        "proxy-client-cert-file": Text =
            "Certificate that aggregated servers know this server by; with --proxy-client-key-file.";
        "proxy-client-key-file": Text = "The key of --proxy-client-cert-file.";
        "service-account-signing-endpoint": Text;
        "service-account-signing-key-file": Text = "The PEM key that signs service-account tokens: RSA or ECDSA.";
        "service-cluster-ip-range": Text =
            "The range of the cluster IPs; the first one is that of the kubernetes Service.";
        "service-node-port-range": Text;
    },
    section! {
        "Global":
        "help": Bool = "Print this and stop.";
        "version": Bool = "Print the version and stop.";
    },
];
