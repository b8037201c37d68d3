//! Finds and compiles the proto files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use prost_types::FileDescriptorProto;

/// The crate that ships the files, as its compiled library is named.
const LIBRARY: &str = "k8s_rs_pb";
/// The Kubernetes version whose files are used.
const VERSION_DIR: &str = "v1_35";
/// Not served by an API server.
const LEFT_OUT: [&str; 2] = ["metrics", "testapigroup"];

/// The folder that the files' import paths start from: beside the sources of the crate that ships them. Where those
/// lie, Cargo writes next to each library that it makes (the .d file), for a crate from a registry, a vendored folder
/// and a path alike. Asking `cargo metadata` would need every crate of the workspace, also those that this build has
/// not fetched.
pub(crate) fn locate() -> anyhow::Result<PathBuf> {
    // target/PROFILE/build/frontend-HASH/build-script-build
    let program = std::env::current_exe().context("the build script's own path")?;
    let profile = program.ancestors().nth(3).context("the build script lies in no target folder")?;
    let libraries = profile.join("deps");
    let mut newest = None;
    for entry in std::fs::read_dir(&libraries).with_context(|| libraries.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(&format!("{LIBRARY}-")) || !name.ends_with(".d") {
            continue;
        }
        let made = entry.metadata()?.modified()?;
        let root = proto_folder(&std::fs::read_to_string(entry.path())?)?;
        if root.is_dir() && newest.as_ref().is_none_or(|(other, _)| made > *other) {
            newest = Some((made, root));
        }
    }
    newest.map(|(_, root)| root).with_context(|| {
        format!(
            "no {LIBRARY}-*.d in {} names a crate with a folder src/{VERSION_DIR}: is the build dependency k8s-rs-pb the one of Cargo.lock?",
            libraries.display()
        )
    })
}

/// The folder of the proto files from `target: source source ...`; spaces within a path are escaped.
fn proto_folder(made_from: &str) -> anyhow::Result<PathBuf> {
    let (_, sources) = made_from.lines().next().and_then(|line| line.split_once(": ")).context("an empty .d file")?;
    let sources = sources.replace("\\ ", "\0");
    let source =
        sources.split_whitespace().find(|path| path.ends_with("lib.rs")).context("a .d file without lib.rs")?;
    // A path dependency within the workspace is named relative to the workspace, which is above this package.
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.parent().context("this package has no workspace")?;
    Ok(workspace.join(source.replace('\0', " ")).with_file_name(VERSION_DIR))
}

pub(crate) fn compile(root: &Path) -> anyhow::Result<Vec<FileDescriptorProto>> {
    let mut names = Vec::new();
    collect(root, &mut names)?;
    names.sort();
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(names)?;
    Ok(compiler.file_descriptor_set().file)
}

fn collect(folder: &Path, names: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
            collect(&path, names)?;
        } else if name.ends_with(".proto") {
            names.push(path);
        }
    }
    Ok(())
}
