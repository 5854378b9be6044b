//! Facts: what a build has to know of its base without any of the base's layers.
//!
//! Owns the text that a lock pins (`book/src/facts.md`): directories, the links that a path may lead through, and the
//! two user databases. Facts depend on the layers alone, so all recipes on one base share them; nothing of a recipe
//! or of this machine may enter.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::captured::Captured;
use super::error::{ReadError, TextFault};
use super::index::HeaderKind;
use super::links::TooManyLinks;
use super::merged::Merged;
use super::text::{
    Fields, Lines, escape, is_plain, push_content, push_owner, push_path, push_xattrs, unescape,
};
use super::v1::xattrs::never_emitted;
use crate::tree::{Attributes, TreePath};

const WHAT: &str = "facts";
const VERSION: &str = "facts 1";

/// The facts of one base: their text, of which a build reads the few lines that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    text: String,
    /// Every directory but the root, without extended attributes that are never emitted.
    directories: Vec<Row>,
    /// Every symbolic link that leads to a directory or to nothing.
    links: Vec<Row>,
    /// /etc/passwd.
    pub passwd: Option<UserDatabase>,
    /// /etc/group.
    pub group: Option<UserDatabase>,
}

/// Where a line's path stands in the text, without its slash.
type Row = Range<u32>;

/// /etc/passwd or /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDatabase {
    /// Where it really lies.
    pub path: TreePath,
    /// The file's attributes.
    pub attributes: Attributes,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Default for Facts {
    /// Makes the facts of a base without layers.
    fn default() -> Self {
        let text = format!("{VERSION}\n");
        Self { text, directories: Vec::new(), links: Vec::new(), passwd: None, group: None }
    }
}

impl Facts {
    /// The facts of an image: its merged view, and what was captured of each of its layers, in order.
    ///
    /// # Errors
    /// The content of a user database is needed and was not captured.
    pub fn derive(merged: &Merged, captured: &[&Captured]) -> Result<Self, ReadError> {
        let mut text = Self::default().text;
        let own = || merged.iter().filter(|(path, _)| !path.is_root());
        for (path, placed) in own().filter(|(_, placed)| placed.header.kind == HeaderKind::Directory) {
            push_directory(&mut text, path, &emitted(&placed.header.attributes));
        }
        for (path, placed) in own() {
            match &placed.header.kind {
                HeaderKind::Symlink(target) if matters(merged, path) => push_link(&mut text, path, target),
                _ => {}
            }
        }
        for (word, name) in [("passwd", &b"etc/passwd"[..]), ("group", b"etc/group")] {
            if let Some(database) = user_database(merged, captured, name)? {
                push_database(&mut text, word, &database);
            }
        }
        Self::parse(text.as_bytes())
    }

    /// What is known of the directory at `path`; the root, which always is one, isn't listed.
    pub fn directory(&self, path: &TreePath) -> Option<Attributes> {
        self.rest(&self.directories, path)?.attributes_or(0o755)
    }

    /// The target, as written, of the link at `path`.
    pub fn link(&self, path: &TreePath) -> Option<Cow<'_, [u8]>> {
        unescape(self.rest(&self.links, path)?.word()?)
    }

    /// The fields behind a path.
    fn rest(&self, rows: &[Row], path: &TreePath) -> Option<Fields<'_>> {
        let order = |range: &Row| {
            let found = self.text.get(range.start as usize..range.end as usize).and_then(unescape);
            found.map_or(Ordering::Less, |found| found.as_ref().cmp(path.as_bytes()))
        };
        let range = &rows[rows.binary_search_by(order).ok()?];
        let mut fields = Fields::of(self.text.get(range.start as usize..)?.lines().next()?);
        fields.word()?;
        Some(fields)
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

    /// The gid of the user with this uid.
    pub fn gid_of(&self, uid: u32) -> Option<u32> {
        let mut users = records::<4>(self.passwd.as_ref());
        users.find_map(|[_, _, of, gid]| if id(of) == Some(uid) { id(gid) } else { None })
    }

    /// The canonical text: directories, links, passwd, group.
    pub fn to_text(&self) -> &str {
        &self.text
    }

    /// Reads the canonical text.
    ///
    /// # Errors
    /// Another version; a line that is malformed, out of order, or spelt in another way than [`Facts::derive`] does.
    pub fn parse(text: &[u8]) -> Result<Self, ReadError> {
        let mut lines = Lines::of(WHAT, VERSION, text)?;
        // Lines::of has seen that it is text.
        let own = str::from_utf8(text).unwrap_or_default().to_owned();
        let mut facts = Self { text: own, ..Self::default() };
        let (mut at, mut last) = (VERSION.len() + 1, Last { rank: 0, path: Cow::Borrowed(b"") });
        while let Some(line) = lines.next() {
            let number = lines.number();
            let fault = |fault| ReadError::Text { what: WHAT, line: number, fault };
            let (found, length) = facts.take(at, line, &mut lines).map_err(fault)?;
            if found <= last {
                return Err(fault(TextFault::Canonical));
            }
            (at, last) = (at + length, found);
        }
        if at != text.len() {
            // The end counts as a line.
            let line = lines.number() - 1;
            return Err(ReadError::Text { what: WHAT, line, fault: TextFault::Canonical });
        }
        Ok(facts)
    }

    /// Reads a record, which begins with `line` at `at`: what it is about, and how many bytes it takes.
    fn take<'t>(
        &mut self,
        at: usize,
        line: &'t str,
        lines: &mut Lines<'_>,
    ) -> Result<(Last<'t>, usize), TextFault> {
        let mut fields = Fields::of(line);
        let mark = fields.word().unwrap_or_default();
        if !matches!(mark, "d" | "l") {
            let database = take_database(&mut fields, lines).ok_or(TextFault::Syntax)?;
            let mut written = String::new();
            push_database(&mut written, mark, &database);
            if self.text.get(at..at + written.len()) != Some(&written) {
                return Err(TextFault::Canonical);
            }
            let (rank, place) = match mark {
                "passwd" => (3, &mut self.passwd),
                "group" => (4, &mut self.group),
                _ => return Err(TextFault::Syntax),
            };
            *place = Some(database);
            return Ok((Last { rank, path: Cow::Borrowed(b"") }, written.len()));
        }
        let spelt = fields.word().and_then(|word| word.strip_prefix('/')).ok_or(TextFault::Syntax)?;
        let path = unescape(spelt).ok_or(TextFault::Syntax)?;
        // Of a thousand lines, nearly all are a directory like any other.
        let plain = mark == "d" && fields.is_empty() && is_plain(spelt.as_bytes());
        if !plain || !TreePath::is_normal(&path) || path.is_empty() {
            let path = TreePath::parse(&path).ok().filter(|path| mark == "l" || !path.is_root());
            let path = path.ok_or(TextFault::Syntax)?;
            let mut written = String::new();
            let read = if mark == "d" {
                fields.attributes_or(0o755).map(|attributes| push_directory(&mut written, &path, &attributes))
            } else {
                let target = fields.bytes().filter(|target| !target.is_empty());
                target.map(|target| push_link(&mut written, &path, &target))
            };
            read.and_then(|()| fields.end()).ok_or(TextFault::Syntax)?;
            if written.strip_suffix('\n') != Some(line) {
                return Err(TextFault::Canonical);
            }
        }
        let start = u32::try_from(at + 3).map_err(|_| TextFault::Syntax)?;
        let row = start..start + spelt.len() as u32;
        let (rank, rows) = if mark == "d" { (1, &mut self.directories) } else { (2, &mut self.links) };
        rows.push(row);
        Ok((Last { rank, path }, line.len() + 1))
    }
}

