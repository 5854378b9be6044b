//! Content from elsewhere: fetched, unpacked, made elsewhere, out of images and of the base, users and certificates.

use std::process::Command;

use cooperage::digest::Digest;

use super::engines;
use super::listing::Listing;
use super::registry::{Registry, What};
use super::support::{Test, gzip, tar};

const BASE: &str = "d 0755 0:0 etc
f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\\nweb:x:33:33::/:\\n
f 0644 0:0 etc/group root:x:0:\\nweb:x:33:
d 0755 0:0 etc/app
f 0640 33:33 etc/app/app.conf port = 1\\nhost = a\\nport = 1\\n
l etc/app/link.conf app.conf
d 0755 0:0 etc/ssl
d 0755 0:0 etc/ssl/certs
f 0644 0:0 etc/ssl/certs/ca-certificates.crt -----BEGIN CERTIFICATE-----\\nold
d 0755 0:0 var
d 0755 0:0 var/lib
d 0750 0:0 var/lib/app
f 0600 0:0 var/lib/app/data one
h var/lib/app/again var/lib/app/data
d 0755 0:0 opt
";

const OTHER: &str = "d 0755 0:0 usr
d 0755 0:0 usr/bin
f 4755 7:8 usr/bin/tool the tool
l usr/bin/alias tool
d 0700 7:8 usr/lib
f 0644 7:8 usr/lib/a a
h usr/lib/b usr/lib/a
f 0755,security.capability=0100000200200000000000000000000000000000 0:0 usr/bin/ping ping
";

const ARCHIVE: &str = "d 0755 0:0 app-1.0
f 0755 5:5 app-1.0/run #!/bin/sh\\n
f 0644 5:5 app-1.0/readme read me
h app-1.0/start app-1.0/run
l app-1.0/latest readme
d 0750 5:5 app-1.0/conf
f 0600 5:5 app-1.0/conf/secret-less x
";

const RECIPE: &str = r#"
[base]
layout = "bases/os:1"

[input.war]
path = "target/app"
made-by = "mvn package"

[[user]]
name = "app"
uid = 1000
home = "/srv"

[[group]]
name = "ops"
gid = 2000

[[file]]
fetch = "URL/app.tar.gz"
unpack = true
strip = 1
exclude = ["readme", "latest"]
to = "/opt/app/"
owner = "app"

[[file]]
fetch = "URL/plain"
sha256 = "PLAIN"
to = "/opt/plain.jar"
mode = "0640"

[[file]]
image = "HOST/lib/other:1"
path = "/usr/bin/alias"
to = "/usr/local/bin/tool"

[[file]]
image = "HOST/lib/other:1"
path = "/usr/lib"
to = "/usr/local/lib/"

[[file]]
image = "HOST/lib/other:1"
path = "/usr/bin/ping"
to = "/usr/bin/"

[[file]]
input = "war"
to = "/srv/war/"
owner = "app:ops"

[[file]]
recipe = "a/maker"
path = "/made"
to = "/srv/made"

[[edit]]
path = "/etc/app/link.conf"
replace = "port = 1"
with = "port = {{ variant }}"
count = 2

[[edit]]
path = "/etc/app/app.conf"
append = "more = yes"

[[owner]]
path = "/var/lib/app"
owner = "app"
mode = "0700"
recursive = true

[[ca]]
from = "site.pem"
"#;

/// As far as anybody here looks: an empty sequence.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

