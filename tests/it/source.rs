//! `src/` as the compiler sees it without its tests: files, the names of every module, and who names whom.
//!
//! Files are found by following `mod`, so a file that only tests reach is left out. A path is resolved through
//! imports and re-exports to the file that defines the item. A method counts where the type of its receiver is
//! written: `self`, `Self::`, `Type::`, and a parameter whose type is a plain name. Not seen: methods called on
//! fields, on locals and on what a call returns, trait methods, and glob imports (which no room may have).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// `[crate, room, ...]`; the crate is `cooperage` or `cooper`.
pub(crate) type Module = Vec<String>;

/// A type, by its module and name.
pub(crate) type TypeId = (Module, String);

/// Where a path leads that begins with `self` or `super`, and what is left of it.
pub(crate) fn relative<'p>(module: &[String], path: &'p [String]) -> (Module, &'p [String]) {
    let (mut here, mut rest) = (module.to_vec(), path);
    while let Some((word, tail)) = rest.split_first() {
        match word.as_str() {
            "self" => {}
            "super" => drop(here.pop()),
            _ => break,
        }
        rest = tail;
    }
    (here, rest)
}

/// One file, its tests taken out.
pub(crate) struct File {
    /// Below `src/`, with `/`.
    pub(crate) path: String,
    pub(crate) module: Module,
    /// Its lines without those of tests.
    pub(crate) lines: usize,
    pub(crate) syntax: syn::File,
}

impl File {
    /// The top-level room that it lies in; all of the binary is one.
    pub(crate) fn room(&self) -> &str {
        if self.module[0] == "cooper" { "bin" } else { self.module.get(1).map_or("", |room| room) }
    }

    /// A facade: what it only re-exports doesn't count as seen.
    fn is_facade(&self) -> bool {
        ["mod.rs", "lib.rs", "main.rs"].contains(&self.path.rsplit('/').next().unwrap())
    }
}

/// What a name in a module stands for: the file that defines it, or where to look. One name can be a module and
/// a function.
enum Named {
    Type(usize),
    Value(usize),
    Module(Module),
    Import(Vec<String>),
}

enum Target {
    Item { file: usize, id: TypeId, rest: Vec<String> },
    Module(Module),
}

/// From a file to one that it names: what of it, and on which line first.
pub(crate) type Edges = BTreeMap<(usize, usize), BTreeMap<String, usize>>;

/// All files, and what their names stand for.
#[derive(Default)]
pub(crate) struct House {
    pub(crate) files: Vec<File>,
    names: BTreeMap<Module, BTreeMap<String, Vec<Named>>>,
    /// Of every type its inherent methods, and the file of each.
    pub(crate) methods: BTreeMap<TypeId, BTreeMap<String, usize>>,
    pub(crate) edges: Edges,
}

impl House {
    /// Reads a checkout: its library and its binary.
    pub(crate) fn read(checkout: &Path) -> Self {
        let src = checkout.join("src");
        let mut house = House::default();
        house.load(&src, &src.join("lib.rs"), vec!["cooperage".into()]);
        house.load(&src, &src.join("bin/cooper/main.rs"), vec!["cooper".into()]);
        house.find_methods();
        house.edges = house.find_edges();
        house
    }

