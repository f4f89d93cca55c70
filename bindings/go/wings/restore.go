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

// RestoreFunc is the RestoreCallback of Wings: it writes one regular file.
type RestoreFunc func(name string, info fs.FileInfo, content io.ReadCloser) error

// Into has the functions that a restore calls.
type Into struct {
	// File gets each regular file.
	File RestoreFunc
	// Directory gets each directory, and Symlink each symlink with its target. If a function is nil, those
	// members are skipped, as Wings itself does. A file may come before its directory.
	Directory func(name string, info fs.FileInfo) error
	Symlink   func(name, target string, info fs.FileInfo) error
	// Reopen opens a restored file. It is called for a hard link to the file in an archive that comes as a
	// stream. Archives made by Wings or by this package have no hard links.
	Reopen func(name string) (io.ReadCloser, error)
}

// Restore calls the functions for the members of an archive: the one in r, such as a download, or the
// local one if r is nil. A path that leads out of the directory is an error. The write limit applies.
//
// Content is known to be correct only after Restore has returned. Verify a local archive first.
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
		return fmt.Errorf("wings: the path %q in the archive leads out of the directory", name)
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

// linked opens the target of a hard link.
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
			return fail(errors.New("its target is not available in a stream"))
		}
		content, err := into.Reopen(target)
		if err != nil {
			return fail(err)
		}
		// The size of the file is not known here.
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

// Verify reads the local archive to its end and checks every checksum. Call it before a server's files are
// removed for a restore. A damaged archive is an error.
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

// Contents are the numbers of members in an archive, and their size.
type Contents struct {
	Files, Directories, Symlinks int
	// Bytes is the size of the files.
	Bytes int64
}

// Preflight returns the contents of the local archive, from its index if it has one. The error is NoSpace
// if the files have more bytes than `limit`, the disk space of the server; 0 means no limit.
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
		return contents, fmt.Errorf("wings: the backup has %d bytes, and the limit is %d: %w", contents.Bytes, limit, wingback.NoSpace)
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

// A pace keeps one restore below the limit.
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
		// Idle time does not allow a faster pace afterwards.
		if now := time.Now(); p.next.Before(now) {
			p.next = now
		}
		p.next = p.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	}
	return n, err
}
