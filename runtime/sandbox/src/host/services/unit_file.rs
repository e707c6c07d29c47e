//! From a definition to the text of a unit's file. Pure. Nothing that a definition holds can end its
//! line or be read as more than a value: control characters are refused, `%` and `$` are doubled, and
//! words of commands are quoted (systemd.syntax(7), systemd.service(5), “Command lines”).

use std::fmt::Write as _;

/// A definition whose commands have been found and whose names are checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    pub(super) description: String,
    pub(super) kind: String,
    pub(super) start: Exec,
    pub(super) stop: Option<Exec>,
    pub(super) reload: Option<Exec>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) folder: Option<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) restart: String,
    /// Milliseconds.
    pub(super) delay: Option<u64>,
    pub(super) after: Vec<String>,
    pub(super) wants: Vec<String>,
    pub(super) requires: Vec<String>,
    pub(super) wanted_by: Vec<String>,
    pub(super) writable: Vec<String>,
    pub(super) open: Vec<String>,
}

/// A program by its absolute path, and its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exec {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
}

/// What the words of a definition may be.
pub(super) const KINDS: &[&str] = &["simple", "exec", "forking", "oneshot", "notify", "idle"];
pub(super) const RESTARTS: &[&str] = &[
    "no",
    "always",
    "on-success",
    "on-failure",
    "on-abnormal",
    "on-abort",
    "on-watchdog",
];

/// The process that systemd knows as the service's, in commands that stop or reload it.
pub(super) const MAIN_PID: &str = "$MAINPID";

/// The sandbox, by the word that leaves each line of it open.
const SANDBOX: &[(&str, &[&str])] = &[
    ("system", &["ProtectSystem=strict"]),
    ("home", &["ProtectHome=yes"]),
    ("devices", &["PrivateDevices=yes"]),
    ("temporary", &["PrivateTmp=yes"]),
    (
        "privileges",
        &["NoNewPrivileges=yes", "RestrictSUIDSGID=yes"],
    ),
    (
        "kernel",
        &[
            "ProtectKernelTunables=yes",
            "ProtectKernelModules=yes",
            "ProtectKernelLogs=yes",
            "ProtectControlGroups=yes",
            "ProtectClock=yes",
            "ProtectHostname=yes",
            "LockPersonality=yes",
            "RestrictRealtime=yes",
        ],
    ),
    ("namespaces", &["RestrictNamespaces=yes"]),
];

/// The words that `open` may hold.
pub(super) fn openings() -> Vec<&'static str> {
    SANDBOX.iter().map(|(word, _)| *word).collect()
}

/// The file's text, or which value cannot stand in one.
pub(super) fn render(unit: &Definition) -> Result<String, String> {
    let mut text = String::from(
        "# Written by sloth-runner, and written again when it is defined again.\n[Unit]\n",
    );
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key}={value}").expect("a String takes everything");
    };
    line("Description", &value("description", &unit.description)?);
    for (key, units) in [
        ("After", &unit.after),
        ("Wants", &unit.wants),
        ("Requires", &unit.requires),
    ] {
        if !units.is_empty() {
            line(key, &units.join(" "));
        }
    }
    line("\n[Service]\nType", &unit.kind);
    line("ExecStart", &exec("exec_start", &unit.start, false)?);
    if let Some(stop) = &unit.stop {
        line("ExecStop", &exec("exec_stop", stop, true)?);
    }
    if let Some(reload) = &unit.reload {
        line("ExecReload", &exec("exec_reload", reload, true)?);
    }
    if let Some(user) = &unit.user {
        line("User", account("user", user)?);
    }
    if let Some(group) = &unit.group {
        line("Group", account("group", group)?);
    }
    if let Some(folder) = &unit.folder {
        line("WorkingDirectory", &path("working_directory", folder)?);
    }
    for (name, content) in &unit.environment {
        let content = quoted("environment", content, false)?;
        line("Environment", &format!("\"{name}={content}\""));
    }
    line("Restart", &unit.restart);
    if let Some(delay) = unit.delay {
        line("RestartSec", &format!("{delay}ms"));
    }
    for (word, lines) in SANDBOX {
        if !unit.open.iter().any(|open| open == word) {
            for entry in *lines {
                line(
                    entry.split_once('=').map_or("", |(key, _)| key),
                    entry.split_once('=').map_or("", |(_, value)| value),
                );
            }
        }
    }
    for folder in &unit.writable {
        line(
            "ReadWritePaths",
            &format!("\"{}\"", path("writable", folder)?),
        );
    }
    if !unit.wanted_by.is_empty() {
        line("\n[Install]\nWantedBy", &unit.wanted_by.join(" "));
    }
    Ok(text)
}