/// What the last record was about: they come in this order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Last<'t> {
    rank: u8,
    path: Cow<'t, [u8]>,
}

fn push_directory(out: &mut String, path: &TreePath, attributes: &Attributes) {
    out.push_str("d ");
    push_path(out, path);
    if *attributes != Attributes::new(0o755) {
        push_owner(out, attributes);
        push_xattrs(out, &attributes.xattrs);
    }
    out.push('\n');
}

fn push_link(out: &mut String, path: &TreePath, target: &[u8]) {
    out.push_str("l ");
    push_path(out, path);
    out.push(' ');
    escape(out, target);
    out.push('\n');
}

fn push_database(out: &mut String, word: &str, database: &UserDatabase) {
    let UserDatabase { path, attributes, bytes } = database;
    out.push_str(word);
    out.push(' ');
    push_path(out, path);
    push_owner(out, attributes);
    push_xattrs(out, &attributes.xattrs);
    out.push('\n');
    push_content(out, bytes);
}

fn take_database(fields: &mut Fields<'_>, lines: &mut Lines<'_>) -> Option<UserDatabase> {
    let path = fields.path()?;
    let mut attributes = fields.owner()?;
    attributes.xattrs = fields.xattrs()?;
    fields.end()?;
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
        assert_eq!(facts.directory(&path("tmp")).unwrap().mode, 0o1777);
        assert!(facts.directory(&path("usr/lib")).is_some() && facts.directory(&path("lib")).is_none());
        assert_eq!(facts.link(&path("etc/mtab")).as_deref(), Some(&b"../proc/self/mounts"[..]));
        assert!(facts.link(&path("usr")).is_none() && facts.link(&path("loop/x")).is_none());
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
        assert_eq!((facts.gid_of(33), facts.gid_of(0)), (Some(34), None));
        assert_eq!((facts.group(b"adm"), facts.group(b"-x"), facts.group(b"bad")), (Some(4), None, None));
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
            ("facts 1\nd /b\nd /a\n", 3, TextFault::Canonical),
            ("facts 1\nd /a\nd /a\n", 3, TextFault::Canonical),
            ("facts 1\nd /a 755 0 0\n", 2, TextFault::Canonical),
            ("facts 1\nl /a b\nd /b\n", 3, TextFault::Canonical),
            ("facts 1\nd //a\n", 2, TextFault::Canonical),
            ("facts 1\nd /a/../b\n", 2, TextFault::Syntax),
            ("facts 1\nd /\\x61\n", 2, TextFault::Canonical),
            ("facts 1\nd /a\td\n", 2, TextFault::Canonical),
            ("facts 1\nd /a", 2, TextFault::Canonical),
            ("facts 1\n\n", 1, TextFault::Canonical),
            ("facts 1", 1, TextFault::Canonical),
            ("facts 1\ngroup /g 644 0 0\n|\npasswd /p 644 0 0\n|\n", 4, TextFault::Canonical),
            ("facts 1\npasswd /p 0644 0 0\n|\n", 2, TextFault::Canonical),
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
