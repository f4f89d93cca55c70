package wings

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	wingback "github.com/wingback/wingback/bindings/go"
)

// ErrRefused is the error for members of an archive that cannot be restored: a path that leads out of the
// directory or that the system cannot have, or a hard link without its target.
var ErrRefused = errors.New("it cannot be restored")

func refuse(name, why string) error {
	return fmt.Errorf("wings: the member %q: %s: %w", name, why, ErrRefused)
}

// The limits of Linux in bytes, without the zero at the end.
const (
	nameMax = 255
	pathMax = 4095
)

// check reports whether a clean path can be restored. Names are bytes: a name need not be UTF-8.
func check(name string) error {
	if !filepath.IsLocal(name) {
		return refuse(name, "its path leads out of the directory")
	}
	if strings.Contains(name, "\x00") {
		return refuse(name, "its path has a zero byte")
	}
	long := len(name) > pathMax
	for _, part := range strings.Split(name, "/") {
		long = long || len(part) > nameMax
	}
	if long {
		return refuse(name, "its path is too long")
	}
	return nil
}

// How many refused members an error names.
const refusalsMax = 10

// The refused members of an archive.
type refusals struct {
	first []error
	more  int
}

// keep keeps the error if it is about a refused member. It returns other errors.
func (r *refusals) keep(err error) error {
	switch {
	case !errors.Is(err, ErrRefused):
		return err
	case len(r.first) < refusalsMax:
		r.first = append(r.first, err)
	default:
		r.more++
	}
	return nil
}

func (r *refusals) err() error {
	if r.more > 0 {
		return errors.Join(append(r.first, fmt.Errorf("wings: %d more members: %w", r.more, ErrRefused))...)
	}
	return errors.Join(r.first...)
}

// The hard links of an archive, as a list describes them. A list gives a link the size of its file.
type hardLinks struct {
	listed map[string]wingback.Member
	// The targets of links without size that the archive may not have.
	missing map[string]bool
}

func newHardLinks() *hardLinks {
	return &hardLinks{map[string]wingback.Member{}, map[string]bool{}}
}

func (h *hardLinks) read(ctx context.Context, archive *wingback.Archive) error {
	err := each(archive.Members(ctx), func(member wingback.Member) error {
		h.add(member)
		return nil
	})
	if err != nil {
		return err
	}
	return h.find(ctx, archive)
}

func (h *hardLinks) add(member wingback.Member) {
	if member.Kind == wingback.HardLink {
		h.listed[path.Clean(member.Path)] = member
		if member.Size == 0 {
			h.missing[path.Clean(member.Target)] = true
		}
	}
}

// find looks for the targets after all links are added.
func (h *hardLinks) find(ctx context.Context, archive *wingback.Archive) error {
	if len(h.missing) == 0 {
		return nil
	}
	return each(archive.Members(ctx), func(member wingback.Member) error {
		if member.Kind == wingback.RegularFile {
			delete(h.missing, path.Clean(member.Path))
		}
		return nil
	})
}

func (h *hardLinks) check(link wingback.Member) error {
	if link.Size == 0 && h.missing[path.Clean(link.Target)] {
		return refuse(link.Path, fmt.Sprintf("the archive does not have the target %q of the hard link", link.Target))
	}
	return nil
}

// each calls f for each element of a sequence until there is an error. Go 1.21 has no loop over it.
func each[T any](sequence func(yield func(T, error) bool), f func(T) error) (failed error) {
	sequence(func(element T, err error) bool {
		if err == nil {
			err = f(element)
		}
		failed = err
		return err == nil
	})
	return failed
}
