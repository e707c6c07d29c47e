//! What would change about a unit, from what is observed and what is asked. Pure; `None` is “already
//! so”, and an error says why it cannot be.

use sloth_policy::Capability;

use super::systemd::Unit;
use crate::host::error::{Error, Result};

/// What is done to a unit by a job of systemd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Verb {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }

    pub(super) const fn call(self) -> &'static str {
        self.capability().name()
    }

    pub(super) const fn capability(self) -> Capability {
        match self {
            Self::Start => Capability::ServicesStart,
            Self::Stop => Capability::ServicesStop,
            Self::Restart => Capability::ServicesRestart,
            Self::Reload => Capability::ServicesReload,
        }
    }

    /// The method of systemd's manager.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
            Self::Reload => "ReloadUnit",
        }
    }
}

/// The change that a verb makes to a unit, in one line.
pub(super) fn act(verb: Verb, unit: &Unit) -> Result<Option<String>> {
    let name = &unit.id;
    let running = matches!(unit.active.as_str(), "active" | "reloading" | "refreshing");
    let stopped = matches!(unit.active.as_str(), "inactive" | "failed");
    // What runs may be stopped whatever became of its file.
    let stops = verb == Verb::Stop && !(stopped && unit.load == "not-found");
    if !stops {
        loaded(verb.word(), unit)?;
    }
    match verb {
        Verb::Start if running => return Ok(None),
        Verb::Stop if stopped => return Ok(None),
        Verb::Reload if !running => {
            return Err(Error::failed(format!(
                "failed to reload {name}: it is {}; start it",
                unit.active
            )));
        }
        Verb::Reload if !unit.can_reload => {
            return Err(Error::failed(format!(
                "failed to reload {name}: it has no ExecReload=; restart it"
            )));
        }
        Verb::Start | Verb::Stop | Verb::Restart | Verb::Reload => {}
    }
    let outdated = if unit.outdated && matches!(verb, Verb::Start | Verb::Restart) {
        "; its file has changed since systemd read it, daemon-reload comes first"
    } else {
        ""
    };
    Ok(Some(format!("{} {name}{outdated}", verb.word())))
}

/// An error unless systemd could read the unit.
fn loaded(word: &str, unit: &Unit) -> Result<()> {
    let name = &unit.id;
    match unit.load.as_str() {
        "loaded" => Ok(()),
        "not-found" => Err(Error::not_found(format!(
            "failed to {word} {name}: there is no such unit"
        ))),
        "masked" => Err(Error::wrong_kind(format!(
            "failed to {word} {name}: it is masked, so that nothing starts it; `systemctl unmask` \
             undoes that"
        ))),
        other => Err(Error::failed(format!(
            "failed to {word} {name}: systemd cannot read it ({other}): {}",
            unit.load_error
        ))),
    }
}

/// The change that has a unit start with what wants it, or not, from the state of its file.
pub(super) fn enable(unit: &Unit, state: &str, wanted: bool) -> Result<Option<String>> {
    let name = &unit.id;
    let word = if wanted { "enable" } else { "disable" };
    let other_kind = |reason: &str| {
        Err(Error::wrong_kind(format!(
            "failed to {word} {name}: {reason}"
        )))
    };
    match (state, wanted) {
        ("enabled", true)
        | ("disabled" | "static" | "masked" | "masked-runtime" | "indirect", false) => Ok(None),
        ("enabled" | "enabled-runtime" | "linked" | "linked-runtime", false)
        | ("enabled-runtime" | "disabled" | "linked" | "linked-runtime" | "indirect", true) => {
            Ok(Some(format!("{word} {name}")))
        }
        ("masked" | "masked-runtime", true) => {
            other_kind("it is masked, so that nothing starts it; `systemctl unmask` undoes that")
        }
        ("static", true) => other_kind(
            "it is static: its file has no [Install] section, and others start it when they need it",
        ),
        ("generated" | "transient", _) => {
            other_kind("it has no file of its own: another program made it for now")
        }
        ("alias", _) => other_kind("it is another name of a unit; use the unit's own"),
        _ => {
            loaded(word, unit)?;
            Err(Error::failed(format!(
                "failed to {word} {name}: its file is {}",
                if state.is_empty() { "not there" } else { state }
            )))
        }
    }
}