/// What all of it amounts to, in prod.
const EXPECTED: [(&str, &str); 23] = [
    ("opt/app/run", "f 0755 1000:1000 #!/bin/sh\n"),
    ("opt/app/start", "f 0755 1000:1000 #!/bin/sh\n"),
    ("opt/app/readme", "nothing"),
    ("opt/app/latest", "nothing"),
    ("opt/app/conf", "d 0750 1000:1000"),
    ("opt/app/conf/secret-less", "f 0600 1000:1000 x"),
    ("opt/plain.jar", "f 0640 0:0 a plain file"),
    ("usr/local/bin/tool", "f 4755 7:8 the tool"),
    ("usr/local/lib/a", "f 0644 7:8 a"),
    ("usr/local/lib/b", "f 0644 7:8 a"),
    ("usr/bin/ping", "f 0755,security.capability=0100000200200000000000000000000000000000 0:0 ping"),
    ("srv/war/index.html", "f 0644 1000:2000 <p>"),
    ("srv/made", "f 0444 33:33 made"),
    ("etc/app/app.conf", "f 0640 33:33 port = prod\nhost = a\nport = prod\nmore = yes\n"),
    ("etc/app/link.conf", "l app.conf"),
    ("var/lib/app", "d 0700 1000:1000"),
    ("var/lib/app/data", "f 0600 1000:1000 one"),
    ("var/lib/app/again", "f 0600 1000:1000 one"),
    (
        "etc/passwd",
        "f 0644 0:0 root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\napp:x:1000:1000::/srv:/sbin/nologin\n",
    ),
    ("etc/group", "f 0644 0:0 root:x:0:\nweb:x:33:\napp:x:1000:\nops:x:2000:\n"),
    (
        "etc/ssl/certs/ca-certificates.crt",
        "f 0644 0:0 -----BEGIN CERTIFICATE-----\nold\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    ),
    ("etc/ssl", "d 0755 0:0"),
    ("var/lib", "d 0755 0:0"),
];

/// A workspace with every kind of entry, and the registry where images and fetched files are.
fn workspace() -> (Registry, Test) {
    let registry = Registry::start();
    let test = Test::new()
        .file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n")
        .base("bases/os", "1", &[BASE])
        .base("seed", "1", &[OTHER]);
    registry.seed_layout("lib/other", "1", &test.path("seed"));
    let archive = registry.put_blob("lib/files", gzip(&tar(ARCHIVE)));
    let plain = registry.put_blob("lib/files", *b"a plain file");
    let blobs = format!("http://{}/v2/lib/files/blobs", registry.host());
    let recipe = RECIPE
        .replace("URL/app.tar.gz\"", &format!("{blobs}/{archive}\"\nsha256 = \"{}\"", archive.hex()))
        .replace("URL/plain", &format!("{blobs}/{plain}"))
        .replace("PLAIN", &plain.hex())
        .replace("HOST", registry.host());
    let maker = "[base]\nlayout = \"bases/os:1\"\n[[file]]\ntext = \"made\"\nto = \"/made\"\nowner = \"web\"\nmode = \"0444\"\n";
    let site = format!(
        "attempts = 2\ntimeout = 1\nbackoff = 1\n[registry.\"{}\"]\nplain-http = true\n",
        registry.host()
    );
    let test = test
        .remove("seed")
        .file("site.toml", site)
        .file("recipes/a/all/recipe.toml", recipe)
        .file("recipes/a/all/site.pem", CERTIFICATE)
        .file("recipes/a/maker/recipe.toml", maker)
        .file("target/app/index.html", "<p>");
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    (registry, test.env("COOPER_CONFIG", &config))
}

fn emptied(test: Test) -> Test {
    std::fs::remove_dir_all(test.store()).unwrap();
    test
}

fn compare(files: &Listing, with: &str) {
    for (path, expected) in EXPECTED {
        assert_eq!(files.at(path), expected.trim_end(), "{path} in {with}");
    }
}

#[test]
fn every_kind_of_entry() {
    let (registry, test) = workspace();
    let test = test.run(["build", "--all", "--to", "oci:out"]).status(0).then();
    // Twice, without anything from before.
    let test = emptied(test).run(["build", "--all", "--locked", "--twice"]).status(0).then();
    // Offline, with what was fetched in the workspace and nothing in the store. Of the other image its layers are wanted.
    let run = test.run(["vendor", "--all"]).status(0);
    assert!(run.out.contains("fetched") || run.out.contains("there"), "{}", run.out);
    let run = run.then().run(["vendor", "--all", "--format", "json"]).status(0);
    assert_eq!(run.json()["vendored"].as_array().unwrap().len(), 3);
    let text = run.test().read("recipes/a/all/recipe.toml");
    let layout =
        text.replace(&format!("image = \"{}/lib/other:1\"", registry.host()), "recipe = \"a/other\"");
    let other = format!("[base]\nimage = \"{}/lib/other:1\"\n", registry.host());
    let test =
        run.then().file("recipes/a/all/recipe.toml", layout).file("recipes/a/other/recipe.toml", other);
    let test = test.run(["build", "--all"]).status(0).then();
    registry.fault("", "/", 999, What::status(500));
    let test = test.run(["build", "--all", "--locked", "--offline"]).status(0).then();
    registry.forget_faults();
    // On engines.
    let archive = test.path("image.tar");
    let test = test.run(["build", "a/all#prod", "--to", "oci-archive:image.tar"]).status(0).then();
    for (name, engine) in [("docker", engines::docker()), ("podman", engines::podman())] {
        let Some(engine) = engine else { continue };
        compare(&Listing::of_tar(&engine.files(&engine.load(&archive))), name);
    }
    if engines::installed(&["umoci", "skopeo"]) && engines::root() {
        let mut skopeo = Command::new("skopeo");
        skopeo.arg("copy").arg(format!("oci-archive:{}", archive.display()));
        engines::run(skopeo.arg(format!("oci:{}:one", test.path("one").display())));
        let mut umoci = Command::new("umoci");
        umoci.arg("unpack").arg("--image").arg(format!("{}:one", test.path("one").display()));
        engines::run(umoci.arg(test.path("bundle")));
        compare(&Listing::of_directory(&test.path("bundle").join("rootfs")), "umoci");
    }
}

#[test]
fn what_is_known_is_not_read_again() {
    let (registry, test) = workspace();
    let test = test.run(["lock", "--all"]).status(0).then();
    let before = registry.requests().len();
    // Templates, edits and users need no layer; layers that are there need no bytes of what is in them.
    let test = test.run(["build", "--all", "--locked", "--offline"]).status(0).then();
    assert_eq!(registry.requests().len(), before);
    let lock = test.read("lockfiles/a/all.lock");
    assert!(
        lock.contains("[[source]]\nfetch = \"http://") && lock.contains("base = \"bases/os:1\""),
        "{lock}"
    );
    // Another variant and platform have the same layers.
    let layers = |name: &str| {
        let section = lock.split_once(&format!("[output.{name}.platform.\"linux/amd64\"]")).unwrap().1;
        section.split("layers").nth(1).unwrap().lines().skip(1).take(5).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(layers("dev"), layers("prod"));
    // The URL gives something else: nobody is asked while the lock holds, and update tells.
    registry.fault("GET", "lib/files", 99, What::Flip);
    let test = test.run(["build", "--all", "--locked"]).status(0).then();
    let run = emptied(test).run(["build", "--all", "--locked"]).status(3);
    assert!(run.err.contains("it is sha256:") && run.err.contains("now, not sha256:"), "{}", run.err);
    run.then().run(["store", "verify"]).status(0);
}

#[test]
fn inputs_that_no_lock_has() {
    let recipe = "[base]\nscratch = true\n[input.app]\nopen = true\nmade-by = \"make\"\n[[file]]\ninput = \"app\"\nto = \"/app\"\n";
    let test = Test::workspace().file("recipes/a/b/recipe.toml", recipe).file("one", "1").file("two", "2");
    let run = test.run(["build", "--input", "app=one"]).status(0);
    assert!(run.out.contains("open: app"), "{}", run.out);
    let first = run.out.clone();
    let test = run.then();
    assert!(!test.read("lockfiles/a/b.lock").contains("[output"));
    let run = test.run(["build", "--locked", "--input", "app=two"]).status(0);
    assert_ne!(run.out, first);
    let run = run.then().run(["build", "--input", "app=out/three"]).status(4);
    assert!(run.err.contains("[input.app] out/three is not there; `make` makes it"), "{}", run.err);
    // One that nobody has is a mistake; one of what a recipe stands on is none.
    let child = "[base]\nrecipe = \"a/b\"\n[[file]]\ntext = \"x\"\nto = \"/x\"\n";
    let test = run.then().file("recipes/a/c/recipe.toml", child);
    let run = test.run(["build", "a/c", "--input", "app=one", "--input", "apq=one"]).status(2);
    let expected = "--input apq: nothing that is built takes it by path; there are app; did you mean app?";
    assert!(run.err.contains(expected), "{}", run.err);
    run.then().run(["build", "a/c", "--input", "app=one"]).status(0);
}

#[test]
fn certificates_alone_come_into_the_bundle() {
    let recipe = "[base]\nlayout = \"bases/os:1\"\n[[ca]]\nfrom = \"c.pem\"\n";
    let key = format!("-----BEGIN {0} KEY-----\nMAA=\n-----END {0} KEY-----\n", "PRIVATE");
    let test = Test::workspace()
        .base("bases/os", "1", &[BASE])
        .file("recipes/a/b/recipe.toml", recipe)
        .file("recipes/a/b/c.pem", format!("\u{feff}{CERTIFICATE}{key}").replace('\n', "\r\n"));
    let run = test.run(["build"]).status(3);
    assert!(run.err.contains("recipes/a/b/c.pem seems to hold a private key"), "{}", run.err);
    let test = run.then().file("recipes/a/b/recipe.toml", format!("{recipe}allow-secret = \"not taken\"\n"));
    let test = test.run(["build", "a/b#prod", "--to", "oci:out:1"]).status(0).then();
    let bundle = Listing::of_layout(&test.path("out"), "linux/amd64");
    let bundle = bundle.at("etc/ssl/certs/ca-certificates.crt");
    assert_eq!(bundle, format!("f 0644 0:0 -----BEGIN CERTIFICATE-----\nold\n{CERTIFICATE}").trim_end());
}

#[test]
fn links_before_what_they_mean() {
    let tree = "d 0755 0:0 usr\nd 0755 0:0 usr/bin\nf 0755 0:0 usr/bin/perl the perl\nd 0755 0:0 bin\n\
        h bin/perl usr/bin/perl\nf 0644 0:0 usr/a.conf.j2 {{ variant }}\nh bin/b.conf.j2 usr/a.conf.j2\n\
        h bin/c.conf usr/a.conf.j2\n";
    let recipe = "[base]\nscratch = true\n[[file]]\nfrom = \"k.tar\"\nunpack = true\ntemplate = [\"*.j2\"]\nto = \"/o/\"\n";
    let test = Test::workspace()
        .file("recipes/a/b/k.tar", tar(tree))
        .file("recipes/a/b/recipe.toml", recipe)
        .run(["build", "a/b#prod", "--to", "oci:out:1"])
        .status(0)
        .then();
    let files = Listing::of_layout(&test.path("out"), "linux/amd64");
    for path in ["o/bin/perl", "o/usr/bin/perl"] {
        assert!(files.at(path).ends_with(" 0:0 the perl"), "{}", files.at(path));
    }
    for path in ["o/usr/a.conf", "o/bin/b.conf", "o/bin/c.conf"] {
        assert_eq!(files.at(path), "f 0644 0:0 prod", "{path}");
    }
    // Of an archive that is stripped too far nothing is left.
    let test = test.file("recipes/a/b/recipe.toml", format!("{recipe}strip = 3\n"));
    let run = test.run(["build"]).status(3);
    assert!(run.err.contains("k.tar: nothing of it is left") && run.err.contains(":4:8"), "{}", run.err);
}

#[test]
fn files_by_url() {
    let test = Test::workspace().file("dist/a b%", "here");
    let of = |name: &str| {
        let url = format!("file://{}/{name}", test.path("dist").display());
        format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nto = \"/x\"\n")
    };
    let (there, gone) = (of("a%20b%"), of("nope"));
    let test = test.file("recipes/a/b/recipe.toml", there).run(["build"]).status(0).then();
    let run = test.file("recipes/a/b/recipe.toml", gone).run(["build"]).status(4);
    assert!(run.err.contains("recipe.toml:4:9") && run.err.contains("nope is not there"), "{}", run.err);
}

#[test]
fn users_need_no_layer_of_the_base() {
    for (tree, line) in [("d 0755 0:0 srv\n", ""), (BASE, "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\n")] {
        let recipe = "[base]\nlayout = \"bases/os:1\"\n[[user]]\nname = \"app\"\nuid = 9\n";
        let child = "[base]\nrecipe = \"a/b\"\n[[user]]\nname = \"app\"\nuid = 9\n[[user]]\nname = \"own\"\nuid = 10\n\
            [[file]]\ntext = \"x\"\nto = \"/srv/x\"\nowner = \"own:app\"\n";
        let test = Test::workspace()
            .base("bases/os", "1", &[tree])
            .file("recipes/a/b/recipe.toml", recipe)
            .file("recipes/a/c/recipe.toml", child);
        let test = test
            .run(["lock", "--all"])
            .status(0)
            .then()
            .run(["build", "a/c#prod", "--to", "oci:out:1"])
            .status(0)
            .then();
        let files = Listing::of_layout(&test.path("out"), "linux/amd64");
        let own = "app:x:9:9::/:/sbin/nologin\nown:x:10:10::/:/sbin/nologin\n";
        assert_eq!(files.at("etc/passwd"), format!("f 0644 0:0 {line}{}", own.trim_end()));
        assert_eq!(files.at("srv/x"), "f 0644 10:9 x");
        let test = emptied(test.remove("bases"));
        test.run(["build", "--all", "--locked", "--offline"]).status(0);
    }
}

#[test]
fn archives_of_all_kinds() {
    if !engines::installed(&["xz", "bzip2", "zstd", "ar", "python3"]) {
        return;
    }
    let test = Test::workspace().file("recipes/a/b/x.tar", tar(ARCHIVE));
    let dir = test.path("recipes/a/b");
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        engines::run(command.current_dir(&dir).arg("-ec").arg(script));
    };
    shell(
        "xz -k x.tar; bzip2 -k x.tar; zstd -qk x.tar; gzip -k x.tar; cp x.tar.xz data.tar.xz; printf '2.0\\n' > debian-binary; ar r x.deb debian-binary data.tar.xz 2>/dev/null",
    );
    shell(
        "cp x.tar.gz data.tar.gz; tar cf x.gem data.tar.gz; python3 -c 'import zipfile; z = zipfile.ZipFile(\"x.zip\", \"w\", zipfile.ZIP_DEFLATED); i = zipfile.ZipInfo(\"app-1.0/readme\"); i.external_attr = 0o100644 << 16; z.writestr(i, \"read me\")'",
    );
    let mut recipe = "[base]\nscratch = true\n".to_owned();
    let kinds = ["tar", "tar.xz", "tar.bz2", "tar.zst", "tar.gz", "deb", "zip", "gem"];
    for kind in kinds {
        let unpack = if kind == "gem" { "[\"tar:data.tar.gz\", \"tar.gz\"]" } else { "true" };
        recipe += &format!(
            "[[file]]\nfrom = \"x.{kind}\"\nunpack = {unpack}\nstrip = 1\ninclude = [\"readme\"]\nto = \"/{kind}/\"\n"
        );
    }
    let test = test.file("recipes/a/b/recipe.toml", recipe);
    let mut test = test.run(["build", "a/b#prod", "--to", "oci:out:1"]).status(0).then();
    let files = Listing::of_layout(&test.path("out"), "linux/amd64");
    for kind in kinds {
        assert_eq!(files.at(&format!("{kind}/readme")), "f 0644 0:0 read me", "{kind}");
    }
    // A hostile one is told with its name, the entry and the cause.
    for (tree, what) in [
        ("d 0755 0:0 a\nf 0644 0:0 a/x 1\nf 0644 0:0 a/x 2\n", "a/x"),
        ("d 0755 0:0 a\nf 0644 0:0 a/x 1\nf 0644 0:0 a/X 2\n", "a/X"),
        ("d 0755 0:0 a\nl a/x /etc\nf 0644 0:0 a/x/passwd 2\n", "a/x/passwd"),
        ("d 0755 0:0 a\nh a/x a/none\n", "a/x"),
    ] {
        std::fs::write(dir.join("x.tar"), tar(tree)).unwrap();
        let recipe = "[base]\nscratch = true\n[[file]]\nfrom = \"x.tar\"\nunpack = true\nto = \"/x/\"\n";
        let run = test.file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(3);
        assert!(run.err.contains("x.tar: ") && run.err.contains(what), "{}", run.err);
        test = run.then();
    }
    // What isn't an archive is told as such.
    std::fs::write(dir.join("x.tar"), gzip(b"only compressed")).unwrap();
    let recipe = "[base]\nscratch = true\n[[file]]\nfrom = \"x.tar\"\nunpack = true\nto = \"/x/\"\n";
    let run = test.file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(3);
    assert!(run.err.contains("x.tar: by its name it is a tar, and there is none in it"), "{}", run.err);
    let test = run.then();
    std::fs::write(dir.join("x.tar"), tar("f 0644 0:0 x 1\nf 0644 0:0 X 2\n")).unwrap();
    let recipe = "[base]\nscratch = true\n[[file]]\nfrom = \"x.tar\"\nunpack = true\ncase-clash = \"ok\"\nto = \"/x/\"\n";
    test.file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(0);
}

