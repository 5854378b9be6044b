//! A lock with git's conflict markers in it: taking it apart, and merging what only a registry or a person could
//! decide again. Everything else is recomputed.

use std::collections::BTreeMap;

use super::{BasePin, Error, Lock};

/// Which side wins where the sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The branch that is being merged into (`<<<<<<<`).
    Ours,
    /// The branch that is being merged (`>>>>>>>`).
    Theirs,
}

/// A pin that the sides have differently.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// `base docker.io/library/postgres:17`, `epoch`
    pub what: String,
    /// As our side has it.
    pub ours: String,
    /// As their side has it.
    pub theirs: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ours {}, theirs {}", self.what, self.ours, self.theirs)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Both,
    Ours,
    Ancestor,
    Theirs,
}

/// The line, from 1, of the first conflict marker.
pub fn first_marker(text: &str) -> Option<usize> {
    text.lines().position(|line| marker(line).is_some()).map(|at| at + 1)
}

/// The part that begins after this line, when it is a marker.
fn marker(line: &str) -> Option<Part> {
    let (head, rest) = line.split_at_checked(7)?;
    if !(rest.is_empty() || rest.starts_with(' ')) {
        return None;
    }
    match head {
        "<<<<<<<" => Some(Part::Ours),
        "|||||||" => Some(Part::Ancestor),
        "=======" => Some(Part::Theirs),
        ">>>>>>>" => Some(Part::Both),
        _ => None,
    }
}

/// Our text and theirs; the common ancestor that diff3 style shows is left out.
///
/// # Errors
/// Markers in another order than git writes them.
pub fn split(text: &str) -> Result<(String, String), Error> {
    let (mut ours, mut theirs) = (String::new(), String::new());
    let mut part = Part::Both;
    let mut last = 0;
    for (number, line) in (1..).zip(text.lines()) {
        last = number;
        if let Some(next) = marker(line) {
            let in_order = matches!(
                (part, next),
                (Part::Both, Part::Ours)
                    | (Part::Ours, Part::Ancestor | Part::Theirs)
                    | (Part::Ancestor, Part::Theirs)
                    | (Part::Theirs, Part::Both)
            );
            // An ancestor that was itself merged holds markers of its own.
            match (part, next) {
                (Part::Ancestor, Part::Ours | Part::Ancestor | Part::Both) => continue,
                _ if !in_order => return Err(Error::Marker { line: number }),
                _ => part = next,
            }
            continue;
        }
        for (side, skip) in [(&mut ours, Part::Theirs), (&mut theirs, Part::Ours)] {
            if part != skip && part != Part::Ancestor {
                side.push_str(line);
                side.push('\n');
            }
        }
    }
    if part == Part::Both { Ok((ours, theirs)) } else { Err(Error::Marker { line: last }) }
}

/// A lock with the pins of both sides and nothing that is recomputed, and the pins that differ; those are as
/// `take` says, or ours.
///
/// Bases that only one side has are kept: the recipe decides which it uses.
pub fn merge(ours: &Lock, theirs: &Lock, take: Option<Take>) -> (Lock, Vec<Difference>) {
    let mut differences = Vec::new();
    let our_side = take != Some(Take::Theirs);
    let preferred = if our_side { ours } else { theirs };
    if ours.epoch != theirs.epoch {
        let (ours, theirs) = (ours.epoch.to_string(), theirs.epoch.to_string());
        differences.push(Difference { what: "epoch".into(), ours, theirs });
    }
    let mut bases: BTreeMap<_, BasePin> =
        theirs.bases.iter().map(|base| (base.origin.clone(), base.clone())).collect();
    for base in &ours.bases {
        let Some(other) = bases.get_mut(&base.origin) else {
            bases.insert(base.origin.clone(), base.clone());
            continue;
        };
        if base.index == other.index {
            union(base, other);
            continue;
        }
        differences.push(Difference {
            what: format!("base {}", base.origin),
            ours: base.index.digest.to_string(),
            theirs: other.index.digest.to_string(),
        });
        if our_side {
            *other = base.clone();
        }
    }
    let encoding = ours.encoding.max(theirs.encoding);
    let bases = bases.into_values().collect();
    (Lock { encoding, epoch: preferred.epoch, bases, ..Lock::default() }, differences)
}

/// What either side found out about one and the same index.
fn union(base: &BasePin, into: &mut BasePin) {
    for (platform, pin) in &base.platforms {
        let known = into.platforms.entry(platform.clone()).or_insert_with(|| pin.clone());
        known.facts = known.facts.or(pin.facts);
        for (pattern, paths) in &pin.removed {
            known.removed.entry(pattern.clone()).or_insert_with(|| paths.clone());
        }
    }
}
