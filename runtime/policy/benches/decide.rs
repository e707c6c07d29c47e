//! What one decision costs at 64 grants. Every row must show no allocation.

use divan::{AllocProfiler, Bencher, black_box};
use sloth_policy::{Capability, Effective, Invocation, Peer, Policy, Url};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// 64 path entries of one shape, beside a deny line and protected folders.
fn paths(entry: impl Fn(usize) -> String) -> Effective {
    let entries: Vec<String> = (0..64)
        .map(|index| format!("\"{}\"", entry(index)))
        .collect();
    effective(&format!(
        "[files]\nwrite = [{}]\n[deny]\nfiles.write = [\"**/*.key\"]",
        entries.join(", ")
    ))
}

fn effective(grants: &str) -> Effective {
    let policy = Policy::parse(&format!("version = 1\n{grants}"), "policy.toml")
        .expect("the policy is well formed");
    let protected = vec!["/var/lib/sloth".to_owned(), "/etc/sloth".to_owned()];
    Effective::new(&policy, "", &[], protected)
}

fn write(bencher: Bencher<'_, '_>, effective: &Effective, path: &str) {
    bencher.bench_local(|| effective.path(Capability::FilesWrite, black_box(path)));
}

#[divan::bench]
fn folder_granted(bencher: Bencher<'_, '_>) {
    let effective = paths(|index| format!("/srv/site-{index}/public/**"));
    write(bencher, &effective, "/srv/site-41/public/assets/index.html");
}

/// The workflow declares what the policy grants, so each of 64 is asked twice.
#[divan::bench]
fn folder_declared_and_granted(bencher: Bencher<'_, '_>) {
    let entries: Vec<String> = (0..64)
        .map(|index| format!("\"/srv/site-{index}/public/**\""))
        .collect();
    let text = format!("version = 1\nfiles.write = [{}]", entries.join(", "));
    let policy = Policy::parse(&text, "policy.toml").expect("the policy is well formed");
    let declaration = policy.grants_for("");
    let effective = Effective::new(&policy, "", &[declaration], Vec::new());
    write(bencher, &effective, "/srv/site-41/public/assets/index.html");
}

#[divan::bench]
fn folder_refused(bencher: Bencher<'_, '_>) {
    let effective = paths(|index| format!("/srv/site-{index}/public/**"));
    write(
        bencher,
        &effective,
        "/srv/site-41/private/assets/index.html",
    );
}

#[divan::bench]
fn single_path_granted(bencher: Bencher<'_, '_>) {
    let effective = paths(|index| format!("/etc/application-{index}/settings.toml"));
    write(bencher, &effective, "/etc/application-41/settings.toml");
}

#[divan::bench]
fn glob_granted_last(bencher: Bencher<'_, '_>) {
    let effective = paths(|index| format!("/srv/site-{index}/*/index.html"));
    write(bencher, &effective, "/srv/site-63/public/index.html");
}

#[divan::bench]
fn mixed_granted(bencher: Bencher<'_, '_>) {
    let effective = paths(|index| match index % 4 {
        0 => format!("/etc/application-{index}/settings.toml"),
        1 => format!("/srv/site-{index}/*.html"),
        _ => format!("/srv/site-{index}/public/**"),
    });
    write(bencher, &effective, "/srv/site-61/index.html");
}

#[divan::bench]
fn command_granted_last(bencher: Bencher<'_, '_>) {
    let entries: Vec<String> = (0..64)
        .map(|index| format!("\"/usr/bin/tool-{index} sync --from * **\""))
        .collect();
    let effective = effective(&format!("[process]\nrun = [{}]", entries.join(", ")));
    let arguments = ["sync", "--from", "/srv/a", "--to", "/srv/b"].map(str::to_owned);
    bencher.bench_local(|| {
        effective.command(black_box(&Invocation {
            program: "/usr/bin/tool-63",
            found_as: Some("tool-63"),
            arguments: &arguments,
        }))
    });
}

#[divan::bench]
fn url_granted_last(bencher: Bencher<'_, '_>) {
    let entries: Vec<String> = (0..64)
        .map(|index| format!("\"https://*.site-{index}.example.org/v1/**\""))
        .collect();
    let effective = effective(&format!("[http]\nsend = [{}]", entries.join(", ")));
    let url = Url::parse("https://api.site-63.example.org/v1/items/4711?full=1")
        .expect("the URL is well formed");
    bencher.bench_local(|| effective.url(black_box(&url)));
}

#[divan::bench]
fn address_granted_last(bencher: Bencher<'_, '_>) {
    let entries: Vec<String> = (0..64)
        .map(|index| format!("\"10.{index}.0.0/16\", \"*.site-{index}.example.org\""))
        .collect();
    let effective = effective(&format!("[http]\naddresses = [{}]", entries.join(", ")));
    let url = Url::parse("https://api.site-63.example.org/").expect("the URL is well formed");
    let address = Some("10.63.1.2".parse().expect("it is an address"));
    bencher.bench_local(|| {
        effective.peer(black_box(Peer {
            url: &url,
            address,
            here: false,
        }))
    });
}

#[divan::bench]
fn name_granted_last(bencher: Bencher<'_, '_>) {
    let entries: Vec<String> = (0..64)
        .map(|index| format!("\"VARIABLE_{index}_*\""))
        .collect();
    let effective = effective(&format!("[environment]\nread = [{}]", entries.join(", ")));
    bencher
        .bench_local(|| effective.name(Capability::EnvironmentRead, black_box("VARIABLE_63_NAME")));
}
