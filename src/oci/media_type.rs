//! Media types: OCI's own, and Docker's under the same names.

use std::fmt;

use oci_spec::image::MediaType as Oci;

use super::DocumentError;
use super::json::cut;

/// What a blob is, in OCI's terms. Docker's types are read as the OCI type that they equal byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// An image index, or Docker's manifest list.
    Index,
    /// An image manifest, or Docker's schema 2.
    Manifest,
    /// An image config.
    Config,
    /// A layer.
    Layer(Compression),
}

/// How a layer's tar stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl MediaType {
    /// Reads a media type as it stands in a descriptor.
    ///
    /// # Errors
    /// Foreign (non-distributable) layers, Docker schema 1, and what isn't part of an image.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        Ok(match text {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json" => {
                Self::Config
            }
            "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
                Self::Layer(Compression::None)
            }
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Self::Layer(Compression::Gzip),
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Self::Layer(Compression::Zstd),
            other if other.contains("foreign") || other.contains("nondistributable") => {
                let what = format!("a foreign layer ({:?})", cut(other));
                return Err(DocumentError::Unsupported { what });
            }
            other => {
                return Err(DocumentError::Unsupported { what: format!("the media type {:?}", cut(other)) });
            }
        })
    }

    /// Whether a descriptor of this type is followed as an image or an index of images.
    pub const fn is_document(self) -> bool {
        matches!(self, Self::Index | Self::Manifest)
    }
}

/// The OCI name, whatever it was read from.
impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Index => Oci::ImageIndex.to_string(),
            Self::Manifest => Oci::ImageManifest.to_string(),
            Self::Config => Oci::ImageConfig.to_string(),
            Self::Layer(Compression::None) => Oci::ImageLayer.to_string(),
            Self::Layer(Compression::Gzip) => Oci::ImageLayerGzip.to_string(),
            Self::Layer(Compression::Zstd) => Oci::ImageLayerZstd.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (kind, name) in [
            (MediaType::Index, "application/vnd.oci.image.index.v1+json"),
            (MediaType::Manifest, "application/vnd.oci.image.manifest.v1+json"),
            (MediaType::Config, "application/vnd.oci.image.config.v1+json"),
            (MediaType::Layer(Compression::None), "application/vnd.oci.image.layer.v1.tar"),
            (MediaType::Layer(Compression::Gzip), "application/vnd.oci.image.layer.v1.tar+gzip"),
            (MediaType::Layer(Compression::Zstd), "application/vnd.oci.image.layer.v1.tar+zstd"),
        ] {
            assert_eq!((MediaType::parse(name), kind.to_string()), (Ok(kind), name.to_owned()));
        }
        assert!(MediaType::parse("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip").is_err());
    }
}
