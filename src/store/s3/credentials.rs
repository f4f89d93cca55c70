//! Credentials from the caller, the environment or a profile, never from a command line.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::error::{Error, ErrorKind, Result};

/// The access keys for an S3 service. `Debug` shows neither the secret key nor the token.
///
/// With the feature `serde` they can be deserialized. The keys are `access_key`, `secret_key` and, for a
/// temporary session, `session_token`. An unknown key is an error.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields))]
pub struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    session_token: Option<String>,
}

impl Credentials {
    /// Returns credentials with these keys.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        let (access_key, secret_key) = (access_key.into(), secret_key.into());
        Credentials { access_key, secret_key, session_token: None }
    }

    /// Adds the token of a temporary session.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// Reads the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if it is set,
    /// `AWS_SESSION_TOKEN`. `None` if one of the first two is not set.
    pub fn from_env() -> Option<Self> {
        let get = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let keys = Credentials::new(get("AWS_ACCESS_KEY_ID")?, get("AWS_SECRET_ACCESS_KEY")?);
        Some(Credentials { session_token: get("AWS_SESSION_TOKEN"), ..keys })
    }

    /// Reads a profile of a credentials file of the AWS tools: a line `[name]`, then `aws_access_key_id`,
    /// `aws_secret_access_key` and an optional `aws_session_token`.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) if the file or the profile does not exist.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the profile lacks a key.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied) or [`Io`](ErrorKind::Io) if the file cannot be
    ///   read.
    pub fn from_file(path: impl AsRef<Path>, profile: &str) -> Result<Self> {
        const OPERATION: &str = "read the credentials in";
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(OPERATION, e).at(path))?;
        let wrong = |kind, why| Err(Error::new(kind, OPERATION).at(path).caused_by(why));
        let Some(section) = section(&text, profile) else {
            return wrong(ErrorKind::NotFound, format!("there is no profile {profile:?}"));
        };
        let value = |name: &str| {
            section.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        match (value("aws_access_key_id"), value("aws_secret_access_key")) {
            (Some(access_key), Some(secret_key)) => {
                let session_token = value("aws_session_token");
                Ok(Credentials { access_key, secret_key, session_token })
            }
            _ => wrong(ErrorKind::InvalidInput, format!("the profile {profile:?} lacks a key")),
        }
    }

    /// Finds credentials as the AWS tools do: first in the environment, then in the profile `AWS_PROFILE` (or
    /// `default`) of the file `AWS_SHARED_CREDENTIALS_FILE` (or `~/.aws/credentials`).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there are none, and those of
    /// [`from_file`](Credentials::from_file).
    pub fn find() -> Result<Self> {
        match Credentials::from_env() {
            Some(credentials) => Ok(credentials),
            None => {
                let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".into());
                let file = Credentials::file();
                if !file.exists() {
                    return Err(Error::new(ErrorKind::NotFound, "find the keys to S3").caused_by(
                        format!(
                            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and there is no {}",
                            file.display()
                        ),
                    ));
                }
                Credentials::from_file(file, &profile)
            }
        }
    }

    /// Returns the path of the credentials file: `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`.
    pub fn file() -> PathBuf {
        std::env::var_os("AWS_SHARED_CREDENTIALS_FILE").map_or_else(
            || std::env::home_dir().unwrap_or_default().join(".aws/credentials"),
            PathBuf::from,
        )
    }
}

/// The secret key and the token are never shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Returns the settings of the section `[name]`. `None` if there is no such line.
fn section<'a>(text: &'a str, name: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| {
        line.strip_prefix('[').and_then(|l| l.strip_suffix(']')).map(str::trim) == Some(name)
    })?;
    let settings = lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()));
    Some(settings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_its_keys_between_its_line_and_the_next() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("credentials");
        let text = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=S=S\n\n\
                    [ other ]\n; no\naws_access_key_id=B\naws_secret_access_key=T\n\
                    aws_session_token = U\n[half]\naws_access_key_id=C\n";
        std::fs::write(&file, text).expect("written");
        let of = |profile| Credentials::from_file(&file, profile);
        assert_eq!(of("default").expect("there"), Credentials::new("A", "S=S"));
        let other = Credentials::new("B", "T").session_token("U");
        assert_eq!(of("other").expect("there"), other);
        assert_eq!(of("half").expect_err("no secret").kind(), ErrorKind::InvalidInput);
        assert_eq!(of("none").expect_err("no profile").kind(), ErrorKind::NotFound);
        assert!(!format!("{other:?}").contains('T'));
    }
}
