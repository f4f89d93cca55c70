//go:build linux

package wingback

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// A transport is an engine that runs, and the three descriptors to it.
type transport struct {
	requests *os.File
	events   *os.File
	streams  *net.UnixConn
	// wait waits for its end, and says how that was.
	wait func() error
	// kill ends it without its consent; nil where that cannot be.
	kill func()
	pid  int
}

func (t *transport) close() {
	t.requests.Close()
	t.events.Close()
	t.streams.Close()
}

// A conn is a transport, and the jobs on it.
type conn struct {
	transport
	info Info
	// Requests that are to be written.
	lines chan []byte
	// Has one element while there are posted requests.
	postedAny chan struct{}
	// Closed when it is dead; err says of what.
	dead chan struct{}
	// Closed when nothing of it is left.
	gone chan struct{}

	mu     sync.Mutex
	err    error
	ending bool
	next   uint64
	jobs   map[uint64]*job
	// Requests about limits that are to be written before any line: the last of each limit.
	posted map[uint64]request
}

// How long an engine may take to say what it is.
const helloWithin = 20 * time.Second

// How long one may take to end once it is told to. A test makes it shorter.
var endWithin = 40 * time.Second

// A line has a report at most, with what was skipped.
const lineMax = 256 << 20

func dial(ctx context.Context, t *transport) (*conn, error) {
	c := &conn{
		transport: *t,
		lines:     make(chan []byte, 16),
		postedAny: make(chan struct{}, 1),
		dead:      make(chan struct{}),
		gone:      make(chan struct{}),
		jobs:      map[uint64]*job{},
		posted:    map[uint64]request{},
	}
	hello := make(chan event, 1)
	go c.write()
	go c.run(hello)
	timeout := time.NewTimer(helloWithin)
	defer timeout.Stop()
	var err error
	select {
	case said := <-hello:
		if said.Protocol == protocol && said.Version == Version {
			c.info = Info{Version: said.Version, Encoder: said.Encoder, InProcess: t.kill == nil, PID: t.pid}
			return c, nil
		}
		err = broken(fmt.Sprintf("it is version %q with protocol %d, and not %s with %d",
			said.Version, said.Protocol, Version, protocol), nil)
	case <-c.dead:
		return nil, c.err
	case <-ctx.Done():
		err = cancelled(ctx, "start the engine")
	case <-timeout.C:
		err = broken(fmt.Sprintf("it said nothing for %v", helloWithin), nil)
	}
	c.fail(err)
	<-c.gone
	return nil, err
}

// write is a goroutine, so that an engine that does not read blocks nobody else.
func (c *conn) write() {
	for {
		var line []byte
		select {
		case line = <-c.lines:
		case <-c.postedAny:
		case <-c.dead:
			return
		}
		if _, err := c.requests.Write(append(c.takePosted(), line...)); err != nil {
			// Why it does not read any more is what the other side says, with its end.
			<-c.dead
			return
		}
	}
}

// post has a request about a limit written before what is sent from now on, and does not wait for that.
// Only the last one of a limit counts.
func (c *conn) post(limit uint64, request request) {
	c.mu.Lock()
	c.posted[limit] = request
	c.mu.Unlock()
	select {
	case c.postedAny <- struct{}{}:
	default:
	}
}

func (c *conn) takePosted() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []byte
	for limit, request := range c.posted {
		delete(c.posted, limit)
		// Numbers can always be written.
		line, _ := json.Marshal(request)
		lines = append(append(lines, line...), '\n')
	}
	return lines
}

// run reads events until there are no more, and sees to the end of the engine.
func (c *conn) run(hello chan<- event) {
	defer close(c.gone)
	if err := c.read(hello); err != nil {
		c.fail(err)
	}
	// One that nobody listens to any more need not end in order.
	given := c.isDead()
	ended := make(chan error, 1)
	go func() { ended <- c.wait() }()
	timeout := time.NewTimer(endWithin)
	defer timeout.Stop()
	c.mu.Lock()
	ending := c.ending
	c.mu.Unlock()
	if given && c.kill != nil && !ending {
		c.kill()
	}
	// It ends with the end of the requests.
	c.requests.Close()
	var end error
	select {
	case end = <-ended:
	case <-timeout.C:
		if c.kill != nil {
			c.kill()
			end = <-ended
		}
	}
	switch {
	case ending:
		c.fail(broken("it was closed", nil))
	case end != nil:
		c.fail(broken("it ended before its jobs: "+end.Error(), end))
	default:
		c.fail(broken("it ended before its jobs", nil))
	}
	c.transport.close()
}

