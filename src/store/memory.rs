//! The bucket model in memory. Stub.
