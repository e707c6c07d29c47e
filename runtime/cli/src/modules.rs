//! `modules`: what workflow files can call.

use anyhow::bail;
use serde_json::json;

use crate::command::{ModulesOptions, Output, Shared};
use crate::exit::Exit;
use crate::library::{self, Module, Status};
use crate::render::{self, Paint, shortened, wrapped};

pub(crate) fn modules(shared: &Shared, options: &ModulesOptions) -> anyhow::Result<Exit> {
    let all = library::modules();
    if options.markdown {
        render::bytes(library::markdown(&all).as_bytes());
        return Ok(Exit::Succeeded);
    }
    let shown = match &options.name {
        None => all,
        Some(name) => vec![find(&all, name)?],
    };
    if shared.output == Output::Json {
        render::line(&render::json_line(&json!({ "modules": shown })));
        return Ok(Exit::Succeeded);
    }
    let paint = Paint::for_stdout(shared.color);
    match &options.name {
        None => table(&shown, paint),
        Some(_) => shown.iter().for_each(|module| pages(module, paint)),
    }
    Ok(Exit::Succeeded)
}

/// The module of that name, or the one that has the function of that name, with it alone.
fn find(all: &[Module], name: &str) -> anyhow::Result<Module> {
    let meant = by_own_name(all, name);
    if let Some(module) = all.iter().find(|module| module.name == meant) {
        return Ok(module.clone());
    }
    for module in all {
        let mut one = module.clone();
        one.functions.retain(|function| function.name == meant);
        if !one.functions.is_empty() {
            return Ok(one);
        }
    }
    let first = meant.split(['.', ':']).next().unwrap_or_default();
    if all
        .iter()
        .any(|module| module.status == Status::Later && module.name == first)
    {
        bail!("`{first}` comes in a later version of sloth-runner");
    }
    let known = all
        .iter()
        .find(|module| module.name == first && meant != first);
    if let Some(module) = known.filter(|module| module.status == Status::Lua) {
        bail!(
            "`{}` is Lua's own: https://www.lua.org/manual/5.4/ describes its functions",
            module.name
        );
    }
    let what = if name.contains(['.', ':']) {
        "function"
    } else {
        "module"
    };
    match nearest(all, &meant) {
        Some(nearest) => bail!("there is no {what} `{name}`; did you mean `{nearest}`?"),
        None => bail!("there is no {what} `{name}`; sloth-runner modules lists what there is"),
    }
}

/// The name with the module's own name instead of another one.
fn by_own_name(all: &[Module], name: &str) -> String {
    let end = name.find(['.', ':']).unwrap_or(name.len());
    let (first, rest) = name.split_at(end);
    let own = all
        .iter()
        .find(|module| module.aliases.contains(&first))
        .map_or(first, |module| module.name.as_str());
    format!("{own}{rest}")
}

/// What was probably meant: what differs in few letters, or a function of that name in some module.
fn nearest<'a>(all: &'a [Module], name: &str) -> Option<&'a str> {
    let functions = all
        .iter()
        .flat_map(|module| &module.functions)
        .map(|function| function.name.as_str());
    let modules = all.iter().map(|module| module.name.as_str());
    let near = modules
        .chain(functions.clone())
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1.max(known.chars().count() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known);
    let last = name.rsplit(['.', ':']).next();
    near.or_else(|| {
        functions
            .into_iter()
            .find(|known| known.rsplit(['.', ':']).next() == last)
    })
}

/// One line a module.
fn table(all: &[Module], paint: Paint) {
    let title = |module: &Module| match module.aliases.as_slice() {
        [] => module.name.clone(),
        aliases => format!("{} ({})", module.name, aliases.join(", ")),
    };
    let width = all
        .iter()
        .map(|module| title(module).len())
        .max()
        .unwrap_or(0);
    let parts = [
        (Status::Here, ""),
        (Status::Lua, "\nLua's own:"),
        (Status::Later, "\nIn a later version:"),
    ];
    for (status, heading) in parts {
        if !heading.is_empty() {
            render::line(heading);
        }
        for module in all.iter().filter(|module| module.status == status) {
            let title = title(module);
            let gap = " ".repeat(width - title.len() + 2);
            let purpose = shortened(&module.purpose, width + 4);
            let painted = match status {
                Status::Here => paint.bold(&title),
                Status::Lua | Status::Later => paint.dim(&title),
            };
            render::line(&format!("  {painted}{gap}{purpose}"));
        }
    }
    render::line("\nsloth-runner modules NAME shows the functions of one.");
}

/// A module with what each of its functions does.
fn pages(module: &Module, paint: Paint) {
    let head = format!("{}: {}", module.name, module.about);
    render::line(&wrapped(&head, 0));
    if !module.aliases.is_empty() {
        render::line(&format!("Also named {}.", module.aliases.join(", ")));
    }
    match module.status {
        Status::Here => {}
        Status::Lua => render::line("See https://www.lua.org/manual/5.4/"),
        Status::Later => render::line("It comes in a later version of sloth-runner."),
    }
    for function in &module.functions {
        let call = wrapped(&function.call, 2);
        for line in std::iter::once("").chain(call.lines()) {
            render::line(&paint.bold(line));
        }
        render::line(&wrapped(&function.description, 6));
    }
}
