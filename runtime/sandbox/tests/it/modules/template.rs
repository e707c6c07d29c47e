//! `template`.

use super::{denied, holds};
use crate::world::World;

#[test]
fn placeholders_of_both_forms_are_filled() {
    holds(
        &World::new(),
        r#"same(template.render("{{ name }} {{.name}} {{ .a.b }} {{- .a.b | upper }}", { name = "x", a = { b = "y" } }), "x x yY")
        same(template.render("{{ color }}{{ values.color }}"), "blueblue")
        same(template.render("{% for i in list %}{{ i }},{% endfor %}\n", { list = { 1, 2 } }), "1,2,\n")"#,
    );
    let ended = World::new().run("template.render('{{ missing }}')").ended();
    assert!(
        ended.contains("template.render: template:1: undefined value"),
        "{ended}"
    );
}

#[test]
fn a_file_is_rendered_as_granted() {
    let world = World::granting("files.read = ['{}/**']");
    world.write("t.conf", "port {{ .port }}\n");
    holds(
        &world,
        r#"same(template.render_file("{}/t.conf", { port = 80 }), "port 80\n")
        same(template.render_file("files/motd"), "carried\n")
        local none, why = template.render_file("{}/none") same(none, nil) assert(why)"#,
    );
    denied("files.read", "template.render_file('/etc/hostname')");
}

#[test]
fn file_ops_template_takes_the_older_form_too() {
    let world = World::granting("files.read = ['{}/**']\nfiles.write = ['{}/**']");
    super::changes_once(
        &world,
        "file_ops.template({ content = 'a {{ .b }}', dest = '{}/out', vars = { b = 'c' } })",
    );
    assert_eq!(world.read("out"), "a c");
}
