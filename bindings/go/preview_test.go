//go:build linux

package wingback_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestAPreviewHasEachEntryAndThePatternThatDecides(t *testing.T) {
	dir := source(t)
	must(t, os.WriteFile(filepath.Join(dir, ".pteroignore"), []byte("# logs\nlogs/*\n!logs/old.log\n"), 0o644))
	backup := wingback.Backup{
		Source: dir, Exclude: []string{"/caf\xe9*", "world/region/", "plugins"}, Engine: shared,
		MaxLen: map[string]uint64{"world/level.dat": 10},
	}
	var found []string
	preview, err := backup.Preview(background(), func(entry wingback.PreviewEntry) {
		line := fmt.Sprint(entry.Path, " ", entry.Kind, " ", entry.Size, " ", entry.Included)
		if p := entry.Pattern; p != nil {
			line += fmt.Sprint(" ", p.Origin, " ", p.Line, " ", p.Pattern, " ", p.Negated)
		}
		found = append(found, line)
	})
	must(t, err)
	want := []string{
		".pteroignore file 28 true",
		odd + " directory 0 false caller 1 /caf\xe9* false",
		"level symlink 0 true",
		"link" + odd + " symlink 0 true",
		"logs directory 0 true",
		"logs/latest.log file 0 false ignore-file 2 logs/* false",
		"logs/old.log file 8 true ignore-file 3 !logs/old.log true",
		"plugins directory 0 false caller 3 plugins false",
		"second" + odd + " file 3 true",
		"server.properties file 14 true",
		"start.sh file 10 true",
		"world directory 0 true",
		"world/level.dat file 10 true",
		"world/region directory 0 false caller 2 world/region/ false",
	}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("%q, not %q", found, want)
	}
	if preview.Files != 6 || preview.Symlinks != 2 || preview.Content != 73 || preview.Excluded != 4 || preview.Partial {
		t.Errorf("%+v", preview)
	}
}

func TestAPreviewHasTheReasonsToSkipEntries(t *testing.T) {
	dir := source(t)
	store := wingback.LocalStore{Dir: filepath.Join(dir, odd)}
	report, err := wingback.Backup{Source: dir, Engine: shared}.Run(background(), store)
	must(t, err)
	var skipped *wingback.Skipped
	backup := wingback.Backup{Source: dir, Engine: shared}
	preview, err := backup.Preview(background(), func(entry wingback.PreviewEntry) {
		if entry.Skipped != nil {
			skipped = entry.Skipped
		}
	})
	must(t, err)
	path := odd + "/" + report.Key
	if skipped == nil || skipped.Path != path || skipped.Reason != "own-backup" || skipped.Loss {
		t.Errorf("%+v", skipped)
	}
	if len(preview.Skipped) != 1 || preview.Skipped[0].Path != path {
		t.Errorf("%+v", preview.Skipped)
	}
	backup.Source = filepath.Join(dir, "none")
	if _, err := backup.Preview(background(), nil); !errors.Is(err, wingback.NotFound) {
		t.Error(err)
	}
}

func TestAPreviewWithAnEmptyMapOfLengthsHasNone(t *testing.T) {
	backup := wingback.Backup{Source: source(t), MaxLen: map[string]uint64{}, Engine: shared}
	preview, err := backup.Preview(background(), nil)
	must(t, err)
	if len(preview.Warnings) > 0 {
		t.Error(preview.Warnings)
	}
}
