//! `cooper update`

use clap::Args;
use cooperage::ops::{self, PackageMove, PinMove, UpdateOptions};
use serde_json::{Value, json};

use super::Verb;
use crate::errors::{Failure, Problem};
use crate::options::{Format, Net, Targets};
use crate::shell::Answer;
use crate::text::{columns, count, harmful, replace};

/// More packages of a base are counted: the other formats have them all.
const SHOWN: usize = 10;

/// Move the pins of bases to what their references and layouts say now
///
/// Without targets, --all or --input it only tells what would move.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper update                                 what would move?
  cooper update --all                           move everything
  cooper update shop/web                        only this recipe's bases
  cooper update --input bases/alpine:3.20       only this base, in every lock that holds it
  cooper update --all --format markdown         for a bot: bases, recipes and packages, old and new")]
pub(crate) struct Update {
    #[command(flatten)]
    select: Targets,
    /// Only the pins of this reference, layout or URL
    #[arg(long, value_name = "REFERENCE")]
    input: Option<String>,
    /// Open no connection [env: COOPER_OFFLINE]
    #[arg(long)]
    offline: bool,
}

impl Verb for Update {
    fn net(&self) -> Net {
        Net::offline(self.offline)
    }

    fn takes(&self, format: Format) -> bool {
        matches!(format, Format::Text | Format::Json | Format::Markdown)
    }

    fn run(&self, format: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let select: ops::Selection = (&self.select).into();
        let asked = select.all || !select.targets.is_empty() || self.input.is_some();
        if env.locked && asked {
            let problem = Problem::usage("COOPER_LOCKED forbids to write locks");
            return Err(problem
                .hint("without targets `cooper update` only tells; COOPER_LOCKED=0 allows writing")
                .into());
        }
        let (moves, applied) = ops::update(env, &UpdateOptions { select, input: self.input.clone() })?;
        Ok(answer(&moves, applied, format))
    }
}

fn answer(moves: &[PinMove], applied: bool, format: Format) -> Answer {
    let status = match (moves, applied) {
        ([], _) => "every pin is what its reference says".to_owned(),
        (_, true) => format!("{} moved", count(moves.len(), "pin")),
        (_, false) => format!("{} would move: `cooper update --all` moves them", count(moves.len(), "pin")),
    };
    let json: Vec<Value> = moves.iter().map(pin_json).collect();
    let lines = match format {
        Format::Markdown => moves.iter().flat_map(markdown).collect(),
        _ => moved_lines(moves, if applied { "moved in" } else { "would move in" }),
    };
    Answer {
        lines,
        status: vec![status],
        json: json!({ "moves": json, "applied": applied }),
        ..Answer::default()
    }
}

/// One line per pin that moved.
pub(super) fn pin_lines(pins: &[PinMove], what: &str) -> Vec<String> {
    let rows = pins.iter().map(|pin| {
        let old = pin.old.map_or_else(String::new, |old| format!("sha256:{}… -> ", old.short()));
        let reference = match &pin.was {
            Some(was) => format!("{was} -> {}", pin.reference),
            None => pin.reference.clone(),
        };
        vec![reference, format!("{old}{}", pin.new), format!("{what} {}", pin.recipes.join(", "))]
    });
    columns(&rows.collect::<Vec<_>>())
}

/// One of `pins` or `moves`.
pub(super) fn pin_json(pin: &PinMove) -> Value {
    json!({
        "reference": pin.reference,
        "was": pin.was,
        "old": pin.old.map(|digest| digest.to_string()),
        "new": pin.new.to_string(),
        "packages": pin.packages.as_ref().map(|all| all.iter().map(package_json).collect::<Vec<_>>()),
        "recipes": pin.recipes,
    })
}

/// One of `packages`.
fn package_json(package: &PackageMove) -> Value {
    let PackageMove { name, old, new, platforms } = package;
    json!({ "name": name, "old": old, "new": new, "platforms": platforms })
}

