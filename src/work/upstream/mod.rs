//! What recipes stand on and take from: references resolved to digests, bases pinned, images read as far as somebody asks.
//!
//! A base's layers are read only when the lock doesn't hold what they would tell. What a recipe becomes on top of it is
//! `realise`'s.

mod below;
mod documents;
mod files;
mod guards;
mod image;
mod pin;
mod resolve;
mod state;

pub(crate) use below::{Below, External, Wanted, volumes};
pub(crate) use documents::{Documents, OneImage};
pub(crate) use files::{Take, take};
pub(crate) use guards::is_base_file;
pub(crate) use image::Image;
pub(crate) use pin::{external, pinned_external, reason_of};
pub(crate) use resolve::{is_called, refreshes, resolve};
pub(crate) use state::{Upstream, View};
