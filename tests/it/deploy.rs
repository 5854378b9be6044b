//! `compose`, `check` and `lock --pin`: what a workspace says of how its images are run, and before it can be built.

use std::process::Command;

use super::engines::{docker, installed, run, skipped};
use super::registries::{arranged, recipe};
use super::support::Test;

const WEB: &str = r#"
[base]
scratch = true
[vars]
port = 8080
[[file]]
from     = "pages/"
to       = "/srv/pages/"
mount-in = ["dev"]
[[file]]
from     = "web.conf.j2"
to       = "/etc/web/"
template = ["*.j2"]
mount-in = ["dev"]
[config]
expose = [8080]
[service]
ports  = ["127.0.0.1:{{ port }}:8080"]
after  = { db = "healthy", db-schema = "done" }
check  = ["/web", "--check", "{{ variant }}"]
[variant.dev.vars]
port = 8081
"#;

const DB: &str = r#"
[base]
scratch = true
[[file]]
text = "x"
to   = "/db"
[service]
volumes = { data = "/data" }
health  = { cmd = ["/db", "ready"], tcp = 5432 }
secrets = { PW = { file = "/run/secrets/pw" }, KEY = { env = "DB_KEY" } }
job.schema = { cmd = ["/db", "schema"], after = { db = "healthy" } }
"#;

fn shop() -> Test {
    Test::workspace()
        .file("recipes/shop/web/recipe.toml", WEB)
        .file("recipes/shop/web/pages/index.html", "<h1>{{ not ours }}</h1>\n")
        .file("recipes/shop/web/web.conf.j2", "listen {{ port }};\n")
        .file("recipes/shop/db/recipe.toml", DB)
        // Not a service: nothing says how it is run.
        .file(
            "recipes/shop/tool/recipe.toml",
            "[base]\nscratch = true\n[[file]]\ntext = \"t\"\nto = \"/t\"\n",
        )
}

#[test]
fn a_stack_with_the_working_copy_in_it() {
    let test = shop().run(["build"]).status(0).then();
    let arguments = ["compose", "shop", "--variant", "dev", "-o", "deploy/compose.yaml"];
    let run_ = test.run(arguments).stderr("").status(0);
    let test = run_.then();
    let text = test.read("deploy/compose.yaml");
    for part in [
        "  db:\n    image: \"sha256:",
        "    x-image: \"shop/db:dev\"\n    pull_policy: never\n",
        "      - type: bind\n        source: ../recipes/shop/web/pages\n        target: /srv/pages\n        read_only: true\n",
        "      - type: bind\n        source: \"../.cooper/dev/shop/web/etc/web/web.conf\"\n        target: /etc/web/web.conf\n",
        "    ports: [\"127.0.0.1:8081:8080\"]\n",
        "      db-schema:\n        condition: service_completed_successfully\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("tool"), "{text}");
    assert_eq!(test.read(".cooper/dev/shop/web/etc/web/web.conf"), "listen 8081;\n");
    // An engine calls an image by its config.
    let shown = test.run(["show", "shop/db#dev", "--format", "json"]).status(0);
    let platforms = shown.json()["images"][0]["platforms"].clone();
    let ids: Vec<&str> =
        platforms.as_array().unwrap().iter().map(|one| one["config_digest"].as_str().unwrap()).collect();
    assert!(ids.iter().any(|id| text.contains(&format!("image: \"{id}\""))), "{ids:?}\n{text}");
    let mut test = shown.then();
    if installed(&["docker-compose"]) {
        let file = test.path("deploy/compose.yaml");
        let mut command = Command::new("docker-compose");
        command.arg("-f").arg(&file).args(["-p", "shop", "config", "-q"]).env("KEY", "k");
        run(&mut command);
        command.env_remove("KEY");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("the secret KEY is not set"), "{said}");
    }
    // What a site has of its own is taken away with the source that it came from.
    test = test.remove("recipes/shop/web/pages");
    let failed = test.run(["compose", "shop", "--variant", "dev"]).status(4);
    assert!(failed.err.contains("recipes/shop/web/recipe.toml:7:12"), "{}", failed.err);
}

