//! Which files a recipe's entry means: where its source is, and what is taken of it.

/// Which files are meant: one source of one entry. Locks list their sources in the order of these keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKey {
    /// In the checkout, beside a recipe.
    Files(Files),
    /// At a URL.
    Fetch {
        /// The URL.
        url: String,
        /// What is taken.
        portion: Portion,
    },
    /// Made elsewhere: an `[input]`. Where it lies is no part of what it is.
    Input {
        /// The input's name.
        name: String,
        /// What is taken.
        portion: Portion,
        /// `os/architecture`, where each platform has an input of its own under that name.
        platform: Option<String>,
    },
    /// In another image.
    Image {
        /// The image's reference.
        reference: String,
        /// The path in it.
        path: String,
        /// What is taken.
        portion: Portion,
        /// `os/architecture`.
        platform: String,
    },
    /// In the image of another recipe.
    Recipe {
        /// That recipe, `stack/name`.
        recipe: String,
        /// The variant of it.
        variant: String,
        /// The path in its image.
        path: String,
        /// What is taken.
        portion: Portion,
        /// `os/architecture`.
        platform: String,
    },
    /// In what the recipe stands on: what it changes there.
    Base {
        /// What it stands on; empty until [`SourceKey::stand_on`], since the recipe alone doesn't say it.
        on: String,
        /// The path in that image.
        path: String,
        /// Whether what lies below the path is changed too.
        recursive: bool,
        /// `os/architecture`.
        platform: String,
    },
}

/// Files of the checkout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Files {
    /// The directory of the recipe that wrote the entry, relative to the workspace (`recipes/web/nginx`).
    pub directory: String,
    /// A path or glob relative to `directory`, without a final slash; empty for the directory itself.
    pub from: String,
    /// What is taken.
    pub portion: Portion,
}

/// What an entry takes of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Portion {
    /// Globs over the paths below the source; empty: everything.
    pub include: Vec<String>,
    /// Globs over the paths below the source.
    pub exclude: Vec<String>,
    /// How an archive is unpacked, step by step; empty: it isn't.
    pub unpack: Vec<String>,
    /// How many leading components of an archive's paths are dropped.
    pub strip: usize,
    /// Whether an archive's members belong to whom it says; otherwise to root.
    pub owners: bool,
}

impl SourceKey {
    /// The files of the checkout that are taken as they lie there: then nothing is pinned but what is in them.
    pub fn plain(&self) -> Option<&Files> {
        match self {
            Self::Files(files) => Some(files).filter(|files| files.portion.unpack.is_empty()),
            Self::Fetch { .. }
            | Self::Input { .. }
            | Self::Image { .. }
            | Self::Recipe { .. }
            | Self::Base { .. } => None,
        }
    }

    /// What is taken of it, where that is said.
    pub const fn portion(&self) -> Option<&Portion> {
        match self {
            Self::Files(Files { portion, .. })
            | Self::Fetch { portion, .. }
            | Self::Input { portion, .. }
            | Self::Image { portion, .. }
            | Self::Recipe { portion, .. } => Some(portion),
            Self::Base { .. } => None,
        }
    }

    /// What is taken of it; a recipe changes what it stands on where it lies.
    pub const fn portion_mut(&mut self) -> Option<&mut Portion> {
        match self {
            Self::Files(Files { portion, .. })
            | Self::Fetch { portion, .. }
            | Self::Input { portion, .. }
            | Self::Image { portion, .. }
            | Self::Recipe { portion, .. } => Some(portion),
            Self::Base { .. } => None,
        }
    }

