package wingstest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/backup"
	"github.com/wingback/wingback/bindings/go/wingstest/config"
	"github.com/wingback/wingback/bindings/go/wingstest/filesystem"
	"github.com/wingback/wingback/bindings/go/wingstest/log"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// The parts of Wings that surround the switch.
type (
	request struct {
		status int
		err    error
	}
	gameServer struct {
		dir      string
		notified []string // the notifications of the Panel
		wait     sync.WaitGroup
		mu       sync.Mutex
	}
)

func (s *gameServer) ID() string { return server }

func (s *gameServer) Backup(b backup.BackupInterface) error {
	_, err := b.Generate(ctx, filesystem.New(s.dir), b.Ignored())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notified = append(s.notified, fmt.Sprint(b.Identifier(), " ", err == nil))
	return err
}

func (c *request) AbortWithStatusJSON(code int, _ any) { c.status = code }

var middleware = struct{ CaptureAndAbort func(*request, error) }{
	func(c *request, err error) { c.status, c.err = http.StatusInternalServerError, err },
}

func postServerBackup(c *request, s *gameServer, kind backup.AdapterType) {
	var adapter backup.BackupInterface
	switch kind {
	case backup.LocalBackupAdapter:
		adapter = backup.NewLocal(nil, id, ignore)
	case backup.S3BackupAdapter:
		adapter = backup.NewS3(nil, id, ignore)
	default:
		middleware.CaptureAndAbort(c, errors.New("the adapter is not valid"))
		return
	}
	//begin
	adapter, end, err := backup.BeginBackup(adapter, s.ID())
	if errors.Is(err, os.ErrExist) {
		c.AbortWithStatusJSON(http.StatusConflict, map[string]string{"error": "A backup with this UUID exists."})
		return
	} else if err != nil {
		middleware.CaptureAndAbort(c, err)
		return
	}
	//end
	adapter.WithLogContext(map[string]interface{}{"request_id": "r1"})
	s.wait.Add(1)
	go func(b backup.BackupInterface, s *gameServer) {
		defer s.wait.Done()
		defer end()
		_ = s.Backup(b)
	}(adapter, s)
	c.status = http.StatusAccepted
}

func TestAnInvalidAdapterIsAnErrorAsInWings(t *testing.T) {
	for _, engine := range []string{"stock", "wingback"} {
		use(t, func(c *config.Configuration) { c.System.Backups.Engine = engine })
		var c request
		s := &gameServer{}
		postServerBackup(&c, s, "foo")
		if s.wait.Wait(); c.status != http.StatusInternalServerError || c.err == nil || s.notified != nil {
			t.Errorf("%+v, %q", c, s.notified)
		}
	}
}

func TestASecondRequestWithAUUIDChangesNothing(t *testing.T) {
	s := &gameServer{dir: tree.Volume(t)}
	t.Cleanup(func() { _ = backup.WithEngine(backup.NewLocal(nil, id, ""), server).Remove() })
	s.mu.Lock() // the Panel does not answer yet
	var first, second, third request
	postServerBackup(&first, s, backup.LocalBackupAdapter)
	postServerBackup(&second, s, backup.S3BackupAdapter)
	s.mu.Unlock()
	s.wait.Wait()
	// A finished backup.
	postServerBackup(&third, s, backup.LocalBackupAdapter)
	s.wait.Wait()
	if first.status != http.StatusAccepted || second.status != http.StatusConflict || third.status != http.StatusConflict {
		t.Error(first, second, third)
	}
	if !slices.Equal(s.notified, []string{id + " true"}) {
		t.Error(s.notified)
	}
	tree.Must(t, backup.VerifyBeforeRestore(ctx, backup.NewLocal(nil, id, ""), server))
}

func TestAFailedRequestMayBeRepeated(t *testing.T) {
	s := &gameServer{dir: "/nowhere"}
	for range 2 {
		var c request
		postServerBackup(&c, s, backup.LocalBackupAdapter)
		s.wait.Wait()
		if c.status != http.StatusAccepted {
			t.Error(c)
		}
	}
	if !slices.Equal(s.notified, []string{id + " false", id + " false"}) {
		t.Error(s.notified)
	}
}

func TestTheAdapterLogsAsWingsDoes(t *testing.T) {
	source := tree.Volume(t)
	tree.Must(t, exec.Command("mkfifo", filepath.Join(source, "fifo")).Run())
	log.Lines = nil
	s := &gameServer{dir: source}
	var c request
	postServerBackup(&c, s, backup.LocalBackupAdapter)
	s.wait.Wait()
	b := backup.WithEngine(backup.NewLocal(nil, id, ""), server)
	t.Cleanup(func() { _ = b.Remove() })
	size, err := b.Size()
	tree.Must(t, err)
	fields := ` map\[adapter:wings backup:` + id
	for i, want := range []string{
		"info: creating backup for server" + fields + ` path:` + b.Path() + ` request_id:r1\]`,
		"info: created backup successfully" + fields + ` request_id:r1 size:` + fmt.Sprint(size) + ` skipped:1 took:\d.*s\]`,
	} {
		if len(log.Lines) != 2 || !regexp.MustCompile("^"+want+"$").MatchString(log.Lines[i]) {
			t.Fatalf("%q, not %s", log.Lines, want)
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
		// The archive does not exist, and stock Wings does not look for it.
		tree.Must(t, backup.VerifyBeforeRestore(ctx, stock, server))
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
	if err != nil || !strings.Contains(string(out), "stock: <nil>") || !strings.Contains(string(out), "wingback: true") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCheckInAnotherProcess(t *testing.T) {
	if os.Getenv("WINGBACK_CHECK") == "" {
		return
	}
	fmt.Println("wingback:", errors.Is(backup.CheckWingback(context.Background()), fs.ErrNotExist))
	use(t, func(c *config.Configuration) { c.System.Backups.Engine = "stock" })
	fmt.Println("stock:", backup.CheckWingback(context.Background()))
}

// The documentation shows the code that is tested here.
func TestTheDocumentationShowsTheTestedCode(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/wings.md")
	tree.Must(t, err)
	adapter, err := os.ReadFile("backup/wingback.go")
	tree.Must(t, err)
	tested, err := os.ReadFile("switch_test.go")
	tree.Must(t, err)
	_, rest, _ := strings.Cut(string(tested), "\t//begin\n")
	begin, _, _ := strings.Cut(rest, "\t//end\n")
	text := strings.NewReplacer(
		"github.com/wingback/wingback/bindings/go/wingstest/config", "github.com/pterodactyl/wings/config",
		"github.com/wingback/wingback/bindings/go/wingstest/remote", "github.com/pterodactyl/wings/remote",
		"github.com/wingback/wingback/bindings/go/wingstest/filesystem", "github.com/pterodactyl/wings/server/filesystem",
	).Replace(string(adapter))
	// In a list, code is indented.
	shown := strings.ReplaceAll(string(doc), "\n   ", "\n")
	for _, code := range []string{text, begin} {
		if len(code) < 100 || !strings.Contains(shown, "```go\n"+code+"```\n") {
			t.Errorf("docs/wings.md does not have the code that begins with %.60q", code)
		}
	}
}
