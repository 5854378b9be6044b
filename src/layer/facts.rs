//! Facts: what a build has to know of its base without any of the base's layers.
//!
//! Owns the text that a lock pins (`book/src/facts.md`): directories, the links that a path may lead through, and the
//! two user databases. Facts depend on the layers alone, so all recipes on one base share them; nothing of a recipe
//! or of this machine may enter.

use std::collections::BTreeMap;

use super::captured::Captured;
use super::error::ReadError;
use super::index::{HeaderKind, never_emitted};
use super::links::{self, TooManyLinks};
use super::merged::Merged;
use super::text::{Fields, Lines, check_canonical, escape, push_content, push_owner, push_path, push_xattrs};
use crate::tree::{Attributes, TreePath};

const WHAT: &str = "facts";
const VERSION: &str = "facts 1";

/// The facts of one base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every directory but the root, without extended attributes that are never emitted.
    pub directories: BTreeMap<TreePath, Attributes>,
    /// Every symbolic link that leads to a directory or to nothing, and its target as written.
    pub links: BTreeMap<TreePath, Vec<u8>>,
    /// /etc/passwd.
    pub passwd: Option<UserDatabase>,
    /// /etc/group.
    pub group: Option<UserDatabase>,
}

/// /etc/passwd or /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDatabase {
    /// Where it really lies.
    pub path: TreePath,
    /// Of the file.
    pub attributes: Attributes,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Facts {
    /// The facts of an image: its merged view, and what was captured of each of its layers, in order.
    ///
    /// # Errors
    /// The content of a user database is needed and was not captured.
    pub fn derive(merged: &Merged, captured: &[&Captured]) -> Result<Self, ReadError> {
        let mut facts = Self {
            passwd: user_database(merged, captured, b"etc/passwd")?,
            group: user_database(merged, captured, b"etc/group")?,
            ..Self::default()
        };
        // Collected, a map's nodes are full; filled one by one in order, they are half empty.
        let own = || merged.iter().filter(|(path, _)| !path.is_root());
        facts.directories = own()
            .filter(|(_, placed)| placed.header.kind == HeaderKind::Directory)
            .map(|(path, placed)| (path.clone(), emitted(&placed.header.attributes)))
            .collect();
        for (path, placed) in own() {
            match &placed.header.kind {
                HeaderKind::Symlink(target) if matters(merged, path) => {
                    facts.links.insert(path.clone(), target.clone());
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Where `path` really lies, links followed.
    ///
    /// # Errors
    /// More than forty links.
    pub fn resolve(&self, path: &TreePath) -> Result<TreePath, TooManyLinks> {
        links::resolve(path, |at| self.links.get(at).map(Vec::as_slice))
    }

    /// Whether `path` itself is a directory. The root always is.
    pub fn is_dir(&self, path: &TreePath) -> bool {
        path.is_root() || self.directories.contains_key(path)
    }

    /// The uid and primary gid of a user.
    pub fn user(&self, name: &[u8]) -> Option<(u32, u32)> {
        let mut users = records::<4>(self.passwd.as_ref());
        users.find_map(|[user, _, uid, gid]| (user == name).then_some((id(uid)?, id(gid)?)))
    }

    /// The gid of a group.
    pub fn group(&self, name: &[u8]) -> Option<u32> {
        let mut groups = records::<3>(self.group.as_ref());
        groups.find_map(|[group, _, gid]| if group == name { id(gid) } else { None })
    }

    /// Whether a user has this uid.
    pub fn has_uid(&self, uid: u32) -> bool {
        records::<4>(self.passwd.as_ref()).any(|[_, _, of, gid]| id(of) == Some(uid) && id(gid).is_some())
    }

    /// Whether a group has this gid.
    pub fn has_gid(&self, gid: u32) -> bool {
        records::<3>(self.group.as_ref()).any(|[_, _, of]| id(of) == Some(gid))
    }

    /// The canonical text: directories, links, passwd, group.
    pub fn to_text(&self) -> String {
        let mut out =
            String::with_capacity(self.directories.keys().map(|path| path.as_bytes().len() + 16).sum());
        out.push_str(VERSION);
        out.push('\n');
        let plain = Attributes::new(0o755);
        for (path, attributes) in &self.directories {
            out.push_str("d ");
            push_path(&mut out, path);
            if *attributes != plain {
                push_owner(&mut out, attributes);
                push_xattrs(&mut out, &attributes.xattrs);
            }
            out.push('\n');
        }
        for (path, target) in &self.links {
            out.push_str("l ");
            push_path(&mut out, path);
            out.push(' ');
            escape(&mut out, target);
            out.push('\n');
        }
        for (name, database) in [("passwd ", &self.passwd), ("group ", &self.group)] {
            if let Some(UserDatabase { path, attributes, bytes }) = database {
                out.push_str(name);
                push_path(&mut out, path);
                push_owner(&mut out, attributes);
                push_xattrs(&mut out, &attributes.xattrs);
                out.push('\n');
                push_content(&mut out, bytes);
            }
        }
        out
    }

    /// Reads the canonical text.
    ///
    /// # Errors
    /// Another version, or not exactly what [`to_text`](Self::to_text) writes.
    pub fn parse(text: &[u8]) -> Result<Self, ReadError> {
        let mut facts = Self::default();
        // Collected first: of sorted pairs a map is made faster at once than one by one.
        let (mut directories, mut links) = (Vec::new(), Vec::new());
        let mut lines = Lines::of(WHAT, VERSION, text)?;
        while let Some(line) = lines.next() {
            let fields = &mut Fields::of(line);
            facts.take(fields, &mut lines, &mut directories, &mut links).ok_or_else(|| lines.malformed())?;
        }
        facts.directories = directories.into_iter().collect();
        facts.links = links.into_iter().collect();
        check_canonical(WHAT, text, &facts.to_text())?;
        // They are kept long: put together anew, the nodes are full.
        facts.directories = facts.directories.into_iter().collect();
        Ok(facts)
    }

    fn take(
        &mut self,
        fields: &mut Fields<'_>,
        lines: &mut Lines<'_>,
        directories: &mut Vec<(TreePath, Attributes)>,
        links: &mut Vec<(TreePath, Vec<u8>)>,
    ) -> Option<()> {
        match fields.word()? {
            "d" => {
                let path = fields.path().filter(|path| !path.is_root())?;
                let attributes = fields.attributes_or(0o755)?;
                directories.push((path, attributes));
            }
            "l" => links.push((fields.path()?, fields.bytes().filter(|target| !target.is_empty())?)),
            "passwd" => self.passwd = Some(take_database(fields, lines)?),
            "group" => self.group = Some(take_database(fields, lines)?),
            _ => return None,
        }
        fields.end()
    }
}

fn take_database(fields: &mut Fields<'_>, lines: &mut Lines<'_>) -> Option<UserDatabase> {
    let path = fields.path()?;
    let mut attributes = fields.owner()?;
    attributes.xattrs = fields.xattrs()?;
    Some(UserDatabase { path, attributes, bytes: lines.content()? })
}

fn emitted(attributes: &Attributes) -> Attributes {
    let mut attributes = attributes.clone();
    attributes.xattrs.retain(|name, _| !never_emitted(name));
    attributes
}

/// Whether a path may lead through this link: it ends at a directory or, so far, at nothing.
fn matters(merged: &Merged, path: &TreePath) -> bool {
    match merged.resolve(path) {
        Ok(end) => merged.is_dir(&end) || merged.get(&end).is_none(),
        Err(TooManyLinks { .. }) => true,
    }
}

fn user_database(
    merged: &Merged,
    captured: &[&Captured],
    name: &[u8],
) -> Result<Option<UserDatabase>, ReadError> {
    let Some(path) = TreePath::parse(name).ok().and_then(|path| merged.resolve(&path).ok()) else {
        return Ok(None);
    };
    let Some(placed) = merged.get(&path) else { return Ok(None) };
    let HeaderKind::File { size } = placed.header.kind else { return Ok(None) };
    let layer = placed.layer.and_then(|layer| captured.get(layer));
    let bytes = layer.and_then(|layer| layer.files.get(placed.content.as_deref().unwrap_or(&path)));
    let Some(bytes) = bytes.cloned() else { return Err(ReadError::NotCaptured { path, size }) };
    let attributes = emitted(&placed.header.attributes);
    Ok(Some(UserDatabase { path, attributes, bytes }))
}

/// The first fields of each well-formed line; comments, NIS lines and broken ones are passed over, as libc does.
fn records<const N: usize>(database: Option<&UserDatabase>) -> impl Iterator<Item = [&[u8]; N]> {
    let lines = database.into_iter().flat_map(|database| database.bytes.split(|&byte| byte == b'\n'));
    lines.filter(|line| !matches!(line, [b'#' | b'+' | b'-' | b':', ..])).filter_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let mut record = [&b""[..]; N];
        for field in &mut record {
            *field = fields.next()?;
        }
        Some(record)
    })
}

fn id(text: &[u8]) -> Option<u32> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::error::TextFault;
    use super::super::index::tests::path;
    use super::super::packages;
    use super::super::scan::{Expected, LayerScan, scan_layer};
    use super::super::tar::Limits;
    use super::super::tar::build::{Tar, tar};
    use super::*;
    use crate::digest::Digest;
    use crate::oci::Compression;

    fn scanned(layer: Tar) -> LayerScan {
        let blob = layer.end();
        let (digest, size) = (Digest::of(&blob), blob.len() as u64);
        let expected = Expected { digest, size, compression: Compression::None, diff_id: None };
        scan_layer(&blob[..], &expected, Limits::default()).unwrap()
    }

    fn derived(layers: &[Tar]) -> (Result<Facts, ReadError>, String) {
        let layers: Vec<_> = layers.iter().map(|layer| scanned(layer.clone())).collect();
        let merged = Merged::of(layers.iter().map(|layer| &layer.index)).unwrap();
        let captured: Vec<_> = layers.iter().map(|layer| &layer.captured).collect();
        for captured in &captured {
            assert_eq!(Captured::parse(captured.to_text().as_bytes()).unwrap().to_text(), captured.to_text());
        }
        (Facts::derive(&merged, &captured), packages::derive(&merged, &captured).to_text())
    }

    fn facts(layers: &[Tar]) -> Facts {
        derived(layers).0.unwrap()
    }

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nodd \xff:x:7:8\n";

    #[test]
    fn merged_usr() {
        let owned = |block: &mut [u8; 512]| {
            block[100..108].copy_from_slice(b"0001777\0");
            block[108..116].copy_from_slice(b"0000052\0");
        };
        let debian = tar()
            .symlink("bin", "usr/bin")
            .symlink("lib", "usr/lib")
            .dir("./")
            .dir("usr/")
            .dir("usr/bin/")
            .dir("usr/lib/")
            .symlink("usr/bin/sh", "dash")
            .file("usr/bin/dash", b"")
            .symlink("var/run", "/run")
            .symlink("etc/mtab", "../proc/self/mounts")
            .symlink("loop", "loop")
            .pax(&[("SCHILY.xattr.security.selinux", b"x"), ("SCHILY.xattr.user.k", b"a b")])
            .with(b'5', "tmp/", b"", owned)
            .file("etc/passwd", PASSWD)
            .file("etc/group", b"www-data:x:33:");
        let facts = facts(&[debian]);
        let text = "facts 1\n\
            d /etc\n\
            d /tmp 1777 42 0 user.k=a\\x20b\n\
            d /usr\n\
            d /usr/bin\n\
            d /usr/lib\n\
            d /var\n\
            l /bin usr/bin\n\
            l /etc/mtab ../proc/self/mounts\n\
            l /lib usr/lib\n\
            l /loop loop\n\
            l /var/run /run\n\
            passwd /etc/passwd 644 0 0\n\
            |root:x:0:0:root:/root:/bin/sh\n\
            |odd\\x20\\xff:x:7:8\n\
            |\n\
            group /etc/group 644 0 0\n\
            |www-data:x:33:\n";
        assert_eq!(facts.to_text(), text);
        assert_eq!(Facts::parse(text.as_bytes()).unwrap(), facts);
        assert_eq!(facts.resolve(&path("lib/x")), Ok(path("usr/lib/x")));
        assert!(
            facts.is_dir(&path("usr/lib")) && facts.is_dir(&TreePath::root()) && !facts.is_dir(&path("lib"))
        );
        facts.resolve(&path("loop/x")).unwrap_err();
    }

    #[test]
    fn user_databases_are_found_where_they_lie() {
        let at = |layers: &[Tar]| facts(layers).passwd.map(|found| (found.path.to_string(), found.bytes));
        let found = |at: &str, bytes: &[u8]| Some((at.to_owned(), bytes.to_vec()));
        let base = || tar().file("etc/passwd", PASSWD);
        assert_eq!(at(&[tar().dir("etc")]), None);
        assert_eq!(at(&[tar().symlink("etc/passwd", "x")]), None);
        assert_eq!(at(&[tar().symlink("etc/passwd", "passwd")]), None);
        assert_eq!(at(&[tar().dir("etc/passwd/")]), None);
        assert_eq!(at(&[base()]), found("/etc/passwd", PASSWD));
        assert_eq!(at(&[base(), tar().file("etc/passwd", b"x")]), found("/etc/passwd", b"x"));
        assert_eq!(at(&[base(), tar().file("etc/.wh.passwd", b"")]), None);
        let linked = tar().symlink("etc/passwd", "../usr/lib/passwd").file("usr/lib/passwd", PASSWD);
        assert_eq!(at(&[linked]), found("/usr/lib/passwd", PASSWD));
        let moved = tar().symlink("etc", "usr/etc").file("usr/etc/passwd", PASSWD);
        assert_eq!(at(&[moved]), found("/usr/etc/passwd", PASSWD));
        let backup = tar().file("etc/passwd-", PASSWD).hardlink("etc/passwd", "etc/passwd-");
        assert_eq!(at(&[backup]), found("/etc/passwd", PASSWD));
        let nix = tar().file("nix/store/abc-passwd", PASSWD).symlink("etc/passwd", "/nix/store/abc-passwd");
        assert_eq!(at(&[nix]), found("/nix/store/abc-passwd", PASSWD));
    }

    #[test]
    fn what_was_not_kept_is_named() {
        let missing = |layer: Tar| derived(&[layer]).0.unwrap_err().to_string();
        assert_eq!(
            missing(tar().symlink("etc/passwd", "users").file("etc/users", b"x")),
            "the content of /etc/users was not kept when its layer was read (1 bytes)"
        );
        assert_eq!(
            missing(tar().file("etc/passwd", &vec![b'\n'; (1 << 20) + 1])),
            "the content of /etc/passwd was not kept when its layer was read (1048577 bytes)"
        );
    }

    #[test]
    fn users_and_groups() {
        let passwd = b"#c:x:1:1:\n+nis\n+:::::\nbad\nhuge:x:4294967296:0::\nno:x:a:0\nempty:x::0\n\
            www-data:x:33:34:w:/var/www:/bin/sh\nwww-data:x:1:1::\nshort:x:5:6";
        let facts =
            facts(&[tar().file("etc/passwd", passwd).file("etc/group", b"-x:x:1:\nadm:x:4:a,b\nbad:x:\n")]);
        assert_eq!(facts.user(b"www-data"), Some((33, 34)));
        assert_eq!(facts.user(b"short"), Some((5, 6)));
        for none in [&b"#c"[..], b"+nis", b"+", b"bad", b"huge", b"no", b"empty", b"", b"root"] {
            assert_eq!(facts.user(none), None, "{}", none.escape_ascii());
        }
        assert!(facts.has_uid(33) && !facts.has_uid(0));
        assert_eq!((facts.group(b"adm"), facts.group(b"-x"), facts.group(b"bad")), (Some(4), None, None));
        assert!(facts.has_gid(4) && !facts.has_gid(1));
    }

    #[test]
    fn packages_of_the_layer_that_counts() {
        let status = |version: &str| {
            format!("Package: a\nStatus: install ok installed\nVersion: {version}\n").into_bytes()
        };
        let one = tar().file("var/lib/dpkg/status", &status("1"));
        let two = tar().file("var/lib/dpkg/status", &status("2"));
        let gone = tar().file("var/lib/dpkg/.wh.status", b"");
        let distroless = tar()
            .file("var/lib/dpkg/status.d/a", b"Package: a\nVersion: 3\n")
            .file("var/lib/dpkg/status.d/a.md5sums", b"x");
        let apk = tar().file("lib/apk/db/installed", b"P:m\nV:4\nA:x\no:s\n\n");
        for (layers, expected) in [
            (&[one.clone(), two][..], "deb a 2  a 2\n"),
            (&[one, gone], ""),
            (&[distroless, apk], "apk m 4 x s 4\ndeb a 3  a 3\n"),
        ] {
            assert_eq!(derived(layers).1, format!("packages 1\n{expected}"));
        }
    }

    #[test]
    fn texts_that_nobody_wrote() {
        for (text, line, expected) in [
            ("facts 2\n", 1, TextFault::Version { found: "facts 2".to_owned() }),
            ("facts 1\nd /b\nd /a\n", 2, TextFault::Canonical),
            ("facts 1\nd /a\nd /a\n", 3, TextFault::Canonical),
            ("facts 1\nd /a 755 0 0\n", 2, TextFault::Canonical),
            ("facts 1\nl /a b\nd /b\n", 2, TextFault::Canonical),
            ("facts 1\nd /\n", 2, TextFault::Syntax),
            ("facts 1\nl /a \n", 2, TextFault::Syntax),
            ("facts 1\npasswd /etc/passwd 644 0 0\n", 2, TextFault::Syntax),
            ("facts 1\n|x\n", 2, TextFault::Syntax),
        ] {
            match Facts::parse(text.as_bytes()) {
                Err(ReadError::Text { line: at, fault, .. }) => {
                    assert_eq!((at, fault), (line, expected), "{text:?}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
