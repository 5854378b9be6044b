//! The index of sources: what looks as it did isn't read again, and what comes out is what reading all of it gives.
//!
//! What is read is told by the kernel: [`Opened`] hears of every file that anybody opens in some directories.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use cooperage::disk::Stat;
use cooperage::store::{SourceIndex, Store, fingerprint};
use cooperage::tree::{Files, Portion};
use cooperage::workspace::{RULES, Scan, Workspace, read_input};
use rustix::fs::{CWD, RenameFlags, inotify, renameat_with};

use crate::engines::skipped;
use crate::support::{Test, tar};

/// Longer than a tick of any file system's clock here: what was written before is older than what comes after.
const TICK: Duration = Duration::from_millis(20);

/// Hears which files are opened in some directories.
struct Opened(OwnedFd);

impl Opened {
    fn in_each<'d>(directories: impl IntoIterator<Item = &'d Path>) -> Self {
        let inotify = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        for directory in directories {
            inotify::add_watch(&inotify, directory, inotify::WatchFlags::OPEN).unwrap();
        }
        Self(inotify)
    }

    /// The names of those since it was last asked, with a blank between them.
    fn names(&self) -> String {
        let mut buffer = [MaybeUninit::uninit(); 1 << 14];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut names = BTreeSet::new();
        while let Ok(event) = events.next() {
            assert!(!event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW));
            if !event.events().contains(inotify::ReadFlags::ISDIR) {
                names.insert(event.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
        names.into_iter().collect::<Vec<_>>().join(" ")
    }
}

const RECIPE: &str = "[base]\nscratch = true\n[[file]]\nfrom = \"t/\"\nto = \"/t\"\n";

/// A workspace with the files `t/a`, `t/b` and `t/d/c` beside its one recipe, built, so that they are known.
fn known() -> Test {
    let test = Test::workspace().file("recipes/x/y/recipe.toml", RECIPE);
    let test =
        test.file("recipes/x/y/t/a", "one").file("recipes/x/y/t/b", "two").file("recipes/x/y/t/d/c", "");
    sleep(TICK);
    test.run(["build"]).status(0).then()
}

fn opened(test: &Test) -> Opened {
    let (top, below) = (test.path("recipes/x/y/t"), test.path("recipes/x/y/t/d"));
    Opened::in_each([&*top, &*below])
}

/// The one file of the index.
fn index_of(store: &Path) -> PathBuf {
    let files: Vec<_> =
        fs::read_dir(store.join("sources")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let mut test = known();
    let opened = opened(&test);
    for verb in [&["build"][..], &["build", "--locked"], &["lock", "--check"], &["show", "x/y"], &["check"]] {
        test = test.run(verb.iter().copied()).status(0).then();
        assert_eq!(opened.names(), "", "{verb:?}");
    }
    test = test.run(["--no-index", "build", "--locked"]).status(0).then();
    assert_eq!(opened.names(), "a b c");
    let run = test.run(["build", "--twice"]).status(0);
    assert_eq!(opened.names(), "a b c", "a second build reads all");
    drop(run);
}

#[test]
fn a_changed_file_reads_only_itself() {
    let own = "[[file]]\nfrom = \"u\"\nto = \"/u\"\nlayer = \"u\"\n";
    let test = known().file("recipes/x/y/u", "1").file("recipes/x/y/recipe.toml", format!("{RECIPE}{own}"));
    sleep(TICK);
    let test = test.run(["build"]).status(0).then();
    let places = ["recipes/x/y", "recipes/x/y/t", "recipes/x/y/t/d"].map(|place| test.path(place));
    let opened = Opened::in_each(places.iter().map(PathBuf::as_path));
    let test = test.file("recipes/x/y/u", "2");
    opened.names();
    sleep(TICK);
    let test = test.run(["build"]).status(0).then();
    assert_eq!(opened.names(), "recipe.toml u");
    let run = test.run(["build", "--locked"]).status(0);
    assert_eq!(opened.names(), "recipe.toml");
    drop(run);
}

#[test]
fn one_recipe_does_not_drop_what_is_known_of_others() {
    let test = known().file("recipes/x/z/recipe.toml", RECIPE).file("recipes/x/z/t/gone", "1");
    let test = test.file("recipes/x/z/t/e", "2");
    sleep(TICK);
    let test = test
        .run(["build", "x/z"])
        .status(0)
        .then()
        .remove("recipes/x/z/t/gone")
        .file("recipes/x/y/t/a", "ONE");
    sleep(TICK);
    let test = test.run(["build", "x/y"]).status(0).then();
    let text = fs::read(index_of(&test.store())).unwrap();
    let says = |path: &str| text.windows(path.len()).any(|part| part == path.as_bytes());
    assert!(says("recipes/x/z/t/e") && says("recipes/x/y/t/d/c") && !says("recipes/x/z/t/gone"));
    let opened = Opened::in_each([&*test.path("recipes/x/z/t"), &*test.path("recipes/x/y/t")]);
    let run = test.run(["lock", "--check", "x/y"]).status(0);
    assert_eq!(opened.names(), "");
    drop(run);
}

#[test]
fn what_was_written_in_the_same_tick_is_read_again() {
    // Each round hashes a file at once after it was written, and writes it again.
    let (mut test, path) = (known(), "recipes/x/y/t/a");
    for round in 0..20 {
        let before = test.path(path).metadata().unwrap();
        let mut file = OpenOptions::new().write(true).open(test.path(path)).unwrap();
        write!(file, "{round:03}").unwrap();
        file.set_times(FileTimes::new().set_modified(before.modified().unwrap())).unwrap();
        let digests: Vec<String> = [&["show", "x/y"][..], &["show", "x/y", "--no-index"]]
            .into_iter()
            .map(|verb| {
                let run = std::mem::replace(&mut test, Test::new()).run(verb.iter().copied()).status(0);
                let out = run.out.clone();
                test = run.then();
                out
            })
            .collect();
        assert_eq!(digests[0], digests[1], "{round}");
    }
}

#[test]
fn inputs_archives_and_layouts_are_not_read_again() {
    let recipe = "[base]\nlayout = \"base.tar\"\n[input.war]\npath = \"out\"\n\
        [[file]]\ninput = \"war\"\nto = \"/in\"\n[[file]]\nfrom = \"t/a.tar\"\nto = \"/un\"\nunpack = true\n";
    let test = Test::workspace().file("recipes/x/y/recipe.toml", recipe).file("out/app.war", "war");
    let test = test.file("recipes/x/y/t/a.tar", tar("d 0755 0:0 etc\nf 0644 0:0 etc/x a"));
    let test = test.base("base", "1", &["f 0644 0:0 etc/passwd root:x:0:0::/:"]);
    let (layout, archive) = (test.path("base"), test.path("base.tar"));
    let arguments = ["-C", layout.to_str().unwrap(), "-cf", archive.to_str().unwrap(), "."];
    let packed = std::process::Command::new("tar").args(arguments).status().unwrap();
    assert!(packed.success());
    sleep(TICK);
    let test = test.run(["build"]).status(0).then();
    let places = ["out", "recipes/x/y/t", "", "base"].map(|place| test.path(place));
    let opened = Opened::in_each(places.iter().map(PathBuf::as_path));
    let test = test.run(["build", "--locked"]).status(0).then();
    // An archive is opened to see that it is one, and not read: below.
    assert_eq!(opened.names(), "base.tar cooper.toml");
    // Only the archive, which is unpacked and must be the one that is locked.
    let test = test.file("recipes/x/y/t/a.tar", tar("d 0755 0:0 etc\nf 0644 0:0 etc/x b"));
    opened.names();
    sleep(TICK);
    let test = test.run(["lock", "--check"]).status(1).then();
    assert_eq!(opened.names(), "a.tar base.tar cooper.toml");
    // What isn't read can't be found to be broken.
    let bytes = fs::read(test.path("base.tar")).unwrap();
    let test = test.file("base.tar", &bytes[..700]).run(["build"]).status(0).then();
    let test = test.remove("lockfiles").run(["build"]).then();
    assert!(!test.path("lockfiles").exists());
}

/// A program that reads through a mapping first and writes then changes no time there, whenever it mapped the file.
#[test]
fn in_memory_nothing_is_known() {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return skipped("there is no /dev/shm");
    }
    let test = Test::new();
    let files = memory.join(format!("cooper-it-{}-inputs", std::process::id()));
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("a"), "one").unwrap();
    sleep(TICK);
    let store = test.path("store");
    Store::open(&store).unwrap();
    let opened = Opened::in_each([&*files]);
    for _ in 0..3 {
        let index = SourceIndex::open(&store, &test.path(""), RULES);
        read_input(&files, &[], &[], &index).unwrap();
        // Beside the file that asks the clock.
        assert!(opened.names().split(' ').any(|name| name == "a"));
    }
    fs::remove_dir_all(files).unwrap();
}