#[test]
fn which_images_have_it() {
    let (registry, test) = workspace();
    let status = "Package: libssl3\\nStatus: install ok installed\\nArchitecture: amd64\\nSource: openssl (3.0.17-1)\\nVersion: 3.0.17-1+b1\\n\\n";
    let tree = format!("{BASE}d 0755 0:0 var/lib/dpkg\nf 0644 0:0 var/lib/dpkg/status {status}\n");
    let test = test.base("bases/os", "1", &[&tree]).run(["lock", "--all"]).status(0).then();
    let reference = format!("{}/lib/other", registry.host());
    let digest = {
        let lock = test.read("lockfiles/a/maker.lock");
        let text = lock.split_once("[output.prod]\nindex = \"").unwrap().1;
        text.split_once(' ').unwrap().0.to_owned()
    };
    let mut test = test;
    for (option, value, expected) in [
        ("--uses", "bases/os:1", "a/maker#prod  -  stands on bases/os:1"),
        ("--uses", &reference, "a/all#prod  -  takes from"),
        ("--uses", "a/maker", "a/all#dev   -  takes from a/maker#dev"),
        ("--package", "openssl < 3.0.18", "a/all#prod    linux/amd64  libssl3 3.0.17-1+b1"),
        ("--package", "libssl3 >= 3.0.17-1+b1", "a/maker#prod  linux/amd64  libssl3"),
        ("--package", "openssl > 3.0.18", ""),
        ("--has", "/opt/app/start", "a/all#prod  linux/amd64  /opt/app/start"),
        ("--has", "/etc/app/link.conf", "/etc/app/app.conf"),
        ("--digest", &digest, "a/maker#prod  -  the image itself"),
        ("--digest", &format!("{}…", &digest[..19]), "a/maker#prod  -  the image itself"),
        ("--digest", &digest[7..14], "a/maker#prod  -  the image itself"),
        ("--digest", &format!("sha256:{}...", "0".repeat(12)), ""),
    ] {
        let run = test.run(["list", option, value]).status(i32::from(expected.is_empty()));
        assert!(
            run.out.contains(expected) && (!expected.is_empty() || run.out.is_empty()),
            "{option} {value}: {}",
            run.out
        );
        test = run.then();
    }
    // Through a copy: what it takes from stands on something else.
    let far = "[base]\nlayout = \"bases/far:1\"\n[[file]]\ntext = \"x\"\nto = \"/made\"\n";
    let near =
        "[base]\nrecipe = \"a/maker\"\n[[file]]\nrecipe = \"a/far\"\npath = \"/made\"\nto = \"/opt/\"\n";
    let test = test
        .base("bases/far", "1", &["d 0755 0:0 opt\n"])
        .file("recipes/a/far/recipe.toml", far)
        .file("recipes/a/near/recipe.toml", near);
    let run = test.run(["list", "--uses", "bases/far:1"]).status(0).stdout(
        "a/far#dev    -  stands on bases/far:1
a/far#prod   -  stands on bases/far:1
a/near#dev   -  stands on bases/far:1, through a/far
a/near#prod  -  stands on bases/far:1, through a/far
",
    );
    let test = run.then().remove("recipes/a/far").remove("recipes/a/near");
    // What can't be known is a row.
    let run = emptied(test).run(["list", "--package", "openssl"]).status(4);
    assert_eq!(run.out.matches("unknown: this image isn't in the store").count(), 4, "{}", run.out);
    // With the layout gone, `build` fills a store with what recipes add; what their bases have only `lock` reads.
    let test = run.then();
    std::fs::rename(test.path("bases"), test.path("gone")).unwrap();
    let test = test.run(["build", "a/maker", "--locked"]).status(0).then();
    let run = test.run(["list", "a/maker", "--package", "openssl", "--format", "json"]).status(4);
    let found = &run.json()["found"][0];
    assert_eq!(found["known"], false, "{}", run.out);
    assert!(found["what"].as_str().unwrap().contains("`cooper lock a/maker` reads them"), "{}", run.out);
    // A digest is known all the same, found or not.
    let test = run.then().run(["list", "--digest", &digest]).status(0).then();
    let run = test.run(["list", "a/maker", "--digest", &"0".repeat(64)]).stdout("").status(1);
    let test = run.then();
    std::fs::rename(test.path("gone"), test.path("bases")).unwrap();
    let test = test.run(["lock", "--all"]).status(0).then();
    let test = test.run(["list", "--package", "openssl"]).status(0).then();
    let run = test.run(["list", "--digest", "sha256:12"]).status(2);
    assert!(run.err.contains("is no digest"), "{}", run.err);
    let run = run.then().run(["list", "--has", "/x", "--uses", "y"]).status(2);
    run.then().run(["list", "--package", "a b"]).status(2);
}

