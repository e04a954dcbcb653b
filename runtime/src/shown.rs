//! Foreign text, fit to be shown: in a terminal, a record or a message.
//!
//! What a guest, a manifest or a service says may be long, may repaint the screen or turn the text
//! around it. Whatever is shown of it goes through here.

/// `text`, escaped and cut to `bytes_max`.
pub(crate) fn shown(text: &str, bytes_max: usize) -> String {
    // A character becomes ten bytes at most; what lies beyond cannot be within the bound.
    let mut text: String = text.chars().take(bytes_max).collect();
    bound(&mut text, bytes_max);
    text
}

/// Escape what could move a cursor or turn text around, and cut what is too long.
pub(crate) fn bound(text: &mut String, bytes_max: usize) {
    if is_plain(text, bytes_max) {
        return;
    }
    let mut plain = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let before = plain.len();
        if is_harmless(character) {
            plain.push(character);
        } else {
            plain.extend(character.escape_unicode());
        }
        if plain.len() > bytes_max.saturating_sub('…'.len_utf8()) {
            plain.truncate(before);
            plain.push('…');
            break;
        }
    }
    *text = plain;
}

/// Neither a control character nor one of those that change the direction or the lines of a text.
pub(crate) fn is_harmless(character: char) -> bool {
    let formats = matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    !character.is_control() && !formats
}

/// Printable ASCII within the bound: shown as it is.
pub(crate) fn is_plain(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
