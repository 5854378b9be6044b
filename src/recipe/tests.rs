//! Recipes as text, and what is underlined in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::digest::{Digest, Encoding};

const FILE: &str = "recipes/db/postgres/recipe.toml";

fn shown(text: &str, errors: Vec<Error>) -> Vec<(String, ErrorKind)> {
    let underlined = |error: &Error| error.at.as_ref().map_or("", |at| &text[at.range.clone()]).to_owned();
    errors.into_iter().map(|error| (underlined(&error), error.kind)).collect()
}

/// The recipe's mistakes, however early or late they are met.
fn errors(text: &str) -> Vec<(String, ErrorKind)> {
    let result = parse(FILE, text)
        .and_then(|recipe| recipe.variant(Encoding::V1, "dev"))
        .and_then(|recipe| recipe.resolve(&scope()));
    shown(text, result.err().unwrap_or_default())
}

fn scope() -> Scope {
    Scope {
        os: "linux".into(),
        arch: "arm64".into(),
        arch_variant: String::new(),
        stack: "db".into(),
        name: "postgres".into(),
        base_env: [("PATH".into(), "/bin".into())].into(),
        set: BTreeMap::new(),
    }
}

fn evaluated(text: &str, variant: &str) -> Evaluated {
    parse(FILE, text)
        .and_then(|recipe| recipe.variant(Encoding::V1, variant))
        .unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn resolved(text: &str, variant: &str) -> Resolved {
    evaluated(text, variant).resolve(&scope()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn file(resolved: &Resolved, index: usize) -> &ResolvedFile {
    match &resolved.entries[index].action {
        ResolvedAction::File(file) => file,
        other => panic!("{other:?}"),
    }
}

fn texts(list: &[Spanned<String>]) -> Vec<&str> {
    list.iter().map(|text| text.as_str()).collect()
}

const POSTGRES: &str = r#"
[image]
title = "PostgreSQL for Skillbase"
tags  = ["17"]
[base]
image = "docker.io/library/postgres:{{ major }}-bookworm"
[vars]
major = 17
wal_senders = 4
url = { set = true, default = "http://{{ name }}" }
[[file]]
from     = "initdb/"
to       = "/docker-entrypoint-initdb.d/"
owner    = "postgres:postgres"
mount-in = ["dev"]
[[file]]
text     = """
max_wal_senders = {{ wal_senders }}
"""
to       = "/etc/postgresql/postgresql.conf"
template = true
[config]
cmd = ["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"]
expose = [5432, "53/udp"]
[config.env]
PGDATA = "/var/lib/postgresql/data"
PATH = "/opt:{{ base.env.PATH }}"
[variant.dev.vars]
wal_senders = 1
[[variant.dev.file]]
from = "seed.sql"
to   = "/docker-entrypoint-initdb.d/90-seed.sql"
[service]
ports   = ["5432"]
volumes = { pgdata = "/var/lib/postgresql/data" }
health  = { cmd = ["pg_isready"], interval = "10s" }
secrets = { POSTGRES_PASSWORD = { file = "/run/secrets/pg" } }
after = { x = "healthy" }
job.migrate = { cmd = ["migrate"], env = { A = 1 } }
container = { shm_size = "1g", deploy.x = [1] }
"#;

#[test]
fn the_recipe_of_the_book() {
    let prod = resolved(POSTGRES, "prod");
    assert!(
        matches!(&prod.base, Base::Image(image) if image.value == "docker.io/library/postgres:17-bookworm")
    );
    assert_eq!(prod.entries.len(), 2);
    let first = file(&prod, 0);
    assert_eq!((first.to.as_str(), first.into, first.mount), ("/docker-entrypoint-initdb.d", true, None));
    assert_eq!(first.owner.as_ref().unwrap().value.user, Id::Name("postgres".into()));
    let ResolvedSource::From(from) = &first.source else { panic!() };
    assert_eq!((from[0].place().as_str(), from[0].key.name()), ("recipes/db/postgres", "initdb"));
    let text = |resolved: &Resolved| match &file(resolved, 1).source {
        ResolvedSource::Text(text) => text.value.clone(),
        ResolvedSource::From(_) => panic!(),
    };
    assert_eq!(text(&prod), "max_wal_senders = 4\n");
    assert!(file(&prod, 1).owner.is_none());
    assert_eq!(prod.config.env["PATH"].value, "/opt:/bin");
    assert_eq!(texts(prod.config.expose.as_ref().unwrap()), ["5432/tcp", "53/udp"]);
    assert_eq!(prod.names["url"], "http://postgres");

    let dev = resolved(POSTGRES, "dev");
    assert_eq!((dev.entries.len(), text(&dev).as_str()), (3, "max_wal_senders = 1\n"));
    assert_eq!(file(&dev, 0).mount, Some(Mount::ReadOnly));
    assert_eq!(evaluated(POSTGRES, "dev").source_paths(&scope()).unwrap().len(), 2);
    let mut set = scope();
    set.set.insert("url".into(), "{{ x }}".into());
    assert_eq!(evaluated(POSTGRES, "dev").resolve(&set).unwrap().names["url"], "{{ x }}");

    let service = evaluated(POSTGRES, "prod").service.unwrap();
    assert_eq!(service.health.unwrap().check.interval, Some(10_000_000_000));
    assert!(
        matches!(&service.secrets["POSTGRES_PASSWORD"], Secret::File(path) if path.value == "/run/secrets/pg")
    );
    assert_eq!(service.after["x"].value, After::Healthy);
    assert_eq!(service.jobs["migrate"].env["A"].value, "1");
}

#[test]
fn windows_line_endings_and_a_bom_change_nothing() {
    let windows = format!("\u{feff}{}", POSTGRES.replace('\n', "\r\n"));
    let (unix, windows) = (parse(FILE, POSTGRES).unwrap(), parse(FILE, &windows).unwrap());
    assert_eq!(unix.sections(), windows.sections());
    let text = |recipe: &Recipe| match recipe
        .variant(Encoding::V1, "prod")
        .unwrap()
        .resolve(&scope())
        .unwrap()
        .entries
        .remove(1)
        .action
    {
        ResolvedAction::File(ResolvedFile { source: ResolvedSource::Text(text), .. }) => text.value,
        other => panic!("{other:?}"),
    };
    assert_eq!(text(&unix), text(&windows));
    // What was written on purpose stays.
    let recipe = "[base]\r\nscratch = true\r\n[[file]]\r\nto = \"/a\"\r\ntext = \"\"\"\\r\\n\r\nx\"\"\"\r\n";
    assert!(
        matches!(&file(&resolved(recipe, "dev"), 0).source, ResolvedSource::Text(text) if text.value == "\r\n\nx")
    );
}

fn unknown(key: &str, section: &str, suggestion: Option<&str>) -> ErrorKind {
    ErrorKind::UnknownKey {
        key: key.into(),
        section: section.into(),
        suggestion: suggestion.map(str::to_owned),
    }
}

fn not(what: What, value: &str) -> ErrorKind {
    ErrorKind::Invalid { what, value: value.into() }
}

fn path(path: &str, fault: PathFault) -> ErrorKind {
    ErrorKind::Path { path: path.into(), fault }
}

fn of_type(expected: &str, found: &str) -> ErrorKind {
    ErrorKind::Type { expected: expected.into(), found: found.into() }
}

/// Each recipe has one mistake; `[base] scratch = true` is put in front of those that have no base.
#[test]
fn one_mistake_each() {
    let needs = |key, needs: &[&'static str]| ErrorKind::Needs { key, needs: needs.to_vec() };
    let undefined = |name: &str, suggestion: Option<&str>| ErrorKind::Undefined {
        name: name.into(),
        suggestion: suggestion.map(str::to_owned),
    };
    let missing = |key, section: &str| ErrorKind::MissingKey { key, section: section.into() };
    let cases: Vec<(&str, &str, ErrorKind)> = vec![
        ("[image]\ntitel = 'x'", "titel", unknown("titel", "[image]", Some("title"))),
        ("[imgae]\ntitle = 'x'", "imgae", unknown("imgae", "the recipe", Some("image"))),
        ("xyz = 1", "xyz", unknown("xyz", "the recipe", None)),
        ("[variant.dev.confg]", "confg", unknown("confg", "[variant.dev]", Some("config"))),
        ("[variant.dev.config]\ncmdd = []", "cmdd", unknown("cmdd", "[variant.dev.config]", Some("cmd"))),
        ("[[file]]\nfrom = 'a'\ntoo = '/x'\nto = '/x'", "too", unknown("too", "[[file]]", Some("to"))),
        ("[config.healthcheck]\ncmmd = []", "cmmd", unknown("cmmd", "[config.healthcheck]", Some("cmd"))),
        (
            "[variant.dev.service.job.topics]\ncmdd = []",
            "cmdd",
            unknown("cmdd", "[variant.dev.service.job.topics]", Some("cmd")),
        ),
        ("[image]\ntitle = 5", "5", of_type("a string", "integer `5`")),
        ("[image]\ntags = '17'", "'17'", of_type("a list", "string \"17\"")),
        ("image = 3", "3", of_type("a table", "integer `3`")),
        ("[image]\nplatforms = ['linux']", "'linux'", not(What::Platform, "linux")),
        ("[image]\ntags = ['a b']", "'a b'", not(What::Tag, "a b")),
        ("[image]\nepoch = 0", "0", not(What::Time, "0")),
        (
            "[image]\nepoch = '1989-12-31T23:59:59Z'",
            "'1989-12-31T23:59:59Z'",
            not(What::Time, "1989-12-31T23:59:59Z"),
        ),
        (
            "[vars]\na = 1.5",
            "1.5",
            of_type("a string, a whole number, a boolean, a list or a table", "floating point `1.5`"),
        ),
        ("[vars]\na = []", "[]", of_type("a string, a whole number, a boolean or { set = true }", "a list")),
        ("[vars]\nvariant = 1", "1", ErrorKind::Reserved { name: "variant".into() }),
        ("[vars]\n'a.b' = 1", "1", not(What::Name, "a.b")),
        ("[vars]\na = { default = 1 }", "{ default = 1 }", missing("set", "[vars]")),
        (
            "[vars]\na = '{{ b }}'\nb = '{{ a }}'",
            "'{{ b }}'",
            ErrorKind::Cycle { names: vec!["a".into(), "b".into(), "a".into()] },
        ),
        ("[vars]\nport = 1\n[config.env]\nA = 'x{{ prot }}'", "prot", undefined("prot", Some("port"))),
        ("[config.env]\nA = \"\\u00e9{{ prot }}\"", "\"\\u00e9{{ prot }}\"", undefined("prot", None)),
        (
            "[config.env]\nA = '{{ base.env.PATHS }}'",
            "base.env.PATHS",
            undefined("base.env.PATHS", Some("base.env.PATH")),
        ),
        (
            "[config.env]\nA = '{{ a'",
            "{{",
            ErrorKind::Template(TemplateFault::Unclosed { close: "}}".into() }),
        ),
        (
            "[vars]\nv = { set = true }\n[config.env]\nA = '{{ v }}'",
            "v",
            ErrorKind::Unset { name: "v".into(), stack: scope().stack },
        ),
        ("[config]\nexpose = ['80/x']", "'80/x'", not(What::Port, "80/x")),
        ("[config]\ncmd = 'run'", "'run'", not(What::Inherit, "run")),
        ("[config]\nworkdir = 'a'", "'a'", path("a", PathFault::NotAbsolute)),
        ("[config]\nhealthcheck = 'x'", "'x'", not(What::Nothing, "x")),
        ("[config.env]\n'A=B' = 'x'", "'x'", not(What::EnvName, "A=B")),
        ("[service]\nafter = { x = 'soon' }", "'soon'", not(What::After, "soon")),
        ("[service]\nvolumes = { 'x/../../evil' = '/x' }", "'/x'", not(What::Volume, "x/../../evil")),
        ("[service]\nvolumes = { Data = '/x' }", "'/x'", not(What::Volume, "Data")),
        ("[service]\nsecrets = { db-pass = { env = 'X' } }", "{ env = 'X' }", not(What::Secret, "db-pass")),
        ("[service]\nsecrets = { '../x' = { file = '/x' } }", "{ file = '/x' }", not(What::Secret, "../x")),
        ("[service]\nsecrets = { x = { env = 'A=B' } }", "'A=B'", not(What::EnvName, "A=B")),
        ("[service]\nhealth = { interval = '1y' }", "'1y'", not(What::Duration, "1y")),
        ("[[file]]\nfrom = 'a'", "[[file]]", missing("to", "[[file]]")),
        ("[[file]]\nfrom = 'a'\nto = 'x'", "'x'", path("x", PathFault::NotAbsolute)),
        ("[[file]]\nfrom = 'a'\nto = '/../x'", "'/../x'", path("/../x", PathFault::ClimbsOut)),
        ("[[file]]\nfrom = '../a'\nto = '/x'", "'../a'", path("../a", PathFault::ClimbsOut)),
        ("[[file]]\nfrom = '/a'\nto = '/x'", "'/a'", path("/a", PathFault::Absolute)),
        (
            "[[file]]\nfrom = '{{ x }}'\nto = '/x'\n[vars]\nx='../..'",
            "'{{ x }}'",
            path("../..", PathFault::ClimbsOut),
        ),
        (
            "[[file]]\nfrom = '{{ base.env.PATH }}'\nto = '/x'",
            "base.env.PATH",
            ErrorKind::NotKnownHere { name: "base.env.PATH".into(), base: false },
        ),
        ("[[file]]\nfrom = ['a', 'b']\nto = '/x'", "'/x'", path("/x", PathFault::NeedsSlash)),
        ("[[file]]\nfrom = 'a*'\nto = '/x'", "'/x'", path("/x", PathFault::NeedsSlash)),
        ("[[file]]\ntext = 'a'\nto = '/x/'", "'/x/'", path("/x", PathFault::NeedsName)),
        (
            "[[file]]\nfrom = '[a'\nto = '/x/'",
            "'[a'",
            ErrorKind::Glob { pattern: "[a".into(), fault: GlobFault::OpenClass },
        ),
        ("[[file]]\nfrom = 'a'\nto = '/x'\nmode = '0999'", "'0999'", not(What::Mode, "0999")),
        ("[[file]]\nfrom = 'a'\nto = '/x'\nmode = 644", "644", not(What::Mode, "644")),
        ("[[file]]\nfrom = 'a'\nto = '/x'\nowner = 'a:b:c'", "'a:b:c'", not(What::Owner, "a:b:c")),
        ("[[file]]\nfrom = 'a'\nto = '/x'\nmtime = 'now'", "'now'", not(What::Time, "now")),
        ("[[file]]\nfrom = 'a'\nto = '/x'\nbelow-volume = 'yes'", "'yes'", not(What::Ok, "yes")),
        (
            "[[file]]\nfrom = 'a'\nto = '/x'\ndelimiters = '<% %>'",
            "'<% %>'",
            needs("delimiters", &["template"]),
        ),
        (
            "[[file]]\nfrom = 'a'\nto = '/x'\ntemplate = true\ndelimiters = '<%'",
            "'<%'",
            not(What::Delimiters, "<%"),
        ),
        ("[[file]]\nfrom = 'a'\nto = '/x'\nmount = 'rw'", "'rw'", needs("mount", &["mount-in"])),
        ("[[file]]\nfrom = 'a'\nto = '/x'\npath = '/a'", "'/a'", needs("path", &["image", "recipe"])),
        ("[[file]]\nfetch = 'ftp://x/y'\nto = '/x'", "'ftp://x/y'", not(What::Url, "ftp://x/y")),
        ("[[file]]\nimage = 'x'\nto = '/x'", "[[file]]", missing("path", "[[file]]")),
        ("[[file]]\nfrom = 'a.tar'\nunpack = 'rar'\nto = '/x/'", "'rar'", not(What::Unpack, "rar")),
        ("[[edit]]\npath = '/a'\nreplace = ''\nwith = 'x'", "''", not(What::Text, "")),
        ("[[user]]\nname = 'a:b'\nuid = 1", "'a:b'", not(What::Login, "a:b")),
        ("[[user]]\nname = 'a'\nuid = 1\nhome = '/a:b'", "'/a:b'", not(What::Field, "/a:b")),
        ("[[group]]\nname = 'x'\ngid = -1", "-1", not(What::Number, "-1")),
        (
            "[[file]]\ninput = 'waar'\nto = '/x'\n[input.war]\nopen = true",
            "'waar'",
            ErrorKind::NoInput { name: "waar".into(), suggestion: Some("war".into()) },
        ),
        ("[input.x]\nimage = 'a'\npath = 'b'", "'b'", path("b", PathFault::NotAbsolute)),
        ("[input.x]\npath = '/b'", "'/b'", path("/b", PathFault::Absolute)),
        ("[[dir]]\npath = '/'", "'/'", path("/", PathFault::Root)),
        ("[[link]]\npath = '/a'", "[[link]]", missing("target", "[[link]]")),
        ("[[link]]\npath = '/a'\ntarget = 'b'\nhard = true", "'b'", path("b", PathFault::NotAbsolute)),
        ("[file]\nfrom = 'a'", "[file]", of_type("tables: [[file]]", "a single value")),
        (
            "[[variant.dev.drop]]\nto = '/x'",
            "'/x'",
            ErrorKind::Drop { path: "/x".into(), count: 0, suggestion: None },
        ),
        ("[variant.dev.base]\nextends = 'a/b'", "'a/b'", ErrorKind::ExtendsInVariant),
        ("[variant.'a b']", "'a b'", not(What::Name, "a b")),
    ];
    for (text, underlined, kind) in cases {
        // Behind, so that keys of the top level stay there.
        let text = format!("{text}\n[base]\nscratch = true\n");
        assert_eq!(errors(&text), [(underlined.to_owned(), kind)], "{text}");
    }
}

#[test]
fn bases() {
    let exactly = |found: &[&'static str]| ErrorKind::ExactlyOne {
        section: "[base]".into(),
        of: vec!["image", "recipe", "layout", "scratch", "extends"],
        found: found.to_vec(),
    };
    for (text, underlined, kind) in [
        ("", "", ErrorKind::NoBase),
        ("[base]", "[base]", exactly(&[])),
        (
            "base = { image = 'a', scratch = true }",
            "{ image = 'a', scratch = true }",
            exactly(&["image", "scratch"]),
        ),
        ("[base]\nscratch = false", "false", not(What::True, "false")),
        ("[base]\nrecipe = 'a'", "'a'", not(What::RecipeName, "a")),
        ("[base]\nlayout = '../a'", "'../a'", path("../a", PathFault::ClimbsOut)),
        ("[base]\nlayout = 'a@sha256:12'", "'a@sha256:12'", not(What::Layout, "a@sha256:12")),
        (
            "[base]\nimage = 'x:{{ platform.arch }}'",
            "platform.arch",
            ErrorKind::NotKnownHere { name: "platform.arch".into(), base: true },
        ),
        ("[base]\nextends = 'a/b'", "", ErrorKind::NoBase),
    ] {
        assert_eq!(errors(text), [(underlined.to_owned(), kind)], "{text}");
    }
    assert_eq!(layout_place("a/./b"), Ok(("a/b".into(), None)));
    assert!(layout_place(".").is_err() && layout_place("./:1").is_err());
    assert_eq!(layout_place("a.tar:17"), Ok(("a.tar".into(), Some(Selector::Tag("17".into())))));
    let digest = Digest::of(b"");
    assert_eq!(layout_place(&format!("a@{digest}")), Ok(("a".into(), Some(Selector::Digest(digest)))));
}

#[test]
fn a_service_is_checked_as_it_was_filled_in() {
    for (service, wrong, kind) in [
        ("volumes = { d = '{{ x }}' }", "../d", path("../d", PathFault::NotAbsolute)),
        (
            "secrets = { S = { file = '/run/{{ x }}' } }",
            "../../d",
            path("/run/../../d", PathFault::ClimbsOut),
        ),
        ("secrets = { S = { env = '{{ x }}' } }", "A=B", not(What::EnvName, "A=B")),
    ] {
        let text = format!("base.scratch = true\nvars.x = '{wrong}'\n[service]\n{service}\n");
        let errors = evaluated(&text, "prod").service_for(&scope()).unwrap_err();
        assert_eq!(shown(&text, errors)[0].1, kind, "{text}");
    }
}

#[test]
fn a_check_begins_with_its_program() {
    let base = "[base]\nscratch = true\n";
    for (cmd, instead) in [
        ("['CMD', 'curl', '-f', 'x y']", "cmd = [\"curl\", \"-f\", \"x y\"]"),
        ("['CMD-SHELL', 'curl -f x || exit 1']", "cmd = [\"sh\", \"-c\", \"curl -f x || exit 1\"]"),
        ("['CMD-SHELL', 'pg_isready', '-q']", "cmd = [\"sh\", \"-c\", \"pg_isready -q\"]"),
        ("['NONE']", "healthcheck = \"none\" in [config]; a service without a check has no [service.health]"),
    ] {
        for table in ["config.healthcheck", "service.health", "variant.dev.service.health"] {
            let errors = errors(&format!("{base}[{table}]\ncmd = {cmd}\n"));
            let [(at, ErrorKind::HealthWord { instead: found, .. })] = &errors[..] else {
                panic!("{errors:?}")
            };
            assert_eq!((found.as_str(), &at[..2]), (instead, &cmd[1..3]), "{table}");
        }
    }
    for cmd in ["['cmd', '/c', 'x']", "['/CMD']", "['sh', 'CMD']", "[]", "['NONE-SUCH']"] {
        assert_eq!(errors(&format!("{base}[service.health]\ncmd = {cmd}\n")), [], "{cmd}");
    }
    // Filled in it is no better.
    let vars = format!("{base}[vars]\nhow = 'CMD'\n");
    let config = evaluated(&format!("{vars}[config.healthcheck]\ncmd = ['{{{{ how }}}}', 'x']\n"), "prod");
    let service = evaluated(&format!("{vars}[service.health]\ncmd = ['{{{{ how }}}}', 'x']\n"), "prod");
    for error in [config.resolve(&scope()).unwrap_err(), service.service_for(&scope()).unwrap_err()] {
        assert!(matches!(error[0].kind, ErrorKind::HealthWord { .. }), "{error:?}");
    }
}

#[test]
fn whom_a_service_calls() {
    let base = "[base]\nscratch = true\n[vars]\nport = 4445\n[service]\n";
    let service = |text: &str| evaluated(&format!("{base}{text}\n"), "prod").service_for(&scope());
    let good =
        service("private = ['{{ port }}', '53/udp', 9]\ncalls = ['a', '{{ name }}']").unwrap().unwrap();
    assert_eq!(texts(&good.private.unwrap()), ["4445/tcp", "53/udp", "9/tcp"]);
    assert_eq!(texts(&good.calls.unwrap()), ["a", "postgres"]);
    for text in ["80:80", "x", "0", "{{ name }}"] {
        let errors = service(&format!("private = ['{text}']")).unwrap_err();
        assert!(matches!(errors[0].kind, ErrorKind::Invalid { what: What::Port, .. }), "{errors:?}");
    }
}

#[test]
fn how_a_service_reads_its_configuration_again() {
    let base = "[base]\nscratch = true\n[service]\n";
    let reload = |text: &str| {
        let evaluated = evaluated(&format!("{base}reload = {text}\n"), "prod");
        evaluated.service_for(&scope()).unwrap().unwrap().reload
    };
    assert_eq!(reload("\"restart\""), Some(Reload::Restart));
    assert!(
        matches!(reload("['kill', '{{ name }}']"), Some(Reload::Command(cmd)) if cmd[1].value == scope().name)
    );
    for (text, kind) in [
        ("'restrat'", not(What::Restart, "restrat")),
        ("'kill -HUP 1'", not(What::Restart, "kill -HUP 1")),
        ("true", of_type("a list or \"restart\"", "`true`")),
    ] {
        assert_eq!(errors(&format!("{base}reload = {text}\n"))[0].1, kind, "{text}");
    }
}

#[test]
fn many_mistakes_at_once() {
    let text = "[image]\ntitel = 1\nversoin = 2\ntags = [1, 2]\n[[file]]\nfrom = 'a'\nmode = '9'\n[config]\nexpose = [0]\nusr = 1\n";
    let found: Vec<_> = errors(text).into_iter().map(|(underlined, _)| underlined).collect();
    assert_eq!(found, ["titel", "versoin", "1", "[[file]]", "'9'", "usr"]);
}

#[test]
fn syntax_and_size() {
    for (text, underlined) in [("a = ", ""), ("[image\ntitle = 'x'", "")] {
        let found = errors(text);
        assert!(matches!(&found[0], (at, ErrorKind::Syntax { .. }) if at == underlined), "{text} {found:?}");
    }
    let found = errors("a = 1\nb = 1\na = 2");
    assert!(
        matches!(&found[..], [(at, ErrorKind::Twice { key, first: Some(first) })]
            if at == "a" && key == "a" && first.range == (0..1)),
        "{found:?}"
    );
    let large = " ".repeat((1 << 20) + 1);
    assert_eq!(errors(&large)[0].1, ErrorKind::TooLarge { length: (1 << 20) + 1, limit: 1 << 20 });
    for deep in [
        format!("{}a = 1", "a.".repeat(50_000)),
        format!("[{}a]", "a.".repeat(50_000)),
        format!("a = {}{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("a = {}1{}", "{a = ".repeat(50_000), "}".repeat(50_000)),
        format!("[service.container]\n{}a = 1", "a.".repeat(50_000)),
    ] {
        assert!(matches!(errors(&deep)[0].1, ErrorKind::Syntax { .. }));
    }
    // Variables that would fill the memory or the stack.
    let mut bomb = String::from("[base]\nscratch = true\n[vars]\nv0 = 'xxxxxxxxxxxxxxxx'\n");
    for n in 1..60 {
        bomb += &format!("v{n} = '{{{{ v{0} }}}}{{{{ v{0} }}}}'\n", n - 1);
    }
    let room = |error: &ErrorKind| match error {
        ErrorKind::Template(TemplateFault::Room { name, .. }) => name.clone(),
        other => panic!("{other}"),
    };
    let found = errors(&bomb);
    // 16 bytes, doubled; its second half has no room.
    assert!(
        matches!(&found[..], [(underlined, kind)] if room(kind) == "v16" && underlined == "v16"),
        "{found:?}"
    );
    // Many that are long, each of them allowed.
    let mut many =
        format!("[base]\nscratch = true\n[vars]\nlong = '{}'\n[config.env]\n", "x".repeat(1 << 19));
    for n in 0..5000 {
        many += &format!("N{n} = '{{{{ long }}}}'\n");
    }
    assert_eq!(room(&errors(&many)[0].1), "long");
    let mut chain = String::from("[base]\nscratch = true\n[vars]\nv0 = 'x'\n");
    for n in 1..5000 {
        chain += &format!("v{n} = '{{{{ v{} }}}}'\n", n - 1);
    }
    let _ = errors(&chain);
}

#[test]
fn variants_patch_everything() {
    let text = r#"
base.image = "a"
[config]
entrypoint = ["x"]
cmd = ["y"]
env = { A = "1", B = "2" }
volumes = ["/v"]
healthcheck = { cmd = ["h"], interval = "1s" }
remove.env = ["X"]
[service]
container = { deploy = { b = 1, c = 2 } }
[[file]]
from = "one"
to = "/a/"
[[dir]]
path = "/a"
[[link]]
path = "/l"
target = "t"
[[file]]
from = "p"
to = "/p"
in = ["prod"]
[variant.dev]
base.scratch = true
[variant.dev.config]
cmd = []
env.B = "3"
healthcheck.interval = "2s"
[variant.dev.service]
container.deploy.c = 3
[[variant.dev.file]]
from = "two"
to = "/a"
[[variant.dev.drop]]
path = "/l/"
"#;
    let dev = evaluated(text, "dev");
    assert!(matches!(dev.base, Base::Scratch(_)));
    assert_eq!(dev.config.cmd, Some(Cmd::Set(vec![])));
    assert_eq!(texts(dev.config.entrypoint.as_ref().unwrap()), ["x"]);
    assert_eq!((dev.config.env["A"].as_str(), dev.config.env["B"].as_str()), ("1", "3"));
    let Some(Healthcheck::Check(check)) = &dev.config.healthcheck else { panic!() };
    assert_eq!((check.cmd.is_some(), check.interval), (true, Some(2_000_000_000)));
    let container = dev.service.as_ref().unwrap().container.as_ref().unwrap()["deploy"].to_string();
    assert_eq!(container.replace([' ', '\n'], ""), "{b=1,c=3}");
    let kinds: Vec<_> = dev.entries.iter().map(|entry| entry.identity()).collect();
    assert_eq!(kinds, [("file", Some("/a".to_owned())), ("dir", Some("/a".to_owned()))]);
    assert!(
        matches!(&dev.entries[0].action, Action::File(File { source: Source::From(from), .. }) if from[0].value == "two")
    );
    assert_eq!(evaluated(text, "prod").entries.len(), 4);
    let twice = format!("{text}\n[[variant.prod.drop]]\nto = '/a'\n");
    let errors = parse(FILE, &twice).unwrap().variant(Encoding::V1, "prod").unwrap_err();
    assert_eq!(
        shown(&twice, errors),
        [("'/a'".into(), ErrorKind::Drop { path: "/a".into(), count: 2, suggestion: None })]
    );
}

#[test]
fn platforms_of_entries() {
    let text = "base.scratch = true\n[[file]]\nfrom = 'a'\nto = '/{{ platform.arch }}'\nplatforms = ['linux/arm64']\n\
                [[file]]\nfrom = 'b'\nto = '/b'\nplatforms = ['linux/amd64']\n";
    let resolved = resolved(text, "dev");
    assert_eq!((resolved.entries.len(), file(&resolved, 0).to.as_str()), (1, "/arm64"));
    let mut arm = Scope { os: "linux".into(), arch: "arm64".into(), ..Scope::default() };
    for (variant, platform, matches) in [
        ("", "linux/arm64", true),
        ("v8", "linux/arm64", true),
        ("", "linux/arm64/v8", true),
        ("v8", "linux/arm64/v9", false),
        ("", "linux/arm", false),
        ("", "windows/arm64", false),
    ] {
        arm.arch_variant = variant.into();
        assert_eq!(platform_matches(platform, &arm), matches, "{variant} {platform}");
    }
}

#[test]
fn extends() {
    let parent = parse(
        "recipes/a/parent/recipe.toml",
        "base.image = 'x:{{ tag }}'\nimage = { title = 'T', tags = ['1'] }\nvars.tag = 'one'\n\
         [config]\ncmd = ['parent']\n[variant.dev.config]\ncmd = ['parent-dev']\nuser = 'dev'\n\
         [[file]]\nfrom = 'p'\nto = '/p/{{ name }}'\n[[file]]\nfrom = 'q'\nto = '/q'\n",
    )
    .unwrap();
    let text = "base.extends = 'a/parent'\nvars.tag = 'two'\nconfig.cmd = ['child']\n\
                [[file]]\nfrom = 'c'\nto = '/c'\n[[drop]]\nto = '/q'\n";
    let child = parse(FILE, text).unwrap();
    assert_eq!(child.extends().map(|name| name.as_str()), Some("a/parent"));
    let child = Recipe::extend(("a/parent", &parent), child);
    assert!(child.sections().contains_key("a/parent config") && child.sections().contains_key("config"));
    let evaluated = child.variant(Encoding::V1, "dev").unwrap();
    let dev = evaluated.resolve(&scope()).unwrap();
    assert!(matches!(&dev.base, Base::Image(image) if image.value == "x:two"));
    assert!(matches!(&dev.config.cmd, Some(Cmd::Set(cmd)) if texts(cmd) == ["child"]));
    assert_eq!(dev.config.user.as_ref().map(|user| user.as_str()), Some("dev"));
    assert_eq!((dev.image.title.is_some(), dev.image.tags.is_some()), (true, false));
    assert_eq!((file(&dev, 0).to.as_str(), file(&dev, 1).to.as_str()), ("/p/postgres", "/c"));
    let directories: Vec<_> =
        evaluated.source_paths(&scope()).unwrap().into_iter().map(|path| path.place()).collect();
    assert_eq!(directories, ["recipes/a/parent", "recipes/db/postgres"]);

    let grandchild =
        parse("recipes/g/g/recipe.toml", "base.extends = 'db/postgres'\nimage.tags = ['g']").unwrap();
    let grandchild = Recipe::extend(("db/postgres", &child), grandchild);
    assert!(
        grandchild.sections().contains_key("a/parent config")
            && grandchild.sections().contains_key("db/postgres config")
    );
    assert_eq!(grandchild.variant(Encoding::V1, "prod").unwrap().entries.len(), 2);
}

#[test]
fn variants_are_the_workspaces() {
    let text = "base.scratch = true\n[variant.div]\n[[file]]\nfrom = 'a'\nto = '/a'\nin = ['dev', 'prd']\nmount-in = ['xxxx']\n";
    let errors = parse(FILE, text).unwrap().check_variants(&["dev".into(), "prod".into()]);
    let unknown = |name: &str, suggestion: Option<&str>| ErrorKind::UnknownVariant {
        name: name.into(),
        suggestion: suggestion.map(str::to_owned),
    };
    let want = [
        ("div".to_owned(), unknown("div", Some("dev"))),
        ("'prd'".to_owned(), unknown("prd", Some("prod"))),
        ("'xxxx'".to_owned(), unknown("xxxx", None)),
    ];
    assert_eq!(shown(text, errors), want);
}

#[test]
fn bare() {
    for (text, bare) in [
        ("", true),
        (
            "image.tags = ['1']\nimage.platforms = ['linux/amd64']\nimage.owner = 'x'\nvars.a = 1\nservice.ports = [1]",
            true,
        ),
        ("config.remove.env = ['A']", false),
        ("config.cmd = []", false),
        ("config.labels.a = 'b'", false),
        ("image.title = 'x'", false),
        ("image.epoch = 946684800", false),
        ("[[dir]]\npath = '/a'", false),
        ("[[dir]]\npath = '/a'\nin = ['prod']", true),
        ("[variant.dev.config]\nuser = 'x'", false),
        ("[variant.prod.config]\nuser = 'x'", true),
    ] {
        assert_eq!(evaluated(&format!("base.image = 'x'\n{text}"), "dev").is_bare(), bare, "{text}");
    }
}

#[test]
fn what_a_recipe_leaves_to_the_workspace() {
    let workspace = parse_workspace("cooper.toml", "").unwrap();
    for (image, want) in [
        ("", "linux/amd64 linux/arm64"),
        ("image.platforms = ['linux/s390x', 'linux/arm64/v8', 'linux/arm64']", "linux/arm64 linux/s390x"),
    ] {
        let recipe = evaluated(&format!("base.image = 'x'\n{image}"), "dev");
        let platforms = recipe.platforms(&workspace.platforms).unwrap();
        let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        assert_eq!(names.join(" "), want);
    }
}

#[test]
fn sections_see_meaning_only() {
    let sections = |text: &str| parse(FILE, text).unwrap().sections().clone();
    let one = sections(
        "base.image='x'\n[config]\nuser='u'\nworkdir='/w'\n[service]\nports=[1]\n[variant.dev.config]\nuser='d'",
    );
    let same = sections(
        "# hi\n[config]\nworkdir = \"/w\"\nuser = 'u'\n[base]\nimage = '''x'''\n[variant.dev]\nconfig = {user='d'}\nservice.ports=[2]",
    );
    assert_eq!(one, same);
    assert_eq!(one.keys().collect::<Vec<_>>(), ["base", "config", "variant.dev"]);
    let moved = sections("base.image='x'\n[config]\nuser='v'\nworkdir='/w'\n[variant.dev.config]\nuser='d'");
    assert_ne!(one["config"], moved["config"]);
    assert_eq!(one["base"], moved["base"]);
}

#[test]
fn secrets() {
    for (text, underlined) in [
        ("[config.env]\nDB_PASSWORD = 'hunter2'", Some("'hunter2'")),
        ("[config.env]\nDB_PASSWORD = '{{ pw }}'\n[vars]\npw = 'hunter2'", Some("'{{ pw }}'")),
        ("[config.env]\nDB_PASSWORD = '{{ pw }}'\n[vars]\npw = ''", None),
        ("[config.env]\nDB_PASSWORD = '${DB_PASSWORD}'\nDB_PASSWORD_FILE = '/run/x'\nTOKEN = ''", None),
        ("[vars]\napi_token = 'abc'", Some("'abc'")),
        ("[vars]\napi_token = { set = true }", None),
        (
            "[config.labels]\nx = 'ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
            Some("'ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"),
        ),
        (
            "[[file]]\nto = '/k'\ntext = '-----BEGIN EC PRIVATE KEY-----'",
            Some("'-----BEGIN EC PRIVATE KEY-----'"),
        ),
        (
            "[[edit]]\npath = '/k'\nappend = '-----BEGIN EC PRIVATE KEY-----'",
            Some("'-----BEGIN EC PRIVATE KEY-----'"),
        ),
        ("[[file]]\nto = '/k'\ntext = '-----BEGIN EC PRIVATE KEY-----'\nallow-secret = 'a test key'", None),
    ] {
        let text = format!("{text}\n[base]\nscratch = true");
        let recipe = evaluated(&text, "dev");
        let found = shown(&text, recipe.resolve(&scope()).unwrap().guard(&recipe));
        assert_eq!(found.first().map(|(at, _)| at.as_str()), underlined, "{text}");
    }
}

#[test]
fn values_in_many_ways() {
    let text = "base.scratch = true\n[image]\nepoch = 2026-11-21T00:00:00Z\n\
        [[file]]\nfrom = ['a', 'b/*.sql']\nto = '/x/'\nmode = 0o640\ndir-mode = '750'\nowner = 1000\nmtime = 'content'\n\
        template = ['*.j2']\ndelimiters = '<% %>'\nexclude = ['**/*.map']\nxattrs = { 'user.x' = 'y' }\nlayer = 'l'\n\
        [[file]]\ntext = '<% name %> {{ name }}'\nto = '/y'\ntemplate = true\ndelimiters = '<% %>'\nowner = 'a:7'\n\
        [[remove]]\npath = '/usr/share/{doc,man}/**'\nmissing = 'ok'\n";
    let resolved = resolved(text, "dev");
    assert_eq!(resolved.image.epoch, Some(1_795_219_200));
    let first = file(&resolved, 0);
    assert_eq!((&first.mode, &first.dir_mode), (&Some(Mode::Bits(0o640)), &Some(Mode::Bits(0o750))));
    assert_eq!(first.mtime, Mtime::Content);
    assert_eq!(first.owner.as_ref().unwrap().value, Owner { user: Id::Number(1000), group: None });
    for (path, name) in [("a/b.conf.j2", Some("a/b.conf")), ("x.conf", None), (".j2", Some(".j2"))] {
        assert_eq!(first.template.rendered_name(path).as_deref(), name, "{path}");
    }
    let ResolvedSource::From(from) = &first.source else { panic!() };
    assert!(!from[0].is_glob() && from[1].is_glob());
    assert!(Glob::parse(from[1].key.name()).unwrap().matches(b"b/1.sql"));
    let second = file(&resolved, 1);
    assert!(matches!(&second.source, ResolvedSource::Text(text) if text.value == "postgres {{ name }}"));
    assert_eq!(
        second.owner.as_ref().unwrap().value,
        Owner { user: Id::Name("a".into()), group: Some(Id::Number(7)) }
    );
    let ResolvedAction::Remove { glob, missing_ok: true } = &resolved.entries[2].action else { panic!() };
    assert!(glob.matches(b"/usr/share/doc/x/y") && !glob.matches(b"/usr/share/doc"));
}

#[test]
fn what_a_stack_gives() {
    let variants = ["dev".to_owned(), "prod".to_owned()];
    let stack = |stack: &str, text: &str| {
        Arc::new(parse_stack(&format!("recipes/{stack}/stack.toml"), text, &variants).unwrap())
    };
    let workspace = parse_workspace("cooper.toml", "[vars]\na = 'w'\nw = 'w'\nd = 'w'\n").unwrap().given;
    let text = "base.scratch = true\n[vars]\na = { set = true }\nb = { set = true, default = 'r' }\nc = 'r'\n\
        d = { set = true }\ne = { set = true, default = 'r' }\nf = { set = true }\n[variant.dev.vars]\na = 'r-dev'\n";
    let far = stack("far", "[vars]\na = 'f'\nx = 'f'\nb = 'f'\n");
    let near = stack(
        "near",
        "[vars]\na = 's'\nb = 's'\nc = 's'\nd = { set = true }\nn = '{{ a }}'\n[variant.dev.vars]\nb = 's-dev'\n",
    );
    let recipe = parse(FILE, text).unwrap().within(vec![workspace, far, near]);
    for (variant, wanted) in [
        (
            "prod",
            [("a", "s"), ("b", "s"), ("c", "r"), ("d", "w"), ("e", "r"), ("n", "s"), ("w", "w"), ("x", "f")],
        ),
        (
            "dev",
            [
                ("a", "r-dev"),
                ("b", "s-dev"),
                ("c", "r"),
                ("d", "w"),
                ("e", "r"),
                ("n", "r-dev"),
                ("w", "w"),
                ("x", "f"),
            ],
        ),
    ] {
        let names = recipe.variant(Encoding::V1, variant).unwrap().resolve(&scope()).unwrap().names;
        for (name, value) in wanted {
            assert_eq!(names.get(name).map(String::as_str), Some(value), "{variant} {name}");
        }
        assert!(!names.contains_key("f"));
    }
    // --set is nearer than all of them, for what is declared.
    let set = Scope { set: [("a".to_owned(), "given".to_owned())].into(), ..scope() };
    let prod = recipe.variant(Encoding::V1, "prod").unwrap();
    assert_eq!(prod.resolve(&set).unwrap().names["n"], "given");
    // What is recorded: what the recipe declares or names, and what that names.
    let all = [recipe.variant(Encoding::V1, "dev").unwrap(), prod];
    let all: Vec<_> = all.iter().collect();
    let given = |used: &[&str]| {
        let sections = recipe.sections_with(&all, used.iter().map(|name| (*name).to_owned()));
        let keys = sections.keys().filter(|key| given_section(key).is_some());
        keys.map(|key| key.replace("recipes/", "")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(given(&[]), "cooper.toml d, near/stack.toml a, near/stack.toml b");
    assert_eq!(
        given(&["x", "c", "none"]),
        "cooper.toml d, far/stack.toml x, near/stack.toml a, near/stack.toml b"
    );
    assert!(recipe.has_sections(&all, &recipe.sections_with(&all, ["n".to_owned()])));
    assert!(!recipe.has_sections(&all, recipe.sections()));
}

#[test]
fn workspace_files() {
    let text = "cooper = '>=0.1'\n[workspace]\nvariants = ['one', 'two']\ndefault = ['quickstart/*']\n\
                platforms = ['linux/arm64']\nlabels = { a = 'b' }\nowner = 'team'\n\
                [publish]\nrepository = 'registry.example/{{ stack }}/{{ name }}'\n";
    let file = parse_workspace("cooper.toml", text).unwrap();
    assert_eq!((file.default_variant(), texts(&file.platforms)), ("one", vec!["linux/arm64"]));
    let default = parse_workspace("cooper.toml", "").unwrap();
    assert_eq!((default.default_variant(), default.platforms.len()), ("prod", 2));
    for (text, underlined, kind) in [
        (
            "cooper = '>=99'\nnews = 1",
            "'>=99'",
            ErrorKind::TooOld { required: ">=99".into(), have: env!("CARGO_PKG_VERSION").into() },
        ),
        ("cooper = '0.1'", "'0.1'", not(What::Version, "0.1")),
        ("cooper = 1", "1", of_type("a string", "integer `1`")),
        ("[vars]\nvariant = 1", "1", ErrorKind::Reserved { name: "variant".into() }),
        ("[worksapce]", "worksapce", unknown("worksapce", "cooper.toml", Some("workspace"))),
        ("[workspace]\nvariant = []", "variant", unknown("variant", "[workspace]", Some("variants"))),
        ("[workspace]\nplatforms = ['x']", "'x'", not(What::Platform, "x")),
        (
            "[workspace]\ndefault = ['../*']",
            "'../*'",
            ErrorKind::NeverMatches {
                pattern: "../*".into(),
                why: "it has a `.` or `..` for a name",
                meant: "*".into(),
            },
        ),
        (
            "[publish]\nrepository = 'r/{{ stak }}'",
            "'r/{{ stak }}'",
            ErrorKind::Template(TemplateFault::Undefined { name: "stak".into() }),
        ),
    ] {
        let errors = shown(text, parse_workspace("cooper.toml", text).unwrap_err());
        assert_eq!(errors, [(underlined.to_owned(), kind)], "{text}");
    }
}

#[test]
fn nothing_panics() {
    let mut cut = POSTGRES.to_owned();
    for index in POSTGRES.char_indices().map(|(index, _)| index) {
        let _ = errors(&POSTGRES[..index]);
        cut.remove(index);
        let _ = errors(&cut);
        cut.insert(index, if index % 2 == 0 { 'é' } else { '\r' });
        let _ = errors(&cut);
        cut = POSTGRES.to_owned();
    }
}
