//! The rule for names in S3. Every operation checks it before it sends anything.

use crate::{
    error::{Error, ErrorKind, Result},
    name::Key,
};

/// Returns the name of an object: the prefix and the key. Together they follow the rule of [`Key`]. So the
/// whole name of an archive is also a valid key, and its URL is not ambiguous: clients and services remove
/// `..`, `.` and empty parts from the path of a URL.
pub(super) fn object(bucket: &str, prefix: &str, key: &Key) -> Result<String> {
    let name = format!("{prefix}{key}");
    match Key::problem(&name) {
        None => Ok(name),
        Some(problem) => Err(refused(&format!("s3://{bucket}/{name}"), problem)),
    }
}

/// Checks the name of a bucket, which becomes a part of a path or of a host.
pub(super) fn bucket(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    let problem = if name.is_empty() {
        Some("the bucket's name is missing")
    } else if name.len() < 3 {
        Some("the bucket's name has fewer than 3 characters")
    } else if name.len() > 63 {
        Some("the bucket's name has over 63 characters")
    } else if !name.chars().all(|c| is_plain(c) || matches!(c, '-' | '.' | '_')) {
        Some("the bucket's name may have letters, digits, dots, hyphens and underscores only")
    } else if !(name.starts_with(is_plain) && name.ends_with(is_plain)) {
        Some("the bucket's name must begin and end with a letter or a digit")
    } else if name.contains("..") {
        Some("the bucket's name has two dots in a row")
    } else {
        None
    };
    problem.map_or(Ok(()), |problem| Err(refused(&format!("s3://{name}"), problem)))
}

fn refused(place: &str, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "use the name").at(place).caused_by(problem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bucket_is_one_part_of_a_path() {
        for good in ["abc", "my-bucket", "my.bucket", "Old_Bucket", "a-1", "123"] {
            bucket(good).expect(good);
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            "a",
            "ab",
            "..",
            "...",
            "a..b",
            "a/b",
            "abc/",
            "/abc",
            "a b",
            "abc?x",
            "abc#",
            "é-é-é",
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "a:b",
            "a%2fb",
            "a\\b",
            "abc\n",
            "user@host",
            &long,
        ] {
            assert_eq!(bucket(bad).expect_err(bad).kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn an_invalid_name_is_rejected_with_its_prefix() {
        let key = Key::new("backup.tar.gz").expect("a name");
        for good in ["", "pre/", "pre", "a/b/", "a.b/", "a..b/", "%2e%2e/", "a b/é+&"] {
            let name = format!("{good}backup.tar.gz");
            assert_eq!(object("bucket", good, &key).expect(good), name);
        }
        for (bad, why) in [
            ("/", "an empty part"),
            ("/pre/", "an empty part"),
            ("pre//", "an empty part"),
            ("pre//x/", "an empty part"),
            ("../other/", "begins with a dot"),
            ("pre/../", "begins with a dot"),
            ("./", "begins with a dot"),
            ("pre/.", "begins with a dot"),
            (".backups/", "begins with a dot"),
            ("pre\\", "a backslash"),
            ("a\nb/", "a control character"),
        ] {
            let error = object("bucket", bad, &key).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn the_split_between_prefix_and_key_makes_no_difference(
            parts in prop::collection::vec("[./a%\\\\ ]{0,3}|é|\\n", 1..5), at in 0usize..12,
        ) {
            let name = parts.join("/");
            let (prefix, key) = match name.char_indices().nth(at) {
                Some((at, _)) => name.split_at(at),
                None => ("", &*name),
            };
            let whole = Key::new(&*name).is_ok();
            if let Ok(key) = Key::new(key) {
                prop_assert_eq!(object("bucket", prefix, &key).is_ok(), whole);
            }
            if whole {
                // A URL keeps the name as it is.
                let url = format!("http://host/bucket/{}", name.replace('%', "%25"));
                let path = reqwest::Url::parse(&url).expect("a URL").path().to_owned();
                prop_assert_eq!(path.split('/').count(), name.split('/').count() + 2);
            }
        }
    }
}
