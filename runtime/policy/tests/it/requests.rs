//! URLs and addresses: how they are read, and which the lines of a policy cover.

use proptest::prelude::*;
use sloth_policy::{
    Capability, Decision, Effective, Host, Layer, Network, Peer, Policy, Url, UrlPattern,
};

use crate::properties::hostile;
use crate::{declaration_of, declared, under};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|reason| panic!("{text} {reason}"))
}

fn sends(effective: &Effective, text: &str) -> bool {
    effective.url(&url(text)).is_allowed()
}

fn reaches(effective: &Effective, text: &str, address: &str) -> Decision {
    let address = address.parse().expect("it is an address");
    effective.peer(Peer {
        url: &url(text),
        address: Some(address),
        here: false,
    })
}

#[test]
fn an_address_of_this_machine_is_not_the_internets_however_it_is_routed() {
    let to = url("http://192.0.43.8/");
    let decided = |policy: &str, here| {
        under(policy).peer(Peer {
            url: &to,
            address: None,
            here,
        })
    };
    assert_eq!(decided("", false), Decision::Allowed);
    assert_eq!(decided("", true), Decision::Refused(Layer::Policy));
    let granted = "[http]\naddresses = ['192.0.43.8']";
    assert_eq!(decided(granted, true), Decision::Allowed);
}

