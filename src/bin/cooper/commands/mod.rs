//! The verbs, one file each: what may stand behind it on the command line, its help text, and how its answer is
//! printed.
//!
//! A verb turns arguments into the options of `cooperage::ops`, and what comes back into an [`Answer`]. It doesn't
//! print by itself.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod compose;
pub(crate) mod copy;
pub(crate) mod gc;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod not_built;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod show;
pub(crate) mod store;
pub(crate) mod update;
pub(crate) mod vendor;

use cooperage::ops;

use crate::errors::Failure;
use crate::options::{Format, Net};
use crate::shell::Answer;

/// A verb with its arguments.
pub(crate) trait Verb {
    /// The limits that were given.
    fn net(&self) -> Net {
        Net::default()
    }

    /// Whether its results can be written so.
    fn takes(&self, format: Format) -> bool {
        matches!(format, Format::Text | Format::Json)
    }

    /// What goes to standard output as it is, where the command line alone decides it.
    fn raw(&self) -> Option<Vec<u8>> {
        None
    }

    /// Does what is asked for.
    fn run(&self, format: Format, env: &ops::Env<'_>) -> Result<Answer, Failure>;
}

/// `stack/name#variant`
fn full_name(name: &ops::ImageName) -> String {
    format!("{}#{}", name.recipe, name.variant)
}
