//! Whether a free tree, which is what a client applies, is of the form that the schema wants. Messages are those of the
//! real server.

use std::fmt::Write as _;

use super::{
    element::Element,
    node::Node,
    type_ref::{Form, Items, ScalarType, TypeRef},
};
use crate::{
    api::schema::{MapValue, Value, codec},
    request::status::go_quote,
};

/// Items that cannot be told apart are refused: what is stored may have them, what is applied may not.
pub(super) fn check(ty: TypeRef<'_>, node: Node<'_>) -> Result<(), String> {
    let mut checker = Checker { errors: Vec::new() };
    checker.visit(ty, node, &mut String::new());
    let lines: Vec<String> = checker
        .errors
        .into_iter()
        .map(|(path, text)| if path.is_empty() { text } else { format!("{path}: {text}") })
        .collect();
    match lines.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        all => Err(format!("errors:\n  {}", all.join("\n  "))),
    }
}

struct Checker {
    errors: Vec<(String, String)>,
}

impl Checker {
    fn refuse(&mut self, path: &str, text: impl Into<String>) {
        self.errors.push((path.to_owned(), text.into()));
    }

    fn visit(&mut self, ty: TypeRef<'_>, node: Node<'_>, path: &mut String) {
        if node.is_null() {
            return;
        }
        match ty.form(node) {
            Form::Scalar => self.scalar(ty, node, path),
            Form::List(items) if node.is_list() => self.items(ty, items, node, path),
            Form::List(_) => self.refuse(path, format!("expected list, got &{{{}}}", plain(node))),
            Form::Map { .. } if node.is_map() => self.members(ty, node, path),
            Form::Map { .. } => self.refuse(path, format!("expected map, got &{{{}}}", plain(node))),
        }
    }

    fn scalar(&mut self, ty: TypeRef<'_>, node: Node<'_>, path: &str) {
        let TypeRef::Scalar(wanted) = ty else { return };
        let number = matches!(node, Node::Int(_) | Node::Float(_));
        let text = matches!(node, Node::Str(_) | Node::Bytes(_));
        let truth = matches!(node, Node::Bool(_));
        match wanted {
            ScalarType::Number if !number => {
                self.refuse(path, format!("expected numeric (int or float), got {}", go_type(node)));
            }
            ScalarType::Text if !text => {
                let shown = literal(node);
                self.refuse(path, format!("expected string, got &value.valueUnstructured{{Value:{shown}}}"));
            }
            ScalarType::Truth if !truth => self.refuse(path, format!("expected boolean, got &{{{}}}", plain(node))),
            ScalarType::Any if !(number || text || truth) => {
                self.refuse(path, format!("expected any scalar, got &{{{}}}", plain(node)));
            }
            _ => {}
        }
    }

    fn items(&mut self, ty: TypeRef<'_>, items: Items<'_>, list: Node<'_>, path: &mut String) {
        let mut seen: std::collections::BTreeSet<Element<'_>> = std::collections::BTreeSet::new();
        for (at, item) in list.items().enumerate() {
            let step = match items {
                Items::Atomic => Element::Index(i64::try_from(at).unwrap_or(i64::MAX)),
                _ => match ty.step(items, item) {
                    Ok(step) => step,
                    Err(error) => return self.refuse(path, format!("element {at}: {error}")),
                },
            };
            if items != Items::Atomic && seen.contains(&step) {
                self.refuse(path, format!("duplicate entries for key {step}"));
            }
            let length = path.len();
            let _ = write!(path, "{step}");
            self.visit(ty.item(), item, path);
            path.truncate(length);
            seen.insert(step);
        }
    }

    /// A field that the schema does not know ends the look at this map.
    fn members(&mut self, ty: TypeRef<'_>, map: Node<'_>, path: &mut String) {
        let mut unknown = false;
        map.each_child(|name, field, value| {
            if unknown {
                return;
            }
            let length = path.len();
            let _ = write!(path, ".{name}");
            match ty.child_of(field, name) {
                Some(child) => self.visit(child, value, path),
                None => {
                    unknown = true;
                    self.refuse(path, "field not declared in schema");
                }
            }
            path.truncate(length);
        });
    }
}

fn go_type(node: Node<'_>) -> &'static str {
    match node.to_value() {
        Value::Bool(_) => "bool",
        Value::Str(_) => "string",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        _ => "<nil>",
    }
}

/// A value as Go's `%v` prints it.
fn plain(node: Node<'_>) -> String {
    print(&node.to_value(), &|text| text.to_owned(), ["<nil>", "map[", "]", "[", "]", " "])
}

/// A value as Go's `%#v` prints it.
fn literal(node: Node<'_>) -> String {
    let marks = ["interface {}(nil)", "map[string]interface {}{", "}", "[]interface {}{", "}", ", "];
    print(&node.to_value(), &|text| go_quote(text), marks)
}

fn print(value: &Value, text: &dyn Fn(&str) -> String, marks: [&str; 6]) -> String {
    let [nil, open_map, close_map, open_list, close_list, comma] = marks;
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => {
            let mut out = Vec::new();
            codec::write_float(&mut out, *number);
            String::from_utf8_lossy(&out).into_owned()
        }
        Value::Str(found) => text(found),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| print(item, text, marks)).collect();
            format!("{open_list}{}{close_list}", items.join(comma))
        }
        Value::Map(map) => {
            let member = |(key, value): (&str, &Value)| {
                // Keys are quoted where texts are.
                format!("{}:{}", text(key), print(value, text, marks))
            };
            let members: Vec<String> = MapValue::iter(map).map(member).collect();
            format!("{open_map}{}{close_map}", members.join(comma))
        }
        _ => nil.to_owned(),
    }
}
