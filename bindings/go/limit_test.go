//go:build go1.24

package wingback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

// limited makes an archive that takes a second to read at the returned limit.
func limited(t *testing.T, dir string) (*wingback.Archive, *wingback.Limiter) {
	report := made(t, wingback.Backup{Source: large(t)}, dir)
	return file(report.Location), wingback.NewLimiter(uint64(report.Size))
}

// second checks that `work` takes about a second, or more on a busy machine.
func second(t *testing.T, what string, work func() error) {
	t.Helper()
	begun := time.Now()
	if err := work(); err != nil {
		t.Error(what, err)
	}
	if took := time.Since(begun); took < 900*time.Millisecond || took > 20*time.Second {
		t.Error(what, took)
	}
}

func TestReadsOfArchivesAreLimited(t *testing.T) {
	dir := t.TempDir()
	archive, limit := limited(t, dir)
	archive.ReadLimit = limit
	second(t, "verify", func() error {
		verified, err := wingback.Verify{}.Run(background(), archive)
		if err == nil && !verified.Whole {
			t.Error(verified)
		}
		return err
	})
	second(t, "extract", func() error {
		_, err := wingback.Extract{Dir: t.TempDir()}.Run(background(), archive)
		return err
	})
	second(t, "entries", func() error {
		for entry, err := range archive.Entries(background()) {
			if err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, entry); err != nil {
				return err
			}
		}
		return nil
	})
	second(t, "verify all", func() error {
		verify := wingback.VerifyAll{ReadLimit: limit, Engine: shared}
		_, err := verify.Run(background(), wingback.LocalStore{Dir: dir})
		return err
	})
	second(t, "list a stream", func() error {
		content, err := os.ReadFile(filepath.Join(dir, "backup-"+id+".tar.gz"))
		must(t, err)
		stream := wingback.Stream(bytes.NewReader(content))
		stream.Engine, stream.ReadLimit = shared, limit
		for _, err := range stream.Members(background()) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	// These read a few bytes.
	if info, err := archive.Info(background()); err != nil || info.Files != 8 {
		t.Error(info, err)
	}
	if changed, err := archive.Lock(background()); err != nil || !changed {
		t.Error(changed, err)
	}
	if removed, err := archive.Remove(background()); err != nil || removed {
		t.Error(removed, err)
	}
}

func TestFindAndDiffAreLimited(t *testing.T) {
	dir := t.TempDir()
	archive, _ := limited(t, dir)
	// The list and the search read the last 64 KiB.
	limit := wingback.NewLimiter(128 << 10)
	second(t, "find", func() error {
		find := wingback.Find{ReadLimit: limit, Engine: shared}
		_, err := find.Run(background(), wingback.LocalStore{Dir: dir})
		return err
	})
	archive.ReadLimit = limit
	second(t, "diff", func() error {
		_, err := wingback.Diff{}.Run(background(), archive, archive)
		return err
	})
}

func TestWritesAreLimited(t *testing.T) {
	report := made(t, wingback.Backup{Source: source(t)}, t.TempDir())
	archive := file(report.Location)
	// The content of world/level.dat.
	archive.WriteLimit = wingback.NewLimiter(6000)
	second(t, "copy", func() error {
		_, err := archive.CopyFile(background(), "world/level.dat", io.Discard)
		return err
	})
	second(t, "open", func() error {
		content, err := archive.Open(background(), "world/level.dat")
		must(t, err)
		defer content.Close()
		_, err = io.Copy(io.Discard, content)
		return err
	})
	second(t, "extract", func() error {
		extract := wingback.Extract{Dir: t.TempDir(), Select: []string{"world/level.dat"}}
		_, err := extract.Run(background(), archive)
		return err
	})
	second(t, "restore", func() error {
		restore := wingback.Restore{Dir: t.TempDir(), Select: []string{"world/level.dat"}}
		_, err := restore.Run(background(), archive)
		return err
	})
	// The reads have no limit.
	if _, err := (wingback.Verify{}).Run(background(), archive); err != nil {
		t.Error(err)
	}
}

func TestACancelEndsTheWaitForALimit(t *testing.T) {
	archive, _ := limited(t, t.TempDir())
	archive.ReadLimit = wingback.NewLimiter(1)
	ctx, cancel := context.WithTimeout(background(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := (wingback.Verify{}).Run(ctx, archive); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Error(took)
	}
}
