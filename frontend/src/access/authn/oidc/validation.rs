//! What must be right in settings of issuers; the expressions in them are compiled on the way.

use std::sync::{Arc, LazyLock};

use super::{
    configuration::{
        AuthenticationConfiguration, ClaimMappings, ClaimValidationRule, ExtraMapping, IssuerSettings, Jwt,
        PrefixedClaimOrExpression, UserValidationRule,
    },
    mapping::{CLAIMS, Expression, Mappings, Origin, USER},
    quoted,
};
use crate::{
    api::{
        cel::{self, Compiled, DeclType, Env, Type, decl::ListKind},
        schema::scalar::names,
    },
    request::{
        status::{FieldError, FieldErrorKind},
        url::Url,
    },
};

const ISSUERS_MAX: usize = 64;
const BOTH: &str = "claim and expression can't both be set";
const EMAIL: &str = "claims.email_verified must be used in claimMappings.username.expression or \
                     claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is \
                     used in claimMappings.username.expression";

static CLAIMS_ENV: LazyLock<Env> = LazyLock::new(|| Env::new().with(CLAIMS, Type::map(Type::String, Type::Any)));

static USER_ENV: LazyLock<Env> = LazyLock::new(|| {
    let texts = || DeclType::list(DeclType::text(), ListKind::Atomic, None).unbounded();
    let fields = [
        ("username", DeclType::text()),
        ("uid", DeclType::text()),
        ("groups", texts()),
        ("extra", DeclType::map(texts(), None).unbounded()),
    ];
    Env::new().declare(USER, &Arc::new(DeclType::record("kubernetes.UserInfo", fields)))
});

/// Validates a configuration as a whole. `disallowed` are issuers of this server's own tokens.
pub(super) fn compile(
    configuration: &AuthenticationConfiguration,
    disallowed: &[String],
) -> Result<Vec<Mappings>, Vec<FieldError>> {
    let jwt = &configuration.jwt;
    if jwt.len() > ISSUERS_MAX {
        return Err(vec![FieldError::too_many("jwt", jwt.len(), ISSUERS_MAX)]);
    }
    let mut errors = Vec::new();
    let mut compiled = Vec::new();
    for (at, one) in jwt.iter().enumerate() {
        let path = format!("jwt[{at}]");
        compiled.push(authenticator(one, &path, disallowed, &mut errors));
        let before = || jwt[..at].iter().map(|other| &other.issuer);
        if before().any(|other| other.url == one.issuer.url) {
            errors.push(FieldError::duplicate(format!("{path}.issuer.url"), &one.issuer.url));
        }
        let discovery = &one.issuer.discovery_url;
        if !discovery.is_empty() && before().any(|other| other.discovery_url == *discovery) {
            errors.push(FieldError::duplicate(format!("{path}.issuer.discoveryURL"), discovery));
        }
    }
    if let Some(anonymous) = configuration.anonymous.as_ref().filter(|a| !a.enabled && !a.conditions.is_empty()) {
        let shown: Vec<_> = anonymous.conditions.iter().map(|one| serde_json::json!({"Path": one.path})).collect();
        let why = "enabled should be set to true when conditions are defined";
        errors.push(FieldError::invalid_value("anonymous.conditions", serde_json::Value::Array(shown), why));
    }
    if errors.is_empty() { Ok(compiled) } else { Err(errors) }
}

fn authenticator(jwt: &Jwt, path: &str, disallowed: &[String], errors: &mut Vec<FieldError>) -> Mappings {
    issuer(&jwt.issuer, &format!("{path}.issuer"), disallowed, errors);
    let mut found = Found { errors, reads_email: false, reads_verified: false };
    let (required, claim_rules) =
        found.claim_rules(&jwt.claim_validation_rules, &format!("{path}.claimValidationRules"));
    let mappings = found.mappings(&jwt.claim_mappings, &format!("{path}.claimMappings"));
    let user_rules = found.user_rules(&jwt.user_validation_rules, &format!("{path}.userValidationRules"));
    Mappings { required, claim_rules, user_rules, ..mappings }
}

