//! Where a source comes from, if not from this workspace.

use std::fmt;

use crate::http::shown;
use crate::lock::BaseOrigin;
use crate::oci::Reference;
use crate::tree::SourceKey;
use crate::work::upstream::is_called;

/// What `update` asks anew: whoever is asked, it isn't this workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Image(Reference),
    Url(String),
}

impl Elsewhere {
    /// Where a source comes from; none for a text that is no reference, which whoever reads it reports.
    pub(crate) fn of(key: &SourceKey) -> Option<Self> {
        match key {
            SourceKey::Fetch { url, .. } => Some(Self::Url(url.clone())),
            SourceKey::Image { reference, .. } => reference.parse().ok().map(Self::Image),
            SourceKey::Files(_)
            | SourceKey::Input { .. }
            | SourceKey::Recipe { .. }
            | SourceKey::Base { .. } => None,
        }
    }

    /// Whether people mean it by `name`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Image(own) => is_called(&BaseOrigin::Image(own.clone()), name),
            // As it is written, or as it is shown.
            Self::Url(own) => own == name || shown(own) == name,
        }
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference) => reference.fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}
