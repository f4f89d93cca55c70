package wingstest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pterodactyl/wings/config"
	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/server/backup"
	"github.com/pterodactyl/wings/server/filesystem"

	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// A race runs stock Wings and wingback in turns on one tree, so that other load affects both.
type race struct {
	b      *testing.B
	source string
	engine *wingback.Engine
	ours   *wings.Backup
	dir    string
}

// WINGBACK_TREE is the directory of a server; `make bench-go` makes one of a gigabyte.
func newRace(b *testing.B) *race {
	source := os.Getenv("WINGBACK_TREE")
	if source == "" {
		source = tree.Volume(b)
	}
	r := &race{b: b, source: source, engine: wingback.NewEngine(wingback.Options{}), dir: b.TempDir()}
	b.Cleanup(func() { r.engine.Close() })
	n := wings.NewNode(func() wings.Config { return wings.Config{Engine: r.engine, Directory: r.dir} })
	ours, err := n.Backup(id, "")
	tree.Must(b, err)
	r.ours = ours
	before := config.Get()
	config.Set(&config.Configuration{System: config.SystemConfiguration{BackupDirectory: r.dir}})
	b.Cleanup(func() { config.Set(before) })
	return r
}

// run measures pairs. The result is the median of their ratios. `prepare` runs before each of the two.
func (r *race) run(prepare, stock, ours func()) {
	var stocks, own, ratios []float64
	seconds := func(f func()) float64 {
		prepare()
		begun := time.Now()
		f()
		return time.Since(begun).Seconds()
	}
	for r.b.Loop() {
		stocks, own = append(stocks, seconds(stock)), append(own, seconds(ours))
		ratios = append(ratios, stocks[len(stocks)-1]/own[len(own)-1])
	}
	r.b.ReportMetric(median(stocks), "stock-s")
	r.b.ReportMetric(median(own), "wingback-s")
	r.b.ReportMetric(median(ratios), "times-as-fast")
	r.b.ReportMetric(slices.Min(ratios), "least")
	r.b.ReportMetric(slices.Max(ratios), "most")
	r.b.ReportMetric(0, "ns/op")
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

func (r *race) stockLocal() {
	b := backup.NewLocal(nil, other, "")
	_, err := b.Generate(ctx, filesystem.New(r.source), "")
	tree.Must(r.b, err)
	tree.Must(r.b, b.Remove())
}

func (r *race) local() {
	_, err := r.ours.Generate(ctx, r.source, "")
	tree.Must(r.b, err)
	tree.Must(r.b, r.ours.Remove())
}

func nothing() {}

func BenchmarkLocal(b *testing.B) {
	r := newRace(b)
	r.run(nothing, r.stockLocal, r.local)
}

// Caches are dropped before each backup, which needs root.
func BenchmarkLocalCold(b *testing.B) {
	r := newRace(b)
	r.run(func() {
		tree.Must(b, exec.Command("sync").Run())
		tree.Must(b, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o200))
	}, r.stockLocal, r.local)
}

// Wingback has an archive of the tree before every fiftieth file has changed.
func BenchmarkLocalWithPreviousArchive(b *testing.B) {
	r := newRace(b)
	copied := filepath.Join(b.TempDir(), "tree")
	tree.Must(b, exec.Command("cp", "-a", r.source, copied).Run())
	r.source = copied
	n := wings.NewNode(func() wings.Config { return wings.Config{Engine: r.engine, Directory: r.dir} })
	yesterday, err := n.Backup(server, "")
	tree.Must(b, err)
	_, err = yesterday.Generate(ctx, r.source, "")
	tree.Must(b, err)
	changeFiles(b, r.source)
	r.run(nothing, r.stockLocal, func() {
		_, err := r.ours.Generate(ctx, r.source, "")
		tree.Must(b, err)
		tree.Must(b, os.Remove(r.ours.Path()))
		// The next backup has the archive of yesterday again.
		links, _ := filepath.Glob(filepath.Join(r.dir, ".*.latest"))
		tree.Must(b, os.Remove(links[0]))
		tree.Must(b, os.Symlink(server+".tar.gz", links[0]))
	})
}

// changeFiles changes a byte in every fiftieth file.
func changeFiles(b *testing.B, dir string) {
	n := 0
	tree.Must(b, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if n++; n%50 != 0 {
			return nil
		}
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.WriteAt([]byte{byte(n)}, 0)
		return err
	}))
}

// A sink is a Panel that accepts parts of 64 MiB, and drops them.
type sink struct{ link string }

func newSink(b *testing.B) sink {
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
		w.Header().Set("ETag", `"etag"`)
	}))
	b.Cleanup(bucket.Close)
	return sink{bucket.URL}
}

func (s sink) GetBackupRemoteUploadURLs(_ context.Context, _ string, size int64) (remote.BackupRemoteUploadResponse, error) {
	answer := remote.BackupRemoteUploadResponse{PartSize: 64 << 20}
	for ; size > 0; size -= answer.PartSize {
		answer.Parts = append(answer.Parts, s.link)
	}
	return answer, nil
}

func (sink) SetBackupStatus(context.Context, string, remote.BackupRequest) error { return nil }
func (sink) SendRestorationStatus(context.Context, string, bool) error           { return nil }

func BenchmarkS3(b *testing.B) {
	r, sink := newRace(b), newSink(b)
	ask := func(ctx context.Context, size int64) (wingback.PartURLs, error) {
		urls, err := sink.GetBackupRemoteUploadURLs(ctx, id, size)
		return wingback.PartURLs{URLs: urls.Parts, PartSize: uint64(urls.PartSize)}, err
	}
	upload := func() {
		_, err := r.ours.Upload(ctx, r.source, "", ask)
		tree.Must(b, err)
	}
	if os.Getenv("WINGBACK_MEMORY") != "" {
		for b.Loop() {
			upload()
		}
		info, err := r.engine.Start(ctx)
		tree.Must(b, err)
		child, daemon := peak(b, info.PID), peak(b, os.Getpid())
		b.ReportMetric(child, "child-MB")
		b.ReportMetric(daemon, "daemon-MB")
		b.ReportMetric(child+daemon, "together-MB")
		return
	}
	r.run(nothing, func() {
		_, err := backup.NewS3(sink, other, "").Generate(ctx, filesystem.New(r.source), "")
		tree.Must(b, err)
	}, upload)
}

// peak returns the most memory of a process in MB.
func peak(b *testing.B, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	tree.Must(b, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	tree.Must(b, err)
	return float64(kib) * 1024 / 1e6
}
