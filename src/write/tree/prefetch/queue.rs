//! The entries of the walk between the threads that read them and the writer, in order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

use crate::{
    entry::Metadata,
    error::{Error, ErrorKind, Result},
    fs::walk::{DirEntry, TreeWalk, WalkEntry},
    report::SkipReason,
};

/// Entries that a thread takes from the walk at once.
const RUN: usize = 8;

/// The most entries in the queue. The last run may exceed it.
const ENTRIES_MAX: usize = 256;

/// The most items that the writer takes at once.
const TAKEN_MAX: usize = 16;

/// An entry of the walk. `F` is a file that a thread has looked at.
pub(crate) struct Item<F> {
    pub(crate) path: Vec<u8>,
    pub(crate) found: Found<F>,
    /// Its room in the queue.
    _room: Option<Room<F>>,
}

/// What was found at a path.
pub(crate) enum Found<F> {
    File(F),
    /// A file that cannot be opened.
    Unopened(Errno),
    Symlink(Result<(Metadata, Vec<u8>), Errno>),
    /// A directory, and the reason why its entries do not follow, if they do not.
    Directory(Metadata, Option<SkipReason>),
    Excluded,
    Skipped(SkipReason),
}

/// An entry that a thread must look at.
pub(super) struct Claim {
    number: u64,
    pub(super) entry: DirEntry,
    pub(super) kind: Kind,
}

/// What a thread must do with an entry.
pub(super) enum Kind {
    File,
    Symlink,
}

/// The queue.
///
/// **The reader of the first entry never waits for room**, so there is always progress. Each thread reads its
/// entries in order. When it comes to a large file, it returns the entries after that file to the queue. So
/// either a thread reads the first entry, or a thread is free for it.
pub(super) struct Queue<'a, F> {
    walk: Mutex<TreeWalk<'a>>,
    shared: Arc<Shared<F>>,
}

struct Shared<F> {
    state: Mutex<State<F>>,
    /// The most bytes of content in the queue.
    bytes_max: usize,
    /// Wakes the threads that wait for room, or for entries.
    room: Condvar,
    /// Wakes the writer.
    ready: Condvar,
}

struct State<F> {
    /// The items from number `first` on; `None` if a thread still works on it.
    items: VecDeque<Option<Item<F>>>,
    first: u64,
    /// Bytes of content in the queue.
    bytes: usize,
    /// Entries that a thread has returned, because it reads a large file. They are in order: the first of
    /// all must never wait for a later one.
    returned: BTreeMap<u64, Claim>,
    /// The number of entries that were claimed and not published.
    claimed: usize,
    walk_end: Option<Result<()>>,
    is_stopped: bool,
    waiting_threads: usize,
    is_writer_waiting: bool,
}

/// Room for some bytes of content. It is free again after this is dropped.
pub(crate) struct Room<F> {
    shared: Arc<Shared<F>>,
    len: usize,
}

/// Wakes the threads of the queue.
pub(crate) struct Waker<F>(Arc<Shared<F>>);

impl<'a, F> Queue<'a, F> {
    pub(super) fn new(walk: TreeWalk<'a>, bytes_max: usize) -> Self {
        let (room, ready) = (Condvar::new(), Condvar::new());
        let shared = Shared { state: Mutex::new(State::new()), bytes_max, room, ready };
        Queue { walk: Mutex::new(walk), shared: Arc::new(shared) }
    }

    /// Takes the next entries: returned ones first, then those of the walk. Returns `None` if neither has more, or if
    /// the writer has ended.
    pub(super) fn claim(&self) -> Option<VecDeque<Claim>> {
        loop {
            let mut state = self.shared.lock();
            loop {
                let is_over = state.walk_end.is_some() && state.claimed == 0;
                if state.is_stopped || is_over {
                    return None;
                }
                if !state.returned.is_empty() {
                    let claims = std::iter::from_fn(|| state.returned.pop_first());
                    return Some(claims.take(RUN).map(|(_, claim)| claim).collect());
                }
                if state.walk_end.is_none() && state.items.len() < ENTRIES_MAX {
                    break;
                }
                state = self.shared.wait_for_room(state);
            }
            drop(state);
            let claims = self.advance();
            if !claims.is_empty() {
                return Some(claims);
            }
        }
    }

    /// Advances the walk by some entries, and returns those that a thread must look at.
    fn advance(&self) -> VecDeque<Claim> {
        let mut walk = self.walk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claims = VecDeque::new();
        if self.shared.lock().walk_end.is_some() {
            return claims;
        }
        let mut steps = Vec::with_capacity(RUN);
        let walk_end = loop {
            let step = match walk.next() {
                Ok(Some(step)) => step,
                Ok(None) => break Some(Ok(())),
                Err(e) => break Some(Err(e)),
            };
            let look = |kind| walk.dir_entry().map(|entry| (entry, kind));
            let found = match step {
                WalkEntry::File => look(Kind::File).map_err(Found::Unopened),
                WalkEntry::Symlink => look(Kind::Symlink).map_err(Found::Unopened),
                WalkEntry::Directory(meta, reason) => Err(Found::Directory(meta, reason)),
                WalkEntry::Excluded => Err(Found::Excluded),
                WalkEntry::Skipped(reason) => Err(Found::Skipped(reason)),
            };
            let item = |found| Item { path: walk.path().to_vec(), found, _room: None };
            steps.push(found.map_err(item));
            if steps.len() == RUN {
                break None;
            }
        };
        // The walk is still locked, so the numbers are in its order.
        let mut state = self.shared.lock();
        for step in steps {
            let number = state.first + state.items.len() as u64;
            match step {
                Ok((entry, kind)) => {
                    state.items.push_back(None);
                    claims.push_back(Claim { number, entry, kind });
                }
                Err(item) => state.items.push_back(Some(item)),
            }
        }
        state.claimed += claims.len();
        state.walk_end = walk_end;
        self.shared.wake_writer(&mut state);
        claims
    }