#[test]
fn a_program_for_each_platform_out_of_an_archive() {
    let test = Test::workspace().base("bases/os", "1", &[BASE]);
    let dist = test.path("dist").to_str().unwrap().to_owned();
    let url = format!("file://{dist}/tool-1.0-{{{{ platform.os }}}}-{{{{ platform.arch }}}}.tar.gz");
    let recipe = format!(
        "[base]\nlayout = \"bases/os:1\"\n[[file]]\nfetch = \"{url}\"\nunpack = true\nstrip = 1\ninclude = [\"tool\"]\nto = \"/usr/local/bin/\"\n"
    );
    let mut test = test.file("recipes/a/b/recipe.toml", recipe);
    for arch in ["amd64", "arm64"] {
        let tree = format!(
            "d 0755 0:0 tool-1.0\nf 0644 0:0 tool-1.0/LICENSE free\nf 0755 0:0 tool-1.0/tool of {arch}\n"
        );
        test = test.file(&format!("dist/tool-1.0-linux-{arch}.tar.gz"), gzip(&tar(&tree)));
    }
    let test = test.run(["build", "--to", "oci:out:1"]).status(0).then();
    let lock = test.read("lockfiles/a/b.lock");
    for arch in ["amd64", "arm64"] {
        let files = Listing::of_layout(&test.path("out"), &format!("linux/{arch}"));
        assert_eq!(files.at("usr/local/bin/tool"), format!("f 0755 0:0 of {arch}"));
        assert_eq!(files.at("usr/local/bin/LICENSE"), "nothing");
        assert!(lock.contains(&format!("tool-1.0-linux-{arch}.tar.gz\"\n")), "{lock}");
    }
    // Both come into vendor/, and nothing else is needed then.
    let run = test.run(["vendor", "--all", "--format", "json"]).status(0);
    assert_eq!(run.json()["vendored"].as_array().unwrap().len(), 2);
    emptied(run.then().remove("dist")).run(["build", "--all", "--locked", "--offline"]).status(0);
}

