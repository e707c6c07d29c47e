//! Secrets in the headers of requests: they go to the server they are bound to, and nobody is told them.

use base64ct::{Base64, Encoding};

use crate::secrets::{tells_nothing, told};
use crate::server::{Issued, Server, says};
use crate::verbs::{Again, Verb, stand};
use crate::world::{Ran, World};

const VALUE: &str = "correct-horse battery";

/// A server that says again what stood in `X-Key`, everywhere it can and in base64.
fn echo() -> Server {
    Server::plain(|heard| {
        let key = heard.lines().find_map(|line| line.strip_prefix("x-key: "));
        let key = key.unwrap_or("nothing");
        let code = Base64::encode_string(key.as_bytes());
        let headers = format!("X-Plain: {key}\r\nX-Code: {code}\r\n");
        says("200 OK", &headers, &format!("it is {key}, {code}"))
    })
}

/// Everything may be sent to 127.0.0.1 and `local.test`, and every secret to a server's port.
fn bound_to(port: u16) -> World {
    World::granting(&format!(
        "http.send = ['http://*:*', 'https://*:*']\nhttp.addresses = ['127.0.0.1']\n\
         files.read = ['{{}}/**']\nfiles.write = ['{{}}/**']\nevents.emit = ['*']\n\
         [secrets]\nheader = {{ '*' = ['http://127.0.0.1:{port}'] }}"
    ))
}

fn sends(world: &World, server: &Server, body: &str) -> Ran {
    let port = server.port.to_string();
    let url = format!("local url = 'http://127.0.0.1:{port}/'\n");
    world.run(&(url + &body.replace("PORT", &port)))
}

#[test]
fn a_request_with_a_secret_stands() {
    let server = echo();
    let at = |text: &str| -> &'static str {
        Box::leak(text.replace("PORT", &server.port.to_string()).into())
    };
    let grants = at(
        "http.send = ['http://local.test:PORT']\nhttp.addresses = ['local.test']\n\
         secrets.header = { db-password = ['http://local.test:PORT'] }\n\
         files.write = ['{}/**']\nfiles.read = ['{}/**']",
    );
    let verb = |function, body, again| Verb {
        function,
        body: at(body),
        grants,
        again,
    };
    let verbs = [
        verb(
            "send",
            "http.post('http://local.test:PORT/x', 'b', { ['X-Key'] = secret('db-password') })",
            Again::Acts,
        ),
        verb(
            "send",
            "assert(http.download('http://local.test:PORT/y', '{}/made', { headers = { ['X-Key'] = secret('db-password') } }))",
            Again::Settled,
        ),
        verb(
            "start",
            "local ok, problem
             goroutine.await(goroutine.async(function()
               ok, problem = pcall(http.post, 'http://local.test:PORT/z', 'b', { ['X-Key'] = secret('db-password') })
             end))
             if not ok then error(problem) end",
            Again::Acts,
        ),
    ];
    let posted = |world: &World| {
        let heard = server.heard();
        let posts = heard.iter().filter(|text| text.starts_with("POST")).count();
        let made = std::path::Path::new(&world.path("made")).exists();
        format!("{posts} {made}")
    };
    stand("http", &verbs, World::new, posted);
}

#[test]
fn the_server_gets_the_value_and_its_echo_is_redacted() {
    let server = echo();
    let world = bound_to(server.port);
    let ran = sends(
        &world,
        &server,
        "local r = http.get(url, { ['X-Key'] = secret('db-password') })
         log.info(r.body)
         return true, nil, { body = r.body, plain = r.headers['x-plain'], code = r.headers['x-code'] }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"body":"it is <secret db-password>, <secret db-password>","code":"<secret db-password>","plain":"<secret db-password>"}"#
    );
    assert!(server.heard()[0].contains(&format!("\r\nx-key: {VALUE}\r\n")));
    tells_nothing(&ran, VALUE);
}

#[test]
fn a_text_stands_before_the_value() {
    let server = echo();
    let world = bound_to(server.port);
    let ran = sends(
        &world,
        &server,
        "local key = secret('db-password'):after('Bearer ')
         local r = http.get(url, { ['X-Key'] = key })
         return true, nil, { plain = r.headers['x-plain'], shown = tostring(key), again = tostring(key:after('a ')) }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"again":"a Bearer <secret db-password>","plain":"Bearer <secret db-password>","shown":"Bearer <secret db-password>"}"#
    );
    assert!(server.heard()[0].contains(&format!("\r\nx-key: Bearer {VALUE}\r\n")));
    tells_nothing(&ran, VALUE);
}

#[test]
fn an_answer_that_is_collected_later_is_redacted() {
    let server = echo();
    let ran = sends(
        &bound_to(server.port),
        &server,
        "local body
         goroutine.await(goroutine.async(function()
           body = http.post(url, 'x', { ['X-Key'] = secret('db-password') }).body
         end))
         return true, nil, { body = body }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"body":"it is <secret db-password>, <secret db-password>"}"#
    );
    tells_nothing(&ran, VALUE);
}

