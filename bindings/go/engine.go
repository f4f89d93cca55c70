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
	// Auto is Child if the program does not contain the library, or if Options have a command.
	// Otherwise it is InProcess.
	Auto Mode = iota
	// InProcess calls the library in the program; see the build tags in the package documentation.
	InProcess
	// Child runs the command `wingback worker`.
	Child
)

// Options set how an [Engine] is run. The zero value finds the command, or uses the library in the program.
type Options struct {
	Mode Mode
	// Binary is the path of the command. If it is empty, the command is Embedded, or the file that the
	// environment variable WINGBACK_BIN names, or `wingback` in PATH, in this order.
	Binary string
	// Embedded is the content of the command, for example from go:embed. It is run from memory
	// (memfd_create(2)), so that a container image needs no file for it.
	Embedded []byte
	// Stderr gets the standard error of the child, which is empty unless the child crashes.
	Stderr io.Writer
	// MemoryLimit is how many bytes of memory the parts of all uploads of the engine may take together; 0
	// means 256 MiB. Parts without room are kept in files. Engines in one process share the last limit.
	MemoryLimit uint64
}

// An Engine runs jobs, several at once. Its first job starts it. Several goroutines may call its methods.
type Engine struct {
	options Options

	// A lock that a goroutine holds while it starts or closes the engine. It is a channel, so that waiting
	// for it can end with a context.
	busy   chan struct{}
	conn   *conn
	closed bool

	counters counters
}

// NewEngine returns an engine without starting it. The caller closes it after use.
func NewEngine(options Options) *Engine {
	engine := &Engine{options: options, busy: make(chan struct{}, 1)}
	// For an engine that becomes garbage without Close.
	runtime.SetFinalizer(engine, func(e *Engine) {
		if e.conn != nil {
			go e.conn.close()
		}
	})
	return engine
}

var standard = sync.OnceValue(func() *Engine { return NewEngine(Options{}) })

// Default returns the engine for jobs that name no other. There is one in a process, and it is never
// closed.
func Default() *Engine { return standard() }

func (e *Engine) or() *Engine {
	if e == nil {
		return Default()
	}
	return e
}

// Info describes a running engine.
type Info struct {
	// Version is the version of the engine.
	Version string
	// Encoders are the encoders that a Backup can choose.
	Encoders []Encoder
	// InProcess is whether the engine runs in this process; otherwise it is the child process PID.
	InProcess bool
	PID       int
}

// Start starts the engine unless it is running, and returns its description. Jobs start it by
// themselves; an early Start reports a missing command early.
func (e *Engine) Start(ctx context.Context) (Info, error) {
	conn, err := e.or().connect(ctx)
	if err != nil {
		return Info{}, err
	}
	return conn.info, nil
}

// Close cancels running jobs, waits until they have cleaned up, and ends the engine. Later jobs fail. It
// returns an error if the engine does not end in time; a child is then killed.
func (e *Engine) Close() error {
	e.busy <- struct{}{}
	conn := e.conn
	e.conn, e.closed = nil, true
	<-e.busy
	if conn == nil {
		return nil
	}
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
		return nil, broken("it has been closed", nil)
	}
	if e.conn != nil && !e.conn.isDead() {
		return e.conn, nil
	}
	transport, err := open(e.options)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, transport)
	if err != nil {
		return nil, err
	}
	if bytes := e.options.MemoryLimit; bytes > 0 {
		c.post(c.number(), request{Op: "memory-limit", Args: map[string]uint64{"bytes": bytes}})
	}
	e.conn = c
	return c, nil
}

// A job is one request, from its start until its end event.
type job struct {
	conn     *conn
	id       uint64
	streams  uint64 // number of streams that the job has
	progress chan Progress
	// The engine has read the source, and waits for an answer.
	sourceRead chan struct{}
	ended      chan struct{}
	result     json.RawMessage
	err        error
}

// A handlers has the functions of the caller that a job calls; each may be nil.
type handlers struct {
	progress   func(Progress)
	sourceRead func() error
}

// How long call waits for a cancelled job to clean up. A test shortens it.
var patience = 10 * time.Second

// call runs a job and decodes its result into `result`, unless that is nil. `args` gets the job before
// the request is sent, so that it can open streams.
func (e *Engine) call(ctx context.Context, op string, args func(*job) (any, error), limits []*Limiter,
	on handlers, result any) error {
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
			if on.progress != nil {
				on.progress(progress)
			}
			continue
		case <-job.sourceRead:
			var err error
			if on.sourceRead != nil {
				err = on.sourceRead()
			}
			// Without an answer, a cancelled job does not commit.
			if ctx.Err() == nil {
				conn.answer(job, err)
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
		return broken(fmt.Sprintf("its answer to %q cannot be decoded", op), err)
	}
	return nil
}
