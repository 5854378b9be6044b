//! The file system, with errors that name the path.
//!
//! Owns every call of `std::fs` that the rooms above need: reading with a cap, writing so that a file is
//! either not there or whole, locks, listings. It knows nothing of what the files hold, and decides no place.
//!
//! Reading opens with `O_NOFOLLOW | O_NONBLOCK` and insists on a regular file: whoever hands over a
//! directory can't make Cooper follow a link in a file's place or wait on a FIFO; [`Beneath`] looks at what is on the way
//! there. Writing follows one order: temporary file, data, fsync, rename, fsync of the directory. What a killed process
//! leaves is at most one `.tmp-*` entry; beside a file of the user's it is nothing, wherever Linux can write a file that
//! has no name yet.
#![allow(clippy::disallowed_methods, reason = "this module is where std::fs is allowed")]

mod beneath;
mod directory;
mod error;
mod lock;
mod read;
mod stat;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod within;
mod write;

pub use std::fs::File;

pub use self::beneath::{Beneath, lies_in};
pub use self::directory::{
    Made, Scratch, TEMPORARY, create_directories, exists, is_directory, is_link, is_there, list, parent,
    remove, sweep,
};
pub use self::error::{Error, failed};
pub use self::lock::Lock;
pub use self::read::{Section, Window, holds, open, read, read_file, read_optional, regular_size};
pub use self::stat::{Stat, Time, clock};
pub use self::sync::sync_directory;
pub use self::within::Within;
pub use self::write::{
    Staging, Temporary, make_executable, publish, replace, write_atomic, write_forgettable, write_swept,
};
