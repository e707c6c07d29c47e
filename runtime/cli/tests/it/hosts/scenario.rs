//! A whole machine from nothing to a page that is served, as an operator would do it.

use super::messages;
use super::root::{Ended, Host};

const WORKFLOW: &str = include_str!("scenario/workflow.sloth");
const TEMPLATE: &str = include_str!("scenario/templates/site.conf");
const POLICY: &str = include_str!("scenario/policy.toml");

/// Makes a folder of packages into a repository, and the only one.
const REPOSITORY: &str = r#"
cd /srv/debs
for file in *.deb; do
    dpkg-deb -f "$file"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" \
        "$(sha256sum "$file" | cut -d' ' -f1)"
done >/tmp/Packages
mv /tmp/Packages Packages
rm -rf /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/debs ./' >/etc/apt/sources.list
apt-get -q update
"#;

fn run(host: &Host, policy: &str, arguments: &[&str]) -> Ended {
    let mut command = vec!["sloth-runner", "run", "web", "-f", "/root/workflow.sloth"];
    command.extend(["--policy", policy, "--yes", "--output", "json"]);
    command.extend(arguments);
    host.run(&command)
}

/// Summaries of changes, in the order they were told.
fn changes(ended: &Ended) -> Vec<String> {
    ended
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "change")
        .filter_map(|event| Some(event["summary"].as_str()?.to_owned()))
        .collect()
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn a_web_server_comes_from_nothing_and_changes_only_when_asked_to() {
    let host = Host::boot();
    host.carry_packages("/srv/debs");
    host.must(&["sh", "-euc", REPOSITORY]);
    host.write("root/workflow.sloth", WORKFLOW);
    host.write("root/templates/site.conf", TEMPLATE);
    host.write("root/policy.toml", POLICY);
    let policy = "/root/policy.toml";

    // What a package will bring is not known before it is there, so what builds on it cannot be foretold.
    let first_three = ["package", "account", "page"].map(|task| ["--task", task]);
    let options = [&["--check", "--diff"], first_three.as_flattened()].concat();
    let checked = run(&host, policy, &options);
    assert!(!host.has("/usr/sbin/nginx"), "{checked:?}");
    assert!(!host.has("/srv/site"), "{checked:?}");
    assert_eq!(checked.code, Some(5), "{checked:?}");

    let learned = "/root/learned.toml";
    let first = run(&host, policy, &["--learn", learned]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(messages(&first.stdout), ["200 one <h1>Hello</h1>"]);
    assert_eq!(host.must(&["id", "-un", "site"]).trim(), "site");
    let text = host.read(learned);
    assert!(!text.contains("**"), "{text}");

    let second = run(&host, policy, &[]);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(changes(&second), Vec::<String>::new(), "{second:?}");
    let settled = run(&host, policy, &["--check", "--diff"]);
    assert_eq!(settled.code, Some(0), "{settled:?}");

    // One line: exactly that is told beforehand, and done.
    let other = ["--var", "header=two"];
    let foretold = run(&host, policy, &["--check", "--diff", "--var", "header=two"]);
    assert_eq!(foretold.code, Some(5), "{foretold:?}");
    assert!(
        foretold
            .stdout
            .contains("-    add_header X-Served one;\\n+    add_header X-Served two;"),
        "{foretold:?}"
    );
    let changed = run(&host, policy, &other);
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert_eq!(changes(&changed).len(), 2, "{changed:?}");
    assert_eq!(messages(&changed.stdout), ["200 two <h1>Hello</h1>"]);

    // What was learned is enough for the same again.
    let again = run(&host, learned, &other);
    assert_eq!(again.code, Some(0), "{again:?}\n{text}");

    let verified = host.must(&["sloth-runner", "audit", "verify"]);
    assert!(verified.contains("records"), "{verified}");
    host.must(&["sh", "-euc", TAMPER]);
    let broken = host.run(&["sloth-runner", "audit", "verify"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
}

/// Changes one letter of one record.
const TAMPER: &str = r"
file=$(ls $HOME/.local/share/sloth-runner/audit/*.jsonl | head -1)
sed -i '3s/nginx/nginy/;4s/nginx/nginy/;5s/nginx/nginy/' $file
";
