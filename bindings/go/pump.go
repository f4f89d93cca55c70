//go:build linux

package wingback

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// A pump moves a stream's bytes from or to the caller, on a goroutine.
type pump struct {
	ours *os.File
	// What the caller's side has said, before the engine hears of it.
	done chan error
	over atomic.Bool
}

// drain writes what comes to w.
func drain(ours *os.File, w io.Writer) *pump {
	p := &pump{ours: ours, done: make(chan error, 1)}
	go func() {
		_, err := io.Copy(gate{p, w}, onlyReader{ours})
		p.done <- err
		// The engine does not wait for a reader that has gone.
		ours.Close()
	}()
	return p
}

// A gate is a writer until its pump is over: what is in a buffer then is not the caller's any more.
type gate struct {
	p *pump
	w io.Writer
}

func (g gate) Write(bytes []byte) (int, error) {
	if g.p.over.Load() {
		return 0, os.ErrClosed
	}
	return g.w.Write(bytes)
}

// So that io.Copy does not hand the socket to anybody else.
type onlyReader struct{ io.Reader }

// feed reads r to its end, or until the engine wants no more. An error of r's is not an end.
func feed(ours *os.File, r io.Reader, failed func()) *pump {
	p := &pump{ours: ours, done: make(chan error, 1)}
	go func() {
		_, err := io.Copy(onlyWriter{ours}, onlyReader{r})
		var written *os.PathError
		if errors.As(err, &written) && written.Path == ours.Name() {
			err = nil
		}
		p.done <- err
		if err != nil {
			failed()
		}
		ours.Close()
	}()
	return p
}

type onlyWriter struct{ io.Writer }

// How long the caller's reader or writer has to return once its job has failed.
const pumpWithin = time.Second

// end ends it after the job has, and says what went wrong: the caller's own error first. A reader or
// writer of the caller's that waits, once nobody does for it, is the caller's business.
func (p *pump) end(ctx context.Context, job error) error {
	if p == nil {
		return job
	}
	if job == nil {
		select {
		case err := <-p.done:
			return ownOr(err, nil)
		case <-ctx.Done():
			job = cancelled(ctx, "copy the archive")
		}
	}
	p.over.Store(true)
	p.ours.Close()
	timeout := time.NewTimer(pumpWithin)
	defer timeout.Stop()
	select {
	case err := <-p.done:
		return ownOr(err, job)
	case <-timeout.C:
		return job
	}
}

func ownOr(err, job error) error {
	// Our end is closed where the job has failed, and not before.
	if err == nil || job != nil && errors.Is(err, os.ErrClosed) {
		return job
	}
	return &Error{Kind: IO, Op: "copy the archive", Message: "copy the archive: " + err.Error(), cause: err}
}
