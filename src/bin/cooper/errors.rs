//! What went wrong, for a person and for a script: what, where, why, what to do, and the exit code.
//!
//! The library's rooms say facts in typed errors; this file alone decides on kind, hints and exit code. To extend
//! it: a new variant of [`ops::Error`] is one arm in [`problems`], a new hint one arm in [`recipe_hints`] or
//! [`plan_hints`]. Whatever has no arm of its own goes through [`Problem::chain`], which finds an I/O error by
//! itself.

use std::error::Error as StdError;
use std::io;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};
use cooperage::digest::Mismatch;
use cooperage::layer::BuildError;
use cooperage::oci::DocumentError;
use cooperage::plan::{self, Fault, ResolveError};
use cooperage::recipe::{self, At, ErrorKind, TemplateFault, What};
use cooperage::{deploy, disk, http, lock, ops, registry, sink, store, substitute, workspace};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::text::escape;

/// At least one problem.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    /// A stable word for scripts; listed in the book.
    kind: &'static str,
    message: String,
    place: Place,
    notes: Vec<String>,
    hints: Vec<String>,
    /// How to end.
    pub(crate) exit: Exit,
}

/// Where it is wrong.
#[derive(Debug)]
enum Place {
    Nowhere,
    File(String),
    /// A part of a file, and perhaps another part that it disagrees with.
    Span(At, Option<At>),
}

/// How many reasons are told; the rest is counted.
const MAX_NOTES: usize = 12;

const DAMAGED_HINT: &str = "get it again from where it came; if the store is damaged, `cooper store verify --repair` \
                            takes it out, and the next build makes or fetches it again";

/// For what can't be taken in good faith.
const BASE_HINT: &str =
    "nothing of it was used; get it again, and compare its digest with what its maker published";

/// For what is sound, and of another kind.
const KIND_HINT: &str = "take an image of Linux with layers of its own; `skopeo copy --format oci` converts older kinds of manifests";

const INDEX_HINT: &str = "`cooper store verify --repair` makes it anew from what is in the store; the next builds name their images again";

impl Problem {
    /// A problem that stands nowhere.
    pub(crate) fn new(kind: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        let (message, place) = (message.into(), Place::Nowhere);
        Self { kind, message, place, notes: Vec::new(), hints: Vec::new(), exit }
    }

