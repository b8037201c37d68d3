//! The modules of a crate as its syntax shows them: what each declares, brings in and mentions. Tests are left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use syn::{Item, UseTree, visit::Visit};

/// A path as it is written: `crate::a::B`.
pub(crate) type Words = Vec<String>;

/// One file.
#[derive(Default)]
pub(crate) struct Module {
    /// Below the crate's source folder: "a/mod.rs".
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) children: BTreeSet<String>,
    /// Names that the file itself defines.
    pub(crate) defined: BTreeSet<String>,
    /// Names that it brings in, and what they stand for; re-exports too.
    pub(crate) names: BTreeMap<String, Words>,
    /// Modules whose every name it brings in.
    pub(crate) globs: Vec<Words>,
    /// Paths that it mentions, imports included and plain re-exports not.
    pub(crate) mentioned: Vec<Words>,
    /// First words of private imports, in order.
    pub(crate) imports: Vec<String>,
}

pub(crate) struct Crate {
    pub(crate) name: String,
    /// By the words of their path; the root is empty.
    pub(crate) modules: BTreeMap<Words, Module>,
    /// Crates that the manifest names, as code spells them.
    pub(crate) dependencies: Vec<String>,
}

impl Crate {
    pub(crate) fn read(folder: &Path, name: &str) -> Crate {
        let mut files = Vec::new();
        collect(folder, folder, &mut files);
        files.sort();
        let borrowed: Vec<(&str, &str)> = files.iter().map(|(f, t)| (f.as_str(), t.as_str())).collect();
        let manifest = std::fs::read_to_string(folder.join("../Cargo.toml")).unwrap();
        Crate { dependencies: manifest_dependencies(&manifest), ..Crate::of(name, &borrowed) }
    }

    pub(crate) fn of(name: &str, files: &[(&str, &str)]) -> Crate {
        let mut modules = BTreeMap::new();
        for (file, text) in files {
            let Some(path) = module_path(file) else { continue };
            modules.insert(path, Module::parse(file, text));
        }
        Crate { name: name.to_owned(), modules, dependencies: Vec::new() }
    }
}

fn collect(top: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(top, &path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The names under [dependencies], with underscores.
fn manifest_dependencies(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().replace('-', "_");
    lines.map(name).filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
}

/// None for files of tests, and for the program's own root.
fn module_path(file: &str) -> Option<Words> {
    let stem = file.strip_suffix(".rs")?;
    let mut words: Words = stem.split('/').map(str::to_owned).collect();
    if words.iter().any(|word| word == "tests") || stem == "main" {
        return None;
    }
    if words.last().is_some_and(|last| last == "mod" || (words.len() == 1 && last == "lib")) {
        words.pop();
    }
    Some(words)
}

impl Module {
    fn parse(file: &str, text: &str) -> Module {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut module = Module { file: file.to_owned(), text: text.to_owned(), ..Module::default() };
        for item in &syntax.items {
            module.item(item);
        }
        module
    }

    fn item(&mut self, item: &Item) {
        if is_test(item) {
            return;
        }
        match item {
            Item::Use(each) => {
                let is_private = matches!(each.vis, syn::Visibility::Inherited);
                self.bring_in(&mut Vec::new(), &each.tree, is_private);
                if is_private && let UseTree::Path(first) = &each.tree {
                    self.imports.push(first.ident.to_string());
                }
                return;
            }
            Item::Mod(each) => drop(self.children.insert(each.ident.to_string())),
            Item::Fn(each) => drop(self.defined.insert(each.sig.ident.to_string())),
            Item::Struct(each) => drop(self.defined.insert(each.ident.to_string())),
            Item::Enum(each) => drop(self.defined.insert(each.ident.to_string())),
            Item::Trait(each) => drop(self.defined.insert(each.ident.to_string())),
            Item::Type(each) => drop(self.defined.insert(each.ident.to_string())),
            Item::Const(each) => drop(self.defined.insert(each.ident.to_string())),
            Item::Static(each) => drop(self.defined.insert(each.ident.to_string())),
            Item::Macro(each) => drop(each.ident.as_ref().map(|name| self.defined.insert(name.to_string()))),
            _ => {}
        }
        Mentions(&mut self.mentioned).visit_item(item);
    }

    fn bring_in(&mut self, prefix: &mut Words, tree: &UseTree, is_private: bool) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.bring_in(prefix, &path.tree, is_private);
                prefix.pop();
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = prefix.last().cloned().unwrap_or_default();
                self.name(last, prefix.clone(), is_private);
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.name(name.clone(), [prefix.as_slice(), &[name]].concat(), is_private);
            }
            UseTree::Rename(each) => {
                let path = [prefix.as_slice(), &[each.ident.to_string()]].concat();
                self.name(each.rename.to_string(), path, is_private);
            }
            UseTree::Glob(_) => {
                if is_private {
                    self.mentioned.push(prefix.clone());
                }
                self.globs.push(prefix.clone());
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.bring_in(prefix, tree, is_private)),
        }
    }

    fn name(&mut self, name: String, path: Words, is_private: bool) {
        if is_private {
            self.mentioned.push(path.clone());
        }
        self.names.insert(name, path);
    }
}

fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(each) => &each.attrs,
        Item::Fn(each) => &each.attrs,
        Item::Use(each) => &each.attrs,
        Item::Impl(each) => &each.attrs,
        Item::Struct(each) => &each.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string().contains("test"))
    })
}

/// Collects every path of two words or more.
struct Mentions<'a>(&'a mut Vec<Words>);

impl<'ast> Visit<'ast> for Mentions<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 || path.leading_colon.is_some() {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // A function's own import counts as a mention of what it names.
        let mut module = Module::default();
        module.bring_in(&mut Vec::new(), &item.tree, true);
        self.0.append(&mut module.mentioned);
    }
}
