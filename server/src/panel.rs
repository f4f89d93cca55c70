//! The part of the Panel's remote API that backups use.

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
    answer::{Answer, Verdict},
    client::{Attempt, Client},
    config::Config,
    record::Part,
};

/// Time limit for a response: the Panel completes an upload of ten thousand parts before it responds.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Panel {
    client: Client,
    /// `{token_id}.{token}`
    token: RwLock<String>,
}

/// Message about the end of a backup.
#[derive(Debug, Serialize)]
pub(crate) struct BackupReport<'a> {
    pub(crate) checksum: &'a str,
    pub(crate) checksum_type: &'static str,
    pub(crate) size: u64,
    pub(crate) successful: bool,
    pub(crate) parts: &'a [Part],
}

/// Message about the end of a restore.
#[derive(Debug, Serialize)]
pub(crate) struct RestoreReport {
    pub(crate) successful: bool,
}

/// Where to send the parts of an upload.
#[derive(Deserialize)]
pub(crate) struct PartUrls {
    #[serde(deserialize_with = "urls")]
    pub(crate) parts: Vec<String>,
    pub(crate) part_size: u64,
}

/// Most parts of an upload to S3.
const PARTS_MAX: usize = 10_000;

/// Reads at most [`PARTS_MAX`] URLs, so that twenty million empty ones do not fill the memory.
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
    /// Creates the client of the Panel; `None` if the configuration has no `remote`.
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

    pub(crate) async fn report_backup(&self, uuid: Uuid, report: &BackupReport<'_>) -> Answer {
        self.post(&format!("/backups/{uuid}"), report).await
    }

    pub(crate) async fn report_restore(&self, uuid: Uuid, successful: bool) -> Answer {
        self.post(&format!("/backups/{uuid}/restore"), &RestoreReport { successful }).await
    }

    /// Asks where to send an archive of at most `size` bytes. The Panel begins an upload for each
    /// request, so the daemon does not repeat a request that the Panel may have received.
    pub(crate) async fn part_urls(&self, uuid: Uuid, size: u64) -> Result<PartUrls, Answer> {
        // The Panel does not accept 0.
        let path = format!("/backups/{uuid}?size={}", size.max(1));
        let attempt = self.request(Method::GET, &path, Vec::new()).await;
        let answer = self.answer(&attempt);
        let Attempt::Answered(response) = attempt else { return Err(answer) };
        let urls = response.json().filter(|_| response.status == 200).map(serde_json::from_value);
        match urls {
            Some(Ok(urls)) => Ok(urls),
            // The Panel reports success, but gives no URLs.
            _ if response.is_success() && response.is_json() => {
                let text = format!("its answer has no part URLs: {}", answer.text);
                Err(Answer { verdict: Verdict::Refused, text, ..answer })
            }
            // The response is not the Panel's, so the Panel has begun no upload.
            _ if response.is_success() => Err(Answer { verdict: Verdict::TryLater, ..answer }),
            _ => Err(answer),
        }
    }

    async fn post(&self, path: &str, message: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(message).expect("a message serializes to JSON");
        self.answer(&self.request(Method::POST, path, body).await)
    }

    fn answer(&self, attempt: &Attempt) -> Answer {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        Answer::of(attempt, token.split_once('.').map_or(&**token, |(_, secret)| secret))
    }

    async fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Attempt {
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
    fn an_answer_with_too_many_parts_is_an_error() {
        let answer = |parts: usize| {
            let parts = vec!["\"\""; parts].join(",");
            serde_json::from_str::<PartUrls>(&format!("{{\"parts\":[{parts}],\"part_size\":1}}"))
        };
        assert_eq!(answer(PARTS_MAX).expect("the most parts").parts.len(), PARTS_MAX);
        assert!(answer(PARTS_MAX + 1).is_err());
    }
}