/// What is known of an archive stays as long as the layers of now, not of then.
#[test]
fn after_gc_nothing_is_fetched_again() {
    let test = Test::workspace();
    let url = format!("file://{}", test.path("x.tar").display());
    let of = |path: &str| {
        format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nunpack = true\nto = \"{path}\"\n")
    };
    let test = test
        .file("x.tar", tar("f 0644 0:0 a one"))
        .file("recipes/a/one/recipe.toml", of("/x"))
        .file("recipes/a/two/recipe.toml", of("/y"))
        .run(["build", "--all"])
        .status(0)
        .then();
    // Another place, another layer; and another recipe with the same archive goes.
    let test = test.file("recipes/a/one/recipe.toml", of("/z")).run(["build", "--all"]).status(0).then();
    let test = test.remove("recipes/a/two").remove("lockfiles/a/two.lock").run(["build"]).status(0).then();
    let test = test.remove("x.tar").run(["gc"]).status(0).then();
    let test = test.run(["--no-index", "build", "--locked", "--offline"]).status(0).then();
    test.run(["--no-index", "build"]).status(0).then().run(["lock", "--check"]).status(0);
}

#[test]
fn a_url_is_asked_again_by_update_only() {
    let test = Test::workspace();
    let url = format!("file://{}", test.path("dist/x").display());
    let of = |path: &str| format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nto = \"{path}\"\n");
    let copy = "[base]\nscratch = true\n[[file]]\nrecipe = \"a/one\"\npath = \"/x\"\nto = \"/y\"\n";
    let test = test
        .file("dist/x", "first")
        .file("recipes/a/one/recipe.toml", of("/x"))
        .file("recipes/a/copy/recipe.toml", copy)
        .run(["build", "a/*"])
        .status(0)
        .then();
    // Another recipe has another pin of it; each keeps its own, in one session too.
    let test = test.file("dist/x", "second").file("recipes/a/two/recipe.toml", of("/x"));
    let test = test.run(["build", "a/two"]).status(0).then();
    let test = test.run(["build", "--all", "--locked"]).status(0).then();
    let pin = |test: &Test, name: &str| {
        let lock = test.read(&format!("lockfiles/a/{name}.lock"));
        lock.split_once("pinned = \"").map(|(_, rest)| rest[..71].to_owned()).unwrap()
    };
    let [first, second, third] =
        ["first", "second", "third"].map(|text| Digest::of(text.as_bytes()).to_string());
    assert_eq!([pin(&test, "one"), pin(&test, "two")], [first.clone(), second.clone()]);
    // A second entry of the same recipe means what the first one has.
    let again = format!("[[file]]\nfetch = \"{url}\"\nunpack = \"tar\"\nto = \"/again/\"\n");
    let test = test.file("recipes/a/two/recipe.toml", of("/x") + &again).file("dist/x", "third");
    let run = test.run(["build", "a/two"]).status(3);
    assert!(run.err.contains(&format!("it is {third} now, not {second}")), "{}", run.err);
    let test = run.then().file("recipes/a/two/recipe.toml", of("/x"));
    // Told, then done, with what takes from it.
    let run = test.run(["update"]).status(0);
    assert!(run.out.contains("would move in a/one") && run.out.contains(&third), "{}", run.out);
    let run = run.then().run(["update", "--input", &url, "--format", "json"]).status(0);
    let moves = run.json()["moves"].as_array().unwrap().clone();
    let moved = |old: &str, recipe: &str| {
        let reference = "file://[DIR]/dist/x";
        serde_json::json!({ "reference": reference, "was": null, "old": old, "new": third, "recipes": [recipe], "packages": null })
    };
    assert_eq!(moves, [moved(&second, "a/two"), moved(&first, "a/one")]);
    let test = run.then();
    assert_eq!([pin(&test, "one"), pin(&test, "two")], [third.clone(), third.clone()]);
    let test = test.run(["build", "--all", "--locked"]).status(0).then();
    // One that the recipe itself pins doesn't move; one that nobody has is none.
    let fixed = of("/x").replace("\"\nto", &format!("\"\nsha256 = \"{}\"\nto", &third[7..]));
    let test = test.file("recipes/a/one/recipe.toml", fixed).file("dist/x", "fourth");
    let test = test.run(["build", "a/one"]).status(0).then();
    let run = test.run(["update", "a/one"]).status(0);
    assert_eq!(pin(run.test(), "one"), third);
    run.then().run(["update", "--input", "file:///none"]).status(2);
}

