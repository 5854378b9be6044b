//! Exit codes: what a script can tell from them. Documented in `book/src/exit-codes.md` and `cooper --help`.

use std::process::ExitCode;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked for is done, or is so.
    Done = 0,
    /// Cooper works and was understood, but the answer is no: a lock isn't what the recipe needs (`--locked`,
    /// `lock --check`), a second build differs (`build --twice`), a stored blob is damaged (`store verify`).
    No = 1,
    /// The command line or the environment can't be understood, or asks for what isn't built yet.
    Usage = 2,
    /// Something that was read is wrong: a recipe, a lock, a base, an image.
    Input = 3,
    /// Something isn't there: a workspace, a target, a source, content of a base.
    Missing = 4,
    /// The machine said no: disk full, permission, a broken disk, an engine that doesn't answer.
    System = 5,
    /// A mistake in Cooper itself (`EX_SOFTWARE` of sysexits).
    Bug = 70,
    /// Whoever read standard output stopped reading: as if SIGPIPE had ended it.
    BrokenPipe = 141,
}

// SIGINT and SIGTERM keep their default action, which a shell sees as 130 and 143. Nothing needs a handler: files
// appear under their names only when they are whole, and what an interrupted command leaves are temporary files
// (`.tmp-*`) that nothing reads and `cooper gc` sweeps.

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