    /// A house of one room's files, given by module and text; for tests of who reads houses.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut house = House::default();
        for (path, text) in files {
            let module =
                path.trim_end_matches(".rs").split('/').filter(|part| !["mod", "lib"].contains(part));
            let module = ["cooperage"].into_iter().chain(module).map(str::to_owned).collect();
            house.enter((*path).to_owned(), module, text);
        }
        house.find_methods();
        house.edges = house.find_edges();
        house
    }

    fn load(&mut self, src: &Path, file: &Path, module: Module) {
        let path = file.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        let at = self.enter(path, module.clone(), &text);
        let dir = file.parent().unwrap();
        let dir = if self.files[at].is_facade() { dir.to_owned() } else { file.with_extension("") };
        for (name, written) in children(&self.files[at].syntax.items, &[]) {
            let below = dir.join(name.join("/"));
            let file = match written {
                Some(path) => dir.join(path),
                None if below.join("mod.rs").exists() => below.join("mod.rs"),
                None => below.with_extension("rs"),
            };
            self.load(src, &file, module.iter().cloned().chain(name).collect());
        }
    }

    fn enter(&mut self, path: String, module: Module, text: &str) -> usize {
        let mut syntax = syn::parse_file(text).unwrap();
        let tests = take_out_tests(&mut syntax.items);
        let at = self.files.len();
        self.collect(&syntax.items, &module, at);
        self.files.push(File { path, module, lines: text.lines().count() - tests, syntax });
        at
    }

    fn collect(&mut self, items: &[syn::Item], module: &[String], file: usize) {
        self.names.entry(module.to_vec()).or_default();
        for item in items {
            let (name, named) = match item {
                syn::Item::Struct(item) => (&item.ident, Named::Type(file)),
                syn::Item::Enum(item) => (&item.ident, Named::Type(file)),
                syn::Item::Trait(item) => (&item.ident, Named::Type(file)),
                syn::Item::Type(item) => (&item.ident, Named::Type(file)),
                syn::Item::Fn(item) => (&item.sig.ident, Named::Value(file)),
                syn::Item::Const(item) => (&item.ident, Named::Value(file)),
                syn::Item::Static(item) => (&item.ident, Named::Value(file)),
                syn::Item::Mod(item) => {
                    let mut below = module.to_vec();
                    below.push(item.ident.to_string());
                    if let Some((_, items)) = &item.content {
                        self.collect(items, &below, file);
                    }
                    (&item.ident, Named::Module(below))
                }
                _ => continue,
            };
            self.name(module, name.to_string(), named);
        }
        // Imports at any depth: one inside a function names the same thing there.
        let mut uses = Uses::default();
        items.iter().for_each(|item| uses.visit_item(item));
        for (name, path) in uses.0 {
            self.name(module, name, Named::Import(path));
        }
    }

    fn name(&mut self, module: &[String], name: String, named: Named) {
        self.names.entry(module.to_vec()).or_default().entry(name).or_default().push(named);
    }

    fn find_methods(&mut self) {
        let mut methods: BTreeMap<TypeId, BTreeMap<String, usize>> = BTreeMap::new();
        for (at, file) in self.files.iter().enumerate() {
            for item in &file.syntax.items {
                if let syn::Item::Impl(item) = item
                    && item.trait_.is_none()
                    && let Some(id) = self.type_of(&file.module, &item.self_ty)
                {
                    let own = methods.entry(id).or_default();
                    for item in &item.items {
                        if let syn::ImplItem::Fn(method) = item {
                            own.insert(method.sig.ident.to_string(), at);
                        }
                    }
                }
            }
        }
        self.methods = methods;
    }

    /// The crate's type that is written so, through references.
    fn type_of(&self, module: &[String], written: &syn::Type) -> Option<TypeId> {
        match written {
            syn::Type::Reference(reference) => self.type_of(module, &reference.elem),
            syn::Type::Path(path) => self
                .resolve(module, &segments(&path.path), &mut Vec::new())
                .into_iter()
                .find_map(|target| match target {
                    Target::Item { id, rest, .. } if rest.is_empty() => Some(id),
                    _ => None,
                }),
            _ => None,
        }
    }

    fn resolve(&self, module: &[String], path: &[String], trail: &mut Vec<(Module, String)>) -> Vec<Target> {
        let (here, rest) = match path.first().map(String::as_str) {
            Some("crate") => (module[..1].to_vec(), &path[1..]),
            Some("cooperage") => (vec!["cooperage".into()], &path[1..]),
            _ => relative(module, path),
        };
        self.walk(&here, rest, trail)
    }

    fn walk(&self, at: &[String], path: &[String], trail: &mut Vec<(Module, String)>) -> Vec<Target> {
        let Some((name, rest)) = path.split_first() else { return vec![Target::Module(at.to_vec())] };
        let Some(named) = self.names.get(at).and_then(|names| names.get(name)) else { return Vec::new() };
        let mut targets = Vec::new();
        for named in named {
            match named {
                Named::Value(_) if !rest.is_empty() => {}
                Named::Type(file) | Named::Value(file) => targets.push(Target::Item {
                    file: *file,
                    id: (at.to_vec(), name.clone()),
                    rest: rest.to_vec(),
                }),
                Named::Module(below) => targets.extend(self.walk(below, rest, trail)),
                Named::Import(written) => {
                    let step = (at.to_vec(), written.join("::"));
                    if trail.contains(&step) {
                        continue;
                    }
                    trail.push(step);
                    for target in self.resolve(at, written, trail) {
                        match target {
                            Target::Module(below) => targets.extend(self.walk(&below, rest, trail)),
                            Target::Item { file, id, rest: own } => {
                                let rest = own.into_iter().chain(rest.iter().cloned()).collect();
                                targets.push(Target::Item { file, id, rest });
                            }
                        }
                    }
                    trail.pop();
                }
            }
        }
        // What stands for an item and a module is the item, where nothing follows.
        if rest.is_empty() && targets.iter().any(|target| matches!(target, Target::Item { .. })) {
            targets.retain(|target| matches!(target, Target::Item { .. }));
        }
        targets
    }

    fn find_edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (at, file) in self.files.iter().enumerate() {
            let mut bound = Bound::default();
            bound.visit_file(&file.syntax);
            let mut namer = Namer {
                house: self,
                at,
                module: file.module.clone(),
                own: None,
                typed: BTreeMap::new(),
                bound: bound.0,
                edges: &mut edges,
            };
            namer.visit_file(&file.syntax);
        }
        edges
    }

    /// The circles between files of one room, the longest first, each with its files in order.
    pub(crate) fn circles(&self) -> Vec<Vec<usize>> {
        let count = self.files.len();
        let mut reach = vec![BTreeSet::new(); count];
        for (from, to) in self.edges.keys() {
            if self.files[*from].room() == self.files[*to].room() {
                reach[*from].insert(*to);
            }
        }
        for via in 0..count {
            let beyond = reach[via].clone();
            for from in &mut reach {
                if from.contains(&via) {
                    from.extend(&beyond);
                }
            }
        }
        let mut circles: Vec<Vec<usize>> = Vec::new();
        for file in 0..count {
            let circle: Vec<usize> =
                reach[file].iter().copied().filter(|to| reach[*to].contains(&file)).collect();
            if circle.first() == Some(&file) && circle.len() > 1 {
                circles.push(circle);
            }
        }
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The modules that lie in files of their own: their names below here, and a `#[path]`.
fn children(items: &[syn::Item], above: &[String]) -> Vec<(Vec<String>, Option<PathBuf>)> {
    let mut found = Vec::new();
    for item in items {
        let syn::Item::Mod(item) = item else { continue };
        let mut name = above.to_vec();
        name.push(item.ident.to_string());
        match &item.content {
            Some((_, items)) => found.extend(children(items, &name)),
            None => {
                let written = item.attrs.iter().find_map(|attr| match &attr.meta {
                    syn::Meta::NameValue(meta) if meta.path.is_ident("path") => match &meta.value {
                        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => {
                            Some(path.value().into())
                        }
                        _ => None,
                    },
                    _ => None,
                });
                found.push((name, written));
            }
        }
    }
    found
}

fn is_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| match &attr.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// Takes out what `#[cfg(test)]` marks, and counts its lines.
fn take_out_tests(items: &mut Vec<syn::Item>) -> usize {
    let mut lines = 0;
    items.retain_mut(|item| {
        let span = item.span();
        let attrs = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            _ => return true,
        };
        if is_test(attrs) {
            lines += span.end().line + 1 - span.start().line;
            return false;
        }
        match item {
            syn::Item::Mod(syn::ItemMod { content: Some((_, items)), .. }) => lines += take_out_tests(items),
            syn::Item::Impl(item) => item.items.retain(|item| match item {
                syn::ImplItem::Fn(method) if is_test(&method.attrs) => {
                    lines += method.span().end().line + 1 - method.span().start().line;
                    false
                }
                _ => true,
            }),
            _ => {}
        }
        true
    });
    lines
}

