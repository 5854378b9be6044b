//! `show --digests`: names for deployment, in every format to the letter, and what stands in their way.

use serde_json::{Value, json};

use crate::support::{Run, Test};

const PUBLISH: &str = "[publish]\nrepository = \"registry.example/{{ stack }}/{{ name }}\"\n";
const RECIPE: &str = "\
[image]\ntags = [\"1.0\", \"1\"]\n\n[base]\nscratch = true\n\n[[file]]\ntext = \"x\"\nto = \"/x\"\n\n\
[[variant.dev.file]]\ntext = \"y\"\nto = \"/y\"\n";

fn workspace(publish: &str, recipes: &[&str]) -> Test {
    let start = "[workspace]\ndefault = [\"shop/*\"]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n";
    let test = Test::new().file("cooper.toml", format!("{start}\n{publish}"));
    recipes.iter().fold(test, |test, name| test.file(&format!("recipes/{name}/recipe.toml"), RECIPE))
}

fn shop() -> Test {
    workspace(PUBLISH, &["shop/web", "shop/api.v2", "db/pg"])
}

/// The images of the whole workspace by `stack/name#variant`, as `build` has them.
fn built(test: Test) -> (Test, impl Fn(&str) -> Value) {
    let run = test.run(["build", "--all", "--format", "json"]).stderr("").status(0);
    let document = run.json();
    let image = move |name: &str| {
        let images = document["recipes"].as_array().unwrap().iter();
        let mut images = images.flat_map(|recipe| recipe["images"].as_array().unwrap());
        let (recipe, variant) = name.split_once('#').unwrap();
        images.find(|image| image["recipe"] == recipe && image["variant"] == variant).unwrap().clone()
    };
    (run.then(), image)
}

fn digest(image: &Value) -> String {
    image["digest"].as_str().unwrap().to_owned()
}

