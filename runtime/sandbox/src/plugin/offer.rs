//! What a component offers and asks for, read off its types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sloth_workflow::Value;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentExtern, ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use super::shape::{Reader, Resource, Shape};

/// Most functions of one plugin.
const MOST_FUNCTIONS: usize = 10_000;

/// The functions and resources of a plugin.
#[derive(Debug)]
pub(crate) struct Offer {
    /// By id: the export's path, such as `acme:markdown/api@1.0.0#render`.
    pub(crate) functions: BTreeMap<String, Function>,
    pub(crate) resources: Arc<[Resource]>,
    /// The interfaces that it imports, sorted, with their versions.
    pub(crate) imports: Vec<String>,
}

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) index: ComponentExportIndex,
    /// Of the interface without package and version; none for a function of the world.
    interface: Option<String>,
    /// Without `[method]document.`.
    name: String,
    /// The resource whose it is, `api.document`.
    resource: Option<String>,
    kind: &'static str,
    pub(crate) parameters: Vec<(String, Shape)>,
    pub(crate) result: Option<Shape>,
}

impl Offer {
    /// Reads a component. The error says why it is no plugin.
    pub(crate) fn read(engine: &Engine, component: &Component) -> Result<Self, String> {
        let kind = component.component_type();
        let imports: BTreeSet<String> = kind
            .imports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        let resources: Arc<[Resource]> = resources(engine, component).into();
        let mut reader = Reader {
            resources: &resources,
            parts: 0,
        };
        let mut functions = BTreeMap::new();
        for (path, ComponentExtern { ty, .. }) in kind.exports(engine) {
            match ty {
                ComponentItem::ComponentFunc(function) => {
                    let index = component.get_export_index(None, path);
                    let made = read(&mut reader, None, path, &function, index)?;
                    functions.insert(path.to_owned(), made);
                }
                ComponentItem::ComponentInstance(instance) => {
                    let inside = component.get_export_index(None, path);
                    for (name, ComponentExtern { ty, .. }) in instance.exports(engine) {
                        if let ComponentItem::ComponentFunc(function) = ty {
                            let index = component.get_export_index(inside.as_ref(), name);
                            let interface = Some(interface(path));
                            let made = read(&mut reader, interface, name, &function, index)?;
                            functions.insert(format!("{path}#{name}"), made);
                        }
                    }
                }
                _ => {}
            }
            if functions.len() > MOST_FUNCTIONS {
                return Err(format!("it has more than {MOST_FUNCTIONS} functions"));
            }
        }
        if functions.is_empty() {
            return Err("it exports no function; export an interface with some".to_owned());
        }
        Ok(Self {
            functions,
            resources,
            imports: imports.into_iter().collect(),
        })
    }

    /// As Lua gets it: a map with a list of functions.
    pub(crate) fn described(&self) -> Value {
        let functions = self.functions.iter().map(|(id, function)| {
            let mut entry = BTreeMap::from([
                ("id".to_owned(), Value::Text(id.clone())),
                ("name".to_owned(), Value::Text(function.name.clone())),
                ("kind".to_owned(), Value::Text(function.kind.to_owned())),
                ("label".to_owned(), Value::Text(function.label())),
                ("handles".to_owned(), Value::Bool(function.gives_handles())),
                (
                    "signature".to_owned(),
                    Value::Text(function.signature(&self.resources)),
                ),
            ]);
            if let Some(interface) = &function.interface {
                entry.insert("interface".to_owned(), Value::Text(interface.clone()));
            }
            if let Some(resource) = &function.resource {
                entry.insert("resource".to_owned(), Value::Text(resource.clone()));
            }
            Value::Map(entry)
        });
        let functions = ("functions".to_owned(), Value::List(functions.collect()));
        Value::Map(BTreeMap::from([functions]))
    }

    /// One line a function: `api.render(text: string) -> string`.
    pub(crate) fn signatures(&self) -> Vec<String> {
        self.functions
            .values()
            .map(|function| function.signature(&self.resources))
            .collect()
    }
}

