#![allow(clippy::disallowed_methods, reason = "a checkout has to be made to be read")]

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::digest::Digest;
use crate::store::SourceIndex;
use crate::tree::{Content, Files, Portion, SourceNode};

/// A directory that is removed again.
struct Temp(PathBuf);

impl Temp {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("cooper-workspace-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(FILE), "cooper = \">=0.1\"\n").unwrap();
        Self(path)
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) -> &Self {
        fs::create_dir_all(self.0.join(path).parent().unwrap()).unwrap();
        symlink(target, self.0.join(path)).unwrap();
        self
    }

    fn workspace(&self) -> Workspace {
        Workspace::find(&self.0).unwrap()
    }

    fn scan(&self, from: &str, include: &[&str], exclude: &[&str]) -> Result<Scan, Error> {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let (include, exclude) = (texts(include), texts(exclude));
        let portion = Portion { include, exclude, ..Portion::default() };
        let directory = "recipes/a/b".into();
        self.workspace()
            .read_source(&Files { directory, from: from.into(), portion }, &SourceIndex::default())
    }

    /// The paths of a source, in one line.
    fn paths(&self, from: &str, include: &[&str], exclude: &[&str]) -> String {
        let scan = self.scan(from, include, exclude).unwrap();
        scan.tree
            .nodes
            .keys()
            .map(|path| path.as_bytes().escape_ascii().to_string())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn error(&self, from: &str, include: &[&str]) -> String {
        let text = self.scan(from, include, &[]).unwrap_err().to_string();
        text.replace(&format!("{}/recipes/a/b", self.0.display()), "R")
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn finds_workspace_and_recipes() {
    let temp = Temp::new();
    temp.write("recipes/quickstart/web/recipe.toml", "x").write("recipes/quickstart/db/recipe.toml", "y");
    temp.write("recipes/quickstart/shared/file", "")
        .write("recipes/README.md", "")
        .write("recipes/Old Stuff/x/y", "");
    let workspace = Workspace::find(&temp.0.join("recipes/quickstart/web")).unwrap();
    assert_eq!((workspace.root(), workspace.text()), (temp.0.as_path(), "cooper = \">=0.1\"\n"));
    let names: Vec<String> = workspace.recipes().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["quickstart/db", "quickstart/web"]);
    let web: Target = "quickstart/web".parse().unwrap();
    assert_eq!(workspace.recipe_text(&web).unwrap(), "x");
    assert!(matches!(workspace.recipe_text(&"quickstart/no".parse().unwrap()), Err(Error::NoTarget { .. })));

    temp.write("recipes/quickstart/Bad/recipe.toml", "");
    assert!(
        matches!(workspace.recipes(), Err(Error::Name { path }) if path.ends_with("recipes/quickstart/Bad"))
    );
    fs::remove_dir_all(temp.0.join("recipes/quickstart/Bad")).unwrap();
    temp.link("recipes/quickstart/linked", "web");
    assert!(matches!(workspace.recipes(), Err(Error::LinkedRecipe { path }) if path.ends_with("linked")));
    assert!(matches!(
        workspace.recipe_text(&"quickstart/linked".parse().unwrap()),
        Err(Error::LinkedRecipe { .. })
    ));
    assert!(matches!(Workspace::find(Path::new("/proc")), Err(Error::NoWorkspace { .. })));
}

#[test]
fn locks_are_written_when_they_differ() {
    let temp = Temp::new();
    let (workspace, target) = (temp.workspace(), "a/b".parse().unwrap());
    assert_eq!(workspace.lock_text(&target).unwrap(), None);
    assert!(workspace.write_lock(&target, "one\n").unwrap());
    assert!(!workspace.write_lock(&target, "one\n").unwrap());
    temp.write("lockfiles/a/b.lock", "one\r\n");
    assert!(!workspace.write_lock(&target, "one\n").unwrap());
    assert!(workspace.write_lock(&target, "two\n").unwrap());
    assert_eq!(workspace.lock_text(&target).unwrap().as_deref(), Some("two\n"));
    assert_eq!(workspace.locks().unwrap(), std::slice::from_ref(&target));
    let other = workspace.clone().with_lockfiles(temp.0.join("other"));
    assert_eq!((other.lock_text(&target).unwrap(), other.locks().unwrap()), (None, vec![]));
    assert_eq!(fs::read_dir(temp.0.join("lockfiles/a")).unwrap().count(), 1);
}

#[test]
fn blobs_are_verified() {
    let temp = Temp::new();
    let workspace = temp.workspace();
    let content = workspace.put_blob(b"a\nb\n").unwrap();
    assert_eq!(workspace.blob(&content, 100).unwrap().as_deref(), Some(&b"a\nb\n"[..]));
    assert!(workspace.blob(&content, 3).is_err());
    assert_eq!(workspace.blob(&Content::of(b"none"), 100).unwrap(), None);
    assert!(workspace.blob(&Content { size: 5, ..content }, 100).is_err());
    let other = workspace.clone().with_lockfiles(temp.0.join("other"));
    assert!(other.blob(&content, 100).unwrap().is_some() && other.blobs().unwrap().is_empty());
    let path = format!("lockfiles/blobs/sha256/{}", content.digest.hex());
    temp.write(&path, "a\r\nb\r\n").write("lockfiles/blobs/sha256/README", "");
    assert!(matches!(workspace.blob(&content, 100), Err(Error::Blob { crlf: true, .. })));
    workspace.put_blob(b"a\nb\n").unwrap();
    assert_eq!(workspace.blobs().unwrap(), [content]);
    workspace.remove_blob(&content.digest).unwrap();
    assert_eq!(workspace.blobs().unwrap(), []);
}

#[test]
fn line_endings() {
    let of = |text: &str| Digest::of(text.as_bytes());
    for (bytes, expected, answer) in [
        ("a\r\nb\r\n", "a\nb\n", true),
        ("a\nb", "a\r\nb", true),
        ("a", "a", false),
        ("a\r\n", "b\n", false),
        ("a\rb", "ab", false),
    ] {
        assert_eq!(differs_by_crlf_only(bytes.as_bytes(), of(expected)), answer, "{bytes:?}");
    }
}

#[test]
fn reads_trees_as_they_are() {
    let temp = Temp::new();
    temp.write("recipes/a/b/www/index.html", "<p>")
        .write("recipes/a/b/www/js/run.sh", "#!")
        .write("recipes/a/b/www/.env", "");
    temp.write("recipes/a/b/www/.git/HEAD", "")
        .write("recipes/a/b/www/x~", "")
        .link("recipes/a/b/www/out", "/etc/passwd");
    temp.link("recipes/a/b/current", "www").write("recipes/a/b/www/.#lock/deep", "");
    let base = temp.0.join("recipes/a/b/www");
    fs::create_dir(base.join("empty")).unwrap();
    fs::write(base.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    fs::set_permissions(base.join("js/run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(base.join("index.html"), fs::Permissions::from_mode(0o611)).unwrap();

    assert_eq!(temp.paths("www", &[], &[]), r".env empty index.html js js/run.sh out \xff");
    assert_eq!(temp.paths("current/js", &[], &[]), "run.sh");
    let scan = temp.scan("www", &[], &[]).unwrap();
    assert!(!scan.tree.single);
    let get = |path: &str| &scan.tree.nodes[&crate::tree::TreePath::parse(path.as_bytes()).unwrap()];
    assert_eq!(*get("js/run.sh"), SourceNode::File { content: Content::of(b"#!"), executable: true });
    assert_eq!(*get("index.html"), SourceNode::File { content: Content::of(b"<p>"), executable: false });
    assert_eq!(*get("out"), SourceNode::Symlink(b"/etc/passwd".to_vec()));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut scan.contents.open(&Content::of(b"<p>")).unwrap(), &mut text).unwrap();
    assert_eq!(text, "<p>");
    assert!(scan.contents.open(&Content::of(b"?")).is_err());

    let single = temp.scan("www/index.html", &[], &[]).unwrap().tree;
    assert_eq!(
        (single.single, single.listing()),
        (true, format!("0644 {} index.html\n", Digest::of(b"<p>")))
    );
    assert!(temp.scan("current", &[], &[]).unwrap().tree.single, "a link is one thing");
    assert_eq!(temp.paths("www/x~", &[], &[]), "x~", "named outright");
    assert!(temp.paths(".", &[], &[]).starts_with("current www www/.env"));
}

#[test]
fn globs_and_filters() {
    let temp = Temp::new();
    for path in
        ["c/a.conf", "c/.b.conf", "c/d.conf/deep/x", "c/e/f.conf", "c/e/g.txt", "c/x~.conf/z", "c/~.conf~"]
    {
        temp.write(&format!("recipes/a/b/{path}"), path);
    }
    assert_eq!(
        temp.paths("c/*.conf", &[], &[]),
        ".b.conf a.conf d.conf d.conf/deep d.conf/deep/x x~.conf x~.conf/z"
    );
    assert_eq!(temp.paths("c/**/f.conf", &[], &[]), "f.conf");
    assert_eq!(temp.paths("c/**", &[], &[]), temp.paths("c", &[], &[]));
    assert_eq!(temp.paths("c", &["**/*.txt"], &[]), "e e/g.txt");
    assert_eq!(temp.paths("c", &["d.conf"], &[]), "d.conf d.conf/deep d.conf/deep/x");
    assert_eq!(temp.paths("c", &[], &["*.conf", "e/*"]), "e");
    assert_eq!(temp.paths("{c,none}/a.conf", &[], &[]), "a.conf");
    assert_eq!(temp.error("c/*.cfg", &[]), "nothing in R matches c/*.cfg");
    assert_eq!(temp.error("c", &["*.js"]), "nothing in R/c matches *.js");
    assert_eq!(temp.error("c/[", &[]), "the glob c/[ has a `[` that is not closed in its component");
    let all = temp.scan("c/a.conf", &[], &["*"]).unwrap_err().to_string();
    assert!(all.ends_with("recipes/a/b/c/a.conf is left by exclude"), "{all}");
    assert!(temp.workspace().has_executable_bits());
    temp.write("recipes/a/b/o/a.conf", "");
    assert_eq!(
        temp.error("*/a.conf", &[]),
        "*/a.conf matches R/c/a.conf and R/o/a.conf, which would both become a.conf"
    );
}

#[test]
fn refuses_what_leads_out_or_is_not_there() {
    let temp = Temp::new();
    temp.write("recipes/a/b/Init/10-users.sql", "")
        .write("outside/x", "")
        .link("recipes/a/b/out", "../../../outside");
    temp.link("recipes/linked", "a");
    let _socket = std::os::unix::net::UnixListener::bind(temp.0.join("recipes/a/b/Init/sock")).unwrap();
    for (from, message) in [
        ("init/10-users.sql", "R/init/10-users.sql is not there; did you mean Init/10-users.sql?"),
        ("Init/10-user.sql", "R/Init/10-user.sql is not there; did you mean Init/10-users.sql?"),
        ("nothing/like/it", "R/nothing/like/it is not there"),
        ("Init/10-users.sql/x", "R/Init/10-users.sql/x is not there"),
        ("out/x", "R/out/x leads out of R"),
        ("out/*", "R/out leads out of R"),
        ("Outt/*", "R/Outt is not there; did you mean out?"),
        ("../../../outside/x", "R/../../../outside/x leads out of R"),
        ("/etc/passwd", "/etc/passwd leads out of R"),
        (
            "Init",
            "R/Init/sock is a socket: only files, directories and symbolic links can be in an image's sources",
        ),
    ] {
        assert_eq!(temp.error(from, &[]), message);
    }
    let (directory, from) = ("recipes/linked/b".into(), "Init".into());
    let files = Files { directory, from, portion: Portion::default() };
    assert!(matches!(
        temp.workspace().read_source(&files, &SourceIndex::default()),
        Err(Error::LinkedRecipe { .. })
    ));
}

#[test]
fn notices_secrets_and_names_that_differ_in_case() {
    let temp = Temp::new();
    temp.write(
        "recipes/a/b/t/key",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n",
    );
    temp.write("recipes/a/b/t/README", "")
        .write("recipes/a/b/t/Readme", "1")
        .write("recipes/a/b/t/d/readme", "");
    temp.write("recipes/a/b/t/big", vec![7; 3 << 20]);
    let scan = temp.scan("t", &[], &[]).unwrap();
    let text = |path: &crate::tree::TreePath| path.to_string();
    assert_eq!(scan.secrets.keys().map(text).collect::<Vec<_>>(), ["/key"]);
    let pairs: Vec<_> = scan.same_folded.iter().map(|(one, other)| (text(one), text(other))).collect();
    assert_eq!(pairs, [("/README".to_owned(), "/Readme".to_owned())]);
    let big = Content::of(&vec![7; 3 << 20]);
    assert_eq!(scan.contents.path(&big), Some((temp.0.join("recipes/a/b/t/big").as_path(), true)));
}
