//! Interprets responses to requests to the Panel. A proxy with a challenge or a web server with a
//! maintenance page may respond in the Panel's place. Only the Panel's own form counts: status 204, or
//! JSON with its content type.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::client::{Attempt, Response};

/// Longest pause that `Retry-After` can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Characters of a response that are kept for operators.
const SHOWN_MAX: usize = 200;

/// Whether the Panel accepted a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// The Panel says that this backup is already completed.
    AlreadyCompleted,
    /// The Panel does not know this backup.
    Missing,
    /// The Panel rejects the request, and will reject it again.
    Refused,
    /// The Panel did not accept the request this time.
    TryLater,
    /// The Panel may have accepted the request.
    Unknown,
}

/// The Panel's answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    /// The response in one line, or the reason why there was none.
    pub(crate) text: String,
    /// Shortest time until the next attempt, if the response gives one.
    pub(crate) pause: Option<Duration>,
}

impl Answer {
    /// Interprets the result of a request. `secret` is removed from the text.
    pub(crate) fn of(attempt: &Attempt, secret: &str) -> Self {
        let (verdict, text, pause) = match attempt {
            Attempt::NotSent(why) => (Verdict::TryLater, why.clone(), None),
            Attempt::Lost(why) => (Verdict::Unknown, why.clone(), None),
            Attempt::Answered(response) => {
                (verdict(response), summary(response, secret), pause(response))
            }
        };
        Answer { verdict, text, pause }
    }
}

/// Returns status, content type and first line. The JSON of a success is left out, because it
/// contains signed URLs.
fn summary(response: &Response, secret: &str) -> String {
    let shown = |text: &str| -> String {
        let text = match secret {
            "" => text.to_owned(),
            secret => text.replace(secret, "[token]"),
        };
        text.chars().take(SHOWN_MAX).collect()
    };
    let kind = match shown(response.content_type.trim()) {
        kind if kind.is_empty() => "no content type".into(),
        kind => kind.escape_debug().to_string(),
    };
    let status = response.status;
    let body = String::from_utf8_lossy(&response.body[..response.body.len().min(8 * SHOWN_MAX)]);
    let line = body.lines().map(str::trim).find(|line| !line.is_empty());
    match line.filter(|_| !(response.is_success() && response.is_json())) {
        Some(line) => format!("status {status}, {kind}: {}", shown(line).escape_debug()),
        None => format!("status {status}, {kind}"),
    }
}

/// Reads `Retry-After` in both its forms (RFC 9110, 10.2.3), up to [`PAUSE_MAX`]. A date counts from
/// the response's own date, so that the two clocks may differ.
fn pause(response: &Response) -> Option<Duration> {
    let text = response.retry_after.as_deref()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number that does not fit is longer than the longest pause.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(PAUSE_MAX));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let sent = response.date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
    let now = sent.unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default().min(PAUSE_MAX))
}

fn verdict(response: &Response) -> Verdict {
    let json = response.json();
    let error = json.as_ref().and_then(error);
    match response.status {
        204 => Verdict::Accepted,
        200..=299 if json.is_some() && error.is_none() => Verdict::Accepted,
        400 | 409 if error.is_some_and(is_already) => Verdict::AlreadyCompleted,
        404 if error.is_some() => Verdict::Missing,
        // An operator can correct a wrong token or address. The other conditions are temporary.
        401 | 403 | 408 | 425 | 429 | 503 => Verdict::TryLater,
        400..=499 if error.is_some() => Verdict::Refused,
        300..=499 => Verdict::TryLater,
        // A proxy may have replaced the response, or the Panel failed after its commit.
        _ => Verdict::Unknown,
    }
}

/// Returns the errors of a response, in the form in which the Panel writes them.
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
    use bytes::Bytes;

    use super::*;

    const JSON: &str = "application/json";
    const ALREADY: &str =
        r#"{"errors":[{"detail":"This backup is already marked as completed."}]}"#;
    const ERROR: &str = r#"{"errors":[{"code":"X","status":"404","detail":"no such resource"}]}"#;
    const HTML: &str = "<!DOCTYPE html>\n<html><title>Just a moment</title></html>";

    fn response(status: u16, content_type: &str, body: &'static str) -> Response {
        let (content_type, body) = (content_type.to_owned(), Bytes::from(body));
        Response { status, content_type, body, ..Response::default() }
    }

    #[test]
    fn only_the_panels_own_responses_count() {
        use Verdict::{Accepted, AlreadyCompleted, Missing, Refused, TryLater, Unknown};
        let bodies = ["", "{}", "[]", ERROR, ALREADY, HTML, "{\"errors\": [", "ok"];
        for status in 200..600 {
            for kind in ["", "text/html; charset=UTF-8", "text/plain", "application/jsonp", "json"]
            {
                for body in bodies {
                    let expected = match status {
                        204 => Accepted,
                        300..=499 | 503 => TryLater,
                        _ => Unknown,
                    };
                    assert_eq!(
                        verdict(&response(status, kind, body)),
                        expected,
                        "{status} {kind} {body}"
                    );
                }
            }
            for kind in [JSON, "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
                for body in bodies {
                    let expected = match (status, body) {
                        (204, _) => Accepted,
                        (200..=299, "{}" | "[]") => Accepted,
                        (400 | 409, ALREADY) => AlreadyCompleted,
                        (404, ERROR | ALREADY) => Missing,
                        (401 | 403 | 408 | 425 | 429 | 503, _) => TryLater,
                        (400..=499, ERROR | ALREADY) => Refused,
                        (300..=499, _) => TryLater,
                        _ => Unknown,
                    };
                    assert_eq!(
                        verdict(&response(status, kind, body)),
                        expected,
                        "{status} {kind} {body}"
                    );
                }
            }
        }
        // A gateway's JSON is not the Panel's.
        let gateway = r#"{"message":"no Route matched with those values"}"#;
        assert_eq!(verdict(&response(404, JSON, gateway)), TryLater);
        assert_eq!(verdict(&response(404, JSON, r#"{"error":"not found"}"#)), Missing);
        assert_eq!(Answer::of(&Attempt::NotSent("x".into()), "").verdict, TryLater);
        assert_eq!(Answer::of(&Attempt::Lost("x".into()), "").verdict, Unknown);
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
            let response = Response { retry_after, date, ..Response::default() };
            assert_eq!(pause(&response), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(pause(&Response::default()), None);
    }

    #[test]
    fn the_summary_is_one_short_line_without_signed_urls() {
        let summary = |status, kind, body| summary(&response(status, kind, body), "hunter2");
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
