//go:build go1.24

package wingback_test

import (
	"errors"
	"fmt"
	"testing"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestABackupHasOnlyTheSelectedPaths(t *testing.T) {
	dir, to := source(t), t.TempDir()
	backup := wingback.Backup{Source: dir, Exclude: []string{"*.mca"}, Select: []string{"world", odd, "none"}, Engine: shared}
	report := made(t, backup, to)
	var paths []string
	for entry, err := range file(report.Location).Entries(background()) {
		must(t, err)
		paths = append(paths, entry.Path)
	}
	if want := []string{odd, odd + "/" + odd, "world", "world/level.dat", "world/region"}; fmt.Sprintf("%q", paths) != fmt.Sprintf("%q", want) {
		t.Errorf("%q", paths)
	}
	if len(report.Skipped) != 1 || report.Skipped[0].Path != "none" || report.Skipped[0].Reason != "missing" || !report.Partial {
		t.Errorf("%+v", report)
	}
	estimate, err := backup.Estimate(background())
	must(t, err)
	if estimate.Files != 2 {
		t.Errorf("%+v", estimate)
	}
	// Nothing is selected.
	backup.Select, backup.Key = []string{}, "empty.tar.gz"
	if _, err := backup.Run(background(), wingback.LocalStore{Dir: to}); !errors.Is(err, wingback.InvalidInput) {
		t.Error(err)
	}
}
