// Restores an archive as Wings' local backup adapter does with package archives: every entry is
// written as a file with its name, mode and time.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/mholt/archives"

	"restore/write"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: archives ARCHIVE DIR")
		os.Exit(2)
	}
	if err := restore(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func restore(ctx context.Context, archive, dir string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	format := archives.CompressedArchive{Compression: archives.Gz{}, Extraction: archives.Tar{}}
	return format.Extract(ctx, file, func(_ context.Context, entry archives.FileInfo) error {
		content, err := entry.Open()
		if err != nil {
			return err
		}
		defer content.Close()
		return write.Entry(dir, entry.NameInArchive, entry.FileInfo, content)
	})
}
