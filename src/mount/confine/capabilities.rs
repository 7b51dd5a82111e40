//! Giving up capabilities (capabilities(7)) in all five sets.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
};

/// Keeps of its capabilities those in `wanted`, and hands on none.
pub(super) fn keep_only(wanted: CapabilitySet) -> Result<(), String> {
    let current = capabilities(None).map_err(|error| error.to_string())?;
    // Before the right to do it goes. Who does not have it gains nothing by the bounding set either, as long as
    // no_new_privs is set.
    if current.effective.contains(CapabilitySet::SETPCAP) {
        for bit in (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
            match capability_is_in_bounding_set(bit) {
                // The first number that the kernel does not know.
                Err(_) => break,
                Ok(true) if !wanted.contains(bit) => remove_capability_from_bounding_set(bit)
                    .map_err(|error| format!("bounding set: {error}"))?,
                Ok(_) => {}
            }
        }
    }
    // A kernel before 4.3 has none.
    let _ = clear_ambient_capability_set();
    let kept = current.permitted & wanted;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(|error| error.to_string())
}
