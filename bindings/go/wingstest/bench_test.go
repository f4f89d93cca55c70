package wingstest

import (
	"crypto/sha1"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/backup"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// WINGBACK_TREE is the directory of a server; `make bench-go` makes one of a gigabyte.
func benchTree(b *testing.B) (string, int64) {
	dir := os.Getenv("WINGBACK_TREE")
	if dir == "" {
		dir = tree.Volume(b)
	}
	var size int64
	tree.Must(b, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			info, _ := entry.Info()
			size += info.Size()
		}
		return err
	}))
	return dir, size
}

// The two run in turns, so that other load affects both. The result is the median of the ratios of the
// pairs.
func BenchmarkStockAndWingback(b *testing.B) {
	source, size := benchTree(b)
	dir := b.TempDir()
	n := wings.NewNode(func() wings.Config { return wings.Config{Directory: dir} })
	made, err := n.Backup(id, "")
	tree.Must(b, err)
	var stocks, ours, ratios []float64
	for b.Loop() {
		begun := time.Now()
		stockBackup(b, source, filepath.Join(dir, "stock.tar.gz"))
		stocks = append(stocks, time.Since(begun).Seconds())
		begun = time.Now()
		_, err := made.Generate(ctx, source, "")
		tree.Must(b, err)
		ours = append(ours, time.Since(begun).Seconds())
		ratios = append(ratios, stocks[len(stocks)-1]/ours[len(ours)-1])
		tree.Must(b, made.Remove())
	}
	b.ReportMetric(float64(size)/1e6, "MB")
	b.ReportMetric(median(stocks), "stock-s")
	b.ReportMetric(median(ours), "wingback-s")
	b.ReportMetric(median(ratios), "times-as-fast")
	b.ReportMetric(slices.Min(ratios), "least")
	b.ReportMetric(slices.Max(ratios), "most")
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// stockBackup makes an archive and reads it again for its checksum, 4 KiB at a time, as Wings does.
func stockBackup(b *testing.B, source, path string) {
	file, err := os.Create(path)
	tree.Must(b, err)
	tree.Must(b, backup.Archive(source, file))
	tree.Must(b, file.Close())
	file, err = os.Open(path)
	tree.Must(b, err)
	sum := sha1.New()
	_, err = io.CopyBuffer(sum, struct{ io.Reader }{file}, make([]byte, 4<<10))
	tree.Must(b, err)
	tree.Must(b, file.Close())
	tree.Must(b, os.Remove(path))
}
