//go:build go1.24

package wingback_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestArchivesAndDirectoriesAreCompared(t *testing.T) {
	dir, store := source(t), t.TempDir()
	before := made(t, wingback.Backup{Source: dir}, store)
	must(t, os.Remove(filepath.Join(dir, "start.sh")))
	must(t, os.WriteFile(filepath.Join(dir, "world", odd), []byte("new"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "world/level.dat"), []byte("level"), 0o600))
	hour := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(filepath.Join(dir, "world/level.dat"), hour, hour))
	after := made(t, wingback.Backup{Source: dir, Key: "after.tar.gz"}, store)
	var found []string
	diff := wingback.Diff{OnDifference: func(d wingback.Difference) {
		sizes := [2]int64{-1, -1}
		for i, member := range []*wingback.Member{d.Before, d.After} {
			if member != nil {
				sizes[i] = member.Size
			}
		}
		found = append(found, fmt.Sprint(d.Kind, " ", d.Path, " ", d.Changes, sizes))
	}}
	want := fmt.Sprint([]string{
		"removed start.sh [] [10 -1]", "added world/" + odd + " [] [-1 3]",
		"changed world/level.dat [content mtime] [6000 5]",
	})
	stream := func(path string) *wingback.Archive {
		content, err := os.ReadFile(path)
		must(t, err)
		archive := wingback.Stream(bytes.NewReader(content))
		archive.Engine = shared
		return archive
	}
	for i, run := range []func() (*wingback.Compared, error){
		func() (*wingback.Compared, error) {
			return diff.Run(background(), file(before.Location), file(after.Location))
		},
		func() (*wingback.Compared, error) { return diff.RunDir(background(), file(before.Location), dir) },
		func() (*wingback.Compared, error) {
			return diff.Run(background(), stream(before.Location), stream(after.Location))
		},
	} {
		found = nil
		compared, err := run()
		must(t, err)
		if got := fmt.Sprint(found); got != want {
			t.Errorf("%d: %s, not %s", i, got, want)
		}
		if compared.Equal || compared.Added != 1 || compared.RemovedBytes != 10 || compared.ChangedBytes != 5 {
			t.Errorf("%d: %+v", i, compared)
		}
	}
	equal, err := wingback.Diff{Select: []string{"nothing"}}.Run(background(), file(after.Location), file(after.Location))
	must(t, err)
	if !equal.Equal || fmt.Sprint(equal.Unmatched) != "[nothing]" {
		t.Errorf("%+v", equal)
	}
	_, err = diff.RunDir(background(), file(before.Location), filepath.Join(dir, "none"))
	if !errors.Is(err, wingback.NotFound) {
		t.Error(err)
	}
}

func TestTheVersionsOfAFileAreFound(t *testing.T) {
	dir, store := source(t), t.TempDir()
	for _, content := range []string{"one", "another"} {
		must(t, os.WriteFile(filepath.Join(dir, "world", odd), []byte(content), 0o644))
		made(t, wingback.Backup{Source: dir, Key: content + ".tar.gz", Label: "lobby"}, store)
	}
	must(t, os.WriteFile(filepath.Join(store, "damaged.tar.gz"), truncated(t, filepath.Join(store, "one.tar.gz")), 0o644))
	find := wingback.Find{Select: []string{"world/caf*", "nothing"}, Engine: shared}
	found, err := find.Run(background(), wingback.LocalStore{Dir: store})
	must(t, err)
	if found.Paths != 1 || found.Searched != 2 || len(found.Versions) != 2 || fmt.Sprint(found.Unmatched) != "[nothing]" {
		t.Fatalf("%+v", found)
	}
	newest := found.Versions[0]
	if newest.Path != "world/"+odd || newest.Size != 7 || newest.Archives[0].Key != "another.tar.gz" || newest.Archives[0].Made.IsZero() {
		t.Errorf("%+v", newest)
	}
	if newest.Archives[0].Label != "lobby" {
		t.Errorf("%+v", newest.Archives)
	}
	if len(found.Unsearched) != 1 || found.Unsearched[0].Key != "damaged.tar.gz" || found.Unsearched[0].Kind != wingback.InvalidInput {
		t.Errorf("%+v", found.Unsearched)
	}
	find.Label = "other"
	found, err = find.Run(background(), wingback.LocalStore{Dir: store})
	must(t, err)
	if found.Searched != 0 || len(found.Versions) != 0 {
		t.Errorf("%+v", found)
	}
}

func truncated(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return content[:len(content)-1]
}

func TestAllArchivesOfAStoreAreVerified(t *testing.T) {
	dir, store, state := source(t), t.TempDir(), t.TempDir()
	for i := range 4 {
		made(t, wingback.Backup{Source: dir, Key: fmt.Sprintf("%d.tar.gz", i)}, store)
	}
	must(t, os.WriteFile(filepath.Join(store, "damaged.tar.gz"), truncated(t, filepath.Join(store, "0.tar.gz")), 0o644))
	var keys []string
	verify := wingback.VerifyAll{Sample: 40, Place: store, StateDir: state, Engine: shared}
	verify.OnCheck = func(check wingback.ArchiveCheck) {
		keys = append(keys, check.Key)
		if check.Verified == nil || check.Verified.Whole == (check.Key == "damaged.tar.gz") {
			t.Errorf("%+v", check)
		}
	}
	first, err := verify.Run(background(), wingback.LocalStore{Dir: store})
	must(t, err)
	if first.Archives != 5 || first.Verified != 2 || first.Never != 3 || first.Oldest.IsZero() {
		t.Errorf("%+v", first)
	}
	verify.Sample = 60
	second, err := verify.Run(background(), wingback.LocalStore{Dir: store})
	must(t, err)
	if second.Verified != 3 || second.Never != 0 || second.Whole || fmt.Sprint(second.Damaged) != "[damaged.tar.gz]" {
		t.Errorf("%+v", second)
	}
	if len(keys) != 5 {
		t.Error(keys)
	}
}
