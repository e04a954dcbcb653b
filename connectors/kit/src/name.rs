//! Names as rclone stores them, so that a folder that either of the two wrote reads the same through
//! the other.
//!
//! What a service cannot store in a name is written as something that looks like it: `:` as the
//! full-width `：`, a tab as `␉`, a space at an end as `␠`. A name that has such a form of its own gets
//! the quote `‛` (U+201B) before it, and a quote is doubled. These are the rules of rclone's
//! `lib/encoder`, and the services' masks are those of rclone 1.75.2; the vectors in the tests are what it
//! stored.
//!
//! A name here is one that a file can have on this machine, so it never has `/` or NUL and is never `.` or
//! `..`. What rclone writes for those stays as it is in both directions, as it does with rclone: `／`,
//! `␀`, `．`, `．．`, each also with a quote before it, and `‛FF` for a byte that is no UTF-8.

/// Says that the next character stands for itself.
const QUOTE: char = '‛';
/// What a name that would be `.` or `..` is called, and how such names themselves are quoted.
const DOTS: [&str; 4] = ["．", "．．", "‛．", "‛．‛．"];
/// From a printable ASCII character to its full-width form.
const FULL_WIDTH: u32 = 0xFEE0;
/// From a control character to its picture.
const PICTURE: u32 = 0x2400;

/// What one service does not take in a name: printable ASCII characters and the space. DEL is one that
/// none takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// Characters that no name may have; not the space.
    pub anywhere: &'static str,
    /// May no name have a control character (1 to 31)?
    pub controls: bool,
    /// Characters that no name may begin with.
    pub first: &'static str,
    /// Characters that no name may end with.
    pub last: &'static str,
}

/// OneDrive: rclone's `Slash,LtGt,DoubleQuote,Colon,Question,Asterisk,Pipe,BackSlash,Del,Ctl,LeftSpace,
/// LeftTilde,RightSpace,RightPeriod,InvalidUtf8,Dot`.
pub const ONEDRIVE: Encoding = Encoding { anywhere: "<>\":?*|\\", controls: true, first: " ~", last: " ." };
/// Dropbox: rclone's `Slash,BackSlash,Del,RightSpace,InvalidUtf8,Dot`.
pub const DROPBOX: Encoding = Encoding { anywhere: "\\", controls: false, first: "", last: " " };

/// Where in a name a character is.
#[derive(Clone, Copy)]
struct Place {
    first: bool,
    last: bool,
}

impl Encoding {
    /// A path as the service is to store it: each of its names encoded, the slashes kept.
    #[must_use]
    pub fn encode(self, path: &str) -> String {
        let names: Vec<String> = path.split('/').map(|name| self.encode_name(name)).collect();
        names.join("/")
    }

    /// A name as the service is to store it.
    #[must_use]
    pub fn encode_name(self, name: &str) -> String {
        if DOTS.contains(&name) {
            return name.to_owned();
        }
        let stored = self.encoded(name);
        // The end of `．.` would make it another of those.
        if DOTS.contains(&stored.as_str()) { format!("{QUOTE}{stored}") } else { stored }
    }

    fn encoded(self, name: &str) -> String {
        let mut stored = String::with_capacity(name.len());
        let mut rest = name;
        while let Some(one) = rest.chars().next() {
            let kept = kept_len(rest);
            if kept > 0 {
                stored.push_str(&rest[..kept]);
                rest = &rest[kept..];
                continue;
            }
            let after = &rest[one.len_utf8()..];
            let place = Place { first: rest.len() == name.len(), last: after.is_empty() };
            if let Some(form) = self.form(one, place) {
                stored.push(form);
            } else {
                if one == QUOTE || self.meaning(one, place).is_some() {
                    stored.push(QUOTE);
                }
                stored.push(one);
            }
            rest = after;
        }
        stored
    }

    /// The name that is stored under this one; none when no name would be stored so, and asking for what
    /// it says would lead to another file. Only whoever writes quotes by other rules makes such names.
    #[must_use]
    pub fn decode_name(self, stored: &str) -> Option<String> {
        if DOTS.contains(&stored) {
            return Some(stored.to_owned());
        }
        let fits = |name: String| (self.encode_name(&name) == stored).then_some(name);
        fits(self.decoded(stored)).or_else(|| fits(self.decoded(stored.strip_prefix(QUOTE)?)))
    }

    /// The path that is stored under this one, as [`decode_name`](Self::decode_name) says of each name.
    #[must_use]
    pub fn decode(self, stored: &str) -> Option<String> {
        let names: Option<Vec<_>> = stored.split('/').map(|name| self.decode_name(name)).collect();
        Some(names?.join("/"))
    }

