//! The one table from meanings to error numbers.

use fuser::Errno;

use crate::fs::Meaning;

/// The number that tells a program what a failure means.
pub(super) fn errno(meaning: Meaning) -> Errno {
    match meaning {
        Meaning::NotFound => Errno::ENOENT,
        Meaning::Exists => Errno::EEXIST,
        Meaning::NotDirectory => Errno::ENOTDIR,
        Meaning::IsDirectory => Errno::EISDIR,
        Meaning::NotEmpty => Errno::ENOTEMPTY,
        Meaning::NameTooLong => Errno::ENAMETOOLONG,
        // What file systems with a fixed character set answer (utf8 option of vfat, iso9660, zfs).
        Meaning::NotUtf8 => Errno::EILSEQ,
        Meaning::Invalid => Errno::EINVAL,
        Meaning::ReadOnly => Errno::EROFS,
        Meaning::TooLarge => Errno::EFBIG,
        // NFS's word for "what you have open is no longer what is there".
        Meaning::Stale => Errno::ESTALE,
        Meaning::BadHandle => Errno::EBADF,
        Meaning::NotSupported => Errno::EOPNOTSUPP,
        Meaning::NotPermitted => Errno::EPERM,
        // Also wrong or expired credentials: to the program it is a matter of permission.
        Meaning::AccessDenied => Errno::EACCES,
        Meaning::Busy => Errno::EBUSY,
        // The bucket's quota; a full local disk is NoSpace.
        Meaning::QuotaExceeded => Errno::EDQUOT,
        Meaning::NoSpace => Errno::ENOSPC,
        // What Linux calls ENOATTR of other systems.
        Meaning::NoAttribute => Errno::ENODATA,
        // No data, or no hole, from there on.
        Meaning::BeyondEnd => Errno::ENXIO,
        // The daemon's own descriptors: the system's table as far as the caller can tell.
        Meaning::TooManyOpenFiles => Errno::ENFILE,
        Meaning::TimedOut => Errno::ETIMEDOUT,
        Meaning::Io => Errno::EIO,
    }
}
