//! Events for the WebSocket clients of a server, in the form that Wings uses.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_broadcast::{InactiveReceiver, Receiver, Sender};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::record::ArchiveInfo;

/// Events that are kept for a slow client. A client that is further behind is disconnected, so that
/// no sender waits for it.
const CAPACITY: usize = 256;

/// The name of an event, and its arguments as text.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) event: Arc<str>,
    pub(crate) args: Arc<[String]>,
}

/// A message for the sockets of a server.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Event(Event),
    /// Tokens were withdrawn. The token of the socket may be one of them.
    CheckToken,
}

/// The events of all servers.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<HashMap<Uuid, Channel>>);

type Channel = (Sender<Notice>, InactiveReceiver<Notice>);

impl Events {
    pub(crate) fn listen(&self, server: Uuid) -> Receiver<Notice> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Remove channels without clients.
        all.retain(|_, (sender, _)| sender.receiver_count() > 0);
        let (_, events) = all.entry(server).or_insert_with(|| {
            let (mut sender, events) = async_broadcast::broadcast(CAPACITY);
            sender.set_overflow(true);
            (sender, events.deactivate())
        });
        events.activate_cloned()
    }

    /// Sends an event to the clients that are connected now. Never waits.
    pub(crate) fn send(&self, server: Uuid, name: impl Into<Arc<str>>, args: Vec<String>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sender, _)) = all.get(&server) {
            let event = Event { event: name.into(), args: args.into() };
            let _ = sender.try_broadcast(Notice::Event(event));
        }
    }

    /// Lets the sockets of a server, or of all servers, check their tokens.
    pub(crate) fn check_tokens(&self, server: Option<Uuid>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |other: &Uuid| server.is_none_or(|server| server == *other);
        for (_, (sender, _)) in all.iter().filter(|(other, _)| is_meant(other)) {
            let _ = sender.try_broadcast(Notice::CheckToken);
        }
    }

    /// Sends a message for people.
    pub(crate) fn message(&self, server: Uuid, text: impl Into<String>) {
        self.send(server, "daemon message", vec![text.into()]);
    }

    /// Reports the end of a backup: the documented event, and the event that the Panel's page expects.
    pub(crate) fn backup_finished(&self, server: Uuid, uuid: Uuid, archive: Option<&ArchiveInfo>) {
        if archive.is_some() {
            self.send(server, "backup complete", vec![uuid.to_string()]);
        }
        let (checksum, size) = archive.map_or(("", 0), |archive| (&archive.sha1, archive.size));
        let warnings = archive.map_or(&[][..], |archive| &archive.warnings);
        let result = json!({
            "uuid": uuid,
            "is_successful": archive.is_some(),
            "checksum": checksum,
            "checksum_type": "sha1",
            "file_size": size,
            "warnings": warnings,
        });
        self.send(server, format!("backup completed:{uuid}"), vec![result.to_string()]);
    }

    /// Returns the number of connected clients.
    pub(crate) fn clients(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|(sender, _)| sender.receiver_count()).sum()
    }
}

/// Returns the arguments of `backup progress`: the documented text, then the numbers as JSON text.
pub(crate) fn progress(numbers: Option<&Value>) -> Vec<String> {
    let text = "Creating backup archive...".to_owned();
    std::iter::once(text).chain(numbers.map(Value::to_string)).collect()
}
