//! What users of other tools mean by an option or a verb that Cooper doesn't have.

/// Verb, option, what there is instead.
const OPTIONS: [(&[&str], &[&str], &str); 12] = [
    (
        &["build"],
        &["--target"],
        "a variant stands behind the name: cooper build STACK/NAME#VARIANT; an engine's stage is a recipe of its own",
    ),
    (
        &["build"],
        &["-t", "--tag"],
        "tags stand in the recipe, [image] tags; for an engine: --to docker-daemon:NAME:TAG",
    ),
    (&["build"], &["-f", "--file"], "a recipe is named by its directory: cooper build STACK/NAME"),
    (&["build"], &["--build-arg"], "--set NAME=VALUE, of a variable with set = true"),
    (
        &["build"],
        &["--no-cache", "--pull", "--no-pull"],
        "`cooper update` moves bases; --twice builds again from nothing",
    ),
    (&["build"], &["-o", "--output", "--load"], "--to says where: oci:DIR, oci-archive:FILE, docker-daemon:"),
    (&["build"], &["--push"], "`cooper push` puts images into the registry"),
    (&["build", "push", "copy"], &["--platforms", "--arch", "--os"], "--platform linux/arm64"),
    (
        &["push"],
        &["--to", "-t", "--tag"],
        "cooper.toml says where, [publish] repository; another place: cooper copy STACK/NAME docker://REFERENCE",
    ),
    (&["push"], &["--all-tags", "-a"], "all tags of [image] tags are pushed"),
    (&["copy"], &["--all"], "all platforms are copied"),
    (&["lock"], &["--upgrade", "--update"], "`cooper update` moves what is pinned"),
];

/// What is meant by an option of a verb.
pub(crate) fn option(verb: &str, given: &str) -> Option<&'static str> {
    let name = given.split('=').next().unwrap_or(given);
    let fits = |(verbs, names, _): &&(&[&str], &[&str], _)| verbs.contains(&verb) && names.contains(&name);
    OPTIONS.iter().find(fits).map(|(.., instead)| *instead)
}

/// What is meant by a verb.
pub(crate) fn verb(given: &str) -> Option<&'static str> {
    Some(match given {
        "images" | "ls" | "ps" => "`cooper list` tells recipes and their images",
        "inspect" | "history" | "info" => "`cooper show` tells all about an image",
        "run" | "exec" | "up" | "start" | "down" => {
            "cooper runs nothing: `cooper compose STACK` describes the stack for docker and podman"
        }
        "tag" => "tags stand in the recipe, [image] tags, and `cooper push` gives them",
        "login" | "logout" => "`docker login` or `podman login`: cooper reads what they keep",
        "save" | "load" => "`cooper copy STACK/NAME oci-archive:FILE`",
        "rmi" | "prune" | "clean" => "`cooper gc` removes what no recipe needs",
        "new" | "create" => "`cooper init STACK/NAME`",
        "upgrade" | "outdated" => "`cooper update` moves what is pinned",
        "test" | "lint" | "validate" => "`cooper check`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant() {
        assert!(option("build", "--target=prod").is_some_and(|meant| meant.contains("#VARIANT")));
        assert!(option("push", "--to").is_some_and(|meant| meant.contains("cooper copy")));
        assert_eq!((option("list", "--target"), option("build", "--tarp")), (None, None));
        assert!(verb("images").is_some() && verb("build").is_none());
    }
}
