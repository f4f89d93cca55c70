package wings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

// RestoreFunc is Wings' RestoreCallback: it writes one regular file.
type RestoreFunc func(name string, info fs.FileInfo, content io.ReadCloser) error

// Into is where a restore goes.
type Into struct {
	// File gets each regular file.
	File RestoreFunc
	// Directory gets each directory, and Symlink each symlink, with what it points to; where one is
	// nil, those are passed over, as stock Wings does. Whatever the archive, files may come first.
	Directory func(name string, info fs.FileInfo) error
	Symlink   func(name, target string, info fs.FileInfo) error
	// Reopen reads a file that was restored, for a hard link to it in an archive that comes as a
	// stream. Archives of Wings and of this package have none.
	Reopen func(name string) (io.ReadCloser, error)
}

// Restore hands out what is in the archive: the local one where r is nil, otherwise what comes from r,
// such as a download. Names that lead out of a directory are an error. It obeys the write limit.
//
// What was handed out is not known to be whole before this returns; Verify a local archive first.
func (b *Backup) Restore(ctx context.Context, r io.Reader, into Into) error {
	archive := b.archive()
	if r != nil {
		archive = wingback.Stream(r)
		archive.Engine = b.node.config.Engine
	} else if _, err := b.Locate(); err != nil {
		return err
	}
	pace := &pace{ctx: ctx, limit: b.node.limit}
	for entry, err := range archive.Entries(ctx) {
		if err != nil {
			return err
		}
		if err := b.hand(pace, entry, r != nil, into); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backup) hand(pace *pace, entry *wingback.Entry, streamed bool, into Into) error {
	name := entry.Path
	if name == "" || name == "." {
		return nil
	}
	if strings.HasPrefix(name, "/") || !fs.ValidPath(path.Clean(name)) {
		return fmt.Errorf("wings: the archive has the path %q, which leads elsewhere", name)
	}
	info := fileInfo{entry.Member}
	switch entry.Kind {
	case wingback.RegularFile:
		return into.File(name, info, paced{io.NopCloser(entry), pace})
	case wingback.HardLink:
		content, target, err := b.linked(pace.ctx, entry.Member, streamed, into)
		if err != nil {
			return err
		}
		defer content.Close()
		info.Member = target
		return into.File(name, info, paced{content, pace})
	case wingback.Directory:
		if into.Directory != nil {
			return into.Directory(name, info)
		}
	case wingback.Symlink:
		if into.Symlink != nil {
			return into.Symlink(name, entry.Target, info)
		}
	}
	return nil
}

// linked opens what a hard link points to.
func (b *Backup) linked(ctx context.Context, link wingback.Member, streamed bool, into Into) (io.ReadCloser, wingback.Member, error) {
	target := path.Clean(link.Target)
	fail := func(err error) (io.ReadCloser, wingback.Member, error) {
		return nil, link, fmt.Errorf("wings: the hard link %q to %q: %w", link.Path, link.Target, err)
	}
	if !fs.ValidPath(target) {
		return fail(fs.ErrInvalid)
	}
	if streamed {
		if into.Reopen == nil {
			return fail(errors.New("what it points to has gone by"))
		}
		content, err := into.Reopen(target)
		if err != nil {
			return fail(err)
		}
		// Its size is what Reopen gives, and not known here.
		return content, link, nil
	}
	for member, err := range b.archive().Members(ctx) {
		if err != nil {
			return fail(err)
		}
		if member.Path == target && member.Kind == wingback.RegularFile {
			content, err := b.archive().Open(ctx, target)
			if err != nil {
				return fail(err)
			}
			member.Path = link.Path
			return content, member, nil
		}
	}
	return fail(fs.ErrNotExist)
}

func (b *Backup) archive() *wingback.Archive {
	archive := wingback.File(b.Path())
	archive.Engine = b.node.config.Engine
	return archive
}

// Verify reads the local archive to its end and checks every checksum in it: what is to be done before
// a server's files are removed for it. An archive that is damaged is an error.
func (b *Backup) Verify(ctx context.Context) error {
	if _, err := b.Locate(); err != nil {
		return err
	}
	verified, err := wingback.Verify{}.Run(ctx, b.archive())
	if err != nil {
		return err
	}
	if !verified.Whole {
		return fmt.Errorf("wings: %s is damaged in %d places: %w", b.Path(), len(verified.Damage), wingback.Corrupt)
	}
	return nil
}

// Contents is what is in an archive.
type Contents struct {
	Files, Directories, Symlinks int
	// Bytes of the files.
	Bytes int64
}

// Preflight says what is in the local archive, from its index where it has one. It is an error, and
// NoSpace, if there are more bytes than limit, where that is above 0: what a server's disk may have.
func (b *Backup) Preflight(ctx context.Context, limit int64) (Contents, error) {
	var contents Contents
	if _, err := b.Locate(); err != nil {
		return contents, err
	}
	for member, err := range b.archive().Members(ctx) {
		if err != nil {
			return contents, err
		}
		switch member.Kind {
		case wingback.RegularFile, wingback.HardLink:
			contents.Files++
			contents.Bytes += member.Size
		case wingback.Directory:
			contents.Directories++
		case wingback.Symlink:
			contents.Symlinks++
		}
	}
	if limit > 0 && contents.Bytes > limit {
		return contents, fmt.Errorf("wings: the backup has %d bytes, of %d that there may be: %w", contents.Bytes, limit, wingback.NoSpace)
	}
	return contents, nil
}

type fileInfo struct{ wingback.Member }

func (i fileInfo) Name() string       { return path.Base(i.Path) }
func (i fileInfo) Size() int64        { return i.Member.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.Member.Mode }
func (i fileInfo) ModTime() time.Time { return i.Member.ModTime }
func (i fileInfo) IsDir() bool        { return i.Kind == wingback.Directory }
func (i fileInfo) Sys() any           { return nil }

// A pace is that of one restore: no faster than the limit says.
type pace struct {
	ctx   context.Context
	limit *wingback.Limiter
	next  time.Time
}

type paced struct {
	io.ReadCloser
	pace *pace
}

func (r paced) Read(to []byte) (int, error) {
	p := r.pace
	if wait := time.Until(p.next); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			return 0, context.Cause(p.ctx)
		}
	}
	n, err := r.ReadCloser.Read(to)
	if rate := p.limit.Rate(); rate > 0 {
		// Time in which nothing was read is not saved up.
		if now := time.Now(); p.next.Before(now) {
			p.next = now
		}
		p.next = p.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	}
	return n, err
}
