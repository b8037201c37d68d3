//! Expressions with what cel-go in Kubernetes' environment says of them: errors of compilation, types, estimated costs,
//! values, errors and costs.
//!
//! `testdata/corpus.jsonl.gz` has one expression a line with the answers recorded from it; `testdata/values.json` has
//! the values of the variables and the schemas of `self`.

use std::{collections::HashMap, io::Read, sync::Arc};

use flate2::read::GzDecoder;
use serde_json::Value as Json;

use super::{
    decl::{ListKind, Property, Text},
    value::{List, Map},
    *,
};
use crate::api::schema::{MapValue, Value};

const CORPUS: &[u8] = include_bytes!("testdata/corpus.jsonl.gz");
const VALUES: &str = include_str!("testdata/values.json");

fn tree(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::List(items.iter().map(tree).collect()),
        Json::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| (name.as_str().into(), tree(value))).collect();
            Value::Map(MapValue::from_entries(entries))
        }
    }
}

fn text<'j>(schema: &'j Json, field: &str) -> &'j str {
    schema[field].as_str().unwrap_or_default()
}

fn list_kind(schema: &Json) -> ListKind {
    match text(schema, "x-kubernetes-list-type") {
        "set" => ListKind::Set,
        "map" => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
            ListKind::Map(keys.filter_map(|key| key.as_str().map(str::to_owned)).collect())
        }
        _ => ListKind::Atomic,
    }
}

fn decl(schema: &Json) -> Option<DeclType> {
    let number = |field: &str| schema[field].as_i64();
    if schema["x-kubernetes-int-or-string"].as_bool() == Some(true) {
        return Some(DeclType::int_or_string(number("maxLength")));
    }
    let of = match text(schema, "type") {
        "boolean" => DeclType::boolean(),
        "integer" => DeclType::integer(),
        "number" => DeclType::number(),
        "string" => {
            let longest = schema["enum"].as_array().map(|values| {
                values.iter().filter_map(Json::as_str).map(|value| value.len() as i64).max().unwrap_or(0)
            });
            DeclType::string(&Text {
                format: text(schema, "format"),
                max_length: number("maxLength"),
                longest_of_enum: longest,
            })
        }
        "array" => DeclType::list(decl(&schema["items"])?, list_kind(schema), number("maxItems")),
        "object" if schema["additionalProperties"].is_object() => {
            DeclType::map(decl(&schema["additionalProperties"])?, number("maxProperties"))
        }
        "object" => DeclType::object("object", properties(schema)),
        _ => return None,
    };
    Some(if schema["nullable"].as_bool() == Some(true) { of.nullable() } else { of })
}

fn properties(schema: &Json) -> Vec<Property<'_>> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)))
    };
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields
        .filter_map(|(name, of)| {
            let has_default = of.get("default").is_some();
            Some(Property { name, of: decl(of)?, required: required(name), has_default })
        })
        .collect()
}

/// The root of a custom resource always has these.
fn root(schema: &Json) -> DeclType {
    let mut properties = properties(schema);
    for name in ["apiVersion", "kind"] {
        let of = DeclType::string(&Text::default());
        properties.push(Property { name, of, required: false, has_default: false });
    }
    let names = ["name", "generateName"].map(|name| Property {
        name,
        of: DeclType::string(&Text::default()),
        required: false,
        has_default: false,
    });
    let metadata = DeclType::object("object", names);
    properties.push(Property { name: "metadata", of: metadata, required: false, has_default: false });
    DeclType::object("object", properties).named("selfType")
}