#[test]
fn what_was_revealed_comes_back_as_it_is_and_leaves_redacted() {
    let server = echo();
    let mut world = bound_to(server.port);
    world.policy.push_str("\nreveal = ['*']\n");
    let ran = sends(
        &world,
        &server,
        "local value = secret('db-password'):reveal()
         local r = http.get(url, { ['X-Key'] = secret('db-password') })
         event.dispatch('got.it', { value = value, [value] = r.body, list = { value } })
         return r.headers['x-plain'] == value, 'it differs', { body = r.body }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"body":"it is <secret db-password>, <secret db-password>"}"#
    );
    assert!(told(&ran).contains(r#""list":["<secret db-password>"]"#));
    tells_nothing(&ran, VALUE);
}

#[test]
fn without_a_grant_nothing_is_sent_and_nobody_learns_whether_a_secret_exists() {
    let server = echo();
    let denied = |name: &str, check: bool| {
        let mut world = bound_to(1);
        world.check = check;
        let ran = sends(
            &world,
            &server,
            &format!("http.get(url, {{ ['X-Key'] = secret('{name}') }})"),
        );
        let start = format!(
            "denied: secrets.header is not granted for {name} http://127.0.0.1:{} (policy); to \
             allow it: [secrets] header = ",
            server.port
        );
        assert!(ran.ended().starts_with(&start), "{}", ran.ended());
        told(&ran).replace(name, "NAME")
    };
    for check in [false, true] {
        assert_eq!(denied("db-password", check), denied("no-password", check));
    }
    assert!(server.heard().is_empty());
}

#[test]
fn a_grant_for_https_is_none_for_http() {
    let server = echo();
    let mut world = bound_to(1);
    let secure = format!("['https://127.0.0.1:{}']", server.port);
    world.policy = world.policy.replace("['http://127.0.0.1:1']", &secure);
    let ran = sends(
        &world,
        &server,
        "http.get(url, { ['X-Key'] = secret('db-password') })",
    );
    assert!(
        ran.ended().starts_with("denied: secrets.header"),
        "{}",
        ran.ended()
    );
    assert!(server.heard().is_empty());
}

#[test]
fn over_tls_the_secret_goes_to_who_is_trusted_and_to_nobody_else() {
    for (certificate, arrives) in [
        (Issued::trusted("local.test"), true),
        (Issued::unknown("local.test"), false),
    ] {
        let server = Server::secure(&certificate, |_| says("200 OK", "", "x"));
        let mut world = bound_to(1);
        let secure = format!("['https://local.test:{}']", server.port);
        world.policy = world.policy.replace("['http://127.0.0.1:1']", &secure);
        let ran = world.run(&format!(
            "local r, why = http.get('https://local.test:{}/', {{ ['X-Key'] = secret('db-password') }})
             return r ~= nil, why",
            server.port
        ));
        assert_eq!(ran.finished.outcome.succeeded(), arrives, "{}", ran.ended());
        let heard = server.heard().concat();
        assert_eq!(heard.contains(VALUE), arrives, "{heard}");
    }
}

#[test]
fn a_redirect_takes_no_secret_to_another_origin_under_any_name() {
    let last = Server::plain(|_| says("200 OK", "", "there"));
    let location = format!("Location: http://127.0.0.1:{}/x\r\n", last.port);
    let first = Server::plain(move |_| says("307 Temporary Redirect", &location, ""));
    // Even if the policy lets it go there too: it was not asked to.
    let mut world = bound_to(first.port);
    world.policy = world
        .policy
        .replace("] }", &format!(", 'http://127.0.0.1:{}'] }}", last.port));
    let ran = sends(
        &world,
        &first,
        "local key = secret('db-password')
         local r = http.put(url, 'body', { Authorization = key, Accept = key, ['User-Agent'] = key, Range = key, ['X-Key'] = key })
         return true, nil, { body = r.body }",
    );
    assert_eq!(ran.outputs(), r#"{"body":"there"}"#);
    assert_eq!(first.heard()[0].matches(VALUE).count(), 5);
    assert!(!last.heard()[0].contains(VALUE), "{}", last.heard()[0]);
}

#[test]
fn a_redirect_that_names_the_value_tells_it_to_nobody() {
    for (location, word) in [
        ("http://local.test:9/correct-horse battery", "failed"),
        ("http://local.test:9/correct-horse%20battery", "failed"),
        ("http://169.254.169.254/correct-horse%20battery", "denied"),
        ("ftp://correct-horse battery/", "failed"),
    ] {
        let line = format!("Location: {location}\r\n");
        let server = Server::plain(move |_| says("302 Found", &line, ""));
        let mut world = bound_to(server.port);
        world.policy = world.policy.replace(
            "'http://*:*'",
            "'http://127.0.0.1:*', 'http://local.test:9'",
        );
        let ran = sends(
            &world,
            &server,
            "local ok, problem, why = pcall(http.get, url, { ['X-Key'] = secret('db-password') })
             if not ok then error(problem) end
             assert(not tostring(why):find('battery'), 'the workflow knows')
             return false, why",
        );
        assert!(ran.ended().starts_with(word), "{location}: {}", ran.ended());
        assert!(!ran.ended().contains("the workflow knows"), "{location}");
        let told = told(&ran);
        assert!(!told.contains("battery"), "{location}: {told}");
    }
    // Where it leads to is told without the value too.
    let server = Server::plain(|heard| {
        if heard.starts_with("GET / ") {
            says("302 Found", "Location: /correct-horse%20battery\r\n", "")
        } else {
            says("200 OK", "", "x")
        }
    });
    let ran = sends(
        &bound_to(server.port),
        &server,
        "return true, nil, { url = http.get(url, { ['X-Key'] = secret('db-password') }).url:match('[^/]*$') }",
    );
    assert_eq!(ran.outputs(), r#"{"url":"<secret db-password>"}"#);
}

#[test]
fn in_check_mode_what_changes_is_not_sent_and_tells_nothing() {
    let server = echo();
    let mut world = bound_to(server.port);
    world.check = true;
    let ran = sends(
        &world,
        &server,
        "http.post(url, 'x', { ['X-Key'] = secret('db-password') })",
    );
    assert_eq!(
        ran.changes(),
        [format!("would send POST http://127.0.0.1:{}/", server.port)]
    );
    assert!(server.heard().is_empty());
    tells_nothing(&ran, VALUE);
}

#[test]
fn a_missing_secret_says_how_to_set_it_and_nothing_is_sent() {
    for check in [false, true] {
        let server = echo();
        let mut world = bound_to(server.port);
        world.check = check;
        let ran = sends(
            &world,
            &server,
            "local r, why = http.post(url, 'x', { ['X-Key'] = secret('no-password') }) return r ~= nil, why",
        );
        assert!(
            ran.ended()
                .contains("set it there with: sloth-runner secret set no-password"),
            "{}",
            ran.ended()
        );
        assert!(server.heard().is_empty() && ran.changes().is_empty());
    }
}

#[test]
fn a_value_that_is_no_header_is_sent_nowhere_and_not_told() {
    let server = echo();
    let mut world = bound_to(server.port);
    world
        .secrets
        .insert("tls-key", "first-line-of\nsecond-line-of".to_owned());
    world.secrets.insert("long", "0123456789".repeat(3_300));
    for (key, why) in [
        ("secret('tls-key')", "holds a line end"),
        ("secret('long')", "32768 bytes"),
        (
            "secret('db-password'):after('a\\r\\nX: ')",
            "holds a line end",
        ),
    ] {
        let ran = sends(
            &world,
            &server,
            &format!("http.get(url, {{ ['X-Key'] = {key} }})"),
        );
        assert!(ran.ended().contains(why), "{key}: {}", ran.ended());
        tells_nothing(&ran, VALUE);
        tells_nothing(&ran, "first-line-of\nsecond-line-of");
    }
    let ran = sends(
        &world,
        &server,
        "http.get(url, { Host = secret('db-password') })",
    );
    assert!(
        ran.ended().contains("the runner's own to say"),
        "{}",
        ran.ended()
    );
    assert!(server.heard().is_empty());
}

#[test]
fn a_secret_goes_nowhere_else_in_a_request() {
    let server = echo();
    let world = bound_to(server.port);
    for call in [
        "http.get(secret('db-password'))",
        "http.post(url, secret('db-password'))",
        "http.post(url, { key = secret('db-password') })",
        "http.get(url, { [secret('db-password')] = 'x' })",
        "http.get(url, { ['X-Key'] = { 'Bearer ', secret('db-password') } })",
        "exec.run('true', { env = { PW = secret('db-password'):after('x') } })",
    ] {
        let ran = sends(&world, &server, call);
        assert!(
            ran.ended().starts_with("failed: ") && ran.ended().contains("secret.reveal gives"),
            "{call}: {}",
            ran.ended()
        );
    }
    assert!(server.heard().is_empty());
}

#[test]
fn a_downloaded_file_is_kept_as_it_came() {
    let server = echo();
    let world = bound_to(server.port);
    let ran = sends(
        &world,
        &server,
        "local r = http.download(url, '{}/made', { headers = { ['X-Key'] = secret('db-password') } })
         return true, nil, { plain = r.headers['x-plain'], body = r.body }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"body":"","plain":"<secret db-password>"}"#
    );
    assert!(world.read("made").contains(VALUE));
    tells_nothing(&ran, VALUE);
}
