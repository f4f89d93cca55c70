//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
)

// A Mode is a way to run the engine.
type Mode int

const (
	// Auto is Child where Options name a binary or one is embedded, or where there is no library in
	// the program, and InProcess otherwise.
	Auto Mode = iota
	// InProcess calls the library that the program is linked with.
	InProcess
	// Child runs the command `wingback worker`.
	Child
)

// Options say how an [Engine] is run.
type Options struct {
	Mode Mode
	// Binary is the path of the command. If it is empty, the command is Embedded, or what the
	// environment variable WINGBACK_BIN names, or `wingback` in PATH, in this order.
	Binary string
	// Embedded is the command itself, as go:embed has it. It is run from memory (memfd_create(2)), so
	// that an image without anything else can do with it.
	Embedded []byte
	// Stderr gets what the child prints there, which is nothing unless something is badly wrong.
	Stderr io.Writer
}

// An Engine runs jobs, several at once. It is started by its first job. Its methods may be called by
// several goroutines.
type Engine struct {
	options Options
	cleanup runtime.Cleanup

	// Full while somebody starts or closes the engine. A caller waits for it no longer than its context.
	busy   chan struct{}
	conn   *conn
	closed bool

	counters counters
}

// NewEngine gives an engine that is run as options say; nothing is started yet. Close it once it is
// not used any more.
func NewEngine(options Options) *Engine {
	return &Engine{options: options, busy: make(chan struct{}, 1)}
}

var standard = sync.OnceValue(func() *Engine { return NewEngine(Options{}) })

// Default is the engine of what names no other: one for the process, never closed.
func Default() *Engine { return standard() }

func (e *Engine) or() *Engine {
	if e == nil {
		return Default()
	}
	return e
}

// Info is what an engine says of itself.
type Info struct {
	// Version of the engine.
	Version string
	// Encoder of the level Fast.
	Encoder string
	// InProcess is false where it is a child process, whose number is PID.
	InProcess bool
	PID       int
}

// Start starts the engine, if it is not running, and says what it is. Jobs do so by themselves; this
// tells early that a binary is missing.
func (e *Engine) Start(ctx context.Context) (Info, error) {
	conn, err := e.or().connect(ctx)
	if err != nil {
		return Info{}, err
	}
	return conn.info, nil
}

// Close cancels what still runs, waits for its orderly end and ends the engine. Jobs that are begun
// later fail. It is an error if the engine does not end, which a child is killed for.
func (e *Engine) Close() error {
	e.busy <- struct{}{}
	conn := e.conn
	e.conn, e.closed = nil, true
	<-e.busy
	if conn == nil {
		return nil
	}
	e.cleanup.Stop()
	return conn.close()
}

func (e *Engine) connect(ctx context.Context) (*conn, error) {
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return nil, cancelled(ctx, "start the engine")
	}
	if e.closed {
		return nil, broken("it was closed", nil)
	}
	if e.conn != nil {
		if !e.conn.isDead() {
			return e.conn, nil
		}
		e.cleanup.Stop()
	}
	transport, err := open(e.options)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, transport)
	if err != nil {
		return nil, err
	}
	e.conn = c
	// A backstop only, for an engine that nobody closes.
	e.cleanup = runtime.AddCleanup(e, func(c *conn) { go c.close() }, c)
	return c, nil
}

// A job is one request, until its end was heard of.
type job struct {
	conn     *conn
	id       uint64
	streams  uint64 // how many it was given
	progress chan Progress
	ended    chan struct{}
	result   json.RawMessage
	err      error
}

// What a canceled job has to end in order before nobody waits for it any more. A test makes it
// shorter.
var patience = 10 * time.Second

// call runs a job and decodes its result into `result`. What streams is done by `during`, which gets
// a context that ends with the job; an error of its own ends the job and is what call gives.
func (e *Engine) call(ctx context.Context, op string, args func(*job) (any, error), limits []*Limiter,
	onProgress func(Progress), result any) error {
	if err := ctx.Err(); err != nil {
		return cancelled(ctx, op)
	}
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	for _, limit := range limits {
		conn.hold(limit)
		defer conn.release(limit)
	}
	job, err := conn.start(ctx, op, args)
	if err != nil {
		return err
	}
	for {
		select {
		case progress := <-job.progress:
			if onProgress != nil {
				onProgress(progress)
			}
			continue
		case <-job.ended:
		case <-ctx.Done():
			conn.cancel(job)
			select {
			case <-job.ended:
			case <-time.After(patience):
				conn.forget(job)
				return cancelled(ctx, op)
			}
			var failure *Error
			if errors.As(job.err, &failure) && failure.Kind == Cancelled {
				return cancelled(ctx, op)
			}
		}
		break
	}
	if job.err != nil {
		return job.err
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(job.result, result); err != nil {
		return broken(fmt.Sprintf("its answer to %s was not understood", op), err)
	}
	return nil
}
