//! Which names a service keeps apart.
//!
//! Linux keeps apart whatever differs in a byte. Where a service does not, two files here would be one
//! there, and a file here would not be found there under its own spelling.

use std::borrow::Cow;

/// What a service overlooks when it compares names. Nothing, unless the manifest says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Names {
    /// Upper and lower case are one.
    pub ignores_case: bool,
    /// So are the composed and the decomposed spelling of a letter (Unicode's NFC and NFD).
    pub normalizes: bool,
}

impl Names {
    /// What two names have in common exactly when they are one to the service.
    #[must_use]
    pub fn key<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if name.is_ascii() && !self.ignores_case {
            return Cow::Borrowed(name);
        }
        let lower = if self.ignores_case {
            // Letter by letter: the lower case of a Greek word depends on where it ends.
            Cow::Owned(name.chars().flat_map(char::to_lowercase).collect())
        } else {
            Cow::Borrowed(name)
        };
        if !self.normalizes {
            return lower;
        }
        let normalizer = icu_normalizer::ComposingNormalizerBorrowed::new_nfc();
        Cow::Owned(normalizer.normalize(&lower).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, case: bool, form: bool) {
        for (ignores_case, normalizes) in [(false, false), (true, false), (false, true), (true, true)] {
            let names = Names { ignores_case, normalizes };
            let same = (ignores_case || !case) && (normalizes || !form);
            assert_eq!(names.key(one) == names.key(other), same, "{one:?} {other:?} {names:?}");
        }
    }

    #[test]
    fn a_key_is_what_names_have_in_common() {
        check("a", "a", false, false);
        check("README", "readme", true, false);
        check("ÉTÉ", "été", true, false);
        check("\u{e9}", "e\u{301}", false, true);
        check("\u{c9}", "e\u{301}", true, true);
        check("ΟΔΟΣ", "οδοσ", true, false);
        let names = Names { ignores_case: true, normalizes: true };
        assert_ne!(names.key("a"), names.key("b"));
        assert_ne!(names.key("e"), names.key("é"));
    }
}
