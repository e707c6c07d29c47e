//! Real package managers: apt with a folder of small packages, and dnf with another.

use super::layer::Root;
use super::messages;

/// `deb NAME VERSION [DEPENDS [FIELD]]` makes a package, `index` tells apt of all.
const DEBIAN: &str = r#"
deb() {
    made=/tmp/made/$1-$2
    mkdir -p "$made/DEBIAN" "$made/usr/share/$1" /srv/debs
    echo "$2" >"$made/usr/share/$1/version"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: T <t@example.org>\n' "$1" "$2"
        [ -z "${3:-}" ] || echo "Depends: $3"
        [ -z "${4:-}" ] || echo "$4"
        printf 'Description: test %s\n Long text.\n' "$1"
    } >"$made/DEBIAN/control"
    dpkg-deb -b "$made" "/srv/debs/$1_$2_all.deb" >/dev/null
}
index() {
    cd /srv/debs
    for file in *.deb; do
        dpkg-deb -f "$file"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" \
            "$(sha256sum "$file" | cut -d' ' -f1)"
    done >/tmp/Packages
    mv /tmp/Packages Packages
    cd /
}
rm -rf /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/debs ./' >/etc/apt/sources.list
deb sloth-lib 1.0
deb sloth-site 1.0 sloth-lib
deb sloth-rival 1.0 '' 'Conflicts: sloth-lib'
index
"#;

/// The same for dnf, which runs on Debian as well.
const FEDORA: &str = r"
rpm_() {
    mkdir -p /srv/rpms
    cat >/tmp/$1.spec <<END
Name: $1
Version: $2
Release: 1
Summary: test $1
License: MIT
BuildArch: noarch
${3:-}
%description
Long text.
%files
END
    rpmbuild --define '_rpmdir /srv/rpms' --define '_topdir /tmp/rpmbuild' -bb /tmp/$1.spec >/dev/null 2>&1
    createrepo_c -q /srv/rpms
}
rm -rf /etc/yum.repos.d
mkdir -p /etc/yum.repos.d
printf '[sloth]\nname=sloth\nbaseurl=file:///srv/rpms\ngpgcheck=0\n' >/etc/yum.repos.d/sloth.repo
rpm_ sloth-lib 1.0
rpm_ sloth-site 1.0 'Requires: sloth-lib'
";