    fn decoded(self, stored: &str) -> String {
        let mut name = String::with_capacity(stored.len());
        let mut rest = stored;
        while let Some(one) = rest.chars().next() {
            let kept = kept_len(rest);
            if kept > 0 {
                name.push_str(&rest[..kept]);
                rest = &rest[kept..];
                continue;
            }
            let first = rest.len() == stored.len();
            let mut after = &rest[one.len_utf8()..];
            let quoted = after.chars().next().filter(|_| one == QUOTE).filter(|next| {
                let place = Place { first, last: after.len() == next.len_utf8() };
                *next == QUOTE || self.meaning(*next, place).is_some()
            });
            if let Some(quoted) = quoted {
                name.push(quoted);
                after = &after[quoted.len_utf8()..];
            } else {
                let place = Place { first, last: after.is_empty() };
                name.push(self.meaning(one, place).unwrap_or(one));
            }
            rest = after;
        }
        name
    }

    /// What is written for a character that the service does not take in this place.
    fn form(self, one: char, place: Place) -> Option<char> {
        let code = u32::from(one);
        match one {
            '\u{7f}' => Some('␡'),
            '\u{1}'..='\u{1f}' if self.controls => char::from_u32(code + PICTURE),
            ' ' if self.is_edge(one, place) => Some('␠'),
            '!'..='~' if self.anywhere.contains(one) || self.is_edge(one, place) => {
                char::from_u32(code + FULL_WIDTH)
            }
            _ => None,
        }
    }

    /// What such a form stands for.
    fn meaning(self, form: char, place: Place) -> Option<char> {
        let one = match form {
            '␡' => '\u{7f}',
            '␠' => ' ',
            '␁'..='␟' => char::from_u32(u32::from(form) - PICTURE)?,
            '！'..='～' => char::from_u32(u32::from(form) - FULL_WIDTH)?,
            _ => return None,
        };
        (self.form(one, place) == Some(form)).then_some(one)
    }

    fn is_edge(self, one: char, place: Place) -> bool {
        (place.first && self.first.contains(one)) || (place.last && self.last.contains(one))
    }
}