fn show<'a>(test: Test, arguments: &[&'a str]) -> Run {
    test.run(["show", "--digests"].into_iter().chain(arguments.iter().copied()).collect::<Vec<&'a str>>())
}

#[test]
fn text_and_json_are_what_would_be_built() {
    let (test, image) = built(shop());
    let web = image("shop/web#prod");
    let expected = format!(
        "\
shop/web#prod
  digest       {}
  lock         complete
  published    registry.example/shop/web@{0}
  tags         1.0, 1
  linux/amd64  {}
  linux/arm64  {}
",
        digest(&web),
        web["platforms"]["linux/amd64"].as_str().unwrap(),
        web["platforms"]["linux/arm64"].as_str().unwrap(),
    );
    let run = show(test, &["shop/web"]).stdout(&expected).stderr("").status(0);
    let run = show(run.then(), &["shop/web#dev", "--format", "json"]).stderr("").status(0);
    let dev = image("shop/web#dev");
    let expected = json!({ "images": [{
        "recipe": "shop/web",
        "variant": "dev",
        "state": "complete",
        "digest": dev["digest"],
        "reference": format!("registry.example/shop/web@{}", digest(&dev)),
        "repository": "registry.example/shop/web",
        "tags": ["1.0-dev", "1-dev"],
        "platforms": dev["platforms"],
    }], "version": 1});
    assert_eq!(run.json(), expected);
}

#[test]
fn which_images() {
    let (mut test, _) = built(shop());
    for (arguments, names) in [
        (&[][..], "shop/api.v2#prod shop/web#prod"),
        (&["--all"], "db/pg#prod shop/api.v2#prod shop/web#prod"),
        (&["db", "--all-variants"], "db/pg#dev db/pg#prod"),
        // One that is named keeps its place beside the recipe as a whole, and is told once.
        (&["shop/web", "shop/web#dev", "shop/web#dev"], "shop/web#dev shop/web#prod"),
        (&["shop/web#dev", "db/pg", "--all-variants"], "db/pg#dev db/pg#prod shop/web#dev"),
    ] {
        let run = show(test, arguments).stderr("").status(0);
        let found: Vec<&str> = run.out.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(found.join(" "), names, "{arguments:?}");
        test = run.then();
    }
}

#[test]
fn nothing_is_written() {
    let run = show(shop(), &[]).stderr("").status(0);
    assert!(run.out.contains("  lock         unpinned\n"), "{}", run.out);
    assert!(!run.test().path("lockfiles").exists());
    // Where only committed digests may be deployed.
    let run = show(run.then().env("COOPER_LOCKED", "1"), &["--format", "env"]).stdout("").status(1);
    assert!(run.err.starts_with("error: the lock of shop/api.v2 is unpinned\n"), "{}", run.err);
}

#[test]
fn every_format_to_the_letter() {
    let (mut test, image) = built(shop());
    let of = |name: &str| digest(&image(name));
    let (api, web, dev) = (of("shop/api.v2#prod"), of("shop/web#prod"), of("shop/web#dev"));
    let env = format!(
        "\
SHOP_API_V2_IMAGE=registry.example/shop/api.v2@{api}
SHOP_WEB_DEV_IMAGE=registry.example/shop/web@{dev}
SHOP_WEB_IMAGE=registry.example/shop/web@{web}
"
    );
    let kustomize = format!(
        "\
images:
  - name: \"shop/api.v2\"
    newName: \"registry.example/shop/api.v2\"
    digest: {api}
  - name: \"shop/web\"
    newName: \"registry.example/shop/web\"
    digest: {web}
  - name: \"shop/web-dev\"
    newName: \"registry.example/shop/web\"
    digest: {dev}
"
    );
    let tfvars = format!(
        "\
images = {{
  \"shop/api.v2\"  = \"registry.example/shop/api.v2@{api}\"
  \"shop/web\"     = \"registry.example/shop/web@{web}\"
  \"shop/web#dev\" = \"registry.example/shop/web@{dev}\"
}}
"
    );
    let quadlet = format!(
        "\
# shop-api.v2.container.d/image.conf
[Container]
Image=registry.example/shop/api.v2@{api}

# shop-web.container.d/image.conf
[Container]
Image=registry.example/shop/web@{web}

# shop-web-dev.container.d/image.conf
[Container]
Image=registry.example/shop/web@{dev}
"
    );
    for (format, expected) in
        [("env", env), ("kustomize", kustomize), ("tfvars", tfvars), ("quadlet", quadlet)]
    {
        let arguments = ["shop/web", "shop/api.v2", "shop/web#dev", "--format", format];
        test = show(test, &arguments).stdout(&expected).stderr("").status(0).then();
    }
}

#[test]
fn of_nothing() {
    let mut test = workspace("", &[]);
    for (format, expected) in [
        ("text", ""),
        ("env", ""),
        ("kustomize", "images: []\n"),
        ("tfvars", "images = {\n}\n"),
        ("quadlet", ""),
    ] {
        test = show(test, &["--all", "--format", format]).stdout(expected).stderr("").status(0).then();
    }
}

/// An address in brackets would begin a list in YAML, and no variable begins with a digit.
#[test]
fn what_could_be_misread() {
    let publish = "[publish]\nrepository = \"[::1]:5000/{{ name }}\"\n";
    let run = show(workspace(publish, &["7zip/1.20"]), &["--all", "--format", "env"]).stderr("").status(0);
    assert!(run.out.starts_with("_7ZIP_1_20_IMAGE=[::1]:5000/1.20@sha256:"), "{}", run.out);
    let run = show(run.then(), &["--all", "--format", "kustomize"]).stderr("").status(0);
    let expected = "images:\n  - name: \"7zip/1.20\"\n    newName: \"[::1]:5000/1.20\"\n    digest: sha256:";
    assert!(run.out.starts_with(expected), "{}", run.out);
}

