// Package tree has the shared parts of tests with both generations of Wings' modules, which cannot be in
// one program.
package tree

import (
	"crypto/sha1"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pterodactyl/wings/server/backup"
)

// Must fails the test if there is an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Odd is a name that is not UTF-8.
const Odd = "caf\xe9\n\"x"

// Volume returns the directory of a server, with symlinks, hard links, directories, and names that are not
// UTF-8.
func Volume(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"server.properties":      "motd=a server\n",
		"world/level.dat":        strings.Repeat("level ", 1000),
		"world/region/r.0.0.mca": strings.Repeat("chunk and chunk ", 100_000),
		"world/session.lock":     "",
		"cache/a.tmp":            "left out",
		Odd + "/" + Odd:          "odd",
	} {
		path := filepath.Join(dir, name)
		Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		Must(t, os.WriteFile(path, []byte(content), 0o640))
	}
	Must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	Must(t, os.Symlink("world/level.dat", filepath.Join(dir, "level")))
	Must(t, os.Symlink("world", filepath.Join(dir, "current")))
	Must(t, os.Link(filepath.Join(dir, "world/level.dat"), filepath.Join(dir, "world/level.dat_old")))
	Must(t, os.Symlink(Odd+"/"+Odd, filepath.Join(dir, "link"+Odd)))
	Must(t, os.Link(filepath.Join(dir, Odd, Odd), filepath.Join(dir, "second"+Odd)))
	// Go's tar writer rounds times, and readers truncate them.
	Must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return os.Chtimes(path, time.Time{}, time.Unix(1_700_000_000, 0))
	}))
	return dir
}

// Writer writes each file as Wings' restore does: Filesystem.Write, and then its times.
func Writer(dir string) backup.RestoreCallback {
	return func(name string, info fs.FileInfo, r io.ReadCloser) error {
		defer r.Close()
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is %v", name, info.Mode())
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode())
		if err != nil {
			return err
		}
		defer file.Close()
		if n, err := io.Copy(file, r); err != nil || n != info.Size() {
			return fmt.Errorf("%s has %d bytes and not %d: %w", name, n, info.Size(), err)
		}
		return os.Chtimes(path, info.ModTime(), info.ModTime())
	}
}

// Same compares the regular files of two trees, except for the excluded files of the source.
func Same(t testing.TB, source, restored string) {
	t.Helper()
	files := func(dir string) map[string]string {
		found := map[string]string{}
		Must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			info, _ := entry.Info()
			name, _ := filepath.Rel(dir, path)
			if !strings.HasPrefix(name, "cache/") {
				sum := sha1.Sum(content)
				found[name] = fmt.Sprintf("%x %v %d", sum, info.Mode(), info.ModTime().Unix())
			}
			return err
		}))
		return found
	}
	want, got := files(source), files(restored)
	for name := range want {
		if want[name] != got[name] {
			t.Errorf("%s is %q, and not %q", name, got[name], want[name])
		}
	}
	if len(got) < len(want) || len(want) == 0 {
		t.Errorf("%d files and not %d", len(got), len(want))
	}
}

// Targets returns an empty directory, and one with older files.
func Targets(t testing.TB, restore func(dir string)) {
	for _, emptied := range []bool{true, false} {
		dir := t.TempDir()
		if !emptied {
			Must(t, os.MkdirAll(filepath.Join(dir, "world"), 0o755))
			Must(t, os.WriteFile(filepath.Join(dir, "world/level.dat"), []byte("older"), 0o640))
			Must(t, os.WriteFile(filepath.Join(dir, "newer.txt"), nil, 0o644))
		}
		restore(dir)
		if _, err := os.Stat(filepath.Join(dir, "newer.txt")); emptied == (err == nil) {
			t.Errorf("emptied %v: %v", emptied, err)
		}
		Must(t, os.RemoveAll(filepath.Join(dir, "newer.txt")))
	}
}
