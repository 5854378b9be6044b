//! Encoding 1: `[[user]]` and `[[group]]`, lines of /etc/passwd and /etc/group (passwd(5), group(5)).
//!
//! Owns which lines are added and what clashes. Base and parents are known by their facts, so that a user needs no layer.
//! Decides bytes: never edited once encoding 1 is frozen, only added beside.

use std::collections::BTreeMap;

use crate::layer::facts::{Facts, UserDatabase};
use crate::plan::{Fault, Whose};
use crate::recipe::{Id, Owner, ResolvedAction};
use crate::tree::{Attributes, TreePath};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Both files, as they will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Users {
    pub(crate) passwd: Database,
    pub(crate) group: Database,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Where it really lies; none where the base has none.
    pub(crate) path: Option<TreePath>,
    pub(crate) attributes: Attributes,
    pub(crate) bytes: Vec<u8>,
    pub(crate) changed: bool,
    /// Where the first line of a name, and of a number, begins.
    by_name: BTreeMap<Vec<u8>, usize>,
    by_id: BTreeMap<u32, usize>,
    /// What the external base has of it, and what the recipe stands on.
    base: Vec<u8>,
    below: Vec<u8>,
}

/// Whether an entry adds a line.
pub(crate) const fn is_user(action: &ResolvedAction) -> bool {
    matches!(action, ResolvedAction::User { .. } | ResolvedAction::Group { .. })
}

impl Users {
    /// As they stand below; `base` is what the external base has, without its recipes.
    pub(crate) fn of(facts: &Facts, base: &Facts) -> Self {
        Self {
            passwd: Database::of(facts.passwd.as_ref(), base.passwd.as_ref()),
            group: Database::of(facts.group.as_ref(), base.group.as_ref()),
        }
    }

    /// What is known of the image below, with these.
    pub(crate) fn facts(&self, below: &Facts) -> Facts {
        let database = |database: &Database, path: &str| {
            let new = || TreePath::parse(path.as_bytes()).ok().filter(|_| database.changed);
            let path = database.path.clone().or_else(new)?;
            let (attributes, bytes) = (database.attributes.clone(), database.bytes.clone());
            Some(UserDatabase { path, attributes, bytes })
        };
        let mut facts = below.clone();
        facts.passwd = database(&self.passwd, "etc/passwd");
        facts.group = database(&self.group, "etc/group");
        facts
    }

