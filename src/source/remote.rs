//! A remote archive. Its ranges are fetched before the threads need them.
//!
//! The threads of the engine first report which ranges they will read, and then read them in nearly that
//! order. The future of the task fetches the ranges in blocks, several at once and some ahead.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    executor::block_on,
    future::BoxFuture,
    stream::FuturesUnordered,
};

use crate::{
    error::{Error, ErrorKind, Result},
    read::ReadAt,
};

/// Largest block, unless a plan is a single request.
const BLOCK: u64 = 4 << 20;

/// Largest plan that is fetched with a single request.
const ALONE: u64 = 16 << 20;

/// Fetched blocks that may wait for the threads, beyond the blocks in transit.
const AHEAD: usize = 2;

/// Largest gap between two ranges that one request includes, because it costs less than another request.
const GAP: u64 = 64 << 10;

/// A source of ranges.
pub(crate) trait Remote: Send + Sync {
    /// Reads a range. The caller will read the bytes from its end up to `until` next.
    fn read(&self, range: Range<u64>, until: u64) -> BoxFuture<'_, Result<Bytes>>;

    /// Returns how many reads may run at once.
    fn parallel(&self) -> usize;

    /// Returns the length of the largest range that several reads are joined to.
    fn largest(&self) -> u64 {
        u64::MAX
    }
}

/// The archive, for the threads of the engine.
pub(crate) struct Ranges {
    len: u64,
    /// The last bytes of the archive.
    tail: Bytes,
    requests: mpsc::UnboundedSender<Request>,
}

pub(crate) enum Request {
    /// The threads will read these ranges in about this order, and then the bytes up to a position. This
    /// replaces the plan before.
    Plan(Vec<Range<u64>>, u64),
    /// After the plan they will read these ranges, and then the bytes up to a position.
    More(Vec<Range<u64>>, u64),
    Read(Read),
}

/// A range that a thread waits for.
pub(crate) struct Read {
    range: Range<u64>,
    answer: oneshot::Sender<Result<Bytes>>,
}

impl Ranges {
    /// Returns the archive, and its requests for [`serve`].
    pub(crate) fn new(len: u64, tail: Bytes) -> (Self, mpsc::UnboundedReceiver<Request>) {
        let (requests, asked) = mpsc::unbounded();
        (Ranges { len, tail, requests }, asked)
    }

    /// Returns the position of the bytes that are known already.
    fn tail_at(&self) -> u64 {
        self.len - self.tail.len() as u64
    }

    fn ask(&self, request: Request) -> Result<()> {
        // If nobody serves the requests any more, the task was dropped or cancelled.
        self.requests.unbounded_send(request).map_err(|_| Error::cancelled())
    }
}

impl ReadAt for Ranges {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        if let Some(start) = at.checked_sub(self.tail_at()) {
            let known = self.tail.get(start as usize..start as usize + into.len());
            into.copy_from_slice(known.ok_or_else(shorter)?);
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Read(Read { range: at..at + into.len() as u64, answer }))?;
        let bytes = block_on(answered).map_err(|_| Error::cancelled())??;
        if bytes.len() != into.len() {
            return Err(shorter());
        }
        into.copy_from_slice(&bytes);
        Ok(())
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn will_need(&self, mut ranges: Vec<Range<u64>>, until: u64) {
        ranges.retain(|range| range.start < self.tail_at());
        // A plan is only a hint. If it cannot be sent, the next read fails.
        let _ = self.ask(Request::Plan(ranges, until));
    }

    fn will_also_need(&self, mut ranges: Vec<Range<u64>>, until: u64) {
        ranges.retain(|range| range.start < self.tail_at());
        let _ = self.ask(Request::More(ranges, until));
    }
}

fn shorter() -> Error {
    Error::new(ErrorKind::Corrupt, "read the archive")
        .caused_by("it became shorter while it was read")
}

