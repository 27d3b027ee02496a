// SPDX-License-Identifier: GPL-2.0

//! What a claim may do to others on a machine that is in use.

use crate::registry::Claim;

/// Claims whose needs do not tell, or not what they do.
const HAZARDS: [(&str, &str); 20] = [
    ("T45", "freezes the file system"),
    ("T17", "fills the file system"),
    ("T26", "fills the file system"),
    ("F01", "fills the file system"),
    ("F02", "uses up the inodes of the file system"),
    ("F03", "fills the file system"),
    ("P5", "fills the file system"),
    ("P8", "swaps"),
    ("P10", "discards what is free on the device"),
    ("Z1", "unmounts the file system"),
    ("A5", "changes the options of the file system"),
    ("V2", "makes the file system read-only"),
    ("V4", "shuts the file system down"),
    ("V6", "changes the options of the file system"),
    ("V7", "changes the options of the file system"),
    ("V10", "changes the options of the file system"),
    ("V11", "changes the options of the file system"),
    ("V13", "changes the options of the file system"),
    ("V14", "unmounts the file system"),
    ("V15", "changes the options of the file system"),
];

/// Why the claim should not be tried where somebody else works, if so.
pub fn of(claim: &Claim) -> Option<&'static str> {
    if let Some((_, hazard)) = HAZARDS.iter().find(|(id, _)| *id == claim.id) {
        return Some(hazard);
    }
    if claim.needs.faults {
        return Some("makes I/O of the device fail");
    }
    let device = claim.needs.device;
    device.then_some("writes the device under a mounted file system")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn hazards_are_of_claims() {
        for (id, _) in HAZARDS {
            let claim = registry::find(id).expect(id);
            assert!(of(claim).is_some());
        }
    }

    #[test]
    fn what_breaks_disks_is_a_hazard_and_a_read_is_not() {
        let hazard = |id| of(registry::find(id).expect(id));
        assert!(hazard("T24").is_some());
        assert!(hazard("Sf").is_some());
        assert_eq!(hazard("T01"), None);
    }
}