/// Steps through what a node's packages go through; `OPTIONS` is the manager.
const STORY: &str = "
    local m = 'MANAGER'
    local function of(name) return { packages = name, manager = m } end
    log.info('refresh', pkg.update({ manager = m }).changed, pkg.update({ manager = m }).changed)
    log.info('before', pkg.is_installed(of('sloth-site')))
    log.info(pkg.install(of('sloth-site')).message)
    log.info('again', pkg.install(of('sloth-site')).changed)
    log.info('after', pkg.is_installed(of('sloth-site')))
    log.info('info', pkg.info(of('sloth-site')).description, #pkg.search({ query = 'sloth-site', manager = m }))
    log.info('unknown', pkg.install(of('sloth-nothing')))
    log.info('remove', pcall(pkg.remove, of('sloth-lib')))
";

fn root(lines: &str) -> Root {
    let root = Root::new();
    root.policy(&format!(
        "packages.query = ['*']\npackages.refresh = ['*']\npackages.upgrade = ['*']\n{lines}\n"
    ));
    root
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn apt_installs_upgrades_and_removes_what_is_granted() {
    let root = root(
        "packages.install = ['sloth-site', 'sloth-nothing', 'sloth-lib', 'sloth-rival']\npackages.remove = ['sloth-lib']",
    );
    root.task("story", &STORY.replace("MANAGER", "apt"));
    root.task(
        "upgrade",
        "log.info(pkg.upgrade().message) log.info(pkg.upgrade().changed)
         log.info(pkg.install({ packages = 'sloth-lib', version = '1.0' }).message)
         log.info(pkg.version('sloth-lib'))
         log.info(select(2, pkg.install({ packages = 'sloth-lib', version = '9' })))",
    );
    root.task(
        "held",
        "log.info(select(2, pkg.upgrade('sloth-lib'))) log.info(pkg.upgrade().changed)",
    );
    root.task(
        "rival",
        "log.info('rival', pcall(pkg.install, 'sloth-rival'))",
    );
    let ended = root.run(&format!(
        "{DEBIAN}
         sloth story
         deb sloth-lib 2.0; index; apt-get -qq update
         sloth upgrade --diff
         apt-mark hold sloth-lib >/dev/null
         sloth held
         apt-mark unhold sloth-lib >/dev/null
         sloth rival
         dpkg-query -W sloth-lib sloth-site"
    ));
    let told = messages(&ended.stdout);
    assert_eq!(
        told[..7],
        [
            "refresh true false",
            "before false nil",
            "install sloth-lib 1.0, sloth-site 1.0",
            "again false",
            "after true 1.0",
            "info Long text. 1",
            told[6].as_str(),
        ],
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(told[6].contains("pkg.update()"), "{told:?}");
    assert!(
        told[7].contains("packages.remove is not granted for sloth-site"),
        "{told:?}"
    );
    assert_eq!(
        told[8..12],
        [
            "change sloth-lib 1.0 to 2.0",
            "false",
            "change sloth-lib 2.0 to 1.0",
            "1.0 2.0"
        ],
        "{told:?}"
    );
    assert!(
        told[12].contains("Version '9' for 'sloth-lib' was not found"),
        "{told:?}"
    );
    assert!(told[13].contains("apt-mark unhold sloth-lib"), "{told:?}");
    assert_eq!(told[14], "false");
    assert!(
        told[15].contains("packages.remove is not granted for sloth-site"),
        "{told:?}"
    );
    assert!(ended.stdout.contains("+sloth-lib 2.0"), "{}", ended.stdout);
    assert!(
        ended.stdout.ends_with("sloth-lib\t1.0\nsloth-site\t1.0\n"),
        "{}",
        ended.stdout
    );
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn apt_in_check_mode_changes_nothing_and_tells_all() {
    let root = root("packages.install = ['sloth-site']");
    root.task(
        "check",
        "log.info(pkg.install('sloth-site').message, pkg.is_installed('sloth-lib'))",
    );
    let ended = root.run(&format!(
        "{DEBIAN}
         apt-get -qq update
         sloth check --check
         dpkg-query -W sloth-site || echo none"
    ));
    assert_eq!(
        messages(&ended.stdout),
        ["install sloth-lib 1.0, sloth-site 1.0 true 1.0"],
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(ended.stdout.ends_with("none\n"), "{}", ended.stdout);
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn apt_waits_for_another_and_names_it() {
    let root = root("packages.install = ['sloth-lib']");
    root.task("short", "log.info(pkg.install('sloth-lib'))");
    root.write(
        "root/short.sloth",
        "workflow.define('w'):tasks({ task('t'):timeout('4s'):command(function()
            log.info(pkg.install('sloth-lib')) end):build() })",
    );
    root.task("long", "log.info(pkg.install('sloth-lib').changed)");
    let hold = "python3 -c 'import fcntl, sys, time
file = open(\"/var/lib/dpkg/lock-frontend\", \"w\")
fcntl.lockf(file, fcntl.LOCK_EX)
time.sleep(float(sys.argv[1]))'";
    let ended = root.run(&format!(
        "{DEBIAN}
         apt-get -qq update
         {hold} 30 & holder=$!; sleep 1
         sloth short
         kill $holder; wait $holder || true
         {hold} 3 & sleep 1
         sloth long"
    ));
    let told = messages(&ended.stdout);
    assert!(
        told[0].starts_with("waiting to install sloth-lib: process ")
            && told[0].contains("(python3)"),
        "{told:?} {}",
        ended.stderr
    );
    assert!(
        told[1].contains("did not end within the task's time"),
        "{told:?}"
    );
    assert_eq!(told.last().unwrap(), "true", "{told:?}");
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn dnf_installs_upgrades_and_removes_what_is_granted() {
    let root = root(
        "packages.install = ['sloth-site', 'sloth-nothing', 'sloth-lib']\npackages.remove = ['sloth-lib']",
    );
    root.task("story", &STORY.replace("MANAGER", "dnf"));
    root.task(
        "upgrade",
        "log.info(pkg.upgrade({ manager = 'dnf' }).message) log.info(pkg.upgrade({ manager = 'dnf' }).changed)
         log.info(pkg.install({ packages = 'sloth-lib', version = '1.0', manager = 'dnf' }).message)
         log.info(pkg.version({ packages = 'sloth-lib', manager = 'dnf' }))",
    );
    root.write(
        "root/lock.sloth",
        "workflow.define('w'):tasks({ task('t'):timeout('15s'):command(function()
            log.info(pkg.upgrade({ packages = 'sloth-lib', manager = 'dnf' })) end):build() })",
    );
    let ended = root.run(&format!(
        "{FEDORA}
         sloth story
         rpm_ sloth-lib 2.0
         dnf -q makecache --refresh
         sloth upgrade
         sleep 60 & holder=$!
         echo $holder >/var/cache/dnf/metadata_lock.pid
         sloth lock
         kill $holder
         rpm -q sloth-lib sloth-site"
    ));
    let told = messages(&ended.stdout);
    assert_eq!(
        told[..6],
        [
            "refresh true false",
            "before false nil",
            "install sloth-site 1.0-1, sloth-lib 1.0-1",
            "again false",
            "after true 1.0-1",
            "info Long text. 1",
        ],
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(told[6].contains("pkg.update()"), "{told:?}");
    assert!(
        told[7].contains("packages.remove is not granted for sloth-site"),
        "{told:?}"
    );
    assert_eq!(
        told[8..12],
        [
            "change sloth-lib 1.0-1 to 2.0-1",
            "false",
            "change sloth-lib 2.0-1 to 1.0-1",
            "1.0-1 2.0-1"
        ],
        "{told:?}"
    );
    assert!(
        told.iter().any(|line| line.contains("did not end within")),
        "{told:?}"
    );
    assert!(
        ended.stdout.contains("sloth-lib-1.0-1.noarch"),
        "{}",
        ended.stdout
    );
}
