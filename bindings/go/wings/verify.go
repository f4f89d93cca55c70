package wings

import (
	"context"
	"fmt"
	"path"

	wingback "github.com/wingback/wingback/bindings/go"
)

// Verify reads the local archive to its end on all processors, and checks every checksum and every member that
// a restore could refuse (ErrRefused). Restore calls it before files are removed. onProgress may be nil.
func (b *Backup) Verify(ctx context.Context, onProgress func(wingback.Progress)) error {
	if _, err := b.Locate(); err != nil {
		return err
	}
	verified, err := wingback.Verify{OnProgress: onProgress}.Run(ctx, b.archive())
	if err != nil {
		return err
	}
	if !verified.Whole {
		return fmt.Errorf("wings: %s is damaged in %d places: %w", b.Path(), len(verified.Damage), wingback.Corrupt)
	}
	var refused refusals
	links := newHardLinks()
	err = each(b.archive().Members(ctx), func(member wingback.Member) error {
		links.add(member)
		return refused.keep(check(path.Clean(member.Path)))
	})
	if err == nil {
		err = links.find(ctx, b.archive())
	}
	if err != nil {
		return err
	}
	for _, link := range links.listed {
		_ = refused.keep(links.check(link))
	}
	return refused.err()
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
	err := each(b.archive().Members(ctx), func(member wingback.Member) error {
		switch member.Kind {
		case wingback.RegularFile, wingback.HardLink:
			contents.Files++
			contents.Bytes += member.Size
		case wingback.Directory:
			contents.Directories++
		case wingback.Symlink:
			contents.Symlinks++
		}
		return nil
	})
	if err != nil {
		return contents, err
	}
	if limit > 0 && contents.Bytes > limit {
		return contents, fmt.Errorf("wings: the backup has %d bytes, and the limit is %d: %w", contents.Bytes, limit, wingback.NoSpace)
	}
	return contents, nil
}
