//! The Panel's remote API, as far as backups need it.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use hyper::Method;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};
use uuid::Uuid;

use crate::{
    client::{Answer, Client},
    config::Config,
    record::Part,
};

/// How long the Panel may think: it completes an upload of ten thousand parts before it answers.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Panel {
    client: Client,
    /// `{token_id}.{token}`
    token: RwLock<String>,
}

/// How a backup ended.
#[derive(Debug, Serialize)]
pub(crate) struct BackupResult<'a> {
    pub(crate) checksum: &'a str,
    pub(crate) checksum_type: &'static str,
    pub(crate) size: u64,
    pub(crate) successful: bool,
    pub(crate) parts: &'a [Part],
}

/// How a restore ended.
#[derive(Debug, Serialize)]
pub(crate) struct RestoreResult {
    pub(crate) successful: bool,
}

/// Where the parts of an upload go.
#[derive(Deserialize)]
pub(crate) struct PartUrls {
    #[serde(deserialize_with = "urls")]
    pub(crate) parts: Vec<String>,
    pub(crate) part_size: u64,
}

/// Parts that S3 takes of one upload.
const PARTS_MAX: usize = 10_000;

/// Takes no more memory than so many parts need: an answer may have twenty million empty ones.
fn urls<'de, D: Deserializer<'de>>(urls: D) -> Result<Vec<String>, D::Error> {
    struct Urls;
    impl<'de> Visitor<'de> for Urls {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {PARTS_MAX} URLs")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut urls = Vec::new();
            while let Some(url) = seq.next_element()? {
                if urls.len() == PARTS_MAX {
                    return Err(A::Error::invalid_length(urls.len() + 1, &self));
                }
                urls.push(url);
            }
            Ok(urls)
        }
    }
    urls.deserialize_seq(Urls)
}

/// What came of telling the Panel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Yes,
    /// It says that this backup is completed already.
    Already,
    /// It has no such backup.
    Missing,
    /// It does not take the message, whenever it comes.
    Refused(String),
    /// It did not take it now, and certainly not at all.
    NotNow(String),
    /// Nobody knows whether it took it.
    Unknown(String),
}

impl Panel {
    /// The Panel of `config`, where it names one.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, String> {
        if config.remote.is_empty() {
            return Ok(None);
        }
        let client = Client::new(&config.remote).map_err(|problem| format!("remote: {problem}"))?;
        Ok(Some(Panel { client, token: RwLock::new(token(config)) }))
    }

    pub(crate) fn reload(&self, config: &Config) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token(config);
    }

    pub(crate) async fn tell_backup(&self, uuid: Uuid, result: &BackupResult<'_>) -> Heard {
        self.tell(&format!("/backups/{uuid}"), result).await
    }

    pub(crate) async fn tell_restore(&self, uuid: Uuid, successful: bool) -> Heard {
        self.tell(&format!("/backups/{uuid}/restore"), &RestoreResult { successful }).await
    }

    /// Asks where an archive of at most `size` bytes is to go. The Panel begins an upload for each
    /// such request, so one that may have been heard is not repeated.
    pub(crate) async fn part_urls(&self, uuid: Uuid, size: u64) -> Result<PartUrls, Heard> {
        // The Panel takes no 0.
        let path = format!("/backups/{uuid}?size={}", size.max(1));
        match self.request(Method::GET, &path, Vec::new()).await {
            Answer::Status(200, body) => serde_json::from_slice(&body)
                .map_err(|_| Heard::Refused("its answer has no part URLs".into())),
            answer => Err(heard(answer)),
        }
    }

    async fn tell(&self, path: &str, message: &impl Serialize) -> Heard {
        let body = serde_json::to_vec(message).expect("a message is plain data");
        heard(self.request(Method::POST, path, body).await)
    }

    async fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.client.send(method, &format!("/api/remote{path}"), &token, body, PATIENCE).await
    }
}

fn token(config: &Config) -> String {
    format!("{}.{}", config.token_id, config.token.0)
}

fn heard(answer: Answer) -> Heard {
    let (status, body) = match answer {
        Answer::Status(status, body) => (status, body),
        Answer::NotSent(why) => return Heard::NotNow(why),
        Answer::Lost(why) => return Heard::Unknown(why),
    };
    let said = || {
        let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        format!("status {status}: {}", text.escape_debug())
    };
    match status {
        200..=299 => Heard::Yes,
        400 | 409 if is_already(&body) => Heard::Already,
        404 => Heard::Missing,
        // A wrong token or address is mended by people, and 408, 425 and 429 by time.
        300..=399 | 401 | 403 | 408 | 425 | 429 => Heard::NotNow(said()),
        400..=499 => Heard::Refused(said()),
        // What stands between may have lost the answer, or the Panel failed after it had committed.
        _ => Heard::Unknown(said()),
    }
}

fn is_already(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).to_lowercase().contains("already")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_more_parts_than_an_upload_has_is_refused() {
        let answer = |parts: usize| {
            let parts = vec!["\"\""; parts].join(",");
            serde_json::from_str::<PartUrls>(&format!("{{\"parts\":[{parts}],\"part_size\":1}}"))
        };
        assert_eq!(answer(PARTS_MAX).expect("as many as there may be").parts.len(), PARTS_MAX);
        assert!(answer(PARTS_MAX + 1).is_err());
    }

    #[test]
    fn an_answer_is_told_from_no_answer() {
        let status = |status, body: &'static str| heard(Answer::Status(status, body.into()));
        assert_eq!(status(204, ""), Heard::Yes);
        let already = r#"{"errors":[{"detail":"This backup is already marked as completed."}]}"#;
        assert_eq!(status(400, already), Heard::Already);
        assert_eq!(status(404, ""), Heard::Missing);
        assert!(matches!(status(400, "no size"), Heard::Refused(_)));
        assert!(matches!(status(422, ""), Heard::Refused(_)));
        assert!(matches!(status(401, ""), Heard::NotNow(_)));
        assert!(matches!(status(302, ""), Heard::NotNow(_)));
        assert!(matches!(status(502, ""), Heard::Unknown(_)));
        assert!(matches!(heard(Answer::NotSent("x".into())), Heard::NotNow(_)));
        assert!(matches!(heard(Answer::Lost("x".into())), Heard::Unknown(_)));
    }
}
