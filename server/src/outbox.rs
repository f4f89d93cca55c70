//! Tells the Panel how backups and restores ended, for as long as that takes. What it has to say is
//! in the records, and so outlives the process.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use smol::Timer;
use uuid::Uuid;

use crate::{
    answer::{Heard, Outcome},
    job::message_of,
    moment::Moment,
    node::Node,
    panel::{BackupResult, Panel},
    record::{self, Delivery, Telling},
};

/// The first wait; each is twice the one before, up to the configured one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What a message is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    Backup(Uuid),
    Restore(Uuid),
}

/// Begins to tell, beside everything else.
pub(crate) fn tell(node: &Arc<Node>, subject: Subject) {
    let node = node.clone();
    smol::spawn(async move { deliver(&node, subject).await }).detach();
}

/// How many messages wait.
pub(crate) fn pending(node: &Node) -> usize {
    let backups = node.backups.select(|b| b.telling.state == Delivery::Pending).len();
    backups + node.restores.select(|r| r.telling.state == Delivery::Pending).len()
}

async fn deliver(node: &Arc<Node>, subject: Subject) {
    let Some(panel) = &node.panel else { return };
    let mut wait = FIRST_WAIT;
    loop {
        let turn = node.telling.acquire().await;
        let Some(was_unanswered) = attempt_begins(node, subject).await else { return };
        let said = AssertUnwindSafe(say(node, panel, subject)).catch_unwind().await;
        let outcome = said.unwrap_or_else(|panic| {
            let answer = format!("the attempt panicked: {}", message_of(&*panic));
            Outcome { heard: Heard::Unknown, answer, pause: None }
        });
        drop(turn);
        let Outcome { heard, answer, pause } = &outcome;
        match heard {
            Heard::Yes => tracing::info!(?subject, "the Panel is told"),
            Heard::NotNow | Heard::Unknown => {
                tracing::warn!(?subject, answer, ?pause, "the Panel is not told yet");
            }
            other => {
                tracing::warn!(?subject, ?other, answer, "the Panel does not take the message")
            }
        }
        node.metrics.told(*heard);
        let least = pause.unwrap_or_default();
        let patience = node.config.wingback.panel_missing_timeout;
        if attempt_ends(node, subject, outcome, was_unanswered, patience).await {
            return;
        }
        Timer::after(wait.mul_f64(0.75 + fastrand::f64() / 2.0).max(least)).await;
        wait = (wait * 2).min(node.config.wingback.panel_retry_max);
    }
}

/// Notes down that there is an attempt, before there is one; says whether the answer to an earlier
/// one was lost. `None` where there is nothing to tell any more.
async fn attempt_begins(node: &Node, subject: Subject) -> Option<bool> {
    let telling = telling(node, subject)?;
    if telling.state != Delivery::Pending {
        return None;
    }
    if !telling.unanswered {
        change(node, subject, |telling| telling.unanswered = true).await;
    }
    Some(telling.unanswered)
}

/// Notes down what came of it; true if that was the last one.
async fn attempt_ends(
    node: &Node,
    subject: Subject,
    outcome: Outcome,
    was_unanswered: bool,
    patience: Duration,
) -> bool {
    let now = Moment::now();
    change(node, subject, move |telling| {
        let Outcome { heard, answer, .. } = outcome;
        telling.answer = Some(answer);
        let missing_since = telling.missing_since.filter(|_| heard == Heard::Missing);
        telling.unanswered = was_unanswered;
        telling.missing_since = None;
        match heard {
            Heard::Yes => telling.state = Delivery::Told,
            // Only an attempt of ours can have completed it, and none is known to have.
            Heard::Already if was_unanswered => telling.state = Delivery::Told,
            Heard::Already | Heard::Refused => telling.state = Delivery::Refused,
            Heard::NotNow => {}
            Heard::Unknown => telling.unanswered = true,
            Heard::Missing => {
                // The Panel may not have committed what it asked us to make.
                let since = missing_since.unwrap_or(now);
                telling.missing_since = Some(since);
                if now.seconds_since(since) >= patience.as_secs() {
                    telling.state = Delivery::Orphan;
                }
            }
        }
    })
    .await;
    let is_over = telling(node, subject).is_none_or(|telling| telling.state != Delivery::Pending);
    if is_over {
        forget(node, subject).await;
    }
    is_over
}

async fn say(node: &Node, panel: &Panel, subject: Subject) -> Outcome {
    // The record is gone.
    let nothing = || Outcome { heard: Heard::Yes, answer: String::new(), pause: None };
    match subject {
        Subject::Backup(uuid) => {
            let Some(backup) = node.backups.get(uuid) else { return nothing() };
            let made = backup.made.as_ref().filter(|_| backup.is_complete());
            let result = BackupResult {
                checksum: made.map_or("", |made| &made.sha1),
                checksum_type: "sha1",
                size: made.map_or(0, |made| made.size),
                successful: made.is_some(),
                parts: made.map_or(&[], |made| &made.parts),
            };
            panel.tell_backup(uuid, &result).await
        }
        Subject::Restore(id) => {
            let Some(record::Restore { backup, successful, .. }) = node.restores.get(id) else {
                return nothing();
            };
            panel.tell_restore(backup, successful.unwrap_or(false)).await
        }
    }
}

fn telling(node: &Node, subject: Subject) -> Option<Telling> {
    match subject {
        Subject::Backup(uuid) => node.backups.get(uuid).map(|backup| backup.telling),
        Subject::Restore(id) => node.restores.get(id).map(|restore| restore.telling),
    }
}

async fn change(node: &Node, subject: Subject, change: impl FnOnce(&mut Telling) + Send + 'static) {
    match subject {
        Subject::Backup(uuid) => {
            node.backups.update(uuid, |backup| change(&mut backup.telling)).await;
        }
        Subject::Restore(id) => {
            node.restores.update(id, |restore| change(&mut restore.telling)).await;
        }
    }
}

/// Removes a record that was there to be told only.
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
