//! `http`: requests go only where they are granted to go, and whatever a server does ends.

use std::time::{Duration, Instant};

use sloth_workflow::scheduler::cancel;

use crate::server::{Act, Issued, Server, raw, says};
use crate::verbs::{Again, Verb, stand};
use crate::world::{Ran, World};

/// A world that may send anything to the servers of these tests, and to them only.
pub(crate) fn world() -> World {
    World::granting(
        "[http]\nsend = ['http://*:*', 'https://*:*']\naddresses = ['127.0.0.1']\n\
         [files]\nread = ['{}/**']\nwrite = ['{}/**']",
    )
}

/// Runs a task that gets a server's root, and tells what came of it.
pub(crate) fn get(world: &World, url: &str) -> Ran {
    world.run(&format!(
        "local r, why = http.get('{url}') if not r then return false, why end
         return true, nil, {{ code = r.status_code, body = #r.body }}"
    ))
}

pub(crate) fn answered(acts: impl Fn(&str) -> Vec<Act> + Send + Sync + 'static) -> Ran {
    let server = Server::plain(acts);
    get(&world(), &format!("http://127.0.0.1:{}/", server.port))
}

#[track_caller]
pub(crate) fn fails(ran: &Ran, why: &str) {
    let ended = ran.ended();
    assert!(
        ended.starts_with("failed: ") && ended.contains(why),
        "{ended}"
    );
}

#[track_caller]
fn refused(ran: &Ran, capability: &str, subject: &str) {
    let ended = ran.ended();
    let start = format!("denied: {capability} is not granted for {subject} (");
    assert!(ended.starts_with(&start), "{ended}");
}

#[test]
fn every_function_stands() {
    let server = Server::plain(|_| says("200 OK", "", "content"));
    let at = |text: &str| -> &'static str {
        Box::leak(text.replace("PORT", &server.port.to_string()).into())
    };
    let grants = at(
        "http.send = ['http://local.test:PORT']\nhttp.addresses = ['local.test']\n\
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
            "http.post('http://local.test:PORT/x', 'b')",
            Again::Acts,
        ),
        verb(
            "send",
            "assert(http.download('http://local.test:PORT/y', '{}/made'))",
            Again::Settled,
        ),
        verb(
            "start",
            "local ok, problem
             goroutine.await(goroutine.async(function()
               ok, problem = pcall(http.post, 'http://local.test:PORT/z', 'b')
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
fn nothing_is_sent_while_the_file_is_loaded() {
    let failure = World::plan("http.get('https://example.org')").unwrap_err();
    assert!(failure.message.raw().contains("move this call into a task"));
}

#[test]
fn odd_ways_to_write_an_address_or_a_host_are_refused() {
    for url in [
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://user:secret@127.0.0.1/",
        "https://granted.example@evil.example/",
        "http://127.0.0.1\\\\@evil/",
        "http://127.0.0.1/../x",
        "http://127.0.0.1/%2e%2e/",
        "http://ex ample/",
        "http://a\\r\\nb/",
        "http://a/\\0",
        "ftp://127.0.0.1/",
        "127.0.0.1",
    ] {
        let ran = get(&world(), url);
        fails(&ran, "the URL `");
        assert!(!ran.ended().contains("secret"), "{}", ran.ended());
    }
}

#[test]
fn an_address_in_other_clothes_is_the_address_it_is() {
    let server = Server::plain(|_| says("200 OK", "", "x"));
    let port = server.port;
    let mapped = format!("http://[::ffff:127.0.0.1]:{port}/");
    let send = format!("http.send = ['http://127.0.0.1:{port}']\n");
    refused(
        &get(&World::granting(&send), &mapped),
        "http.addresses",
        "127.0.0.1",
    );
    let both = format!("{send}http.addresses = ['127.0.0.0/8']");
    assert_eq!(
        get(&World::granting(&both), &mapped).outputs(),
        r#"{"body":1,"code":200}"#
    );
    refused(
        &get(&World::new(), &mapped),
        "http.send",
        &format!("http://127.0.0.1:{port}/"),
    );
}

#[test]
fn of_a_name_that_leads_inside_and_outside_only_what_is_granted_is_used() {
    let server = Server::plain(|_| says("200 OK", "", "x"));
    let url = format!("http://both.test:{}/", server.port);
    let began = Instant::now();
    assert_eq!(get(&world(), &url).outputs(), r#"{"body":1,"code":200}"#);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "the first was tried"
    );
    let nothing = World::granting("http.send = ['http://*:*']");
    let ran = get(&nothing, &url);
    refused(&ran, "http.addresses", "both.test");
    assert!(!ran.ended().contains("10.255"), "{}", ran.ended());
    let ran = get(&world(), "http://nowhere.test/");
    fails(&ran, "it has no address");
}

#[test]
fn a_redirect_is_permitted_as_any_request() {
    let to = |location: &str| {
        let location = format!("Location: {location}\r\n");
        answered(move |_| says("302 Found", &location, ""))
    };
    refused(
        &to("http://169.254.169.254/latest"),
        "http.addresses",
        "169.254.169.254",
    );
    refused(
        &to("http://metadata.test/"),
        "http.addresses",
        "metadata.test",
    );
    fails(
        &to("http://127.0.0.1@evil/"),
        "redirected to a URL that names an account",
    );
    fails(
        &to("file:///etc/passwd"),
        "redirected to a URL that is not a URL",
    );
    fails(&to("/again"), "redirected more than 10 times");
    let server = Server::plain(|_| says("302 Found", "Location: http://other.test/secret\r\n", ""));
    let world = World::granting(&format!(
        "http.send = ['http://local.test:{}']\nhttp.addresses = ['*.test']",
        server.port
    ));
    let ran = get(&world, &format!("http://local.test:{}/", server.port));
    refused(&ran, "http.send", "http://other.test/secret");
}

#[test]
fn a_redirect_takes_no_keys_to_others_and_leaves_no_safety() {
    let last = Server::plain(|_| says("200 OK", "", "there"));
    let location = format!("Location: http://other.test:{}/x\r\n", last.port);
    let first = Server::plain(move |_| says("307 Temporary Redirect", &location, ""));
    let ran = world().run(&format!(
        "local r = http.put('http://127.0.0.1:{}/', 'body', {{ Authorization = 'a', Cookie = 'b', ['X-Key'] = 'c' }})
         return true, nil, {{ body = r.body, url = r.url }}",
        first.port
    ));
    let outputs = ran.outputs();
    assert!(
        outputs.contains("there") && outputs.contains("other.test"),
        "{outputs}"
    );
    let (first, last) = (&first.heard()[0], &last.heard()[0]);
    assert!(
        first.contains("authorization: a") && first.contains("x-key: c"),
        "{first}"
    );
    for word in ["authorization", "cookie", "x-key"] {
        assert!(!last.contains(word), "{last}");
    }
    assert!(
        last.starts_with("PUT /x ") && last.ends_with("\r\n\r\nbody"),
        "{last}"
    );

    let certificate = Issued::trusted("local.test");
    let secure = Server::secure(&certificate, |_| {
        says("302 Found", "Location: http://local.test/\r\n", "")
    });
    let ran = get(&world(), &format!("https://local.test:{}/", secure.port));
    fails(
        &ran,
        "redirected from https to http://local.test/, which is not followed",
    );
}

#[test]
fn headers_and_methods_stay_what_they_are() {
    let server = Server::plain(|_| says("200 OK", "", "x"));
    for call in [
        "http.get(url, { ['X'] = 'a\\r\\nHost: evil' })",
        "http.get(url, { ['X\\r\\nY'] = 'a' })",
        "http.get(url, { X = 'a\\0' })",
        "http.get(url, { Host = 'evil' })",
        "http.get(url, { ['Transfer-Encoding'] = 'chunked' })",
        "http.request{ url = url, method = 'GET / HTTP/1.1\\r\\nX:' }",
        "http.request{ url = url, method = 'CONNECT' }",
        "http.request{ url = url, method = 'TRACE' }",
        "http.request{ url = url, redirects = 1000 }",
    ] {
        let body = format!("local url = 'http://127.0.0.1:{}/' {call}", server.port);
        let ran = world().run(&body);
        assert!(
            ran.ended().starts_with("failed: "),
            "{call}: {}",
            ran.ended()
        );
        assert!(ran.changes().is_empty());
    }
    assert!(server.heard().is_empty());
}

#[test]
fn a_cancel_and_the_end_of_time_end_a_request() {
    let server = Server::plain(|_| vec![Act::Wait(Duration::from_mins(1))]);
    let body = format!("http.post('http://127.0.0.1:{}/', 'x')", server.port);
    let mut world = world();
    world.timeout = Duration::from_millis(500);
    let began = Instant::now();
    let ran = world.run(&body);
    assert!(ran.ended().starts_with("timed-out: "), "{}", ran.ended());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // It was sent, and what that did nobody knows.
    assert_eq!(
        ran.changes(),
        [format!("POST http://127.0.0.1:{}/", server.port)]
    );

    let mut world = self::world();
    let (canceller, cancel) = cancel::pair();
    world.cancel = cancel;
    let giving = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        canceller.give();
        Instant::now()
    });
    let ran = world.run(&body);
    assert!(ran.ended().starts_with("cancelled: "), "{}", ran.ended());
    let given = giving.join().unwrap();
    assert!(
        given.elapsed() < Duration::from_secs(2),
        "{:?}",
        given.elapsed()
    );
}

#[test]
fn requests_programs_and_sleeps_overlap() {
    let server = Server::plain(|_| {
        let mut acts = vec![Act::Wait(Duration::from_millis(500))];
        acts.extend(says("200 OK", "", "x"));
        acts
    });
    let mut world = world();
    world.policy.push_str("\n[process]\nrun = ['sleep *']");
    let began = Instant::now();
    let ran = world.run(&format!(
        "local all = parallel.map({{ 1, 2, 3, 4, 5, 6, 7, 8 }}, function(n)
             if n == 1 then return exec.run('sleep 0.5').success end
             if n == 2 then goroutine.sleep(500) return true end
             return http.get('http://127.0.0.1:{}/' .. n).body == 'x'
         end, 8)
         for n = 1, 8 do assert(all[n] == true, n) end",
        server.port
    ));
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2500), "{took:?}");
    assert_eq!(server.heard().len(), 6);
}

