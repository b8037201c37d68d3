//! The rules of a schema (`x-kubernetes-validations`), compiled: a tree beside the schema's, with nodes where rules
//! are.
//!
//! In: a schema. Out: [`RuleTree`]s, what expressions may see of values (declarations), and the errors of expressions
//! that do not compile. Not here: running rules over objects, and what a definition is refused for (validation).

use std::sync::Arc;

use crate::api::{
    cel::{
        self, DeclType, Env, Program, Type,
        decl::{ListKind, Property, Text},
    },
    schema::{
        Value,
        structural::{Additional, Node, NodeType, Rule},
    },
};

/// The rules of a schema and below it.
#[derive(Debug)]
pub struct RuleTree {
    pub node: Arc<Node>,
    pub rules: Vec<CompiledRule>,
    pub items: Option<Box<RuleTree>>,
    pub additional: Option<Box<RuleTree>>,
    /// Sorted by name.
    pub properties: Vec<(Box<str>, RuleTree)>,
    pub all_of: Vec<RuleTree>,
    /// How rules read the values.
    pub of: Arc<DeclType>,
}

/// One rule.
#[derive(Debug)]
pub struct CompiledRule {
    pub rule: Rule,
    /// The error says why it does not compile.
    pub program: Result<Program, String>,
    pub message: Option<Result<Program, String>>,
    pub uses_old_self: bool,
    pub cost_max: u64,
    pub message_cost_max: u64,
}

/// What expressions see of values of a schema; none where they see nothing.
pub(super) fn declare(node: &Node, whole: Whole) -> Option<DeclType> {
    let of = declare_plain(node, whole)?;
    Some(if node.nullable { of.nullable() } else { of })
}

/// Whether a schema is of an object with kind and metadata.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Object,
    Part,
}

impl Whole {
    fn of(node: &Node) -> Whole {
        if node.embedded { Whole::Object } else { Whole::Part }
    }
}

fn declare_plain(node: &Node, whole: Whole) -> Option<DeclType> {
    let limits = node.limits.as_deref();
    if node.int_or_string {
        return Some(DeclType::int_or_string(None));
    }
    let kind = if whole == Whole::Object { NodeType::Object } else { node.kind };
    Some(match kind {
        NodeType::Boolean => DeclType::boolean(),
        NodeType::Integer => DeclType::integer(),
        NodeType::Number => DeclType::number(),
        NodeType::String => {
            let longest = limits.map(|limits| limits.enumeration.iter().filter_map(Value::as_str).map(str::len).max());
            DeclType::string(&Text {
                format: limits.map_or("", |limits| &limits.format),
                max_length: limits.and_then(|limits| limits.max_length),
                longest_of_enum: longest.flatten().and_then(|length| i64::try_from(length).ok()),
            })
        }
        NodeType::Array => {
            let items = node.items.as_deref()?;
            let kind = match &*node.merge.list_type {
                "set" => ListKind::Set,
                "map" => ListKind::Map(node.merge.list_map_keys.iter().map(ToString::to_string).collect()),
                _ => ListKind::Atomic,
            };
            DeclType::list(declare(items, Whole::of(items))?, kind, limits.and_then(|limits| limits.max_items))
        }
        NodeType::Object => match &node.additional {
            Additional::Each(each) => {
                DeclType::map(declare(each, Whole::of(each))?, limits.and_then(|limits| limits.max_properties))
            }
            _ => declare_object(node, whole),
        },
        NodeType::None => return None,
    })
}

fn declare_object(node: &Node, whole: Whole) -> DeclType {
    let required = node.limits.as_ref().map(|limits| &*limits.required).unwrap_or_default();
    let implied = |name: &str| whole == Whole::Object && matches!(name, "apiVersion" | "kind" | "metadata");
    let own = node.properties.iter().filter(|(name, _)| !implied(name)).filter_map(|(name, inner)| {
        Some(Property {
            name,
            of: declare(inner, Whole::of(inner))?,
            required: required.contains(name),
            has_default: inner.default.is_some(),
        })
    });
    let plain = |name, of| Property { name, of, required: false, has_default: false };
    let text = || DeclType::string(&Text::default());
    let mut properties: Vec<Property<'_>> = own.collect();
    if whole == Whole::Object {
        let names = [plain("name", text()), plain("generateName", text())];
        properties.push(plain("metadata", DeclType::object(cel::decl::UNNAMED, names)));
        properties.extend([plain("apiVersion", text()), plain("kind", text())]);
    }
    DeclType::object(cel::decl::UNNAMED, properties)
}

impl RuleTree {
    /// None where no rule is in the schema.
    pub fn of(schema: &Arc<Node>, whole: Whole) -> Option<RuleTree> {
        if !has_rules(schema) {
            return None;
        }
        let of = Arc::new(declare(schema, whole)?.named("selfType"));
        RuleTree::build(schema, schema, &of)
    }

