//! Writes the built-in rows of the schema: Kubernetes' proto files (shipped by a crate that is used for its data
//! alone), joined with the authored facts under build/, become Rust statics. Nothing is parsed at run time.

#[path = "build/docs.rs"]
mod docs;
#[path = "build/emit.rs"]
mod emit;
#[path = "build/facts.rs"]
mod facts;
#[path = "build/model.rs"]
mod model;
#[path = "build/protos.rs"]
mod protos;

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    for file in ["build.rs", "build/docs.rs", "build/emit.rs", "build/facts.rs", "build/model.rs", "build/protos.rs"] {
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rerun-if-changed=build/presence.txt");
    println!("cargo:rerun-if-changed=build/go_types.txt");
    let root = protos::locate()?;
    let files = protos::compile(&root)?;
    let model = model::Model::new(&files)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("OUT_DIR")?);
    std::fs::write(out.join("schema_tables.rs"), emit::rust(&model)?)?;
    Ok(())
}
