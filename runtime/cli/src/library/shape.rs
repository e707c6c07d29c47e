//! The parameters of a call, as its comment writes it: `fs.write(path, content[, {mode=}])`.

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    /// A name that Lua takes, or `...`.
    pub(super) name: String,
    pub(super) optional: bool,
    /// It is written as a table of options.
    pub(super) table: bool,
}

/// Words that cannot be names.
const RESERVED: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// The parameters of a call such as `name(…)`, or `name{…}`, which takes one table.
pub(super) fn parameters(call: &str) -> Vec<Parameter> {
    let Some(start) = call.find(['(', '{']) else {
        return Vec::new();
    };
    if call[start..].starts_with('{') {
        return vec![named("options", false, true)];
    }
    let inside = &call[start + 1..call.len() - 1];
    let mut found: Vec<Parameter> = Vec::new();
    for (text, optional) in pieces(inside) {
        let table = text.starts_with('{');
        let mut name = if table {
            "options".to_owned()
        } else {
            name_in(&text)
        };
        if found.iter().any(|known| known.name == name) {
            name = format!("{name}{}", found.len() + 1);
        }
        found.push(named(&name, optional, table));
    }
    found
}

fn named(name: &str, optional: bool, table: bool) -> Parameter {
    Parameter {
        name: name.to_owned(),
        optional,
        table,
    }
}

/// What stands between the commas, and whether it stands in square brackets.
fn pieces(inside: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut text = String::new();
    let (mut square, mut depth, mut optional, mut quoted) = (0, 0, false, false);
    for character in inside.chars() {
        if character == '"' {
            quoted = !quoted;
        } else if !quoted {
            match character {
                '{' | '(' => depth += 1,
                '}' | ')' => depth -= 1,
                '[' if depth == 0 => {
                    square += 1;
                    continue;
                }
                ']' if depth == 0 => {
                    square -= 1;
                    continue;
                }
                ',' if depth == 0 => {
                    found.push((std::mem::take(&mut text), optional));
                    continue;
                }
                _ => {}
            }
        }
        if text.is_empty() {
            if character.is_whitespace() {
                continue;
            }
            optional = square > 0;
        }
        text.push(character);
    }
    found.push((text, optional));
    found.retain_mut(|(text, _)| {
        text.truncate(text.trim_end().len());
        !text.is_empty()
    });
    found
}

/// The first word that could be a name.
fn name_in(text: &str) -> String {
    if text.starts_with("...") || text.starts_with('…') {
        return "...".to_owned();
    }
    let name: String = text
        .chars()
        .skip_while(|c| !(c.is_ascii_alphabetic() || *c == '_'))
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    if name.is_empty() {
        "value".to_owned()
    } else if RESERVED.contains(&name.as_str()) {
        name + "_"
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(call: &str) -> String {
        let shown = |parameter: &Parameter| {
            let optional = if parameter.optional { "?" } else { "" };
            let table = if parameter.table { ":table" } else { "" };
            format!("{}{optional}{table}", parameter.name)
        };
        parameters(call)
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn what_stands_in_square_brackets_is_optional() {
        assert_eq!(told("fs.ls()"), "");
        assert_eq!(told("json.null"), "");
        assert_eq!(
            told("fs.write(path, content[, {mode=}])"),
            "path content options?:table"
        );
        assert_eq!(told("load(chunk[, name[, mode]])"), "chunk name? mode?");
        assert_eq!(told("os.time([table])"), "table?");
        assert_eq!(told("f([a, ]b)"), "a? b");
    }

    #[test]
    fn tables_are_options() {
        assert_eq!(told("file_ops.copy{src=|content=, dest=}"), "options:table");
        assert_eq!(
            told("f({a=[x]}, {b=\",\"})"),
            "options:table options2:table"
        );
    }

    #[test]
    fn names_that_lua_does_not_take_are_changed() {
        assert_eq!(told("spawn(function, ...)"), "function_ ...");
        assert_eq!(told("f(\"name\", 3, name|list)"), "name value name3");
    }
}
