package wingstest

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

const (
	askURLs = "GET /backups/ID"
	report  = "POST /backups/ID"
	result  = "POST /backups/ID/restore"
)

var engines = []string{"stock", "wingback"}

// eachEngine runs a test with stock Wings and with wingback.
func eachEngine(t *testing.T, test func(t *testing.T, d *daemon)) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) { test(t, start(t, engine)) })
	}
}

// lastReport compares the last report with an archive, and the last event with the report.
func (d *daemon) lastReport(archive []byte) {
	d.t.Helper()
	report := d.panel.reports[len(d.panel.reports)-1]
	sum := sha1.Sum(archive)
	if !report.Successful || report.Checksum != hex.EncodeToString(sum[:]) || report.Size != int64(len(archive)) {
		d.t.Errorf("%+v", report)
	}
	events := d.events()
	data := events[len(events)-1].Data.(map[string]any)
	if data["uuid"] != id || data["is_successful"] != true || data["checksum"] != report.Checksum || data["file_size"] != report.Size {
		d.t.Error(data)
	}
}

func (d *daemon) failed() {
	d.t.Helper()
	report := d.panel.reports[len(d.panel.reports)-1]
	events := d.events()
	data := events[len(events)-1].Data.(map[string]any)
	if report.Successful || report.Size != 0 || report.Parts != nil || data["is_successful"] != false {
		d.t.Errorf("%+v, %v", report, data)
	}
}

func TestALocalBackupIsDownloadedAndDeleted(t *testing.T) {
	eachEngine(t, func(t *testing.T, d *daemon) {
		d.backedUp("wings")
		d.calls(report)
		archive, err := os.ReadFile(d.archive())
		tree.Must(t, err)
		d.lastReport(archive)
		if parts := d.panel.reports[0].Parts; parts != nil {
			t.Error(parts)
		}
		if status, body := d.download(); status != http.StatusOK || body != string(archive) {
			t.Error(status, len(body))
		}
		// The token is for one download.
		if status, _ := d.download(); status != http.StatusNotFound {
			t.Error(status)
		}
		d.expect(http.StatusNoContent, "DELETE", backups+"/"+id, "")
		d.expect(http.StatusNotFound, "DELETE", backups+"/"+id, "")
		// No symlink stays, either.
		left, err := os.ReadDir(filepath.Dir(d.archive()))
		if err != nil || len(left) != 0 {
			t.Error(left, err)
		}
		d.calls()
	})
}

func TestAnS3BackupIsUploaded(t *testing.T) {
	eachEngine(t, func(t *testing.T, d *daemon) {
		incompressible(t, d.dir)
		d.backedUp("s3")
		d.calls(askURLs, report)
		d.lastReport(d.panel.object)
		if parts := d.panel.reports[0].Parts; len(parts) != 3 {
			t.Error(parts)
		}
		left, err := os.ReadDir(filepath.Dir(d.archive()))
		if err != nil || len(left) != 0 {
			t.Error(left, err)
		}
	})
}

func TestAnInvalidRequestIsAnErrorAsInWings(t *testing.T) {
	eachEngine(t, func(t *testing.T, d *daemon) {
		d.backup(http.StatusInternalServerError, "foo")
		d.expect(http.StatusBadRequest, "POST", backups, "{")
		d.expect(http.StatusNotFound, "POST", "/api/servers/"+other+"/backup", "{}")
		d.expect(http.StatusBadRequest, "POST", backups+"/"+id+"/restore", `{"adapter":"foo"}`)
		d.expect(http.StatusBadRequest, "POST", backups+"/"+id+"/restore", `{"adapter":"s3"}`)
		d.expect(http.StatusNotFound, "DELETE", backups+"/"+id, "")
		if d.calls(); len(d.events()) != 0 {
			t.Error(d.events())
		}
	})
}

