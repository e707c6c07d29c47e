//! `wasi:http`: what a plugin sends through WASI is held against the grants as `http.send` is.

use std::path::Path;
use std::sync::Arc;

use sloth_sandbox::plugin::shelf::Shelf;
use sloth_workflow::Outcome;

use crate::server::{Server, says};
use crate::trail::Kept;
use crate::world::{Ran, World};

const WEB: &[u8] = include_bytes!("../plugins/web.wasm");

fn world(policy: &str) -> World {
    let mut world = World::granting(policy);
    world.node.plugins = world.path("plugins").into();
    let folder = Path::new(&world.node.plugins);
    Shelf::open(folder).unwrap().put("web", WEB).unwrap();
    world
}

fn granted(port: u16) -> String {
    let send =
        format!("http.send = ['http://127.0.0.1:{port}/a/**']\nhttp.addresses = ['127.0.0.1']");
    format!("plugins.call = ['web']\n{send}\n[plugin.web]\n{send}")
}

fn fetch(world: &World, method: &str, port: u16, path: &str, body: &str) -> Ran {
    world.run(&format!(
        "local web = plugin('web')
         local answer = web.fetch({{ method = '{method}', tls = false, authority = '127.0.0.1:{port}', path = '{path}',
           body = {body} }})
         return true, nil, {{ answer = answer }}"
    ))
}

#[test]
fn a_request_goes_where_both_grant_and_is_told_if_it_acts() {
    let server = Server::plain(|_| says("200 OK", "", "content"));
    let mut world = world(&granted(server.port));
    let kept = Arc::new(Kept::default());
    world.witness.audit = Some(kept.clone());
    let ran = fetch(&world, "GET", server.port, "/a/x", "nil");
    assert_eq!(ran.outputs(), r#"{"answer":"200 content"}"#);
    assert!(ran.changes().is_empty());
    let ran = fetch(&world, "POST", server.port, "/a/y", "'hello'");
    assert_eq!(ran.finished.outcome, Outcome::Changed, "{}", ran.ended());
    let told = format!("web: POST http://127.0.0.1:{}/a/y: 200 OK", server.port);
    assert_eq!(ran.changes(), [told]);
    assert!(server.heard().iter().any(|heard| heard.contains("hello")));
    // In check mode what acts is not sent.
    world.check = true;
    let before = server.heard().len();
    let ran = fetch(&world, "POST", server.port, "/a/y", "'hello'");
    assert!(!ran.finished.outcome.succeeded());
    assert_eq!(server.heard().len(), before);
}

#[test]
fn what_is_not_granted_is_not_sent() {
    let server = Server::plain(|_| says("302 Found", "Location: /b/\r\n", ""));
    let port = server.port;
    let world_of = |policy: &str| world(policy);
    let refused = |world: &World, path: &str| {
        let ran = fetch(world, "GET", port, path, "nil");
        assert_eq!(ran.finished.outcome, Outcome::Denied, "{}", ran.ended());
        assert!(server.heard().is_empty());
        ran.denials()[0].clone()
    };
    assert_eq!(
        refused(&world_of(&granted(port)), "/b").capability,
        "http.send"
    );
    let send =
        format!("http.send = ['http://127.0.0.1:{port}/a/**']\nhttp.addresses = ['127.0.0.1']");
    let own = format!("plugins.call = ['web']\n{send}");
    assert_eq!(refused(&world_of(&own), "/a/x").layer.name(), "plugin");
    let caller = format!("plugins.call = ['web']\n[plugin.web]\n{send}");
    assert_eq!(refused(&world_of(&caller), "/a/x").layer.name(), "policy");
    // A redirect is an answer.
    let ran = fetch(&world_of(&granted(port)), "GET", port, "/a/x", "nil");
    assert_eq!(ran.outputs(), r#"{"answer":"302 "}"#);
    // What a body makes of a request that only looks was not asked for.
    let before = server.heard().len();
    let ran = fetch(&world_of(&granted(port)), "GET", port, "/a/x", "'hello'");
    assert!(!ran.finished.outcome.succeeded(), "{}", ran.ended());
    assert_eq!(server.heard().len(), before);
}
