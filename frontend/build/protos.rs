//! Finds and compiles the proto files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use prost_types::FileDescriptorProto;

const CRATE: &str = "k8s-rs-pb";
/// The Kubernetes version whose files are used.
const VERSION_DIR: &str = "v1_35";
/// Not served by an API server.
const LEFT_OUT: [&str; 2] = ["metrics", "testapigroup"];

/// The folder that the files' import paths start from.
pub(crate) fn locate() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").context("CARGO")?;
    let target = std::env::var("TARGET")?;
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--format-version", "1", "--filter-platform", &target])
        .output()
        .context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == CRATE)
        .and_then(|package| package["manifest_path"].as_str())
        .with_context(|| format!("{CRATE} is not among the packages"))?;
    Ok(Path::new(manifest).with_file_name("src").join(VERSION_DIR))
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