// Stock Wings would make the archive again, and then notify the Panel a second time.
func TestASecondRequestWithAUUIDChangesNothing(t *testing.T) {
	d := start(t, "wingback")
	d.panel.mu.Lock() // the Panel does not answer yet
	d.backup(http.StatusAccepted, "wings")
	d.until(func() bool { _, err := os.Stat(d.archive()); return err == nil })
	before, err := os.Stat(d.archive())
	tree.Must(t, err)
	d.backup(http.StatusConflict, "s3")
	d.backup(http.StatusConflict, "wings")
	d.panel.mu.Unlock()
	d.until(func() bool { return len(d.events()) == 1 })
	d.until(func() bool {
		status, _ := d.request("POST", backups, `{"adapter":"wings","uuid":"`+id+`"}`)
		return status == http.StatusConflict
	})
	after, err := os.Stat(d.archive())
	if err != nil || !os.SameFile(before, after) || after.ModTime() != before.ModTime() {
		t.Error(before, after, err)
	}
	d.calls(report)
}

func TestAFailedBackupIsReportedAndMayBeRepeated(t *testing.T) {
	d := start(t, "wingback")
	tree.Must(t, os.Rename(d.dir, d.dir+".away"))
	for range 2 {
		d.backedUp("wings")
		d.calls(report)
		d.failed()
	}
	tree.Must(t, os.Rename(d.dir+".away", d.dir))
	d.backedUp("wings")
	archive, err := os.ReadFile(d.archive())
	tree.Must(t, err)
	d.lastReport(archive)
}

func TestAnswersOfThePanelToABackup(t *testing.T) {
	for name, c := range map[string]struct {
		adapter string
		answers map[string][]int
		calls   []string
		// Whether the last report is a success.
		success bool
	}{
		// The Panel saves the backup only after the daemon has accepted it.
		"not saved yet":      {"s3", map[string][]int{askURLs: {404, 404}}, []string{askURLs, askURLs, askURLs, report}, true},
		"URLs with a fault":  {"s3", map[string][]int{askURLs: {500, 502}}, []string{askURLs, askURLs, askURLs, report}, true},
		"URLs refused":       {"s3", map[string][]int{askURLs: {403}}, []string{askURLs, report}, false},
		"a completed backup": {"s3", map[string][]int{askURLs: {409}}, []string{askURLs, report}, false},
		"a part is repeated": {"s3", map[string][]int{"PUT 2": {503, 500}}, []string{askURLs, report}, true},
		"a part is refused":  {"s3", map[string][]int{"PUT 2": {403}}, []string{askURLs, report}, false},
		"report, S3":         {"s3", map[string][]int{report: {500, 503}}, []string{askURLs, report, report, report}, true},
		"report, local":      {"wings", map[string][]int{report: {500, 503}}, []string{report, report, report}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, "wingback")
			incompressible(t, d.dir)
			d.panel.answers = c.answers
			d.backedUp(c.adapter)
			d.calls(c.calls...)
			if !c.success {
				d.failed()
			} else if c.adapter == "s3" {
				d.lastReport(d.panel.object)
			}
			// A failed request can be repeated, and a successful S3 backup leaves nothing on the node.
			if _, err := os.Lstat(d.archive()); c.adapter == "s3" && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
}

// As in stock Wings, an archive that the Panel refuses does not stay.
func TestAnArchiveThatThePanelRefusesIsRemoved(t *testing.T) {
	eachEngine(t, func(t *testing.T, d *daemon) {
		d.panel.answers[report] = []int{400}
		d.backup(http.StatusAccepted, "wings")
		d.until(func() bool { d.panel.mu.Lock(); defer d.panel.mu.Unlock(); return len(d.panel.calls) == 1 })
		d.until(func() bool { _, err := os.Lstat(d.archive()); return errors.Is(err, fs.ErrNotExist) })
		d.calls(report)
	})
}

func TestURLsThatExpireSoonAreAWarningBeforeTheUpload(t *testing.T) {
	d := start(t, "wingback")
	lines := logged(t)
	d.panel.life = 0
	incompressible(t, d.dir)
	d.backedUp("s3")
	found := slices.ContainsFunc(lines(), func(line string) bool {
		return strings.HasPrefix(line, "warn") && strings.Contains(line, "BACKUP_PRESIGNED_URL_LIFESPAN")
	})
	if !found {
		t.Errorf("%q", lines())
	}
	// The life is known now, so the next archive is made before its URLs are asked for.
	d.panel.parts, d.panel.asked = nil, nil
	d.backedUp("s3")
	if size := d.panel.reports[1].Size; len(d.panel.asked) != 1 || d.panel.asked[0] != size || !bytes.Equal(d.panel.object[:2], []byte{0x1f, 0x8b}) {
		t.Error(d.panel.asked, size)
	}
}
