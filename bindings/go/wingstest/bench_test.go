package wingstest

import (
	"crypto/sha1"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// WINGBACK_TREE names a server's directory; `make bench-go` makes one of a gigabyte.
func benchTree(b *testing.B) (string, int64) {
	dir := os.Getenv("WINGBACK_TREE")
	if dir == "" {
		dir = tree.Volume(b)
	}
	var size int64
	must(b, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			info, _ := entry.Info()
			size += info.Size()
		}
		return err
	}))
	return dir, size
}

// Both, in turns, so that what else the machine does meets both.
func BenchmarkStockAndWingback(b *testing.B) {
	source, size := benchTree(b)
	dir := b.TempDir()
	n, err := wings.NewNode(wings.Config{Directory: dir})
	must(b, err)
	made, err := n.Backup(id, "")
	must(b, err)
	b.Run("stock", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			path := filepath.Join(dir, "stock.tar.gz")
			file, err := os.Create(path)
			must(b, err)
			stock(b, source, file)
			must(b, file.Close())
			// The checksum is of what is read again, by 4 KiB, as Wings does.
			file, err = os.Open(path)
			must(b, err)
			sum := sha1.New()
			_, err = io.CopyBuffer(sum, struct{ io.Reader }{file}, make([]byte, 4<<10))
			must(b, err)
			must(b, file.Close())
			must(b, os.Remove(path))
		}
	})
	b.Run("wingback", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			_, err := made.Generate(ctx, source, "")
			must(b, err)
			must(b, made.Remove())
		}
	})
}
