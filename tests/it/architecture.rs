//! The floors of the house, and the storeys inside a room: a module sees only what lies below it.
//!
//! One crate has no other guard against imports that climb. The test reads every path in `src/` (not only
//! `use`), resolves `crate`, `self` and `super`, and compares floors. New rooms are entered in [`FLOORS`]. Storeys and
//! circles are between files, and `source.rs` says who sees whom there: code only, not what a `mod.rs` hands on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use crate::source::{File, House, relative};

/// From the ground up; rooms on one floor never see each other.
const FLOORS: [&[&str]; 9] = [
    &["digest", "disk", "progress"],
    &["oci", "tree", "http"],
    &["derivation"],
    &["recipe", "layer", "store", "registry"],
    &["lock", "image", "workspace"],
    &["plan", "substitute", "sink"],
    &["diff", "attest", "deploy"],
    &["work"],
    &["ops"],
];

/// The storeys of a room or of a folder in it, from the ground up; entries on one storey never see each other. An entry
/// is a file or a folder; the room's own `mod.rs` is `mod`.
const STOREYS: [(&str, &[&[&str]]); 2] = [
    ("deploy", &[&["mod", "yaml"], &["check", "container"], &["compose", "kube"], &["quadlet"]]),
    (
        "work",
        &[
            &["env", "error", "mutex"],
            &["fetch"],
            &["catalogue"],
            &["checkout"],
            &["bytes"],
            &["upstream"],
            &["sources"],
            &["realise"],
            &["deliver"],
            &["run"],
            &["mod"],
        ],
    ),
];

/// Words that only some places may say: (word, where it is allowed, why). Unit tests may say all of them.
const RESERVED: [(&str, &[&str], &str); 9] = [
    ("std::fs", &["disk", "workspace"], "effects at the edge: disk names the path in its errors"),
    ("std::env", &[], "the library knows nothing of its environment"),
    ("std::process::Command", &[], "the library starts nothing"),
    ("std::net", &["http", "registry", "sink::daemon"], "the library calls nobody"),
    ("std::time::SystemTime", &[], "no output depends on the clock"),
    ("tar", &["layer::v1"], "only layer::v1 writes tar"),
    ("flate2::write", &[], "only layer::v1 deflates, and not with flate2"),
    ("flate2::Compression", &[], "only layer::v1 deflates, and not with flate2"),
    ("serde_json", &[], "only oci::json writes JSON"),
];

struct Finder<'a> {
    /// `layer::v1::tar` of the file, then of modules inside it.
    module: Vec<String>,
    file: &'a Path,
    faults: Vec<String>,
    paths: usize,
}

impl Finder<'_> {
    fn fault(&mut self, line: usize, text: String) {
        self.faults.push(format!("{}:{line}: {text}", self.file.display()));
    }

    /// Looks at one path, its segments as written.
    fn path(&mut self, segments: &[String], line: usize) {
        let Some(first) = segments.first() else { return };
        self.paths += 1;
        let absolute: Vec<String> = match first.as_str() {
            "crate" | "cooperage" => segments[1..].to_vec(),
            "self" | "super" => {
                let (mut here, rest) = relative(&self.module, segments);
                here.extend(rest.iter().cloned());
                here
            }
            _ => return self.outside(segments, line),
        };
        let Some(target) = absolute.first() else { return };
        let Some(own) = self.module.first() else { return };
        if own == target {
            return;
        }
        match (floor(own), floor(target)) {
            (Some(own_floor), Some(target_floor)) if target_floor < own_floor => {}
            (Some(_), Some(_)) => {
                self.fault(line, format!("`{own}` must not see `{target}`: imports go strictly down"))
            }
            (_, None) => {
                self.fault(line, format!("`{target}` has no floor: enter it in tests/it/architecture.rs"))
            }
            (None, _) => {
                self.fault(line, format!("`{own}` has no floor: enter it in tests/it/architecture.rs"))
            }
        }
    }

    fn outside(&mut self, segments: &[String], line: usize) {
        if self.module.iter().any(|module| module == "tests") {
            return;
        }
        let here = self.module.join("::");
        let written = segments.join("::");
        for (word, places, why) in RESERVED {
            let said = written == word || written.starts_with(&format!("{word}::"));
            let allowed =
                places.iter().any(|place| here == *place || here.starts_with(&format!("{place}::")));
            if said && !allowed {
                self.fault(line, format!("`{word}`: {why}"));
            }
        }
    }

    fn tree(&mut self, tree: &syn::UseTree, prefix: &mut Vec<String>, line: usize) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.tree(&path.tree, prefix, line);
                prefix.pop();
            }
            syn::UseTree::Name(name) => self.leaf(prefix, name.ident.to_string(), line),
            syn::UseTree::Rename(name) => self.leaf(prefix, name.ident.to_string(), line),
            syn::UseTree::Glob(_) => {
                // A prelude from outside is what it says; a room's own names are to be seen.
                let own = prefix
                    .first()
                    .is_some_and(|first| ["crate", "self", "super", "cooperage"].contains(&&**first));
                if own && !self.module.iter().any(|module| module == "tests") {
                    self.fault(line, "a glob import hides what is imported".into());
                }
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, prefix, line)),
        }
    }

    fn leaf(&mut self, prefix: &[String], name: String, line: usize) {
        let mut segments = prefix.to_vec();
        segments.push(name);
        self.path(&segments, line);
    }

    /// Paths inside a macro's tokens: `crate :: x` and the like.
    fn tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            if let TokenTree::Group(group) = &trees[at] {
                self.tokens(group.stream());
            }
            let mut segments = Vec::new();
            let line = trees[at].span().start().line;
            while let Some(TokenTree::Ident(ident)) = trees.get(at) {
                segments.push(ident.to_string());
                let colons =
                    |n: usize| matches!(trees.get(n), Some(TokenTree::Punct(p)) if p.as_char() == ':');
                if !(colons(at + 1) && colons(at + 2)) {
                    break;
                }
                at += 3;
            }
            if segments.len() > 1 {
                self.path(&segments, line);
            }
            at += 1;
        }
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new(), item.use_token.span.start().line);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(first) = path.segments.first()
            && segments.len() > 1
        {
            self.path(&segments, first.ident.span().start().line);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
    }
}

