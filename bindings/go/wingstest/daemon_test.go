package wingstest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pterodactyl/wings/cmd"
	"github.com/pterodactyl/wings/config"
	"github.com/pterodactyl/wings/router/tokens"
	wingsserver "github.com/pterodactyl/wings/server"
	"github.com/pterodactyl/wings/server/backup"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// A daemon is the patched stand-in for Wings, with one server, and its Panel.
type daemon struct {
	t      *testing.T
	panel  *panel
	http   *httptest.Server
	server *wingsserver.Server
	dir    string // of the server
}

func start(t *testing.T, engine string) *daemon {
	t.Helper()
	data := t.TempDir()
	dir := filepath.Join(data, server)
	tree.Must(t, os.Rename(tree.Volume(t), dir))
	use(t, func(c *config.Configuration) {
		c.System.Data, c.System.BackupDirectory = data, t.TempDir()
		c.System.Backups.Engine = engine
	})
	panel := newPanel(t)
	command := cmd.Start(ctx, panel.URL, token)
	s, ok := command.Manager.Get(server)
	if !ok {
		t.Fatal("the server is missing")
	}
	handler := httptest.NewServer(command.Handler)
	t.Cleanup(handler.Close)
	return &daemon{t, panel, handler, s, dir}
}

// request sends a request of the Panel, and returns the status and the body.
func (d *daemon) request(method, path, body string) (int, string) {
	d.t.Helper()
	request, err := http.NewRequest(method, d.http.URL+path, strings.NewReader(body))
	tree.Must(d.t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	tree.Must(d.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	tree.Must(d.t, err)
	return response.StatusCode, string(text)
}

func (d *daemon) expect(status int, method, path, body string) {
	d.t.Helper()
	if got, text := d.request(method, path, body); got != status {
		d.t.Errorf("%s %s: %d %s, and not %d", method, path, got, text, status)
	}
}

const backups = "/api/servers/" + server + "/backup"

func (d *daemon) backup(status int, adapter string) {
	d.t.Helper()
	d.expect(status, "POST", backups, backupOf(adapter))
}

func backupOf(adapter string) string {
	return fmt.Sprintf(`{"adapter":%q,"uuid":%q,"ignore":%q}`, adapter, id, ignore)
}

// backedUp makes a backup, and waits for its end.
func (d *daemon) backedUp(adapter string) {
	d.t.Helper()
	before := len(d.events())
	// An earlier request for this UUID ends shortly after its event.
	d.until(func() bool {
		status, _ := d.request("POST", backups, backupOf(adapter))
		return status == http.StatusAccepted
	})
	d.until(func() bool { return len(d.events()) > before })
	if topic := d.events()[before].Topic; topic != "backup completed:"+id {
		d.t.Error(topic)
	}
}

func (d *daemon) restore(status int, adapter string, truncate bool) {
	d.t.Helper()
	d.expect(status, "POST", backups+"/"+id+"/restore", fmt.Sprintf(
		`{"adapter":%q,"truncate_directory":%v,"download_url":%q}`, adapter, truncate, d.panel.URL+"/bucket/object"))
}

// restored restores, and waits for the end. It returns the texts for the console.
func (d *daemon) restored(adapter string, truncate bool) (messages []string) {
	d.t.Helper()
	before := len(d.events())
	d.restore(http.StatusAccepted, adapter, truncate)
	d.until(func() bool {
		events := d.events()
		return len(events) > before && events[len(events)-1].Topic == wingsserver.BackupRestoreCompletedEvent && !d.server.IsRestoring()
	})
	for _, event := range d.events()[before:] {
		if event.Topic == wingsserver.DaemonMessageEvent {
			messages = append(messages, event.Data.(string))
		}
	}
	if d.server.IsSuspended() {
		d.t.Error("the server is suspended")
	}
	return messages
}

func (d *daemon) download() (int, string) {
	payload := tokens.BackupPayload{ServerUuid: server, BackupUuid: id, UniqueId: d.t.Name()}
	return d.request("GET", "/download/backup?token="+payload.Token(), "")
}

func (d *daemon) events() []wingsserver.Event { return d.server.Events().Sent() }

func (d *daemon) until(is func() bool) {
	d.t.Helper()
	for begun := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			d.t.Fatal("too late")
		}
	}
}

// calls compares the requests that the Panel has got since the last comparison.
func (d *daemon) calls(want ...string) {
	d.t.Helper()
	d.panel.mu.Lock()
	defer d.panel.mu.Unlock()
	if !slices.Equal(d.panel.calls, want) {
		d.t.Errorf("%q, and not %q", d.panel.calls, want)
	}
	d.panel.calls = nil
}

// archive returns the path of the local archive.
func (d *daemon) archive() string { return backup.NewLocal(nil, id, "").Path() }

// change changes the files of the server after its backup.
func (d *daemon) change() {
	tree.Must(d.t, os.WriteFile(filepath.Join(d.dir, "newer.txt"), []byte("newer"), 0o644))
	tree.Must(d.t, os.WriteFile(filepath.Join(d.dir, "server.properties"), []byte("changed"), 0o640))
}

// unchanged fails if a restore has changed the files.
func (d *daemon) unchanged() {
	d.t.Helper()
	for name, want := range map[string]string{"newer.txt": "newer", "server.properties": "changed"} {
		if text, err := os.ReadFile(filepath.Join(d.dir, name)); err != nil || string(text) != want {
			d.t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// copied returns a copy of the server's files.
func (d *daemon) copied() string {
	copied := d.t.TempDir()
	tree.Must(d.t, exec.Command("cp", "-a", d.dir+"/.", copied).Run())
	return copied
}
