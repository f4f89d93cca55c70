//go:build linux

package wingback

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Members lists the members of an archive; of several members with one path, only the last. With
// `selected`, it lists only members that these paths or patterns match, and all members below those. If
// one of them matches nothing, the sequence ends with an error. With an index, the archive itself is not
// read. An error is the last element of the sequence, which is an iter.Seq2[Member, error].
func (a *Archive) Members(ctx context.Context, selected ...string) func(yield func(Member, error) bool) {
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

// An Entry is a member and a reader of its content, if it is a regular file. It can be read until the
// sequence continues.
type Entry struct {
	Member
	records *records
}

// Entries reads an archive from its start to its end. Content is known to be correct only after the
// sequence has ended without an error; an error is its last element. If several members have one path,
// the last one counts. A hard link names the latest earlier member of its target. The sequence is an
// iter.Seq2[*Entry, error].
func (a *Archive) Entries(ctx context.Context) func(yield func(*Entry, error) bool) {
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

// Read reads the content. Only a regular file has any.
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

// An output is the stream that a running job writes to, for a caller that reads it at its own speed. A
// read ends with the caller's context, even if the engine is blocked.
type output struct {
	ctx    context.Context // the caller's
	op     string
	ours   *os.File // nil if the job failed before it had a stream
	cancel context.CancelFunc
	// end waits for the end of the job. Only its result tells whether the stream was complete.
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

// failed returns the error that ended the stream early, or nil if the stream was complete.
func (o *output) failed() error {
	if o.ctx.Err() != nil {
		return cancelled(o.ctx, o.op)
	}
	return o.end()
}

// close cancels the job if it runs, and waits for its end.
func (o *output) close() (err error) {
	o.cancel()
	if o.ours != nil {
		err = o.ours.Close()
	}
	_ = o.end()
	return err
}

// A records reads members from a job's stream: each is a line, followed by its content.
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
		return member, broken("its list of members cannot be decoded: "+err.Error(), err)
	}
	return member, nil
}

// broken returns the reason why the stream ended within content.
func (r *records) broken(err error) error {
	if err := r.failed(); err != nil {
		return err
	}
	return broken("it sent less content than it had announced", err)
}

// Open returns a reader of one file of the archive. The caller must close it, which ends the job. Content
// is known to be correct only if the reader ends with io.EOF.
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