func (c *conn) read(hello chan<- event) error {
	reader := bufio.NewReaderSize(c.events, 64<<10)
	for {
		line, err := readLine(reader)
		if err != nil {
			if errors.Is(err, errTooLong) {
				return broken("it says a line without end", nil)
			}
			return nil
		}
		var said event
		if err := json.Unmarshal(line, &said); err != nil {
			return broken(fmt.Sprintf("what it says is no JSON: %.80q", line), err)
		}
		switch said.Event {
		case "hello":
			select {
			case hello <- said:
			default:
				return broken("it says hello twice", nil)
			}
		case "progress":
			c.mu.Lock()
			job := c.jobs[said.ID]
			c.mu.Unlock()
			if job != nil {
				job.tell(said.Progress)
			}
		case "done", "error":
			c.end(said)
		default:
			return broken(fmt.Sprintf("it says what this package does not know: %.80q", line), nil)
		}
	}
}

var errTooLong = errors.New("line too long")

func readLine(reader *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := reader.ReadSlice('\n')
		if err == nil && line == nil {
			return part, nil
		}
		line = append(line, part...)
		if err == nil {
			return line, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if len(line) > lineMax {
			return nil, errTooLong
		}
	}
}

func (c *conn) end(said event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	job := c.jobs[said.ID]
	if job == nil {
		return
	}
	delete(c.jobs, said.ID)
	switch {
	case said.Event == "done":
		job.result = said.Result
	case said.Error != nil:
		job.err = said.Error.err()
	default:
		job.err = broken("it says that the job failed, and not how", nil)
	}
	close(job.ended)
}

// tell keeps the newest only, for whoever is slow to listen.
func (j *job) tell(progress Progress) {
	for {
		select {
		case j.progress <- progress:
			return
		default:
		}
		select {
		case <-j.progress:
		default:
		}
	}
}

// fail ends all jobs, and takes no more.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.dead)
	for id, job := range c.jobs {
		delete(c.jobs, id)
		job.err = err
		close(job.ended)
	}
	// Ends the reading, and with it the engine.
	c.events.Close()
}

func (c *conn) isDead() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

func (c *conn) close() error {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.requests.Close()
	timeout := time.NewTimer(endWithin)
	defer timeout.Stop()
	select {
	case <-c.gone:
		return nil
	case <-timeout.C:
	}
	// One that is stopped, or stuck, does not even say that it has ended.
	err := broken(fmt.Sprintf("it did not end within %v", endWithin), nil)
	c.fail(err)
	if c.kill != nil {
		c.kill()
	}
	<-c.gone
	return err
}

func (c *conn) start(ctx context.Context, op string, args func(*job) (any, error)) (*job, error) {
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return nil, c.err
	}
	c.next++
	job := &job{conn: c, id: c.next, progress: make(chan Progress, 1), ended: make(chan struct{})}
	c.jobs[job.id] = job
	c.mu.Unlock()
	built, err := args(job)
	if err == nil {
		err = c.send(ctx, request{ID: job.id, Op: op, Args: built})
	}
	if err != nil {
		c.forget(job)
		if job.streams > 0 {
			c.cancel(job)
		}
		return nil, err
	}
	return job, nil
}

func (c *conn) send(ctx context.Context, request request) error {
	line, err := json.Marshal(request)
	if err != nil {
		return invalid(request.Op, err.Error())
	}
	select {
	case c.lines <- append(line, '\n'):
		return nil
	case <-c.dead:
		return c.err
	case <-ctx.Done():
		return cancelled(ctx, request.Op)
	}
}

func (c *conn) cancel(job *job) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	// A connection that is dead has ended it already.
	_ = c.send(ctx, request{ID: job.id, Op: "cancel"})
}

func (c *conn) forget(job *job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.jobs, job.id)
}
