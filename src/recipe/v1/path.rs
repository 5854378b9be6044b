//! Paths as recipes write them: normalised text, no file system.

/// Why a path can't be used. Reads on from "the path …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Must begin with `/`.
    #[error("must begin with `/`")]
    NotAbsolute,
    /// Must not begin with `/`.
    #[error("must be relative")]
    Absolute,
    /// More `..` than directories.
    #[error("climbs out")]
    ClimbsOut,
    /// NUL or another control character.
    #[error("has a control character")]
    Control,
    /// The root itself, where a name is needed.
    #[error("is the root itself")]
    Root,
    /// Several files need a directory to go to.
    #[error("must end in `/`: several files go there")]
    NeedsSlash,
    /// Text has no name of its own to keep.
    #[error("must name the file: text has no name to keep")]
    NeedsName,
    /// Linux takes no longer path.
    #[error("has more than {LONGEST} bytes, which is more than Linux takes")]
    Long,
    /// No file system takes a longer name.
    #[error("has a name of more than {LONGEST_NAME} bytes, which is more than file systems take")]
    LongName,
}

const LONGEST: usize = 4096;
const LONGEST_NAME: usize = 255;

/// Whether an engine could make it.
pub(in crate::recipe) fn fits(path: &str) -> Result<(), PathFault> {
    if path.len() > LONGEST {
        return Err(PathFault::Long);
    }
    let long = path.split('/').any(|name| name.len() > LONGEST_NAME);
    if long { Err(PathFault::LongName) } else { Ok(()) }
}

/// An absolute path without `.`, `..`, doubled and final slashes: `/a/b`, or `/`.
pub(in crate::recipe) fn absolute(path: &str) -> Result<String, PathFault> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(if path.is_empty() { PathFault::Empty } else { PathFault::NotAbsolute });
    };
    Ok(format!("/{}", components(rest)?.join("/")))
}

/// A relative path without `.`, `..`, doubled and final slashes; empty for `.`.
pub(in crate::recipe) fn relative(path: &str) -> Result<String, PathFault> {
    match path.chars().next() {
        None => Err(PathFault::Empty),
        Some('/') => Err(PathFault::Absolute),
        Some(_) => Ok(components(path)?.join("/")),
    }
}

fn components(path: &str) -> Result<Vec<&str>, PathFault> {
    if path.chars().any(|char| char.is_ascii_control()) {
        return Err(PathFault::Control);
    }
    let mut components = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop().ok_or(PathFault::ClimbsOut)?;
            }
            name => components.push(name),
        }
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised() {
        for (path, want) in [
            ("/", Ok("/")),
            ("//a/./b//", Ok("/a/b")),
            ("/a/../b", Ok("/b")),
            ("/é/...", Ok("/é/...")),
            ("/a/../..", Err(PathFault::ClimbsOut)),
            ("/..", Err(PathFault::ClimbsOut)),
            ("a", Err(PathFault::NotAbsolute)),
            ("", Err(PathFault::Empty)),
            ("/a\0", Err(PathFault::Control)),
            ("/a\n", Err(PathFault::Control)),
        ] {
            assert_eq!(absolute(path), want.map(str::to_owned), "{path:?}");
        }
        for (path, want) in [
            (".", Ok("")),
            ("./a//b/", Ok("a/b")),
            ("a/../b", Ok("b")),
            ("../a", Err(PathFault::ClimbsOut)),
            ("a/../../b", Err(PathFault::ClimbsOut)),
            ("/a", Err(PathFault::Absolute)),
            ("", Err(PathFault::Empty)),
        ] {
            assert_eq!(relative(path), want.map(str::to_owned), "{path:?}");
        }
    }
}
