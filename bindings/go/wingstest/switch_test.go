package wingstest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/apex/log"

	"github.com/pterodactyl/wings/cmd"
	"github.com/pterodactyl/wings/config"
	"github.com/pterodactyl/wings/server/backup"
	"github.com/pterodactyl/wings/server/filesystem"

	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// quiet is a handler of the log without output.
func quiet(*log.Entry) error { return nil }

// logged returns a function that returns the lines of the log so far: the level, the text and the fields.
func logged(t *testing.T) func() []string {
	var mu sync.Mutex
	var lines []string
	log.SetHandler(log.HandlerFunc(func(e *log.Entry) error {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, fmt.Sprint(e.Level, ": ", e.Message, " ", map[string]any(e.Fields)))
		return nil
	}))
	t.Cleanup(func() { log.SetHandler(log.HandlerFunc(quiet)) })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), lines...)
	}
}

func TestTheAdapterLogsAsWingsDoes(t *testing.T) {
	d := start(t, "wingback")
	tree.Must(t, exec.Command("mkfifo", filepath.Join(d.dir, "fifo")).Run())
	lines := logged(t)
	d.backedUp("wings")
	size := d.panel.reports[0].Size
	fields := ` map\[adapter:wings backup:` + id
	for i, want := range []string{
		"info: creating backup for server" + fields + ` path:` + d.archive() + ` server:` + server + `\]`,
		"info: created backup successfully" + fields + ` server:` + server + ` size:` + fmt.Sprint(size) + ` skipped:1 took:\d.*s\]`,
	} {
		if len(lines()) != 2 || !regexp.MustCompile("^"+want+"$").MatchString(lines()[i]) {
			t.Fatalf("%q, not %s", lines(), want)
		}
	}
}

func TestTheSwitchSelectsTheStockAdapter(t *testing.T) {
	local, s3 := backup.NewLocal(nil, id, ""), backup.NewS3(nil, id, "")
	if b, is := backup.WithEngine(local, server).(*backup.WingbackLocal); !is || b.Path() != local.Path() {
		t.Errorf("%T", b)
	}
	if b, is := backup.WithEngine(s3, server).(*backup.WingbackS3); !is {
		t.Errorf("%T", b)
	}
	// What is not one of Wings' own adapters stays.
	other := &backup.WingbackS3{}
	if b := backup.WithEngine(other, server); b != other {
		t.Errorf("%T", b)
	}
	use(t, func(c *config.Configuration) { c.System.Backups.Engine = "stock" })
	for _, stock := range []backup.BackupInterface{local, s3} {
		if b := backup.WithEngine(stock, server); b != stock {
			t.Errorf("%T", b)
		}
		if b, end, err := backup.BeginBackup(stock, server); b != stock || end == nil || err != nil {
			t.Errorf("%T, %v", b, err)
		}
	}
}

func TestTheConfigurationIsReadForEachBackup(t *testing.T) {
	source := tree.Volume(t)
	sizes := map[string]int64{}
	for _, level := range []string{"none", "best_speed", "best_compression", "hardest", ""} {
		use(t, func(c *config.Configuration) {
			c.System.BackupDirectory = t.TempDir()
			c.System.Backups.CompressionLevel, c.System.Backups.WriteLimit = level, -1
		})
		b := backup.WithEngine(backup.NewLocal(nil, id, ""), server)
		details, err := b.Generate(ctx, filesystem.New(source), "")
		tree.Must(t, err)
		sizes[level] = details.Size
		if _, err := os.Stat(b.Path()); err != nil {
			t.Error(err)
		}
	}
	// Archives differ by a few bytes, because they contain the time.
	near := func(a, b int64) bool { return a-b < 100 && b-a < 100 }
	if !near(sizes["hardest"], sizes["best_speed"]) || !near(sizes[""], sizes["best_speed"]) {
		t.Error("an unknown level is not best_speed:", sizes)
	}
	if sizes["none"] < 1_600_000 || near(sizes["best_speed"], sizes["best_compression"]) {
		t.Error("levels make no difference:", sizes)
	}
}

func TestAMissingCommandIsKnownAtTheStart(t *testing.T) {
	tree.Must(t, backup.CheckWingback(ctx))
	for binary, kind := range map[string]wingback.Kind{
		"/no/such/command": wingback.NotFound, "/etc/passwd": wingback.EngineFailed, "/bin/true": wingback.EngineFailed,
	} {
		engine := wingback.NewEngine(wingback.Options{Binary: binary})
		n := wings.NewNode(func() wings.Config { return wings.Config{Engine: engine, Directory: "/b"} })
		if err := n.Check(ctx); !errors.Is(err, kind) {
			t.Errorf("%s: %v", binary, err)
		}
	}
	// The engine of this process runs already.
	command := exec.Command(os.Args[0], "-test.run=^TestCheckInAnotherProcess$", "-test.v")
	command.Env = append(os.Environ(), "WINGBACK_BIN=/no/such/command", "WINGBACK_CHECK=1")
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "stock: <nil> 0") || !strings.Contains(string(out), "wingback: true 1") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCheckInAnotherProcess(t *testing.T) {
	if os.Getenv("WINGBACK_CHECK") == "" {
		return
	}
	for _, engine := range engines {
		lines := logged(t)
		use(t, func(c *config.Configuration) { c.System.Backups.Engine, c.System.Data = engine, t.TempDir() })
		cmd.Start(context.Background(), "http://localhost", token)
		err := backup.CheckWingback(ctx)
		if engine == "stock" {
			fmt.Println("stock:", err, len(lines()))
		} else {
			fmt.Println("wingback:", errors.Is(err, fs.ErrNotExist), len(lines()))
		}
	}
}