    /// A command line or environment that can't be understood.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", Exit::Usage, message)
    }

    /// An operation of the binary's own that the machine refused.
    pub(crate) fn io(action: &str, error: &io::Error) -> Self {
        Self::new("io", Exit::System, format!("cannot {action}: {error}")).blame(error)
    }

    /// A panic.
    pub(crate) fn bug(what: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self::new(
            "bug",
            Exit::Bug,
            format!("this is a mistake in cooper {version}, not in what you did: {what}"),
        )
        .hint("please report it, with the command and what it was run on")
    }

    /// An error and its sources; `exit` unless the file system is at the bottom of it.
    fn chain(kind: &'static str, exit: Exit, error: &(dyn StdError + 'static)) -> Self {
        let mut problem = Self::new(kind, exit, error.to_string());
        let mut next = Some(error);
        while let Some(error) = next {
            // Many errors repeat their source in their own words.
            let (text, said) = (error.to_string(), problem.notes.last().unwrap_or(&problem.message));
            if !said.contains(&text) {
                problem.notes.push(text);
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                problem = problem.blame(error);
            }
            if let Some(ops::Error::Absent { .. }) = error.downcast_ref() {
                problem.exit = Exit::Missing;
            }
            // Of a place that images come from, `place_hint` speaks.
            let of_place = error.is::<substitute::Error>();
            if let (false, Some(disk::Error::NotRegular { .. })) = (of_place, disk_error(error)) {
                problem = problem
                    .hint("a plain file belongs there: take away what there is, or name another place");
            }
            next = error.source();
        }
        problem
    }

    /// Exit code and hints of an I/O error.
    fn blame(mut self, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        if error.get_ref().is_some_and(|inner| inner.is::<Mismatch>()) {
            self.exit = Exit::Input;
            return self.hint(DAMAGED_HINT);
        }
        self.exit = if error.kind() == Kind::NotFound { Exit::Missing } else { Exit::System };
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => self.hint("`cooper gc` frees what no recipe needs"),
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
                self.hint("another store can be given with --store DIR or COOPER_STORE")
            }
            _ => self,
        }
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The file where it is wrong.
    pub(crate) fn file(mut self, path: impl Into<String>) -> Self {
        self.place = Place::File(path.into());
        self
    }

    fn at(mut self, at: Option<At>, other: Option<At>) -> Self {
        self.place = at.map_or(Place::Nowhere, |at| Place::Span(at, other));
        self
    }

    /// The text of the file where it is wrong, which lies in the workspace that `dir` is in.
    #[allow(clippy::disallowed_methods, reason = "a file that can't be read is shown by its name alone")]
    pub(crate) fn quoted(&self, dir: &Path) -> Option<String> {
        let Place::Span(at, _) = &self.place else { return None };
        let root = dir.ancestors().find(|dir| dir.join("cooper.toml").is_file())?;
        std::fs::read_to_string(root.join(&*at.file)).ok()
    }

    /// For a person: as rustc shows its errors.
    pub(crate) fn render(&self, text: Option<&str>, styled: bool) -> String {
        let mut group = Level::ERROR.primary_title(escape(&self.message)).elements(self.where_it_is(text));
        let shown = self.notes.iter().take(MAX_NOTES);
        let messages = shown.map(|note| Level::NOTE.message(escape(note)));
        group = group.elements(messages);
        if let Some(more) = self.notes.len().checked_sub(MAX_NOTES + 1) {
            group = group.element(Level::NOTE.message(format!("… and {} more", more + 1)));
        }
        group = group.elements(self.hints.iter().map(|hint| Level::HELP.message(escape(hint))));
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        format!("{}\n", renderer.render(&[group]))
    }

    fn where_it_is<'a>(&'a self, text: Option<&'a str>) -> Vec<Element<'a>> {
        match (&self.place, text) {
            (Place::Nowhere, _) => Vec::new(),
            (Place::File(path), _) => vec![Origin::path(escape(path)).into()],
            (Place::Span(at, other), Some(text)) if fits(&at.range, text) => {
                let primary = AnnotationKind::Primary.span(at.range.clone());
                let snippet = Snippet::source(text).path(escape(&at.file)).annotation(primary);
                let other = other.as_ref().filter(|other| other.file == at.file && fits(&other.range, text));
                let other =
                    other.map(|other| AnnotationKind::Context.span(other.range.clone()).label("and here"));
                vec![snippet.annotations(other).into()]
            }
            (Place::Span(at, _), _) => vec![Origin::path(escape(&at.file)).into()],
        }
    }

    /// For a script; one line.
    pub(crate) fn json(&self, text: Option<&str>) -> Value {
        let mut error = json!({
            "kind": self.kind, "message": self.message, "hints": self.hints, "notes": self.notes,
            "exit": self.exit.code(),
        });
        match &self.place {
            Place::Nowhere => {}
            Place::File(path) => error["file"] = path.as_str().into(),
            Place::Span(at, _) => {
                error["file"] = (*at.file).into();
                if let Some((line, column)) = text.and_then(|text| position(text, at.range.start)) {
                    error["line"] = line.into();
                    error["column"] = column.into();
                }
            }
        }
        json!({ "error": error })
    }
}

/// The file may have changed since it was read.
fn fits(range: &Range<usize>, text: &str) -> bool {
    text.get(range.clone()).is_some()
}

