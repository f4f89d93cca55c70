//! What those who listen to a server are told, as Wings tells it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_broadcast::{InactiveReceiver, Receiver, Sender};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Events that wait for a slow listener. One that falls further behind is told so, and nobody waits
/// for it.
const CAPACITY: usize = 256;

/// An event: its name and its arguments, which are text.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) event: Arc<str>,
    pub(crate) args: Arc<[String]>,
}

/// The events of every server.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<HashMap<Uuid, Channel>>);

type Channel = (Sender<Event>, InactiveReceiver<Event>);

impl Events {
    pub(crate) fn listen(&self, server: Uuid) -> Receiver<Event> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens to these any more.
        all.retain(|_, (sender, _)| sender.receiver_count() > 0);
        let (_, events) = all.entry(server).or_insert_with(|| {
            let (mut sender, events) = async_broadcast::broadcast(CAPACITY);
            sender.set_overflow(true);
            (sender, events.deactivate())
        });
        events.activate_cloned()
    }

    /// Tells those who listen now; never waits.
    pub(crate) fn send(&self, server: Uuid, name: impl Into<Arc<str>>, args: Vec<String>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sender, _)) = all.get(&server) {
            let _ = sender.try_broadcast(Event { event: name.into(), args: args.into() });
        }
    }

    /// Says something to people.
    pub(crate) fn say(&self, server: Uuid, text: impl Into<String>) {
        self.send(server, "daemon message", vec![text.into()]);
    }

    /// How a backup ended: as documented, and as the Panel's page listens for it.
    pub(crate) fn backup_over(&self, server: Uuid, uuid: Uuid, made: Option<(&str, u64)>) {
        if made.is_some() {
            self.send(server, "backup complete", vec![uuid.to_string()]);
        }
        let (checksum, size) = made.unwrap_or_default();
        let result = json!({
            "uuid": uuid,
            "is_successful": made.is_some(),
            "checksum": checksum,
            "checksum_type": "sha1",
            "file_size": size,
        });
        self.send(server, format!("backup completed:{uuid}"), vec![result.to_string()]);
    }

    pub(crate) fn listeners(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|(sender, _)| sender.receiver_count()).sum()
    }
}

/// The documented text, and the numbers behind it.
pub(crate) fn progress(numbers: Option<&Value>) -> Vec<String> {
    let text = "Creating backup archive...".to_owned();
    std::iter::once(text).chain(numbers.map(Value::to_string)).collect()
}