#[test]
fn the_head_names_the_command_that_writes_it_again() {
    let publish = "[publish]\nrepository = \"r.example/{{ stack }}/{{ name }}\"\n";
    let test = shop();
    let workspace = test.read("cooper.toml");
    let mut test = test.file("cooper.toml", format!("{workspace}\n{publish}"));
    for (arguments, wanted) in [
        (&["shop"][..], "shop --variant prod"),
        (&["shop/web#dev"], "shop/web#dev --variant dev"),
        (&["shop/db", "shop/web", "--variant", "prod"], "shop/db shop/web --variant prod"),
        (&["shop/*"], "'shop/*' --variant prod"),
        (&["shop", "--published", "-o", "deploy/c.yaml"], "shop --variant prod --published -o deploy/c.yaml"),
        (&["shop", "--kube", "-o", "o'k .yaml"], "shop --variant prod --kube -o $'o\\x27k .yaml'"),
        (&["shop", "--published", "--quadlet"], "shop --variant prod --published --quadlet"),
        (&["shop", "-o", "a\nb: `c`.yaml"], "shop --variant prod -o $'a\\x0ab: \\x60c\\x60.yaml'"),
    ] {
        let run_ = test.run([&["compose", "--format", "json"], arguments].concat()).status(0);
        let files = run_.json()["files"].clone();
        for text in files.as_object().unwrap().values() {
            let head = text.as_str().unwrap().lines().next().unwrap();
            let variant = if wanted.contains("dev") { "dev" } else { "prod" };
            let wanted = format!("# shop, {variant}: made by `cooper compose {wanted}`");
            assert!(head.starts_with(&wanted), "{wanted}\n{head}");
        }
        test = run_.then();
    }
}

