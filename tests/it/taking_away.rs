//! Removing and adding in every combination of design section 5.1: the rows of `taking_away.txt`, as the layers say by
//! the image specification, and as Docker, Podman and umoci show.

use std::collections::BTreeMap;
use std::process::Command;

use crate::engines::{self, PLATFORM};
use crate::listing::{Listing, layers};
use crate::support::Test;

const VARIANTS: [&str; 2] = ["prod", "dev"];
const RECIPES: [&str; 2] = ["table/recipe", "table/child"];

/// A row's sections by their headings.
type Sections = BTreeMap<&'static str, Vec<&'static str>>;

fn rows() -> Vec<(&'static str, Sections)> {
    const HEADINGS: [&str; 8] =
        ["base", "upper", "recipe", "child", "prod", "dev", "child-prod", "child-dev"];
    let mut rows: Vec<(&str, Sections)> = Vec::new();
    let mut heading = "";
    for line in include_str!("taking_away.txt").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            assert!(rows.iter().all(|(known, _)| *known != name), "two rows {name}");
            rows.push((name, Sections::new()));
        } else if let (Some((_, sections)), false) = (rows.last_mut(), line.is_empty()) {
            if HEADINGS.contains(&line) {
                heading = line;
                sections.insert(heading, Vec::new());
            } else {
                sections.get_mut(heading).unwrap_or_else(|| panic!("{line}")).push(line);
            }
        }
    }
    rows
}

