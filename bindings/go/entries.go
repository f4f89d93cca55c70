//go:build linux

package wingback

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"
)

// Members lists what an archive holds, of each path the last; with an index that is a read or two. Only paths with all
// beneath them, or what patterns match, where any are given; one that matches nothing is an error at
// the end. An error is the last that comes.
func (a *Archive) Members(ctx context.Context, selected ...string) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		var listing struct{ Unmatched []string }
		records := a.records(ctx, "list", map[string]any{"select": texts(selected)}, &listing)
		defer records.close()
		for {
			member, err := records.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				yield(Member{}, err)
				return
			}
			if !yield(member, nil) {
				return
			}
		}
		if len(listing.Unmatched) > 0 {
			message := fmt.Sprintf("list: nothing in the archive matches %q", listing.Unmatched)
			yield(Member{}, &Error{Kind: NotFound, Op: "list", Message: message})
		}
	}
}

// An Entry is a member and, of a regular file, the reader of its content, until the next one comes.
type Entry struct {
	Member
	records *records
}

// Entries reads an archive from its start to its end, as it comes: what was handed out by then is not
// known to be whole until the sequence has ended without an error, which is the last that comes. Of
// several members of one path the last counts, and a hard link names what those before it have left.
func (a *Archive) Entries(ctx context.Context) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		records := a.records(ctx, "entries", map[string]any{}, nil)
		defer records.close()
		for {
			member, err := records.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if member.Kind == RegularFile {
				records.left = member.Size
			}
			if !yield(&Entry{member, records}, nil) {
				return
			}
		}
	}
}

// Read reads the content; there is none of anything but a regular file.
func (e *Entry) Read(to []byte) (int, error) {
	r := e.records
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(to)) > r.left {
		to = to[:r.left]
	}
	n, err := r.reader.Read(to)
	r.left -= int64(n)
	if err != nil {
		err = r.broken(err)
	}
	return n, err
}

// An output is what a job writes to its stream while it runs, for a caller that reads it at leisure.
// A read ends with the caller's context, also where the engine is stuck.
type output struct {
	ctx    context.Context // the caller's
	op     string
	ours   *os.File // nil where the job has failed before
	cancel context.CancelFunc
	// end waits for the job, which ends with its stream: only then is known whether that was all.
	end func() error
}

func (a *Archive) output(ctx context.Context, op string, args map[string]any, result any) *output {
	caller := ctx
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	o := &output{ctx: caller, op: op, cancel: cancel, end: sync.OnceValue(func() error { return <-ended })}
	streams := make(chan *os.File, 1)
	go func() {
		ended <- a.job(ctx, op, args, func(ours *os.File) { streams <- ours }, nil, result)
		close(streams)
	}()
	o.ours = <-streams
	if o.ours != nil {
		context.AfterFunc(ctx, func() { _ = o.ours.SetReadDeadline(time.Now()) })
	}
	return o
}

// failed is why a read ended before the job's bytes did: nil where they are all there.
func (o *output) failed() error {
	if o.ctx.Err() != nil {
		return cancelled(o.ctx, o.op)
	}
	return o.end()
}

// close ends the job, if it runs, and waits for that.
func (o *output) close() (err error) {
	o.cancel()
	if o.ours != nil {
		err = o.ours.Close()
	}
	_ = o.end()
	return err
}

// Records are members as lines of a job's stream, with their content between them.
type records struct {
	*output
	reader *bufio.Reader
	left   int64 // bytes of content before the next line
}

func (a *Archive) records(ctx context.Context, op string, args map[string]any, result any) *records {
	output := a.output(ctx, op, args, result)
	return &records{output: output, reader: bufio.NewReaderSize(output.ours, 256<<10)}
}

func (r *records) next() (Member, error) {
	var member Member
	if r.ours == nil {
		return member, r.end()
	}
	if _, err := io.CopyN(io.Discard, r.reader, r.left); err != nil {
		return member, r.broken(err)
	}
	r.left = 0
	line, err := readLine(r.reader)
	if err != nil {
		if err := r.failed(); err != nil {
			return member, err
		}
		return member, io.EOF
	}
	if err := json.Unmarshal(line, &member); err != nil {
		return member, broken("its list was not understood", err)
	}
	return member, nil
}

// broken is why the stream ended within content.
func (r *records) broken(err error) error {
	if err := r.failed(); err != nil {
		return err
	}
	return broken("it gave less of a file than it said", err)
}

// Open reads one file of the archive. Close ends the reading.
func (a *Archive) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	output := a.output(ctx, "copy", map[string]any{"path": wireText(path)}, nil)
	if output.ours == nil {
		_ = output.close()
		return nil, output.end()
	}
	return openFile{output}, nil
}

type openFile struct{ *output }

func (f openFile) Read(to []byte) (int, error) {
	n, err := f.ours.Read(to)
	if err == nil || errors.Is(err, os.ErrClosed) {
		return n, err
	}
	if err := f.failed(); err != nil {
		return n, err
	}
	return n, io.EOF
}

func (f openFile) Close() error { return f.close() }
