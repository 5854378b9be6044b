//! What travels to a place that needn't take everything.

/// What a push or pull had to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Blobs and documents that travelled.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that the registry took from another repository of its own.
    pub mounted: usize,
    /// What was there already.
    pub there: usize,
}
