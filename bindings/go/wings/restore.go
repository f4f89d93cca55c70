package wings

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
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
	// Truncate removes the files of the server; nil if they stay. It is called once, as late as possible: after
	// the whole local archive was verified, or after the first member of a stream has come.
	Truncate func() error
	// Message gets short texts for the console of the server: the progress of the verification, and the failure
	// of the restore. It may be nil.
	Message func(text string)
	// Reopen opens a restored file. It is called for a hard link to the file in an archive that comes as a
	// stream. Archives made by Wings or by this package have no hard links.
	Reopen func(name string) (io.ReadCloser, error)
}

// Restore calls the functions for the members of an archive: the one in r, such as a download, or the
// local one if r is nil. Names may have any bytes. The write limit applies.
//
// With Into.Truncate, a local archive is verified first. If it is damaged, or has a member that cannot be
// restored, the files of the server stay. An archive in r cannot be verified before.
//
// Later, a member that cannot be restored costs no other member. It is left out, and ErrRefused comes after
// all others are restored. Any other error ends the restore at once. Content that was not verified is known
// to be correct only after Restore has returned.
func (b *Backup) Restore(ctx context.Context, r io.Reader, into Into) error {
	message := into.Message
	if message == nil {
		message = func(string) {}
	}
	if into.Truncate == nil {
		into.Truncate = func() error { return nil }
	} else if r == nil {
		message("Verifying the backup before files are removed.")
		if err := b.Verify(ctx, verifying(message)); err != nil {
			message("The backup cannot be restored. No file of the server was changed.")
			return err
		}
	}
	into.Truncate = sync.OnceValue(into.Truncate)
	err := b.restore(ctx, r, into)
	if err != nil {
		message("The restore has failed. The files of the server may be incomplete.")
	}
	return err
}

func (b *Backup) restore(ctx context.Context, r io.Reader, into Into) error {
	archive := b.archive()
	if r != nil {
		archive = wingback.Stream(r)
		archive.Engine = b.config.Engine
	} else if _, err := b.Locate(); err != nil {
		return err
	}
	restore := &restore{ctx: ctx, archive: archive, streamed: r != nil, into: into, pace: &pace{ctx: ctx, limit: b.node.limit}}
	var refused refusals
	err := each(archive.Entries(ctx), func(entry *wingback.Entry) error {
		return refused.keep(restore.entry(entry))
	})
	if err == nil {
		err = refused.err()
	}
	if err != nil {
		return err
	}
	// For an archive without members.
	return into.Truncate()
}

// How often the progress of a verification is a message. A test shortens it.
var messageEvery = 2 * time.Second

// verifying returns a function that makes messages from the progress of a verification.
func verifying(message func(string)) func(wingback.Progress) {
	last := time.Now()
	return func(progress wingback.Progress) {
		if progress.Bytes == 0 || time.Since(last) < messageEvery {
			return
		}
		last = time.Now()
		done := fmt.Sprintf("%d MB", progress.Bytes/1_000_000)
		if all := progress.ExpectedBytes; all > 0 {
			done = fmt.Sprintf("%d %%", min(100, progress.Bytes*100/all))
		}
		message("(verifying): " + done)
	}
}

type restore struct {
	ctx      context.Context
	archive  *wingback.Archive
	streamed bool
	into     Into
	pace     *pace
	links    *hardLinks // of an archive that is no stream; nil before the first one
}

func (r *restore) entry(entry *wingback.Entry) error {
	member := entry.Member
	if member.Path = path.Clean(member.Path); member.Path == "." {
		return nil
	}
	if err := check(member.Path); err != nil {
		return err
	}
	if err := r.into.Truncate(); err != nil {
		return err
	}
	info := fileInfo{member}
	switch member.Kind {
	case wingback.RegularFile:
		return r.into.File(member.Path, info, paced{io.NopCloser(entry), r.pace})
	case wingback.HardLink:
		return r.link(member)
	case wingback.Directory:
		if r.into.Directory != nil {
			return r.into.Directory(member.Path, info)
		}
	case wingback.Symlink:
		if r.into.Symlink != nil {
			return r.into.Symlink(member.Path, member.Target, info)
		}
	}
	return nil
}

// link restores a hard link as a copy of the file that it names.
func (r *restore) link(link wingback.Member) error {
	open := func() (io.ReadCloser, error) { return r.archive.Open(r.ctx, link.Path) }
	if r.streamed {
		target := path.Clean(link.Target)
		if check(target) != nil || r.into.Reopen == nil {
			return refuse(link.Path, fmt.Sprintf("the target %q of the hard link is not available", link.Target))
		}
		// The size of the file is not known here.
		open = func() (io.ReadCloser, error) { return r.into.Reopen(target) }
	} else {
		if r.links == nil {
			r.links = newHardLinks()
			if err := r.links.read(r.ctx, r.archive); err != nil {
				return err
			}
		}
		listed, known := r.links.listed[link.Path]
		if !known {
			// A later member replaces it, or it names a symlink.
			return nil
		}
		if err := r.links.check(listed); err != nil {
			return err
		}
		link.Size = listed.Size
	}
	content, err := open()
	if err != nil {
		return fmt.Errorf("wings: the hard link %q to %q: %w", link.Path, link.Target, err)
	}
	defer content.Close()
	return r.into.File(link.Path, fileInfo{link}, paced{content, r.pace})
}

func (b *Backup) archive() *wingback.Archive {
	archive := wingback.File(b.Path())
	archive.Engine = b.config.Engine
	return archive
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
