//! The script `tests/tidy` on small git trees: each of its rules is broken on purpose, and it must say so.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// Programs that the script runs see this tree alone, also where the test itself runs inside of git.
fn command(program: &str, tree: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(tree).env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env_remove("GIT_WORK_TREE");
    command
}

fn put(tree: &Path, file: &str, text: &str) {
    let path = tree.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A tree that keeps every rule, but for the files of `broken`.
fn tree(broken: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "tests/tidy", &fs::read_to_string(super::root().join("tests/tidy")).unwrap());
    put(folder.path(), "frontend/Cargo.toml", "[package]\nname = \"frontend\"\n");
    put(folder.path(), "frontend/src/lib.rs", "//! Doc.\n");
    put(folder.path(), "kine-shim/Cargo.toml", "[package]\nname = \"kine-shim\"\n");
    for (file, text) in broken {
        put(folder.path(), file, text);
    }
    for arguments in [["init", "--quiet"], ["add", "--all"]] {
        assert!(command("git", folder.path()).args(arguments).status().unwrap().success());
    }
    folder
}

fn run(tree: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = command("bash", tree).arg("tests/tidy").output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned())
}

#[test]
fn a_tidy_tree_passes() {
    let folder = tree(&[]);
    assert_eq!(run(folder.path()), (Some(0), String::new()));
}

#[test]
fn each_rule_is_seen_to_fail() {
    // Put together here, so that this file itself keeps the rules.
    let home = format!("// see /{}/me/notes\n", "home");
    let unfinished = format!("fn f() {{ {}!() }}\n", "todo");
    let unnamed = format!("#[{}]\nfn f() {{}}\n", "ignore");
    let long = "// line\n".repeat(801);
    let large = "x".repeat(1_000_001);
    let imported = format!("use {}::State;\n", "kine_shim");
    let depended = "[package]\nname = \"frontend\"\n[dependencies]\nkine-shim = { path = \"../kine-shim\" }\n";
    let turned = "[dependencies]\nfrontend = { path = \"../frontend\" }\n";
    let rules: [(&str, &str, &str); 9] = [
        ("frontend/src/a.rs", &home, "a path of some machine:\nfrontend/src/a.rs:1:"),
        ("NOTES.md", &home, "a path of some machine:\nNOTES.md:1:"),
        ("frontend/src/a.rs", &unfinished, "a placeholder:\nfrontend/src/a.rs:1:"),
        ("frontend/src/a.rs", &unnamed, "a placeholder:\nfrontend/src/a.rs:1:"),
        ("frontend/src/a.rs", &long, "over 800 lines:\n801 frontend/src/a.rs\n"),
        ("data/recorded.json", &large, "over 1 MB:\n1000001 data/recorded.json\n"),
        ("frontend/src/a.rs", &imported, "the tiers know each other:\nfrontend/src/a.rs:1:"),
        ("frontend/Cargo.toml", depended, "the tiers know each other:\nfrontend/Cargo.toml:4:"),
        ("kine-shim/Cargo.toml", turned, "the tiers know each other:\nkine-shim/Cargo.toml:2:"),
    ];
    for (file, text, message) in rules {
        let folder = tree(&[(file, text)]);
        let (code, said) = run(folder.path());
        assert_eq!(code, Some(1), "{file}: {said}");
        assert!(said.starts_with(message) && said.matches(":\n").count() == 1, "{said}");
    }
}

#[test]
fn every_broken_rule_is_named() {
    let home = format!("// see /{}/me/notes\n", "home");
    let long = home.repeat(801);
    let folder = tree(&[("frontend/src/a.rs", &long)]);
    let (code, said) = run(folder.path());
    assert_eq!(code, Some(1));
    assert!(said.contains("a path of some machine:") && said.contains("over 800 lines:"), "{said}");
}

#[test]
fn nothing_to_look_at_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "tests/tidy", &fs::read_to_string(super::root().join("tests/tidy")).unwrap());
    assert_eq!(run(folder.path()).0, Some(1));
}
