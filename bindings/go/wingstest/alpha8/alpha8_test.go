// Package alpha8 tests with the module for archives of Wings up to 2025. One program cannot contain it and
// its successor.
package alpha8

import (
	"context"
	"os"
	"testing"

	"github.com/mholt/archiver/v4"

	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

func TestStockWingsRestoresOurArchives(t *testing.T) {
	dir := t.TempDir()
	node := wings.NewNode(func() wings.Config { return wings.Config{Directory: dir} })
	b, err := node.Backup("6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11", "")
	tree.Must(t, err)
	source, ctx := tree.Volume(t), context.Background()
	_, err = b.Generate(ctx, source, "*.tmp")
	tree.Must(t, err)
	format := archiver.CompressedArchive{Compression: archiver.Gz{}, Archival: archiver.Tar{}}
	tree.Targets(t, func(dir string) {
		archive, err := os.Open(b.Path())
		tree.Must(t, err)
		defer archive.Close()
		tree.Must(t, format.Extract(ctx, archive, nil, func(_ context.Context, f archiver.File) error {
			content, err := f.Open()
			if err != nil {
				return err
			}
			defer content.Close()
			return tree.Writer(dir)(f.NameInArchive, f.FileInfo, content)
		}))
		tree.Same(t, source, dir)
	})
}
