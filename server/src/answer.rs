//! What an answer to a request to the Panel means. Something else may answer in the Panel's place: a
//! proxy with a challenge, a web server with a maintenance page. Only an answer of the Panel's own
//! form counts: 204, or JSON with its content type.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use crate::client::Answer;

/// Longest pause that an answer's `Retry-After` can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Characters of an answer that are kept for operators.
const SHOWN_MAX: usize = 200;

/// An answer, as far as it matters here.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) body: Bytes,
}

/// Whether the Panel has taken a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Yes,
    /// The Panel says that this backup is completed already.
    Already,
    /// The Panel has no such backup.
    Missing,
    /// The Panel does not take the message, now or later.
    Refused,
    /// The Panel did not take the message this time.
    NotNow,
    /// The Panel may have taken the message.
    Unknown,
}

/// Result of a request to the Panel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) heard: Heard,
    /// The answer in short, or why there was none.
    pub(crate) answer: String,
    /// Least time until the next attempt, by the answer.
    pub(crate) pause: Option<Duration>,
}

impl Outcome {
    /// What `answer` means. If it repeats `secret`, that is taken out.
    pub(crate) fn of(answer: &Answer, secret: &str) -> Self {
        let (heard, answer, pause) = match answer {
            Answer::NotSent(why) => (Heard::NotNow, why.clone(), None),
            Answer::Lost(why) => (Heard::Unknown, why.clone(), None),
            Answer::Reply(reply) => (heard(reply), reply.summary(secret), reply.pause()),
        };
        Outcome { heard, answer, pause }
    }
}

impl Reply {
    /// The body, if it is JSON and says so.
    pub(crate) fn json(&self) -> Option<Value> {
        self.is_json().then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    pub(crate) fn is_json(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let subtype = kind.strip_prefix("application/");
        subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status, content type and first line. The JSON of a success is left out: it has signed URLs.
    fn summary(&self, secret: &str) -> String {
        let shown = |text: &str| -> String {
            let text = match secret {
                "" => text.to_owned(),
                secret => text.replace(secret, "[token]"),
            };
            text.chars().take(SHOWN_MAX).collect()
        };
        let kind = match shown(self.content_type.trim()) {
            kind if kind.is_empty() => "no content type".into(),
            kind => kind.escape_debug().to_string(),
        };
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(8 * SHOWN_MAX)]);
        let line = body.lines().map(str::trim).find(|line| !line.is_empty());
        match line.filter(|_| !(self.is_success() && self.is_json())) {
            Some(line) => format!("status {}, {kind}: {}", self.status, shown(line).escape_debug()),
            None => format!("status {}, {kind}", self.status),
        }
    }

    /// `Retry-After` in both its forms (RFC 9110, 10.2.3), up to [`PAUSE_MAX`]. A date counts from
    /// the answer's own date, so that the clocks may differ.
    fn pause(&self) -> Option<Duration> {
        let text = self.retry_after.as_deref()?.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            // More digits than a number holds mean more than the greatest pause.
            let seconds = text.parse().unwrap_or(u64::MAX);
            return Some(Duration::from_secs(seconds).min(PAUSE_MAX));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        let sent = self.date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
        let now = sent.unwrap_or_else(SystemTime::now);
        Some(until.duration_since(now).unwrap_or_default().min(PAUSE_MAX))
    }
}

fn heard(reply: &Reply) -> Heard {
    let json = reply.json();
    let error = json.as_ref().and_then(error);
    match reply.status {
        204 => Heard::Yes,
        200..=299 if json.is_some() && error.is_none() => Heard::Yes,
        400 | 409 if error.is_some_and(is_already) => Heard::Already,
        404 if error.is_some() => Heard::Missing,
        // People mend a wrong token or address; time mends the others.
        401 | 403 | 408 | 425 | 429 | 503 => Heard::NotNow,
        400..=499 if error.is_some() => Heard::Refused,
        300..=499 => Heard::NotNow,
        // The answer may have been replaced, or the Panel failed after it had committed.
        _ => Heard::Unknown,
    }
}