    /// How people name it: the path, the URL or the input's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Files(Files { from: name, .. })
            | Self::Fetch { url: name, .. }
            | Self::Input { name, .. }
            | Self::Image { path: name, .. }
            | Self::Recipe { path: name, .. }
            | Self::Base { path: name, .. } => name,
        }
    }

    /// Says what the recipe stands on, where that is what it changes.
    pub fn stand_on(&mut self, base: &str) {
        match self {
            Self::Base { on, .. } => base.clone_into(on),
            Self::Files(_)
            | Self::Fetch { .. }
            | Self::Input { .. }
            | Self::Image { .. }
            | Self::Recipe { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portion(include: &[&str], exclude: &[&str], unpack: &[&str], strip: usize) -> Portion {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Portion {
            include: texts(include),
            exclude: texts(exclude),
            unpack: texts(unpack),
            strip,
            owners: false,
        }
    }

    fn files(directory: &str, from: &str, portion: Portion) -> SourceKey {
        SourceKey::Files(Files { directory: directory.into(), from: from.into(), portion })
    }

    fn fetch(url: &str, portion: Portion) -> SourceKey {
        SourceKey::Fetch { url: url.into(), portion }
    }

    fn input(name: &str, portion: Portion, platform: Option<&str>) -> SourceKey {
        SourceKey::Input { name: name.into(), portion, platform: platform.map(str::to_owned) }
    }

    fn image(reference: &str, path: &str, portion: Portion, platform: &str) -> SourceKey {
        let platform = platform.into();
        SourceKey::Image { reference: reference.into(), path: path.into(), portion, platform }
    }

    fn recipe(recipe: &str, variant: &str, path: &str, portion: Portion, platform: &str) -> SourceKey {
        let (recipe, variant) = (recipe.into(), variant.into());
        SourceKey::Recipe { recipe, variant, path: path.into(), portion, platform: platform.into() }
    }

    fn base(on: &str, path: &str, recursive: bool, platform: &str) -> SourceKey {
        SourceKey::Base { on: on.into(), path: path.into(), recursive, platform: platform.into() }
    }

    /// It is the order of the tables in locks: it never changes.
    #[test]
    fn order_over_all_kinds() {
        let all = || Portion::default();
        let keys = [
            files("recipes/a/a", "z", all()),
            files("recipes/a/b", "", all()),
            files("recipes/a/b", "x", all()),
            files("recipes/a/b", "x", portion(&[], &[], &["tar"], 0)),
            files("recipes/a/b", "x", Portion { owners: true, ..portion(&[], &[], &["tar"], 0) }),
            files("recipes/a/b", "x", portion(&[], &[], &["tar"], 1)),
            files("recipes/a/b", "x", portion(&[], &["a"], &[], 0)),
            files("recipes/a/b", "x", portion(&["a"], &[], &[], 0)),
            files("recipes/a/b", "x", portion(&["a"], &[], &["tar"], 0)),
            files("recipes/a/b", "x", portion(&["b"], &[], &[], 0)),
            files("recipes/a/b", "y", all()),
            fetch("https://a/x", all()),
            fetch("https://a/x", portion(&[], &[], &["auto"], 2)),
            fetch("https://a/x", portion(&["a"], &[], &["auto"], 0)),
            fetch("https://b", all()),
            input("a", all(), None),
            input("a", all(), Some("linux/amd64")),
            input("a", all(), Some("linux/arm64")),
            input("a", portion(&["a"], &[], &[], 0), None),
            input("b", all(), None),
            image("docker.io/a", "/b", all(), "linux/amd64"),
            image("docker.io/a", "/b", all(), "linux/arm64"),
            image("docker.io/a", "/b", portion(&["a"], &[], &[], 0), "linux/amd64"),
            image("docker.io/a", "/c", all(), "linux/amd64"),
            image("docker.io/b", "/a", all(), "linux/amd64"),
            recipe("a/b", "dev", "/x", all(), "linux/amd64"),
            recipe("a/b", "dev", "/x", all(), "linux/arm64"),
            recipe("a/b", "dev", "/x", portion(&[], &["a"], &[], 0), "linux/amd64"),
            recipe("a/b", "dev", "/y", all(), "linux/amd64"),
            recipe("a/b", "prod", "/x", all(), "linux/amd64"),
            // One text, `stack/name#variant`, in the lock: in that order too.
            recipe("a/b-c", "dev", "/x", all(), "linux/amd64"),
            recipe("a/b.c", "dev", "/x", all(), "linux/amd64"),
            recipe("a/bc", "dev", "/x", all(), "linux/amd64"),
            base("a/b#dev", "/x", false, "linux/amd64"),
            base("docker.io/a", "/x", false, "linux/amd64"),
            base("docker.io/a", "/x", false, "linux/arm64"),
            base("docker.io/a", "/x", true, "linux/amd64"),
            base("docker.io/a", "/y", false, "linux/amd64"),
            base("scratch", "/x", false, "linux/amd64"),
        ];
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
    }
}
