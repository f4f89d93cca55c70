//! Tokens and their sources.

use std::{env, fs};

use serde::Deserialize;

/// A value that must not appear in logs.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl Secret {
    /// Returns the actual value. The environment variable `variable` has priority over the file's value.
    /// `$NAME` and `${NAME}` are replaced by variables, as in Go's `os.ExpandEnv`. A result of the form
    /// `file://PATH` is replaced by the content of that file.
    pub(super) fn resolve(self, key: &str, variable: &str) -> Result<Self, String> {
        let given = read_variable(variable).map_err(|why| format!("{variable}: {why}"))?;
        let given = given.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let text = given.unwrap_or(self.0);
        let text = expand(&text, read_variable).map_err(|why| format!("{key}: {why}"))?;
        let Some(path) = text.strip_prefix("file://") else { return Ok(Secret(text)) };
        let text = fs::read_to_string(path).map_err(|e| format!("{key}: {path}: {e}"))?;
        Ok(Secret(text.trim().to_owned()))
    }

    /// Checks that a request can contain the value, and that no reference is left in it.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.0.contains("${") {
            return Err("it still contains ${ after variables are replaced");
        }
        if self.0.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("it contains white space or a control character");
        }
        Ok(())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

fn read_variable(name: &str) -> Result<Option<String>, &'static str> {
    // `env::var` would panic for such a name.
    if name.contains(['=', '\0']) {
        return Ok(None);
    }
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err("the variable's value is not UTF-8"),
    }
}

/// Replaces `$NAME` and `${NAME}` by the rules of Go's `os.ExpandEnv`. Go silently drops a variable
/// that is not set, and `${` without a name and its brace. Both are errors here, because the token
/// that remains would be easy to guess.
pub(super) fn expand(
    text: &str,
    variable: impl Fn(&str) -> Result<Option<String>, &'static str>,
) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let braced = after.strip_prefix('{');
        let (name, end) = match braced {
            Some(inner) => match inner.find('}') {
                Some(len) if len > 0 => (&inner[..len], len + 2),
                _ => return Err("${ without a name and a closing brace".into()),
            },
            None => (&after[..name_len(after)], name_len(after)),
        };
        rest = &after[end..];
        if name.is_empty() {
            expanded.push('$');
            continue;
        }
        match variable(name)? {
            Some(value) => expanded.push_str(&value),
            None if braced.is_some() => {
                return Err(format!("the environment variable {name:?} is not set"));
            }
            // The name may be part of a token that contains a dollar sign.
            None => return Err("it contains $NAME of a variable that is not set".into()),
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Returns the length of the name at the beginning of `text`: one of the shell's special variables, or
/// letters, digits and underscores.
fn name_len(text: &str) -> usize {
    match text.bytes().next() {
        Some(b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9') => 1,
        _ => text.bytes().take_while(|&b| b == b'_' || b.is_ascii_alphanumeric()).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, |name| {
            Ok(match name {
                "A" => Some("one".into()),
                "B_2" => Some("${A}".into()),
                "EMPTY" => Some(String::new()),
                _ => None,
            })
        })
    }

    #[test]
    fn variables_are_replaced_as_in_go() {
        for (text, value) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "one"),
            ("${A}", "one"),
            ("<$A-${A}>", "<one-one>"),
            ("$A$A", "oneone"),
            ("${EMPTY}x$EMPTY", "x"),
            ("file://${A}/t", "file://one/t"),
            ("cost: 5$", "cost: 5$"),
            ("$ $, $/ $ä", "$ $, $/ $ä"),
            ("$B_2", "${A}"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn an_unresolved_reference_is_an_error() {
        for text in ["$C", "x${C}", "${", "${}", "${A", "$1", "$$", "$A_", "${A }", "${=}"] {
            let problem = expanded(text).unwrap_err();
            assert!(!problem.is_empty(), "{text}");
        }
        assert!(expanded("${C}").unwrap_err().contains("\"C\""));
        // Part of a token, perhaps.
        assert!(!expanded("abc$hunter2").unwrap_err().contains("hunter2"));
    }
}