/// The errors in an answer, in the form that the Panel gives them.
fn error(json: &Value) -> Option<&Value> {
    let errors = json.get("errors").filter(|errors| match errors {
        Value::Array(list) => !list.is_empty(),
        Value::Object(by_field) => !by_field.is_empty(),
        _ => false,
    });
    errors.or_else(|| json.get("error").filter(|error| error.is_string()))
}

fn is_already(error: &Value) -> bool {
    error.to_string().to_lowercase().contains("already")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const ALREADY: &str =
        r#"{"errors":[{"detail":"This backup is already marked as completed."}]}"#;
    const ERROR: &str = r#"{"errors":[{"code":"X","status":"404","detail":"no such resource"}]}"#;
    const HTML: &str = "<!DOCTYPE html>\n<html><title>Just a moment</title></html>";

    fn reply(status: u16, content_type: &str, body: &'static str) -> Reply {
        let (content_type, body) = (content_type.to_owned(), Bytes::from(body));
        Reply { status, content_type, body, ..Reply::default() }
    }

    #[test]
    fn only_the_panels_own_answers_are_heard() {
        use Heard::{Already, Missing, NotNow, Refused, Unknown, Yes};
        let bodies = ["", "{}", "[]", ERROR, ALREADY, HTML, "{\"errors\": [", "ok"];
        for status in 200..600 {
            for kind in ["", "text/html; charset=UTF-8", "text/plain", "application/jsonp", "json"]
            {
                for body in bodies {
                    let expected = match status {
                        204 => Yes,
                        300..=499 | 503 => NotNow,
                        _ => Unknown,
                    };
                    assert_eq!(
                        heard(&reply(status, kind, body)),
                        expected,
                        "{status} {kind} {body}"
                    );
                }
            }
            for kind in [JSON, "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
                for body in bodies {
                    let expected = match (status, body) {
                        (204, _) => Yes,
                        (200..=299, "{}" | "[]") => Yes,
                        (400 | 409, ALREADY) => Already,
                        (404, ERROR | ALREADY) => Missing,
                        (401 | 403 | 408 | 425 | 429 | 503, _) => NotNow,
                        (400..=499, ERROR | ALREADY) => Refused,
                        (300..=499, _) => NotNow,
                        _ => Unknown,
                    };
                    assert_eq!(
                        heard(&reply(status, kind, body)),
                        expected,
                        "{status} {kind} {body}"
                    );
                }
            }
        }
        // A gateway's JSON is not the Panel's.
        let gateway = r#"{"message":"no Route matched with those values"}"#;
        assert_eq!(heard(&reply(404, JSON, gateway)), NotNow);
        assert_eq!(heard(&reply(404, JSON, r#"{"error":"not found"}"#)), Missing);
        assert_eq!(Outcome::of(&Answer::NotSent("x".into()), "").heard, NotNow);
        assert_eq!(Outcome::of(&Answer::Lost("x".into()), "").heard, Unknown);
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date_and_has_a_limit() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30)),
            ("Sun Nov  6 08:50:07 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Thu, 06 Nov 2098 08:49:37 GMT", Some(3600)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let (retry_after, date) = (Some(text.to_owned()), Some(date.to_owned()));
            let reply = Reply { retry_after, date, ..Reply::default() };
            assert_eq!(reply.pause(), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(Reply::default().pause(), None);
    }

    #[test]
    fn the_summary_is_one_short_line_without_signed_urls() {
        let summary = |status, kind, body| reply(status, kind, body).summary("hunter2");
        assert_eq!(
            summary(404, "text/html", "\r\n <html>\u{1b}[31m\r\nmore"),
            "status 404, text/html: <html>\\u{1b}[31m"
        );
        assert_eq!(summary(204, "", ""), "status 204, no content type");
        let urls = r#"{"parts":["https://s3/x?X-Amz-Signature=secret"]}"#;
        assert_eq!(summary(200, JSON, urls), "status 200, application/json");
        let long: &str = Box::leak("x".repeat(10_000).into_boxed_str());
        assert!(summary(500, "text/plain", long).len() < 300);
        let echo = "authorization: Bearer id.hunter2";
        assert_eq!(
            summary(500, "text/plain", echo),
            "status 500, text/plain: authorization: Bearer id.[token]"
        );
    }
}