/// The leaves of a `use`: the name that it gives, and the path.
fn leaves(tree: &syn::UseTree, prefix: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let with = |name: &syn::Ident| -> Vec<String> {
        let own = (name != "self" || prefix.is_empty()).then(|| name.to_string());
        prefix.iter().cloned().chain(own).collect()
    };
    match tree {
        syn::UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), found),
        syn::UseTree::Name(name) => {
            let path = with(&name.ident);
            found.push((path.last().cloned().unwrap_or_default(), path));
        }
        syn::UseTree::Rename(name) => found.push((name.rename.to_string(), with(&name.ident))),
        syn::UseTree::Glob(_) => {}
        syn::UseTree::Group(group) => group.items.iter().for_each(|item| leaves(item, prefix, found)),
    }
}

/// Finds the `use` of one module, also those inside functions.
#[derive(Default)]
struct Uses(Vec<(String, Vec<String>)>);

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        leaves(&item.tree, &[], &mut self.0);
    }
}

/// Finds the names that patterns bind: a variable isn't the function of its name.
#[derive(Default)]
struct Bound(BTreeSet<String>);

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
        self.0.insert(pat.ident.to_string());
        syn::visit::visit_pat_ident(self, pat);
    }
}

/// Finds what one file names.
struct Namer<'a> {
    house: &'a House,
    at: usize,
    module: Module,
    /// The type whose `impl` this is.
    own: Option<TypeId>,
    /// The parameters of the function whose type is a name.
    typed: BTreeMap<String, TypeId>,
    bound: BTreeSet<String>,
    edges: &'a mut Edges,
}