/// One environment of the corpus and the values of its variables.
struct Environment {
    env: Env,
    of: Option<Arc<DeclType>>,
    trees: Vec<(&'static str, Value)>,
}

fn environments() -> HashMap<String, Environment> {
    let values: Json = serde_json::from_str(VALUES).unwrap();
    let plain = Env::new()
        .with("object", Type::Dyn)
        .with("oldObject", Type::Dyn)
        .with("n", Type::Int)
        .with("s", Type::String)
        .with("u", Type::Uint)
        .with("d", Type::Double)
        .with("l", Type::list(Type::Int))
        .with("ls", Type::list(Type::String))
        .with("m", Type::map(Type::String, Type::Int))
        .with("t", Type::Bool);
    let trees = vec![
        ("object", tree(&values["object"])),
        ("oldObject", Value::Null),
        ("l", tree(&serde_json::json!([3, 1, 2]))),
        ("ls", tree(&serde_json::json!(["b", "a", "c"]))),
        ("m", tree(&serde_json::json!({"a": 1, "b": 2}))),
    ];
    let mut environments = HashMap::from([("plain".to_owned(), Environment { env: plain, of: None, trees })]);
    for case in values["schemas"].as_array().unwrap() {
        let of = Arc::new(root(&case["schema"]));
        let env = Env::new().declare("self", &of).declare("oldSelf", &of).sized_by(&of);
        let trees = vec![("self", tree(&case["self"])), ("oldSelf", tree(&case["oldSelf"]))];
        environments.insert(text(case, "name").to_owned(), Environment { env, of: Some(of), trees });
    }
    environments
}

/// A value as the recorder wrote it.
fn shown(val: &Val<'_>) -> String {
    match val {
        Val::Null => "null".to_owned(),
        Val::Uint(number) => format!("{number}u"),
        Val::Double(number) => format!("{}d", gofmt::general(*number)),
        Val::Str(text) => gofmt::quote(text),
        Val::Bytes(bytes) => {
            format!("b'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Val::Duration(nanos) => format!("duration({nanos})"),
        Val::Timestamp(at) => {
            format!("timestamp({})", gofmt::time(timestamp::Timestamp::utc(at.seconds, at.nanos)))
        }
        Val::Type(name) => format!("type({})", &**name),
        Val::List(list) => shown_list(list),
        Val::Map(map) => shown_map(map),
        Val::Optional(None) => "none".to_owned(),
        Val::Optional(Some(inner)) => format!("some({})", shown(inner)),
        Val::Url(_) => format!("url({})", val.shown()),
        Val::Quantity(_) => format!("quantity({})", val.shown()),
        Val::Ip(_) => format!("ip({})", val.shown()),
        Val::Cidr(..) => format!("cidr({})", val.shown()),
        Val::Semver(_) => format!("semver({})", val.shown()),
        Val::Format(_) => format!("format({})", val.shown()),
        other => other.shown(),
    }
}

fn shown_list(list: &List<'_>) -> String {
    let items: Vec<String> = list.iter().map(|item| shown(&item.unwrap())).collect();
    format!("[{}]", items.join(", "))
}

fn shown_map(map: &Map<'_>) -> String {
    let entries = map.entries().unwrap();
    let mut entries: Vec<String> =
        entries.iter().map(|(key, value)| format!("{}: {}", shown(key), shown(value))).collect();
    entries.sort();
    format!("{{{}}}", entries.join(", "))
}

/// What the engine says of one expression, in the form of the corpus.
fn answer(environment: &Environment, expression: &str) -> serde_json::Map<String, Json> {
    let mut out = serde_json::Map::new();
    let compiled = match compile(expression, &environment.env) {
        Ok(compiled) => compiled,
        Err(issues) => {
            out.insert("issues".to_owned(), Json::from(issues.to_string()));
            return out;
        }
    };
    out.insert("type".to_owned(), Json::from(compiled.output_type().to_string()));
    let range = compiled.estimate();
    out.insert("min".to_owned(), Json::from(range.min.to_string()));
    out.insert("max".to_owned(), Json::from(range.max.to_string()));
    let program = match compiled.program() {
        Ok(program) => program,
        Err(error) => {
            out.insert("programError".to_owned(), Json::from(error));
            return out;
        }
    };
    let mut activation = Activation::new()
        .with("n", Val::Int(3))
        .with("s", Val::from("hello"))
        .with("u", Val::Uint(7))
        .with("d", Val::Double(2.5))
        .with("t", Val::Bool(true));
    for (name, value) in &environment.trees {
        let val = match &environment.of {
            Some(of) => tree::declared(value, of),
            None => tree::free(value),
        };
        activation = activation.with(name, val.unwrap());
    }
    let outcome = program.eval(&activation, CALL_COST_MAX);
    out.insert("cost".to_owned(), Json::from(outcome.cost));
    match outcome.result {
        Ok(val) => out.insert("value".to_owned(), Json::from(shown(&val))),
        Err(error) => out.insert("error".to_owned(), Json::from(error.to_string())),
    };
    out
}

#[test]
fn expressions_are_answered_as_by_cel_go() {
    let mut corpus = String::new();
    GzDecoder::new(CORPUS).read_to_string(&mut corpus).unwrap();
    let environments = environments();
    let (mut total, mut wrong) = (0, Vec::new());
    for line in corpus.lines() {
        let mut want: serde_json::Map<String, Json> = serde_json::from_str(line).unwrap();
        let env = want.remove("env").unwrap();
        let expression = want.remove("expr").unwrap();
        let (env, expression) = (env.as_str().unwrap(), expression.as_str().unwrap());
        let got = answer(&environments[env], expression);
        total += 1;
        let differs = |key: &&&str| want.get(**key) != got.get(**key);
        let keys = ["issues", "type", "min", "max", "programError", "cost", "value", "error"];
        let different: Vec<&str> = keys.iter().filter(differs).copied().collect();
        if !different.is_empty() {
            let parts: Vec<String> = different
                .iter()
                .map(|key| {
                    let side =
                        |of: &serde_json::Map<String, Json>| of.get(*key).map_or("-".to_owned(), Json::to_string);
                    format!("  {key}: want {} got {}", side(&want), side(&got))
                })
                .collect();
            wrong.push(format!("[{env}] {expression}\n{}", parts.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
}
