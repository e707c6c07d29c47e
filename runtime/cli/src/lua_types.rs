//! `lua-types`: what workflow files can call, as annotations for editors.

use serde_json::json;

use crate::command::{LuaTypesOptions, Output, Shared};
use crate::exit::Exit;
use crate::{library, render};

pub(crate) fn lua_types(shared: &Shared, _: &LuaTypesOptions) -> Exit {
    let text = library::types(&library::modules());
    match shared.output {
        Output::Text => render::bytes(text.as_bytes()),
        Output::Json => render::line(&render::json_line(&json!({ "text": text }))),
    }
    Exit::Succeeded
}