pub(crate) fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `src/layer/v1/tar.rs` is `layer::v1::tar`, and `src/lock/v1_tests.rs` is `lock::v1::tests`.
pub(crate) fn module_of(src: &Path, file: &Path) -> Vec<String> {
    let mut module: Vec<String> = file
        .strip_prefix(src)
        .unwrap()
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().into())
        .collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    if let Some(of) = module.last().and_then(|name| name.strip_suffix("_tests")).map(str::to_owned) {
        module.pop();
        module.extend([of, "tests".to_owned()]);
    }
    module
}

fn faults_of(module: Vec<String>, file: &Path, text: &str) -> (Vec<String>, usize) {
    let mut finder = Finder { module, file, faults: Vec::new(), paths: 0 };
    finder.visit_file(&syn::parse_file(text).unwrap());
    (finder.faults, finder.paths)
}

/// What climbs inside a room that has storeys.
fn climbing(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (room, storeys) in STOREYS {
        let below: Vec<&str> = ["cooperage"].into_iter().chain(room.split("::")).collect();
        // Its entry, and the storey of that.
        let place = |file: &File| {
            let inside =
                file.module.len() >= below.len() && file.module.iter().zip(&below).all(|(a, b)| a == b);
            let entry = file.module.get(below.len()).map_or("mod", String::as_str).to_owned();
            let storey = storeys.iter().position(|entries| entries.contains(&&*entry));
            inside.then_some((entry, storey))
        };
        for file in &house.files {
            if let Some((entry, None)) = place(file) {
                faults
                    .push(format!("{}: `{entry}` has no storey in `{room}`: enter it in STOREYS", file.path));
            }
        }
        for ((from, to), named) in &house.edges {
            let (from, to) = (&house.files[*from], &house.files[*to]);
            if let (Some((own, Some(own_storey))), Some((target, Some(target_storey)))) =
                (place(from), place(to))
                && own != target
                && target_storey >= own_storey
                && let Some((what, line)) = named.iter().next()
            {
                faults.push(format!(
                    "{}:{line}: `{own}` must not see `{target}` ({what}): inside `{room}` it goes strictly down",
                    from.path
                ));
            }
        }
    }
    faults
}

/// The rooms of each row of the table of floors, the lowest first.
fn table(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().skip_while(|line| *line != "//! | floor | rooms |").skip(2);
    let mut floors: Vec<Vec<String>> = rows
        .take_while(|line| line.starts_with("//! |"))
        .map(|row| {
            let mut rooms: Vec<String> = row.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            rooms.sort();
            rooms
        })
        .collect();
    floors.reverse();
    floors
}

#[test]
fn the_house_is_as_its_map_says() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let house = House::read(checkout);
    let faults = climbing(&house);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));

    let circles = house.circles();
    let named = |circle: &Vec<usize>| {
        let files: Vec<&str> = circle.iter().map(|file| house.files[*file].path.as_str()).collect();
        format!("a circle: {}; house.rs lists its edges", files.join(", "))
    };
    assert!(circles.is_empty(), "\n{}", circles.iter().map(named).collect::<Vec<_>>().join("\n"));

    let is_there = |room: &&str| house.files.iter().any(|file| file.room() == *room);
    let there = FLOORS.iter().map(|rooms| {
        let mut rooms: Vec<&str> = rooms.iter().copied().filter(is_there).collect();
        rooms.sort();
        rooms
    });
    let there: Vec<_> = there.filter(|rooms| !rooms.is_empty()).collect();
    let text = std::fs::read_to_string(checkout.join("src/lib.rs")).unwrap();
    assert_eq!(table(&text), there, "the table of floors in src/lib.rs, lowest first, and FLOORS");
}