fn issuer(settings: &IssuerSettings, path: &str, disallowed: &[String], errors: &mut Vec<FieldError>) {
    match settings.url.as_str() {
        "" => errors.push(FieldError::required(format!("{path}.url"), "")),
        address => url(address, disallowed, format!("{path}.url"), errors),
    }
    let discovery = settings.discovery_url.as_str();
    if !discovery.is_empty() {
        let field = format!("{path}.discoveryURL");
        if !settings.url.is_empty() && settings.url.trim_end_matches('/') == discovery.trim_end_matches('/') {
            errors.push(FieldError::invalid(&field, discovery, "discoveryURL must be different from URL"));
        }
        url(discovery, &[], field, errors);
    }
    audiences(settings, path, errors);
    if !settings.certificate_authority.is_empty()
        && let Err(why) = crate::client::check_authorities(settings.certificate_authority.as_bytes())
    {
        let field = format!("{path}.certificateAuthority");
        errors.push(FieldError {
            kind: FieldErrorKind::Invalid,
            field,
            bad_value: Some("\"<omitted>\"".into()),
            detail: why,
        });
    }
    let egress = settings.egress_selector_type.as_str();
    if !["", "controlplane", "cluster"].contains(&egress) {
        let why = "egress selector must be either controlplane or cluster";
        errors.push(FieldError::invalid(format!("{path}.egressSelectorType"), egress, why));
    }
}

fn url(address: &str, disallowed: &[String], field: String, errors: &mut Vec<FieldError>) {
    let mut refuse = |why: String| errors.push(FieldError::invalid(field.clone(), address, why));
    if disallowed.iter().any(|issuer| issuer == address) {
        let mut all = disallowed.to_vec();
        all.sort_unstable();
        refuse(format!("URL must not overlap with disallowed issuers: [{}]", all.join(" ")));
    }
    let parts = match Url::parse(address) {
        Ok(parts) => parts,
        Err(why) => return refuse(format!("parse {address:?}: {why}")),
    };
    let given = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
    for (wrong, why) in [
        (parts.scheme != "https", "URL scheme must be https"),
        (parts.user.is_some(), "URL must not contain a username or password"),
        (given(parts.query), "URL must not contain a query"),
        (given(parts.fragment), "URL must not contain a fragment"),
    ] {
        if wrong {
            refuse(why.to_owned());
        }
    }
}

fn audiences(settings: &IssuerSettings, path: &str, errors: &mut Vec<FieldError>) {
    let (list, policy) = (&settings.audiences, settings.audience_match_policy.as_str());
    let field = format!("{path}.audiences");
    if list.is_empty() {
        let why = format!("at least one {field} is required");
        errors.push(FieldError::required(field, why));
        return;
    }
    for (at, audience) in list.iter().enumerate() {
        if audience.is_empty() {
            errors.push(FieldError::required(format!("{field}[{at}]"), ""));
        }
        if list[..at].contains(audience) {
            errors.push(FieldError::duplicate(format!("{field}[{at}]"), audience));
        }
    }
    let why = match (list.len(), policy) {
        (_, "MatchAny") | (1, "") => return,
        (1, _) => "audienceMatchPolicy must be empty or MatchAny for single audience",
        _ => "audienceMatchPolicy must be MatchAny for multiple audiences",
    };
    errors.push(FieldError::invalid(format!("{path}.audienceMatchPolicy"), policy, why));
}

/// What a walk over the expressions of one issuer found.
struct Found<'e> {
    errors: &'e mut Vec<FieldError>,
    reads_email: bool,
    reads_verified: bool,
}

