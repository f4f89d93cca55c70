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

// A pump copies the bytes of a stream from or to the caller, on a goroutine of its own.
type pump struct {
	ours *os.File
	// The error of the caller's reader or writer.
	done chan error
	over atomic.Bool
}

// drain copies from the stream to w.
func drain(ours *os.File, w io.Writer) *pump {
	p := &pump{ours: ours, done: make(chan error, 1)}
	go func() {
		_, err := io.Copy(gate{p, w}, onlyReader{ours})
		p.done <- err
		// An engine that still writes gets an error instead of waiting.
		ours.Close()
	}()
	return p
}

// A gate is a writer that refuses to write after its pump has ended, when the caller no longer expects
// writes.
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

// An onlyReader hides other methods, so that io.Copy does not pass the socket on.
type onlyReader struct{ io.Reader }

// feed copies from r to the stream, until r ends or the engine stops reading. If r fails, feed calls
// `failed`, so that the engine does not take the end of the stream for the end of the archive.
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

// How long end waits for the caller's reader or writer after the job has failed.
const pumpWithin = time.Second

// end ends the pump after its job has ended. It returns the error of the caller's reader or writer, or
// else the error of the job. It does not wait long for a reader or writer that blocks.
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
	// The pump closes our end only after the job has failed, so this error follows from that of the job.
	if err == nil || job != nil && errors.Is(err, os.ErrClosed) {
		return job
	}
	return &Error{Kind: IO, Op: "copy the archive", Message: "copy the archive: " + err.Error(), cause: err}
}
