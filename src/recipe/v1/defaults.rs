//! What holds where a recipe says nothing: variants, platforms and the epoch.

use std::ops::RangeInclusive;

use crate::oci::{ParsePlatformError, Platform};
use crate::recipe::{Evaluated, Spanned};

/// Of a workspace that names none.
pub(in crate::recipe) const VARIANTS: [&str; 2] = ["dev", "prod"];
/// Of a workspace that names none.
pub(in crate::recipe) const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];
/// 2000-01-01T00:00:00Z, because zip can't say 0.
const EPOCH: i64 = 946_684_800;
/// No output depends on a later or earlier time: 1990-01-01 to 2242-01-01.
const EPOCHS: RangeInclusive<i64> = 631_152_000..=8_583_494_400;

/// The recipe's platforms, else the workspace's: each once, sorted.
pub(in crate::recipe) fn platforms(
    recipe: &Evaluated,
    workspace: &[Spanned<String>],
) -> Result<Vec<Platform>, ParsePlatformError> {
    let listed = recipe.image.platforms.as_deref().unwrap_or(workspace);
    let read: Vec<Platform> = listed.iter().map(|text| text.value.parse()).collect::<Result<_, _>>()?;
    let mut platforms = distinct(&read);
    platforms.sort_by(|a, b| a.key().cmp(&b.key()));
    Ok(platforms)
}

/// Each machine once, as it was first named.
pub(in crate::recipe) fn distinct<'p>(all: impl IntoIterator<Item = &'p Platform>) -> Vec<Platform> {
    let mut distinct: Vec<Platform> = Vec::new();
    for platform in all {
        if !distinct.iter().any(|known| known.matches(platform)) {
            distinct.push(platform.clone());
        }
    }
    distinct
}

/// A lock's epoch is kept; a new lock takes the one that is given, else the default.
pub(in crate::recipe) fn epoch(kept: Option<i64>, given: Option<i64>) -> Result<i64, i64> {
    let epoch = kept.or(given).unwrap_or(EPOCH);
    if EPOCHS.contains(&epoch) { Ok(epoch) } else { Err(epoch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locks_epoch_is_kept() {
        for (kept, given, epoch) in [
            (None, None, Ok(946_684_800)),
            (None, Some(1_700_000_000), Ok(1_700_000_000)),
            (Some(1_600_000_000), Some(1_700_000_000), Ok(1_600_000_000)),
            (Some(1_600_000_000), None, Ok(1_600_000_000)),
            (None, Some(0), Err(0)),
            (Some(8_583_494_401), Some(1_700_000_000), Err(8_583_494_401)),
        ] {
            assert_eq!(super::epoch(kept, given), epoch, "{kept:?} {given:?}");
        }
    }

    #[test]
    fn a_machine_is_there_once() {
        let parse = |text: &str| text.parse::<Platform>().unwrap();
        let all = ["linux/arm64/v8", "linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm"].map(parse);
        let names: Vec<String> = distinct(&all).iter().map(Platform::short).collect();
        assert_eq!(names, ["linux/arm64", "linux/amd64", "linux/arm/v6", "linux/arm/v7"]);
    }
}
