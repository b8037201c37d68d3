//! The habits of the code, held by its own syntax: no circles of modules, rooms that use only rooms further inwards,
//! one style of modules, imports and widths, and dependencies used only where ARCHITECTURE.md says.
//!
//! Each rule is shown to fail on a small tree that breaks it. A message says where, and what to do.

mod dependencies;
mod graph;
mod map;
mod plan;
mod script;
mod source;
mod style;

use std::path::Path;

use plan::Plan;
use source::Crate;

/// The rooms of the frontend, innermost first: each may use those before it, and `config` may be read by all.
const FRONTEND_ROOMS: &[&str] = &[
    "request",
    "client",
    "config",
    "store",
    "api",
    "cluster",
    "object",
    "access",
    "admission",
    "verbs",
    "server",
    "wiring",
];

/// Modules that may use each other in a circle, with the reason: what they walk is recursive by nature. Each group is a
/// whole circle, in the order of the alphabet.
const RECURSIONS: &[(&[&str], &str)] = &[
    (
        &["api::schema::structural", "api::schema::tables", "api::schema::value"],
        "a schema has a default, which is a value, and a value knows the fields that it may have",
    ),
    (
        &["api::cel::tree", "api::cel::value"],
        "a list or map among the values may be a node of an object's tree, and what is read from a node is a value",
    ),
    (&["object::patch::strategic", "object::patch::strategic_list"], "a map holds lists, and a list holds maps"),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn crates() -> Vec<Crate> {
    ["frontend", "kine-shim"].iter().map(|name| Crate::read(&root().join(name).join("src"), name)).collect()
}

/// Prints the plan of both programs, or of a source tree of this repository that TREE names:
/// `cargo test -p tests --test tidy -- --ignored --nocapture the_plan`
#[test]
#[ignore = "prints, and checks nothing"]
fn the_plan() {
    let tree = std::env::var("TREE").map_or_else(|_| root().to_owned(), Into::into);
    for name in ["frontend", "kine-shim"] {
        println!("{}", Plan::of(&Crate::read(&tree.join(name).join("src"), name)));
    }
}

#[test]
fn a_plan_counts_rooms_floors_and_arrows() {
    let tree = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod inner;\nuse crate::b::B;"),
        ("a/inner.rs", "use crate::{b::B, c::C};"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "pub struct C;"),
    ];
    let plan = Plan::of(&Crate::of("x", &tree)).to_string();
    assert!(
        plan.starts_with("x: 3 rooms on 3 floors, 3 arrows between them, 0 rooms in circles, 4 files, 5 lines"),
        "{plan}"
    );
    let tree = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub struct A;"),
        ("b.rs", "use crate::{a::A, c::C}; pub struct B;"),
        ("c.rs", "use crate::b::B; pub struct C;"),
    ];
    let plan = Plan::of(&Crate::of("x", &tree)).to_string();
    assert!(plan.starts_with("x: 3 rooms on 2 floors, 3 arrows between them, 2 rooms in circles"), "{plan}");
}

fn report(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn modules_have_no_circles() {
    report(crates().iter().flat_map(|each| graph::circles(each, RECURSIONS)).collect());
}

#[test]
fn circles_that_are_open_are_not_allowed_any_more() {
    report(graph::open_circles(&crates(), RECURSIONS));
}

#[test]
fn architecture_names_what_is_there() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    report(map::faults(&text, |path| root().join(path).exists()));
}

#[test]
fn rooms_use_only_rooms_further_inwards() {
    let frontend = Crate::read(&root().join("frontend/src"), "frontend");
    report(graph::arrows_outwards(&frontend, FRONTEND_ROOMS));
}

#[test]
fn modules_imports_and_widths_have_one_style() {
    report(crates().iter().flat_map(style::faults).collect());
}

#[test]
fn dependencies_are_used_where_the_table_says() {
    let table = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = dependencies::Table::parse(&table);
    report(crates().iter().flat_map(|each| table.faults(each)).collect());
}

