//! The library's modules that are written in Lua over the others: each function at least once, what changes
//! something twice, and what is not granted.

mod cron;
mod crypto;
mod data;
mod git;
mod http;
mod infra_test;
mod io;
mod reliability;
mod strings;
mod sysctl;
mod template;
mod time;
mod toml;

use crate::world::World;

/// Runs lines of Lua that must all be true; `{}` in them stands for the folder.
#[track_caller]
fn holds(world: &World, body: &str) {
    let ran = world.run(&format!("local function same(a, b) if a ~= b then error(('%s is not %s'):format(a, b), 2) end end\n{body}"));
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
}

/// Runs a call twice: the first changes something, the second does not.
#[track_caller]
fn changes_once(world: &World, call: &str) {
    let body = format!(
        "local r, why = {call} if not r then return false, why end return true, nil, {{ changed = r.changed }}"
    );
    let first = world.run(&body);
    assert_eq!(first.outputs(), r#"{"changed":true}"#, "{call}");
    let second = world.run(&body);
    assert_eq!(second.outputs(), r#"{"changed":false}"#, "{call}");
    assert_eq!(second.ended(), "ok: ", "{call}");
}

/// A call that nothing is granted for is refused, and says what is missing.
#[track_caller]
fn denied(capability: &str, call: &str) {
    let ended = World::new().run(call).ended();
    assert!(
        ended.starts_with(&format!("denied: {capability} is not granted for ")),
        "{call}: {ended}"
    );
}

#[test]
fn an_unknown_function_of_each_module_names_the_nearest() {
    for (call, nearest) in [
        ("strings.trimm('x')", "trim"),
        ("data.parse_jsn('x')", "parse_json"),
        ("yaml.decod('x')", "decode"),
        ("toml.decod('x')", "decode"),
        ("template.rendr('x')", "render"),
        ("crypto.sha265('x')", "sha256"),
        ("time.nwo()", "now"),
        ("io.opn('x')", "open"),
        ("git.clon({ })", "clone"),
        ("http.psot('x')", "post"),
        ("net.http_gte('x')", "http_get"),
        ("cron.ad({ })", "add"),
        ("sysctl.gte('x')", "get"),
        ("systemd.strat('x')", "start"),
        ("infra_test.file_exist('x')", "file_exists"),
        ("reliability.retr(1)", "retry"),
        ("state.incremen(1)", "increment"),
        ("event.dispach(1)", "dispatch"),
        ("pkg.instal('x')", "install"),
        ("user.creat('x')", "create"),
        ("group.creat('x')", "create"),
    ] {
        let ended = World::new().run(call).ended();
        assert!(
            ended.contains(&format!("did you mean `{nearest}`?")),
            "{call}: {ended}"
        );
    }
}

#[test]
fn require_gives_the_same_modules() {
    holds(
        &World::new(),
        "for name in ('strings data yaml toml template crypto time io git cron sysctl infra_test reliability state event http net pkg user group systemd service'):gmatch('%S+') do
             same(require(name), _G[name])
         end",
    );
}
