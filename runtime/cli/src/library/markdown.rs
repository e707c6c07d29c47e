//! The library as a page of the guide.

use std::fmt::Write;

use super::modules::{Module, Status};

const HEAD: &str = "\
# Modules

What workflow files can call. This page is written by `sloth-runner modules --markdown`;
`sloth-runner modules NAME` shows one module, and `sloth-runner lua-types` writes the same for editors.

In a call, what stands in square brackets may be left out, and `{name=}` is a table of options. Functions
that change something give a table with `changed`, `success` and `message`, or nil and a message; those
that look give their answer, or nil and a message. What the policy refuses raises an error.
";

/// The page.
pub(crate) fn markdown(modules: &[Module]) -> String {
    let mut page = HEAD.to_owned();
    let with = |status: Status| modules.iter().filter(move |module| module.status == status);
    for module in with(Status::Here) {
        let _ = write!(page, "\n## {}\n{}\n", module.name, module.about);
        if !module.aliases.is_empty() {
            let names: Vec<_> = module
                .aliases
                .iter()
                .map(|name| format!("`{name}`"))
                .collect();
            let _ = writeln!(page, "Also named {}.", names.join(", "));
        }
        for function in &module.functions {
            let _ = write!(page, "\n- `{}` {}", function.call, function.description);
        }
        page.push('\n');
    }
    page.push_str(
        "\n## Lua's own\n[Lua's manual](https://www.lua.org/manual/5.4/) describes them.\n\n",
    );
    for module in with(Status::Lua) {
        let _ = writeln!(page, "- `{}`: {}", module.name, module.purpose);
        for function in &module.functions {
            let _ = writeln!(page, "  - `{}` {}", function.call, function.description);
        }
    }
    page.push_str("\n## In a later version\n| name | what for |\n| --- | --- |\n");
    for module in with(Status::Later) {
        let _ = writeln!(page, "| `{}` | {} |", module.name, module.purpose);
    }
    page
}
