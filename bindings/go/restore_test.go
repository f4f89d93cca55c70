//go:build go1.24

package wingback_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	wingback "github.com/wingback/wingback/bindings/go"
)

// Files with several names are written again, so the backup excludes them.
func TestARestoreKeepsOtherFilesUnlessItDeletes(t *testing.T) {
	dir := source(t)
	report := made(t, wingback.Backup{Source: dir, Exclude: []string{"*.log", "*caf*"}}, t.TempDir())
	target := t.TempDir()
	restore := func(r wingback.Restore) *wingback.Restored {
		t.Helper()
		r.Dir = target
		restored, err := r.Run(background(), file(report.Location))
		must(t, err)
		return restored
	}
	exists := func(name string) bool {
		_, err := os.Lstat(filepath.Join(target, name))
		return err == nil
	}
	all := restore(wingback.Restore{})
	for _, name := range []string{"extra\xff", "latest.log", "world/extra"} {
		must(t, os.WriteFile(filepath.Join(target, name), nil, 0o644))
	}
	must(t, os.WriteFile(filepath.Join(target, "server.properties"), nil, 0o644))
	must(t, os.Remove(filepath.Join(target, "world/level.dat")))

	restored := restore(wingback.Restore{DryRun: true, Delete: true})
	is := func(what string, found wingback.Paths, want ...string) {
		t.Helper()
		if len(found)+len(want) > 0 && !reflect.DeepEqual([]string(found), want) {
			t.Errorf("%s: %q", what, found)
		}
	}
	is("added", restored.Added, "world/level.dat")
	is("replaced", restored.Replaced, "server.properties")
	is("removed", restored.Removed, "extra\xff", "world/extra")
	if restored.Unchanged != all.Files+all.Symlinks-2 || exists("world/level.dat") {
		t.Errorf("%+v", restored)
	}

	restored = restore(wingback.Restore{Select: []string{"world"}, Delete: true})
	is("removed in world", restored.Removed, "world/extra")
	is("removed", restore(wingback.Restore{}).Removed)
	if !exists("extra\xff") {
		t.Error("a restore has removed a file")
	}
	is("removed", restore(wingback.Restore{Delete: true}).Removed, "extra\xff")
	is("removed", restore(wingback.Restore{Delete: true, DeleteExcluded: true}).Removed, "latest.log")

	_, err := wingback.Restore{Dir: target, Select: []string{"wrold"}}.Run(background(), file(report.Location))
	if !errors.Is(err, wingback.InvalidInput) {
		t.Error(err)
	}
}
