//! Which modes a step sets: none that lets a program run as somebody else.

use crate::host::error::{Error, Result};

/// Of a file: who may read, write and run it.
const FILE: u32 = 0o777;
/// Of a folder also whose group new files have, and whether only owners remove theirs.
const FOLDER: u32 = 0o3777;

/// The mode of a file as a step asks for it.
pub(in crate::host) fn of_file(mode: u32) -> Result<u32> {
    within(mode, FILE, "a file", "777")
}

/// The mode of a folder as a step asks for it.
pub(in crate::host) fn of_folder(mode: u32) -> Result<u32> {
    within(mode, FOLDER, "a folder", "3777")
}

/// What a file keeps of its mode when a step gives it another content, as when any program writes it.
pub(in crate::host) const fn kept(mode: u32) -> u32 {
    mode & FILE
}

fn within(mode: u32, most: u32, what: &str, told: &str) -> Result<u32> {
    if mode & !most == 0 {
        return Ok(mode);
    }
    Err(Error::invalid(format!(
        "mode {mode:o} (octal) is none that a step sets on {what}: only bits of {told} are, and none by which a program runs \
         as somebody else"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_is_made_to_run_as_somebody_else() {
        for mode in [0o4755, 0o2755, 0o1644, 0o10644, u32::MAX] {
            assert!(of_file(mode).is_err(), "{mode:o}");
        }
        for mode in [0, 0o600, 0o777] {
            assert_eq!(of_file(mode).ok(), Some(mode));
        }
        for mode in [0o1777, 0o2775, 0o755] {
            assert_eq!(of_folder(mode).ok(), Some(mode));
        }
        assert!(of_folder(0o4755).is_err());
        assert_eq!(kept(0o106_755), 0o755);
    }
}
