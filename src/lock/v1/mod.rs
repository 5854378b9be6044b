//! Format 1 of the file: how a [`Lock`](super::Lock) is written and read. Never edited once released; a format 2 would
//! stand beside it.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::parse;
pub(super) use write::to_text;

use crate::tree::Portion;

const VERSION: u64 = 1;

/// What is written of the base's files that entries change, where others say what they take.
fn changed(recursive: bool) -> Portion {
    Portion { include: if recursive { vec!["**".to_owned()] } else { Vec::new() }, ..Portion::default() }
}
