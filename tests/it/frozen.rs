//! What decides the bytes of encoding 1, pinned by a hash a file.
//!
//! Every module named `v1`, what [`BESIDE`] adds, and by their paths every other file of the crate that they reach, but for
//! [`HARMLESS`]. Of each the tokens are hashed: comments, formatting and unit tests count for nothing. What a lock pins
//! (facts of bases, listings of sources) comes in as values: whoever makes those is not here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cooperage::digest::Digest;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::visit::Visit;

use super::architecture::{module_of, rust_files};

/// Writes `frozen.txt` anew.
const AGAIN: &str = "COOPER_FROZEN";

/// No path leads there from a `v1`, and yet bytes come of it.
const BESIDE: [&str; 1] = ["src/oci/json/read.rs"];

/// No byte comes of an edit there: neither followed nor hashed. (file, why)
const HARMLESS: [(&str, &str); 20] = [
    ("src/digest/encoding.rs", "chooses"),
    ("src/recipe/evaluated.rs", "is a value"),
    ("src/layer/build.rs", "chooses, and says why no layer was built"),
    ("src/plan/error.rs", "says why there is no plan"),
    ("src/recipe/error.rs", "says what is wrong with a recipe"),
    ("src/recipe/suggest.rs", "says what was meant"),
    ("src/recipe/words.rs", "takes a word as it stands or refuses it"),
    ("src/recipe/service.rs", "is in no image"),
    ("src/oci/strict.rs", "refuses documents"),
    ("src/oci/descriptor.rs", "is a value, and reads it strictly; oci::v1 writes it"),
    ("src/oci/document.rs", "is a value, and reads it strictly; oci::v1 writes it"),
    ("src/layer/captured.rs", "makes facts, which the lock pins"),
    ("src/layer/index.rs", "makes facts, which the lock pins"),
    ("src/layer/links.rs", "makes facts, which the lock pins"),
    ("src/layer/merged.rs", "makes facts and what a pattern matches, which the lock pins"),
    ("src/layer/error.rs", "says why there are no facts"),
    ("src/lock/value.rs", "is a value; of it only names in errors are made"),
    ("src/lock/v1/mod.rs", "is a format of files, not of images: lock_golden.lock pins it"),
    ("src/lock/v1/read.rs", "as above"),
    ("src/lock/v1/write.rs", "as above"),
];

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

/// The modules whose files decide bytes.
fn deciding(files: &Files) -> BTreeSet<&Vec<String>> {
    let harmless = |file: &File| HARMLESS.iter().any(|(path, _)| file.path == *path);
    let root = |(module, file): &(&Vec<String>, &File)| {
        let named = module.iter().any(|name| name == "v1") || BESIDE.contains(&file.path.as_str());
        named && !harmless(file)
    };
    let mut found: BTreeSet<&Vec<String>> = files.iter().filter(root).map(|(module, _)| module).collect();
    let mut todo: Vec<&Vec<String>> = found.iter().copied().collect();
    while let Some(module) = todo.pop() {
        for path in &files[module].paths {
            let Some(target) = place(files, module, path) else { continue };
            let (target, file) = files.get_key_value(&target).unwrap();
            if !harmless(file) && found.insert(target) {
                todo.push(target);
            }
        }
    }
    found
}

/// A hash and a path a line, as `sha256sum` writes them, sorted by path.
fn listing(files: &Files) -> BTreeMap<String, String> {
    let line = |module: &Vec<String>| {
        let File { path, text, .. } = &files[module];
        (path.clone(), Digest::of(text.as_bytes()).hex())
    };
    deciding(files).into_iter().map(line).collect()
}

#[test]
fn what_decides_bytes_is_frozen() {
    let files = read_all();
    let gone = |path: &&str| !files.values().any(|file| file.path == **path);
    let stale: Vec<&str> = HARMLESS.iter().map(|(path, _)| *path).chain(BESIDE).filter(gone).collect();
    assert!(stale.is_empty(), "no such files: {stale:?}");
    let now = listing(&files);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/frozen.txt");
    if std::env::var_os(AGAIN).is_some() {
        let lines: String = now.iter().map(|(path, hash)| format!("{hash}  {path}\n")).collect();
        std::fs::write(&committed, lines).unwrap();
    }
    let text = std::fs::read_to_string(&committed).unwrap_or_default();
    let then: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(hash, path)| (path.to_owned(), hash.to_owned()))
        .collect();
    let paths: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let changed: Vec<String> = paths
        .into_iter()
        .filter(|path| now.get(*path) != then.get(*path))
        .map(|path| match (then.contains_key(path), now.contains_key(path)) {
            (true, true) => format!("{path}: edited"),
            (false, _) => format!("{path}: decides bytes now"),
            (_, false) => format!("{path}: decides none any more"),
        })
        .collect();
    assert!(
        changed.is_empty(),
        "what decides the bytes of encoding 1 changed:\n  {}\n\
         Once encoding 1 is frozen: if an image that some lock names could come out otherwise, leave these files as \
         they were and add a v2 beside. If it can't (a new kind of entry, say, of which no lock knows), or before the \
         freeze with the norm (book/src/encoding-1.md) changed too, write the list anew: {AGAIN}=1 cargo test frozen\n",
        changed.join("\n  ")
    );
}

#[test]
fn an_edit_is_seen() {
    let files = |text: &str| {
        let module = |name: &str| name.split("::").map(str::to_owned).collect::<Vec<_>>();
        let file = |name: &str, text: &str| (module(name), File::read(format!("src/{name}"), text));
        Files::from([
            (Vec::new(), File::read("src/lib".to_owned(), "pub mod a; pub mod b;")),
            file("a", "mod v1; mod deep; pub use deep::Thing; pub use crate::b::helper as other;"),
            file("a::deep", "pub struct Thing;"),
            file("a::v1", "use super::{Thing, other}; fn f(thing: Thing) { println!(\"{}\", other(1)) }"),
            file("b", text),
            file("c", "fn nobody_comes_here() {}"),
        ])
    };
    let one = listing(&files("pub fn helper(a: u8) -> u8 { a }"));
    assert_eq!(one.keys().collect::<Vec<_>>(), ["src/a::deep", "src/a::v1", "src/b"]);
    let same = "//! Words.\n/// More.\npub fn helper(a: u8)\n-> u8 { a /* b */ } #[cfg(test)] mod tests { fn x() {} }";
    assert_eq!(listing(&files(same)), one);
    assert_ne!(listing(&files("pub fn helper(a: u8) -> u8 { a + 1 }")), one);
}