#[test]
fn a_url_has_one_form() {
    for (text, form) in [
        ("https://API.Example.ORG", "https://api.example.org/"),
        ("HTTPS://example.org:443/a", "https://example.org/a"),
        ("http://example.org:80?x=1#y", "http://example.org/?x=1"),
        ("http://example.org:8080/", "http://example.org:8080/"),
        (
            "https://x.y/%7euser/%41%2f%c3%bc",
            "https://x.y/~user/A%2F%C3%BC",
        ),
        (
            "https://x.y/ü?q=ä&a[]=1",
            "https://x.y/%C3%BC?q=%C3%A4&a%5B%5D=1",
        ),
        ("https://x.y/a//b/", "https://x.y/a//b/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://[::FFFF:127.0.0.1]/", "http://127.0.0.1/"),
        ("http://[::ffff:7f00:1]:1/", "http://127.0.0.1:1/"),
        ("http://[2001:DB8:0:0::1]/", "http://[2001:db8::1]/"),
        ("https://x.y/a?b=/../c", "https://x.y/a?b=/../c"),
        (
            "https://under_score.example/",
            "https://under_score.example/",
        ),
    ] {
        assert_eq!(url(text).to_string(), form, "{text}");
        assert_eq!(url(form), url(text), "{text}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for text in [
        "",
        "example.org",
        "//example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http:example.org",
        "http:///path",
        "http://",
        "https://granted.example@evil.example/",
        "https://granted.example:443@evil.example/",
        "https://granted.example%40evil.example/",
        "https://granted.example\\@evil.example/",
        "https://granted.example\\.evil.example/",
        "https://granted.example/\\..\\x",
        "https://gran ted.example/",
        "https://x.y/a b",
        "https://x.y/a\r\nHost: evil",
        "https://x.y/\u{0}",
        "https://x.y/%00",
        "https://x.y/%",
        "https://x.y/%zz",
        "https://x.y/%4",
        "https://x.y/a/../b",
        "https://x.y/a/.",
        "https://x.y/a/%2e%2e/b",
        "https://x.y/a/.%2E/b",
        "https://x.y/a/..%2fb",
        "https://x.y/a/..%5cb",
        "https://x.y/a/%252e%252e/b",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.01/",
        "http://1.2.3.4.5/",
        "http://256.0.0.1/",
        "http://evil.0x/",
        "http://127.0.0.1./",
        "http://example.org./",
        "http://.example.org/",
        "http://a..b/",
        "http://[::1/",
        "http://[::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://[::1]evil/",
        "http://::1/",
        "http://x:0/",
        "http://x:080/",
        "http://x:65536/",
        "http://x:+80/",
        "http://x:/",
        "http://x:80:80/",
        "http://exämple.org/",
        "http://ⓛocalhost/",
        "http://x\u{2024}y/",
    ] {
        assert!(
            Url::parse(text).is_err(),
            "{text:?} is {:?}",
            Url::parse(text)
        );
    }
    assert!(Url::parse(&format!("http://x/{}", "a".repeat(9000))).is_err());
    assert!(Url::parse(&format!("http://{}.x/", "a".repeat(64))).is_err());
}

#[test]
fn a_line_covers_what_it_spells() {
    let effective = under(
        "[http]\nsend = [\"https://api.example.org/v1/**\", \"https://*.cdn.example\", \
         \"http://10.0.0.1:*/x/*/y\", \"https://host.example:8443/only\", \
         \"https://lit.example/a\\\\*b\"]",
    );
    for text in [
        "https://api.example.org/v1",
        "https://api.example.org/v1/",
        "https://API.example.org:443/v1/a/b?token=x",
        "https://api.example.org/%761/a",
        "https://a.cdn.example/",
        "https://a.b.cdn.example/any",
        "http://10.0.0.1/x/1/y",
        "http://10.0.0.1:9000/x/%2F/y",
        "https://host.example:8443/only",
        "https://lit.example/a*b",
    ] {
        assert!(sends(&effective, text), "{text}");
    }
    for text in [
        "http://api.example.org/v1",
        "https://api.example.org/",
        "https://api.example.org/v12",
        "https://api.example.org/V1/a",
        "https://api.example.org:8443/v1",
        "https://xapi.example.org/v1",
        "https://api.example.org.evil.example/v1",
        "https://cdn.example/",
        "https://evilcdn.example/",
        "https://cdn.example.evil/",
        "http://10.0.0.1/x/1/2/y",
        "http://10.0.0.1/x//z",
        "https://10.0.0.1/x/1/y",
        "https://host.example/only",
        "https://host.example:8443/only/",
        "https://lit.example/axb",
    ] {
        assert!(!sends(&effective, text), "{text}");
    }
}

#[test]
fn malformed_lines_are_refused() {
    for text in [
        "example.org",
        "https://",
        "https://*x.example",
        "https://a.*.example",
        "https://**",
        "https://u@x",
        "https://x?y",
        "https://x#y",
        "https://x/a/../b",
        "https://x/***",
        "https://x:*8",
        "ftp://x",
        "https://*.10.0.0.1",
        "http://0x7f.1/",
        "https://x\\y/",
        "https://x/a b",
        "https://x/\n",
        "https://x/\\",
        "*",
        "https://x/%zz",
    ] {
        assert!(UrlPattern::parse(text).is_err(), "{text:?}");
    }
    for text in [
        "",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/8x",
        "10.0.0",
        "0x7f.1",
        "fd00::/129",
        "fd00::1/8",
        "[::1",
        "http://x",
        "a b",
        "*x.example",
        "x/8",
        "::1%eth0",
    ] {
        assert!(Network::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn what_the_internet_does_not_route_needs_a_line() {
    let nothing = under("");
    let public = "http://example.org/";
    assert_eq!(reaches(&nothing, public, "192.0.43.8"), Decision::Allowed);
    for address in [
        "127.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "169.254.169.254",
        "fe80::1",
    ] {
        let refused = reaches(&nothing, public, address);
        assert_eq!(refused, Decision::Refused(Layer::Policy), "{address}");
    }
    let some = under("[http]\naddresses = [\"10.0.0.0/8\", \"*.corp.example\", \"wiki.example\"]");
    assert!(reaches(&some, public, "10.9.9.9").is_allowed());
    assert!(reaches(&some, public, "::ffff:10.9.9.9").is_allowed());
    assert!(!reaches(&some, public, "127.0.0.1").is_allowed());
    assert!(reaches(&some, "http://a.corp.example/", "127.0.0.1").is_allowed());
    assert!(reaches(&some, "http://wiki.example/", "fd00::1").is_allowed());
    assert!(!reaches(&some, "http://corp.example/", "127.0.0.1").is_allowed());
    assert!(!reaches(&some, "http://wiki.example.evil/", "127.0.0.1").is_allowed());
    // An address is covered as one: `*` stands for names.
    let names = under("[http]\naddresses = [\"*\"]");
    assert!(!reaches(&names, "http://127.0.0.1/", "127.0.0.1").is_allowed());
}

#[test]
fn deny_wins_and_declarations_narrow() {
    let effective = under(
        "[http]\nsend = [\"https://*\"]\naddresses = [\"0.0.0.0/0\"]\n[deny]\n\
         http.send = [\"https://*.evil.example\"]\nhttp.addresses = [\"192.0.43.0/24\", \"10.0.0.1\"]",
    );
    let decide = |text: &str| effective.url(&url(text));
    assert_eq!(
        decide("https://a.evil.example/"),
        Decision::Refused(Layer::Deny)
    );
    assert_eq!(decide("https://evil.example/"), Decision::Allowed);
    for address in ["192.0.43.8", "10.0.0.1"] {
        let refused = reaches(&effective, "https://x.example/", address);
        assert_eq!(refused, Decision::Refused(Layer::Deny), "{address}");
    }
    let narrowed = declared(
        "[http]\nsend = [\"https://*\"]\naddresses = [\"10.0.0.0/8\"]",
        "[http]\nsend = [\"https://a.example\"]\naddresses = [\"10.1.0.0/16\"]",
    );
    assert!(sends(&narrowed, "https://a.example/x"));
    assert_eq!(
        narrowed.url(&url("https://b.example/")),
        Decision::Refused(Layer::Declaration)
    );
    assert!(reaches(&narrowed, "https://a.example/", "10.1.2.3").is_allowed());
    assert!(!reaches(&narrowed, "https://a.example/", "10.2.2.3").is_allowed());
}

#[test]
fn refusals_name_the_line_and_no_query() {
    let nothing = under("");
    let asked = url("https://api.example.org/v1/*?token=secret");
    assert_eq!(
        nothing.url_denial(&asked, Layer::Policy).message,
        "http.send is not granted for https://api.example.org/v1/* (policy); to allow it: [http] \
         send = [\"https://api.example.org/v1/\\\\*\"]"
    );
    let local = url("http://[::1]:8080/");
    assert_eq!(
        nothing
            .peer_denial(&local, Layer::Declaration)
            .remedy
            .as_deref(),
        Some(":capabilities({ http = { addresses = { \"::1\" } } })")
    );
    let explained = |text: &str| nothing.explain(Capability::HttpSend, text).message;
    assert!(explained("https://u@x/").contains("account before the host"));
    assert!(explained("https://x/?q").ends_with("send = [\"https://x/\"]"));
}

#[test]
fn explain_names_the_line_that_decides() {
    let effective = under(
        "[http]\nsend = [\"https://a.example/**\"]\naddresses = [\"10.0.0.0/8\", \"wiki.example\"]",
    );
    for (capability, subject, line) in [
        (
            Capability::HttpSend,
            "https://a.example/x",
            "send = [\"https://a.example/**\"]",
        ),
        (
            Capability::HttpAddresses,
            "10.1.1.1",
            "addresses = [\"10.0.0.0/8\"]",
        ),
        (
            Capability::HttpAddresses,
            "wiki.example",
            "addresses = [\"wiki.example\"]",
        ),
    ] {
        let explained = effective.explain(capability, subject);
        assert!(explained.allowed, "{subject}: {}", explained.message);
        assert!(explained.line.expect("a line").ends_with(line), "{subject}");
    }
    for subject in ["127.0.0.1", "other.example", "::1", "not a name"] {
        let explained = effective.explain(Capability::HttpAddresses, subject);
        assert!(!explained.allowed, "{subject}");
    }
}

fn some_host() -> impl Strategy<Value = String> {
    let hosts = [
        "a.example",
        "b.a.example",
        "ba.example",
        "10.0.0.1",
        "[fd00::1]",
        "example",
    ];
    prop::sample::select(hosts.map(str::to_owned).to_vec())
}

fn some_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "", "a*b"]), 0..4)
        .prop_map(|names| format!("/{}", names.join("/")))
}

