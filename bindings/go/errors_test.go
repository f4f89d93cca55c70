//go:build go1.24

package wingback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestErrorsHaveTheirKind(t *testing.T) {
	dir, store := source(t), wingback.LocalStore{Dir: t.TempDir()}
	run := func(b wingback.Backup) error {
		b.Engine = shared
		_, err := b.Run(background(), store)
		return err
	}
	must(t, run(wingback.Backup{Source: dir, UUID: id}))
	afile := filepath.Join(dir, "start.sh")
	info, err := shared.Start(background())
	must(t, err)
	refused := wingback.Unsupported
	if slices.Contains(info.Encoders, wingback.EncoderISAL) {
		refused = wingback.InvalidInput // of the level
	}
	for what, c := range map[string]struct {
		err  error
		is   []error
		path string
	}{
		"no source":     {run(wingback.Backup{Source: dir + "/none", UUID: other}), []error{fs.ErrNotExist, wingback.NotFound}, dir + "/none"},
		"a file":        {run(wingback.Backup{Source: afile, UUID: other}), []error{wingback.InvalidInput, fs.ErrInvalid}, afile},
		"no UUID":       {run(wingback.Backup{Source: dir, UUID: "../../etc"}), []error{wingback.InvalidInput}, ""},
		"again":         {run(wingback.Backup{Source: dir, UUID: id}), []error{fs.ErrExist, wingback.AlreadyExists}, ""},
		"odd pattern":   {run(wingback.Backup{Source: dir, UUID: other, Exclude: []string{"a[b"}, StrictPatterns: true}), []error{wingback.InvalidInput}, ""},
		"odd level":     {run(wingback.Backup{Source: dir, UUID: other, Level: "hardest"}), []error{wingback.InvalidInput}, ""},
		"odd encoder":   {run(wingback.Backup{Source: dir, UUID: other, Encoder: "zip"}), []error{wingback.InvalidInput}, ""},
		"no encoder":    {run(wingback.Backup{Source: dir, UUID: other, Encoder: wingback.EncoderISAL, Level: wingback.Best}), []error{refused}, ""},
		"not an object": {shared.Delete(background(), store, wingback.Name{UUID: other}), []error{fs.ErrNotExist}, ""},
	} {
		for _, is := range c.is {
			if !errors.Is(c.err, is) {
				t.Errorf("%s: %v", what, c.err)
			}
		}
		var failure *wingback.Error
		if !errors.As(c.err, &failure) || failure.Message == "" || c.path != "" && failure.Path != c.path {
			t.Errorf("%s: %#v", what, c.err)
		}
	}
	only(t, store.Dir, 1)
}

const other = "0b6c1c39-6a34-4d0e-a4f4-5d0c9d0e8a11"

// only checks the number of files in a directory.
func only(t *testing.T, dir string, n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(entries) != n {
		t.Errorf("found %v, expected %d", entries, n)
	}
}

func TestACancelledContextEndsAJobAtEveryStage(t *testing.T) {
	dir, store := large(t), t.TempDir()
	report := made(t, wingback.Backup{Source: dir}, t.TempDir())
	archive, err := os.ReadFile(report.Location)
	must(t, err)
	for i := range 30 {
		ctx, cancel := context.WithCancel(background())
		// Random times, most of them early.
		time.AfterFunc(time.Duration(i*i)*300*time.Microsecond, cancel)
		begun := time.Now()
		_, err := wingback.Backup{Source: dir, UUID: id, WriteLimit: slow(), Engine: shared}.Run(ctx, wingback.LocalStore{Dir: store})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, wingback.Cancelled) {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("the job took %v to end", took)
		}
		only(t, store, 0)
		cancel()
	}
	// Jobs that wait for a reader or a writer.
	ctx, cancel := context.WithTimeout(background(), 200*time.Millisecond)
	defer cancel()
	half, stop := io.Pipe()
	go stop.Write(archive[:len(archive)/2])
	stream := wingback.Stream(half)
	stream.Engine = shared
	target := t.TempDir()
	_, err = wingback.Restore{Dir: target}.Run(ctx, stream)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	stop.Close()
	only(t, target, 0)
	for entry, err := range file(report.Location).Entries(ctx) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(entry, err)
		}
	}
	idle, unread := io.Pipe()
	ctx, cancel = context.WithTimeout(background(), 200*time.Millisecond)
	defer cancel()
	_, err = wingback.Backup{Source: dir, Engine: shared}.WriteTo(ctx, unread)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	idle.Close()
}

func TestABlockedReaderDoesNotBlockAFailedJob(t *testing.T) {
	half, stop := io.Pipe()
	defer stop.Close()
	go stop.Write([]byte("this is no archive, and no more of it comes"))
	stream := wingback.Stream(half)
	stream.Engine = shared
	begun := time.Now()
	_, err := wingback.Restore{Dir: t.TempDir()}.Run(background(), stream)
	if err == nil || errors.Is(err, wingback.Cancelled) || time.Since(begun) > 5*time.Second {
		t.Error(err, time.Since(begun))
	}
}

func TestAMisspelledPathChangesNothing(t *testing.T) {
	report := made(t, wingback.Backup{Source: source(t)}, t.TempDir())
	target := t.TempDir()
	must(t, os.Mkdir(filepath.Join(target, "cache"), 0o755))
	_, err := wingback.Restore{Dir: target, Keep: []string{"cache", "cahce"}}.Run(background(), file(report.Location))
	if !errors.Is(err, wingback.InvalidInput) || !strings.Contains(err.Error(), `"cahce"`) {
		t.Error(err)
	}
	only(t, target, 1)
	_, err = wingback.Extract{Dir: target, Select: []string{"world", "wrold"}}.Run(background(), file(report.Location))
	if !errors.Is(err, wingback.InvalidInput) || !strings.Contains(err.Error(), `"wrold"`) {
		t.Error(err)
	}
	only(t, target, 1)
	restored, err := wingback.Restore{Dir: filepath.Join(target, "new"), Keep: []string{"cache"}}.Run(background(), file(report.Location))
	must(t, err)
	if w := restored.Warnings; len(w) != 1 || w[0].Code != "keep-unmatched" || !strings.Contains(w[0].Message, `"cache"`) {
		t.Error(restored.Warnings)
	}
}

func TestAnErrorOfTheCallersReaderOrWriterIsReturned(t *testing.T) {
	report := made(t, wingback.Backup{Source: source(t)}, t.TempDir())
	archive, err := os.ReadFile(report.Location)
	must(t, err)
	lost := errors.New("the line went dead")
	broken := wingback.Stream(io.MultiReader(bytes.NewReader(archive[:1000]), iotest.ErrReader(lost)))
	broken.Engine = shared
	target := t.TempDir()
	must(t, os.WriteFile(filepath.Join(target, "kept"), nil, 0o644))
	if _, err := (wingback.Restore{Dir: target}).Run(background(), broken); !errors.Is(err, lost) {
		t.Error(err)
	}
	only(t, target, 1)
	cut := wingback.Stream(bytes.NewReader(archive[:len(archive)-100]))
	cut.Engine = shared
	if _, err := (wingback.Restore{Dir: target}).Run(background(), cut); !errors.Is(err, wingback.Corrupt) {
		t.Error(err)
	}
	only(t, target, 1)
	_, err = wingback.Backup{Source: source(t), Engine: shared}.WriteTo(background(), failing{lost})
	if !errors.Is(err, lost) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
