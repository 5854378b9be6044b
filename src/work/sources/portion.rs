//! What an entry takes of what is there.

use crate::tree::Portion;
use crate::work::Error;
use crate::workspace::Filter;

/// The globs of a portion; `name` is what it is taken of.
pub(super) fn filter(name: &str, portion: &Portion) -> Result<Filter, Error> {
    let wrong = |(pattern, fault)| Error::foreign(name, format!("{pattern:?}: {fault}"));
    Filter::new(&portion.include, &portion.exclude).map_err(wrong)
}
