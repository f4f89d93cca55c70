//! SHA-1s in hexadecimal, as in requests and arguments of the command.

/// Parses forty digits; `None` for any other text.
pub fn sha1(text: &str) -> Option<[u8; 20]> {
    if text.len() != 40 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut sha1 = [0; 20];
    for (i, byte) in sha1.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(sha1)
}
