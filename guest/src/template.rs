//! Templates in Jinja's language.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use crate::data::Data;

/// Renders `source` with the given names in reach. `name` stands in errors.
///
/// # Errors
/// A sentence with the template's name and line: syntax, unknown filter, undefined variable.
pub(crate) fn render(name: &str, source: &str, context: &Data) -> Result<String, String> {
    let mut environment = Environment::new();
    // Errors then name the variable.
    environment.set_debug(true);
    // A missing value in a configuration file is a mistake, not an empty string.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Macros may call themselves; the stack is small.
    environment.set_recursion_limit(100);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // A configuration file ends as its template does.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment
        .render_named_str(name, source, value_of(context))
        .map_err(|error| describe(name, &error))
}

fn describe(name: &str, error: &minijinja::Error) -> String {
    let place = error
        .line()
        .map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
    match error.detail() {
        Some(detail) => format!("{place}: {}: {detail}", error.kind()),
        None => format!("{place}: {}", error.kind()),
    }
}

fn value_of(data: &Data) -> Value {
    match data {
        Data::Nil => Value::from(()),
        Data::Boolean(value) => Value::from(*value),
        Data::Integer(value) => Value::from(*value),
        Data::Float(value) => Value::from(*value),
        Data::Text(text) => Value::from(text.as_str()),
        Data::Bytes(bytes) => Value::from_bytes(bytes.clone()),
        Data::List(items) => items.iter().map(value_of).collect(),
        Data::Map(entries) => Value::from_pairs(
            entries
                .iter()
                .map(|(key, value)| (value_of(key), value_of(value))),
        ),
    }
}