#[test]
fn a_circle_is_found_and_reexports_and_tests_are_none() {
    let tree = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod inner; pub use inner::Inner; pub struct Outer;"),
        ("a/inner.rs", "use super::Outer; pub struct Inner(Outer);"),
        ("b.rs", "use crate::c; pub fn go() { c::back() }"),
        ("c.rs", "pub fn back() { crate::b::go() } #[cfg(test)] mod tests { use crate::a::Outer; }"),
    ];
    let found = graph::circles(&Crate::of("x", &tree), &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("b, c use each other in a circle: move what both need down"), "{found:?}");
    assert!(graph::circles(&Crate::of("x", &tree), &[(&["b", "c"], "on purpose")]).is_empty());
    let stale = graph::open_circles(&[Crate::of("x", &tree)], &[(&["a", "b"], "once"), (&["b", "c"], "on purpose")]);
    assert_eq!(stale, ["a, b is no circle (any more): take it out of RECURSIONS"]);
}

#[test]
fn an_arrow_outwards_is_found_through_a_reexport() {
    let tree = [
        ("lib.rs", "pub mod inner; pub mod outer;"),
        ("inner.rs", "use crate::outer::Thing; pub struct A(Thing);"),
        ("outer/mod.rs", "mod thing; pub use thing::Thing;"),
        ("outer/thing.rs", "pub struct Thing;"),
    ];
    let found = graph::arrows_outwards(&Crate::of("x", &tree), &["inner", "outer"]);
    assert_eq!(found, ["x: inner uses outer::thing, a room further out: move the shared type inwards"]);
    assert!(graph::arrows_outwards(&Crate::of("x", &tree), &["outer", "inner"]).is_empty());
}

#[test]
fn styles_that_differ_are_found() {
    let wide = format!("// {}", "x".repeat(130));
    let tree = [
        ("lib.rs", "//! Doc.\nmod a;\nmod b;\n"),
        ("a.rs", "//! Doc.\nmod inner;\n"),
        ("a/inner.rs", "//! Doc.\nuse std::fmt;\nuse std::io;\n"),
        ("b.rs", "pub struct NoDoc;\n"),
        ("c.rs", wide.as_str()),
    ];
    let found = style::faults(&Crate::of("x", &tree)).join("\n");
    for fault in [
        "a.rs: a module with files of its own stands in a/mod.rs",
        "a/inner.rs: `std` is imported twice: one `use std::{...}`",
        "b.rs: says nothing of itself: begin with //!",
        "c.rs:1: wider than 120: wrap the comment",
    ] {
        assert!(found.contains(fault), "{fault} in {found}");
    }
}

#[test]
fn a_file_that_is_gone_or_named_twice_is_found() {
    let text = "## Code map\n| `frontend/src/a` | `b.rs` does it, `gone.rs` did |\n\
                ## Four ways\n**One** (`frontend/src`):\n1. `a/b.rs`: first\n2. `a/b.rs`: again\n\
                ## Invariants\n`not/a/file.rs`\n";
    let there = ["frontend/src", "frontend/src/a", "frontend/src/a/b.rs"];
    let found = map::faults(text, |path| there.iter().any(|each| Path::new(each) == path));
    let expected = [
        "ARCHITECTURE.md: `gone.rs` is not there: name the file that does this now",
        "ARCHITECTURE.md: `a/b.rs` stands in two ways: leave the second to the first",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_dependency_outside_its_place_is_found() {
    let table = "## Dependencies\n\n| dependency | why | who may import it |\n|---|---|---|\n| http | the wire | `x/src/net` |\n| bytes | | all but `x/src/pure` |\n";
    let table = dependencies::Table::parse(table);
    let tree = [
        ("lib.rs", "mod net; mod pure;"),
        ("net.rs", "use http::Uri; use bytes::Bytes;"),
        ("pure.rs", "fn f() { http::f(); bytes::g(); other::h() }"),
    ];
    let mut own = Crate::of("x", &tree);
    own.dependencies = ["http", "bytes", "other"].map(str::to_owned).to_vec();
    let found = table.faults(&own).join("\n");
    assert_eq!(found.lines().count(), 3, "{found}");
    assert!(
        found.contains("`http`") && found.contains("`bytes`") && found.contains("`other` stands in no row"),
        "{found}"
    );
}