#[test]
fn a_path_of_an_image_is_an_input() {
    let (registry, test) = workspace();
    let recipe = format!(
        "[base]\nscratch = true\n[input.lib]\nimage = \"{}/lib/other:1\"\npath = \"/usr/lib\"\nmade-by = \"make lib\"\n[[file]]\ninput = \"lib\"\nto = \"/lib/\"\n",
        registry.host()
    );
    let test = test.file("recipes/a/b/recipe.toml", recipe);
    let test = test.run(["build", "a/b#prod", "--to", "oci:out:1"]).status(0).then();
    let files = Listing::of_layout(&test.path("out"), "linux/amd64");
    assert_eq!([files.at("lib/a"), files.at("lib/bin")], ["f 0644 7:8 a", "nothing"]);
    // The tag moves, and only update asks.
    let test = test.base("seed", "1", &[&OTHER.replace("usr/lib/a a", "usr/lib/a b")]);
    let moved = registry.seed_layout("lib/other", "1", &test.path("seed")).to_string();
    let test = test.run(["build", "a/b", "--locked"]).status(0).then();
    let reference = format!("{}/lib/other:1", registry.host());
    let run = test.run(["update", "a/b", "--input", &reference]).status(0);
    assert!(run.out.contains(&moved), "{}", run.out);
    let run = run.then().run(["lock", "--audit", "a/b"]).status(0);
    assert!(run.out.contains("/usr/lib of "), "{}", run.out);
    let test = run.then().run(["build", "a/all"]).status(0).then();
    let run = test.run(["lock", "--audit", "a/all"]).status(0);
    assert!(run.out.contains("made elsewhere, made by `mvn package`"), "{}", run.out);
}
