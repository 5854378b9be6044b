//! What decides the bytes of encoding 1, pinned by a hash a file.
//!
//! Every module named `v1` and, by its paths, every other file of the crate that it reaches, but for [`HARMLESS`]. Of
//! each the tokens are hashed: comments, formatting and unit tests count for nothing. `frozen.txt` is what was
//! committed. What only moves a file's name is no change of bytes either, and is seen all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cooperage::digest::Digest;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::visit::Visit;

use super::architecture::{module_of, rust_files};

/// Before the freeze: writes `frozen.txt` anew.
const AGAIN: &str = "COOPER_FROZEN";

/// Reached, and yet no byte comes of an edit there: neither followed nor hashed.
const HARMLESS: [(&str, &str); 0] = [];

/// A file as the names in it are looked up.
#[derive(Default)]
struct File {
    path: String,
    /// Items that stand here.
    own: BTreeSet<String>,
    /// Names that `use` brings, as paths from here.
    brought: BTreeMap<String, Vec<String>>,
    /// Every path of its items, as written.
    paths: Vec<Vec<String>>,
    /// All that counts of it.
    text: String,
}

/// By module: `layer::v1::tar`.
type Files = BTreeMap<Vec<String>, File>;

impl File {
    fn read(path: String, text: &str) -> Self {
        let tokens = without_tests(text.parse().unwrap());
        let mut file = Self { path, ..Self::default() };
        render(tokens.clone(), &mut file.text);
        for item in &syn::parse2::<syn::File>(tokens).unwrap().items {
            file.own.extend(name_of(item));
            file.visit_item(item);
        }
        file
    }

    fn bring(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>) {
        let mut add = |name: String, last: String| {
            let mut path = prefix.clone();
            path.extend((last != "self").then_some(last));
            self.brought.insert(name, path);
        };
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.bring(&path.tree, prefix);
                prefix.pop();
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                add(prefix.last().cloned().unwrap_or_default(), "self".to_owned());
            }
            syn::UseTree::Name(name) => add(name.ident.to_string(), name.ident.to_string()),
            syn::UseTree::Rename(name) => add(name.rename.to_string(), name.ident.to_string()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.bring(item, prefix)),
            syn::UseTree::Glob(_) => {}
        }
    }

    /// Paths inside a macro's tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 2;
        for tree in tokens {
            match tree {
                TokenTree::Ident(ident) => {
                    if colons < 2 {
                        self.paths.push(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.paths.push(std::mem::take(&mut path));
                    colons = 2;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.paths.push(path);
    }
}

impl<'ast> Visit<'ast> for File {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.bring(&item.tree, &mut Vec::new());
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
    }
}

/// Leaves out comments, which are attributes to a parser, and what is `#[cfg(test)]`.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let mut left = Vec::new();
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match (tree, trees.peek()) {
            (TokenTree::Punct(mark), Some(TokenTree::Punct(inner)))
                if mark.as_char() == '#' && inner.as_char() == '!' =>
            {
                trees.next();
                trees.next();
            }
            (TokenTree::Punct(mark), Some(TokenTree::Group(group))) if mark.as_char() == '#' => {
                let attribute = group.stream().to_string().replace(' ', "");
                if attribute.starts_with("doc=") {
                    trees.next();
                } else if attribute == "cfg(test)" {
                    let ends = |tree: &TokenTree| match tree {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(mark) => mark.as_char() == ';',
                        _ => false,
                    };
                    trees.find(ends);
                } else {
                    left.push(TokenTree::Punct(mark));
                }
            }
            (TokenTree::Group(group), _) => {
                left.push(Group::new(group.delimiter(), without_tests(group.stream())).into());
            }
            (tree, _) => left.push(tree),
        }
    }
    left.into_iter().collect()
}

/// The tokens, however they were spaced.
fn render(tokens: TokenStream, text: &mut String) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{ ", "} "),
                    Delimiter::Bracket => ("[ ", "] "),
                    Delimiter::Parenthesis => ("( ", ") "),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                render(group.stream(), text);
                text.push_str(close);
            }
            other => text.push_str(&format!("{other} ")),
        }
    }
}

fn name_of(item: &syn::Item) -> Option<String> {
    Some(match item {
        syn::Item::Const(item) => item.ident.to_string(),
        syn::Item::Enum(item) => item.ident.to_string(),
        syn::Item::Fn(item) => item.sig.ident.to_string(),
        syn::Item::Macro(item) => item.ident.as_ref()?.to_string(),
        syn::Item::Mod(item) => item.content.as_ref().map(|_| item.ident.to_string())?,
        syn::Item::Static(item) => item.ident.to_string(),
        syn::Item::Struct(item) => item.ident.to_string(),
        syn::Item::Trait(item) => item.ident.to_string(),
        syn::Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// The module whose file has what a path names; nothing for what isn't of this crate.
fn place(files: &Files, here: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let (mut module, mut rest) = match first.as_str() {
        "crate" => (Vec::new(), rest),
        "self" => (here.to_vec(), rest),
        "super" => (here.split_last()?.1.to_vec(), rest),
        _ => (here.to_vec(), path),
    };
    while let Some((name, after)) = rest.split_first() {
        let below: Vec<String> = module.iter().chain([name]).cloned().collect();
        let file = files.get(&module)?;
        if name == "super" {
            module.pop();
        } else if file.own.contains(name) {
            return Some(module);
        } else if files.contains_key(&below) {
            module = below;
        } else {
            let brought = file.brought.get(name)?;
            if brought.first() == Some(name) {
                return None;
            }
            let path: Vec<String> = brought.iter().chain(after).cloned().collect();
            return place(files, &module, &path);
        }
        rest = after;
    }
    None
}

fn read_all() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    rust_files(&root.join("src"), &mut paths);
    let mut files = Files::new();
    for path in paths.iter().filter(|path| !path.starts_with(root.join("src/bin"))) {
        let module = module_of(&root.join("src"), path);
        if module.last().is_none_or(|last| last != "tests") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            files.insert(module, File::read(name, &std::fs::read_to_string(path).unwrap()));
        }
    }
    files
}

/// Those that decide bytes, and for each that is no `v1` who reaches it.
fn deciding(files: &Files) -> BTreeMap<&Vec<String>, String> {
    let is_v1 = |module: &&Vec<String>| module.iter().any(|name| name == "v1");
    let mut found: BTreeMap<&Vec<String>, String> =
        files.keys().filter(is_v1).map(|module| (module, String::new())).collect();
    let mut todo: Vec<&Vec<String>> = found.keys().copied().collect();
    while let Some(module) = todo.pop() {
        for path in &files[module].paths {
            let Some(target) = place(files, module, path) else { continue };
            let (target, file) = files.get_key_value(&target).unwrap();
            let harmless = HARMLESS.iter().any(|(path, _)| file.path == *path);
            if !harmless && !found.contains_key(target) {
                found.insert(target, format!("{} as {}", files[module].path, path.join("::")));
                todo.push(target);
            }
        }
    }
    found
}

#[test]
fn what_decides_bytes_is_frozen() {
    let files = read_all();
    let deciding = deciding(&files);
    let lines: Vec<String> = deciding
        .keys()
        .map(|module| {
            let file = &files[*module];
            format!("{} {}\n", Digest::of(file.text.as_bytes()).hex(), file.path)
        })
        .collect();
    for (module, by) in deciding.iter().filter(|(_, by)| !by.is_empty()) {
        eprintln!("{} <- {by}", files[*module].path);
    }
    eprintln!("{}", lines.len());
    panic!();
}
