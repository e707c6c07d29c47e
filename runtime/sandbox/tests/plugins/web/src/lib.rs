//! A plugin for the tests that sends requests through `wasi:http`.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

wit_bindgen::generate!({ path: "wit", world: "web" });

struct Web;

export!(Web);

impl Guest for Web {
    fn fetch(request: Request) -> Result<String, String> {
        let outgoing = OutgoingRequest::new(Fields::new());
        let method = match &*request.method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            other => Method::Other(other.to_owned()),
        };
        outgoing.set_method(&method).map_err(|()| "the method")?;
        let scheme = if request.tls { Scheme::Https } else { Scheme::Http };
        outgoing.set_scheme(Some(&scheme)).map_err(|()| "the scheme")?;
        outgoing.set_authority(Some(&request.authority)).map_err(|()| "the authority")?;
        outgoing.set_path_with_query(Some(&request.path)).map_err(|()| "the path")?;
        let body = outgoing.body().map_err(|()| "the body")?;
        let answer = outgoing_handler::handle(outgoing, None).map_err(words)?;
        if let Some(text) = request.body {
            let stream = body.write().map_err(|()| "the stream")?;
            stream.blocking_write_and_flush(text.as_bytes()).map_err(words)?;
        }
        OutgoingBody::finish(body, None).map_err(words)?;
        answer.subscribe().block();
        let answer = answer.get().ok_or("no answer")?.map_err(|()| "taken")?.map_err(words)?;
        let status = answer.status();
        let body = answer.consume().map_err(|()| "the answer's body")?;
        let stream = body.stream().map_err(|()| "the answer's stream")?;
        let mut content = Vec::new();
        while let Ok(piece) = stream.blocking_read(1 << 16) {
            content.extend(piece);
        }
        Ok(format!("{status} {}", String::from_utf8_lossy(&content)))
    }
}

fn words(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
