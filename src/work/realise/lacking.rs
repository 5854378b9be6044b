//! An open input that nobody has given, as a value.

use crate::recipe::At;
use crate::work::Error;
use crate::workspace::Target;

/// An open input that nobody has given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lacking {
    pub(super) recipe: Target,
    pub(crate) name: String,
    pub(super) at: At,
    pub(super) made_by: Option<String>,
}

impl Lacking {
    /// That there can be no image.
    pub(crate) fn refused(&self) -> Error {
        Error::foreign(&*self.name, format!("it is open: --input {}=PATH gives it", self.name)).at(&self.at)
    }

    /// The same for whoever goes on with what is known.
    fn told(&self, target: &Target) -> String {
        let Self { recipe, name, made_by, .. } = self;
        let of = if recipe == target { String::new() } else { format!(" of {recipe}") };
        let made_by = made_by.as_ref().map_or_else(String::new, |command| format!(", `{command}` makes it"));
        format!(
            "without its input {name}{of}, which is open, there is no image: --input {name}=PATH gives it{made_by}"
        )
    }
}

/// What there is to say of a recipe without an image.
pub(super) fn told(target: &Target, lacks: &[Lacking]) -> Vec<String> {
    lacks.iter().map(|lacking| lacking.told(target)).collect()
}