    /// Adds what an entry says; the same line twice is one.
    pub(crate) fn add(&mut self, action: &ResolvedAction) -> Result<(), Fault> {
        match action {
            ResolvedAction::Group { name, gid } => {
                self.group.add(GROUP, name, *gid, &format!("{}:x:{gid}:", name.value))
            }
            ResolvedAction::User { name, uid, gid, home, shell } => {
                let own = gid.or_else(|| Some(self.group.ids(name)?.0));
                let gid = own.unwrap_or(*uid);
                let line = format!("{}:x:{uid}:{gid}::{home}:{shell}", name.value);
                // Whose number it is matters more than whose group that would be.
                let there = self.passwd.has(PASSWD, name, *uid, &line)?;
                if own.is_none() {
                    // As useradd does: a group of its own.
                    self.group.add(GROUP, name, *uid, &format!("{}:x:{uid}:", name.value))?;
                }
                if !there {
                    self.passwd.push(&line);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The numbers of an owner.
    pub(crate) fn owner(&self, owner: &Owner) -> Result<(u32, u32), Fault> {
        let Self { passwd, group } = self;
        let unknown_user = |name: &str| Fault::UnknownUser { name: name.to_owned(), known: passwd.names() };
        let (uid, primary) = match &owner.user {
            Id::Number(uid) => (*uid, None),
            Id::Name(name) => {
                let (uid, gid) = passwd.ids(name).ok_or_else(|| unknown_user(name))?;
                (uid, gid)
            }
        };
        let gid = match &owner.group {
            Some(Id::Number(gid)) => *gid,
            Some(Id::Name(name)) => {
                let unknown = || Fault::UnknownGroup { name: name.clone(), known: group.names() };
                group.ids(name).ok_or_else(unknown)?.0
            }
            // A bare number is user and group, as `chown 1000:1000` is mostly meant.
            None => primary.unwrap_or(uid),
        };
        Ok((uid, gid))
    }
}

impl Database {
    fn of(database: Option<&UserDatabase>, base: Option<&UserDatabase>) -> Self {
        let bytes = |database: Option<&UserDatabase>| database.map(|database| database.bytes.clone());
        let mut new = Self {
            path: database.map(|database| database.path.clone()),
            attributes: database
                .map_or_else(|| Attributes::new(0o644), |database| database.attributes.clone()),
            bytes: bytes(database).unwrap_or_default(),
            changed: false,
            by_name: BTreeMap::new(),
            by_id: BTreeMap::new(),
            base: bytes(base).unwrap_or_default(),
            below: bytes(database).unwrap_or_default(),
        };
        new.index(0);
        new
    }

    /// Notes the lines from one on.
    fn index(&mut self, from: usize) {
        let mut at = from;
        for raw in self.bytes[from..].split(|byte| *byte == b'\n') {
            if let Some(line) = read(raw) {
                let at = at + raw.len() - line.len();
                let mut fields = line.split(|byte| *byte == b':');
                self.by_name.entry(fields.next().unwrap_or_default().to_vec()).or_insert(at);
                if let Some(id) = fields.nth(1).and_then(number) {
                    self.by_id.entry(id).or_insert(at);
                }
            }
            at += raw.len() + 1;
        }
    }

    fn line(&self, at: usize) -> &[u8] {
        self.bytes[at..].split(|byte| *byte == b'\n').next().unwrap_or_default()
    }

    /// The next number that nobody has.
    fn free(&self, id: u32) -> u32 {
        (id.max(1000)..u32::MAX).find(|id| !self.by_id.contains_key(id)).unwrap_or(id)
    }

    /// Number of a name, and of its group where there is one.
    pub(crate) fn ids(&self, name: &str) -> Option<(u32, Option<u32>)> {
        let line = self.line(*self.by_name.get(name.as_bytes())?);
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        Some((number(fields.get(2)?)?, fields.get(3).and_then(|gid| number(gid))))
    }

    /// The first field of every line.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |line: &[u8]| line.split(|byte| *byte == b':').next().unwrap_or_default().to_vec();
        lines(&self.bytes).map(|line| String::from_utf8_lossy(&name(line)).into_owned()).collect()
    }

    /// Adds a line to the file that people call `file`, unless it is there.
    fn add(&mut self, file: &'static str, name: &str, id: u32, line: &str) -> Result<(), Fault> {
        if !self.has(file, name, id, line)? {
            self.push(line);
        }
        Ok(())
    }

    /// Whether that line is there; another one must not have its name or number.
    fn has(&self, file: &'static str, name: &str, id: u32, line: &str) -> Result<bool, Fault> {
        let same = self.by_name.get(name.as_bytes()).into_iter().chain(self.by_id.get(&id)).min();
        let Some(there) = same.map(|at| self.line(*at)) else { return Ok(false) };
        if there == line.as_bytes() {
            return Ok(true);
        }
        let is_in = |bytes: &[u8]| lines(bytes).any(|line| line == there);
        let whose = match () {
            () if is_in(&self.base) => Whose::Base,
            () if is_in(&self.below) => Whose::Parent,
            () => Whose::Own,
        };
        let same_name = there.split(|byte| *byte == b':').next() == Some(name.as_bytes());
        let line = String::from_utf8_lossy(there).into_owned();
        let free = self.free(id);
        Err(Fault::UserClash { file, line, whose, name: name.to_owned(), same_name, free })
    }

    fn push(&mut self, line: &str) {
        if self.bytes.last().is_some_and(|byte| *byte != b'\n') {
            self.bytes.push(b'\n');
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
        self.index(at);
        self.changed = true;
    }
}

/// What libc reads of a line: nothing of one that begins with `#`.
fn read(line: &[u8]) -> Option<&[u8]> {
    Some(line.trim_ascii_start()).filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter_map(read)
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}
