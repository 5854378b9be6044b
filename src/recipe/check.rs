//! From what serde read to what Cooper means: collects errors instead of stopping at the first.
//!
//! Strings that hold `{{` are checked after interpolation, by the same functions.

use std::ops::Range;
use std::sync::Arc;

use super::loose::{Loose, Scalar};
use super::span::{Locate, S};
use super::v1::{self, time};
use super::words::{self, invalid};
use super::{At, Error, ErrorKind, Spanned, What};
use crate::oci::Platform;

/// One file's checks.
pub(super) struct Checker {
    pub(super) file: Arc<str>,
    /// The file's text.
    pub(super) text: Arc<str>,
    pub(super) errors: Vec<Error>,
}

impl Checker {
    pub(super) fn at(&self, range: Range<usize>) -> At {
        At { file: Arc::clone(&self.file), range }
    }

    pub(super) fn fail(&mut self, range: Range<usize>, kind: ErrorKind) {
        let at = Some(self.at(range));
        self.errors.push(Error { at, kind });
    }

    pub(super) fn keep<T: Locate>(&self, value: T) -> T::Out {
        value.locate(&self.file)
    }

    pub(super) fn scalars(&self, values: impl IntoIterator<Item = S<Scalar>>) -> Vec<Spanned<String>> {
        values.into_iter().map(|value| self.scalar(value)).collect()
    }

    pub(super) fn scalar(&self, value: S<Scalar>) -> Spanned<String> {
        Spanned { at: self.at(value.range), value: value.value.0 }
    }

    /// Checks text that needs no interpolation; other text waits for it.
    pub(super) fn literal<T>(
        &mut self,
        text: &Spanned<String>,
        check: impl FnOnce(&str) -> Result<T, ErrorKind>,
    ) {
        if !text.contains("{{")
            && let Err(kind) = check(text)
        {
            self.errors.push(Error { at: Some(text.at.clone()), kind });
        }
    }

    /// Reads text that is never interpolated.
    pub(super) fn read<T>(
        &mut self,
        text: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, ErrorKind>,
    ) -> Option<T> {
        read(text).map_err(|kind| self.errors.push(Error { at: Some(text.at.clone()), kind })).ok()
    }

    /// Platforms, in the words that engines use.
    pub(super) fn platforms(&mut self, mut all: Vec<Spanned<String>>) -> Vec<Spanned<String>> {
        for platform in &mut all {
            self.read(platform, words::platform);
            platform.value = Platform::spelled(&platform.value);
        }
        all
    }

    /// The value of a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        value: Option<T>,
        key: &'static str,
        section: &str,
        range: &Range<usize>,
    ) -> Option<T> {
        if value.is_none() {
            self.fail(range.clone(), ErrorKind::MissingKey { key, section: section.to_owned() });
        }
        value
    }

    /// Exactly one of keys must be there.
    pub(super) fn exactly_one(
        &mut self,
        keys: &[(&'static str, bool)],
        section: &str,
        range: &Range<usize>,
    ) -> bool {
        let found: Vec<_> = keys.iter().filter(|(_, there)| *there).map(|(key, _)| *key).collect();
        let one = found.len() == 1;
        if !one {
            let of = keys.iter().map(|(key, _)| *key).collect();
            self.fail(range.clone(), ErrorKind::ExactlyOne { section: section.to_owned(), of, found });
        }
        one
    }

    /// Keys that are there although what they depend on isn't.
    pub(super) fn needs(
        &mut self,
        keys: &[(&'static str, Option<Range<usize>>)],
        met: bool,
        needs: &[&'static str],
    ) {
        for (key, range) in keys.iter().filter(|_| !met) {
            if let Some(range) = range {
                self.fail(range.clone(), ErrorKind::Needs { key, needs: needs.to_vec() });
            }
        }
    }

    /// `true`, for keys that have no other value.
    pub(super) fn only_true(&mut self, value: &Option<S<bool>>) {
        if let Some(S { value: false, range }) = value {
            self.fail(range.clone(), invalid(What::True, "false"));
        }
    }

    /// A number in a range.
    pub(super) fn number(
        &mut self,
        value: Option<S<i64>>,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let S { value, range } = value?;
        if !bounds.contains(&value) {
            self.fail(range, invalid(What::Number, &value.to_string()));
        }
        Some(value)
    }

    /// A time: RFC 3339 as text or as TOML has it, or seconds.
    pub(super) fn time(&mut self, value: S<Loose<toml::value::Datetime>>) -> Option<i64> {
        let range = value.range;
        let (seconds, written) = match value.value {
            Loose::Int(seconds) => (Some(seconds), seconds.to_string()),
            Loose::Text(text) => (time(&text), text),
            Loose::Table(datetime) => {
                let text = datetime.to_string();
                (time(&text), text)
            }
            other => {
                let expected = "a time".into();
                self.fail(range, ErrorKind::Type { expected, found: other.found() });
                return None;
            }
        };
        let seconds = seconds.filter(|seconds| v1::TIMES.contains(seconds));
        if seconds.is_none() {
            self.fail(range, invalid(What::Time, &written));
        }
        seconds
    }
}
