//! Selects members of an archive by paths and patterns.

use crate::{
    error::{Error, ErrorKind, Result},
    fs::ignore::{Excludes, Rules},
    warning::PatternOrigin,
};

/// Paths and patterns. An empty selection matches everything.
///
/// Each text is first a path, with everything beneath it, and otherwise a pattern of `.gitignore`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection(Vec<Selector>);

#[derive(Clone, Debug)]
struct Selector {
    text: Vec<u8>,
    /// Without a leading `./` and a trailing `/`.
    path: Vec<u8>,
    patterns: std::sync::Arc<Excludes>,
}

impl Selection {
    pub(crate) fn add(&mut self, text: &[u8]) {
        let path = text.strip_prefix(b"./").unwrap_or(text);
        let path = path.strip_suffix(b"/").unwrap_or(path).to_vec();
        let mut patterns = Excludes::new(Rules::Git);
        // A text that exceeds the limits of patterns can still be a path.
        let _ = patterns.add(PatternOrigin::Caller, text);
        self.0.push(Selector { text: text.to_vec(), path, patterns: patterns.into() });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a member is selected, and removes the selectors that match it from `unmatched`.
    pub(crate) fn matches(&self, path: &[u8], is_dir: bool, unmatched: &mut Unmatched) -> bool {
        let mut is_selected = self.0.is_empty();
        for (i, selector) in self.0.iter().enumerate() {
            if selector.matches(path, is_dir) {
                is_selected = true;
                unmatched.0[i] = false;
            }
        }
        is_selected
    }

    /// Returns all selectors as unmatched.
    pub(crate) fn unmatched(&self) -> Unmatched {
        Unmatched(vec![true; self.0.len()])
    }

    /// Returns the texts of the unmatched selectors.
    pub(crate) fn texts(&self, unmatched: &Unmatched) -> Vec<Vec<u8>> {
        let pairs = self.0.iter().zip(&unmatched.0);
        pairs
            .filter(|(_, unmatched)| **unmatched)
            .map(|(selector, _)| selector.text.clone())
            .collect()
    }
}

/// The selectors that have matched nothing yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unmatched(Vec<bool>);

impl Unmatched {
    pub(crate) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    /// Keeps the selectors that `other` has as well.
    pub(crate) fn retain(&mut self, other: &Unmatched) {
        self.0.iter_mut().zip(&other.0).for_each(|(here, there)| *here &= there);
    }
}

/// Fails if there are unmatched paths and patterns, because the caller probably misspelled them.
pub(crate) fn refuse_unmatched(
    texts: &[Vec<u8>],
    operation: &'static str,
    place: &str,
) -> Result<()> {
    match texts {
        [] => Ok(()),
        texts => Err(Error::new(ErrorKind::InvalidInput, operation)
            .caused_by(format!("nothing in {place} matches {}", quoted(texts)))),
    }
}

/// Returns paths and patterns as text for a message.
pub(crate) fn quoted(texts: &[Vec<u8>]) -> String {
    let texts = texts.iter().map(|text| format!("{:?}", String::from_utf8_lossy(text)));
    texts.collect::<Vec<_>>().join(", ")
}

impl Selector {
    fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        let beneath = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"/");
        if !self.path.is_empty() && path.strip_prefix(&*self.path).is_some_and(beneath) {
            return true;
        }
        self.patterns.covers(path, is_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, path: &str) -> bool {
        let mut selection = Selection::default();
        selection.add(selector.as_bytes());
        let mut unmatched = selection.unmatched();
        let is_selected = selection.matches(path.as_bytes(), false, &mut unmatched);
        assert_eq!(selection.texts(&unmatched).is_empty(), is_selected);
        is_selected
    }

    #[test]
    fn a_selection_matches_paths_with_everything_below_and_gitignore_patterns() {
        for (selector, path) in [
            ("a/b", "a/b"),
            ("a", "a/b/c"),
            ("./a/", "a/b"),
            ("a[1].txt", "a[1].txt"),
            ("*.mca", "world/region/r.0.0.mca"),
            ("world/*/r.*", "world/region/r.0.0.mca"),
            ("region", "world/region/x"),
            ("/world", "world/x"),
        ] {
            assert!(matches(selector, path), "{selector} {path}");
        }
        for (selector, path) in
            [("a/b", "a/bc"), ("a/b", "x/a/b"), ("/b", "a/b"), ("*.mca", "a.mcb")]
        {
            assert!(!matches(selector, path), "{selector} {path}");
        }
        assert!(Selection::default().matches(b"x", false, &mut Unmatched::default()));
    }
}