/// Line and column in characters, from 1.
fn position(text: &str, offset: usize) -> Option<(usize, usize)> {
    let before = text.get(..offset)?;
    let line = before.rsplit('\n').next().unwrap_or(before);
    Some((before.matches('\n').count() + 1, line.chars().count() + 1))
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<ops::Error> for Failure {
    fn from(error: ops::Error) -> Self {
        Self(problems(error))
    }
}

/// What rooms pass on as it is.
fn disk_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e disk::Error> {
    let mut found = error.downcast_ref::<disk::Error>();
    if let Some(ops::Error::Disk(error)) = error.downcast_ref() {
        found = Some(error);
    } else if let Some(store::Error::Disk(error)) = error.downcast_ref() {
        found = Some(error);
    } else if let Some(sink::Error::Disk(error)) = error.downcast_ref() {
        found = Some(error);
    } else if let Some(workspace::Error::Disk(error)) = error.downcast_ref() {
        found = Some(error);
    } else if let Some(substitute::Error::Disk(error)) = error.downcast_ref() {
        found = Some(error);
    }
    found
}

/// Every error of the library: the one place that knows all rooms.
fn problems(error: ops::Error) -> Vec<Problem> {
    use ops::Error;
    match error {
        Error::Recipes(errors) => errors.into_iter().map(recipe_problem).collect(),
        Error::Plan { recipe, variant, platform, errors } => {
            let whose = format!("in {recipe}#{variant} on {platform}");
            errors.into_iter().map(|error| plan_problem(error, &whose)).collect()
        }
        Error::Locked(recipes) => recipes.iter().map(locked_problem).collect(),
        Error::Deploy(errors) => errors.into_iter().map(deploy_problem).collect(),
        error => vec![one_problem(&error)],
    }
}

fn deploy_problem(error: deploy::Error) -> Problem {
    use deploy::Fault;
    let problem = Problem::new("service", Exit::Input, error.to_string()).at(error.at, None);
    match error.fault {
        Fault::NoService { suggestion, known, .. } => {
            problem.hints(did_you_mean(suggestion.as_ref())).hint(format!("it has {}", known.join(", ")))
        }
        Fault::NoHealth { .. } => problem.hint(
            "give it [service.health] with cmd, which an engine runs in it; http and tcp are for Kubernetes",
        ),
        Fault::NeverSo { .. } => problem.hint("services are started or healthy, jobs are done"),
        Fault::Circle { .. } => problem.hint("one of them must come first"),
        Fault::Port { .. } => {
            problem.hint("as Compose writes it: \"8080\", \"80:8080\", \"127.0.0.1:53:53/udp\"")
        }
        Fault::Substitution { .. } => problem.hint("give a value here, or a secret, or use the Compose file"),
        Fault::Secret { .. } => {
            problem.hint("[service] secrets gives it when the container starts; ${NAME} leaves it to Compose")
        }
        Fault::Hidden { .. } => problem.hint(
            "put it elsewhere; a file that is meant for a volume that is new says below-volume = \"ok\"",
        ),
        Fault::Twice { .. } => problem.hint("give one of them another name"),
        Fault::Command { .. } => {
            problem.hint("[config] of the recipe, or of its variant, says what the image runs")
        }
        Fault::Control { .. } => problem.hint("write what runs it into a file of the image"),
        Fault::Mounted { .. } => {
            problem.hint("a variant without mount-in copies it into the image: --variant prod")
        }
    }
}

fn one_problem(error: &ops::Error) -> Problem {
    use ops::Error;
    let input = |kind| Problem::chain(kind, Exit::Input, error);
    match error {
        Error::Workspace(error) => workspace_problem(error),
        Error::Store(error) => store_problem(error),
        Error::Sink(sink::Error::Registry(_)) => registry_problem(error),
        Error::Sink(error) => sink_problem(error),
        Error::Lock { file, source } => lock_problem(file, source),
        Error::Conflict { file, differences } => {
            let problem = differences.iter().fold(input("lock"), |problem, it| problem.note(it.as_str()));
            problem.file(file).hint("`cooper lock --take ours` or `--take theirs` chooses")
        }
        Error::At { at, source } => one_problem(source).at(Some(at.clone()), None),
        Error::Source { at, source } => source_problem(source).at(Some(at.clone()), None),
        Error::Foreign { .. } => input("source"),
        Error::Unfetched { recipe, .. } => {
            Problem::chain("lock", Exit::No, error).hint(format!("`cooper lock {recipe}` pins it"))
        }
        Error::Nowhere { .. } => Problem::chain("source", Exit::Missing, error),
        Error::Circle { .. } => input("recipe").hint("one of them must stand on something else"),
        Error::NoParent { suggestion, .. } => input("recipe").hints(did_you_mean(suggestion.as_ref())),
        Error::NoVariant { name, known } => {
            let meant = recipe::suggest(name, known.iter().map(String::as_str));
            Problem::chain("no-target", Exit::Missing, error)
                .hints(did_you_mean(meant.as_ref()))
                .hint(format!("it has {}", known.join(", ")))
        }
        Error::NoPlatform { recipe, .. } => {
            let whose = Some(recipe).filter(|recipe| !recipe.is_empty());
            let problem =
                whose.into_iter().fold(input("base"), |problem, recipe| problem.note(format!("in {recipe}")));
            problem.hint("[image] platforms says which ones the recipe is built for")
        }
        error if registry_error(error).is_some() => registry_problem(error),
        Error::Base { base, source, .. } => input("base").hints(base_hint(base, source)),
        Error::NoOutput { file, .. } => {
            Problem::chain("lock", Exit::Missing, error).file(file).hint("run `cooper build`")
        }
        Error::Unpublished { .. } => input("workspace")
            .file("cooper.toml")
            .hint("add a table [publish] with repository = \"registry.example/{{ stack }}/{{ name }}\""),
        Error::Offline { .. } => Problem::chain("base", Exit::Missing, error).hint("leave out --offline"),
        Error::Unpinned { .. } => {
            Problem::chain("base", Exit::Missing, error).hint("run `cooper lock` without --offline")
        }
        Error::Absent { .. } => Problem::chain("absent", Exit::Missing, error),
        Error::Document { source: DocumentError::Unsupported { .. }, .. } => input("base").hint(KIND_HINT),
        Error::Document { .. } | Error::BaseLayer { .. } => input("base").hint(BASE_HINT),
        // Their hints come with the I/O error at the bottom.
        Error::Damaged { .. } => input("base"),
        Error::Substitute(source) => input("base").hints(place_hint(source)),
        Error::Facts { .. } => {
            input("base").hint("restore lockfiles/blobs from version control, or run `cooper lock`")
        }
        Error::LineEndings { file } => input("source")
            .file(file)
            .hint("add `recipes/** -text` to .gitattributes, and check the file out again"),
        Error::Secret { at, .. } => input("secret").at(Some(at.clone()), None).hint(SECRET_HINT),
        Error::SetLocked | Error::Usage { .. } | Error::Platform(_) => Problem::usage(error.to_string()),
        Error::Layer { source: BuildError::Encoder { .. }, .. } => Problem::bug(&error.to_string()),
        Error::Layer { .. } => input("layer"),
        Error::Image { .. } => input("image"),
        Error::Exists { .. } => input("exists"),
        _ => Problem::chain("io", Exit::System, error),
    }
}

const SECRET_HINT: &str = "secrets are given when a container starts: [service] secrets; if it is none, the entry may say so: allow-secret = \"why\"";

/// The registry's part in an error, however deep.
fn registry_error(error: &(dyn StdError + 'static)) -> Option<registry::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // Transparent errors are not in the chain of their sources.
        let place = match error.downcast_ref() {
            Some(ops::Error::Substitute(place) | ops::Error::Base { source: place, .. }) => Some(place),
            _ => error.downcast_ref(),
        };
        if let Some(substitute::Error::Registry(found)) = place {
            return Some(found.clone());
        }
        if let Some(sink::Error::Registry(found)) =
            error.downcast_ref().or_else(|| match error.downcast_ref() {
                Some(ops::Error::Sink(error)) => Some(error),
                _ => None,
            })
        {
            return Some(found.clone());
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<http::Error>()) {
            return Some(registry::Error::Http(found.clone()));
        }
        next = error.source();
    }
    None
}

fn registry_problem(error: &ops::Error) -> Problem {
    use cooperage::http::Cause;
    use registry::Error;
    let (exit, hint) = match registry_error(error) {
        Some(Error::Settings(_)) => (Exit::Usage, None),
        Some(Error::NoSuchImage { suggestion: Some(tag), .. }) => {
            return Problem::chain("registry", Exit::Missing, error)
                .hint(format!("did you mean the tag {tag}?"));
        }
        Some(Error::NoSuchImage { .. }) => (
            Exit::Missing,
            Some("a private one may not show itself: `docker login` or `podman login` says who you are"),
        ),
        Some(Error::Http(error)) => match error.cause {
            Cause::Status { status: 401 | 403, .. } => {
                (Exit::System, Some("`docker login` or `podman login` says who you are to a registry"))
            }
            Cause::Untrusted(_) => (
                Exit::System,
                Some("ca = \"FILE.pem\" for the host in cooper's configuration says whom to trust"),
            ),
            Cause::Plain => {
                (Exit::System, Some("plain-http = true in cooper's configuration allows it for a host"))
            }
            Cause::Connect(_) | Cause::Timeout(_) => (
                Exit::System,
                Some(
                    "can it be reached from here? HTTPS_PROXY, or a [[mirror]] in cooper's configuration, leads around",
                ),
            ),
            Cause::Answer(_) | Cause::Redirect(_) | Cause::TooLarge { .. } => (Exit::Input, None),
            _ => (Exit::System, None),
        },
        Some(Error::Unexpected { .. }) | None => (Exit::Input, None),
    };
    Problem::chain("registry", exit, error).hints(hint.map(str::to_owned))
}

fn base_hint(base: &str, error: &substitute::Error) -> Option<String> {
    match error {
        substitute::Error::Ambiguous { choices, .. } => {
            choices.first().map(|first| format!("say which behind a colon: layout = \"{base}:{first}\""))
        }
        error if error.is_missing() => {
            Some("a layout is relative to the workspace, where cooper.toml is".to_owned())
        }
        error => place_hint(error),
    }
}

fn place_hint(error: &substitute::Error) -> Option<String> {
    use substitute::Error;
    match error {
        Error::Archive { .. } | Error::Document { .. } | Error::TooLarge { .. } | Error::Closure(_) => {
            Some(BASE_HINT.to_owned())
        }
        Error::Disk(disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. }) => {
            Some(BASE_HINT.to_owned())
        }
        _ => None,
    }
}