    /// Returns entries to the queue, so that other threads can take them.
    pub(super) fn put_back(&self, claims: &mut VecDeque<Claim>) {
        let mut state = self.shared.lock();
        state.returned.extend(claims.drain(..).map(|claim| (claim.number, claim)));
        self.shared.wake_threads(&state);
    }

    /// Adds the item of a claim, unless the writer has ended.
    pub(super) fn publish(&self, claim: &Claim, found: Found<F>, room: Option<Room<F>>) {
        let mut state = self.shared.lock();
        if state.is_stopped {
            return;
        }
        let at = (claim.number - state.first) as usize;
        state.items[at] = Some(Item { path: claim.entry.path.clone(), found, _room: room });
        state.claimed -= 1;
        if at == 0 {
            self.shared.wake_writer(&mut state);
        }
        if state.claimed == 0 && state.walk_end.is_some() {
            self.shared.wake_threads(&state);
        }
    }

    /// Waits until there is room for some bytes of the content of an entry. Returns `None` if the writer
    /// has ended.
    pub(super) fn reserve(&self, claim: &Claim, len: usize) -> Option<Room<F>> {
        let shared = &self.shared;
        let mut state = shared.lock();
        while !state.is_stopped
            && claim.number > state.first
            && state.bytes + len > shared.bytes_max
        {
            state = shared.wait_for_room(state);
        }
        if state.is_stopped {
            return None;
        }
        state.bytes += len;
        Some(Room { shared: shared.clone(), len })
    }

    /// Takes the next items. Waits until there is one. Returns nothing at the end of the walk.
    pub(super) fn take(&self) -> Result<VecDeque<Item<F>>> {
        let mut state = self.shared.lock();
        let mut taken = VecDeque::new();
        loop {
            while taken.len() < TAKEN_MAX
                && let Some(item) = state.items.front_mut().and_then(Option::take)
            {
                state.items.pop_front();
                state.first += 1;
                taken.push_back(item);
            }
            if !taken.is_empty() {
                self.shared.wake_threads_for_room(&state);
                return Ok(taken);
            }
            if state.items.is_empty() && state.walk_end.is_some() {
                return state.walk_end.replace(Ok(())).unwrap_or(Ok(())).map(|()| taken);
            }
            if state.is_stopped {
                return Err(Error::new(ErrorKind::Internal, "read the source")
                    .caused_by("another thread has stopped"));
            }
            // The thread that has the first entry may wait for room.
            self.shared.wake_threads(&state);
            state.is_writer_waiting = true;
            state = self.shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn waker(&self) -> Waker<F> {
        Waker(self.shared.clone())
    }

    /// Ends the threads, and drops the items that the writer has not taken: a thread may wait until it can send the
    /// next part of one, and their room refers to the queue.
    pub(super) fn stop(&self) {
        let mut state = self.shared.lock();
        state.is_stopped = true;
        let items = std::mem::take(&mut state.items);
        self.shared.wake_threads(&state);
        self.shared.wake_writer(&mut state);
        drop(state);
        // Their room is returned, which locks the queue.
        drop(items);
    }
}

impl<F> State<F> {
    fn new() -> Self {
        State {
            items: VecDeque::new(),
            first: 0,
            bytes: 0,
            returned: BTreeMap::new(),
            claimed: 0,
            walk_end: None,
            is_stopped: false,
            waiting_threads: 0,
            is_writer_waiting: false,
        }
    }
}

impl<F> Shared<F> {
    fn lock(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_writer(&self, state: &mut State<F>) {
        if std::mem::take(&mut state.is_writer_waiting) {
            self.ready.notify_one();
        }
    }

    fn wake_threads(&self, state: &State<F>) {
        if state.waiting_threads > 0 {
            self.room.notify_all();
        }
    }

    /// Wakes the threads if there is enough room for several of them.
    fn wake_threads_for_room(&self, state: &State<F>) {
        if state.bytes <= self.bytes_max / 4 * 3 && state.items.len() <= ENTRIES_MAX / 4 * 3 {
            self.wake_threads(state);
        }
    }

    fn wait_for_room<'s>(&self, mut state: MutexGuard<'s, State<F>>) -> MutexGuard<'s, State<F>> {
        state.waiting_threads += 1;
        state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting_threads -= 1;
        state
    }
}

impl<F> Waker<F> {
    /// Wakes the threads that wait for room. One of them may have an entry that became the first.
    pub(super) fn wake(&self) {
        self.0.wake_threads(&self.0.lock());
    }
}

impl<F> Drop for Room<F> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.bytes -= self.len;
        self.shared.wake_threads_for_room(&state);
    }
}
