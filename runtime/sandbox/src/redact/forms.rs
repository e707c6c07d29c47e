//! The forms in which a secret is looked for: as it is, line by line, and in base64.

use std::collections::BTreeSet;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};

use crate::ports::secrets::SHORTEST;

/// Columns at which programs break base64: `base64` itself and MIME, and PEM.
const COLUMNS: [usize; 2] = [76, 64];

/// Shortest end of broken base64 that is looked for by itself, in characters. What is shorter occurs
/// in many texts.
const SHORTEST_END: usize = 12;

/// Every form of a value, each once.
pub(super) fn forms(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    // White space around a value is nothing that needs hiding, and a line's end would be held back.
    let whole = value.trim();
    for part in whole.lines().map(str::trim).chain([whole]) {
        if part.len() >= SHORTEST {
            forms.insert(part.as_bytes().to_vec());
        }
    }
    // With the white space too, because it moves what is encoded with it.
    for bytes in [whole.as_bytes(), value.as_bytes()] {
        for offset in 0..3 {
            encoded::<Base64Unpadded>(bytes, offset, &mut forms);
            encoded::<Base64UrlUnpadded>(bytes, offset, &mut forms);
        }
        broken::<Base64Unpadded>(bytes, &mut forms);
        broken::<Base64UrlUnpadded>(bytes, &mut forms);
    }
    forms
}

/// The characters of base64 that these bytes alone decide, when `offset` bytes stand before them in
/// their group of three.
fn encoded<E: Encoding>(bytes: &[u8], offset: usize, forms: &mut BTreeSet<Vec<u8>>) {
    let mut shifted = vec![0; offset];
    shifted.extend_from_slice(bytes);
    let text = E::encode_string(&shifted).into_bytes();
    // A character holds six bits; those that hold bits of a neighbour are left out.
    let first = (offset * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    forms.insert(text[first..last].to_vec());
    // When nothing follows, the last character is decided as well.
    forms.insert(text[first..].to_vec());
}

/// The lines that a value alone becomes where base64 is broken into lines.
fn broken<E: Encoding>(bytes: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    let text = E::encode_string(bytes).into_bytes();
    for columns in COLUMNS {
        if text.len() > columns {
            let lines = text.chunks(columns);
            forms.extend(
                lines
                    .filter(|line| line.len() >= SHORTEST_END)
                    .map(<[u8]>::to_vec),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str, text: &str) -> bool {
        forms(value)
            .iter()
            .any(|form| text.contains(std::str::from_utf8(form).unwrap()))
    }

    #[test]
    fn a_value_its_long_lines_and_nothing_shorter_are_looked_for() {
        let value = "-----BEGIN KEY-----\nabcdefghijkl\nshort\n-----END KEY-----\n";
        assert!(found(value, "x abcdefghijkl y"));
        assert!(!found(value, "short"));
        assert!(found("\tpass word!\n", "pass word!"));
    }

    #[test]
    fn base64_is_found_wherever_the_value_stands_in_what_was_encoded() {
        let value = "hunter2-hunter2?>";
        for before in 0..7 {
            for after in 0..7 {
                let text = format!("{}{value}{}", "y".repeat(before), "z".repeat(after));
                assert!(found(
                    value,
                    &Base64Unpadded::encode_string(text.as_bytes())
                ));
                assert!(found(
                    value,
                    &Base64UrlUnpadded::encode_string(text.as_bytes())
                ));
            }
        }
    }

    #[test]
    fn base64_broken_into_lines_is_found_line_by_line() {
        let value = "0123456789abcdef".repeat(20);
        let text = Base64Unpadded::encode_string(value.as_bytes());
        for columns in COLUMNS {
            for line in text.as_bytes().chunks(columns) {
                assert!(forms(&value).contains(line) || line.len() < SHORTEST_END);
            }
        }
    }
}
