//! At startup, the daemon checks its S3 bucket and logs problems.

use crate::{
    daemon::{Daemon, TOKEN, output, until},
    notifications::s3_block,
    operator::server,
    server::Server,
};

/// The log lines about the bucket.
fn bucket_log(daemon: &Daemon) -> Vec<String> {
    let is_about_bucket =
        |line: &&str| line.contains(" can be used") || line.contains("cannot be used");
    daemon.log().lines().filter(is_about_bucket).map(str::to_owned).collect()
}

#[test]
fn a_bucket_problem_is_logged_once_at_startup_and_does_not_stop_the_daemon() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let right = s3_block(s3, &bucket);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (block, why) in [
        (right.clone(), "can be used"),
        (right.replace(&bucket, "no-such-bucket"), "no-such-bucket"),
        (right.replace(s3.secret_key(), "another-secret-key"), "SignatureDoesNotMatch"),
        (right.replace(s3.access_key(), "another-access-key"), s3.unknown_key_code()),
        (right.replace(&s3.endpoint(), &format!("http://{closed}")), "refused"),
    ] {
        let daemon = Daemon::with(&block);
        let lines =
            until("the bucket is checked", || Some(bucket_log(&daemon)).filter(|s| !s.is_empty()));
        assert_eq!(lines.len(), 1, "{lines:?}");
        let level = if block == right { " INFO " } else { "ERROR " };
        assert!(lines[0].contains(level) && lines[0].contains(why), "{why}: {lines:?}");
        assert!(lines[0].contains("s3://") && lines[0].contains("/servers"), "{lines:?}");
        // Local backups work all the same.
        daemon.made();
    }
}

#[test]
fn an_invalid_bucket_is_a_configuration_error() {
    for (wrong, why) in [
        ("bucket: a/b", "the bucket's name may have"),
        ("bucket: ab", "fewer than 3 characters"),
        ("bucket: good, prefix: ../other", "begins with a dot"),
        ("bucket: good, prefix: a//b", "an empty part"),
    ] {
        let daemon = Daemon::idle(&format!("s3: {{{wrong}}}"), "");
        daemon.configure(TOKEN, "");
        let (is_good, printed) =
            output(server().arg("--check").arg("--config").arg(daemon.config()));
        assert!(
            !is_good && printed.contains("s3: ") && printed.contains(why),
            "{wrong}: {printed}"
        );
    }
}
