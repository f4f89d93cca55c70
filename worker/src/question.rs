//! A question of a job to the client, which answers it with a request.

use std::sync::{
    Mutex,
    mpsc::{Sender, channel},
};

use crate::lock::lock;

/// Success, or the reason of a failure.
type Answer = Result<(), String>;

/// A question that is asked at most once.
#[derive(Debug, Default)]
pub(crate) struct Question(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    NotAsked,
    Asked(Sender<Answer>),
    /// Nobody waits for an answer any more.
    Closed,
}

impl Question {
    /// Calls `send`, and waits for the answer. A closed question is a failure.
    pub(crate) fn ask(&self, send: impl FnOnce()) -> Answer {
        let closed = || Err("the job was cancelled".to_owned());
        let (sender, answer) = channel();
        match &mut *lock(&self.0) {
            state @ State::NotAsked => *state = State::Asked(sender),
            _ => return closed(),
        }
        send();
        answer.recv().unwrap_or_else(|_| closed())
    }

    /// Returns false if nothing has been asked.
    pub(crate) fn answer(&self, answer: Answer) -> bool {
        let mut state = lock(&self.0);
        match &mut *state {
            State::NotAsked => return false,
            State::Asked(sender) => {
                let _ = sender.send(answer);
            }
            State::Closed => (),
        }
        *state = State::Closed;
        true
    }

    /// Ends the wait for an answer.
    pub(crate) fn close(&self) {
        *lock(&self.0) = State::Closed;
    }
}
