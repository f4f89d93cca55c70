// Peer makes a backup as Pterodactyl's Wings does, as a reference for wingback: archive/tar, pgzip
// at level 1 with blocks of 1 MiB and one more in flight, 4 KiB copy buffers, regular files only,
// go-gitignore for the excludes. Then it reads the whole archive again for its SHA-1. It prints the
// SHA-1 and the size.
//
// Wings does not call fsync. -fsync adds a call, so that both sides guarantee the same on a disk.
// With -parts it uploads the archive to S3 as Wings does.
package main

import (
	"archive/tar"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/pgzip"
	ignore "github.com/sabhiram/go-gitignore"
)

const bufferSize = 4 * 1024

func main() {
	fsync := flag.Bool("fsync", false, "one fsync when the archive is written")
	ignoreFile := flag.String("ignore", "", "`FILE` with rules in the format of .pteroignore")
	parts := flag.String("parts", "", "`FILE` with the URLs for the parts, one a line")
	partSize := flag.Int64("part-size", 5<<20, "`BYTES` of a part")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: peer [-fsync] [-ignore FILE] [-parts FILE] SRC OUT.tar.gz")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), *ignoreFile, *fsync); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
	if *parts != "" {
		if err := upload(flag.Arg(1), *parts, *partSize); err != nil {
			fmt.Fprintln(os.Stderr, "peer:", err)
			os.Exit(1)
		}
	}
}

func run(src, dst, ignoreFile string, fsync bool) error {
	var rules *ignore.GitIgnore
	if ignoreFile != "" {
		text, err := os.ReadFile(ignoreFile)
		if err != nil {
			return err
		}
		rules = ignore.CompileIgnoreLines(strings.Split(string(text), "\n")...)
	}
	if err := archive(src, dst, rules, fsync); err != nil {
		return err
	}
	sum, size, err := checksum(dst)
	if err != nil {
		return err
	}
	fmt.Println(sum, size)
	return nil
}

func archive(src, dst string, rules *ignore.GitIgnore, fsync bool) (err error) {
	f, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	gz, err := pgzip.NewWriterLevel(f, pgzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := gz.SetConcurrency(1<<20, 1); err != nil {
		return err
	}
	tw := tar.NewWriter(gz)
	if err := addTree(tw, src, rules); err != nil {
		return err
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		return err
	}
	if fsync {
		return f.Sync()
	}
	return nil
}

// addTree enters every directory, also excluded ones: Wings applies the rules to files only.
func addTree(tw *tar.Writer, src string, rules *ignore.GitIgnore) error {
	buf := make([]byte, bufferSize)
	return filepath.WalkDir(src, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		name, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		if rules != nil && rules.MatchesPath(name) {
			return nil
		}
		return addFile(tw, path, filepath.ToSlash(name), buf)
	})
}

func addFile(tw *tar.Writer, path, name string, buf []byte) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	header.Name = name
	if err := tw.WriteHeader(header); err != nil {
		return err
	}
	if header.Size == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(tw, io.LimitReader(f, header.Size), buf)
	return err
}

// checksum does as Wings does. With Go 1.22 and later the file's WriteTo is used, so the pieces are
// larger than buf. Wings has the same behavior.
func checksum(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	hash := sha1.New()
	size, err = io.CopyBuffer(hash, f, make([]byte, bufferSize))
	return hex.EncodeToString(hash.Sum(nil)), size, err
}
