//! Markdown to HTML, by pulldown-cmark.

use pulldown_cmark::{Event, Options as Cmark, Parser, Tag, TagEnd, html};

wit_bindgen::generate!({ path: "wit", world: "markdown" });

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn render(text: String, options: Option<Options>) -> String {
        let extensions = options.as_ref().map_or(Extensions::empty(), |o| o.extensions);
        let safe = options.and_then(|o| o.safe).unwrap_or(false);
        let events = Parser::new_ext(&text, cmark(extensions));
        let events = events.filter(|event| !safe || !matches!(event, Event::Html(_) | Event::InlineHtml(_)));
        let mut out = String::new();
        html::push_html(&mut out, events);
        out
    }

    fn outline(text: String) -> Vec<Heading> {
        let mut found: Vec<Heading> = Vec::new();
        let mut inside = false;
        for event in Parser::new(&text) {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    inside = true;
                    found.push(Heading { level: level as u8, text: String::new() });
                }
                Event::End(TagEnd::Heading(_)) => inside = false,
                Event::Text(text) | Event::Code(text) if inside => {
                    if let Some(heading) = found.last_mut() {
                        heading.text.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        found
    }
}

fn cmark(extensions: Extensions) -> Cmark {
    let mut options = Cmark::empty();
    for (wanted, option) in [
        (Extensions::TABLES, Cmark::ENABLE_TABLES),
        (Extensions::FOOTNOTES, Cmark::ENABLE_FOOTNOTES),
        (Extensions::STRIKETHROUGH, Cmark::ENABLE_STRIKETHROUGH),
        (Extensions::TASKLISTS, Cmark::ENABLE_TASKLISTS),
        (Extensions::SMART_PUNCTUATION, Cmark::ENABLE_SMART_PUNCTUATION),
    ] {
        options.set(option, extensions.contains(wanted));
    }
    options
}
