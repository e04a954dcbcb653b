//! Which files a copy takes: `--include` and `--exclude`, with rclone's patterns.

use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use wharf_runtime::path::RelativePath;

/// One pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(globset::Glob);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern matches nothing".to_owned());
        }
        // To rclone `a/**.jpg` is `a/**/*.jpg`; a star pair within a name would quietly mean one star here.
        let is_mixed = |name: &str| name.contains("**") && name != "**";
        if text.split('/').any(is_mixed) {
            return Err("`**` stands for whole folders: write `a/**/*.jpg` for `a/**.jpg`".to_owned());
        }
        let anywhere = text.strip_prefix('/').map_or_else(|| format!("**/{text}"), str::to_owned);
        let whole = if anywhere.ends_with('/') { format!("{anywhere}**") } else { anywhere };
        let glob = GlobBuilder::new(&whole).literal_separator(true).backslash_escape(true).build();
        glob.map(Self).map_err(|error| format!("not a pattern: {}", error.kind()))
    }
}

/// The patterns of one copy.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    /// None when there are no patterns: everything is taken then.
    pub(crate) fn new(include: &[Pattern], exclude: &[Pattern]) -> Result<Option<Self>, globset::Error> {
        if include.is_empty() && exclude.is_empty() {
            return Ok(None);
        }
        let include = if include.is_empty() { None } else { Some(set(include)?) };
        Ok(Some(Self { include, exclude: set(exclude)? }))
    }

    /// Is the file at `path`, relative to the copied folder, taken?
    pub(crate) fn takes(&self, path: &RelativePath) -> bool {
        let is_included = self.include.as_ref().is_none_or(|include| include.is_match(path.as_str()));
        is_included && !self.exclude.is_match(path.as_str())
    }
}

fn set(patterns: &[Pattern]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(pattern.0.clone());
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(include: &[&str], exclude: &[&str], path: &str) -> bool {
        let parse = |patterns: &[&str]| patterns.iter().map(|text| text.parse().unwrap()).collect();
        let (include, exclude): (Vec<Pattern>, Vec<Pattern>) = (parse(include), parse(exclude));
        let filter = Filter::new(&include, &exclude).unwrap();
        filter.is_none_or(|filter| filter.takes(&RelativePath::parse(path).unwrap()))
    }

    #[test]
    fn patterns_mean_what_they_mean_to_rclone() {
        let check = |include: &[&str], exclude: &[&str], path: &str, expected: bool| {
            assert_eq!(takes(include, exclude, path), expected, "+{include:?} -{exclude:?} {path}");
        };
        check(&[], &[], "a", true);
        check(&["*.jpg"], &[], "a.jpg", true);
        check(&["*.jpg"], &[], "deep/in/a.jpg", true);
        check(&["*.jpg"], &[], "a.png", false);
        check(&["/*.jpg"], &[], "a.jpg", true);
        check(&["/*.jpg"], &[], "deep/a.jpg", false);
        check(&["a/*.jpg"], &[], "a/deep/b.jpg", false);
        check(&["a/**/*.jpg"], &[], "a/deep/er/b.jpg", true);
        check(&["a/**/*.jpg"], &[], "a/b.jpg", true);
        check(&["*.{jpg,png}"], &[], "a.png", true);
        check(&[], &["cache/"], "x/cache/y/z", false);
        check(&[], &["cache/"], "x/cache", true);
        check(&[], &["/cache/"], "x/cache/y", true);
        check(&[], &["cache/**"], "cache/y", false);
        check(&["*.jpg"], &["secret/"], "secret/a.jpg", false);
        check(&[], &["[ab].txt"], "b.txt", false);
        check(&[], &["a?c"], "abc", false);
        check(&[], &["a?c"], "a/c", true);
    }

    #[test]
    fn broken_patterns_are_refused() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<Pattern>().map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        check("", "empty");
        check("a[b", "not a pattern");
        check("{a,b", "not a pattern");
        check("a/**.jpg", "write `a/**/*.jpg`");
    }
}