/// Pins that moved, each with what became of the packages.
pub(super) fn moved_lines(pins: &[PinMove], what: &str) -> Vec<String> {
    pin_lines(pins, what)
        .into_iter()
        .zip(pins)
        .flat_map(|(line, pin)| [vec![line], packages(pin)].concat())
        .collect()
}

fn packages(pin: &PinMove) -> Vec<String> {
    let all = pin.packages.iter().flatten();
    let mut lines: Vec<String> =
        all.clone().take(SHOWN).map(|package| format!("  {}", package_line(package))).collect();
    if let Some(more) = all.count().checked_sub(SHOWN + 1) {
        lines.push(format!("  and {} more: --format json or markdown has all", more + 1));
    }
    lines
}

fn package_line(package: &PackageMove) -> String {
    let on = if package.platforms.is_empty() {
        String::new()
    } else {
        format!(" on {}", package.platforms.join(", "))
    };
    match (&package.old, &package.new) {
        (Some(old), Some(new)) => format!("{} {old} -> {new}{on}", package.name),
        (None, Some(new)) => format!("{} {new} is new{on}", package.name),
        (Some(old), None) => format!("{} {old} is gone{on}", package.name),
        (None, None) => package.name.clone(),
    }
}

/// A section for a pull request. What comes from outside can't end the cell that it stands in.
fn markdown(pin: &PinMove) -> Vec<String> {
    let old = pin.old.map_or_else(|| "nothing".to_owned(), |old| format!("`{old}`"));
    let mut lines = vec![
        format!("### {}", cell(&pin.reference)),
        String::new(),
        format!("{old} → `{}` in {}", pin.new, cells(&pin.recipes)),
        String::new(),
    ];
    let Some(packages) = &pin.packages else {
        if pin.old.is_some() {
            lines.extend(["What it means for packages can't be told.".to_owned(), String::new()]);
        }
        return lines;
    };
    if packages.is_empty() {
        lines.extend(["No package has another version.".to_owned(), String::new()]);
        return lines;
    }
    let everywhere = packages.iter().all(|package| package.platforms.is_empty());
    let summary = format!("<details><summary>{}</summary>", count(packages.len(), "package"));
    lines.extend([summary, String::new()]);
    lines.push(format!("| package | from | to |{}", if everywhere { "" } else { " on |" }));
    lines.push(format!("|---|---|---|{}", if everywhere { "" } else { "---|" }));
    for PackageMove { name, old, new, platforms } in packages {
        let version = |version: &Option<String>| version.as_deref().map_or_else(|| "–".to_owned(), cell);
        let on = if platforms.is_empty() { "all".to_owned() } else { cells(platforms) };
        let on = if everywhere { String::new() } else { format!(" {on} |") };
        lines.push(format!("| {} | {} | {} |{on}", cell(name), version(old), version(new)));
    }
    lines.extend([String::new(), "</details>".to_owned(), String::new()]);
    lines
}

fn cells(texts: &[String]) -> String {
    texts.iter().map(|text| cell(text)).collect::<Vec<_>>().join(", ")
}

/// Text from outside as a part of one line or cell, that means nothing to whoever renders it: no markup, no link, no `@name`
/// that would call somebody, no `#1` or commit that would be told of it. Forges look for those wherever text stands, escaped
/// or not, but for code.
fn cell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~:/+-".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !is_linked(text) {
        return text.replace('_', "\\_").replace('~', "\\~");
    }
    // In a table a `|` ends the cell, even in code, unless it has a backslash.
    let safe = replace(
        text,
        |c| harmful(c) || c == '|',
        |c| match c {
            '|' => "\\|".to_owned(),
            _ => c.escape_default().to_string(),
        },
    );
    let longest = safe.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // One blank on each side is taken off again.
    let pad =
        if safe.is_empty() || safe.starts_with(['`', ' ']) || safe.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{safe}{pad}{fence}")
}

