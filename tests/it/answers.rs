//! What `--format json` gives is what the committed schema says, for each verb.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::registry::Registry;
use super::support::Test;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/answers.schema.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What of a value its schema doesn't say, strictly: a key that the schema doesn't have is one, too.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return faults(root, root.pointer(name.trim_start_matches('#')).unwrap(), value, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |allowed: &Value| {
        allowed == kind || allowed.as_array().is_some_and(|all| all.iter().any(|one| one == kind))
    };
    let mut found = Vec::new();
    if !schema["type"].is_null() && !is(&schema["type"]) {
        found.push(format!("{at} is {kind}"));
    }
    if schema["const"] != Value::Null && schema["const"] != *value {
        found.push(format!("{at} is {value}"));
    }
    if let Some(all) = schema["enum"].as_array()
        && !all.contains(value)
    {
        found.push(format!("{at} is {value}"));
    }
    if schema["pattern"].is_string()
        && let Some(text) = value.as_str()
        && !(text.len() == 71 && text.starts_with("sha256:"))
    {
        found.push(format!("{at} is {text}"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(root, &schema["items"], item, &format!("{at}[{number}]")));
    }
    if let Some(members) = value.as_object() {
        for (key, member) in members {
            let at = format!("{at}.{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Null) => found.push(format!("{at} isn't in the schema")),
                (Value::Null, Value::Bool(_)) => {}
                (Value::Null, others) => found.extend(faults(root, others, member, &at)),
                (known, _) => found.extend(faults(root, known, member, &at)),
            }
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(key.as_str().unwrap()) {
                found.push(format!("{at} has no {key}"));
            }
        }
    }
    found
}

const OS: &str = "d 0755 0:0 etc\nf 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\\n\n";

/// Runs a verb and compares its document.
fn says(test: Test, kind: &str, arguments: &[&str], status: i32, seen: &mut BTreeSet<String>) -> Test {
    let run = test.run([&["--format", "json"], arguments].concat()).status(status);
    let (root, value) = (schema(), run.json());
    let found = faults(&root, &root["$defs"][kind], &value, "");
    assert!(found.is_empty(), "{arguments:?} as {kind}: {found:#?}\n{value:#}");
    seen.insert(kind.to_owned());
    run.then()
}

#[test]
fn every_answer_is_as_its_schema_says() {
    let registry = Registry::start();
    let mut seen = BTreeSet::new();
    let test = says(Test::new(), "init", &["init"], 0, &mut seen);
    let cooper = format!(
        "[workspace]\nplatforms = [\"linux/amd64\"]\n[publish]\nrepository = \"{}/{{{{ stack }}}}/{{{{ name }}}}\"\n",
        registry.host()
    );
    let site = format!("attempts = 2\n[registry.\"{}\"]\nplain-http = true\n", registry.host());
    let test = test.file("cooper.toml", cooper).file("site.toml", site).base("seed", "1", &[OS]);
    registry.seed_layout("lib/os", "1", &test.path("seed"));
    let blob = registry.put_blob("lib/files", *b"a file");
    let recipe = format!(
        "[image]\ntitle = \"x\"\ntags = [\"1\"]\nowner = \"us\"\n[base]\nimage = \"{0}/lib/os:1\"\n[[file]]\nfrom = \"f\"\nto = \"/f\"\n\
         [[file]]\nfetch = \"http://{0}/v2/lib/files/blobs/{blob}\"\nsha256 = \"{1}\"\nto = \"/g\"\n[service]\nports = [\"80\"]\ncheck = [\"true\"]\n",
        registry.host(),
        blob.hex()
    );
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    let mut test =
        test.file("recipes/a/b/recipe.toml", recipe).file("recipes/a/b/f", "1").env("COOPER_CONFIG", &config);
    for (kind, arguments, status) in [
        ("locked", &["build", "--locked", "a/b"][..], 1),
        ("build", &["build", "--all", "--to", "oci:out"], 0),
        ("build", &["build", "a/b", "--twice"], 0),
        ("lock", &["lock", "a/b"], 0),
        ("lock", &["lock", "--check"], 0),
        ("lock-audit", &["lock", "--audit", "a/b"], 0),
        ("lock-prune", &["lock", "--prune"], 0),
        ("update", &["update"], 0),
        ("update", &["update", "a/b"], 0),
        ("list", &["list", "--all"], 0),
        ("list-found", &["list", "--has", "/f"], 0),
        ("show", &["show", "a/b"], 0),
        ("show-digests", &["show", "--digests", "a/b"], 0),
        ("check", &["check", "a/b"], 0),
        ("compose", &["compose", "a"], 0),
        ("copy", &["copy", "a/b", "oci:two"], 0),
        ("push", &["push", "a/b"], 0),
        ("pull", &["pull", "a/b"], 0),
        ("vendor", &["vendor", "a/b"], 0),
        ("store-verify", &["store", "verify"], 0),
        ("gc", &["gc"], 0),
    ] {
        test = says(test, kind, arguments, status, &mut seen);
    }
    // A base that moves, and what no lock says any more.
    let test = test.base("other", "1", &[OS, "f 0644 0:0 new x\n"]);
    registry.seed_layout("lib/os", "1", &test.path("other"));
    let test = says(test, "update", &["update", "--all"], 0, &mut seen).file("recipes/a/b/f", "2");
    let test = says(test, "locked", &["lock", "--check"], 1, &mut seen);
    let run = test.run(["--format", "json", "build", "--locked", "a/b"]).status(1);
    let lock = &run.json()["locks"][0];
    assert_eq!((&lock["state"], &lock["mend"]), (&"stale".into(), &"cooper build a/b".into()));
    let kinds: Vec<_> = lock["reasons"].as_array().unwrap().iter().map(|reason| &reason["kind"]).collect();
    assert!(kinds.contains(&&"file-changed".into()), "{kinds:?}");
    let digest = format!("{}/lib/os:1@sha256:{}", registry.host(), "5".repeat(64));
    says(run.then(), "lock-pin", &["lock", "--pin", &digest], 0, &mut seen);
    let root = schema();
    let all: BTreeSet<_> = root["anyOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(seen, all);
}