/// Whether it is the name of a variable.
pub(super) fn is_variable(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
}

fn one_line<'a>(what: &str, text: &'a str) -> Result<&'a str, String> {
    if text.contains(char::is_control) {
        return Err(format!(
            "{what}: holds a line break or another control character"
        ));
    }
    Ok(text)
}

/// A value of its own line. A backslash at its end would join the next line to it.
fn value(what: &str, text: &str) -> Result<String, String> {
    let text = one_line(what, text)?.trim();
    if text.ends_with('\\') {
        return Err(format!("{what}: ends in a backslash"));
    }
    Ok(text.replace('%', "%%"))
}

/// What stands between double quotes.
fn quoted(what: &str, text: &str, command: bool) -> Result<String, String> {
    let text = one_line(what, text)?
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    Ok(if command {
        text.replace('$', "$$")
    } else {
        text
    })
}

fn exec(what: &str, exec: &Exec, main_pid: bool) -> Result<String, String> {
    let mut line = path(what, &exec.program)?;
    for argument in &exec.arguments {
        if main_pid && argument == MAIN_PID {
            line.push(' ');
            line.push_str(MAIN_PID);
        } else {
            write!(line, " \"{}\"", quoted(what, argument, true)?)
                .expect("a String takes everything");
        }
    }
    Ok(line)
}

/// An absolute path of plain characters, which mean nothing else to systemd wherever they stand.
fn path(what: &str, text: &str) -> Result<String, String> {
    let plain = |character: char| {
        character.is_alphanumeric()
            || matches!(
                character,
                '/' | '.' | '_' | '-' | '+' | '@' | ',' | ':' | '='
            )
    };
    if !text.starts_with('/') || !text.chars().all(plain) {
        return Err(format!(
            "{what}: a path in a unit is absolute, of letters, digits and `/._-+@,:=`"
        ));
    }
    Ok(text.to_owned())
}