    /// `says` holds the rules, `node` is the schema of the values: they differ inside allOf.
    fn build(says: &Arc<Node>, node: &Arc<Node>, of: &Arc<DeclType>) -> Option<RuleTree> {
        let element = of.element();
        let items = match (&says.items, &node.items, &element) {
            (Some(says), Some(node), Some(of)) => RuleTree::build(says, node, of).map(Box::new),
            _ => None,
        };
        let additional = match (&says.additional, &node.additional, &element) {
            (Additional::Each(says), Additional::Each(node), Some(of)) => RuleTree::build(says, node, of).map(Box::new),
            _ => None,
        };
        let mut properties = Vec::new();
        for (name, says) in &says.properties {
            let Some(node) = node.property(name) else { continue };
            let known = cel::escape(name).and_then(|name| Some(Arc::clone(&of.field(&name)?.of)));
            let hidden = || match cel::escape(name) {
                Some(_) => None,
                None => declare(node, Whole::of(node)).map(|of| Arc::new(of.named("selfType"))),
            };
            let Some(of) = known.or_else(hidden) else { continue };
            properties.extend(RuleTree::build(says, node, &of).map(|tree| (name.clone(), tree)));
        }
        let all_of = says.limits.as_ref().map(|limits| &*limits.all_of).unwrap_or_default();
        let all_of: Vec<RuleTree> = all_of.iter().filter_map(|says| RuleTree::build(says, node, of)).collect();
        let rules: Vec<CompiledRule> = says.rules.iter().map(|rule| CompiledRule::compile(rule, of)).collect();
        let nothing =
            rules.is_empty() && items.is_none() && additional.is_none() && properties.is_empty() && all_of.is_empty();
        (!nothing).then(|| RuleTree {
            node: Arc::clone(node),
            rules,
            items,
            additional,
            properties,
            all_of,
            of: Arc::clone(of),
        })
    }
}

fn has_rules(node: &Node) -> bool {
    let each = match &node.additional {
        Additional::Each(each) => Some(each),
        _ => None,
    };
    let all_of = node.limits.as_ref().map(|limits| &*limits.all_of).unwrap_or_default();
    !node.rules.is_empty()
        || node.items.iter().chain(each).any(|inner| has_rules(inner))
        || node.properties.iter().any(|(_, inner)| has_rules(inner))
        || all_of.iter().any(|inner| has_rules(inner))
}

impl CompiledRule {
    /// Compiles a rule against the values that it is of.
    pub fn compile(rule: &Rule, of: &Arc<DeclType>) -> CompiledRule {
        let self_type = cel::Type::of(of);
        let old_type = match rule.optional_old_self {
            Some(true) => Type::optional(self_type.clone()),
            _ => self_type.clone(),
        };
        let env = Env::new().with("self", self_type).with("oldSelf", old_type).sized_by(of);
        let mut compiled = CompiledRule {
            rule: rule.clone(),
            program: Err(String::new()),
            message: None,
            uses_old_self: false,
            cost_max: 0,
            message_cost_max: 0,
        };
        if rule.rule.trim().is_empty() {
            return compiled;
        }
        match compile(&rule.rule, &env, &Type::Bool) {
            Ok((program, expression)) => {
                compiled.uses_old_self = expression.uses("oldSelf");
                compiled.cost_max = expression.estimate().max;
                compiled.program = Ok(program);
            }
            Err(Refusal::Compilation(why)) => {
                compiled.program = Err(format!("compilation failed: {why}"));
                return compiled;
            }
            Err(Refusal::OtherType) => {
                compiled.program = Err("cel expression must evaluate to a bool".to_owned());
                return compiled;
            }
            Err(Refusal::Program(why)) => {
                compiled.program = Err(format!("program instantiation failed: {why}"));
                return compiled;
            }
        }
        if !rule.message_expression.is_empty() {
            compiled.message = Some(match compile(&rule.message_expression, &env, &Type::String) {
                Ok((program, expression)) => {
                    compiled.message_cost_max = expression.estimate().max;
                    Ok(program)
                }
                Err(Refusal::Compilation(why)) => Err(format!("messageExpression compilation failed: {why}")),
                Err(Refusal::OtherType) => Err("messageExpression must evaluate to a string".to_owned()),
                Err(Refusal::Program(why)) => Err(format!("messageExpression instantiation failed: {why}")),
            });
        }
        compiled
    }
}

enum Refusal {
    Compilation(String),
    OtherType,
    Program(String),
}

fn compile(source: &str, env: &Env, wanted: &Type) -> Result<(Program, cel::Compiled), Refusal> {
    let compiled = cel::compile(source, env).map_err(|issues| Refusal::Compilation(issues.to_string()))?;
    if compiled.output_type().name() != wanted.name() {
        return Err(Refusal::OtherType);
    }
    let program = compiled.program().map_err(Refusal::Program)?;
    Ok((program, compiled))
}
