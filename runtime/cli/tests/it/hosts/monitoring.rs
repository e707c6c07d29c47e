//! What Prometheus's own tool says of what services serve, and of the example's files.

use std::process::{Command, Stdio};

use crate::program::root;
use crate::telemetry::watched;

/// Runs promtool; gives what it complained of.
fn promtool(arguments: &[&str], input: &str) -> String {
    let tool = std::env::var("SLOTH_TEST_PROMTOOL").expect("SLOTH_TEST_PROMTOOL names promtool");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    std::fs::write(&file, input).unwrap();
    let done = Command::new(tool)
        .args(arguments)
        .current_dir(root().join("examples/monitoring"))
        .stdin(std::fs::File::open(file).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let (told, complained) = (
        String::from_utf8_lossy(&done.stdout).into_owned(),
        String::from_utf8_lossy(&done.stderr).into_owned(),
    );
    assert!(done.status.success(), "{arguments:?}: {told}{complained}");
    complained
}

#[test]
#[ignore = "needs promtool at SLOTH_TEST_PROMTOOL: .ci/run provides it"]
fn promtool_finds_nothing_in_what_services_serve() {
    let (fleet, master, agent) = watched("process.run = ['echo **']");
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('a\"b\\\\c'):tasks({
           task('t'):command(function() exec.run('echo hi') return exec.run('cat /etc/shadow').success end),
         })",
    );
    let (_, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(code, Some(3), "{said}");
    for port in [master, agent] {
        let text = port.text();
        assert!(text.contains("sloth_tasks_total{"), "{text}");
        assert_eq!(promtool(&["check", "metrics"], &text), "", "{text}");
    }
}

#[test]
#[ignore = "needs promtool at SLOTH_TEST_PROMTOOL: .ci/run provides it"]
fn promtool_takes_the_example_and_its_rules() {
    promtool(&["check", "config", "prometheus.yml"], "");
    promtool(&["check", "rules", "rules.yml"], "");
    promtool(&["test", "rules", "rules-test.yml"], "");
}
