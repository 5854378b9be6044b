//! For whom a stack is described.

/// What runs a stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runner {
    /// Docker Compose and what reads its files.
    #[default]
    Compose,
    /// Kubernetes.
    Kube,
    /// Podman with systemd.
    Quadlet,
}
