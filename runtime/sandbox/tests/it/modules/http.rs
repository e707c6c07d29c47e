//! `http` and `net`, with a server of the test's own.

use super::{denied, holds};
use crate::server::{Server, says};
use crate::world::World;

fn world() -> World {
    World::granting(
        "http.send = ['http://127.0.0.1:*']\nhttp.addresses = ['127.0.0.1']\nfiles.write = ['{}/**']\nfiles.read = ['{}/**']",
    )
}

/// A server that says again what it heard, as JSON, and one path that is not there.
fn echo() -> Server {
    Server::plain(|heard| {
        let (head, body) = heard.split_once("\r\n\r\n").unwrap();
        let mut words = head.split([' ', '\r']);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        if path == "/none" {
            return says("404 Not Found", "", "no");
        }
        let kind = head
            .lines()
            .find_map(|line| line.strip_prefix("content-type: "));
        let text = serde_json::json!({
            "method": method, "path": path, "body": body, "kind": kind, "keyed": head.contains("x-key: k"),
        });
        let headers =
            "Content-Type: application/json\r\nX-Two: a\r\nX-Two: b\r\nSet-Cookie: c=d\r\n";
        says("200 OK", headers, &text.to_string())
    })
}

fn with_echo(body: &str) {
    let server = echo();
    let body = format!("local url = 'http://127.0.0.1:{}'\n{body}", server.port);
    holds(&world(), &body);
}

#[test]
fn an_answer_has_one_shape() {
    with_echo(
        "local r, problem = http.get(url .. '/a?b=c', { ['X-Key'] = 'k' })
         same(problem, nil) same(r.success, true) same(r.changed, false)
         same(r.status_code, 200) same(r.status, '200 OK')
         same(r.headers['content-type'], 'application/json') same(r.headers['Content-Type'], 'application/json')
         same(r.headers['X-Two'][2], 'b') same(r.headers['x-none'], nil)
         same(r.json.path, '/a?b=c') same(r:json().method, 'GET') same(r.json().keyed, true)
         same(r.json.kind, nil)
         local n = 0 for _ in pairs(r.json) do n = n + 1 end same(n, 4)
         r = http.get(url .. '/none')
         same(r.success, false) same(r.status, '404 Not Found') same(r.body, 'no')
         local value, why = r:json() same(value, nil) same(type(why), 'string') same(r.json.x, nil)",
    );
}

#[test]
fn every_method_says_what_it_sends() {
    with_echo(
        "for _, name in ipairs({ 'post', 'put', 'patch' }) do
             local r = http[name](url, { a = { 1 } })
             same(r.json.method, name:upper()) same(r.json.body, '{\"a\":[1]}') same(r.json.kind, 'application/json')
             same(r.changed, true)
         end
         same(http.post(url, '{\"x\":1}').json.kind, 'application/json')
         same(http.post(url, 'plain').json.kind, 'text/plain')
         same(http.post(url, 'x', { ['Content-Type'] = 'a/b' }).json.kind, 'a/b')
         same(http.post(url).json.body, '')
         same(http.delete(url).json.method, 'DELETE')
         same(http.request{ url = url }.json.method, 'GET')
         same(http.request{ url = url, method = 'post', body = { 1 }, headers = { ['X-Key'] = 'k' }, timeout = '5s' }.json.keyed, true)
         local r = http.request{ url = url, method = 'HEAD' }
         same(r.body, '') same(r.changed, false) same(r.headers['set-cookie'], 'c=d')",
    );
}

#[test]
fn the_older_module_gives_its_parts() {
    with_echo(
        "local body, status, headers, problem = net.http_get(url .. '/x')
         same(json.decode(body).path, '/x') same(status, 200) same(headers['Set-Cookie'][1], 'c=d') same(problem, nil)
         body, status, headers, problem = net.http_post(url, 'text', { ['X-Key'] = 'k' })
         same(json.decode(body).body, 'text') same(status, 200)
         same(net.download(url, '{}/file'), nil) same(fs.exists('{}/file'), true)
         same(net.get(url .. '/x').json.path, '/x') same(net.post(url, 'b').json.method, 'POST')
         same(net.put(url, 'b').json.method, 'PUT') same(net.patch(url, 'b').json.method, 'PATCH')
         same(net.delete(url).json.method, 'DELETE') same(net.request{ url = url, method = 'PUT' }.json.method, 'PUT')
         same(http.patch(url, 'b').json.method, 'PATCH')
         same(type(net.download(url .. '/none', '{}/other')), 'string') same(fs.exists('{}/other'), false)",
    );
    holds(
        &world(),
        "local body, status, headers, problem = net.http_get('http://127.0.0.1:1/')
         same(body, nil) same(status, 0) same(headers, nil) same(type(problem), 'string')",
    );
}

#[test]
fn nothing_is_sent_without_a_grant() {
    for call in [
        "http.get('https://example.org')",
        "http.post('https://example.org', 'x')",
        "http.request{ url = 'https://example.org', method = 'OPTIONS' }",
        "http.download('https://example.org', '{}/x')",
        "net.http_get('https://example.org')",
        "net.download('https://example.org', '{}/x')",
    ] {
        denied("http.send", call);
    }
}

#[test]
fn wrong_arguments_are_told() {
    for (call, why) in [
        ("http.get()", "http.get: the URL: must be text"),
        ("http.get('http://x', 'y')", "the headers must be a table"),
        (
            "http.get('http://x', nil, { tiemout = 1 })",
            "did you mean `timeout`?",
        ),
        (
            "http.get('http://x', nil, { redirects = -1 })",
            "must be a whole number",
        ),
        (
            "http.request{ method = 'GET' }",
            "the option `url` is missing",
        ),
        ("http.post('http://x', print)", "the body: must be a string"),
        ("http.download('http://x')", "the destination: must be text"),
    ] {
        let ended = World::new().run(call).ended();
        assert!(ended.contains(why), "{call}: {ended}");
    }
}
