//! The daemon asks its S3 service at the start, and says what is wrong there.

use crate::{
    daemon::{Daemon, TOKEN, output, until},
    notifications::s3_block,
    operator::server,
    server::Server,
};

/// The lines of the log that are about the bucket.
fn said(daemon: &Daemon) -> Vec<String> {
    let is_said = |line: &&str| line.contains(" can be used") || line.contains("cannot be used");
    daemon.log().lines().filter(is_said).map(str::to_owned).collect()
}

#[test]
fn what_is_wrong_with_the_bucket_is_said_once_at_the_start_and_the_daemon_runs() {
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
        let said =
            until("the bucket is looked at", || Some(said(&daemon)).filter(|s| !s.is_empty()));
        assert_eq!(said.len(), 1, "{said:?}");
        let level = if block == right { " INFO " } else { "ERROR " };
        assert!(said[0].contains(level) && said[0].contains(why), "{why}: {said:?}");
        assert!(said[0].contains("s3://") && said[0].contains("/servers"), "{said:?}");
        // Backups that go elsewhere are made all the same.
        daemon.made();
    }
}

#[test]
fn a_bucket_that_cannot_be_is_a_wrong_configuration() {
    for (wrong, why) in [
        ("bucket: a/b", "the bucket's name may have"),
        ("bucket: ab", "fewer than 3 characters"),
        ("bucket: good, prefix: ../other", "begins with a dot"),
        ("bucket: good, prefix: a//b", "an empty part"),
    ] {
        let daemon = Daemon::idle(&format!("s3: {{{wrong}}}"), "");
        daemon.configure(TOKEN, "");
        let (is_good, said) = output(server().arg("--check").arg("--config").arg(daemon.config()));
        assert!(!is_good && said.contains("s3: ") && said.contains(why), "{wrong}: {said}");
    }
}
