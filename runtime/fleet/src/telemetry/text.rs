//! Metrics as text. The library tells them as `OpenMetrics`; scrapers and tools of every age read the older format of
//! Prometheus (0.0.4), in which a counter is described by the name that it is told by, and two comments do not exist.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// What the answer says that it is.
pub(super) const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a counter's name ends.
pub(super) const TOTAL: &str = "_total";

/// All that is registered, as text.
pub(super) fn exposed(registry: &Registry) -> String {
    let mut open = String::new();
    encode(&mut open, registry).expect("a String takes every write");
    older(&open)
}

fn older(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 256);
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        if let Some(described) = line.strip_prefix("# HELP ") {
            let (name, help) = described.split_once(' ').unwrap_or((described, ""));
            // The kind stands on the line behind the description.
            let kind = lines.peek().and_then(|line| line.rsplit_once(' '));
            let counter = kind.is_some_and(|(_, kind)| kind == "counter");
            let end = if counter { TOTAL } else { "" };
            let kind = kind.map(|(_, kind)| kind);
            lines.next();
            text.extend(["# HELP ", name, end, " ", help, "\n"]);
            text.extend(["# TYPE ", name, end, " ", kind.unwrap_or("untyped"), "\n"]);
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_described_by_the_name_that_it_is_told_by() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{of=\"x\"} 3\n\
                    # HELP b_seconds Time.\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 1.5\n# EOF\n";
        assert_eq!(
            older(open),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{of=\"x\"} 3\n\
             # HELP b_seconds Time.\n# TYPE b_seconds gauge\nb_seconds 1.5\n"
        );
    }
}