impl Found<'_> {
    /// None: it is wrong, and that was noted.
    fn compile(
        &mut self,
        text: &str,
        message: &str,
        env: &Env,
        wanted: Option<Type>,
        field: String,
    ) -> Option<(Expression, Compiled)> {
        let compiled = match cel::compile(text, env) {
            Ok(compiled) => compiled,
            Err(issues) => {
                self.errors.push(FieldError::invalid(field, text, format!("compilation failed: {issues}")));
                return None;
            }
        };
        if let Some(wanted) = wanted.filter(|wanted| !compiled.output_type().is_exactly(wanted)) {
            self.errors.push(FieldError::invalid(field, text, format!("must evaluate to {wanted}")));
            return None;
        }
        match compiled.program() {
            Ok(program) => {
                let expression = Expression { text: text.to_owned(), program, message: message.to_owned() };
                Some((expression, compiled))
            }
            Err(why) => {
                self.errors.push(FieldError::internal(field, format!("program instantiation failed: {why}")));
                None
            }
        }
    }

    fn claim_rules(&mut self, rules: &[ClaimValidationRule], path: &str) -> (Vec<(String, String)>, Vec<Expression>) {
        let (mut required, mut compiled) = (Vec::new(), Vec::new());
        for (at, rule) in rules.iter().enumerate() {
            let field = |name: &str| format!("{path}[{at}]{name}");
            let before = &rules[..at];
            match (rule.claim.as_str(), rule.expression.as_str()) {
                ("", "") => self.errors.push(FieldError::required(field(""), "claim or expression is required")),
                ("", text) => {
                    if !rule.required_value.is_empty() {
                        let why = "may not be specified when expression is set";
                        self.errors.push(FieldError::invalid(field(".requiredValue"), &rule.required_value, why));
                    }
                    if before.iter().any(|other| other.claim.is_empty() && other.expression == text) {
                        self.errors.push(FieldError::duplicate(field(".expression"), text));
                        continue;
                    }
                    let made = self.compile(text, &rule.message, &CLAIMS_ENV, Some(Type::Bool), field(".expression"));
                    if let Some((expression, of)) = made {
                        self.reads_verified |= of.reads(CLAIMS, "email_verified");
                        compiled.push(expression);
                    }
                }
                (claim, "") => {
                    if !rule.message.is_empty() {
                        let why = "may not be specified when claim is set";
                        self.errors.push(FieldError::invalid(field(".message"), &rule.message, why));
                    }
                    if before.iter().any(|other| other.expression.is_empty() && other.claim == claim) {
                        self.errors.push(FieldError::duplicate(field(".claim"), claim));
                    }
                    required.push((claim.to_owned(), rule.required_value.clone()));
                }
                (claim, _) => self.errors.push(FieldError::invalid(field(""), claim, BOTH)),
            }
        }
        (required, compiled)
    }

    fn mappings(&mut self, mappings: &ClaimMappings, path: &str) -> Mappings {
        let field = format!("{path}.username");
        if mappings.username.claim.is_empty() && mappings.username.expression.is_empty() {
            self.errors.push(FieldError::required(&field, "claim or expression is required"));
        }
        let (username, of) = self.prefixed(&mappings.username, &field);
        if let Some(of) = of {
            self.reads_email |= of.reads(CLAIMS, "email");
            self.reads_verified |= of.reads(CLAIMS, "email_verified");
        }
        let (groups, _) = self.prefixed(&mappings.groups, &format!("{path}.groups"));
        let field = format!("{path}.uid");
        let uid = match (mappings.uid.claim.as_str(), mappings.uid.expression.as_str()) {
            ("", "") => Origin::Nowhere,
            (name, "") => Origin::Claim { name: name.to_owned(), prefix: String::new() },
            ("", text) => self
                .compile(text, "", &CLAIMS_ENV, None, format!("{field}.expression"))
                .map_or(Origin::Nowhere, |(expression, _)| Origin::Expression(expression)),
            _ => {
                self.errors.push(FieldError::invalid(field, "", BOTH));
                Origin::Nowhere
            }
        };
        let extra = self.extra(&mappings.extra, &format!("{path}.extra"));
        if self.reads_email && !self.reads_verified {
            let field = format!("{path}.username.expression");
            self.errors.push(FieldError::invalid(field, &mappings.username.expression, EMAIL));
        }
        Mappings { username, groups, uid, extra, ..Mappings::default() }
    }

    fn prefixed(&mut self, mapping: &PrefixedClaimOrExpression, path: &str) -> (Origin, Option<Compiled>) {
        match (mapping.claim.as_str(), mapping.expression.as_str(), &mapping.prefix) {
            ("", "", _) => {}
            (name, "", Some(prefix)) => {
                return (Origin::Claim { name: name.to_owned(), prefix: prefix.clone() }, None);
            }
            (_, "", None) => {
                let why = "prefix is required when claim is set. It can be set to an empty string to disable prefixing";
                self.errors.push(FieldError::required(format!("{path}.prefix"), why));
            }
            ("", text, prefix) => {
                if let Some(prefix) = prefix {
                    let why = "may not be specified when expression is set";
                    self.errors.push(FieldError::invalid(format!("{path}.prefix"), prefix, why));
                }
                let made = self.compile(text, "", &CLAIMS_ENV, None, format!("{path}.expression"));
                if let Some((expression, of)) = made {
                    return (Origin::Expression(expression), Some(of));
                }
            }
            _ => self.errors.push(FieldError::invalid(path, "", BOTH)),
        }
        (Origin::Nowhere, None)
    }

    fn extra(&mut self, mappings: &[ExtraMapping], path: &str) -> Vec<(String, Expression)> {
        let mut compiled = Vec::new();
        for (at, mapping) in mappings.iter().enumerate() {
            let (key, field) = (mapping.key.as_str(), format!("{path}[{at}].key"));
            domain_prefixed(key, &field, self.errors);
            if key.chars().any(char::is_uppercase) {
                self.errors.push(FieldError::invalid(&field, key, "must be lowercase"));
            }
            let domain = key.split_once('/').map_or("", |(domain, _)| domain);
            let of =
                |owner: &str| domain == owner || domain.strip_suffix(owner).is_some_and(|rest| rest.ends_with('.'));
            if of("kubernetes.io") || of("k8s.io") {
                let why = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use";
                self.errors.push(FieldError::invalid(&field, key, why));
            }
            if mappings[..at].iter().any(|other| other.key == key) {
                self.errors.push(FieldError::duplicate(field, key));
                continue;
            }
            let field = format!("{path}[{at}].valueExpression");
            if mapping.value_expression.is_empty() {
                self.errors.push(FieldError::required(field, ""));
                continue;
            }
            if let Some((expression, of)) = self.compile(&mapping.value_expression, "", &CLAIMS_ENV, None, field) {
                self.reads_verified |= of.reads(CLAIMS, "email_verified");
                compiled.push((key.to_owned(), expression));
            }
        }
        compiled
    }

    fn user_rules(&mut self, rules: &[UserValidationRule], path: &str) -> Vec<Expression> {
        let mut compiled = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            let (text, field) = (rule.expression.as_str(), format!("{path}[{at}].expression"));
            if text.is_empty() {
                self.errors.push(FieldError::required(field, ""));
            } else if rules[..at].iter().any(|other| other.expression == text) {
                self.errors.push(FieldError::duplicate(field, text));
            } else if let Some((expression, _)) = self.compile(text, &rule.message, &USER_ENV, Some(Type::Bool), field)
            {
                compiled.push(expression);
            }
        }
        compiled
    }
}

/// `acme.io/foo`
fn domain_prefixed(key: &str, field: &str, errors: &mut Vec<FieldError>) {
    if key.is_empty() {
        errors.push(FieldError::required(field, ""));
        return;
    }
    let Some((host, path)) = key.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty()) else {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(field, key, why));
        return;
    };
    errors.extend(names::dns_1123_subdomain(host).into_iter().map(|why| FieldError::invalid(field, host, why)));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !path.chars().all(allowed) {
        let why = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        errors.push(FieldError::invalid(field, path, why));
    }
}

/// The algorithms of `--oidc-signing-algs`.
pub(super) fn check_algorithms(algorithms: &[String]) -> Result<(), String> {
    match algorithms.iter().find(|name| !super::ALGORITHMS.contains(&name.as_str())) {
        Some(name) => Err(format!("oidc: unsupported signing alg: {name:?}, known are {}", quoted(&super::ALGORITHMS))),
        None => Ok(()),
    }
}
