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
)

// Members lists what an archive holds; with an index that is a read or two. Only paths with all
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
// known to be whole until the sequence has ended without an error, which is the last that comes.
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

// Records are members as lines of a job's stream, with their content between them.
type records struct {
	cancel context.CancelFunc
	ended  chan error
	ours   *os.File
	reader *bufio.Reader
	left   int64 // bytes of content before the next line
	err    error
	over   bool
}

func (a *Archive) records(ctx context.Context, op string, args map[string]any, result any) *records {
	ctx, cancel := context.WithCancel(ctx)
	r := &records{cancel: cancel, ended: make(chan error, 1)}
	streams := make(chan *os.File, 1)
	go func() {
		r.ended <- a.streaming(ctx, op, args, func(ours *os.File) { streams <- ours }, result)
	}()
	select {
	case r.ours = <-streams:
		r.reader = bufio.NewReaderSize(r.ours, 256<<10)
	case r.err = <-r.ended:
		r.over = true
		// It may have failed after that.
		select {
		case r.ours = <-streams:
		default:
		}
	}
	return r
}

func (r *records) next() (Member, error) {
	if r.err != nil {
		return Member{}, r.err
	}
	if _, err := io.CopyN(io.Discard, r.reader, r.left); err != nil {
		return Member{}, r.broken(err)
	}
	r.left = 0
	line, err := readLine(r.reader)
	if err != nil {
		if r.err = r.end(); r.err == nil {
			r.err = io.EOF
		}
		return Member{}, r.err
	}
	var member Member
	if err := json.Unmarshal(line, &member); err != nil {
		r.err = broken("its list was not understood", err)
	}
	return member, r.err
}

// broken is why the stream ended within content.
func (r *records) broken(err error) error {
	if r.err = r.end(); r.err == nil {
		r.err = broken("it gave less of a file than it said", err)
	}
	return r.err
}

// end waits for the job, which ends with its stream.
func (r *records) end() error {
	if r.over {
		return r.err
	}
	r.over = true
	return <-r.ended
}

// close ends the job, if it runs, and waits for that.
func (r *records) close() {
	r.cancel()
	if r.ours != nil {
		r.ours.Close()
	}
	_ = r.end()
}

// Open reads one file of the archive. Close ends the reading.
func (a *Archive) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	file := &openFile{cancel: cancel, ended: make(chan error, 1)}
	streams := make(chan *os.File, 1)
	args := map[string]any{"path": wireText(path)}
	go func() {
		file.ended <- a.streaming(ctx, "copy", args, func(ours *os.File) { streams <- ours }, nil)
	}()
	select {
	case file.ours = <-streams:
	case err := <-file.ended:
		cancel()
		select {
		case ours := <-streams:
			ours.Close()
		default:
		}
		return nil, err
	}
	return file, nil
}

type openFile struct {
	cancel context.CancelFunc
	ended  chan error
	ours   *os.File
	err    error
	over   bool
}

func (f *openFile) Read(to []byte) (int, error) {
	if f.over {
		return 0, f.err
	}
	n, err := f.ours.Read(to)
	if err == nil || errors.Is(err, os.ErrClosed) {
		return n, err
	}
	// The end of the stream is the end of the file only if the job says so.
	f.over = true
	if f.err = <-f.ended; f.err == nil {
		f.err = io.EOF
	}
	return n, f.err
}

func (f *openFile) Close() error {
	f.cancel()
	err := f.ours.Close()
	if !f.over {
		f.over, f.err = true, os.ErrClosed
		<-f.ended
	}
	return err
}
