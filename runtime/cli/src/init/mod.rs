//! `init`: the beginnings of a workflow, which run as they are.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::json;

use crate::command::{InitOptions, Output, Shared};
use crate::exit::Exit;
use crate::{input, render};

/// What is written, by its name. `{name}` and `{folder}` in it become those of the workflow.
const FILES: &[(&str, &str)] = &[
    ("workflow.sloth", include_str!("workflow.sloth")),
    ("policy.toml", include_str!("policy.toml")),
    ("values.yaml", include_str!("values.yaml")),
];

pub(crate) fn init(shared: &Shared, options: &InitOptions) -> anyhow::Result<Exit> {
    let name = options.name.as_str();
    ensure!(
        is_plain(name),
        "`{name}` cannot name a workflow's folder; use letters, digits, `-`, `_` and `.`, and begin \
         with a letter or a digit"
    );
    let asked = if options.dir == Path::new(".") {
        PathBuf::from(name)
    } else {
        options.dir.join(name)
    };
    let parent = input::real_path(&options.dir)?;
    // A folder that is there may be a link.
    let folder = if input::is_there(&asked) {
        input::real_path(&asked)?
    } else {
        parent.join(name)
    };
    let real = plain_path(&folder)?;
    for (file, _) in FILES {
        let path = folder.join(file);
        if input::is_there(&path) {
            bail!(
                "{} is there already; nothing was written",
                asked.join(file).display()
            );
        }
    }
    input::make_folder(&folder)?;
    for (file, text) in FILES {
        let text = text.replace("{name}", name).replace("{folder}", real);
        input::write_new(&folder.join(file), &text)?;
    }
    show(shared.output, name, &asked);
    Ok(Exit::Succeeded)
}

/// Names that need no quoting, in a shell or in any of the files.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The path as text, if it reads the same in a policy, in Lua and to people.
fn plain_path(folder: &Path) -> anyhow::Result<&str> {
    let text = folder
        .to_str()
        .with_context(|| format!("{} has a name that is not UTF-8", folder.display()))?;
    let meant = |c: char| "*?[]{}\\\"'".contains(c) || sloth_workflow::text::is_unsafe_to_show(c);
    if let Some(character) = text.chars().find(|c| meant(*c)) {
        bail!(
            "the path {text} holds {character:?}, which has a meaning of its own in a policy; choose \
             another place with --dir"
        );
    }
    Ok(text)
}

fn show(output: Output, name: &str, folder: &Path) {
    let shown = folder.display().to_string();
    let run = |more: &str| {
        format!("sloth-runner run {name} -f workflow.sloth --policy policy.toml {more}")
    };
    let enter = if is_plain(&shown.replace('/', "")) {
        format!("cd {shown}")
    } else {
        // No path that was accepted holds a quotation mark, but the one that was typed may.
        format!("cd '{}'", shown.replace('\'', "'\\''"))
    };
    if output == Output::Json {
        let files: Vec<_> = FILES
            .iter()
            .map(|(file, _)| folder.join(file).display().to_string())
            .collect();
        let next = format!("{enter} && {}", run("--yes"));
        render::line(&render::json_line(
            &json!({ "folder": shown, "files": files, "next": next }),
        ));
        return;
    }
    let escaped = |text: String| sloth_workflow::Untrusted::new(text).escaped();
    for (file, _) in FILES {
        render::line(&escaped(format!("wrote {}", folder.join(file).display())));
    }
    render::line("\nNext, look at what it would do, then run it:");
    render::line(&escaped(format!("  {enter}")));
    render::line(&format!("  {}", run("--check --diff")));
    render::line(&format!("  {}", run("--yes")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quoting() {
        assert!(is_plain("a") && is_plain("web-01_x.y"));
        for name in ["", ".", "..", "-f", "a b", "a/b", "ä", "a'b"] {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn paths_that_mean_something_in_a_policy_are_refused() {
        assert!(plain_path(Path::new("/srv/my site/ä")).is_ok());
        for path in ["/a*", "/a\"b", "/a\nb", "/a[1]"] {
            assert!(plain_path(Path::new(path)).is_err(), "{path:?}");
        }
    }
}