impl Namer<'_> {
    fn edge(&mut self, to: usize, what: String, line: usize) {
        if to != self.at {
            self.edges.entry((self.at, to)).or_default().entry(what).or_insert(line);
        }
    }

    fn path(&mut self, path: &[String], line: usize) {
        if path.first().is_some_and(|first| first == "Self") {
            if let (Some(own), Some(method)) = (self.own.clone(), path.get(1)) {
                self.method(&own, method, line);
            }
            return;
        }
        for target in self.house.resolve(&self.module, path, &mut Vec::new()) {
            let Target::Item { file, id, rest } = target else { continue };
            if let Some(method) = rest.first() {
                self.method(&id, method, line);
            }
            self.edge(file, id.1, line);
        }
    }

    fn method(&mut self, of: &TypeId, method: &str, line: usize) {
        if let Some(file) = self.house.methods.get(of).and_then(|methods| methods.get(method)) {
            self.edge(*file, format!("{}::{method}", of.1), line);
        }
    }

    /// Paths inside a macro's tokens, and single names that can't be a field or a variable.
    fn tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let punct =
            |at: usize, c: char| matches!(trees.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
        let mut at = 0;
        while at < trees.len() {
            let line = trees[at].span().start().line;
            match &trees[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(text) => self.text(&text.to_string(), line),
                _ => {}
            }
            let after_dot = at > 0 && punct(at - 1, '.') && !(at > 1 && punct(at - 2, '.'));
            let mut path = Vec::new();
            while let Some(TokenTree::Ident(ident)) = trees.get(at) {
                path.push(ident.to_string());
                if !(punct(at + 1, ':') && punct(at + 2, ':')) {
                    break;
                }
                at += 3;
            }
            let called = matches!(trees.get(at + 1), Some(TokenTree::Group(group))
                if group.delimiter() == proc_macro2::Delimiter::Parenthesis);
            let upper = path.first().is_some_and(|first| first.starts_with(char::is_uppercase));
            if !after_dot && (path.len() > 1 || (path.len() == 1 && (called || upper))) {
                self.path(&path, line);
            }
            // self.method(...) in a macro
            if after_dot
                && called
                && let (Some(TokenTree::Ident(receiver)), [method]) =
                    (at.checked_sub(2).and_then(|at| trees.get(at)), path.as_slice())
                && let Some(id) = self.receiver(&receiver.to_string())
            {
                self.method(&id, method, line);
            }
            at += 1;
        }
    }

    /// `#[schemars(schema_with = "schema::mode")]`: a path in a text.
    fn text(&mut self, text: &str, line: usize) {
        let Some(path) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return };
        if let Ok(path) = syn::parse_str::<syn::Path>(path)
            && path.segments.len() > 1
        {
            self.path(&segments(&path), line);
        }
    }

    fn receiver(&self, name: &str) -> Option<TypeId> {
        if name == "self" { self.own.clone() } else { self.typed.get(name).cloned() }
    }

    fn with_inputs(&mut self, sig: &syn::Signature, inside: impl FnOnce(&mut Self)) {
        let mut typed = BTreeMap::new();
        for input in &sig.inputs {
            if let syn::FnArg::Typed(input) = input
                && let syn::Pat::Ident(name) = &*input.pat
                && let Some(id) = self.house.type_of(&self.module, &input.ty)
            {
                typed.insert(name.ident.to_string(), id);
            }
        }
        let outer = std::mem::replace(&mut self.typed, typed);
        inside(self);
        self.typed = outer;
    }
}

impl<'ast> Visit<'ast> for Namer<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some((_, items)) = &item.content {
            self.module.push(item.ident.to_string());
            items.iter().for_each(|item| self.visit_item(item));
            self.module.pop();
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let own = self.house.type_of(&self.module, &item.self_ty);
        let outer = std::mem::replace(&mut self.own, own);
        syn::visit::visit_item_impl(self, item);
        self.own = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.with_inputs(&item.sig, |namer| syn::visit::visit_item_fn(namer, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.with_inputs(&item.sig, |namer| syn::visit::visit_impl_item_fn(namer, item));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let file = &self.house.files[self.at];
        if file.is_facade() && !matches!(item.vis, syn::Visibility::Inherited) {
            return;
        }
        let mut found = Vec::new();
        leaves(&item.tree, &[], &mut found);
        for (_, path) in found {
            self.path(&path, item.use_token.span.start().line);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = segments(path);
        if let Some(first) = path.segments.first()
            && (names.len() > 1 || !self.bound.contains(&names[0]))
        {
            self.path(&names, first.ident.span().start().line);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let syn::Expr::Path(receiver) = &*call.receiver
            && let Some(name) = receiver.path.get_ident()
            && let Some(id) = self.receiver(&name.to_string())
        {
            self.method(&id, &call.method.to_string(), call.method.span().start().line);
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
    }

    fn visit_attribute(&mut self, attr: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attr.meta
            && !list.path.is_ident("derive")
        {
            self.tokens(list.tokens.clone());
        }
    }
}
