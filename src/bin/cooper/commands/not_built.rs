//! Verbs that Cooper will have: what to use until then. They stand in no help text.

use crate::errors::Problem;

/// Their names, and what there is instead.
const NAMES: [(&str, Option<&str>); 10] = [
    ("diff", Some("`cooper show --format json` of both, for diff")),
    (
        "why",
        Some(
            "`cooper build` says which input changed an image, `cooper lock --check` without writing anything",
        ),
    ),
    ("sign", Some("cosign signs the digests that `cooper build` prints, once they are in a registry")),
    ("verify", Some("`cooper build --locked` for images, `cooper store verify` for the store")),
    ("attest", None),
    ("export", Some("`cooper copy TARGET oci-archive:FILE`")),
    ("import", Some("`cooper copy oci-archive:FILE oci:DIR:TAG`")),
    ("inventory", Some("`cooper list --format json`")),
    ("rebuild", Some("`cooper build --twice`")),
    ("realise", None),
];

/// The answer to somebody who called one of them.
pub(crate) fn problem(name: &str) -> Option<Problem> {
    let (_, instead) = NAMES.iter().find(|(known, _)| *known == name)?;
    let problem = Problem::usage(format!("`cooper {name}` is not built yet"));
    Some(instead.iter().fold(problem, |problem, instead| problem.hint(format!("until then: {instead}"))))
}
