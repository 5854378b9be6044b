//! What an archive holds: taken apart on one thread while another hashes and writes its files. Those that lie in it as
//! they are stay there.
//!
//! Owns which of its members an entry takes, and that nothing counts before the archive is known to be the one that is meant.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use super::portion::filter;
use super::read::{Read, Secrets};
use super::watch::{Watch, Watched};
use crate::digest::{Known, Survey};
use crate::disk;
use crate::http::shown;
use crate::layer::unpack::{Limits, Member, What, unpack};
use crate::lock::Pin;
use crate::progress::Event;
use crate::recipe::SourcePath;
use crate::tree::{Attributes, Content, Kind, Portion, SourceNode, SourceTree, Step, StepError, TreePath};
use crate::work::Error;
use crate::work::bytes::{Spool, Supply};
use crate::work::fetch::Located;
use crate::workspace::{Contents, Filter};

type Nodes = BTreeMap<TreePath, SourceNode>;

/// What an archive holds; `listed` is what a lock says of that.
pub(super) fn unpacked(
    supply: &Supply<'_>,
    portion: &Portion,
    path: &SourcePath,
    located: Located,
    listed: Option<&SourceTree>,
) -> Result<Read, Error> {
    let name = path.key.name();
    let wrong = |why: String| Error::foreign(name, why);
    let filter = filter(name, portion)?;
    let limits = Limits { case: path.case_clash, ..Limits::default() };
    let steps: Result<Vec<Step>, StepError> = portion.unpack.iter().map(|step| step.parse()).collect();
    let steps = steps.map_err(|error| wrong(error.to_string()))?;
    supply.checkout.env.progress.event(Event::Begin { what: "unpacking", name: &shown(name) });
    let archive = Arc::new(disk::open(&located.path)?.0);
    let spool = Spool::new(supply.transaction()?.scratch()?);
    let lone = lone_name(name, portion);
    let mut members = Members {
        lone: &lone,
        is_lone: false,
        filter: &filter,
        known: BTreeMap::new(),
        listed,
        archive: &archive,
        contents: Contents::default(),
        nodes: Nodes::new(),
        secrets: Secrets::new(),
        owners: portion.owners,
        files: Vec::new(),
        links: Vec::new(),
    };
    let (send, pieces) = mpsc::sync_channel(WAITING);
    // What isn't hashed yet is, meanwhile; nothing counts before both are done.
    let (unpacked, hashed, spooled) = thread::scope(|scope| {
        let hashed = scope.spawn(|| located.content(name));
        let spooled = scope.spawn(|| spool_pieces(pieces, spool));
        let visit = &mut |member: Member<'_>| members.add(member, &send);
        let unpacked = unpack(&*archive, &steps, portion.strip, limits, &|path| filter.takes(path), visit);
        // Then nothing more comes.
        drop(send);
        (unpacked, hashed.join(), spooled.join())
    });
    let (content, _) = hashed.unwrap_or_else(|_| located.content(name))?;
    let spooled = spooled.unwrap_or_else(|_| Err(io::Error::other("a thread ended early")));
    // A full disk is reported before what came of it.
    let (written, spool) = spooled.map_err(disk::failed("write", Path::new(name)))?;
    unpacked.map_err(|error| wrong(error.to_string()))?;
    let mut contents = std::mem::take(&mut members.contents);
    let single = members.is_lone;
    if single && portion.unpack == ["auto"] && lone.name().ends_with(b".tar") {
        return Err(wrong("by its name it is a tar, and there is none in it".into()));
    }
    let (mut nodes, mut secrets) = members.nodes(written).map_err(wrong)?;
    if nodes.is_empty() && (portion.strip > 0 || !portion.exclude.is_empty()) {
        return Err(wrong("nothing of it is left: strip or exclude less".into()));
    }
    if !portion.include.is_empty() {
        let all = nodes.clone();
        if let Some(pattern) = filter.retain_included(&mut nodes).into_iter().next() {
            return Err(wrong(format!("nothing in it matches {pattern:?}")));
        }
        first_names(&mut nodes, &all);
    }
    secrets.retain(|path, _| nodes.contains_key(path));
    contents.extend(supply.spooled(spool)?);
    supply.checkout.env.progress.event(Event::End);
    Ok(Read { tree: SourceTree { single, nodes }, pin: Pin::File(content), contents, secrets })
}

/// The name that a file has which is only compressed: that of the archive, or of the member that it is, without the ending.
fn lone_name(name: &str, portion: &Portion) -> TreePath {
    let member = portion.unpack.iter().rev().nth(1).and_then(|step| step.split_once(':'));
    let name = member.map_or(name.split(['?', '#']).next().unwrap_or(name), |(_, member)| member);
    let name = name.rsplit('/').next().unwrap_or(name);
    let tars = [(".tgz", ".tar"), (".txz", ".tar"), (".tbz2", ".tar"), (".tzst", ".tar")];
    let endings = [(".gz", ""), (".xz", ""), (".zst", ""), (".bz2", "")];
    let found = tars.iter().chain(&endings).find_map(|(end, new)| Some((name.strip_suffix(end)?, *new)));
    let (stem, end) = found.filter(|(stem, _)| !stem.is_empty()).unwrap_or((name, ""));
    let name = format!("{stem}{end}");
    TreePath::root().child(name.as_bytes()).unwrap_or_else(|| TreePath::root().join(b"content"))
}

