//! `plugin new`: the beginnings of a plugin, which build and pass their test as they are.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::command::{Output, Shared};
use crate::exit::Exit;
use crate::{input, render};

/// Write the beginnings of a plugin: its WIT, its code and its test.
#[derive(Debug, Args)]
#[command(
    after_help = "The README.md in the new folder says how it is built. With --output json: {\"folder\", \"files\": […]}.

Examples:
  sloth-runner plugin new --lang rust demo
  sloth-runner plugin new --lang python demo
  sloth-runner plugin new --lang js demo"
)]
pub(crate) struct NewOptions {
    /// What it is called, and its folder.
    name: String,
    /// What it is written in.
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
    /// Where its folder is made.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Python,
    Js,
}

/// A file's name and text, in which `{name}` and `{snake}` become the plugin's.
type File = (&'static str, &'static str);

/// What every language has.
const SHARED: &[File] = &[
    ("wit/world.wit", include_str!("templates/world.wit")),
    ("test.sloth", include_str!("templates/test.sloth")),
];
const RUST: &[File] = &[
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("templates/rust/lib.rs.txt")),
    ("README.md", include_str!("templates/rust/README.md")),
    (".gitignore", "/target\n/*.wasm\n"),
];
const PYTHON: &[File] = &[
    ("app.py", include_str!("templates/python/app.py")),
    ("README.md", include_str!("templates/python/README.md")),
    (".gitignore", "/*.wasm\n__pycache__\n"),
];
const JS: &[File] = &[
    ("app.js", include_str!("templates/js/app.js")),
    ("build.mjs", include_str!("templates/js/build.mjs")),
    ("package.json", include_str!("templates/js/package.json")),
    ("README.md", include_str!("templates/js/README.md")),
    (".gitignore", "/node_modules\n/*.wasm\n"),
];

impl Language {
    fn files(self) -> impl Iterator<Item = &'static File> {
        let own = match self {
            Self::Rust => RUST,
            Self::Python => PYTHON,
            Self::Js => JS,
        };
        SHARED.iter().chain(own)
    }
}

pub(super) fn new(shared: &Shared, options: &NewOptions) -> anyhow::Result<Exit> {
    let name = super::named(Some(&options.name), std::path::Path::new(""))?;
    let folder = options.dir.join(&name);
    if input::is_there(&folder) {
        bail!("{} is there already; nothing was written", folder.display());
    }
    let mut written = Vec::new();
    input::make_folder(&folder)?;
    for (file, text) in options.lang.files() {
        let path = folder.join(file);
        if let Some(inner) = path.parent() {
            input::make_folder(inner)?;
        }
        let snake = name.replace('-', "_");
        let text = text.replace("{name}", &name).replace("{snake}", &snake);
        input::write_new(&path, &text)?;
        written.push(path.display().to_string());
    }
    let shown = folder.display().to_string();
    if shared.output == Output::Json {
        render::line(&render::json_line(
            &json!({ "folder": shown, "files": written }),
        ));
        return Ok(Exit::Succeeded);
    }
    for file in &written {
        render::line(&format!("wrote {file}"));
    }
    render::line(&format!(
        "\nNext: cd {shown}, and README.md says how it is built."
    ));
    Ok(Exit::Succeeded)
}
