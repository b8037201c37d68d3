//! The user that the claims of a token make, and whether it may be one.
//!
//! In: an issuer's compiled settings and the claims of a good token. Out: a user, or why there is none.

use serde_json::{Value, json};

use super::verify::Claims;
use crate::{
    api::cel::{Activation, Program, Val, tree},
    request::User,
};

/// The most that one expression may cost.
const COST_MAX: u64 = 10_000_000;
pub(super) const CLAIMS: &str = "claims";
pub(super) const USER: &str = "user";
const NO_TEXTS: &str = "expression must return a string or a list of strings";

/// An expression that is ready to run.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) text: String,
    pub(super) program: Program,
    /// Why a token is refused that the expression says no to.
    pub(super) message: String,
}

/// Where a part of the user comes from.
#[derive(Debug, Default)]
pub(super) enum Origin {
    #[default]
    Nowhere,
    Claim {
        name: String,
        prefix: String,
    },
    Expression(Expression),
}

/// What an issuer's claims mean.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    pub(super) username: Origin,
    pub(super) groups: Origin,
    pub(super) uid: Origin,
    pub(super) extra: Vec<(String, Expression)>,
    /// Claims that must have these values.
    pub(super) required: Vec<(String, String)>,
    pub(super) claim_rules: Vec<Expression>,
    pub(super) user_rules: Vec<Expression>,
}

impl Expression {
    fn run(&self, variable: &str, value: &Val<'static>) -> Result<Val<'_>, String> {
        let outcome = self.program.eval(&Activation::new().with(variable, value.clone()), COST_MAX);
        outcome.result.map_err(|error| format!("expression '{}' resulted in error: {error}", self.text))
    }
}

impl Mappings {
    pub(super) fn user(&self, claims: &Claims) -> Result<User, String> {
        let value = tree::from_claims(&Value::Object(claims.clone())).map_err(|error| error.to_string())?;
        let user = User {
            name: self.name(claims, &value)?,
            groups: self.groups(claims, &value)?,
            uid: self.uid(claims, &value)?,
            extra: self.extra(claims, &value)?,
        };
        for (name, wanted) in &self.required {
            let found = claims.get(name);
            let found = found.ok_or_else(|| format!("oidc: required claim {name} not present in ID token"))?;
            let found = text(found).map_err(|why| format!("oidc: parse claim {name}: {why}"))?;
            if found != *wanted {
                let compared = format!("Got = {found}, want = {wanted}");
                return Err(format!("oidc: required claim {name} value does not match. {compared}"));
            }
        }
        check_rules(&self.claim_rules, CLAIMS, &value)
            .map_err(|why| format!("oidc: error evaluating claim validation expression: {why}"))?;
        if !self.user_rules.is_empty() {
            let value = tree::from_claims(&described(&user)).map_err(|error| error.to_string())?;
            check_rules(&self.user_rules, USER, &value)
                .map_err(|why| format!("oidc: error evaluating user info validation rule: {why}"))?;
        }
        Ok(user)
    }

    fn name(&self, claims: &Claims, value: &Val<'static>) -> Result<String, String> {
        match &self.username {
            Origin::Nowhere => Err("oidc: no claim makes the username".to_owned()),
            Origin::Claim { name, prefix } => {
                let found = present(claims, name).and_then(text);
                let found = found.map_err(|why| format!("oidc: parse username claims {name:?}: {why}"))?;
                // An address that the issuer has not verified could be anybody's.
                if let Some(verified) = claims.get("email_verified").filter(|_| name == "email") {
                    match verified {
                        Value::Bool(true) => {}
                        Value::Bool(false) | Value::Null => return Err("oidc: email not verified".to_owned()),
                        other => {
                            let why = unfit(other, "bool");
                            return Err(format!("oidc: parse 'email_verified' claim: {why}"));
                        }
                    }
                }
                Ok(format!("{prefix}{found}"))
            }
            Origin::Expression(expression) => {
                let found = one_text(expression, value, "username");
                let found = found.map_err(|why| format!("oidc: error evaluating username claim expression: {why}"))?;
                match found.as_str() {
                    "" => Err("oidc: empty username via CEL expression is not allowed".to_owned()),
                    _ => Ok(found),
                }
            }
        }
    }

