//! Two package managers at once: who holds the lock.

use crate::host::process::Said;

/// Who holds the lock that a manager could not get, in a few words; none if that is not why it failed.
pub(super) fn holder(said: &Said) -> Option<String> {
    // Without the lock nothing begins; whatever is said after that is a package's own script's.
    if said.stdout.lines().any(begins) {
        return None;
    }
    let told = || said.stderr.lines().chain(said.stdout.lines());
    // apt: `E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt-get)`
    for line in told() {
        if let Some((_, rest)) = line.split_once("Could not get lock ") {
            let holder = rest
                .split_once("held by process ")
                .map(|(_, holder)| holder);
            return Some(process(holder.unwrap_or_default()));
        }
        // dnf 4: `… already locked by 4711`, and dnf 5 and rpm in words of their own.
        for before in ["already locked by ", "Waiting for process with pid "] {
            if let Some((_, rest)) = line.split_once(before) {
                return Some(process(rest));
            }
        }
        let locked = [
            "transaction lock",
            "Failed to obtain the transaction lock",
            "Unable to acquire the dpkg frontend lock",
        ];
        let waiting = line.contains("are you root") || line.contains("Permission denied");
        if !waiting && locked.iter().any(|words| line.contains(words)) {
            return Some("another package manager".to_owned());
        }
    }
    None
}

/// Whether a line of apt's, dpkg's or dnf's output tells that they are at work.
fn begins(line: &str) -> bool {
    const WORK: &[&str] = &[
        "(Reading database",
        "Preparing to unpack ",
        "Unpacking ",
        "Setting up ",
        "Removing ",
        "Processing triggers for ",
        "Running transaction",
        "Running scriptlet",
    ];
    WORK.iter().any(|work| line.trim_start().starts_with(work))
}

/// `4711 (apt-get)` in whole words. The name is another program's and not to be trusted with more than that.
fn process(told: &str) -> String {
    let id: String = told.chars().take_while(char::is_ascii_digit).collect();
    if id.is_empty() {
        return "another package manager".to_owned();
    }
    let name = told[id.len()..].trim_start().strip_prefix('(');
    let name = name.and_then(|rest| rest.split_once(')'));
    match name {
        Some((name, _)) if !name.is_empty() => {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            format!("process {id} ({name})")
        }
        _ => format!("process {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(stderr: &str) -> Option<String> {
        holder(&Said {
            code: 100,
            stdout: String::new(),
            stderr: stderr.to_owned(),
        })
    }

    #[test]
    fn the_holder_of_a_lock_is_named() {
        assert_eq!(
            held(
                "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt-get)\n\
                 N: Be aware that removing the lock file is not a solution and may break your system.\n\
                 E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n"
            ),
            Some("process 4711 (apt-get)".to_owned())
        );
        assert_eq!(
            held("/var/cache/dnf/metadata_lock.pid already locked by 12\n"),
            Some("process 12".to_owned())
        );
        assert_eq!(
            held(
                "E: Could not get lock /var/lib/dpkg/lock - open (11: Resource temporarily unavailable)"
            ),
            Some("another package manager".to_owned())
        );
    }

    #[test]
    fn what_a_packages_script_prints_is_no_lock() {
        let said = Said {
            code: 100,
            stdout: "(Reading database ... 6097 files)\nSetting up bad (1.0) ...\n".to_owned(),
            stderr: "E: Could not get lock /var/lib/dpkg/lock. It is held by process 1 (x)\n"
                .to_owned(),
        };
        assert_eq!(holder(&said), None);
    }

    #[test]
    fn other_failures_are_no_lock() {
        assert_eq!(held("E: Unable to locate package nothing\n"), None);
        assert_eq!(
            held(
                "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\n\
                 E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?\n"
            ),
            None
        );
    }
}