impl Function {
    /// What it is called in messages: `render`, `document.title`.
    pub(crate) fn label(&self) -> String {
        match &self.resource {
            Some(resource) => format!("{resource}.{}", self.name),
            None => self.name.clone(),
        }
    }

    fn gives_handles(&self) -> bool {
        self.result.as_ref().is_some_and(Shape::has_handles)
    }

    fn signature(&self, resources: &[Resource]) -> String {
        let parameters: Vec<String> = self
            .parameters
            .iter()
            .filter(|(name, _)| self.kind != "method" || name != "self")
            .map(|(name, shape)| format!("{name}: {}", shape.text(resources)))
            .collect();
        let parameters = parameters.join(", ");
        let before = match (&self.resource, &self.interface) {
            (Some(resource), _) if self.kind == "method" => format!("{resource}:"),
            (Some(resource), _) => format!("{resource}."),
            (None, Some(interface)) => format!("{interface}."),
            (None, None) => String::new(),
        };
        let result = self.result.as_ref();
        let result = result.map_or(String::new(), |shape| {
            format!(" -> {}", shape.text(resources))
        });
        format!("{before}{}({parameters}){result}", self.name)
    }
}

fn resources(engine: &Engine, component: &Component) -> Vec<Resource> {
    let mut found = Vec::new();
    for (path, ComponentExtern { ty, .. }) in component.component_type().exports(engine) {
        match ty {
            ComponentItem::Resource(kind) => found.push(Resource {
                label: path.to_owned(),
                kind,
            }),
            ComponentItem::ComponentInstance(instance) => {
                let inside = instance.exports(engine);
                found.extend(
                    inside.filter_map(|(name, ComponentExtern { ty, .. })| match ty {
                        ComponentItem::Resource(kind) => Some(Resource {
                            label: format!("{}.{name}", interface(path)),
                            kind,
                        }),
                        _ => None,
                    }),
                );
            }
            _ => {}
        }
    }
    found
}

/// `api` of `acme:markdown/api@1.0.0`.
fn interface(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.split('@').next().unwrap_or(last).to_owned()
}

fn read(
    reader: &mut Reader<'_>,
    interface: Option<String>,
    path: &str,
    function: &ComponentFunc,
    index: Option<ComponentExportIndex>,
) -> Result<Function, String> {
    let (kind, resource, name) = parts(path);
    let problem = |problem: String| format!("its function `{path}`: {problem}");
    if function.async_() {
        return Err(problem(
            "it is async, which cannot be called yet; export it without".into(),
        ));
    }
    let parameters = function
        .params()
        .map(|(name, kind)| Ok((name.to_owned(), reader.read(&kind)?)))
        .collect::<Result<_, String>>()
        .map_err(problem)?;
    let results = function.results().collect::<Vec<_>>();
    let result = match &results[..] {
        [] => None,
        [one] => Some(reader.read(one).map_err(problem)?),
        _ => return Err(problem("it has more than one result".into())),
    };
    let resource = resource.map(|resource| match &interface {
        Some(interface) => format!("{interface}.{resource}"),
        None => resource.to_owned(),
    });
    Ok(Function {
        index: index.ok_or_else(|| problem("it is not exported".into()))?,
        interface,
        name: name.to_owned(),
        resource,
        kind,
        parameters,
        result,
    })
}

/// The kind of a function, the resource whose it is, and its own name.
fn parts(path: &str) -> (&'static str, Option<&str>, &str) {
    let split = |rest: &'static str| {
        let inner = path.strip_prefix(rest)?;
        inner.split_once('.')
    };
    if let Some(resource) = path.strip_prefix("[constructor]") {
        return ("constructor", Some(resource), "new");
    }
    if let Some((resource, name)) = split("[method]") {
        return ("method", Some(resource), name);
    }
    if let Some((resource, name)) = split("[static]") {
        return ("static", Some(resource), name);
    }
    ("function", None, path)
}