    fn groups(&self, claims: &Claims, value: &Val<'static>) -> Result<Vec<String>, String> {
        match &self.groups {
            Origin::Nowhere => Ok(Vec::new()),
            Origin::Claim { name, prefix } => {
                let Some(found) = claims.get(name) else { return Ok(Vec::new()) };
                let found = texts(found).map_err(|why| format!("oidc: parse groups claim {name:?}: {why}"))?;
                Ok(found.into_iter().map(|group| format!("{prefix}{group}")).collect())
            }
            Origin::Expression(expression) => many_texts(expression, value)
                .map_err(|why| format!("oidc: error evaluating group claim expression: {why}")),
        }
    }

    fn uid(&self, claims: &Claims, value: &Val<'static>) -> Result<String, String> {
        match &self.uid {
            Origin::Nowhere => Ok(String::new()),
            Origin::Claim { name, .. } => {
                let found = present(claims, name).and_then(text);
                found.map_err(|why| format!("oidc: parse uid claim {name:?}: {why}"))
            }
            Origin::Expression(expression) => one_text(expression, value, "uid")
                .map_err(|why| format!("oidc: error evaluating uid claim expression: {why}")),
        }
    }

    fn extra(&self, claims: &Claims, value: &Val<'static>) -> Result<Vec<(String, Vec<String>)>, String> {
        let mut extra = Vec::new();
        if let Some(Value::String(id)) = claims.get("jti").filter(|id| id.as_str() != Some("")) {
            extra.push(("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("JTI={id}")]));
        }
        let ran: Result<Vec<(&String, &Expression, Val<'_>)>, String> =
            self.extra.iter().map(|(key, expression)| Ok((key, expression, expression.run(CLAIMS, value)?))).collect();
        for (key, expression, found) in ran? {
            let values = texts_of(&found)
                .map_err(|why| format!("oidc: error evaluating extra claim expression: {}: {why}", expression.text))?;
            if !values.is_empty() {
                extra.push((key.clone(), values));
            }
        }
        extra.sort();
        Ok(extra)
    }
}

/// All of them must say yes.
fn check_rules(rules: &[Expression], variable: &str, value: &Val<'static>) -> Result<(), String> {
    let answers: Result<Vec<Val<'_>>, String> = rules.iter().map(|rule| rule.run(variable, value)).collect();
    for (rule, answer) in rules.iter().zip(answers?) {
        match answer {
            Val::Bool(true) => {}
            Val::Bool(false) => {
                return Err(format!("validation expression '{}' failed: {}", rule.text, rule.message));
            }
            _ => return Err("validation expression must return a boolean".to_owned()),
        }
    }
    Ok(())
}

/// The user as expressions see it.
fn described(user: &User) -> Value {
    let extra: serde_json::Map<String, Value> =
        user.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
    json!({"username": user.name, "uid": user.uid, "groups": user.groups, "extra": extra})
}

fn one_text(expression: &Expression, value: &Val<'static>, what: &str) -> Result<String, String> {
    match expression.run(CLAIMS, value)?.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("{what} claim expression must return a string")),
    }
}

fn many_texts(expression: &Expression, value: &Val<'static>) -> Result<Vec<String>, String> {
    texts_of(&expression.run(CLAIMS, value)?)
}

/// A text or a list of texts; empty ones and null are none.
fn texts_of(found: &Val<'_>) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    match found {
        Val::Null => {}
        Val::Str(text) => texts.push(text.to_string()),
        Val::List(list) => {
            for item in list.iter() {
                let item = item.map_err(|error| error.to_string())?;
                texts.push(item.as_str().ok_or(NO_TEXTS)?.to_owned());
            }
        }
        _ => return Err(NO_TEXTS.to_owned()),
    }
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

fn present<'c>(claims: &'c Claims, name: &str) -> Result<&'c Value, String> {
    claims.get(name).ok_or_else(|| "claim not present".to_owned())
}

/// As Go reads a string from JSON: null is the empty one.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        other => Err(unfit(other, "string")),
    }
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_null()) => {
            items.iter().map(text).collect()
        }
        other => Ok(vec![text(other)?]),
    }
}

/// What Go says of JSON that does not fit a type.
fn unfit(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}