fn account<'a>(what: &str, name: &'a str) -> Result<&'a str, String> {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let fine = !name.is_empty()
        && name.len() <= 31
        && name.chars().all(plain)
        && !name.starts_with(['-', '.']);
    if fine {
        Ok(name)
    } else {
        Err(format!("{what}: is not the name of an account"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Definition {
        Definition {
            description: "The site".into(),
            kind: "simple".into(),
            start: Exec {
                program: "/usr/bin/site".into(),
                arguments: vec!["--port".into(), "80".into()],
            },
            restart: "always".into(),
            wanted_by: vec!["multi-user.target".into()],
            ..Definition::default()
        }
    }

    /// Every line is a heading, a comment, empty, or one of these keys with a value.
    fn keys(text: &str) -> Vec<&str> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '[']))
            .map(|line| line.split_once('=').unwrap().0)
            .collect()
    }

    #[test]
    fn a_small_definition_is_a_whole_unit_in_a_sandbox() {
        let text = render(&site()).unwrap();
        assert!(text.contains(
            "[Unit]\nDescription=The site\n\n[Service]\nType=simple\nExecStart=/usr/bin/site \"--port\" \"80\"\n\
             Restart=always\nProtectSystem=strict\nProtectHome=yes\n"
        ));
        assert!(text.ends_with("\n\n[Install]\nWantedBy=multi-user.target\n"));
        assert!(text.contains("NoNewPrivileges=yes\n"));
    }

    #[test]
    fn no_value_becomes_a_directive() {
        let nasty = "x\nExecStartPre=/bin/evil";
        let with = |change: fn(&mut Definition, String)| {
            let mut unit = site();
            change(&mut unit, nasty.to_owned());
            render(&unit)
        };
        assert!(with(|unit, text| unit.description = text).is_err());
        assert!(with(|unit, text| unit.user = Some(text)).is_err());
        assert!(with(|unit, text| unit.group = Some(text)).is_err());
        assert!(with(|unit, text| unit.folder = Some(text)).is_err());
        assert!(with(|unit, text| unit.start.program = text).is_err());
        assert!(with(|unit, text| unit.start.arguments.push(text)).is_err());
        assert!(with(|unit, text| unit.environment.push(("A".into(), text))).is_err());
        assert!(with(|unit, text| unit.writable.push(text)).is_err());
        let mut unit = site();
        unit.description = "a\\".into();
        assert!(render(&unit).is_err());
        unit.description = "a\u{85}b".into();
        assert!(render(&unit).is_err());
    }

    #[test]
    fn words_of_a_command_stay_words() {
        let mut unit = site();
        unit.start.arguments = vec![
            ";".into(),
            "$HOME".into(),
            "%n".into(),
            "a\" \"b".into(),
            "\\".into(),
            String::new(),
            "-".into(),
        ];
        let text = render(&unit).unwrap();
        let line = r#"ExecStart=/usr/bin/site ";" "$$HOME" "%%n" "a\" \"b" "\\" "" "-""#;
        assert!(text.contains(line), "{text}");
        assert_eq!(
            keys(&text)
                .iter()
                .filter(|key| **key == "ExecStart")
                .count(),
            1
        );
    }

    #[test]
    fn the_main_process_is_known_only_where_there_is_one() {
        let mut unit = site();
        let kill = Exec {
            program: "/bin/kill".into(),
            arguments: vec!["-HUP".into(), MAIN_PID.into(), "x$MAINPID".into()],
        };
        unit.reload = Some(kill.clone());
        unit.start = kill;
        let text = render(&unit).unwrap();
        assert!(text.contains("ExecReload=/bin/kill \"-HUP\" $MAINPID \"x$$MAINPID\"\n"));
        assert!(text.contains("ExecStart=/bin/kill \"-HUP\" \"$$MAINPID\""));
    }

    #[test]
    fn programs_and_folders_are_plain_paths() {
        for program in [
            "site", "-/bin/x", "@/bin/x", "/bin/x y", "/bin/%n", "/bin/$x", "/bin/\"x", "/a;b", "",
        ] {
            let mut unit = site();
            unit.start.program = program.into();
            assert!(render(&unit).is_err(), "{program:?}");
        }
    }

    #[test]
    fn each_opening_leaves_out_its_lines_and_no_other() {
        let all = keys(&render(&site()).unwrap()).len();
        let mut left_out = 0;
        for (word, lines) in SANDBOX {
            let mut unit = site();
            unit.open = vec![(*word).to_owned()];
            let text = render(&unit).unwrap();
            assert_eq!(keys(&text).len(), all - lines.len(), "{word}");
            left_out += lines.len();
        }
        let mut unit = site();
        unit.open = openings().into_iter().map(str::to_owned).collect();
        assert_eq!(keys(&render(&unit).unwrap()).len(), all - left_out);
    }

    #[test]
    fn variables_are_quoted_with_their_names() {
        let mut unit = site();
        unit.environment = vec![("A".into(), "1 2\" %h $x \\".into())];
        let text = render(&unit).unwrap();
        assert!(
            text.contains(r#"Environment="A=1 2\" %%h $x \\""#),
            "{text}"
        );
        assert!(
            is_variable("A_1") && !is_variable("1A") && !is_variable("A=B") && !is_variable("")
        );
    }
}