#[test]
fn two_of_one_name() {
    let mut test = workspace(PUBLISH, &["shop/web", "shop/web-dev", "shop-web/dev", "shop/web_dev"]);
    for (format, targets, both, name) in [
        (
            "env",
            ["shop/web-dev", "shop/web_dev"],
            "shop/web-dev#prod and shop/web_dev#prod",
            "SHOP_WEB_DEV_IMAGE",
        ),
        ("kustomize", ["shop/web#dev", "shop/web-dev"], "shop/web#dev and shop/web-dev#prod", "shop/web-dev"),
        (
            "quadlet",
            ["shop-web/dev", "shop/web-dev"],
            "shop/web-dev#prod and shop-web/dev#prod",
            "shop-web-dev",
        ),
    ] {
        let expected = format!(
            "error: {both} would both be {name} in --format {format}\n |\n = help: name targets, so that only one of them is written\n"
        );
        let run =
            show(test, &[targets[0], targets[1], "--format", format]).stdout("").stderr(&expected).status(2);
        test = show(run.then(), &[targets[0], targets[1], "--format", "tfvars"]).stderr("").status(0).then();
    }
}

#[test]
fn without_a_repository() {
    let mut test = workspace("", &["shop/web"]);
    for format in ["env", "kustomize", "tfvars", "quadlet"] {
        let expected = format!(
            "\
error: --format {format} needs to know where images are published, and nothing says so
--> cooper.toml
 = help: add a table [publish] with repository = \"registry.example/{{{{ stack }}}}/{{{{ name }}}}\"
"
        );
        test = show(test, &["--format", format]).stdout("").stderr(&expected).status(3).then();
    }
    let run = show(test, &[]).stderr("").status(0);
    assert!(run.out.contains("  tags         1.0, 1\n") && !run.out.contains("published"), "{}", run.out);
    let run = show(run.then(), &["--format", "json"]).stderr("").status(0);
    let image = &run.json()["images"][0];
    assert_eq!((&image["reference"], &image["repository"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_repository_that_is_none() {
    let expected = "\
error: \"registry.example/shop/a..b\" is not a reference of an image
 --> cooper.toml:6:14
  |
6 | repository = \"registry.example/{{ stack }}/{{ name }}\"
  |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: a registry, then names of lower-case letters and digits, with one of . _ __ - between them: registry.example/shop/web
";
    let run = show(workspace(PUBLISH, &["shop/a..b"]), &[]).stdout("").stderr(expected).status(3);
    // It can be looked at, built and copied.
    run.then().run(["show", "shop/a..b"]).stderr("").status(0);
    for repository in
        ["registry.example/x:1", "registry.example/$x", "registry.example/'x", "registry.example/X"]
    {
        let publish = format!("[publish]\nrepository = \"{repository}\"\n");
        let run = show(workspace(&publish, &["shop/web"]), &["--format", "env"]).stdout("").status(3);
        assert!(run.err.contains("is not a reference of an image\n --> cooper.toml:6:14"), "{}", run.err);
    }
}

#[test]
fn formats_of_other_commands() {
    let mut test = shop();
    for format in ["env", "kustomize", "tfvars", "quadlet"] {
        for command in [&["list"][..], &["build"], &["show", "shop/web"], &["completions", "bash"]] {
            let expected = format!(
                "error: only `cooper show --digests` takes --format {format}\n |\n = help: everything else is written as text or json\n"
            );
            let arguments = command.iter().copied().chain(["--format", format]);
            test = test.run(arguments).stdout("").stderr(&expected).status(2).then();
        }
    }
    assert!(!test.path("lockfiles").exists());
}

#[test]
fn what_show_takes() {
    let expected = "\
error: show takes one TARGET, not 2
 |
 = help: a glob means several; so does --digests
";
    let mut test = shop().run(["show", "shop/web", "db/pg"]).stdout("").stderr(expected).status(2).then();
    for (arguments, about) in [
        (&["show"][..], "<TARGET>"),
        (&["show", "--all"], "--digests"),
        (&["show", "shop/web", "--all-variants"], "--digests"),
        (&["show", "--digests", "--all", "shop/web"], "cannot be used with"),
    ] {
        let run = test.run(arguments.iter().copied()).stdout("").status(2);
        assert!(run.err.contains(about), "{arguments:?}: {}", run.err);
        test = run.then();
    }
    let run = show(test, &["shop/nothing"]).stdout("").status(4);
    assert!(run.err.contains("shop/nothing"), "{}", run.err);
}