/// Whether a forge makes a link of a plain word: URLs, `GH-1` and the like, what could be a commit.
fn is_linked(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_commit = |word: &str| word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_issue = |word: &str| {
        word.split_once('-').is_some_and(|(project, rest)| {
            project.bytes().all(|byte| byte.is_ascii_uppercase())
                && rest.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    let words = |text: &str, is: &dyn Fn(&str) -> bool| text.split(['.', '_', '~', ':', '/', '+']).any(is);
    lower.contains("://")
        || lower.contains("www.")
        || lower.contains("mailto:")
        || words(text, &is_issue)
        || words(&lower, &|word| word.split('-').any(is_commit))
}

#[cfg(test)]
mod tests {
    use cooperage::digest::Digest;

    use super::*;

    #[test]
    fn what_a_bot_writes() {
        let package = |name: &str, old: Option<&str>, new: Option<&str>, on: &[&str]| PackageMove {
            name: name.into(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            platforms: on.iter().map(|on| (*on).to_owned()).collect(),
        };
        let mut pin = PinMove {
            reference: "docker.io/library/debian:12".into(),
            was: None,
            old: Some(Digest::of(b"1")),
            new: Digest::of(b"2"),
            recipes: vec!["a/b".into(), "a/c".into()],
            packages: Some(vec![
                package("libssl3", Some("3.0.1"), Some("3.0.2"), &[]),
                package("odd|name", None, Some("1"), &["linux/arm64"]),
            ]),
        };
        let all = answer(std::slice::from_ref(&pin), true, Format::Markdown);
        assert!(all.lines.contains(&"| libssl3 | 3.0.1 | 3.0.2 | all |".to_owned()), "{:#?}", all.lines);
        assert!(all.lines.contains(&"| `odd\\|name` | – | 1 | linux/arm64 |".to_owned()), "{:#?}", all.lines);
        assert_eq!(all.json["moves"][0]["packages"][0]["new"], "3.0.2");
        let text = answer(std::slice::from_ref(&pin), false, Format::Text);
        assert_eq!(text.lines[1..], ["  libssl3 3.0.1 -> 3.0.2", "  odd|name 1 is new on linux/arm64"]);
        pin.packages = Some((0..12).map(|n| package(&format!("p{n}"), Some("1"), None, &[])).collect());
        let text = answer(std::slice::from_ref(&pin), false, Format::Text);
        assert_eq!(
            (text.lines.len(), text.lines[11].as_str()),
            (12, "  and 2 more: --format json or markdown has all")
        );
        pin.packages = None;
        assert!(markdown(&pin).iter().any(|line| line.contains("can't be told")));
        assert!(answer(&[], false, Format::Markdown).lines.is_empty());
    }

    #[test]
    fn nothing_from_outside_is_live_in_markdown() {
        for (text, safe) in [
            ("libssl3", "libssl3"),
            ("3.0.2-1~deb12u1+b1", "3.0.2-1\\~deb12u1+b1"),
            ("1:2.3_4", "1:2.3\\_4"),
            ("docker.io/library/debian:12", "docker.io/library/debian:12"),
            ("@everyone", "`@everyone`"),
            ("a @org/team b", "`a @org/team b`"),
            ("#123", "`#123`"),
            ("org/repo#1", "`org/repo#1`"),
            ("GH-12", "`GH-12`"),
            ("JIRA-7.1", "`JIRA-7.1`"),
            ("deadbeefcafe", "`deadbeefcafe`"),
            ("1.2-0123456789abcdef", "`1.2-0123456789abcdef`"),
            ("https://evil.example/x", "`https://evil.example/x`"),
            ("www.evil.example", "`www.evil.example`"),
            ("[a](http://b)", "`[a](http://b)`"),
            ("<img src=x>", "`<img src=x>`"),
            ("a|b", "`a\\|b`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            ("``@x``", "``` ``@x`` ```"),
            ("a\n\n# b", "`a\\n\\n# b`"),
            ("a\u{202e}b", "`a\\u{202e}b`"),
            ("", "`  `"),
            ("*b*", "`*b*`"),
            ("me@example.org", "`me@example.org`"),
        ] {
            assert_eq!(cell(text), safe, "{text:?}");
        }
    }
}
