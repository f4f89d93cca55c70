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
    answer::{Heard, Outcome},
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

    pub(crate) async fn tell_backup(&self, uuid: Uuid, result: &BackupResult<'_>) -> Outcome {
        self.tell(&format!("/backups/{uuid}"), result).await
    }

    pub(crate) async fn tell_restore(&self, uuid: Uuid, successful: bool) -> Outcome {
        self.tell(&format!("/backups/{uuid}/restore"), &RestoreResult { successful }).await
    }

    /// Asks where an archive of at most `size` bytes is to go. The Panel begins an upload for each
    /// such request, so one that may have been heard is not repeated.
    pub(crate) async fn part_urls(&self, uuid: Uuid, size: u64) -> Result<PartUrls, Outcome> {
        // The Panel takes no 0.
        let path = format!("/backups/{uuid}?size={}", size.max(1));
        let answer = self.request(Method::GET, &path, Vec::new()).await;
        let outcome = self.outcome(&answer);
        let Answer::Reply(reply) = answer else { return Err(outcome) };
        let urls = reply.json().filter(|_| reply.status == 200).map(serde_json::from_value);
        match urls {
            Some(Ok(urls)) => Ok(urls),
            // The Panel's own success, without what it was asked for.
            _ if reply.is_success() && reply.is_json() => {
                let answer = format!("its answer has no part URLs: {}", outcome.answer);
                Err(Outcome { heard: Heard::Refused, answer, ..outcome })
            }
            // Somebody else's: the Panel has begun no upload.
            _ if reply.is_success() => Err(Outcome { heard: Heard::NotNow, ..outcome }),
            _ => Err(outcome),
        }
    }

    async fn tell(&self, path: &str, message: &impl Serialize) -> Outcome {
        let body = serde_json::to_vec(message).expect("a message is plain data");
        self.outcome(&self.request(Method::POST, path, body).await)
    }

    fn outcome(&self, answer: &Answer) -> Outcome {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        Outcome::of(answer, token.split_once('.').map_or(&**token, |(_, secret)| secret))
    }

    async fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.client.send(method, &format!("/api/remote{path}"), &token, body, PATIENCE).await
    }
}

fn token(config: &Config) -> String {
    format!("{}.{}", config.token_id, config.token.0)
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
}
