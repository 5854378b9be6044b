//! How a file looks without being read, and what its file system's clock shows.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::write::{Temporary, unnamed};

/// A moment by the clock of one file system: seconds and nanoseconds. No other clock has anything to say of it.
pub type Time = (i64, i64);

/// How a file looked. Who writes to it, gives it another name or sets its times changes `ctime`, which nobody can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The file system.
    pub device: u64,
    inode: u64,
    /// In bytes.
    pub size: u64,
    mtime: Time,
    /// When it was last changed in any way.
    pub ctime: Time,
    mode: u32,
}

impl Stat {
    /// What [`Stat::to_bytes`] gives.
    pub const LEN: usize = 52;

    /// As a look at a path gave it.
    pub fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            mtime: (found.mtime(), found.mtime_nsec()),
            ctime: (found.ctime(), found.ctime_nsec()),
            mode: found.mode(),
        }
    }

    /// That of an open file; none where it can't be told.
    pub fn of_file(file: &File) -> Option<Self> {
        file.metadata().ok().as_ref().map(Self::of)
    }

    /// That of what is at a path, a link not followed; none where nothing is.
    pub fn of_path(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().as_ref().map(Self::of)
    }

    /// Whether a file is what only this user can have written.
    pub fn is_own(file: &File) -> bool {
        let own = rustix::process::geteuid().as_raw();
        file.metadata().is_ok_and(|found| found.uid() == own && found.mode() & 0o022 == 0)
    }

    /// Whether it is a regular file.
    pub const fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// Whether its owner may execute it.
    pub const fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// All of it: equal bytes are equal looks.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let words = [
            self.device,
            self.inode,
            self.size,
            self.mtime.0.cast_unsigned(),
            self.ctime.0.cast_unsigned(),
            // Below 2^30, both.
            (self.mtime.1 << 32 | self.ctime.1).cast_unsigned(),
        ];
        let mut bytes = [0; Self::LEN];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[48..52].copy_from_slice(&self.mode.to_le_bytes());
        bytes
    }
}

/// What the clock of a directory's file system shows, and which file system that is: by a file that is made for it and
/// goes at once. It has a name only in a directory that is `ours`, and there only where files must have one. None where
/// no file can be made, and where a file can change without its `ctime`.
pub fn clock(dir: &Path, ours: bool) -> Option<(u64, Time)> {
    let named;
    let open;
    let probe = match unnamed(dir) {
        Some(file) => {
            open = file;
            &open
        }
        None if ours => {
            named = Temporary::new(dir).ok()?;
            named.file()?
        }
        None => return None,
    };
    let stat = Stat::of_file(probe).filter(|_| has_ctime(probe))?;
    Some((stat.device, stat.ctime))
}

/// Whether the file system is one of those that keep a `ctime` of their own, by this machine's clock, whatever changes a
/// file. FAT has none; behind NFS, SMB, 9P and FUSE files change before this machine hears of it; in memory (tmpfs) nothing
/// tells when a program writes through a mapping.
#[cfg(target_os = "linux")]
fn has_ctime(file: &File) -> bool {
    /// Of linux/magic.h: ext2 to ext4, XFS, Btrfs, F2FS, bcachefs; and ZFS.
    const LOCAL: [u64; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1];
    const OVERLAY: u64 = 0x794c_7630;
    // A number of 32 bits, whichever type it has on this machine.
    let Ok(found) = rustix::fs::fstatfs(file) else { return false };
    let kind = found.f_type as u64 & 0xffff_ffff;
    LOCAL.contains(&kind) || (kind == OVERLAY && !is_upper_in_memory(file))
}

/// Whether what is written on an overlay goes to memory, as on systems that run from a medium. Within a container nobody
/// sees where it goes; that is a disk.
#[cfg(target_os = "linux")]
fn is_upper_in_memory(file: &File) -> bool {
    use rustix::fs::{AtFlags, StatxFlags, statfs, statx};
    const TMPFS: u64 = 0x0102_1994;
    let found = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    let (Ok(found), Ok(mounts)) = (found, fs::read_to_string("/proc/self/mountinfo")) else { return true };
    let id = format!("{} ", found.stx_mnt_id);
    let mount = mounts.lines().find(|line| line.starts_with(&id));
    let options = mount.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().split(',');
    let mut upper = options.filter_map(|option| option.strip_prefix("upperdir="));
    // What has a blank in it is written \040, and not found.
    upper.any(|path| statfs(path).is_ok_and(|found| found.f_type as u64 & 0xffff_ffff == TMPFS))
}

/// As on Linux: a Mac's own file system only.
#[cfg(target_os = "macos")]
fn has_ctime(file: &File) -> bool {
    let kind = |found: rustix::fs::StatFs| found.f_fstypename.map(|letter| letter.to_ne_bytes()[0]);
    rustix::fs::fstatfs(file).is_ok_and(|found| kind(found).starts_with(b"apfs\0"))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn has_ctime(_: &File) -> bool {
    false
}
