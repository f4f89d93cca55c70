// Command readers lists an archive with Go's archive/tar and compress/gzip.
package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
)

func main() {
	if err := list(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func list(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	in, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	archive := tar.NewReader(in)
	kinds := map[byte]string{tar.TypeReg: "f", tar.TypeSymlink: "l", tar.TypeDir: "d"}
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		sum := sha1.New()
		if _, err := io.Copy(sum, archive); err != nil {
			return err
		}
		link := "-"
		if entry.Linkname != "" {
			link = fmt.Sprintf("%x", entry.Linkname)
		}
		fmt.Fprintf(out, "%s %x %d %o %d %s %x\n", kinds[entry.Typeflag],
			strings.TrimSuffix(entry.Name, "/"), entry.Size, entry.Mode, entry.ModTime.Unix(), link, sum.Sum(nil))
	}
	// Read what follows the end of the tar as well, to check the last member's checksum.
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return out.Flush()
}
