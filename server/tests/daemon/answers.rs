//! Responses that are not from the Panel: of a proxy, a web server, a gateway.

use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    daemon::{Daemon, TOKEN, TOKEN_ID, noise, until},
    panel::{Act, Panel},
    server::Server,
};

const HTML: &str = "<!DOCTYPE html>\n<html><body>Just a moment</body></html>";

const STATUSES: [u16; 20] = [
    200, 201, 202, 206, 301, 302, 307, 400, 401, 403, 404, 405, 409, 410, 429, 500, 502, 503, 504,
    520,
];

/// Content types and bodies of responses that are not from the Panel.
const FOREIGN: [(&str, &str); 7] = [
    ("text/html; charset=UTF-8", HTML),
    ("text/html", "{}"),
    ("text/plain", "already marked as completed"),
    ("", HTML),
    ("", ""),
    ("application/json", HTML),
    ("application/json", ""),
];

fn answer(status: u16, kind: &str, body: &str) -> Act {
    let lines = if kind.is_empty() { "X-Proxy: 1".into() } else { format!("Content-Type: {kind}") };
    Act::Answer(status, vec![lines], body.into())
}

#[test]
fn an_answer_that_is_not_from_the_panel_is_ignored_with_any_status() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "  panel_missing_timeout: 1");
    let answers: Vec<_> = STATUSES
        .iter()
        .flat_map(|&status| FOREIGN.map(|(kind, body)| answer(status, kind, body)))
        .collect();
    let count = answers.len();
    panel.act(answers);
    let backups: Vec<_> = (0..14).map(|_| daemon.made()).collect();
    for &backup in &backups {
        daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
        assert_eq!(panel.known(backup).results.len(), 1);
    }
    assert_eq!(panel.requests().len(), count + backups.len());
}

#[test]
fn json_from_the_panel_counts_with_any_success_status() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    for (status, kind, body) in [
        (204, "text/html", ""),
        (200, "application/json", "{}"),
        (202, "Application/JSON; charset=utf-8", "[]"),
        (200, "application/vnd.pterodactyl.v1+json", r#"{"object":"backup"}"#),
    ] {
        panel.act([answer(status, kind, body)]);
        let before = panel.requests().len();
        let backup = daemon.made();
        daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
        assert_eq!(panel.requests().len(), before + 1, "{status} {kind} {body}");
    }
}

#[test]
fn notifications_are_retried_no_sooner_than_retry_after() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT".to_owned();
    for lines in [
        vec!["Retry-After: 3".to_owned()],
        vec![date, "Retry-After: Sun, 06 Nov 1994 08:49:40 GMT".into()],
    ] {
        let before = panel.requests().len();
        panel.act([Act::Answer(503, lines, HTML.into())]);
        let backup = daemon.made();
        daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
        let requests = panel.requests();
        assert_eq!(requests.len(), before + 2);
        assert!(requests[before + 1] - requests[before] >= Duration::from_millis(2900));
    }
}

#[test]
fn the_token_is_not_sent_to_the_target_of_a_redirect() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("Location: http://{}/", elsewhere.local_addr().unwrap());
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    panel.act([301, 302, 303, 307, 308].map(|status| {
        Act::Answer(status, vec![location.clone(), "Content-Type: text/html".into()], HTML.into())
    }));
    let backup = daemon.made();
    daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
    assert_eq!(panel.requests().len(), 6);
    assert_eq!(elsewhere.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_last_panel_answer_is_shown_without_the_token() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    let page = format!("\n<h1>no</h1> Bearer {TOKEN_ID}.{TOKEN} \u{1b}[31m\nmore of it");
    panel.act(vec![answer(403, "text/html", &page); 100]);
    let backup = daemon.made();
    let path = format!("/api/servers/{}/backup/{backup}", daemon.server());
    let shown = until("the answer is shown", || {
        daemon.get(&path)["panel_answer"].as_str().map(str::to_owned)
    });
    assert!(shown.starts_with("status 403, text/html: <h1>no</h1> Bearer"), "{shown}");
    assert!(shown.contains("[token]") && !shown.contains('\u{1b}') && !shown.contains("more"));
    let log = daemon.log();
    assert!(
        log.contains("cannot notify the Panel yet") && log.contains("status 403, text/html"),
        "{log}"
    );
    let record = daemon.tmp.path().join(format!("wingback/backups/{backup}.json"));
    for text in [shown, log, fs::read_to_string(record).unwrap()] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[test]
fn part_urls_are_requested_again_after_an_answer_that_is_not_from_the_panel() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::with_s3(s3, &bucket);
    let daemon = Daemon::with_panel(&panel.url(), "");
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    fs::write(daemon.dir(server).join("big"), noise(3, 6 << 20)).unwrap();
    let urls = r#"{"parts":["http://127.0.0.1:9/x"],"part_size":5242880}"#;
    panel.act([
        answer(200, "text/html", HTML),
        answer(200, "text/html", urls),
        answer(404, "text/html", HTML),
        answer(403, "text/html", HTML),
        answer(503, "text/html", HTML),
    ]);
    daemon.ask(server, "s3", backup).expect(202);
    daemon.wait(server, backup, |backup| backup["panel"] == "delivered");
    assert_eq!((panel.part_url_requests(), panel.requests().len()), (1, 7));
    assert_eq!(panel.known(backup).results[0]["successful"], true);
}

#[test]
fn retry_delays_grow_to_the_configured_maximum() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    panel.act(vec![answer(200, "text/html", HTML); 1000]);
    let began = Instant::now();
    daemon.made();
    thread::sleep(Duration::from_secs(6));
    let count = panel.requests().len();
    // Half a second, and then about one second each.
    assert!((4..=10).contains(&count), "{count} in {:?}", began.elapsed());
}
