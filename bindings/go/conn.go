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

// A transport is a running engine, and the three descriptors to it.
type transport struct {
	requests *os.File
	events   *os.File
	streams  *net.UnixConn
	// wait waits for the end of the engine, and returns its error.
	wait func() error
	// kill ends the engine at once; nil if that is impossible.
	kill func()
	pid  int
}

func (t *transport) close() {
	t.requests.Close()
	t.events.Close()
	t.streams.Close()
}

// A conn is a connection to an engine: a transport, and its jobs.
type conn struct {
	transport
	info Info
	// Requests to write.
	lines chan []byte
	// Has one element while `posted` is not empty.
	postedAny chan struct{}
	// Closed when the connection fails or is closed; err is the reason.
	dead chan struct{}
	// Closed when the engine has ended and all goroutines of the connection have, too.
	gone chan struct{}

	mu     sync.Mutex
	err    error
	ending bool
	next   uint64
	jobs   map[uint64]*job
	// Requests about limits, which are written before the next line: only the last one of each limit.
	posted map[uint64]request
}

// How long an engine may take to send hello.
const helloWithin = 20 * time.Second

// How long an engine may take to end after its requests have ended. A test shortens it.
var endWithin = 40 * time.Second

// Limit for the length of a line. The longest lines are reports with skipped paths.
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
	case event := <-hello:
		if event.Protocol == protocol && event.Version == Version {
			c.info = Info{Version: event.Version, Encoders: event.Encoders, InProcess: t.kill == nil, PID: t.pid}
			return c, nil
		}
		err = broken(fmt.Sprintf("it has version %q and protocol %d; this package needs %q and %d",
			event.Version, event.Protocol, Version, protocol), nil)
	case <-c.dead:
		return nil, c.err
	case <-ctx.Done():
		err = cancelled(ctx, "start the engine")
	case <-timeout.C:
		err = broken(fmt.Sprintf("it did not answer within %v", helloWithin), nil)
	}
	c.fail(err)
	<-c.gone
	return nil, err
}

// write runs on a goroutine of its own, so that an engine that does not read blocks nothing else.
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
			// The reading side reports the reason, with the end of the engine.
			<-c.dead
			return
		}
	}
}

// post sends a request about a limit before all later requests. It does not wait. A newer request for
// the same limit replaces it.
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
		// Encoding numbers cannot fail.
		line, _ := json.Marshal(request)
		lines = append(append(lines, line...), '\n')
	}
	return lines
}

// run reads events until they end, and then ends the engine.
func (c *conn) run(hello chan<- event) {
	defer close(c.gone)
	if err := c.read(hello); err != nil {
		c.fail(err)
	}
	// An engine whose connection has failed may be killed.
	failed := c.isDead()
	ended := make(chan error, 1)
	go func() { ended <- c.wait() }()
	timeout := time.NewTimer(endWithin)
	defer timeout.Stop()
	c.mu.Lock()
	ending := c.ending
	c.mu.Unlock()
	if failed && c.kill != nil && !ending {
		c.kill()
	}
	// The engine ends when its requests end.
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
		c.fail(broken("it has been closed", nil))
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
				return broken("it sent a line that is too long", nil)
			}
			return nil
		}
		var event event
		if err := json.Unmarshal(line, &event); err != nil {
			return broken(fmt.Sprintf("it sent a line that is not JSON: %.80q", line), err)
		}
		switch event.Event {
		case "hello":
			select {
			case hello <- event:
			default:
				return broken("it sent hello twice", nil)
			}
		case "progress":
			c.mu.Lock()
			job := c.jobs[event.ID]
			c.mu.Unlock()
			if job != nil {
				job.setProgress(event.progress())
			}
		case "source-read":
			c.mu.Lock()
			job := c.jobs[event.ID]
			c.mu.Unlock()
			if job != nil {
				select {
				case job.sourceRead <- struct{}{}:
				default:
					return broken("it read a source twice", nil)
				}
			}
		case "done", "error":
			c.end(event)
		default:
			return broken(fmt.Sprintf("it sent an unknown event: %.80q", line), nil)
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

func (c *conn) end(event event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	job := c.jobs[event.ID]
	if job == nil {
		return
	}
	delete(c.jobs, event.ID)
	switch {
	case event.Event == "done":
		job.result = event.Result
	case event.Error != nil:
		job.err = event.Error.err()
	default:
		job.err = broken("it reported a failed job without an error", nil)
	}
	close(job.ended)
}

// setProgress replaces an older progress that the caller has not taken yet.
func (j *job) setProgress(progress Progress) {
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

// fail ends all jobs with err, and refuses new ones.
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
	// This ends read, after which run ends the engine.
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
	// A stopped or blocked engine does not end its events.
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
	job := &job{conn: c, id: c.next, progress: make(chan Progress, 1),
		sourceRead: make(chan struct{}, 1), ended: make(chan struct{})}
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
		var failed *json.MarshalerError
		if errors.As(err, &failed) {
			err = failed.Unwrap()
		}
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
	// If the connection has failed, the job has ended already.
	_ = c.send(ctx, request{ID: job.id, Op: "cancel"})
}

// answer lets a job continue after its event source-read. `failure` is the error of the caller's function.
func (c *conn) answer(job *job, failure error) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	args := map[string]any{}
	if failure != nil {
		args["failure"] = failure.Error()
	}
	// If the connection has failed, the job has ended already.
	_ = c.send(ctx, request{ID: job.id, Op: "answer", Args: args})
}

func (c *conn) forget(job *job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.jobs, job.id)
}