fn some_urls() -> impl Strategy<Value = Url> {
    let scheme = prop::sample::select(vec!["http", "https"]);
    (
        scheme,
        some_host(),
        prop::sample::select(vec!["", ":8080"]),
        some_path(),
    )
        .prop_map(|(scheme, host, port, path)| url(&format!("{scheme}://{host}{port}{path}")))
}

fn some_patterns() -> impl Strategy<Value = Vec<String>> {
    let hosts = [
        "*",
        "*.example",
        "*.a.example",
        "a.example",
        "10.0.0.1",
        "[fd00::1]",
    ];
    let paths = [
        "", "/", "/**", "/a/**", "/*", "/a*/b", "/**/b", "/*b*/**", "/a\\*b", "/**a/*",
    ];
    let one = (
        prop::sample::select(vec!["http", "https"]),
        prop::sample::select(hosts.to_vec()),
        prop::sample::select(vec!["", ":8080", ":*"]),
        prop::sample::select(paths.to_vec()),
    );
    let one = one.prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}{port}{path}"));
    prop::collection::vec(one, 0..5)
}

fn policy_of(granted: &[String], denied: &[String]) -> String {
    format!("[http]\nsend = {granted:?}\n[deny]\nhttp.send = {denied:?}")
}

fn any_matches(patterns: &[String], url: &Url) -> bool {
    patterns
        .iter()
        .any(|text| UrlPattern::parse(text).is_ok_and(|pattern| pattern.matches(url)))
}

