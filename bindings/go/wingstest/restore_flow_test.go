package wingstest

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pterodactyl/wings/config"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

func TestBackupsAreRestored(t *testing.T) {
	eachEngine(t, func(t *testing.T, d *daemon) {
		incompressible(t, d.dir)
		for _, adapter := range []string{"wings", "s3"} {
			source := d.copied()
			d.backedUp(adapter)
			for _, truncate := range []bool{false, true} {
				d.change()
				messages := d.restored(adapter, truncate)
				tree.Same(t, source, d.dir)
				_, err := os.Lstat(filepath.Join(d.dir, "newer.txt"))
				if gone := errors.Is(err, fs.ErrNotExist); gone != truncate {
					t.Error(adapter, truncate, err)
				}
				if !slices.Contains(messages, "(restoring): world/level.dat") {
					t.Errorf("%q", messages)
				}
				if d.results() != "true" {
					t.Error(adapter, truncate)
				}
			}
			d.panel.mu.Lock()
			d.panel.calls = nil
			d.panel.mu.Unlock()
			_ = os.Remove(d.archive())
		}
	})
}

// results returns the results of restores since the last call.
func (d *daemon) results() string {
	d.panel.mu.Lock()
	defer d.panel.mu.Unlock()
	var results []string
	for _, result := range d.panel.results {
		results = append(results, map[bool]string{true: "true", false: "false"}[result])
	}
	d.panel.results = nil
	return strings.Join(results, " ")
}

func TestALocalArchiveIsVerifiedBeforeFilesAreRemoved(t *testing.T) {
	for _, maker := range engines {
		t.Run(maker, func(t *testing.T) {
			d := start(t, maker)
			d.backedUp("wings")
			use(t, func(c *config.Configuration) { c.System.Backups.Engine = "wingback" })
			archive, err := os.ReadFile(d.archive())
			tree.Must(t, err)
			archive[len(archive)/3] ^= 1
			tree.Must(t, os.WriteFile(d.archive(), archive, 0o600))
			d.calls(report)
			d.change()
			messages := d.restored("wings", true)
			d.unchanged()
			// The Panel and its page are notified.
			if d.calls(result); d.results() != "false" {
				t.Error("the restore was a success")
			}
			if len(messages) < 2 || !strings.HasPrefix(messages[0], "Verifying") || !strings.Contains(messages[1], "cannot be restored") {
				t.Errorf("%q", messages)
			}
		})
	}
}

func TestARestoreThatCannotBeginRemovesNothing(t *testing.T) {
	d := start(t, "wingback")
	d.change()
	d.restore(http.StatusInternalServerError, "wings", true)
	d.panel.answers["GET object"] = []int{http.StatusForbidden}
	d.restore(http.StatusBadRequest, "s3", true)
	d.unchanged()
	if d.calls(); d.server.IsRestoring() {
		t.Error("the server is being restored")
	}
}

func TestAStreamRemovesFilesOnlyAfterItsFirstMember(t *testing.T) {
	d := start(t, "wingback")
	incompressible(t, d.dir)
	d.backedUp("s3")
	whole := d.panel.object
	for name, object := range map[string][]byte{
		"nothing": nil, "text": []byte("<Error>expired</Error>"), "a few bytes": whole[:30],
	} {
		d.change()
		d.panel.object = object
		messages := d.restored("s3", true)
		if d.unchanged(); d.results() != "false" {
			t.Error(name)
		}
		if !slices.ContainsFunc(messages, func(text string) bool { return strings.Contains(text, "has failed") }) {
			t.Errorf("%s: %q", name, messages)
		}
	}
	// The end of an archive that is not complete is known too late.
	d.panel.object = whole[:len(whole)/2]
	d.restored("s3", true)
	if d.results() != "false" {
		t.Error("half an archive is a success")
	}
}

func TestAResultThatThePanelDoesNotAcceptEndsTheRestore(t *testing.T) {
	d := start(t, "wingback")
	source := d.copied()
	d.backedUp("wings")
	d.calls(report)
	for _, statuses := range [][]int{{404}, {500, 500, 500}} {
		d.panel.answers[result] = slices.Clone(statuses)
		d.change()
		d.restored("wings", true)
		tree.Same(t, source, d.dir)
		want := slices.Repeat([]string{result}, len(statuses))
		d.calls(want...)
	}
}

// The Panel gets an error, and the archive stays.
func TestALockedArchiveIsNotDeletedByThePanel(t *testing.T) {
	d := start(t, "wingback")
	d.backedUp("wings")
	tree.Must(t, os.WriteFile(d.archive()+".lock", nil, 0o600))
	d.expect(http.StatusInternalServerError, "DELETE", backups+"/"+id, "")
	tree.Must(t, os.Remove(d.archive()+".lock"))
	d.expect(http.StatusNoContent, "DELETE", backups+"/"+id, "")
}
