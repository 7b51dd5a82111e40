//! The one table from meanings to error numbers.

use fuser::Errno;

use crate::fs::Meaning;

/// An error number, and the name by which the table knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) errno: Errno,
    #[cfg(test)]
    name: &'static str,
}

macro_rules! number {
    ($name:ident) => {
        Number {
            errno: Errno::$name,
            #[cfg(test)]
            name: stringify!($name),
        }
    };
}

/// The number that tells a program what a failure means.
pub(super) fn number(meaning: Meaning) -> Number {
    match meaning {
        Meaning::NotFound => number!(ENOENT),
        Meaning::Exists => number!(EEXIST),
        Meaning::NotDirectory => number!(ENOTDIR),
        Meaning::IsDirectory => number!(EISDIR),
        Meaning::NotEmpty => number!(ENOTEMPTY),
        Meaning::NameTooLong => number!(ENAMETOOLONG),
        // What file systems with a fixed character set answer (utf8 option of vfat, iso9660, zfs).
        Meaning::NotUtf8 => number!(EILSEQ),
        Meaning::Invalid => number!(EINVAL),
        Meaning::ReadOnly => number!(EROFS),
        Meaning::TooLarge => number!(EFBIG),
        // NFS's word for "what you have open is no longer what is there".
        Meaning::Stale => number!(ESTALE),
        Meaning::BadHandle => number!(EBADF),
        Meaning::NotSupported => number!(EOPNOTSUPP),
        Meaning::NotPermitted => number!(EPERM),
        // Also wrong or expired credentials: to the program it is a matter of permission.
        Meaning::AccessDenied => number!(EACCES),
        Meaning::Busy => number!(EBUSY),
        // The bucket's quota; a full local disk is NoSpace.
        Meaning::QuotaExceeded => number!(EDQUOT),
        Meaning::NoSpace => number!(ENOSPC),
        // What Linux calls ENOATTR of other systems.
        Meaning::NoAttribute => number!(ENODATA),
        // No data, or no hole, from there on.
        Meaning::BeyondEnd => number!(ENXIO),
        // The daemon's own descriptors: the system's table as far as the caller can tell.
        Meaning::TooManyOpenFiles => number!(ENFILE),
        Meaning::TimedOut => number!(ETIMEDOUT),
        Meaning::Io => number!(EIO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_the_number_that_is_answered() {
        use Meaning::*;
        for meaning in [
            NotFound,
            Exists,
            NotDirectory,
            IsDirectory,
            NotEmpty,
            NameTooLong,
            NotUtf8,
            Invalid,
            ReadOnly,
            TooLarge,
            Stale,
            BadHandle,
            NotSupported,
            NotPermitted,
            AccessDenied,
            Busy,
            QuotaExceeded,
            NoSpace,
            NoAttribute,
            BeyondEnd,
            TooManyOpenFiles,
            TimedOut,
            Io,
        ] {
            assert_eq!(number(meaning).name, meaning.errno(), "{meaning:?}");
        }
    }
}
