//! The tables of entries as they are written; like `raw`, serde's and the schema's.

use schemars::JsonSchema;
use serde::Deserialize;

use super::loose::{Loose, Never, Scalar, Table, Text, Texts, schema};
use super::span::S;

/// Declares an entry: its own keys and those that every entry has.
macro_rules! entry {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct $name {
            $($(#[$meta])* pub(super) $key: $type,)*
            /// Variants that have the entry; all without this key.
            pub(super) r#in: Texts,
            /// Platforms that have the entry; all without this key.
            pub(super) platforms: Texts,
            /// Name of the layer that it goes to.
            pub(super) layer: Text,
            /// "ok": it may lie below a volume of the base.
            pub(super) below_volume: Text,
            /// Why what looks like a secret isn't one.
            pub(super) allow_secret: Text,
        }

        impl $name {
            /// The keys that every entry has.
            pub(super) fn common(&mut self) -> Common {
                Common {
                    r#in: self.r#in.take(),
                    platforms: self.platforms.take(),
                    layer: self.layer.take(),
                    below_volume: self.below_volume.take(),
                    allow_secret: self.allow_secret.take(),
                }
            }
        }
    };
}

/// The keys that every entry has.
pub(super) struct Common {
    pub(super) r#in: Texts,
    pub(super) platforms: Texts,
    pub(super) layer: Text,
    pub(super) below_volume: Text,
    pub(super) allow_secret: Text,
}

entry! {
    /// Files from one source, at `to`.
    File {
        /// Source: file, directory or glob beside the recipe, or a list of them.
        #[schemars(schema_with = "schema::string_or_list")]
        from: Option<S<Loose<Never>>>,
        /// Source: the content itself.
        text: Text,
        /// Source: the name of an [input].
        input: Text,
        /// Source: a URL.
        fetch: Text,
        /// What `fetch` must give.
        sha256: Text,
        /// Source: reference of an image, with `path`.
        image: Text,
        /// Source: another recipe, with `path`.
        recipe: Text,
        /// Path in `image` or `recipe`.
        path: Text,
        /// Absolute path in the image; a final slash means into.
        to: Text,
        /// Mode of files, such as "0644".
        #[schemars(schema_with = "schema::mode")]
        mode: Option<S<Loose<Never>>>,
        /// Mode of directories that it makes.
        #[schemars(schema_with = "schema::mode")]
        dir_mode: Option<S<Loose<Never>>>,
        /// Owner: name, name:group or 1000:1000; with unpack also "archive": whom the archive says.
        owner: Option<S<Scalar>>,
        /// Time: "content", RFC 3339 or seconds since 1970; the epoch without this key.
        #[schemars(schema_with = "schema::time")]
        mtime: Option<S<Loose<toml::value::Datetime>>>,
        /// Interpolate contents: all, or those that match globs, whose ending is dropped.
        #[schemars(schema_with = "schema::bool_or_list")]
        template: Option<S<Loose<Never>>>,
        /// Delimiters of templates in place of "{{ }}".
        delimiters: Text,
        /// Globs of what is taken from a directory.
        include: Texts,
        /// Globs of what isn't.
        exclude: Texts,
        /// Unpack an archive: true, its format, or a list of steps such as ["tar:data.tar.gz", "tar.gz"].
        #[schemars(schema_with = "schema::bool_or_string_or_list")]
        unpack: Option<S<Loose<Never>>>,
        /// Leading components to drop when unpacking.
        strip: Option<S<i64>>,
        /// "ok": names in the archive may differ by case alone.
        case_clash: Text,
        /// Take away what the base has at `to` first.
        replace: Option<S<bool>>,
        /// Extended attributes.
        xattrs: Table<S<String>>,
        /// Variants in which it is mounted rather than copied.
        mount_in: Texts,
        /// "ro" (default) or "rw".
        mount: Text,
    }
}

entry! {
    /// A directory; on one of the base it sets attributes only.
    Dir {
        /// Absolute path.
        path: Text,
        /// Mode, such as "0755".
        #[schemars(schema_with = "schema::mode")]
        mode: Option<S<Loose<Never>>>,
        /// Owner: name, name:group or 1000:1000.
        owner: Option<S<Scalar>>,
    }
}

entry! {
    /// A link.
    Link {
        /// Absolute path.
        path: Text,
        /// What it points to.
        target: Text,
        /// A hard link.
        hard: Option<S<bool>>,
    }
}

entry! {
    /// Takes something away that the base has.
    Remove {
        /// Absolute path or glob.
        path: Text,
        /// "ok": the base may not have it.
        missing: Text,
    }
}

entry! {
    /// Changes a file of the base: one of append, prepend, replace.
    Edit {
        /// Absolute path.
        path: Text,
        /// Text to add at the end.
        append: Text,
        /// Text to add at the beginning.
        prepend: Text,
        /// Text to replace, with `with`.
        replace: Text,
        /// What comes in its place.
        with: Text,
        /// How often it must be there.
        count: Option<S<i64>>,
    }
}

entry! {
    /// Changes owner or mode in the base.
    Owner {
        /// Absolute path.
        path: Text,
        /// Owner: name, name:group or 1000:1000.
        owner: Option<S<Scalar>>,
        /// Mode, such as "0755".
        #[schemars(schema_with = "schema::mode")]
        mode: Option<S<Loose<Never>>>,
        /// Everything below too.
        #[allow(dead_code)] // nothing builds it yet
        recursive: Option<S<bool>>,
    }
}

entry! {
    /// A line of /etc/passwd.
    User {
        /// Login name.
        name: Text,
        /// Number.
        uid: Option<S<i64>>,
        /// Number of its group.
        gid: Option<S<i64>>,
        /// Home directory.
        home: Text,
        /// Shell.
        shell: Text,
    }
}

entry! {
    /// A line of /etc/group.
    Group {
        /// Name.
        name: Text,
        /// Number.
        gid: Option<S<i64>>,
    }
}

entry! {
    /// A certificate appended to the base's bundle.
    Ca {
        /// PEM file beside the recipe.
        from: Text,
    }
}
