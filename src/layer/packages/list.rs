//! A list of packages, as a value and as a text.

use std::collections::BTreeSet;

use crate::layer::error::ReadError;
use crate::layer::text::{Fields, Lines, check_canonical, escape};

const WHAT: &str = "package list";
const VERSION: &str = "packages 1";

/// Whose package it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// Alpine's.
    Apk,
    /// Debian's and Ubuntu's.
    Deb,
}

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Package {
    /// Whose package it is.
    pub ecosystem: Ecosystem,
    /// The name of the binary package.
    pub name: String,
    /// The version of the binary package.
    pub version: String,
    /// As the ecosystem calls it (`amd64`, `x86_64`).
    pub architecture: String,
    /// The package that it was built from.
    pub source: String,
    /// The version of that one.
    pub source_version: String,
}

impl Package {
    /// What it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        let Self { ecosystem: _, name, version, architecture, source, source_version } = self;
        let texts = [name, version, architecture, source, source_version];
        texts.iter().map(|text| text.len() + 16).sum::<usize>() + 200
    }
}

/// Installed packages, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packages(pub BTreeSet<Package>);

impl Packages {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut out = format!("{VERSION}\n");
        self.push(&mut out);
        out
    }

    pub(in crate::layer) fn push(&self, out: &mut String) {
        for Package { ecosystem, name, version, architecture, source, source_version } in &self.0 {
            out.push_str(match ecosystem {
                Ecosystem::Apk => "apk",
                Ecosystem::Deb => "deb",
            });
            for field in [name, version, architecture, source, source_version] {
                out.push(' ');
                escape(out, field.as_bytes());
            }
            out.push('\n');
        }
    }

    /// Reads the canonical text.
    ///
    /// # Errors
    /// Another version, or not exactly what [`to_text`](Self::to_text) writes.
    pub fn parse(text: &[u8]) -> Result<Self, ReadError> {
        let mut packages = Self::default();
        let mut lines = Lines::of(WHAT, VERSION, text)?;
        while let Some(line) = lines.next() {
            packages.take(line).ok_or_else(|| lines.malformed())?;
        }
        check_canonical(WHAT, text, &packages.to_text())?;
        Ok(packages)
    }

    pub(in crate::layer) fn take(&mut self, line: &str) -> Option<()> {
        let mut fields = Fields::of(line);
        let ecosystem = match fields.word()? {
            "apk" => Ecosystem::Apk,
            "deb" => Ecosystem::Deb,
            _ => return None,
        };
        let mut text = || String::from_utf8(fields.bytes()?).ok();
        let (name, version, architecture) = (text()?, text()?, text()?);
        let (source, source_version) = (text()?, text()?);
        self.0.insert(Package { ecosystem, name, version, architecture, source, source_version });
        fields.end()
    }
}