#[test]
fn some_of_a_stack_with_what_it_waits_for() {
    let services = |run: &super::support::Run| {
        let json = run.json();
        json["images"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let run_ = shop().run(["compose", "shop/web", "--format", "json"]).status(0);
    assert_eq!(services(&run_), ["db", "web"]);
    assert_eq!(run_.json()["secrets"], serde_json::json!(["KEY", "PW"]));
    let run_ = run_.then().run(["compose", "shop/db", "--format", "json"]).status(0);
    assert_eq!(services(&run_), ["db"]);
    let run_ = run_.then().run(["compose", "shop/tool"]).status(2);
    assert!(run_.err.contains("shop/tool: no [service] says how it is run"), "{}", run_.err);
    let run_ = run_.then().run(["compose", "shop/web#dev"]).status(0);
    assert!(run_.out.starts_with("# shop, dev: "), "{}", run_.out);
    let run_ = run_.then().run(["compose", "shop#dev", "--variant", "prod"]).status(2);
    assert!(run_.err.contains("dev and prod were named"), "{}", run_.err);
    let run_ = run_.then().run(["compose", "shop", "--variant", "test"]).status(4);
    assert!(run_.err.contains("it has dev, prod"), "{}", run_.err);
    let test = run_.then().file("recipes/other/x/recipe.toml", DB);
    test.run(["compose", "shop/db", "other/x"]).status(2);
}

#[test]
fn clusters_and_units() {
    let run_ = shop().run(["compose", "shop", "--kube"]).status(3);
    assert!(run_.err.contains("[publish]"), "{}", run_.err);
    let publish = "[publish]\nrepository = \"r.example/{{ stack }}/{{ name }}\"\n";
    let test = run_.then();
    let workspace = test.read("cooper.toml");
    let test = test.file("cooper.toml", format!("{workspace}\n{publish}"));
    let run_ = test.run(["compose", "shop", "--kube"]).status(0);
    assert!(run_.out.contains("image: \"r.example/shop/web@sha256:"), "{}", run_.out);
    assert!(run_.out.contains("kind: StatefulSet"), "{}", run_.out);
    let run_ = run_.then().run(["compose", "shop", "--kube", "--variant", "dev"]).status(3);
    assert!(run_.err.contains("recipes/shop/web/recipe.toml:8:12"), "{}", run_.err);
    let run_ = run_.then().run(["compose", "shop", "--quadlet", "--published", "-o", "units"]).status(0);
    let test = run_.then();
    assert!(test.read("units/shop-web.container").contains("After=shop-db-schema.service\n"));
    assert!(test.read("units/shop-db.container").contains("Notify=healthy\n"));
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let test = shop().file("recipes/shop/web/recipe.toml", WEB.replace("db = ", "dp = "));
    let run_ = test.run(["check"]).status(3);
    let expected = "\
error: the stack shop has no service \"dp\"
  --> recipes/shop/web/recipe.toml:19:17
   |
19 | after  = { dp = \"healthy\", db-schema = \"done\" }
   |                 ^^^^^^^^^
   |
   = help: did you mean `db`?
   = help: it has db, db-schema, web
";
    assert_eq!(run_.err, expected);
    let test =
        run_.then().file("recipes/shop/web/recipe.toml", WEB.replace("{{ port }}:8080", "{{ prot }}:8080"));
    let run_ = test.run(["check", "shop/web"]).status(3);
    assert!(run_.err.contains("did you mean `port`?"), "{}", run_.err);
}

#[test]
fn whom_nobody_is_called() {
    let calls = |name: &str| {
        shop().file(
            "recipes/shop/web/recipe.toml",
            WEB.replace("check  =", &format!("calls = [\"{name}\"]\ncheck  =")),
        )
    };
    let run_ = calls("bd").run(["compose", "shop/web"]).status(3);
    assert!(
        run_.err.contains("the stack shop has no service \"bd\"") && run_.err.contains("did you mean `db`?"),
        "{}",
        run_.err
    );
    let run_ = calls("tool").run(["compose", "shop"]).status(3);
    assert!(run_.err.contains("recipes/shop/web/recipe.toml:20:10"), "{}", run_.err);
    // Called isn't waited for.
    let recipe = WEB.replace("after  = { db = \"healthy\", db-schema = \"done\" }", "calls  = [\"db\"]");
    let run_ = shop().file("recipes/shop/web/recipe.toml", recipe).run(["compose", "shop/web"]).status(0);
    assert!(!run_.out.contains("db:"), "{}", run_.out);
}

#[test]
fn checked_without_being_built() {
    let run_ = shop().run(["check", "shop/web", "--format", "json"]).status(0);
    let images = run_.json()["images"].clone();
    assert_eq!(images[0]["check"], serde_json::json!(["/web", "--check", "dev"]));
    assert_eq!((&images[0]["whole"], &images[1]["variant"]), (&true.into(), &"prod".into()));
    let test = run_.then();
    assert!(!test.path("lockfiles").exists());
    let test = test.file("recipes/shop/web/more.html", "x");
    let hidden =
        WEB.replace("[config]", "[[file]]\nfrom = \"more.html\"\nto = \"/srv/pages/more.html\"\n[config]");
    let run_ = test.file("recipes/shop/web/recipe.toml", hidden).run(["check", "shop/web"]).status(3);
    assert!(
        run_.err.contains("/srv/pages/more.html lies below /srv/pages, which the working copy lies over"),
        "{}",
        run_.err
    );
    let test = run_.then();
    // A guard that needs to know what stands below.
    let missing =
        test.file("recipes/shop/web/recipe.toml", WEB.replace("\"/etc/web/\"", "\"/srv/pages/index.html\""));
    missing.run(["check", "shop/web"]).status(3);
}

#[test]
fn the_software_checks_its_configuration() {
    let Some(engine) = docker() else { return };
    let Ok(busybox) = std::fs::read("/bin/busybox") else {
        return skipped("busybox-static is not installed");
    };
    let recipe = |value: &str| {
        format!(
            "[base]\nscratch = true\n[[file]]\nfrom = \"busybox\"\nto = \"/busybox\"\nmode = \"0755\"\n[[file]]\n\
             text = \"{value}\"\nto = \"/etc/x.conf\"\n[service]\nenv = {{ WANTED = \"good\" }}\n\
             check = [\"/busybox\", \"sh\", \"-c\", \"echo has $(/busybox cat /etc/x.conf); /busybox grep $WANTED /etc/x.conf\"]\n"
        )
    };
    let platform = "[workspace]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\nvariants = [\"prod\"]\n";
    let test = Test::workspace().file("cooper.toml", platform).file("recipes/a/b/busybox", busybox);
    let test = test.file("recipes/a/b/recipe.toml", recipe("good")).env("DOCKER_HOST", &engine.host());
    let run_ = test.run(["check", "a/b", "--run"]).status(0);
    assert!(run_.out.contains("its own check passed"), "{}", run_.out);
    let test = run_.then();
    assert!(!test.path("lockfiles").exists());
    let run_ = test.file("recipes/a/b/recipe.toml", recipe("bad")).run(["check", "a/b", "--run"]).status(1);
    assert!(run_.out.contains("its own check FAILED") && run_.out.contains("  has bad\n"), "{}", run_.out);
    assert!(run_.out.contains("ended with exit status: 1"), "{}", run_.out);
    let run_ = run_.then().run(["check", "a/b", "--run", "--engine", "no-such-engine"]).status(5);
    assert!(run_.err.contains("without --run nothing needs one"), "{}", run_.err);
}

#[test]
fn a_digest_that_somebody_was_told() {
    let (registry, test) = arranged();
    let reference = format!("{}/lib/base:1", registry.host());
    let digest = registry.tags("lib/base")["1"];
    let test = test.file("recipes/a/web/x.conf", "x").file(
        "recipes/a/web/recipe.toml",
        recipe(&reference) + "[[file]]\nfrom = \"x.conf\"\nto = \"/etc/x.conf\"\n",
    );
    let pin = format!("{reference}@{digest}");
    let before = registry.requests().len();
    let run_ = test.run(["lock", "--pin", &pin]).status(0);
    assert!(run_.out.contains(&format!("{digest}  pinned in a/web")), "{}", run_.out);
    assert_eq!(registry.requests().len(), before);
    let test = run_.then();
    let lock = test.read("lockfiles/a/web.lock");
    assert!(lock.contains(&format!("index = \"{digest}\"\n")) && lock.contains("x.conf"), "{lock}");
    // The same again: what the recipe holds now.
    let test = test.file("recipes/a/web/x.conf", "y").run(["lock", "--pin", &pin]).status(0).then();
    assert_ne!(test.read("lockfiles/a/web.lock"), lock);
    let run_ = test.run(["list", "--format", "json"]).status(0);
    assert_eq!(run_.json()["images"][0]["state"], "digest-only");
    let run_ = run_.then().run(["check"]).status(0);
    assert!(run_.out.contains("checked without its base"), "{}", run_.out);
    let run_ = run_.then().run(["build", "--locked"]).status(1);
    assert!(
        run_.err.contains("is digest-only") && run_.err.contains("`cooper lock a/web` mends it"),
        "{}",
        run_.err
    );
    let run_ = run_.then().run(["lock", "--audit"]).status(0);
    assert!(run_.out.contains(&digest.to_string()), "{}", run_.out);
    // The tag has moved since: what is pinned counts.
    let test = run_.then().base("seed2", "1", &["d 0755 0:0 etc\n"]);
    registry.seed_layout("lib/base", "1", &test.path("seed2"));
    let test = test.remove("seed2").run(["lock"]).status(0).then();
    let lock = test.read("lockfiles/a/web.lock");
    assert!(lock.contains(&format!("index = \"{digest} ")), "{lock}");
    let test = test.run(["build", "--locked", "--offline"]).status(0).then();
    // Another one moves the pin, and forgets what came of it.
    let other = format!("{reference}@sha256:{}", "ab".repeat(32));
    let run_ = test.run(["lock", "--pin", &other]).status(0);
    assert!(run_.out.contains(&format!("sha256:{}… -> sha256:abab", digest.short())), "{}", run_.out);
    let test = run_.then();
    assert!(!test.read("lockfiles/a/web.lock").contains("[output"));
    let run_ = test.run(["lock"]).status(4);
    assert!(run_.err.contains("abab"), "{}", run_.err);
    for (pin, message) in
        [(&reference, "has no digest to pin"), (&pin.replace("base", "none"), "no selected recipe")]
    {
        let (_, test) = arranged();
        let run_ = test.run(["lock", "--pin", pin]).status(2);
        assert!(run_.err.contains(message), "{}", run_.err);
    }
}

#[test]
fn sources_from_a_directory_beside_the_working_one() {
    let test = shop()
        .run(["compose", "shop", "--variant", "dev", "-o", "recipes/../deploy/compose.yaml"])
        .status(0)
        .then();
    let text = test.read("deploy/compose.yaml");
    assert!(text.contains("source: ../recipes/shop/web/pages\n"), "{text}");
}

#[test]
fn every_rendered_copy_stays() {
    let more = "[[file]]\nfrom = \"a/\"\nto = \"/srv/\"\ntemplate = true\nmount-in = [\"dev\"]\n[config]";
    let recipe = WEB
        .replace("[config]", more)
        .replace("/srv/pages/", "/srv/a/")
        .replace("from     = \"pages/\"", "from = \"pages/\"\ntemplate = [\"*.j2\"]");
    let test =
        shop().file("recipes/shop/web/a/one", "{{ port }}\n").file("recipes/shop/web/recipe.toml", recipe);
    let test = test.run(["compose", "shop", "--variant", "dev", "-o", "compose.yaml"]).status(0).then();
    assert_eq!(test.read(".cooper/dev/shop/web/srv/one"), "8081\n");
    assert_eq!(test.read(".cooper/dev/shop/web/srv/a/index.html"), "<h1>{{ not ours }}</h1>\n");
    // What an entry no longer has goes.
    let test = test.remove("recipes/shop/web/a/one").file("recipes/shop/web/a/two", "2");
    let test = test.run(["compose", "shop", "--variant", "dev", "-o", "compose.yaml"]).status(0).then();
    assert!(!test.path(".cooper/dev/shop/web/srv/one").exists());
}

#[test]
fn what_is_mounted_or_kept_hides_what_lies_there() {
    // One file is mounted alone, whatever lies beside it.
    let text = "[[file]]\ntext = \"x\"\nto = \"/etc/web/other.conf\"\n[config]";
    let test = shop().file("recipes/shop/web/recipe.toml", WEB.replace("[config]", text));
    let test = test.run(["check", "shop/web"]).status(0).then();
    let test = test.run(["compose", "shop", "--variant", "dev"]).status(0).then();
    // A directory is copied to above a volume, and has something for below it.
    let text = "[[file]]\nfrom = \"var/\"\nto = \"/var/\"\n[config]";
    let volume = "[service]\nvolumes = { lib = \"/var/lib\" }\n";
    let recipe = WEB.replace("[config]", text).replace("[service]\n", volume);
    let test = test.file("recipes/shop/web/var/lib/x", "x").file("recipes/shop/web/recipe.toml", &recipe);
    let run_ = test.run(["check", "shop/web"]).status(3);
    assert!(run_.err.contains("/var/lib/x lies below /var/lib, a volume of [service]"), "{}", run_.err);
    let ok = recipe.replace("from = \"var/\"", "from = \"var/\"\nbelow-volume = \"ok\"");
    run_.then().file("recipes/shop/web/recipe.toml", ok).run(["check", "shop/web"]).status(0);
}

#[test]
fn a_volume_is_written_to_by_the_group_of_the_user() {
    let publish = "[workspace]\nplatforms = [\"linux/amd64\"]\n[publish]\nrepository = \"r.example/{{ stack }}/{{ name }}\"\n";
    let passwd = "[[file]]\ntext = \"x\"\nto = \"/x\"\n[[group]]\nname = \"db\"\ngid = 71\n[[user]]\nname = \"db\"\nuid = 70\ngid = 71\nhome = \"/\"\nshell = \"/x\"\n";
    for (user, group) in [("db", "71"), ("70", "71"), ("70:72", "72"), ("1:db", "71")] {
        let recipe = format!("{DB}\n[config]\nuser = \"{user}\"\n{passwd}");
        let test = Test::workspace().file("cooper.toml", publish).file("recipes/shop/db/recipe.toml", recipe);
        let run_ = test.run(["compose", "shop", "--kube"]).status(0);
        assert!(run_.out.contains(&format!("fsGroup: {group}\n")), "{user}\n{}", run_.out);
    }
}

#[test]
fn whom_an_image_runs_as_is_looked_up() {
    let files = "f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\\nnobody:x:65534:65534::/:/bin/false\\n\n\
        f 0644 0:0 etc/group root:x:0:\\nstaff:x:50:\\n\n";
    let test = Test::workspace().base("up", "1", &[files]).base("bare", "1", &["f 0644 0:0 etc/x y\\n"]);
    let mut test = test
        .file("recipes/s/top/recipe.toml", "[base]\nlayout = \"up:1\"\n[[user]]\nname = \"web\"\nuid = 70\n")
        .file(
            "recipes/s/own/recipe.toml",
            "[base]\nlayout = \"up:1\"\n[[file]]\ntext = \"me:x:1:1::/:/x\\n\"\nto = \"/etc/passwd\"\n",
        );
    let recipe =
        |base: &str, more: &str, user: &str| format!("[base]\n{base}\n[config]\nuser = {user}\n{more}");
    let (up, bare) = ("layout = \"up:1\"", "layout = \"bare:1\"");
    let own = "[[user]]\nname = \"web\"\nuid = 70\n";
    for (text, wrong) in [
        (recipe(up, "", "\"nobdy\""), Some(("the base has no user \"nobdy\"", "did you mean `nobody`?"))),
        (
            recipe(up, "", "\"nobody:stuff\""),
            Some(("the base has no group \"stuff\"", "did you mean `staff`?")),
        ),
        (recipe(up, own, "\"wbe\""), Some(("the base has no user \"wbe\"", "it has root, nobody, web"))),
        (
            recipe("recipe = \"s/top\"", "", "\"wbe\""),
            Some(("the base has no user \"wbe\"", "did you mean `web`?")),
        ),
        (
            recipe("extends = \"s/top\"", "", "\"wbe\""),
            Some(("the base has no user \"wbe\"", "did you mean `web`?")),
        ),
        (
            recipe(bare, "", "\"nobody\""),
            Some(("the base has no user \"nobody\"", "it has none: use numbers")),
        ),
        (
            recipe(up, "[variant.dev.config]\nuser = \"nobdy\"\n", "\"nobody\""),
            Some(("\"nobdy\"", "s/it#dev")),
        ),
        (recipe(up, "", "\"nobody\""), None),
        (recipe(up, "", "\"0:staff\""), None),
        (recipe(up, "", "12345"), None),
        (recipe(up, "", "\"12345:54321\""), None),
        (recipe(up, own, "\"web:web\""), None),
        (recipe("recipe = \"s/top\"", "", "\"web\""), None),
        (recipe(bare, own, "\"web\""), None),
        (recipe(bare, "", "7"), None),
        // What it writes itself, nobody has read.
        (recipe("recipe = \"s/own\"", "", "\"me\""), None),
        (recipe("extends = \"s/own\"", "", "\"me\""), None),
    ] {
        let run_ = test.file("recipes/s/it/recipe.toml", &text).run(["build", "s/it"]);
        match wrong {
            None => assert_eq!(run_.code, Some(0), "{text}\n{}", run_.err),
            Some((message, hint)) => {
                assert_eq!(run_.code, Some(3), "{text}\n{}", run_.err);
                assert!(run_.err.contains(message) && run_.err.contains(hint), "{text}\n{}", run_.err);
                assert!(run_.err.contains("recipes/s/it/recipe.toml:"), "{}", run_.err);
            }
        }
        test = run_.then();
    }
}

#[test]
fn what_no_registry_was_asked_for_is_told_at_once() {
    let reference = "registry.invalid/lib/base:1";
    let web = WEB.replace("scratch = true", &format!("image = \"{reference}\""));
    let child = "[base]\nrecipe = \"shop/web\"\n[config]\ncmd = [\"x y\"]\n[service]\ncalls = [\"db\"]\n";
    let publish = "[publish]\nrepository = \"r.example/{{ stack }}/{{ name }}\"\n";
    let test = shop().file("recipes/shop/web/recipe.toml", web).file("recipes/shop/child/recipe.toml", child);
    let workspace = test.read("cooper.toml");
    let mut test = test.file("cooper.toml", format!("{workspace}\n{publish}"));
    let begun = std::time::Instant::now();
    let digest = format!("sha256:{}", "ab".repeat(32));
    for state in ["unpinned", "digest-only"] {
        if state == "digest-only" {
            test = test.run(["lock", "--pin", &format!("{reference}@{digest}")]).status(0).then();
        }
        let run_ = test.run(["show", "shop/web#dev"]).status(0);
        for part in
            ["not known", state, reference, "file    /etc/web", "file    /srv/pages", "expose  8080/tcp"]
        {
            assert!(run_.out.contains(part), "{part}\n{}", run_.out);
        }
        assert_eq!(run_.out.contains(&digest), state == "digest-only", "{}", run_.out);
        assert!(run_.err.contains("`cooper lock shop/web` makes the rest known"), "{}", run_.err);
        let run_ = run_.then().run(["show", "shop/child", "--format", "json"]).status(0);
        let image = run_.json()["images"][0].clone();
        assert_eq!((&image["digest"], &image["base"]), (&serde_json::Value::Null, &"shop/web".into()));
        assert_eq!(image["says"][0], serde_json::json!({ "key": "cmd", "value": "\"x y\"" }));
        // What is known is named by its ID, what isn't by its name, which nobody pulls.
        let run_ = run_.then().run(["compose", "shop", "--variant", "dev"]).status(0);
        for part in [
            "    image: \"shop/web:dev\"\n    x-image: \"shop/web:dev, as it is called: ",
            "    pull_policy: never\n",
            "source: ./recipes/shop/web/pages\n",
            "    image: \"sha256:",
        ] {
            assert!(run_.out.contains(part), "{part}\n{}", run_.out);
        }
        assert!(run_.err.contains("`cooper lock shop/web` makes known what its image is"), "{}", run_.err);
        // By digest there is nothing to tell.
        let mut after = run_.then();
        for how in [&["--kube"][..], &["--published"], &["--quadlet"]] {
            let run_ = after.run([&["compose", "shop", "--variant", "prod"], how].concat()).status(4);
            assert!(
                run_.err.contains(&format!("shop/child is {state}: nobody knows its digest yet")),
                "{}",
                run_.err
            );
            after = run_.then();
        }
        test = after;
    }
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
}
