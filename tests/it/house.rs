//! Figures of the house, and the bounds that they stay under.
//!
//! `cargo test --test it house -- --nocapture` prints them; with `COOPER_HOUSE=<checkout>` those of another checkout,
//! and then nothing is asserted. `source.rs` says what counts as naming a file and what isn't seen. All figures leave
//! tests out.

#![expect(clippy::print_stdout, reason = "the figures are to be read")]

use std::collections::BTreeMap;
use std::path::Path;

use syn::visit::Visit;

use crate::source::{House, TypeId};

// The bounds. They may only be lowered.
/// Circles between files of one room.
const CIRCLES: usize = 0;
/// Fields of a struct that has more than [`FEW`] methods.
const FIELDS: usize = 12;
/// Methods of a type in all its inherent `impl` blocks.
const METHODS: usize = 25;
/// Files over 500 lines: `layer/v1/deflate.rs`.
const LONG_FILES: usize = 1;
/// Functions over 60 lines.
const LONG_FUNCTIONS: usize = 5;

/// A struct with no more methods than these is plain data (options, a document, a report): its fields aren't bounded.
const FEW: usize = 5;

/// A type, what it holds and does, and over how many files.
struct Size {
    name: String,
    fields: usize,
    methods: usize,
    files: usize,
}

fn types(house: &House) -> Vec<Size> {
    let mut fields: BTreeMap<TypeId, usize> = BTreeMap::new();
    for file in &house.files {
        for item in &file.syntax.items {
            let (name, count) = match item {
                syn::Item::Struct(item) => (&item.ident, item.fields.len()),
                syn::Item::Enum(item) => (&item.ident, 0),
                _ => continue,
            };
            fields.insert((file.module.clone(), name.to_string()), count);
        }
    }
    let size = |((module, name), fields): (TypeId, usize)| {
        let methods = house.methods.get(&(module.clone(), name.clone()));
        let files: std::collections::BTreeSet<_> = methods.into_iter().flat_map(|all| all.values()).collect();
        Size {
            name: format!("{}::{name}", module[1..].join("::")),
            fields,
            methods: methods.map_or(0, BTreeMap::len),
            files: files.len(),
        }
    };
    fields.into_iter().map(size).collect()
}

/// A function, and where it is.
struct Function {
    name: String,
    place: String,
    lines: usize,
    closures: usize,
}

struct Functions<'a> {
    file: &'a str,
    own: String,
    found: Vec<Function>,
}

impl Functions<'_> {
    fn add(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let first = sig.fn_token.span.start().line;
        let mut closures = Closures(0);
        closures.visit_block(block);
        self.found.push(Function {
            name: format!("{}{}", self.own, sig.ident),
            place: format!("{}:{first}", self.file),
            lines: block.brace_token.span.close().end().line + 1 - first,
            closures: closures.0,
        });
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let own = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| format!("{}::", last.ident)),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.own, own.unwrap_or_default());
        syn::visit::visit_item_impl(self, item);
        self.own = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

/// Counts closures, not those of functions inside the function, nor those in a macro's tokens.
struct Closures(usize);

impl<'ast> Visit<'ast> for Closures {
    fn visit_item(&mut self, _: &'ast syn::Item) {}

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.0 += 1;
        syn::visit::visit_expr_closure(self, closure);
    }
}

fn functions(house: &House) -> Vec<Function> {
    let mut all = Vec::new();
    for file in &house.files {
        let mut functions = Functions { file: &file.path, own: String::new(), found: Vec::new() };
        functions.visit_file(&file.syntax);
        all.append(&mut functions.found);
    }
    all
}

/// Every circle, and in it who names what of whom first where.
fn describe(house: &House, circles: &[Vec<usize>]) {
    println!("\ncircles between files of one room: {}", circles.len());
    for circle in circles {
        let paths: Vec<&str> = circle.iter().map(|file| house.files[*file].path.as_str()).collect();
        println!("\n  {} files of {}: {}", circle.len(), house.files[circle[0]].room(), paths.join(" "));
        for ((from, to), named) in &house.edges {
            if circle.contains(from) && circle.contains(to) {
                let named: Vec<String> = named.iter().map(|(what, line)| format!("{what}:{line}")).collect();
                println!("    {} -> {}  {}", house.files[*from].path, house.files[*to].path, named.join(" "));
            }
        }
    }
}