/// What a path pattern covers, the slow way: every way to take a star is tried.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern, path) {
        ([], _) => path.is_empty(),
        ([b'*', b'*', rest @ ..], _) => (0..=path.len()).any(|at| fits(rest, &path[at..])),
        ([b'*', rest @ ..], _) => (0..=path.len())
            .take_while(|at| !path[..*at].contains(&b'/'))
            .any(|at| fits(rest, &path[at..])),
        ([own, rest @ ..], [byte, after @ ..]) => own == byte && fits(rest, after),
        (_, []) => false,
    }
}

proptest! {
    #[test]
    fn a_set_of_patterns_decides_like_its_patterns_and_deny_wins(
        granted in some_patterns(), denied in some_patterns(), url in some_urls()
    ) {
        let decision = under(&policy_of(&granted, &denied)).url(&url);
        let expected = if any_matches(&denied, &url) {
            Decision::Refused(Layer::Deny)
        } else if any_matches(&granted, &url) {
            Decision::Allowed
        } else {
            Decision::Refused(Layer::Policy)
        };
        prop_assert_eq!(decision, expected);
    }

    #[test]
    fn a_declaration_never_widens(
        granted in some_patterns(), declared in some_patterns(), url in some_urls()
    ) {
        let declaration = declaration_of(&policy_of(&declared, &[]));
        let policy = Policy::parse(&format!("version = 1\n{}", policy_of(&granted, &[])), "p");
        let both = Effective::new(&policy.expect("it is well formed"), "", &[declaration], vec![]);
        let expected = any_matches(&granted, &url) && any_matches(&declared, &url);
        prop_assert_eq!(both.url(&url).is_allowed(), expected);
    }

    #[test]
    fn stars_stand_for_what_they_say(pattern in "/[ab/*]{0,8}", path in "/[ab/]{0,8}") {
        if let Ok(compiled) = UrlPattern::parse(&format!("http://x{pattern}")) {
            let folder = pattern.strip_suffix("/**").filter(|rest| !rest.is_empty());
            let slow = fits(pattern.as_bytes(), path.as_bytes())
                || folder.is_some_and(|folder| fits(folder.as_bytes(), path.as_bytes()));
            prop_assert_eq!(compiled.matches(&url(&format!("http://x{path}"))), slow);
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in any::<String>(), hostile in hostile()) {
        for text in [&text, &hostile, &format!("http://{text}"), &format!("https://x/{hostile}"),
                     &format!("https://{hostile}@x:1/"), &format!("http://x/%{hostile}")] {
            let _ = UrlPattern::parse(text);
            let _ = Network::parse(text);
            let _ = Host::parse(text);
            if let Ok(url) = Url::parse(text) {
                prop_assert_eq!(&Url::parse(&url.to_string()).expect("its form is a URL"), &url);
                let _ = url.join(&hostile);
                prop_assert!(url.path_and_query().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn nothing_but_its_own_host_follows_from_a_line(inner in hostile()) {
        let effective = under("[http]\nsend = [\"https://granted.example\"]");
        for text in [format!("https://granted.example{inner}"), format!("https://{inner}granted.example/"),
                     format!("https://granted.example/{inner}")] {
            if let Ok(url) = Url::parse(&text) && effective.url(&url).is_allowed() {
                prop_assert_eq!(url.host(), &Host::Name("granted.example".to_owned()));
            }
        }
    }
}