/// How many bytes at the start of a text are the same in a name and in what is stored for it: a quoted
/// form of what no name has, or a byte that is no UTF-8.
fn kept_len(text: &str) -> usize {
    let Some(after) = text.strip_prefix(QUOTE) else { return 0 };
    let quote = QUOTE.len_utf8();
    if after.starts_with(['／', '␀']) {
        return quote + '／'.len_utf8();
    }
    let byte = after.as_bytes().get(..2).unwrap_or_default();
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    // A byte below 80 would be a character.
    let is_byte = matches!(byte, [b'8' | b'9' | b'A'..=b'F', low] if is_digit(low));
    if is_byte { quote + byte.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What rclone 1.75.2 stored on OneDrive and on Dropbox for a local file of this name; none where the
    /// service does not take what rclone sends.
    const VECTORS: [(&str, &str, Option<&str>); 44] = [
        ("plain", "plain", Some("plain")),
        ("a:b", "a：b", Some("a:b")),
        ("a*b?", "a＊b？", Some("a*b?")),
        ("<q>\"|", "＜q＞＂｜", Some("<q>\"|")),
        ("back\\slash", "back＼slash", Some("back＼slash")),
        ("back＼slash", "back‛＼slash", Some("back‛＼slash")),
        ("What？.mp4", "What‛？.mp4", Some("What？.mp4")),
        (" lead", "␠lead", Some(" lead")),
        ("~tilde", "～tilde", Some("~tilde")),
        ("~$x.docx", "～$x.docx", Some("~$x.docx")),
        ("trail ", "trail␠", Some("trail␠")),
        ("dot.", "dot．", Some("dot.")),
        ("␠sym", "‛␠sym", Some("␠sym")),
        ("sym␠", "sym‛␠", Some("sym‛␠")),
        ("～wide", "‛～wide", Some("～wide")),
        ("wide．", "wide‛．", Some("wide．")),
        ("．", "．", Some("．")),
        ("．．", "．．", Some("．．")),
        ("‛．", "‛．", Some("‛．")),
        ("‛．‛．", "‛．‛．", Some("‛．‛．")),
        ("．．．", "．．‛．", Some("．．．")),
        ("a．b", "a．b", Some("a．b")),
        ("a␠b", "a␠b", Some("a␠b")),
        ("a～b", "a～b", Some("a～b")),
        ("a ~ .b", "a ~ .b", Some("a ~ .b")),
        ("\u{1}\u{1f}\u{7f}", "␁␟␡", None),
        ("tab\tnl\n", "tab␉nl␊", None),
        ("␀", "␀", Some("␀")),
        ("‛␀", "‛␀", Some("‛␀")),
        ("␁␟␡", "‛␁‛␟‛␡", Some("␁␟‛␡")),
        ("a／b", "a／b", Some("a／b")),
        ("a‛／b", "a‛／b", Some("a‛／b")),
        (" ", "␠", Some("␠")),
        ("~", "～", Some("~")),
        ("  two  ", "␠ two ␠", Some("  two ␠")),
        ("a. ", "a.␠", Some("a.␠")),
        (" .", "␠．", Some(" .")),
        ("~ ", "～␠", Some("~␠")),
        ("end..", "end.．", Some("end..")),
        (" ~x", "␠~x", Some(" ~x")),
        ("␠", "‛␠", Some("‛␠")),
        ("e\u{301}x", "e\u{301}x", Some("e\u{301}x")),
        // Here these stand for the bytes themselves, which are not UTF-8.
        ("gro‛DF", "gro‛DF", Some("gro‛DF")),
        ("‛FF‛FE", "‛FF‛FE", Some("‛FF‛FE")),
    ];

    /// What the services take in no name, of what the property below makes.
    const REFUSED: [char; 11] = ['"', '*', ':', '<', '>', '?', '/', '\\', '|', '\u{1}', '\u{7f}'];
    const DROPBOX_REFUSED: [char; 3] = ['/', '\\', '\u{7f}'];

    #[track_caller]
    fn check(encoding: Encoding, name: &str, stored: &str) {
        assert_eq!(encoding.encode_name(name), stored, "{name:?}");
        assert_eq!(encoding.decode_name(stored).as_deref(), Some(name), "{stored:?}");
    }

    #[test]
    fn names_are_stored_as_rclone_stores_them() {
        for (name, onedrive, dropbox) in VECTORS {
            check(ONEDRIVE, name, onedrive);
            if let Some(dropbox) = dropbox {
                check(DROPBOX, name, dropbox);
            }
        }
    }

    /// rclone cannot open a local file with a quote of its own. What its encoder writes for one is this.
    #[test]
    fn a_quote_is_doubled() {
        for encoding in [ONEDRIVE, DROPBOX] {
            check(encoding, "‛", "‛‛");
            check(encoding, "a‛b", "a‛‛b");
            check(encoding, "‛df", "‛‛df");
            // It reads the next one back as a quoted `␠`.
            check(encoding, "x‛ ", "x‛‛␠");
        }
        check(ONEDRIVE, "‛？", "‛‛‛？");
        check(ONEDRIVE, "‛?", "‛‛？");
        check(ONEDRIVE, "．.", "‛．．");
        check(DROPBOX, "‛？", "‛‛？");
    }

    #[test]
    fn a_path_keeps_its_slashes() {
        assert_eq!(ONEDRIVE.encode(""), "");
        assert_eq!(ONEDRIVE.encode(" a/b:/c"), "␠a/b：/c");
    }

    #[test]
    fn what_no_name_is_stored_as_has_no_name() {
        for stored in ["‛x", "x‛", "‛df", "‛‛／", "‛‛DF", "a:b", "a\\", " a"] {
            assert_eq!(ONEDRIVE.decode_name(stored), None, "{stored:?}");
        }
        for stored in ["‛x", "‛？", "a\\b", "a "] {
            assert_eq!(DROPBOX.decode_name(stored), None, "{stored:?}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, cases: 20_000, ..Default::default() })]

        #[test]
        fn every_name_comes_back(name in "[a.~ :\\\\\u{1}\u{7f}‛／␀␠␡␁．～：＼8DF]{1,8}|[^/\u{0}]{1,8}") {
            proptest::prop_assume!(name != "." && name != "..");
            for encoding in [ONEDRIVE, DROPBOX] {
                let stored = encoding.encode_name(&name);
                let back = encoding.decode_name(&stored);
                proptest::prop_assert_eq!(back.as_deref(), Some(name.as_str()), "{:?}", stored);
            }
        }

        #[test]
        fn what_is_stored_is_what_the_service_takes(name in "[a.~ :*?<>|\"\\\\\u{1}\u{7f}‛／␀]{1,8}") {
            proptest::prop_assume!(name != "." && name != "..");
            let stored = ONEDRIVE.encode_name(&name);
            proptest::prop_assert!(!stored.contains(REFUSED));
            proptest::prop_assert!(!stored.starts_with([' ', '~']) && !stored.ends_with([' ', '.']));
            let stored = DROPBOX.encode_name(&name);
            proptest::prop_assert!(!stored.contains(DROPBOX_REFUSED) && !stored.ends_with(' '));
        }
    }
}