#[test]
fn the_guard_sees_what_climbs_inside_a_room() {
    let faults = |files: &[(&str, &str)]| climbing(&House::of(files)).join("\n");
    let lib = ("lib.rs", "pub mod ops; pub mod work;");
    let env = ("work/env.rs", "pub struct Env; impl Env { pub fn at(&self) {} }");
    let bytes = ("work/bytes/mod.rs", "mod far; pub use far::blob; pub struct Bytes;");
    let far = ("work/bytes/far.rs", "use super::Bytes; pub fn blob(_: Bytes) {}");
    let facade = ("work/mod.rs", "mod bytes; mod env; mod realise; pub use bytes::Bytes; pub use env::Env;");
    for (path, text) in [
        ("work/checkout.rs", "use super::bytes::blob;"),
        ("work/checkout.rs", "fn f() { crate::work::Bytes }"),
        ("work/error.rs", "fn f(env: &super::Env) {}"),
        ("work/sources/image.rs", "fn f() { println!(\"{}\", super::super::realise::plan()) }"),
        ("work/attic.rs", ""),
    ] {
        let realise = ("work/realise/mod.rs", "pub fn plan() {}");
        assert_ne!(
            faults(&[lib, facade, env, bytes, far, realise, (path, text)]),
            "",
            "not seen in {path}: {text}"
        );
    }
    for (path, text) in [
        (
            "work/realise/plan.rs",
            "use crate::work::{Bytes, env::Env}; fn f() { super::super::bytes::blob(Bytes) }",
        ),
        ("work/realise/layer.rs", "fn f() { super::super::realise::plan() }"),
        ("work/checkout.rs", "#[cfg(test)] mod tests { use super::super::bytes::blob; }"),
        ("ops/build.rs", "use crate::work::Bytes;"),
    ] {
        assert_eq!(faults(&[lib, facade, env, bytes, far, (path, text)]), "", "{path}: {text}");
    }
}

#[test]
fn imports_go_strictly_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let (mut faults, mut seen) = (Vec::new(), BTreeMap::new());
    for file in files.iter().filter(|file| !file.starts_with(src.join("bin"))) {
        let module = module_of(&src, file);
        let room = module.first().cloned().unwrap_or_default();
        let (found, paths) = faults_of(module, file, &std::fs::read_to_string(file).unwrap());
        faults.extend(found);
        *seen.entry(room).or_insert(0) += paths;
    }
    assert!(seen.len() > 3 && seen.values().sum::<usize>() > 2000, "hardly anything was read: {seen:?}");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_guard_sees_what_climbs() {
    let fault = |module: &str, text: &str| {
        let module = module.split("::").map(str::to_owned).collect();
        faults_of(module, Path::new("x.rs"), text).0.join("\n")
    };
    for (module, text) in [
        ("tree", "use crate::layer::build;"),
        ("tree", "use crate::{digest::Digest, oci::Descriptor};"),
        ("lock", "fn f() { crate::workspace::find() }"),
        ("lock", "fn f() { super::ops::x() }"),
        ("lock::v1", "type T = super::super::plan::Plan;"),
        ("oci", "fn f() { println!(\"{}\", crate::store::x()) }"),
        ("oci", "mod inner { use super::super::store::Store; }"),
        ("oci", "use std::{fs, io};"),
        ("plan", "fn f() { std::env::var(\"X\"); }"),
        ("recipe", "use serde_json::Value;"),
        ("layer::tar", "use tar::Header;"),
        ("layer", "use flate2::write::GzEncoder;"),
        ("layer", "use crate::oci::*;"),
        ("attic", "use crate::oci::Descriptor;"),
        ("ops", "use crate::attic::x;"),
    ] {
        assert!(!fault(module, text).is_empty(), "not seen in {module}: {text}");
    }
    for (module, text) in [
        ("lock", "use crate::{recipe::Recipe, tree::TreePath};"),
        ("layer::v1::tar", "use tar::Header; use super::super::reader::x; use crate::tree::FileTree;"),
        ("disk", "use std::fs;"),
        ("ops::build", "use super::Env; use crate::plan::Plan;"),
        ("oci", "mod tests { use super::*; fn f() { std::env::temp_dir(); } }"),
    ] {
        assert_eq!(fault(module, text), "", "{module}: {text}");
    }
}
