//go:build go1.24

package wingback_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestAPlanHasAVerdictOnEachArchiveAndLocksAreRespected(t *testing.T) {
	dir, store := source(t), wingback.LocalStore{Dir: t.TempDir()}
	for i, label := range []string{"lobby", "lobby", "lobby", "caf\xe9"} {
		backup := wingback.Backup{Source: dir, Label: label, Key: fmt.Sprintf("%d.tar.gz", i)}
		if i == 1 {
			backup.Tags = []wingback.Tag{{Key: "keep", Value: "yes"}}
		}
		made(t, backup, store.Dir)
	}
	damaged := truncated(t, filepath.Join(store.Dir, "0.tar.gz"))
	must(t, os.WriteFile(filepath.Join(store.Dir, "damaged.tar.gz"), damaged, 0o644))

	// plan returns a line for each archive.
	plan := func(rules wingback.Retention) (lines []string) {
		rules.Engine = shared
		groups, err := rules.Plan(background(), store)
		must(t, err)
		for _, group := range groups {
			for _, archive := range group.Archives {
				lines = append(lines, fmt.Sprintf("%s %s %s %s", group.Label, archive.Key, archive.Verdict, archive.Reason))
				if archive.Suspicious || group.Unidentified != (group.Label == "") || archive.Location == "" {
					t.Errorf("%+v", archive)
				}
			}
		}
		return lines
	}
	for _, step := range []struct {
		rules wingback.Retention
		want  []string
	}{
		{wingback.Retention{Last: 1}, []string{
			"caf\xe9 3.tar.gz keep newest", "lobby 2.tar.gz keep newest", "lobby 1.tar.gz remove ",
			"lobby 0.tar.gz remove ", " damaged.tar.gz not-whole ",
		}},
		{wingback.Retention{Last: 1, KeepTags: []wingback.Tag{{Key: "keep", Value: "yes"}}, Label: "lobby"}, []string{
			"lobby 2.tar.gz keep newest", "lobby 1.tar.gz keep tag", "lobby 0.tar.gz remove ",
		}},
		{wingback.Retention{Within: time.Hour, Label: "caf\xe9"}, []string{"caf\xe9 3.tar.gz keep newest"}},
		{wingback.Retention{MaxBytes: 1, Label: "lobby"}, []string{
			"lobby 2.tar.gz keep newest", "lobby 1.tar.gz remove ", "lobby 0.tar.gz remove ",
		}},
		{wingback.Retention{Label: "none"}, nil},
	} {
		if got := plan(step.rules); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("%+v: %q, not %q", step.rules, got, step.want)
		}
	}
	groups, err := wingback.Retention{GroupBy: wingback.GroupByNone, Engine: shared}.Plan(background(), store)
	must(t, err)
	if len(groups) != 2 || len(groups[0].Archives) != 4 || groups[0].Host != "" {
		t.Errorf("%+v", groups)
	}

	for key, locked := range map[string]bool{"0.tar.gz": true, "1.tar.gz": false} {
		archive := wingback.Stored(store, wingback.Name{Key: key})
		archive.Engine = shared
		if locked {
			_, err := archive.Lock(background())
			must(t, err)
		}
		// The second call finds the same, or nothing.
		for range 2 {
			removed, err := archive.Remove(background())
			must(t, err)
			if _, err := os.Stat(filepath.Join(store.Dir, key)); removed == locked || (err == nil) != locked {
				t.Errorf("%s: %v, %v", key, removed, err)
			}
		}
	}
	if got := plan(wingback.Retention{Last: 1, Label: "lobby"}); fmt.Sprint(got) != "[lobby 2.tar.gz keep newest lobby 0.tar.gz keep locked]" {
		t.Error(got)
	}
}
