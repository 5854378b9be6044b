//! What a recipe means: asked of the encoding that it was evaluated by.

use super::config::Healthcheck;
use super::patch::Base;
use super::v1::{self, Resolved, Scope, SourcePath};
use super::{Error, Evaluated, Spanned};
use crate::digest::Encoding;
use crate::oci::{ParsePlatformError, Platform};

impl Evaluated {
    /// Nothing is put on the base and nothing said about the image: it is upstream's, as it stands.
    pub fn is_bare(&self) -> bool {
        match self.encoding {
            Encoding::V1 => v1::is_bare(self),
        }
    }

    /// The platforms that it is built for, each once, in the order of an index. `workspace` are those of recipes that
    /// name none.
    ///
    /// # Errors
    /// Text that is no platform.
    pub fn platforms(&self, workspace: &[Spanned<String>]) -> Result<Vec<Platform>, ParsePlatformError> {
        match self.encoding {
            Encoding::V1 => v1::platforms(self, workspace),
        }
    }

    /// Interpolates everything but the contents of files, leaves out entries of other platforms, fills in defaults.
    ///
    /// # Errors
    /// Everything that is wrong or that this version can't build.
    pub fn resolve(&self, scope: &Scope) -> Result<Resolved, Vec<Error>> {
        let resolved = match self.encoding {
            Encoding::V1 => v1::resolve(self, scope),
        }?;
        let wrong = match &resolved.config.healthcheck {
            Some(Healthcheck::Check(check)) => check.wrong_command(),
            _ => None,
        };
        wrong.map_or(Ok(resolved), |error| Err(vec![error]))
    }

    /// The base, interpolated with what is known before a platform is chosen. `os`, `arch`, `arch_variant` and
    /// `base_env` of the scope are not looked at.
    ///
    /// # Errors
    /// An undefined name, or one that isn't known yet; text that is no reference.
    pub fn base_reference(&self, scope: &Scope) -> Result<Base, Vec<Error>> {
        match self.encoding {
            Encoding::V1 => v1::base_reference(self, scope),
        }
    }

    /// The patterns of `[[remove]]` for one platform. `base_env` of the scope is not looked at.
    ///
    /// # Errors
    /// Mistakes in these globs, or `base.env` in them: what they match is asked before the base's config is known.
    pub fn remove_patterns(&self, scope: &Scope) -> Result<Vec<String>, Vec<Error>> {
        match self.encoding {
            Encoding::V1 => v1::remove_patterns(self, scope),
        }
    }

    /// What must be read beside the recipes for one platform. `base_env` of the scope is not looked at.
    ///
    /// # Errors
    /// Mistakes in these paths and globs.
    pub fn source_paths(&self, scope: &Scope) -> Result<Vec<SourcePath>, Vec<Error>> {
        match self.encoding {
            Encoding::V1 => v1::source_paths(self, scope),
        }
    }
}
