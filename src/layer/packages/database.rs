//! The databases of dpkg and apk, read as streams.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use super::list::{Ecosystem, Package, Packages};
use crate::layer::error::{EntryFault, ReadError};
use crate::tree::TreePath;

/// A line beyond this is cut.
const LONGEST_LINE: u64 = 64 << 10;
const SHOWN_LINE: usize = 4 << 10;
/// What the packages of one database may take in memory; a desktop's three thousand take one megabyte.
const MOST_BYTES: usize = 16 << 20;

/// Whose database a path is.
pub(in crate::layer) fn ecosystem_of(path: &TreePath) -> Option<Ecosystem> {
    match path.as_bytes() {
        b"var/lib/dpkg/status" => Some(Ecosystem::Deb),
        b"lib/apk/db/installed" | b"usr/lib/apk/db/installed" => Some(Ecosystem::Apk),
        // Distroless images have one file per package there.
        other => {
            let name = other.strip_prefix(b"var/lib/dpkg/status.d/")?;
            (!name.contains(&b'/') && !name.ends_with(b".md5sums")).then_some(Ecosystem::Deb)
        }
    }
}

/// Reads the database that the entry `path` of a layer is.
pub(in crate::layer) fn read(
    ecosystem: Ecosystem,
    path: &[u8],
    database: impl Read,
) -> Result<Packages, ReadError> {
    let mut packages = BTreeSet::new();
    let mut input = BufReader::with_capacity(1 << 16, database);
    let mut line = Vec::new();
    let mut stanza = Stanza::default();
    let mut bytes = 0;
    loop {
        line.clear();
        let read = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(ReadError::Io)?;
        if read as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
            // No field that matters is so long: a description, a list of files.
            input.skip_until(b'\n').map_err(ReadError::Io)?;
            line.truncate(SHOWN_LINE);
        }
        let text = line.trim_ascii_end();
        if text.is_empty() {
            if let Some(package) = std::mem::take(&mut stanza).package(ecosystem) {
                bytes += package.weight();
                packages.insert(package);
            }
            if bytes > MOST_BYTES {
                let fault = EntryFault::TooManyPackages { limit: MOST_BYTES };
                return Err(ReadError::Entry { path: path.to_vec(), fault });
            }
        } else {
            match ecosystem {
                Ecosystem::Deb => stanza.deb(text),
                Ecosystem::Apk => stanza.apk(text),
            }
        }
        if read == 0 {
            return Ok(Packages(packages));
        }
    }
}

/// The fields of one record, as far as they matter.
#[derive(Default)]
struct Stanza {
    name: String,
    version: String,
    architecture: String,
    source: String,
    missing: bool,
}

impl Stanza {
    fn deb(&mut self, line: &[u8]) {
        // A line that begins with a blank goes on with a field that doesn't matter.
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return };
        let value = || String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned();
        match line[..colon].to_ascii_lowercase().as_slice() {
            b"package" => self.name = value(),
            b"version" => self.version = value(),
            b"architecture" => self.architecture = value(),
            b"source" => self.source = value(),
            b"status" => self.missing = value().split_ascii_whitespace().nth(2) != Some("installed"),
            _ => {}
        }
    }

    fn apk(&mut self, line: &[u8]) {
        let [key, b':', value @ ..] = line else { return };
        let value = || String::from_utf8_lossy(value).into_owned();
        match key {
            b'P' => self.name = value(),
            b'V' => self.version = value(),
            b'A' => self.architecture = value(),
            b'o' => self.source = value(),
            _ => {}
        }
    }

    fn package(self, ecosystem: Ecosystem) -> Option<Package> {
        let Self { name, version, architecture, source, missing } = self;
        if missing || name.is_empty() || version.is_empty() {
            return None;
        }
        // `Source: glibc (2.36-9)`; without a version it is the binary's, without the field all is.
        let (source, source_version) = match source.split_once(" (") {
            Some((source, version)) => (source.to_owned(), version.trim_end_matches(')').to_owned()),
            None if source.is_empty() => (name.clone(), version.clone()),
            None => (source, version.clone()),
        };
        Some(Package { ecosystem, name, version, architecture, source, source_version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs() {
        let read = |text: &str| read(Ecosystem::Deb, b"x", text.as_bytes());
        let one = "Package: a\nVersion: 1\nStatus: install ok installed\n";
        let long = format!("{one}Description: {}\n\n{}", "x".repeat(200_000), one.replace(": a", ": b"));
        assert_eq!(read(&long).unwrap().0.len(), 2);
        let many: String =
            (0..100_000).map(|number| one.replace(": a", &format!(": {number}")) + "\n").collect();
        let error = read(&many).unwrap_err();
        assert!(
            matches!(error, ReadError::Entry { fault: EntryFault::TooManyPackages { .. }, .. }),
            "{error}"
        );
    }

    #[test]
    fn dpkg() {
        let status = b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9\nDescription: x\n Version: 9\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n\n\
            Package: bsdutils\nStatus: hold ok installed\nSource: util-linux (2.38.1-5)\nVersion: 1:2.38.1-5\nArchitecture: amd64\n";
        let packages = read(Ecosystem::Deb, b"x", &status[..]).unwrap();
        assert_eq!(
            packages.to_text(),
            "packages 1\ndeb bsdutils 1:2.38.1-5 amd64 util-linux 2.38.1-5\ndeb libc6 2.36-9 amd64 glibc 2.36-9\n"
        );
        assert_eq!(Packages::parse(packages.to_text().as_bytes()).unwrap(), packages);
    }

    #[test]
    fn apk() {
        let installed = b"C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\nF:lib\nR:ld-musl\na:0:0:755\n\n\
            P:busybox-binsh\nV:1.36.1-r29\nA:x86_64\no:busybox\n\n";
        let packages = read(Ecosystem::Apk, b"x", &installed[..]).unwrap();
        assert_eq!(
            packages.to_text(),
            "packages 1\napk busybox-binsh 1.36.1-r29 x86_64 busybox 1.36.1-r29\n\
             apk musl 1.2.5-r0 x86_64 musl 1.2.5-r0\n"
        );
    }

    #[test]
    fn databases() {
        for (path, expected) in [
            ("var/lib/dpkg/status", Some(Ecosystem::Deb)),
            ("var/lib/dpkg/status.d/base", Some(Ecosystem::Deb)),
            ("var/lib/dpkg/status.d/base.md5sums", None),
            ("var/lib/dpkg/status-old", None),
            ("usr/lib/apk/db/installed", Some(Ecosystem::Apk)),
        ] {
            assert_eq!(ecosystem_of(&TreePath::parse(path.as_bytes()).unwrap()), expected, "{path}");
        }
    }
}
