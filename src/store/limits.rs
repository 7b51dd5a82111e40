//! What a service can do. Each dialect states one constant; everything above reads it and never asks
//! which provider it is.

use crate::store::ChecksumKind;

/// Limits and abilities of a service. All sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Smallest part that is not the last one.
    pub part_min_bytes: u64,
    /// Largest part.
    pub part_max_bytes: u64,
    /// Most parts of one upload.
    pub parts_max: u32,
    /// Number of the first part (QingStor counts from 0; the client maps, callers count from 1).
    pub first_part_number: u32,
    /// Largest object of a single PUT.
    pub put_bytes: u64,
    /// Largest object at all.
    pub object_bytes: u64,
    /// Largest source of a single copy.
    pub copy_bytes: u64,
    /// Smallest object of which a range can be copied as a part: 1 where any can. All of a smaller one can
    /// be, without naming a range.
    pub range_copy_min_source_bytes: u64,
    /// Longest key.
    pub key_bytes: usize,
    /// Most bytes of user metadata, names and values together.
    pub metadata_bytes: usize,
    /// Most keys of one `delete_many`.
    pub delete_batch: usize,
    /// Most entries of one listing page.
    pub list_page: u16,
    /// The CRC-64 that the service computes for parts and objects, if any.
    pub checksum: Option<ChecksumKind>,
    /// Whether "create only when absent" exists.
    pub create_only: bool,
    /// Whether "replace only this version" exists (PUT, Complete, and "delete only this version").
    pub compare_and_swap: bool,
    /// Whether the conditions on the source of a part copy can be mixed. Where not, `if_match` goes with
    /// `if_unmodified_since` and `if_none_match` with `if_modified_since` only.
    pub mixed_part_conditions: bool,
    /// Storage classes whose objects cannot be read until they are restored.
    pub archive_classes: &'static [&'static str],
    /// Whether objects can be renamed on the server.
    pub rename: bool,
    /// What can be appended to objects on the server, where that exists.
    pub append: Option<AppendLimits>,
}

/// How much can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendLimits {
    /// Largest body of one append.
    pub call_bytes: u64,
    /// Largest appendable object.
    pub object_bytes: u64,
    /// Whether appendable objects can be copied, whole or into parts.
    pub copied: bool,
}

impl Limits {
    /// Whether an object can be copied; `appendable` if it was made by append.
    pub fn can_copy(&self, appendable: bool) -> bool {
        !appendable || self.append.is_none_or(|append| append.copied)
    }
}