/// Serves the requests until all threads have dropped the archive.
pub(crate) async fn serve(remote: impl Remote, mut requests: mpsc::UnboundedReceiver<Request>) {
    let remote = &remote;
    let mut window = Window::default();
    let mut fetching = FuturesUnordered::new();
    let mut alone = FuturesUnordered::new();
    loop {
        while let Some((number, block)) = window.next(fetching.len(), remote.parallel()) {
            let (read, plan) = (remote.read(block.range.clone(), block.until), window.plan);
            fetching.push(async move { (plan, number, read.await) });
        }
        futures::select_biased! {
            fetched = fetching.select_next_some() => {
                let (plan, number, bytes): (u64, usize, Result<Bytes>) = fetched;
                if plan == window.plan {
                    window.arrived(number, bytes);
                }
            }
            () = alone.select_next_some() => {}
            request = requests.next().fuse() => match request {
                None => return,
                Some(Request::Plan(ranges, until)) => {
                    window = Window::new(window.plan + 1, ranges, until, remote.largest());
                }
                Some(Request::More(ranges, until)) => {
                    let more = Window::new(window.plan, ranges, until, remote.largest());
                    window.blocks.extend(more.blocks);
                }
                Some(Request::Read(read)) => {
                    if let Some(Read { range, answer }) = window.take(read) {
                        let until = range.end;
                        let read = remote.read(range, until);
                        alone.push(async move {
                            // A thread that has ended does not wait for the answer.
                            let _ = answer.send(read.await);
                        });
                    }
                }
            },
        }
    }
}

/// The blocks of a plan.
#[derive(Default)]
struct Window {
    /// Number of the plan. Blocks of earlier plans are discarded when they arrive.
    plan: u64,
    blocks: Vec<Block>,
    /// The first block that was not fetched yet.
    next: usize,
    /// Later blocks that a thread waits for.
    urgent: VecDeque<usize>,
    /// Number of blocks that are in transit or in memory.
    open: usize,
}

struct Block {
    range: Range<u64>,
    /// End of the consecutive blocks from here.
    until: u64,
    /// Reads that it will still answer.
    reads: usize,
    state: State,
}

enum State {
    Planned,
    Fetching(Vec<Read>),
    Here(Bytes),
    /// All reads were answered, or the block could not be fetched.
    Over,
}

