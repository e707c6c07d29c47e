//! Bytes written as hexadecimal digits: digests, keys, seals.

/// The bytes of exactly so many pairs of hexadecimal digits.
pub fn bytes_of<const LENGTH: usize>(digits: &str) -> Option<[u8; LENGTH]> {
    let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if digits.len() != LENGTH * 2 || !all {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_many_digits_as_there_are_bytes_are_bytes() {
        assert_eq!(bytes_of("00fFa1"), Some([0, 255, 161]));
        for text in ["00ff", "00ff0", "00ff0g", "+1ff00", "äff0"] {
            assert_eq!(bytes_of::<3>(text), None, "{text}");
        }
    }
}
