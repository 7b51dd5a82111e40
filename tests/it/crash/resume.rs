//! A large file that was cut off, and is copied again.