/// What is taken of an archive, as far as it was read.
struct Members<'f> {
    /// What a file that is only compressed is called, and whether it is one.
    lone: &'f TreePath,
    is_lone: bool,
    filter: &'f Filter,
    /// Directories that it leaves out, or not.
    known: BTreeMap<TreePath, bool>,
    listed: Option<&'f SourceTree>,
    archive: &'f Arc<disk::File>,
    /// Those that lie in the archive.
    contents: Contents,
    nodes: Nodes,
    secrets: Secrets,
    /// They belong to whom the archive says.
    owners: bool,
    /// In the order in which they were sent to be written.
    files: Vec<(TreePath, Attributes)>,
    /// Names, and whose they are too.
    links: Vec<(TreePath, TreePath, Attributes)>,
}

impl Members<'_> {
    fn add(&mut self, member: Member<'_>, send: &SyncSender<Option<Vec<u8>>>) -> io::Result<()> {
        let Member { path, mode, owner, what } = member;
        self.is_lone |= path.is_root();
        let path = if path.is_root() { self.lone.clone() } else { path };
        // Whatever lies below what is left out is left out.
        if self.filter.leaves_out(&path, &mut self.known) {
            return Ok(());
        }
        let (uid, gid) = match (self.owners, owner) {
            (false, _) => (0, 0),
            (true, Some(owner)) => owner,
            (true, None) => {
                return Err(io::Error::other("this format doesn't say whose it is: give an owner"));
            }
        };
        let own = |mode| Attributes::new(mode).owned(uid, gid);
        match what {
            What::Directory => {
                drop(self.nodes.insert(path, kept(Kind::Directory { opaque: false }, own(mode))))
            }
            What::Symlink(target) => drop(self.nodes.insert(path, kept(Kind::Symlink(target), own(0o777)))),
            What::HardLink(target) => self.links.push((path, target, own(mode))),
            What::File { content: reader, at: Some(at) } => {
                // Read once less: whoever makes a layer of it compares it with the listing.
                let (content, known) = match self.listed.and_then(|tree| tree.nodes.get(&path)) {
                    Some(SourceNode::Kept { kind: Kind::File(content), .. })
                        if content.size == at.end - at.start =>
                    {
                        (*content, Known::Nothing)
                    }
                    _ => {
                        let mut watch = Watch::default();
                        let watched = Watched { inner: reader, watch: &mut watch };
                        let (digest, size, known) = Survey::of(watched)?;
                        self.secrets.extend(watch.end_file().map(|kind| (path.clone(), kind)));
                        (Content { digest, size }, known)
                    }
                };
                self.contents.put_section(content, self.archive, at.start, known);
                self.nodes.insert(path, kept(Kind::File(content), own(mode)));
            }
            What::File { content: reader, at: None } => {
                send_pieces(reader, send)?;
                self.files.push((path, own(mode)));
            }
        }
        Ok(())
    }

    /// All of them, once it is known what was written of the files.
    fn nodes(mut self, written: Vec<Written>) -> Result<(Nodes, Secrets), String> {
        for ((path, attributes), Written { content, secret }) in self.files.into_iter().zip(written) {
            self.secrets.extend(secret.map(|kind| (path.clone(), kind)));
            self.nodes.insert(path, kept(Kind::File(content), attributes));
        }
        // A name of something that is left out has to have its content.
        for (path, target, attributes) in self.links {
            if !matches!(self.nodes.get(&target), Some(SourceNode::Kept { kind: Kind::File(_), .. })) {
                return Err(format!("{path} is a link to {target}, which is left out"));
            }
            self.nodes.insert(path, kept(Kind::HardLink(target), attributes));
        }
        Ok((self.nodes, self.secrets))
    }
}

fn kept(kind: Kind, attributes: Attributes) -> SourceNode {
    SourceNode::Kept { kind, attributes }
}

/// What goes from the thread that unpacks to the one that hashes and writes: at most so much at once, so often.
const PIECE: u64 = 64 << 10;
const WAITING: usize = 32;

/// Sends a file in pieces, and then that it ends.
fn send_pieces(reader: &mut dyn io::Read, send: &SyncSender<Option<Vec<u8>>>) -> io::Result<()> {
    // What happened there is reported when that thread is through.
    let gone = |_| io::Error::other("it can't be written");
    loop {
        let mut piece = Vec::new();
        let count = (&mut *reader).take(PIECE).read_to_end(&mut piece)? as u64;
        if count > 0 {
            send.send(Some(piece)).map_err(gone)?;
        }
        if count < PIECE {
            return send.send(None).map_err(gone);
        }
    }
}

/// A file that was written, and what its bytes look like.
struct Written {
    content: Content,
    secret: Option<&'static str>,
}

/// Writes what was sent; the files in their order.
fn spool_pieces(pieces: Receiver<Option<Vec<u8>>>, mut spool: Spool) -> io::Result<(Vec<Written>, Spool)> {
    let (mut written, mut watch) = (Vec::new(), Watch::default());
    for piece in pieces {
        match piece {
            Some(piece) => {
                watch.add(&piece);
                spool.write_all(&piece)?;
            }
            None => written.push(Written { content: spool.end_file(), secret: watch.end_file() }),
        }
    }
    Ok((written, spool))
}

/// Gives the content to the first of those names whose file was left out.
fn first_names(nodes: &mut Nodes, all: &Nodes) {
    let mut firsts: BTreeMap<TreePath, TreePath> = BTreeMap::new();
    let names: Vec<TreePath> = nodes.keys().cloned().collect();
    for path in names {
        let Some(SourceNode::Kept { kind: Kind::HardLink(target), attributes }) = nodes.get(&path).cloned()
        else {
            continue;
        };
        if nodes.contains_key(&target) {
            continue;
        }
        let kind = match (firsts.get(&target), all.get(&target)) {
            (Some(first), _) => Kind::HardLink(first.clone()),
            (None, Some(SourceNode::Kept { kind, .. })) => {
                firsts.insert(target, path.clone());
                kind.clone()
            }
            _ => continue,
        };
        nodes.insert(path, SourceNode::Kept { kind, attributes });
    }
}