/// `f path content` with mode, owner and the row's directory.
fn full(row: &str, line: &str) -> String {
    let line = line.replace('$', &format!("/{row}"));
    let (kind, rest) = line.split_once(' ').unwrap();
    if kind == "l" {
        return format!("l {row}/{rest}");
    }
    if kind == "h" {
        let (path, target) = rest.split_once(' ').unwrap();
        return format!("h {row}/{path} {row}/{target}");
    }
    let octal = |word: &str| word.len() == 4 && word.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    if !rest.split(' ').next().is_some_and(octal) {
        return format!("{kind} {} {row}/{rest}", if kind == "d" { "0755 0:0" } else { "0644 0:0" });
    }
    let mut words = rest.splitn(3, ' ');
    let (mode, owner, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    format!("{kind} {mode} {owner} {row}/{rest}")
}

/// `file: to = "$/x", text = "X"` as TOML.
fn entry(row: &str, line: &str) -> String {
    let (kind, keys) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
    format!("[[{kind}]]\n{}\n", keys.replace(", ", "\n").replace("\"$", &format!("\"/{row}")))
}

fn expected(row: &str, sections: &Sections, recipe: &str, variant: &str) -> Listing {
    let first = |headings: &[&str]| headings.iter().find_map(|heading| sections.get(*heading));
    let lines = match (recipe, variant) {
        ("table/child", "prod") => first(&["child-prod", "prod"]),
        // A child's dev can only be guessed where nothing differs between the variants.
        ("table/child", _) if !sections.contains_key("dev") => first(&["child-dev", "child-prod", "prod"]),
        ("table/child", _) if sections.contains_key("child") => first(&["child-dev"]),
        (_, "dev") => first(&["dev", "prod"]),
        _ => first(&["prod"]),
    };
    let mut listing = Listing::default();
    for line in lines.unwrap_or_else(|| panic!("{row} doesn't say what {recipe}#{variant} holds")) {
        let line = full(row, line);
        let (kind, rest) = line.split_once(' ').unwrap();
        if kind == "l" {
            let (path, target) = rest.split_once(' ').unwrap();
            listing.put(path, format!("l {target}"));
            continue;
        }
        let words: Vec<&str> = rest.splitn(4, ' ').collect();
        let content = words.get(3).copied().unwrap_or("");
        listing.put(words[2], format!("{kind} {} {} {content}", words[0], words[1]).trim_end().to_owned());
    }
    listing
}

/// The workspace of all rows.
fn workspace() -> Test {
    let (mut lower, mut upper) = (String::new(), String::new());
    let mut recipes =
        ["[base]\nlayout = \"base:1\"\n".to_owned(), "[base]\nrecipe = \"table/recipe\"\n".to_owned()];
    for (row, sections) in rows() {
        let lines = |heading: &str| sections.get(heading).into_iter().flatten();
        lower += &format!("d 0755 0:0 {row}\n");
        lines("base").for_each(|line| lower += &format!("{}\n", full(row, line)));
        lines("upper").for_each(|line| upper += &format!("{}\n", full(row, line)));
        lines("recipe").for_each(|line| recipes[0] += &entry(row, line));
        lines("child").for_each(|line| recipes[1] += &entry(row, line));
    }
    // Directories that the upper layer only passes through are implied there: some tools write such layers.
    let mut test = Test::workspace().base("base", "1", &[&lower, &upper]);
    for (name, recipe) in RECIPES.iter().zip(&recipes) {
        test = test
            .file(&format!("recipes/{name}/recipe.toml"), recipe)
            .file(&format!("recipes/{name}/tree/new"), "N")
            .file(&format!("recipes/{name}/tree/sub/deep"), "D");
    }
    test.run(["build", "--all"]).status(0).then()
}

#[track_caller]
fn compare(found: &Listing, recipe: &str, variant: &str, engine: &str) {
    let mut wrong = String::new();
    for (row, sections) in rows() {
        assert_eq!(found.at(row), "d 0755 0:0", "{engine} {row}");
        let (expected, found) = (expected(row, &sections, recipe, variant), found.below(row));
        if expected != found {
            let (expected, found) = (expected.to_text(), found.to_text());
            wrong += &format!("\n{row}, {recipe}#{variant}, {engine}\nexpected\n{expected}found\n{found}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_layers_say_so() {
    let mut test = workspace();
    for (recipe, variant) in images() {
        let (target, out) = (format!("{recipe}#{variant}"), format!("{}-{variant}", &recipe[6..]));
        test = test.run(["build", &target, "--to", &format!("oci:{out}")]).status(0).then();
        compare(&Listing::of_layout(&test.path(&out), PLATFORM), recipe, variant, "layers");
    }
    // Whatever a variant takes away, the layers below its own are the others' too.
    let [prod, dev] = VARIANTS.map(|variant| layers(&test.path(&format!("recipe-{variant}")), PLATFORM));
    let shared = prod.len() - 1;
    assert_eq!((&prod[..shared], prod.len()), (&dev[..shared], dev.len()));
    assert_ne!(prod[shared], dev[shared]);
}

#[test]
fn docker_podman_and_umoci_show_it() {
    let (docker, podman) = (engines::docker(), engines::podman());
    let umoci = engines::installed(&["umoci", "skopeo"]) && engines::root();
    if docker.is_none() && podman.is_none() && !umoci {
        return;
    }
    let mut test = workspace();
    for (recipe, variant) in images() {
        let target = format!("{recipe}#{variant}");
        test = test.run(["build", &target, "--to", "oci-archive:image.tar"]).status(0).then();
        let archive = test.path("image.tar");
        for (name, engine) in [("docker", docker), ("podman", podman)] {
            let Some(engine) = engine else { continue };
            let files = engine.files(&engine.load(&archive));
            compare(&Listing::of_tar(&files), recipe, variant, name);
        }
        if umoci {
            let (layout, bundle) = (test.path("one"), test.path("bundle"));
            let mut skopeo = Command::new("skopeo");
            skopeo.arg("copy").arg(format!("oci-archive:{}", archive.display()));
            engines::run(skopeo.arg(format!("oci:{}:one", layout.display())));
            let mut umoci = Command::new("umoci");
            umoci.arg("unpack").arg("--image").arg(format!("{}:one", layout.display()));
            engines::run(umoci.arg(&bundle));
            compare(&Listing::of_directory(&bundle.join("rootfs")), recipe, variant, "umoci");
            test = test.remove("one").remove("bundle");
        }
    }
}

fn images() -> impl Iterator<Item = (&'static str, &'static str)> {
    RECIPES.into_iter().flat_map(|recipe| VARIANTS.map(|variant| (recipe, variant)))
}
