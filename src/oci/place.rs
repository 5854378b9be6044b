//! Where an image is taken from or put, written as skopeo's users write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{ParseReferenceError, Reference};

/// A source or destination that isn't a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `docker://host/repository:tag`
    Registry(Reference),
    /// `oci:DIR[:NAME]`: an OCI image layout.
    Layout {
        /// The directory.
        dir: PathBuf,
        /// `org.opencontainers.image.ref.name` of the image in it.
        name: Option<String>,
    },
    /// `oci-archive:FILE[:NAME]`: an OCI image layout in a tar that `docker load` takes too.
    OciArchive {
        /// The tar.
        file: PathBuf,
        /// As for a layout.
        name: Option<String>,
    },
    /// `docker-archive:FILE[:REFERENCE]`: what `docker save` writes.
    DockerArchive {
        /// The tar.
        file: PathBuf,
        /// The name that `docker load` gives it.
        name: Option<Reference>,
    },
    /// `docker-daemon:[REFERENCE]`: a Docker or Podman engine; without a name each image has its own.
    Daemon(Option<Reference>),
}

/// The text is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePlaceError {
    /// No `transport:` that Cooper knows stands in front.
    #[error("{text:?} names no place: it must begin with {}", TRANSPORTS.join(" or "))]
    Transport {
        /// What was read.
        text: String,
    },
    /// A transport without a path.
    #[error("{text:?} has no path")]
    NoPath {
        /// What was read.
        text: String,
    },
    /// A registry alone.
    #[error("{text:?} names a registry and no repository in it, such as {text}/shop/web:1")]
    NoRepository {
        /// What was read.
        text: String,
    },
    /// The image's name is no reference.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
}

/// What a place can begin with.
pub(crate) const TRANSPORTS: [&str; 5] =
    ["docker://", "oci:", "oci-archive:", "docker-archive:", "docker-daemon:"];

impl FromStr for Place {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, ParsePlaceError> {
        if let Some(reference) = text.strip_prefix("docker://") {
            // `docker pull` takes a bare name for one of Docker Hub's, which has no dot: nobody else is to be asked.
            let name = reference.split([':', '@']).next().unwrap_or_default();
            if !reference.contains('/')
                && (name == "localhost" || name.contains('.') || name.starts_with('['))
            {
                return Err(ParsePlaceError::NoRepository { text: text.to_owned() });
            }
            return Ok(Self::Registry(reference.parse()?));
        }
        let (transport, rest) =
            text.split_once(':').ok_or_else(|| ParsePlaceError::Transport { text: text.to_owned() })?;
        if transport == "docker-daemon" {
            let name = (!rest.is_empty()).then(|| rest.parse()).transpose()?;
            return Ok(Self::Daemon(name));
        }
        // A Windows drive (C:\x) is a path, not the end of one.
        let drive = rest.len() > 2 && rest.as_bytes()[1] == b':' && b"\\/".contains(&rest.as_bytes()[2]);
        let from = if drive { 2 } else { 0 };
        let (path, name) = match rest[from..].split_once(':') {
            Some((path, name)) => (&rest[..from + path.len()], Some(name).filter(|name| !name.is_empty())),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(ParsePlaceError::NoPath { text: text.to_owned() });
        }
        let (path, own) = (PathBuf::from(path), name.map(str::to_owned));
        match transport {
            "oci" => Ok(Self::Layout { dir: path, name: own }),
            "oci-archive" => Ok(Self::OciArchive { file: path, name: own }),
            "docker-archive" => {
                Ok(Self::DockerArchive { file: path, name: name.map(str::parse).transpose()? })
            }
            _ => Err(ParsePlaceError::Transport { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut named = |transport: &str, path: &PathBuf, name: Option<String>| {
            write!(f, "{transport}:{}", path.display())?;
            name.map_or(Ok(()), |name| write!(f, ":{name}"))
        };
        match self {
            Self::Layout { dir, name } => named("oci", dir, name.clone()),
            Self::OciArchive { file, name } => named("oci-archive", file, name.clone()),
            Self::DockerArchive { file, name } => {
                named("docker-archive", file, name.as_ref().map(Reference::to_string))
            }
            Self::Registry(reference) => write!(f, "docker://{reference}"),
            Self::Daemon(None) => f.write_str("docker-daemon:"),
            Self::Daemon(Some(reference)) => write!(f, "docker-daemon:{reference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_skopeo_reads() {
        for text in [
            "oci:out",
            "oci:out/dir:web-1.2",
            "oci-archive:x.tar:docker.io/library/web:1",
            "docker-archive:x.tar:docker.io/library/web:1",
            "docker-daemon:docker.io/library/web:1",
            "docker-daemon:",
            "docker://registry.example/a/b:c",
            "oci:C:/layout:1",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for bad in [
            "docker://localhost:5000",
            "docker://registry.example:443",
            "docker://registry.example",
            "docker://[::1]:5000",
        ] {
            assert!(matches!(bad.parse::<Place>(), Err(ParsePlaceError::NoRepository { .. })), "{bad}");
        }
        for name in ["alpine", "alpine:3.20", "localhost/x", "registry.example/x", "postgres:17"] {
            assert!(format!("docker://{name}").parse::<Place>().is_ok(), "{name}");
        }
        for bad in ["web", "oci:", "oci::x", "ftp:x", "docker-archive:x:UP", "docker-daemon:UP"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