#[test]
fn an_archive_that_is_known_is_hashed_when_it_is_unpacked() {
    let recipe = "[base]\nscratch = true\n[[file]]\nfrom = \"a.tar\"\nto = \"/un\"\nunpack = true\n";
    let archive = |content: &str| tar(&format!("f 0644 0:0 x {content}"));
    let test =
        Test::workspace().file("recipes/x/y/recipe.toml", recipe).file("recipes/x/y/a.tar", archive("1"));
    sleep(TICK);
    let test = test.run(["build"]).status(0).then();
    // An index that lies: as if no ctime had told.
    let path = test.path("recipes/x/y/a.tar");
    let before = Stat::of_path(&path).unwrap().to_bytes();
    let test = test.file("recipes/x/y/a.tar", archive("2"));
    change_index(&test.store(), |bytes| {
        let at = bytes.windows(before.len()).position(|part| part == before).unwrap();
        bytes[at..at + before.len()].copy_from_slice(&Stat::of_path(&path).unwrap().to_bytes());
    });
    let run = test.remove("lockfiles").run(["build"]);
    assert!(run.code != Some(0) && run.err.contains("it is sha256:"), "{}", run.err);
    let test = run.then();
    assert!(!test.path("lockfiles").exists());
    test.run(["--no-index", "build"]).status(0);
}

