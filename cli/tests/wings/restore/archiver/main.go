// Restores an archive as Wings' local backup adapter does with package archiver: every entry is
// written as a file with its name, mode and time.
package main

import (
	"context"
	"fmt"
	"os"

	archiver "github.com/mholt/archiver/v4"

	"restore/write"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: archiver ARCHIVE DIR")
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
	format := archiver.CompressedArchive{Compression: archiver.Gz{}, Archival: archiver.Tar{}}
	return format.Extract(ctx, file, nil, func(_ context.Context, entry archiver.File) error {
		content, err := entry.Open()
		if err != nil {
			return err
		}
		defer content.Close()
		return write.Entry(dir, entry.NameInArchive, entry.FileInfo, content)
	})
}
