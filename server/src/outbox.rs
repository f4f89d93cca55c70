//! Notifies the Panel of the ends of backups and restores, until the Panel answers. The records
//! contain the pending notifications, so a restart does not lose them.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use smol::Timer;
use uuid::Uuid;

use crate::{
    answer::{Answer, Verdict},
    job::{message_of, spawn},
    node::Node,
    panel::{BackupReport, Panel},
    record::{self, Delivery, Notification},
    timestamp::Timestamp,
};

/// First pause between attempts. Each pause is twice the one before, up to the configured maximum.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The record that a notification is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    Backup(Uuid),
    Restore(Uuid),
}

/// Starts a task that notifies the Panel.
pub(crate) fn notify(node: &Arc<Node>, subject: Subject) {
    let node = node.clone();
    let work = async move { deliver(&node, subject).await };
    spawn(work);
}

/// Returns the number of pending notifications.
pub(crate) fn pending(node: &Node) -> usize {
    let backups = node.backups.select(|b| b.notification.state == Delivery::Pending).len();
    backups + node.restores.select(|r| r.notification.state == Delivery::Pending).len()
}

async fn deliver(node: &Arc<Node>, subject: Subject) {
    let Some(panel) = &node.panel else { return };
    let mut wait = FIRST_PAUSE;
    loop {
        let permit = node.notifications.acquire().await;
        let Some(was_unanswered) = begin_attempt(node, subject).await else { return };
        let sent = AssertUnwindSafe(send(node, panel, subject)).catch_unwind().await;
        let answer = sent.unwrap_or_else(|panic| {
            let text = format!("the attempt panicked: {}", message_of(&*panic));
            Answer { verdict: Verdict::Unknown, text, pause: None }
        });
        drop(permit);
        let Answer { verdict, text, pause } = &answer;
        match verdict {
            Verdict::Accepted => tracing::info!(?subject, "the Panel accepted the notification"),
            Verdict::TryLater | Verdict::Unknown => {
                let answer = text;
                tracing::warn!(?subject, answer, ?pause, "cannot notify the Panel yet");
            }
            verdict => {
                let answer = text;
                tracing::warn!(?subject, ?verdict, answer, "the Panel rejected the notification");
            }
        }
        node.metrics.notification_sent(*verdict);
        let least = pause.unwrap_or_default();
        let missing_timeout = node.config.wingback.panel_missing_timeout;
        if end_attempt(node, subject, answer, was_unanswered, missing_timeout).await {
            return;
        }
        Timer::after(wait.mul_f64(0.75 + fastrand::f64() / 2.0).max(least)).await;
        wait = (wait * 2).min(node.config.wingback.panel_retry_max);
    }
}

/// Records an attempt before it begins. Returns whether the answer to an earlier attempt was lost;
/// `None` if no notification is pending.
async fn begin_attempt(node: &Node, subject: Subject) -> Option<bool> {
    let notification = notification(node, subject)?;
    if notification.state != Delivery::Pending {
        return None;
    }
    if !notification.unanswered {
        change(node, subject, |notification| notification.unanswered = true).await;
    }
    Some(notification.unanswered)
}

/// Records the answer. Returns true if no further attempt is needed.
async fn end_attempt(
    node: &Node,
    subject: Subject,
    answer: Answer,
    was_unanswered: bool,
    missing_timeout: Duration,
) -> bool {
    let now = Timestamp::now();
    change(node, subject, move |notification| {
        let Answer { verdict, text, .. } = answer;
        notification.answer = Some(text);
        let missing_since = notification.missing_since.filter(|_| verdict == Verdict::Missing);
        notification.unanswered = was_unanswered;
        notification.missing_since = None;
        match verdict {
            Verdict::Accepted => notification.state = Delivery::Delivered,
            // The daemon's lost attempt completed the backup.
            Verdict::AlreadyCompleted if was_unanswered => {
                notification.state = Delivery::Delivered;
            }
            // Another process completed the backup: no attempt of the daemon was lost.
            Verdict::AlreadyCompleted | Verdict::Refused => notification.state = Delivery::Refused,
            Verdict::TryLater => {}
            Verdict::Unknown => notification.unanswered = true,
            Verdict::Missing => {
                // The Panel may not have committed the row of this backup yet.
                let since = missing_since.unwrap_or(now);
                notification.missing_since = Some(since);
                if now.seconds_since(since) >= missing_timeout.as_secs() {
                    notification.state = Delivery::Orphan;
                }
            }
        }
    })
    .await;
    let is_pending = |notification: Notification| notification.state == Delivery::Pending;
    let is_over = !notification(node, subject).is_some_and(is_pending);
    if is_over {
        forget(node, subject).await;
    }
    is_over
}

async fn send(node: &Node, panel: &Panel, subject: Subject) -> Answer {
    // The record no longer exists, so there is nothing to send.
    let nothing = || Answer { verdict: Verdict::Accepted, text: String::new(), pause: None };
    match subject {
        Subject::Backup(uuid) => {
            let Some(backup) = node.backups.get(uuid) else { return nothing() };
            let archive = backup.archive.as_ref().filter(|_| backup.is_complete());
            let report = BackupReport {
                checksum: archive.map_or("", |archive| &archive.sha1),
                checksum_type: "sha1",
                size: archive.map_or(0, |archive| archive.size),
                successful: archive.is_some(),
                parts: archive.map_or(&[], |archive| &archive.parts),
            };
            panel.report_backup(uuid, &report).await
        }
        Subject::Restore(id) => {
            let Some(record::Restore { backup, successful, .. }) = node.restores.get(id) else {
                return nothing();
            };
            panel.report_restore(backup, successful.unwrap_or(false)).await
        }
    }
}

fn notification(node: &Node, subject: Subject) -> Option<Notification> {
    match subject {
        Subject::Backup(uuid) => node.backups.get(uuid).map(|backup| backup.notification),
        Subject::Restore(id) => node.restores.get(id).map(|restore| restore.notification),
    }
}

async fn change(
    node: &Node,
    subject: Subject,
    change: impl FnOnce(&mut Notification) + Send + 'static,
) {
    match subject {
        Subject::Backup(uuid) => {
            node.backups.update(uuid, |backup| change(&mut backup.notification)).await;
        }
        Subject::Restore(id) => {
            node.restores.update(id, |restore| change(&mut restore.notification)).await;
        }
    }
}

/// Removes a record that existed only for its notification.
async fn forget(node: &Node, subject: Subject) {
    match subject {
        Subject::Backup(uuid) => {
            if node.backups.get(uuid).is_some_and(|backup| backup.deleted) {
                node.backups.remove(uuid).await;
            }
        }
        Subject::Restore(id) => node.restores.remove(id).await,
    }
}