#[test]
fn check_mode_looks_and_does_not_act() {
    let server = Server::plain(|_| says("200 OK", "", "new"));
    let mut world = world();
    world.check = true;
    let file = world.write("file", "old");
    let ran = world.run(&format!(
        "local url = 'http://127.0.0.1:{}/'
         assert(http.get(url).body == 'new')
         local r = http.delete(url .. 'x')
         assert(r.success and r.changed and r.status_code == nil and r.body == '')
         assert(http.download(url, '{file}').changed)
         return true, nil, {{ planned = fs.read('{file}') }}",
        server.port
    ));
    assert_eq!(ran.outputs(), r#"{"planned":"new"}"#);
    assert_eq!(world.read("file"), "old");
    assert!(server.heard().iter().all(|heard| heard.starts_with("GET ")));
    assert_eq!(
        ran.changes(),
        [
            format!("would send DELETE http://127.0.0.1:{}/x", server.port),
            format!(
                "download GET http://127.0.0.1:{}/ to {file} (3 bytes)",
                server.port
            ),
        ]
    );
}

#[test]
fn a_download_is_there_whole_or_not_at_all() {
    let server = Server::plain(|heard| match heard.split(' ').nth(1) {
        Some("/short") => raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"),
        Some("/none") => says("404 Not Found", "", "nothing here"),
        Some("/long") => vec![
            Act::Say("HTTP/1.1 200 OK\r\n\r\n".into()),
            Act::Flood(vec![b'x'; 64 << 10]),
        ],
        _ => says("200 OK", "", "content"),
    });
    let world = world();
    world.write("in/file", "old");
    let run = |call: &str| {
        world.run(&format!(
            "local url = 'http://127.0.0.1:{}'
             local r, why = {call} if not r then return false, why end
             return true, nil, {{ changed = r.changed }}",
            server.port
        ))
    };
    let wrong = "0".repeat(64);
    for (call, why) in [
        (
            "http.download(url .. '/short', '{}/in/file')",
            "the connection ended before",
        ),
        (
            "http.download(url .. '/none', '{}/in/file')",
            "404 Not Found",
        ),
        (
            "http.download(url .. '/long', '{}/in/file', { limit = 100000 })",
            "longer than 100000 bytes",
        ),
        (
            &format!("http.download(url, '{{}}/in/file', {{ sha256 = '{wrong}' }})"),
            "SHA-256 is ed7002b4",
        ),
        (
            "http.download(url, '{}/in/file', { sha256 = 'x' })",
            "not 64 hexadecimal digits",
        ),
        ("http.download(url, '{}/in')", "is a folder, not a file"),
    ] {
        let ran = run(call);
        fails(&ran, why);
        assert!(ran.changes().is_empty(), "{call}: {:?}", ran.changes());
        assert_eq!(world.read("in/file"), "old", "{call}");
    }
    let names: Vec<_> = std::fs::read_dir(world.path("in")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let digest = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    let call = format!("http.download{{ url = url, dest = '{{}}/in/file', sha256 = '{digest}' }}");
    assert_eq!(run(&call).outputs(), r#"{"changed":true}"#);
    assert_eq!(world.read("in/file"), "content");
    let asked = server.heard().len();
    assert_eq!(run(&call).outputs(), r#"{"changed":false}"#);
    assert_eq!(server.heard().len(), asked, "it was there already");
    let call = "http.download(url, '{}/in/file', { mode = '0600' })";
    assert_eq!(run(call).outputs(), r#"{"changed":true}"#);
    assert_eq!(run(call).outputs(), r#"{"changed":false}"#);
}

#[test]
fn a_download_needs_a_grant_for_its_file_before_anything_is_sent() {
    let server = Server::plain(|_| says("200 OK", "", "x"));
    let world = World::granting("http.send = ['http://*:*']\nhttp.addresses = ['127.0.0.1']");
    let ran = world.run(&format!(
        "http.download('http://127.0.0.1:{}/', '/etc/motd')",
        server.port
    ));
    refused(&ran, "files.write", "/etc/motd");
    assert!(server.heard().is_empty());
}

#[test]
fn more_headers_than_a_request_may_have_are_refused_however_many() {
    let ran = world().run(
        "local headers = { a = nil }
         for index = 1, 30000 do headers['x' .. index] = '' end
         local answer, why = http.get('http://127.0.0.1:1/', headers)
         return answer ~= nil, why",
    );
    fails(&ran, "a request has at most 64 headers");
}