/// Why a job did not come to what was wanted, in words.
pub(super) fn reason<'a>(result: &'a str, cause: Option<&str>) -> &'a str {
    match (result, cause) {
        ("failed", Some("exit-code")) => return "its program ended with an error",
        ("failed", Some("signal" | "core-dump")) => return "a signal ended its program",
        ("failed", Some("timeout")) => return "it took longer than its unit allows",
        ("failed", Some("start-limit-hit")) => return "it was started too often; wait a little",
        ("failed", Some("resources")) => return "its program could not be started",
        ("failed", Some("protocol")) => return "its program did not say that it is ready",
        _ => {}
    }
    match result {
        "failed" => "it failed",
        "timeout" => "it took longer than its unit allows",
        "canceled" => "another job took its place",
        "dependency" => "a unit that it requires failed",
        "skipped" | "invalid" => "it does not apply to what the unit is doing",
        "assert" => "an assertion of the unit does not hold",
        "unsupported" => "this machine does not support such units",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::sloth::host::types;

    fn unit(load: &str, active: &str) -> Unit {
        Unit {
            id: "a.service".into(),
            load: load.into(),
            active: active.into(),
            can_reload: true,
            ..Unit::default()
        }
    }

    fn message(error: Error) -> String {
        match error {
            Error::Guest(
                types::Error::WrongKind(text)
                | types::Error::NotFound(text)
                | types::Error::Failed(text),
            ) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_so_already_needs_no_job() {
        assert_eq!(act(Verb::Start, &unit("loaded", "active")).unwrap(), None);
        assert_eq!(act(Verb::Stop, &unit("loaded", "inactive")).unwrap(), None);
        assert_eq!(act(Verb::Stop, &unit("loaded", "failed")).unwrap(), None);
        assert_eq!(act(Verb::Stop, &unit("masked", "inactive")).unwrap(), None);
    }

    #[test]
    fn what_is_on_its_way_is_waited_for() {
        for (verb, active) in [
            (Verb::Start, "activating"),
            (Verb::Start, "deactivating"),
            (Verb::Start, "failed"),
            (Verb::Stop, "activating"),
            (Verb::Restart, "active"),
            (Verb::Reload, "active"),
        ] {
            let change = act(verb, &unit("loaded", active)).unwrap().unwrap();
            assert_eq!(change, format!("{} a.service", verb.word()));
        }
    }

    #[test]
    fn what_cannot_be_started_says_why() {
        for (load, words) in [
            ("not-found", "there is no such unit"),
            ("masked", "it is masked"),
            ("bad-setting", "systemd cannot read it (bad-setting)"),
        ] {
            let error = act(Verb::Start, &unit(load, "inactive")).unwrap_err();
            assert!(message(error).contains(words), "{load}");
        }
        let gone = act(Verb::Stop, &unit("not-found", "inactive")).unwrap_err();
        assert!(message(gone).contains("there is no such unit"));
        let running = act(Verb::Stop, &unit("not-found", "active")).unwrap();
        assert_eq!(running.as_deref(), Some("stop a.service"));
    }

    #[test]
    fn a_unit_that_cannot_reload_says_so() {
        let mut one = unit("loaded", "active");
        one.can_reload = false;
        let words = message(act(Verb::Reload, &one).unwrap_err());
        assert!(words.contains("restart it"), "{words}");
        let words = message(act(Verb::Reload, &unit("loaded", "inactive")).unwrap_err());
        assert!(words.contains("start it"), "{words}");
    }

    #[test]
    fn an_outdated_unit_is_told_of() {
        let mut one = unit("loaded", "inactive");
        one.outdated = true;
        assert!(
            act(Verb::Start, &one)
                .unwrap()
                .unwrap()
                .contains("daemon-reload comes first")
        );
        assert!(
            !act(Verb::Stop, &unit("loaded", "active"))
                .unwrap()
                .unwrap()
                .contains("daemon")
        );
    }

    #[test]
    fn enabling_knows_what_can_be_enabled() {
        let one = unit("loaded", "active");
        assert_eq!(enable(&one, "enabled", true).unwrap(), None);
        assert_eq!(enable(&one, "disabled", false).unwrap(), None);
        assert_eq!(enable(&one, "static", false).unwrap(), None);
        assert!(enable(&one, "disabled", true).unwrap().is_some());
        assert!(enable(&one, "enabled-runtime", true).unwrap().is_some());
        assert!(enable(&one, "enabled", false).unwrap().is_some());
        for state in ["masked", "static", "generated", "transient", "alias"] {
            assert!(enable(&one, state, true).is_err(), "{state}");
        }
        let gone = enable(&unit("not-found", "inactive"), "", true).unwrap_err();
        assert!(message(gone).contains("there is no such unit"));
        assert!(enable(&one, "bad", true).is_err());
    }
}