#[test]
fn the_house_stays_within_its_bounds() {
    let other = std::env::var_os("COOPER_HOUSE");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let house = House::read(other.as_deref().map_or(here, Path::new));
    assert!(house.files.len() > 100, "hardly anything was read");

    let circles = house.circles();
    describe(&house, &circles);

    let mut types = types(&house);
    types.sort_by_key(|size| std::cmp::Reverse((size.fields * 25).max(size.methods * 12)));
    println!("\nlargest types with more than {FEW} methods (fields, methods, files of the methods)");
    for size in types.iter().filter(|size| size.methods > FEW).take(8) {
        println!("  {:3} {:3} {:3}  {}", size.fields, size.methods, size.files, size.name);
    }
    println!("plain data with the most fields, for information");
    for size in types.iter().filter(|size| size.methods <= FEW).take(8) {
        println!("  {:3} {:3} {:3}  {}", size.fields, size.methods, size.files, size.name);
    }

    let mut long_files: Vec<_> = house.files.iter().filter(|file| file.lines > 500).collect();
    long_files.sort_by_key(|file| std::cmp::Reverse(file.lines));
    println!("\nfiles over 500 lines: {}", long_files.len());
    long_files.iter().for_each(|file| println!("  {:5}  {}", file.lines, file.path));

    let mut functions = functions(&house);
    functions.sort_by_key(|function| std::cmp::Reverse(function.lines));
    let long_functions = functions.iter().filter(|function| function.lines > 60).count();
    println!("\nfunctions over 60 lines: {long_functions}");
    for function in &functions[..long_functions] {
        println!("  {:5}  {}  {}", function.lines, function.place, function.name);
    }
    functions.sort_by_key(|function| std::cmp::Reverse(function.closures));
    println!("most closures, for information");
    for function in functions.iter().take(8) {
        println!("  {:5}  {}  {}", function.closures, function.place, function.name);
    }

    if other.is_some() {
        return;
    }
    let most = |of: fn(&Size) -> usize, least| {
        types.iter().filter(|size| size.methods > least).map(of).max().unwrap_or(0)
    };
    for (what, figure, bound) in [
        ("circles between files of one room", circles.len(), CIRCLES),
        ("fields of a type with behaviour", most(|size| size.fields, FEW), FIELDS),
        ("methods of a type", most(|size| size.methods, 0), METHODS),
        ("files over 500 lines", long_files.len(), LONG_FILES),
        ("functions over 60 lines", long_functions, LONG_FUNCTIONS),
    ] {
        assert!(figure <= bound, "{what}: {figure}, and at most {bound} are allowed; --nocapture lists them");
    }
}

#[test]
fn circles_are_found() {
    let circles = |files: &[(&str, &str)]| {
        let house = House::of(files);
        let name = |at: usize| house.files[at].path.clone();
        house
            .circles()
            .into_iter()
            .map(|circle| circle.into_iter().map(name).collect())
            .collect::<Vec<Vec<_>>>()
    };
    // What a facade only hands on is no circle; what it does is one.
    let child = ("x/a.rs", "use super::Thing; pub fn f(_: Thing) {}");
    assert_eq!(circles(&[("x/mod.rs", "mod a; pub use a::f; pub struct Thing;"), child]).len(), 0);
    let calls = ("x/mod.rs", "mod a; pub use a::f; pub struct Thing; fn g() { f(Thing) }");
    assert_eq!(circles(&[calls, child]), [["x/mod.rs", "x/a.rs"]]);
    // Through a re-export to the file that defines; by a macro; by methods of a type that lies in several files.
    let facade = ("x/mod.rs", "mod a; mod b; pub use a::A; pub use b::b;");
    let a = ("x/a.rs", "pub struct A; impl A { pub fn open(&self) { println!(\"{}\", super::b()) } }");
    assert_eq!(circles(&[facade, a, ("x/b.rs", "pub fn b(_: super::A) {}")]), [["x/a.rs", "x/b.rs"]]);
    assert_eq!(circles(&[facade, a, ("x/b.rs", "pub fn b() {}")]).len(), 0);
    let a = ("x/a.rs", "pub struct A; impl A { pub fn open(&self) { self.shut() } }");
    let b = ("x/b.rs", "use super::a::A; impl A { pub fn shut(&self) {} }");
    assert_eq!(circles(&[facade, a, b]), [["x/a.rs", "x/b.rs"]]);
    // Tests don't count.
    let b = ("x/b.rs", "pub fn b() {} #[cfg(test)] mod tests { fn f(_: super::super::A) {} }");
    assert_eq!(circles(&[facade, ("x/a.rs", "pub struct A; fn f() { super::b() }"), b]).len(), 0);
}