fn recipe_problem(error: recipe::Error) -> Problem {
    Problem::new("recipe", Exit::Input, error.kind.to_string())
        .at(error.at, None)
        .hints(recipe_hints(&error.kind))
}

const UNDEFINED_HINT: &str = "[vars] defines it; `| default(\"…\")` stands in for what may be undefined";

/// What people who come from a Dockerfile mean.
fn from_elsewhere(key: &str, section: &str) -> Option<&'static str> {
    if section != "the recipe" {
        return None;
    }
    Some(match key {
        "run" => {
            "nothing is executed in a build: what needs a command is made elsewhere, and laid over as a [[file]]"
        }
        "from" => "what it stands on is said in [base]",
        "copy" | "add" => "files are laid over with [[file]]",
        "cmd" | "entrypoint" | "env" | "expose" | "labels" | "volumes" | "workdir" => {
            "it belongs in [config]"
        }
        _ => return None,
    })
}

fn did_you_mean(suggestion: Option<&String>) -> Option<String> {
    suggestion.map(|suggestion| format!("did you mean `{suggestion}`?"))
}

fn recipe_hints(kind: &ErrorKind) -> Vec<String> {
    let text = match kind {
        ErrorKind::Undefined { suggestion: None, .. } => UNDEFINED_HINT,
        ErrorKind::NotSettable { name, suggestion: None } => {
            return vec![format!("[vars] {name} = {{ set = true, default = \"…\" }} would allow it")];
        }
        ErrorKind::UnknownKey { key, section, suggestion: None } => {
            return from_elsewhere(key, section).map(str::to_owned).into_iter().collect();
        }
        ErrorKind::UnknownVariant { suggestion: None, .. } => {
            "cooper.toml, [workspace] variants, says which there are"
        }
        ErrorKind::UnknownKey { suggestion, .. }
        | ErrorKind::Undefined { suggestion, .. }
        | ErrorKind::NotSettable { suggestion, .. }
        | ErrorKind::NoInput { suggestion, .. }
        | ErrorKind::UnknownVariant { suggestion, .. }
        | ErrorKind::Drop { suggestion, .. } => {
            return did_you_mean(suggestion.as_ref()).into_iter().collect();
        }
        ErrorKind::NoBase => {
            "say what it stands on: image = \"…\", layout = \"…\", recipe = \"stack/name\", extends = \
             \"stack/name\" or scratch = true"
        }
        ErrorKind::Unset { name } => return vec![format!("give it: --set {name}=VALUE")],
        ErrorKind::Reserved { .. } => "call the variable something else",
        ErrorKind::SecretName { .. } => {
            "secrets are given when a container starts: [service] secrets; a name that ends in _FILE may have a path"
        }
        ErrorKind::SecretContent { .. } => SECRET_HINT,
        ErrorKind::NotBuiltYet { .. } => {
            "this key waits for a later version; what it makes can be given as a [[file]]"
        }
        ErrorKind::TooOld { .. } => "install a newer cooper",
        ErrorKind::Invalid { what: What::Reference, .. } => {
            "a registry, then names of lower-case letters and digits, with one of . _ __ - between them: \
             registry.example/shop/web"
        }
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

fn plan_problem(error: plan::Error, whose: &str) -> Problem {
    let (hints, other) = (plan_hints(&error.fault), other_entry(&error.fault).cloned());
    let problem = Problem::new("plan", Exit::Input, error.fault.to_string()).note(whose).hints(hints);
    if let Fault::Template { file, error, .. } = &error.fault {
        let at = At { file: file.as_str().into(), range: error.range.clone() };
        return problem.at(Some(at), None);
    }
    let elsewhere = other.as_ref().filter(|other| other.file != error.at.file);
    let problem = match elsewhere {
        Some(other) => problem.note(format!("the other entry is in {}", other.file)),
        None => problem,
    };
    problem.at(Some(error.at), other)
}

fn other_entry(fault: &Fault) -> Option<&At> {
    match fault {
        Fault::TwoOnOnePath { other, .. }
        | Fault::DirectoryTwoWays { other, .. }
        | Fault::BelowOwnFile { other, .. } => other.as_ref(),
        _ => None,
    }
}

fn plan_hints(fault: &Fault) -> Vec<String> {
    let text = match fault {
        Fault::UnknownUser { name, known } | Fault::UnknownGroup { name, known } => {
            let meant = recipe::suggest(name, known.iter().map(String::as_str));
            let known = if known.is_empty() { "none: use numbers".to_owned() } else { known.join(", ") };
            return did_you_mean(meant.as_ref()).into_iter().chain([format!("it has {known}")]).collect();
        }
        Fault::OnADirectory { path } => {
            return vec![format!("to put the file into the directory: to = \"{path}/\"")];
        }
        Fault::Template { suggestion: Some(name), .. } => {
            return did_you_mean(Some(name)).into_iter().collect();
        }
        Fault::Template { error, .. } => match &error.fault {
            TemplateFault::Undefined { .. } => UNDEFINED_HINT,
            TemplateFault::Unclosed { .. } | TemplateFault::Expected { .. } => {
                "other delimiters help where a file is full of braces: delimiters = \"<% %>\""
            }
            _ => return Vec::new(),
        },
        Fault::Resolve(ResolveError::Loop { .. }) => {
            "take the link away with a [[remove]], or write to where it should lead"
        }
        Fault::Resolve(ResolveError::Dangling { .. }) => {
            "make its target with a [[dir]], or take the link away with a [[remove]]"
        }
        Fault::Resolve(ResolveError::BelowFile { .. }) | Fault::NotADirectory { .. } => {
            "write to another path; a [[remove]] takes away what stands below this recipe"
        }
        Fault::TwoOnOnePath { other: None, .. } => {
            "leave one out, with exclude or by naming files one by one"
        }
        Fault::TwoOnOnePath { .. } => {
            "leave one out; a [[variant.NAME.file]] with the same `to` replaces the common one"
        }
        Fault::BelowOwnFile { .. } => "leave one out, or give it another path",
        Fault::HardLinkOutside { .. } => "without hard = true a link may lead anywhere",
        Fault::TooManyLayers { .. } => "layer = \"NAME\" puts entries into one layer",
        Fault::BelowBaseFile { .. } => "take the file away first: [[remove]]",
        Fault::BelowVolume { .. } => {
            "[config] remove = { volumes = […] } takes the volume away; below-volume = \"ok\" allows the entry"
        }
        Fault::DirectoryTwoWays { .. } => "say which with a [[dir]]",
        Fault::RemovesNothing { .. } => "missing = \"ok\" allows it",
        Fault::NeedsIndex { .. } => "`cooper lock` looks it up",
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

fn workspace_problem(error: &workspace::Error) -> Problem {
    use workspace::Error;
    let missing = |kind| Problem::chain(kind, Exit::Missing, error);
    match error {
        Error::NoWorkspace { .. } => {
            missing("no-workspace").hint("`cooper init` makes one here; -C DIR says where one is")
        }
        Error::NoTarget { .. } => missing("no-target").hint("`cooper list --all` tells what there is"),
        Error::NoSource { .. } | Error::NoMatch { .. } | Error::NothingLeft { .. } => missing("no-source"),
        Error::Pattern { .. } => Problem::usage(error.to_string())
            .hint("a target is stack/name, stack/name#variant, a stack, or a glob of them"),
        Error::NotText { .. } => Problem::chain("workspace", Exit::Input, error)
            .hint("save it as UTF-8; a damaged one is restored from version control"),
        Error::Blob { .. } => Problem::chain("lock", Exit::Input, error)
            .hint("restore it from version control, or delete it and run `cooper lock`"),
        _ => Problem::chain("workspace", Exit::Input, error),
    }
}

/// What a `from` names.
fn source_problem(error: &workspace::Error) -> Problem {
    use workspace::Error;
    let problem = workspace_problem(error);
    let hint = match error {
        Error::NoSource { suggestion: None, .. } => "`from` is relative to the directory of its recipe.toml",
        Error::NoMatch { .. } => "a glob must match something; `**` is any number of directories",
        Error::NothingLeft { .. } => "leave the entry out, or exclude less",
        Error::Outside { .. } => "copy the file into the recipe's directory: what it is made of lies there",
        Error::SameName { .. } => "give them entries of their own",
        _ => return problem,
    };
    problem.hint(hint)
}

fn store_problem(error: &store::Error) -> Problem {
    let problem = Problem::chain("store", Exit::Input, error);
    match error {
        store::Error::NotAStore { .. } => {
            problem.hint("another one can be given with --store DIR or COOPER_STORE")
        }
        store::Error::Damaged { .. } => problem.hint(DAMAGED_HINT),
        store::Error::Version { path, .. } => problem
            .hint("a newer cooper may know it; another store can be given with --store DIR or COOPER_STORE")
            .hint(format!(
                "if it is damage, `rm {}`: the next command writes it anew",
                path.join("oci-layout").display()
            )),
        // What the disk refuses says nothing of what is on it.
        store::Error::Unlisted { source: source @ disk::Error::Io { .. } } if !source.is_missing() => problem,
        store::Error::Index { .. } | store::Error::Unlisted { .. } => {
            Problem { exit: Exit::Input, ..problem }.hint(INDEX_HINT)
        }
        store::Error::Missing { .. } => Problem { exit: Exit::Missing, ..problem },
        _ => problem,
    }
}

fn sink_problem(error: &sink::Error) -> Problem {
    // What is copied is opened by `ops`, which says more than that it can't be opened.
    if let sink::Error::Open { source, .. } = error
        && let Some(error) = source.downcast_ref::<ops::Error>()
    {
        return one_problem(error)
            .hint("a build needs no layer of its base, a whole image does: put the base back where it was");
    }
    let problem = Problem::chain("output", Exit::System, error);
    match error {
        sink::Error::Host { .. } => {
            Problem { exit: Exit::Usage, ..problem }.hint("DOCKER_HOST says where the engine is")
        }
        sink::Error::Connection { .. } => {
            Problem { exit: Exit::System, ..problem }.hint("is it running? DOCKER_HOST says where it is")
        }
        sink::Error::Index { path, .. } => Problem { exit: Exit::Input, ..problem }.hint(format!(
            "without {} it is a layout without images: what it held must be put there again",
            path.display()
        )),
        sink::Error::NotALayout { .. } => {
            Problem { exit: Exit::Input, ..problem }.hint("name another directory")
        }
        sink::Error::Document { .. } => Problem { exit: Exit::Input, ..problem },
        sink::Error::Absent { .. } => Problem { exit: Exit::Missing, ..problem },
        _ => problem,
    }
}

fn lock_problem(file: &str, error: &lock::Error) -> Problem {
    let problem = Problem::new("lock", Exit::Input, error.to_string()).file(file);
    match error {
        lock::Error::Conflicted { .. } => problem
            .hint("`cooper lock` merges what can be merged; --take ours or --take theirs decides the rest"),
        lock::Error::Version { .. } | lock::Error::Encoding { .. } => problem.hint("install a newer cooper"),
        _ => problem.hint("restore it from version control, or delete it and run `cooper lock`"),
    }
}

fn locked_problem(locked: &ops::LockedRecipe) -> Problem {
    let ops::LockedRecipe { recipe, state, reasons } = locked;
    let problem = Problem::new("locked", Exit::No, format!("the lock of {recipe} is {state}"));
    let problem = reasons.iter().fold(problem, |problem, reason| problem.note(reason.to_string()));
    problem.hints(state.mend().map(|command| format!("`{command} {recipe}` mends it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[image]\ntitel = \"x\"\n\n[[file]]\nfrom = \"a\"\nto   = \"/x\"\n";

    fn at(range: Range<usize>) -> At {
        At { file: "recipes/a/b/recipe.toml".into(), range }
    }

    fn unknown_key() -> Problem {
        let kind = ErrorKind::UnknownKey {
            key: "titel".into(),
            section: "[image]".into(),
            suggestion: Some("title".into()),
        };
        recipe_problem(recipe::Error { at: Some(at(8..13)), kind })
    }

    #[test]
    fn a_mistake_in_a_recipe() {
        let expected = "\
error: unknown key `titel` in [image]
 --> recipes/a/b/recipe.toml:2:1
  |
2 | titel = \"x\"
  | ^^^^^
  |
  = help: did you mean `title`?
";
        assert_eq!(unknown_key().render(Some(TEXT), false), expected);
        assert_eq!(
            unknown_key().json(Some(TEXT)),
            json!({ "error": {
                "kind": "recipe", "message": "unknown key `titel` in [image]", "file": "recipes/a/b/recipe.toml",
                "line": 2, "column": 1, "hints": ["did you mean `title`?"], "notes": [], "exit": 3,
            }})
        );
    }

    #[test]
    fn a_file_that_changed_or_went() {
        for text in [None, Some("short"), Some("[image]\nttüüü")] {
            let rendered = unknown_key().render(text, false);
            assert!(rendered.contains("--> recipes/a/b/recipe.toml\n"), "{rendered}");
        }
        // The end of a file is a place, too.
        let end =
            recipe_problem(recipe::Error { at: Some(at(TEXT.len()..TEXT.len())), kind: ErrorKind::NoBase });
        assert!(end.render(Some(TEXT), false).contains("recipe.toml:"));
    }

    #[test]
    fn two_places() {
        let fault = Fault::TwoOnOnePath {
            path: cooperage::tree::TreePath::parse(b"x").unwrap(),
            other: Some(at(8..13)),
        };
        let rendered =
            plan_problem(plan::Error { at: at(TEXT.len() - 5..TEXT.len() - 1), fault }, "in a/b#prod")
                .render(Some(TEXT), false);
        assert!(rendered.contains("----- and here") && rendered.contains("^^^^"), "{rendered}");
    }

    #[test]
    fn a_refused_lock() {
        let reasons = vec![lock::Reason::LockMissing; 20];
        let locked = ops::LockedRecipe { recipe: "a/b".into(), state: lock::State::Unpinned, reasons };
        let problem = locked_problem(&locked);
        assert_eq!(problem.exit, Exit::No);
        let rendered = problem.render(None, false);
        assert!(rendered.starts_with("error: the lock of a/b is unpinned\n"), "{rendered}");
        assert!(
            rendered.contains("… and 8 more") && rendered.contains("`cooper lock a/b` mends it"),
            "{rendered}"
        );
    }

    #[test]
    fn io_errors_are_found_at_the_bottom() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write layer")]
        struct Outer(#[source] io::Error);
        for (kind, exit) in [
            (io::ErrorKind::StorageFull, Exit::System),
            (io::ErrorKind::NotFound, Exit::Missing),
            (io::ErrorKind::PermissionDenied, Exit::System),
        ] {
            let problem = Problem::chain("store", Exit::Input, &Outer(kind.into()));
            assert_eq!(problem.exit, exit);
            assert_eq!(problem.notes.len(), 1);
        }
    }

    #[test]
    fn a_panic_asks_for_a_report() {
        let rendered = Problem::bug("oops (x.rs:1)").render(None, false);
        assert!(
            rendered.contains(env!("CARGO_PKG_VERSION")) && rendered.contains("please report it"),
            "{rendered}"
        );
        assert_eq!(Problem::bug("").exit.code(), 70);
    }

    #[test]
    fn what_was_quoted_steers_no_terminal() {
        let text = "[image]\ntitel = \"\x1b[31m\u{202e}\"\n";
        let rendered = unknown_key().render(Some(text), false);
        assert!(!rendered.contains(['\x1b', '\u{202e}']), "{rendered:?}");
        let styled = unknown_key().render(Some(text), true);
        assert!(!styled.contains("\x1b[31m\u{202e}"), "{styled:?}");
    }
}