#[test]
fn a_layer_never_gets_bytes_that_the_index_only_claims() {
    let test = known();
    let path = test.path("recipes/x/y/t/a");
    let before = Stat::of_path(&path).unwrap().to_bytes();
    fs::write(&path, "new").unwrap();
    change_index(&test.store(), |bytes| {
        let at = bytes.windows(before.len()).position(|part| part == before).unwrap();
        bytes[at..at + before.len()].copy_from_slice(&Stat::of_path(&path).unwrap().to_bytes());
    });
    // Nothing of the layer is kept any more, so it is made.
    for kind in ["realisations", "chunks", "blobs/sha256"] {
        fs::remove_dir_all(test.store().join(kind)).unwrap_or_default();
    }
    let run = test.run(["build", "--locked"]).status(3);
    assert!(run.err.contains("changed while it was read") && run.err.contains("--no-index"), "{}", run.err);
    run.then().run(["build", "--no-index"]).status(0);
}

/// Changes the one index of a store, whose sum is right again afterwards.
fn change_index(store: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = index_of(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 8);
    change(&mut bytes);
    bytes.extend(fingerprint(&bytes).to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_or_foreign_index_costs_a_hash() {
    let test = known();
    let opened = opened(&test);
    let (path, sound) = (index_of(&test.store()), fs::read(index_of(&test.store())).unwrap());
    let damages: Vec<(&str, Vec<u8>)> = [
        ("empty", vec![]),
        ("short", sound[..20].to_vec()),
        ("truncated", sound[..sound.len() - 1].to_vec()),
        ("longer", [&sound[..], &[0]].concat()),
        ("half", sound[..sound.len() / 2].to_vec()),
        ("zeros", vec![0; sound.len()]),
        ("noise", sound.iter().map(|byte| byte ^ 0x5a).collect()),
    ]
    .into_iter()
    .chain((0..sound.len()).step_by(sound.len() / 8).map(|at| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        ("flipped", bytes)
    }))
    .collect();
    let mut test = test;
    for (what, bytes) in damages {
        fs::write(&path, bytes).unwrap();
        test = test.run(["build"]).stderr("").status(0).then();
        assert_eq!(opened.names(), "a b c", "{what}");
        assert_eq!(fs::read(&path).unwrap(), sound, "{what}: it is whole again");
    }
    // Its sum is right: of another version, by other rules, of another workspace; counts and lengths that lead out.
    let root = test.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let after = 17 + 8 + 4 + root.len();
    type Change<'c> = &'c dyn Fn(&mut Vec<u8>);
    let changes: [(&str, Change<'_>); 7] = [
        ("version", &|bytes| bytes[15] = b'1'),
        ("rules", &|bytes| bytes[17] ^= 1),
        ("root", &|bytes| bytes[30] ^= 1),
        ("root's length", &|bytes| bytes[25] ^= 1),
        ("count", &|bytes| bytes[after..after + 4].copy_from_slice(&[0xff; 4])),
        ("no rows", &|bytes| bytes.truncate(after)),
        ("half a row", &|bytes| bytes.truncate(after + 40)),
    ];
    for (what, change) in changes {
        change_index(&test.store(), change);
        test = test.run(["build"]).stderr("").status(0).then();
        assert_eq!(opened.names(), "a b c", "{what}");
        assert_eq!(fs::read(&path).unwrap(), sound, "{what}: it is whole again");
    }
    // Paths that are shorter than the rows say.
    change_index(&test.store(), |bytes| bytes.truncate(bytes.len() - 10));
    fs::write(test.path("recipes/x/y/t/a"), "ONE").unwrap();
    sleep(TICK);
    let test = test.run(["build"]).status(0).then();
    test.run(["--no-index", "lock", "--check"]).status(0);
}

#[test]
fn an_index_that_others_can_have_written_is_not_believed() {
    let mut test = known();
    let opened = opened(&test);
    let path = index_of(&test.store());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    for mode in [0o620, 0o602, 0o666, 0o664] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        test = test.run(["build"]).stderr("").status(0).then();
        assert_eq!(opened.names(), "a b c", "{mode:o}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{mode:o}");
    }
    // A link leads to somebody else's.
    let sources = test.store().join("sources");
    fs::rename(&sources, test.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(test.path("elsewhere"), &sources).unwrap();
    let run = test.run(["build"]).stderr("").status(0);
    assert_eq!(opened.names(), "a b c");
    drop(run);
}

#[test]
fn a_copied_workspace_is_read() {
    let test = known();
    let store = test.store().to_str().unwrap().to_owned();
    let copy = test.path("").parent().unwrap().join("copy");
    let copied = std::process::Command::new("cp").arg("-a").arg(test.path("")).arg(&copy).status().unwrap();
    assert!(copied.success());
    // Changed and made to look as before, but for what nobody can set.
    let file = copy.join("recipes/x/y/t/a");
    let before = file.metadata().unwrap();
    fs::write(&file, "eno").unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    File::options().write(true).open(&file).unwrap().set_times(times).unwrap();
    sleep(TICK);
    let index = index_of(&test.store());
    let copy_text = copy.to_str().unwrap().to_owned();
    let check = ["-C", &copy_text, "--store", &store, "lock", "--check"];
    let test = test.run(check).status(1).then();
    // The same even if the index of the one were taken for that of the other.
    let other: Vec<_> =
        fs::read_dir(index.parent().unwrap()).unwrap().map(|file| file.unwrap().path()).collect();
    let other = other.iter().find(|path| **path != index).unwrap();
    fs::copy(&index, other).unwrap();
    let test = test.run(check).status(1).then();
    let root = test.path("");
    let (root, copy) = (root.to_str().unwrap().trim_end_matches('/'), copy.to_str().unwrap());
    assert_eq!(root.len(), copy.len());
    let mut bytes = fs::read(&index).unwrap();
    bytes.truncate(bytes.len() - 8);
    bytes[29..29 + root.len()].copy_from_slice(copy.as_bytes());
    bytes.extend(fingerprint(&bytes).to_le_bytes());
    fs::write(other, bytes).unwrap();
    test.run(check).status(1);
}

#[test]
fn a_store_that_cannot_keep_an_index_is_no_error() {
    let test = known();
    let opened = opened(&test);
    let sources = test.store().join("sources");
    fs::remove_dir_all(&sources).unwrap();
    fs::write(&sources, "in the way").unwrap();
    let test = test.run(["build", "--locked"]).stderr("").status(0).then();
    assert_eq!(opened.names(), "a b c");
    fs::remove_file(&sources).unwrap();
    let test = test.run(["build", "--locked"]).stderr("").status(0).then();
    // A directory in the place of the file, and a link.
    let index = index_of(&test.store());
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    let test = test.run(["build", "--locked"]).stderr("").status(0).then();
    fs::remove_dir(&index).unwrap();
    std::os::unix::fs::symlink(test.path("cooper.toml"), &index).unwrap();
    opened.names();
    let test = test.run(["build", "--locked"]).stderr("").status(0).then();
    assert_eq!(opened.names(), "a b c");
    assert!(
        test.read("cooper.toml").starts_with("[workspace]") && index.symlink_metadata().unwrap().is_file()
    );
    // No store is made for it.
    let test = test.run(["--store", "elsewhere", "lock", "--audit"]).status(0).then();
    assert!(!test.path("elsewhere").exists());
}

#[test]
fn gc_drops_indexes_of_workspaces_that_are_gone() {
    let test = known();
    let sources = test.store().join("sources");
    let index = index_of(&test.store());
    let gone = test.path("gone");
    let files = [("cooper.toml", ""), ("recipes/x/y/recipe.toml", RECIPE), ("recipes/x/y/t/a", "1")];
    for (path, text) in files {
        fs::create_dir_all(gone.join(path).parent().unwrap()).unwrap();
        fs::write(gone.join(path), text).unwrap();
    }
    sleep(TICK);
    let test = test.run(["-C", "gone", "build"]).status(0).then().run(["store", "verify"]).status(0).then();
    fs::write(sources.join("0123456789ab"), "nobody's").unwrap();
    fs::write(sources.join(".tmp-1-1"), fs::read(&index).unwrap()).unwrap();
    let count = || fs::read_dir(&sources).unwrap().count();
    assert_eq!(count(), 4);
    let run = test.run(["store", "verify"]).status(1);
    assert!(run.out.contains("0123456789ab: its checksum is wrong"), "{}", run.out);
    let test = run.then().remove("gone").run(["gc", "-n"]).status(0).then();
    assert_eq!(count(), 4);
    let _test = test.run(["gc"]).status(0);
    assert_eq!(fs::read_dir(&sources).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>(), [index]);
}

#[test]
fn a_secret_is_found_each_time() {
    let test = known().file("recipes/x/y/t/key", format!("-----BEGIN {} KEY-----\nMII", "PRIVATE"));
    sleep(TICK);
    let mut test = test;
    for _ in 0..3 {
        let run = test.run(["build"]).status(3);
        assert!(run.err.contains("a private key"), "{}", run.err);
        test = run.then();
    }
}

/// Numbers that come again with the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % count
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A recipe's files, and a store, in a place of their own.
struct Edited {
    dir: PathBuf,
    store: PathBuf,
    dice: Dice,
    /// Indexes as they once were.
    earlier: Vec<Vec<u8>>,
    /// What lies in the trees is always among these names.
    names: Vec<PathBuf>,
}

impl Edited {
    fn new(dir: &Path, store: &Path, seed: u64) -> Self {
        Store::open(store).unwrap();
        let top = dir.join("recipes/x/y/t");
        let mut names = Vec::new();
        for directory in ["a", "b", "a/c"] {
            fs::create_dir_all(top.join(directory)).unwrap();
            names.extend((0..8).map(|number| top.join(directory).join(format!("f{number}"))));
        }
        fs::write(dir.join("cooper.toml"), "").unwrap();
        for name in &names {
            fs::write(name, "0000").unwrap();
        }
        let dir = dir.canonicalize().unwrap();
        Self { dir, store: store.to_owned(), dice: Dice(seed), earlier: Vec::new(), names }
    }

    fn name(&mut self) -> PathBuf {
        let at = self.dice.below(self.names.len());
        self.names[at].clone()
    }

    /// Four bytes mostly, so that the size tells nothing.
    fn bytes(&mut self) -> Vec<u8> {
        match self.dice.below(12) {
            0 => Vec::new(),
            1 => vec![b'x'; 70_000],
            2 => format!("-----BEGIN {} KEY-----\n", "PRIVATE").into_bytes(),
            _ => format!("{:04}", self.dice.below(10_000)).into_bytes(),
        }
    }

    /// One of the things that people and programs do to files; what can't be done isn't.
    fn edit(&mut self) -> &'static str {
        let (one, other, bytes) = (self.name(), self.name(), self.bytes());
        let before = one.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let set_back = |path: &Path| {
            File::options().write(true).open(path)?.set_times(FileTimes::new().set_modified(before))
        };
        let exchange = |one: &Path, other: &Path| renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
        let in_place = |path: &Path| -> std::io::Result<()> {
            let mut file = File::options().write(true).open(path)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&bytes)
        };
        match self.dice.below(17) {
            0 => (_ = in_place(&one), "in place").1,
            1 => (_ = in_place(&one).and_then(|()| set_back(&one)), "in place, time set back").1,
            2 => (_ = fs::write(&one, &bytes), "written").1,
            3 => (_ = fs::write(&one, &bytes).and_then(|()| set_back(&one)), "written, time set back").1,
            4 => (_ = fs::rename(&one, &other), "renamed").1,
            5 => (_ = exchange(&one, &other), "exchanged").1,
            6 => {
                (
                    _ = exchange(&self.dir.join("recipes/x/y/t/a/c"), &self.dir.join("recipes/x/y/t/b")),
                    "directories",
                )
                    .1
            }
            7 => (_ = fs::remove_file(&one), "removed").1,
            8 => {
                _ = fs::remove_file(&other).and_then(|()| fs::hard_link(&one, &other));
                "linked"
            }
            9 => {
                // As `cp -p` and `rsync -a` do: another file with the same times.
                let beside = one.with_extension("new");
                _ = fs::write(&beside, &bytes).and_then(|()| set_back(&beside));
                _ = fs::rename(&beside, &one);
                "replaced, time kept"
            }
            10 => {
                let mode = if self.dice.one_in(2) { 0o755 } else { 0o644 };
                _ = fs::set_permissions(&one, fs::Permissions::from_mode(mode));
                "mode"
            }
            11 => {
                // A clock that was wrong by an hour, or by years.
                let hour = Duration::from_secs(3600);
                let time = [before + hour, before - hour, SystemTime::UNIX_EPOCH, before + hour * 100_000];
                let times = FileTimes::new().set_modified(time[self.dice.below(4)]);
                _ = in_place(&one);
                _ = File::options().write(true).open(&one).and_then(|file| file.set_times(times));
                "another clock"
            }
            12 => {
                _ = File::options().append(true).open(&one).and_then(|mut file| {
                    file.write_all(b"+")?;
                    file.set_len(file.metadata()?.size() - 1)
                });
                "longer and shorter"
            }
            13 => {
                _ = fs::remove_file(&one).and_then(|()| std::os::unix::fs::symlink(&other, &one));
                "a symbolic link"
            }
            14 => {
                // Twice within one tick.
                _ = in_place(&one);
                let again = format!("{:04}", self.dice.below(10_000));
                _ = fs::write(&one, again).and_then(|()| set_back(&one));
                "twice"
            }
            15 => {
                _ = fs::write(&one, "0000");
                "as at first"
            }
            _ => {
                if let Ok(bytes) = fs::read(&other) {
                    _ = fs::write(&one, bytes);
                }
                "as another one"
            }
        }
    }

    /// What befalls the index itself.
    fn befall_index(&mut self) -> &'static str {
        let Some(file) = fs::read_dir(self.store.join("sources")).ok().and_then(|mut files| files.next())
        else {
            return "";
        };
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        self.earlier.push(bytes.clone());
        match self.dice.below(40) {
            0 => {
                let (at, bit) = (self.dice.below(bytes.len()), 1 << self.dice.below(8));
                bytes[at] ^= bit;
                fs::write(path, bytes).unwrap();
                "a bit"
            }
            1 => {
                fs::write(path, &bytes[..self.dice.below(bytes.len())]).unwrap();
                "cut"
            }
            2 => (fs::remove_file(path).unwrap(), "lost").1,
            3..8 => {
                // A store that was brought back from yesterday.
                let at = self.dice.below(self.earlier.len());
                fs::write(path, &self.earlier[at]).unwrap();
                "an earlier one"
            }
            _ => "",
        }
    }

    fn scan(&self, from: &str, index: &SourceIndex) -> Scan {
        let workspace = Workspace::find(&self.dir).unwrap();
        if from.is_empty() {
            return read_input(&self.dir.join("recipes/x/y/t"), &[], &[], index).unwrap();
        }
        let files = Files { directory: "recipes/x/y".into(), from: from.into(), portion: Portion::default() };
        workspace.read_source(&files, index).unwrap()
    }

    fn index(&self) -> SourceIndex {
        SourceIndex::open(&self.store, &self.dir, RULES)
    }

    /// Edits, and compares after each what the index gives with what is there. Gives how many files were there, and
    /// how many of them were read.
    fn run(&mut self, edits: usize) -> (usize, usize) {
        let top = self.dir.join("recipes/x/y/t");
        let (mut there, mut read, mut beside) = (0, 0, None);
        for edit in 0..edits {
            let mut done = Vec::new();
            for _ in 0..=self.dice.below(3) {
                done.push(self.edit());
            }
            if self.dice.one_in(3) {
                sleep(Duration::from_millis(5));
            }
            done.push(self.befall_index());
            let from = ["t", "t", "t/a", "t/*", ""][self.dice.below(5)];
            let opened = Opened::in_each([&*top, &*top.join("a"), &*top.join("b"), &*top.join("a/c")]);
            // Sometimes another command has read it before, and writes it afterwards.
            let index = beside.take().unwrap_or_else(|| self.index());
            let scan = self.scan(from, &index);
            read += opened.names().split_whitespace().count();
            if self.dice.one_in(5) {
                beside = Some(self.index());
                self.scan("t", beside.as_ref().unwrap());
            }
            // Sometimes it is killed before it writes.
            if self.dice.one_in(10) {
                std::mem::forget(index)
            } else {
                drop(index)
            }
            let true_scan = self.scan(from, &SourceIndex::default());
            there += true_scan.tree.nodes.len();
            assert_eq!(scan.tree, true_scan.tree, "edit {edit} of {from:?}: {done:?}");
            assert_eq!(scan.secrets, true_scan.secrets, "edit {edit} of {from:?}: {done:?}");
        }
        (there, read)
    }
}

fn edit(seed: u64, edits: usize, store_in: Option<&Path>) {
    let test = Test::new();
    let elsewhere = store_in.map(|dir| dir.join(format!("cooper-it-{}-{seed}", std::process::id())));
    let store = elsewhere.clone().unwrap_or_else(|| test.path("store"));
    fs::create_dir_all(test.path("w")).unwrap();
    let (there, read) = Edited::new(&test.path("w"), &store, seed).run(edits);
    // Names are told once, so it is fewer than were read; each edit dirties some, and damage all.
    assert!(read * 2 < there, "{read} of {there} files were read: the index is of no use");
    if let Some(dir) = elsewhere {
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn random_edits_are_all_seen() {
    edit(17, 700, None);
}

#[test]
fn random_edits_are_all_seen_from_another_file_system() {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        edit(18, 300, Some(memory));
    }
}

/// `COOPER_EDITS=SEED cargo test --test it -- --ignored ten_thousand`
#[test]
#[ignore = "takes a minute"]
fn ten_thousand_random_edits_are_all_seen() {
    let seed = std::env::var("COOPER_EDITS").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    edit(seed, 7_000, None);
    edit(seed + 1, 3_000, Some(Path::new("/dev/shm")).filter(|dir| dir.is_dir()));
}
