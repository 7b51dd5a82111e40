//! A bucket below a prefix: what a mount of `cos://bucket/PREFIX` sees. Stub: filled by its own commit.
