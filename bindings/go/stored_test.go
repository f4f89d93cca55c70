//go:build linux

package wingback_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestTheArchivesOfAStoreAreListedByTheirContent(t *testing.T) {
	dir, store := source(t), wingback.LocalStore{Dir: t.TempDir(), Names: "{label}/{date}-{uuid}"}
	for _, label := range []string{"arena", "lobby", "lobby"} {
		_, err := wingback.Backup{Source: dir, Label: label, Engine: shared}.Run(background(), store)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "more"), make([]byte, 1000), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(store.Dir, "notes.tar.gz"), []byte("mine"), 0o600))
	archives := func(list wingback.Archives) []wingback.StoredArchive {
		list.Engine = shared
		found, err := list.Run(background(), store)
		must(t, err)
		return found
	}
	all := archives(wingback.Archives{})
	if len(all) != 3 || all[2].Info.Label != "arena" || all[0].Made.Before(all[1].Made) {
		t.Fatalf("%+v", all)
	}
	newest := all[0]
	if !strings.HasPrefix(newest.Key, "lobby/20") || newest.Location != filepath.Join(store.Dir, newest.Key) ||
		!newest.Whole || newest.Locked || newest.Size != newest.Info.Size || time.Since(newest.ModTime) > time.Hour ||
		!newest.Made.Equal(newest.Info.Made) {
		t.Errorf("%+v", newest)
	}
	if newest.ContentChange == nil || *newest.ContentChange != 0 || all[1].ContentChange != nil {
		t.Errorf("%+v", all)
	}
	if found := archives(wingback.Archives{Label: "arena"}); len(found) != 1 || found[0].Key != all[2].Key {
		t.Errorf("%+v", found)
	}
	if found := archives(wingback.Archives{Since: newest.Made}); len(found) != 1 || found[0].Key != newest.Key {
		t.Errorf("%+v", found)
	}

	archive := wingback.Stored(store, wingback.Name{Key: newest.Key})
	archive.Engine = shared
	for _, step := range []struct{ set, changed, locked bool }{
		{true, true, true}, {true, false, true}, {false, true, false}, {false, false, false},
	} {
		run := archive.Unlock
		if step.set {
			run = archive.Lock
		}
		changed, err := run(background())
		must(t, err)
		if locked := archives(wingback.Archives{})[0].Locked; changed != step.changed || locked != step.locked {
			t.Errorf("%+v: %v, %v", step, changed, locked)
		}
	}
	missing := wingback.Stored(store, wingback.Name{Key: "none"})
	missing.Engine = shared
	if _, err := missing.Lock(background()); !errors.Is(err, wingback.NotFound) {
		t.Error(err)
	}
	// The UUID alone does not give a name with a date.
	named := wingback.Stored(store, wingback.Name{UUID: "00000000-0000-0000-0000-000000000001"})
	named.Engine = shared
	if _, err := named.Info(background()); !errors.Is(err, wingback.InvalidInput) {
		t.Error(err)
	}
}