impl Window {
    /// `largest` is the length of the largest block, unless one range is longer.
    fn new(plan: u64, ranges: Vec<Range<u64>>, until: u64, largest: u64) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let first = ranges.first().map_or(0, |range| range.start);
        let is_alone = ranges.windows(2).all(|two| follows(two[0].end, &two[1]))
            && ranges.last().is_some_and(|last| last.end - first <= ALONE.min(largest));
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            match blocks.last_mut() {
                Some(block)
                    if follows(block.range.end, &range)
                        && (is_alone || range.end - block.range.start <= BLOCK.min(largest)) =>
                {
                    block.range.end = range.end;
                    block.reads += 1;
                }
                _ => blocks.push(Block { range, until: 0, reads: 1, state: State::Planned }),
            }
        }
        let last = blocks.last().map(|last| last.range.end);
        let mut behind = last.filter(|&end| end < until).map(|end| (end, until));
        for block in blocks.iter_mut().rev() {
            block.until = match behind {
                Some((start, until)) if start == block.range.end => until,
                _ => block.range.end,
            };
            behind = Some((block.range.start, block.until));
        }
        Window { plan, blocks, next: 0, urgent: VecDeque::new(), open: 0 }
    }

    /// Returns the next block to fetch, if there is room.
    fn next(&mut self, fetching: usize, parallel: usize) -> Option<(usize, &Block)> {
        if fetching >= parallel {
            return None;
        }
        let number = match self.urgent.pop_front() {
            Some(number) => number,
            None if self.open >= parallel + AHEAD => return None,
            None => {
                let planned = |block: &Block| matches!(block.state, State::Planned);
                let skipped = self.blocks[self.next..].iter().position(planned)?;
                self.next += skipped + 1;
                self.next - 1
            }
        };
        let block = &mut self.blocks[number];
        if let State::Planned = block.state {
            block.state = State::Fetching(Vec::new());
            self.open += 1;
        }
        Some((number, block))
    }

    /// Answers a read now or when its block arrives. Returns the read if no block has it.
    fn take(&mut self, read: Read) -> Option<Read> {
        let number = self.blocks.partition_point(|block| block.range.end <= read.range.start);
        let Some(block) = self.blocks.get_mut(number) else {
            return Some(read);
        };
        if !(block.range.start <= read.range.start && read.range.end <= block.range.end) {
            return Some(read);
        }
        match &mut block.state {
            State::Over => return Some(read),
            State::Planned => {
                block.state = State::Fetching(vec![read]);
                self.open += 1;
                self.urgent.push_back(number);
            }
            State::Fetching(waiting) => waiting.push(read),
            State::Here(_) => self.answer(number, read),
        }
        None
    }

    fn arrived(&mut self, number: usize, bytes: Result<Bytes>) {
        let block = &mut self.blocks[number];
        let len = (block.range.end - block.range.start) as usize;
        let bytes =
            bytes.and_then(|bytes| if bytes.len() == len { Ok(bytes) } else { Err(shorter()) });
        let (state, error) = match bytes {
            Ok(bytes) => (State::Here(bytes), None),
            Err(e) => (State::Over, Some(e)),
        };
        let State::Fetching(waiting) = std::mem::replace(&mut block.state, state) else {
            return;
        };
        let Some(error) = error else {
            waiting.into_iter().for_each(|read| self.answer(number, read));
            return;
        };
        self.open -= 1;
        let (kind, text) = (error.kind(), error.to_string());
        let mut error = Some(error);
        for read in waiting {
            let again = || Error::new(kind, "read the archive").caused_by(text.clone());
            let _ = read.answer.send(Err(error.take().unwrap_or_else(again)));
        }
    }

    fn answer(&mut self, number: usize, read: Read) {
        let block = &mut self.blocks[number];
        if let State::Here(bytes) = &block.state {
            let start = (read.range.start - block.range.start) as usize;
            let end = (read.range.end - block.range.start) as usize;
            let _ = read.answer.send(Ok(bytes.slice(start..end)));
        }
        block.reads = block.reads.saturating_sub(1);
        if block.reads == 0 {
            block.state = State::Over;
            self.open -= 1;
        }
    }
}

