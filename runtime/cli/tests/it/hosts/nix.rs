//! Nix itself, with a store of its own, no network, and a nixpkgs of three packages.

use super::layer::Root;
use super::messages;

const NIXPKGS: &str = r#"
{ outputs = { self }: let
    make = pname: version: description: (derivation {
      name = "${pname}-${version}"; system = "x86_64-linux"; builder = "/bin/sh";
      args = [ "-c" "/bin/mkdir -p $out/bin; echo '#!/bin/sh' >$out/bin/${pname}" ];
    }) // { inherit version pname; meta = { inherit description; homepage = "https://example.org"; }; };
  in { legacyPackages.x86_64-linux = {
    hello = make "hello" "2.12.1" "A friendly program";
    other = make "other" "1.0" "Another";
    python3Packages.requests = make "requests" "2.31.0" "Requests";
  }; };
}
"#;

const STORY: &str = "
    local function of(name) return { packages = name, manager = 'nix' } end
    log.info('manager', pkg.list({ manager = 'nix' })[1] == nil)
    log.info('before', pkg.is_installed(of('hello')), select(2, pkg.version(of('hello'))))
    log.info(pkg.install(of('hello')).message)
    log.info('again', pkg.install(of('hello')).changed)
    log.info('after', pkg.is_installed(of('hello')))
    log.info(pkg.install(of('python3Packages.requests')).message)
    log.info('info', pkg.info(of('hello')).summary, pkg.search({ query = 'friendly', manager = 'nix' })[1].name)
    log.info('unknown', pkg.install(of('nothing')))
    log.info('list', #pkg.list({ manager = 'nix' }))
    log.info(pkg.remove(of('hello')).message)
    log.info('again', pkg.remove(of('hello')).changed)
    log.info('left', pkg.is_installed(of('hello')), pkg.is_installed(of('python3Packages.requests')))
";

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT and nix at SLOTH_TEST_NIX: .ci/run makes them"]
fn nix_installs_and_removes_what_is_granted() {
    let root = Root::new();
    let nix =
        std::env::var_os("SLOTH_TEST_NIX").expect("SLOTH_TEST_NIX names a folder of packages");
    root.carry(&nix);
    root.write("srv/nixpkgs/flake.nix", NIXPKGS);
    root.write(
        "etc/nix/nix.conf",
        "build-users-group =\nsandbox = false\nsubstituters =\nflake-registry = /etc/nix/empty.json\n",
    );
    root.write("etc/nix/empty.json", r#"{"version":2,"flakes":[]}"#);
    root.write(
        "etc/nix/registry.json",
        r#"{"version":2,"flakes":[{"from":{"type":"indirect","id":"nixpkgs"},"to":{"type":"path","path":"/srv/nixpkgs"}}]}"#,
    );
    root.policy(
        "packages.query = ['*']\npackages.install = ['hello', 'python3Packages.*', 'nothing']\npackages.remove = ['hello']",
    );
    root.task("story", STORY);
    let ended = root.run(
        "dpkg -i --force-depends /srv/packages/*.deb >/dev/null 2>&1 || dpkg -s nix-bin
         mkdir -p /nix/var/nix/profiles
         sloth story",
    );
    let told = messages(&ended.stdout);
    assert_eq!(
        told,
        [
            "manager true",
            "before false 2.12.1",
            "install hello 2.12.1",
            "again false",
            "after true 2.12.1",
            "install python3Packages.requests 2.31.0",
            "info A friendly program hello",
            told.get(7).map_or("", String::as_str),
            "list 2",
            "remove hello 2.12.1",
            "again false",
            "left false true 2.31.0",
        ],
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(told[7].contains("nothing"), "{told:?}");
}
