//! Who we say we are, as whoever knows it says.

/// What a registry wants to see.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password, or what stands in its place.
        password: String,
    },
    /// What `docker login` got from a server that gives out tokens for it.
    Identity(String),
    /// A token for the registry itself.
    Bearer(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

/// Knows credentials.
pub trait Credentials: Send + Sync {
    /// For a repository of a registry (`docker.io`, `library/nginx`), if there are any.
    ///
    /// # Errors
    /// Where they lie can't be read; says where and why.
    fn of(&self, registry: &str, repository: &str) -> Result<Option<Credential>, String>;
}

/// Nobody.
#[derive(Debug, Clone, Copy)]
pub struct NoCredentials;

impl Credentials for NoCredentials {
    fn of(&self, _: &str, _: &str) -> Result<Option<Credential>, String> {
        Ok(None)
    }
}
