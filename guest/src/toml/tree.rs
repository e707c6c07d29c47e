//! What a TOML text has said so far. Which table may still be added to depends on how it came to be.

use std::collections::BTreeMap;

use crate::data::Data;

/// How a table came to be.
#[derive(Clone, Copy, Default, PartialEq)]
enum Origin {
    /// On the way to another: a header may still name it.
    #[default]
    Implied,
    /// By a dotted key, which may be followed by others.
    Dotted,
    /// By a header of its own.
    Named,
}

#[derive(Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Node>,
    origin: Origin,
}

enum Node {
    Value(Data),
    Table(Table),
    /// Of `[[name]]`: the last of them is the one being written.
    Tables(Vec<Table>),
}

/// What a header names.
#[derive(Clone, Copy)]
pub(super) enum Last {
    Table,
    Tables,
}

/// The table at a path that was made by a header.
pub(super) fn beneath<'a>(root: &'a mut Table, path: &[String]) -> Option<&'a mut Table> {
    let mut table = root;
    for key in path {
        table = match table.entries.get_mut(key)? {
            Node::Table(inner) => inner,
            Node::Tables(all) => all.last_mut()?,
            Node::Value(_) => return None,
        };
    }
    Some(table)
}

fn twice(key: &str) -> String {
    format!("`{key}` is there already")
}

impl Table {
    /// Makes what a header names.
    ///
    /// # Errors
    /// A sentence, if something else has that name.
    pub(super) fn define(&mut self, path: &[String], last: Last) -> Result<(), String> {
        let Some((name, above)) = path.split_last() else {
            return Ok(());
        };
        let mut table = self;
        for key in above {
            let node = table.entries.entry(key.clone());
            table = match node.or_insert_with(|| Node::Table(Table::default())) {
                Node::Table(inner) => inner,
                Node::Tables(all) => all.last_mut().ok_or_else(|| twice(key))?,
                Node::Value(_) => return Err(twice(key)),
            };
        }
        let named = Table {
            origin: Origin::Named,
            ..Table::default()
        };
        match (table.entries.get_mut(name), last) {
            (None, Last::Table) => {
                table.entries.insert(name.clone(), Node::Table(named));
            }
            (None, Last::Tables) => {
                let tables = Node::Tables(vec![named]);
                table.entries.insert(name.clone(), tables);
            }
            (Some(Node::Table(inner)), Last::Table) if inner.origin == Origin::Implied => {
                inner.origin = Origin::Named;
            }
            (Some(Node::Tables(all)), Last::Tables) => all.push(named),
            _ => return Err(twice(name)),
        }
        Ok(())
    }

    /// Sets the value of a key, dotted if it has several parts.
    ///
    /// # Errors
    /// A sentence, if something else has that name.
    pub(super) fn insert(&mut self, mut path: Vec<String>, value: Data) -> Result<(), String> {
        let Some(name) = path.pop() else {
            return Ok(());
        };
        let mut table = self;
        for key in path {
            let problem = twice(&key);
            let node = table.entries.entry(key).or_insert_with(|| {
                Node::Table(Table {
                    origin: Origin::Dotted,
                    ..Table::default()
                })
            });
            table = match node {
                Node::Table(inner) if inner.origin != Origin::Named => inner,
                _ => return Err(problem),
            };
        }
        if table.entries.contains_key(&name) {
            return Err(twice(&name));
        }
        table.entries.insert(name, Node::Value(value));
        Ok(())
    }

    pub(super) fn into_data(self) -> Data {
        let entry = |(key, node): (String, Node)| {
            let value = match node {
                Node::Value(value) => value,
                Node::Table(table) => table.into_data(),
                Node::Tables(all) => Data::List(all.into_iter().map(Table::into_data).collect()),
            };
            (Data::Text(key), value)
        };
        Data::Map(self.entries.into_iter().map(entry).collect())
    }
}
