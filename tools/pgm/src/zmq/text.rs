// SPDX-License-Identifier: GPL-2.0

//! A message as a line of text: its parts with tabs between them.
//!
//! `\t`, `\n`, `\r` and `\\` stand for these characters in a part, `\xNN` for any other byte that is
//! no printable UTF-8, or would make a terminal show something else than it is. Whatever a message holds, its line gives exactly this message back.

use super::framing::Parts;

/// The line of a message, with its end.
pub fn line(parts: &[Vec<u8>]) -> String {
    let mut line = String::new();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            line.push('\t');
        }
        for chunk in part.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\t' => line.push_str("\\t"),
                    '\n' => line.push_str("\\n"),
                    '\r' => line.push_str("\\r"),
                    '\\' => line.push_str("\\\\"),
                    _ if character.is_control() || deceives(character) => {
                        let mut bytes = [0; 4];
                        escape(&mut line, character.encode_utf8(&mut bytes).as_bytes());
                    }
                    _ => line.push(character),
                }
            }
            escape(&mut line, chunk.invalid());
        }
    }
    line.push('\n');
    line
}

/// Characters that break lines, turn their direction or do not show at all, but for the joiners that
/// some scripts need.
fn deceives(character: char) -> bool {
    matches!(
        character,
        '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn escape(line: &mut String, bytes: &[u8]) {
    for byte in bytes {
        line.push_str(&format!("\\x{byte:02x}"));
    }
}

/// The message of a line without its end.
pub fn parse(line: &[u8]) -> Result<Parts, String> {
    line.split(|byte| *byte == b'\t').map(parse_part).collect()
}

/// A part of a message as the command line and lines have it.
pub fn parse_part(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut part = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            part.push(byte);
            continue;
        }
        let (&kind, after) = rest
            .split_first()
            .ok_or("a backslash at its end; write \\\\ for one")?;
        rest = after;
        part.push(match kind {
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'\\' => b'\\',
            b'x' => {
                let (digits, after) = rest
                    .split_at_checked(2)
                    .ok_or("\\x without two digits behind it")?;
                rest = after;
                // from_str_radix() would take a sign.
                let valid = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                u8::from_str_radix(digits, 16)
                    .ok()
                    .filter(|_| valid)
                    .ok_or("\\x without two hexadecimal digits behind it")?
            }
            _ => return Err("a backslash that begins none of \\t \\n \\r \\\\ \\xNN".into()),
        });
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn messages_are_lines() {
        let text = line(&[b"weather".to_vec(), "4 \u{b0}C".into()]);
        assert_eq!(text, "weather\t4 \u{b0}C\n");
        assert_eq!(
            line(&[b"a\tb\n\\\r\0\xff\x7f".to_vec()]),
            "a\\tb\\n\\\\\\r\\x00\\xff\\x7f\n"
        );
        assert_eq!(line(&[vec![]]), "\n");
        assert_eq!(
            line(&["a\u{202e}b\u{2028}\u{85}\u{feff}".into()]),
            "a\\xe2\\x80\\xaeb\\xe2\\x80\\xa8\\xc2\\x85\\xef\\xbb\\xbf\n"
        );
        // What text of any language has stays as it is.
        let text = "\u{645}\u{200c}\u{62a} \u{3000}e\u{301}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(line(&[text.into()]), format!("{text}\n"));
        assert_eq!(parse(b""), Ok(vec![vec![]]));
        assert_eq!(parse(b"\t"), Ok(vec![vec![], vec![]]));
        assert_eq!(parse(b"a\\x41\\\\"), Ok(vec![b"aA\\".to_vec()]));
        for wrong in [
            &b"\\"[..],
            b"\\q",
            b"\\x",
            b"\\x4",
            b"\\xg0",
            b"\\x+4",
            b"\\\xff",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn lines_give_the_message_back(parts in vec(vec(any::<u8>(), 0..40), 1..5)) {
            let text = line(&parts);
            let inner = text.strip_suffix('\n').unwrap();
            prop_assert!(!inner.contains(['\n', '\r']));
            prop_assert_eq!(parse(inner.as_bytes()), Ok(parts));
        }

        #[test]
        fn no_line_makes_the_parser_panic(text in vec(any::<u8>(), 0..60)) {
            let _ = parse(&text);
        }
    }
}