/// Returns whether `range` follows `end` with a gap of at most [`GAP`].
fn follows(end: u64, range: &Range<u64>) -> bool {
    end <= range.start && range.start - end <= GAP
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::poll_fn;

    use super::*;

    const LEN: u64 = 40 << 20;

    /// Bytes that show their position, and the requested ranges.
    #[derive(Default)]
    struct Fake {
        asked: Mutex<Vec<Range<u64>>>,
        largest: Option<u64>,
    }

    impl Remote for &Fake {
        fn read(&self, range: Range<u64>, until: u64) -> BoxFuture<'_, Result<Bytes>> {
            assert!(range.end <= until && until <= LEN, "{range:?} {until}");
            self.asked.lock().expect("whole").push(range.clone());
            // Later ranges may arrive earlier.
            let mut turns = range.start % 5;
            async move {
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    turns = turns.saturating_sub(1);
                    if turns == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
                })
                .await;
                Ok(range.map(|at| at as u8).collect())
            }
            .boxed()
        }

        fn parallel(&self) -> usize {
            3
        }

        fn largest(&self) -> u64 {
            self.largest.unwrap_or(u64::MAX)
        }
    }

    /// Returns the requests of three threads that read the plan in turns, and then another range.
    fn ask(plan: Vec<Range<u64>>) -> Vec<Range<u64>> {
        ask_of(&Fake::default(), plan)
    }

    fn ask_of(fake: &Fake, plan: Vec<Range<u64>>) -> Vec<Range<u64>> {
        let (ranges, requests) = Ranges::new(LEN, Bytes::new());
        std::thread::scope(|scope| {
            scope.spawn(|| block_on(serve(fake, requests)));
            // Dropped at the end, which ends the server.
            let ranges = ranges;
            let read = |range: &Range<u64>| {
                let mut bytes = vec![0; (range.end - range.start) as usize];
                ranges.read_at(range.start, &mut bytes).expect("it is there");
                let want = range.clone().map(|at| at as u8);
                assert!(bytes.iter().copied().eq(want), "{range:?}");
            };
            ranges.will_need(plan.clone(), 0);
            std::thread::scope(|scope| {
                for thread in 0..3 {
                    let mine = plan.iter().skip(thread).step_by(3);
                    scope.spawn(move || mine.for_each(read));
                }
            });
            read(&(1..3));
        });
        std::mem::take(&mut *fake.asked.lock().expect("whole"))
    }

    fn chunks(range: Range<u64>) -> Vec<Range<u64>> {
        range.clone().step_by(1 << 20).map(|at| at..range.end.min(at + (1 << 20))).collect()
    }

    #[test]
    fn a_plan_is_fetched_in_blocks_and_once() {
        let asked = ask(chunks(0..LEN));
        assert_eq!(asked.len() as u64, LEN / BLOCK + 1);
        let mut planned: Vec<_> = asked.into_iter().filter(|range| range.end > 3).collect();
        planned.sort_by_key(|range| range.start);
        assert!(planned.windows(2).all(|two| two[0].end == two[1].start));
    }

    #[test]
    fn a_small_plan_is_one_request_that_includes_small_gaps() {
        assert_eq!(ask(chunks(5..(10 << 20))), [5..(10 << 20), 1..3]);
        assert_eq!(ask(vec![10..20, 30..40, 60_000..60_001]), [10..60_001, 1..3]);
        assert_eq!(ask(vec![10..20, 1_000_000..1_000_001]).len(), 3);
        assert_eq!(ask(Vec::new()), std::slice::from_ref(&(1..3)));
    }

    #[test]
    fn a_limited_plan_is_fetched_in_small_blocks() {
        let limited = Fake { largest: Some(2 << 20), ..Fake::default() };
        let asked = ask_of(&limited, chunks(0..(10 << 20)));
        assert_eq!(asked.len(), 5 + 1, "{asked:?}");
        // A range of the plan is not divided.
        let limited = Fake { largest: Some(1), ..Fake::default() };
        assert_eq!(ask_of(&limited, chunks(0..(10 << 20))).len(), 10 + 1);
    }

    #[test]
    fn the_known_tail_is_not_fetched() {
        let fake = Fake::default();
        let (ranges, requests) = Ranges::new(10, Bytes::from_static(&[7; 4]));
        std::thread::scope(|scope| {
            scope.spawn(|| block_on(serve(&fake, requests)));
            let ranges = ranges;
            ranges.will_need(vec![2..5, 6..8, 8..10], 0);
            for at in [2, 6] {
                ranges.read_at(at, &mut [0; 3]).expect("it is there");
            }
        });
        assert_eq!(*fake.asked.lock().expect("whole"), std::slice::from_ref(&(2..5)));
    }

    #[test]
    fn an_error_reaches_only_the_reads_of_its_block() {
        struct Broken;
        impl Remote for Broken {
            fn read(&self, range: Range<u64>, _: u64) -> BoxFuture<'_, Result<Bytes>> {
                let error = || Err(Error::new(ErrorKind::Io, "read"));
                let read = if range.start < BLOCK { error() } else { Ok(vec![7; 1].into()) };
                futures::future::ready(read).boxed()
            }
            fn parallel(&self) -> usize {
                1
            }
        }
        let (ranges, requests) = Ranges::new(LEN, Bytes::new());
        std::thread::scope(|scope| {
            scope.spawn(|| block_on(serve(Broken, requests)));
            ranges.will_need(vec![0..5, 5..10], 0);
            let mut bytes = [0; 5];
            assert!(ranges.read_at(0, &mut bytes).is_err());
            assert!(ranges.read_at(5, &mut bytes).is_err());
            ranges.read_at(2 * BLOCK, &mut bytes[..1]).expect("it is there");
            drop(ranges);
        });
    }
}
