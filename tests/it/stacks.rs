//! `[vars]` of a stack and of the workspace, which recipes read as their own.

use crate::support::{Run, Test};

const WEB: &str = "\
[base]
scratch = true
[vars]
host = { set = true }
own  = \"mine\"
[[file]]
from     = \"web.conf\"
to       = \"/web.conf\"
template = true
[service]
env = { REGION = \"{{ region }}\" }
";
const PLAIN: &str = "[base]\nscratch = true\n[[file]]\ntext = \"x\"\nto = \"/x\"\n";
const STACK: &str = "\
[vars]
host   = \"shop.example\"
issuer = \"https://{{ host }}\"
own    = \"not mine\"
region = \"eu\"
[variant.dev.vars]
host = \"localhost\"
";

/// Two recipes: one takes the stack's values, by its own words and by a template's, the other takes none.
fn shop() -> Test {
    Test::workspace()
        .file("recipes/shop/stack.toml", STACK)
        .file("recipes/shop/web/recipe.toml", WEB)
        .file("recipes/shop/web/web.conf", "{{ issuer }} {{ own }} {{ zone }}\n")
        .file("recipes/shop/plain/recipe.toml", PLAIN)
}

fn with_zone(test: Test, zone: &str) -> Test {
    let text = test.read("cooper.toml");
    let text = text.split("[vars]").next().unwrap().to_owned();
    test.file("cooper.toml", format!("{text}[vars]\nzone = \"{zone}\"\n"))
}

fn digest(run: &Run, recipe: &str, variant: &str) -> String {
    let document = run.json();
    let recipes = document["recipes"].as_array().unwrap();
    let images = recipes.iter().find(|one| one["recipe"] == recipe).unwrap()["images"].as_array().unwrap();
    images.iter().find(|one| one["variant"] == variant).unwrap()["digest"].as_str().unwrap().to_owned()
}

const BUILD: [&str; 4] = ["build", "--all", "--format", "json"];

#[test]
fn what_nobody_gives_is_told_with_the_line_to_write() {
    // In a string of the recipe, and in a template.
    for (declared, conf, at) in [
        ("host = { set = true }", "{{ host }}", "4:8"),
        ("host = { set = true }\nurl = \"x{{ host }}\"", "{{ url }}", "5:12"),
        ("host = { set = true }", "{{ host | upper }}", "4:8"),
    ] {
        let recipe = WEB.replace("host = { set = true }", declared);
        let test = shop().remove("recipes/shop/stack.toml").file("recipes/shop/web/recipe.toml", recipe);
        let run_ = test.file("recipes/shop/web/web.conf", conf).run(["build", "shop/web"]).status(3);
        assert!(run_.err.contains("`host` is not given"), "{}", run_.err);
        assert!(run_.err.contains(&format!("recipes/shop/web/recipe.toml:{at}")), "{}", run_.err);
        assert!(
            run_.err.contains("write host = \"…\" below [vars] into recipes/shop/stack.toml"),
            "{}",
            run_.err
        );
        let run_ = run_.then().run(["build", "shop/web", "--set", "host=h"]).status(0);
        // And so it holds for the next build.
        run_.then()
            .file("recipes/shop/stack.toml", "[vars]\nhost = \"h\"\n")
            .run(["build", "shop/web"])
            .status(0);
    }
    // Whoever has something in its place needs nothing.
    let test = shop().remove("recipes/shop/stack.toml");
    test.file("recipes/shop/web/web.conf", "{{ host | default(\"h\") }}")
        .run(["build", "shop/web"])
        .status(0);
}

#[test]
fn a_value_that_is_used_makes_the_lock_stale() {
    let run_ = with_zone(shop(), "a").run(BUILD).status(0);
    let before = [
        digest(&run_, "shop/web", "prod"),
        digest(&run_, "shop/web", "dev"),
        digest(&run_, "shop/plain", "prod"),
    ];
    let mut test = run_.then();
    let lock = test.read("lockfiles/shop/web.lock");
    for key in ["recipes/shop/stack.toml host", "recipes/shop/stack.toml issuer", "cooper.toml zone"] {
        assert!(lock.contains(&format!("\"{key}\" = \"sha256:")), "{key}\n{lock}");
    }
    assert!(!lock.contains("own\"") && !lock.contains("region"), "{lock}");
    assert!(!test.read("lockfiles/shop/plain.lock").contains("stack.toml"));
    test = test.run(["build", "--all", "--locked"]).status(0).then();
    for (from, to, reason, moved) in [
        (
            "host   = \"shop.example\"",
            "host   = \"other.example\"",
            Some("recipes/shop/stack.toml [vars] host"),
            [true, false],
        ),
        (
            "host = \"localhost\"",
            "host = \"127.0.0.1\"",
            Some("recipes/shop/stack.toml [vars] host"),
            [false, true],
        ),
        ("https://", "http://", Some("recipes/shop/stack.toml [vars] issuer"), [true, true]),
        // Its own value wins, and how it is run is in no image.
        ("not mine", "not yours", None, [false, false]),
        ("\"eu\"", "\"us\"", None, [false, false]),
        ("[vars]\n", "# said once\n[vars]\nmore = 1\n", None, [false, false]),
    ] {
        test = test.file("recipes/shop/stack.toml", STACK.replacen(from, to, 1));
        let status = i32::from(reason.is_some());
        let run_ = test.run(["build", "--all", "--locked"]).status(status);
        let told = reason.map(|reason| format!("{reason} changed"));
        assert!(told.is_none_or(|told| run_.err.contains(&told)), "{reason:?}\n{}", run_.err);
        let run_ = run_.then().run(["list", "--all", "--format", "json"]).status(0);
        let states: Vec<String> = run_.json()["images"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["state"] != "complete")
            .map(|one| one["recipe"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(states.contains(&"shop/web".to_owned()), reason.is_some(), "{states:?}");
        assert!(!states.contains(&"shop/plain".to_owned()), "{states:?}");
        let run_ = run_.then().run(BUILD).status(0);
        let after = [
            digest(&run_, "shop/web", "prod"),
            digest(&run_, "shop/web", "dev"),
            digest(&run_, "shop/plain", "prod"),
        ];
        let same: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
        assert_eq!(same, [!moved[0], !moved[1], true], "{from} -> {to}");
        if let Some(reason) = reason {
            assert!(run_.out.contains(reason), "{}", run_.out);
        }
        test = run_.then().run(["build", "--all", "--locked"]).status(0).then();
        // As it was.
        test = test.file("recipes/shop/stack.toml", STACK).run(["build", "--all"]).status(0).then();
    }
    let run_ = with_zone(test, "b").run(["lock", "--check"]).status(1);
    assert!(run_.err.contains("cooper.toml [vars] zone changed"), "{}{}", run_.out, run_.err);
    // A stack without the file leaves all to the workspace, and to the recipe.
    let run_ = run_.then().remove("recipes/shop/stack.toml").run(["build", "shop/web"]).status(3);
    assert!(run_.err.contains("`host` is not given") || run_.err.contains("issuer"), "{}", run_.err);
}

#[test]
fn a_child_in_another_stack_reads_its_own_first() {
    let child = "[base]\nextends = \"shop/web\"\n";
    let test = with_zone(shop(), "a").file("recipes/site/web/recipe.toml", child);
    let run_ = test.run(BUILD).status(0);
    let (parent, same) = (digest(&run_, "shop/web", "prod"), digest(&run_, "site/web", "prod"));
    assert_eq!(parent, same, "nothing of its own");
    let run_ =
        run_.then().file("recipes/site/stack.toml", "[vars]\nhost = \"site.example\"\n").run(BUILD).status(0);
    assert_eq!(digest(&run_, "shop/web", "prod"), parent);
    assert_ne!(digest(&run_, "site/web", "prod"), parent);
    let lock = run_.then().read("lockfiles/site/web.lock");
    assert!(
        lock.contains("\"recipes/site/stack.toml host\"")
            && lock.contains("\"recipes/shop/stack.toml issuer\""),
        "{lock}"
    );
}

#[test]
fn mistakes_in_a_stack() {
    for (text, at, message) in [
        ("[vras]\na = 1\n", "1:2", "unknown key `vras` in stack.toml"),
        ("[variant.dve.vars]\na = 1\n", "1:", "the workspace has no variant `dve`"),
        ("[variant.dev]\nfile = 1\n", "2:1", "unknown key `file`"),
        ("[vars]\nname = \"x\"\n", "2:", "`name` is a name of Cooper's own"),
        ("[vars]\nhost = [1]\n", "2:", "expected a string"),
        ("[vars]\nhost = \"{{ nowhere }}\"\n", "2:12", "`nowhere` is not defined"),
        ("vars = 1\n", "1:", "expected"),
    ] {
        let run_ = shop().file("recipes/shop/stack.toml", text).run(["build", "shop/web"]).status(3);
        let place = format!("recipes/shop/stack.toml:{at}");
        assert!(run_.err.contains(&place) && run_.err.contains(message), "{text}\n{}", run_.err);
    }
    let test = shop().file("else.toml", STACK).remove("recipes/shop/stack.toml");
    std::os::unix::fs::symlink("/etc/passwd", test.path("recipes/shop/stack.toml")).unwrap();
    test.run(["build", "shop/web"]).status(3);
}
