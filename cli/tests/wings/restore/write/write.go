// Package write writes an entry of an archive as Wings' file system does.
package write

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Entry writes an entry of any kind as a file.
func Entry(dir, name string, info fs.FileInfo, content io.Reader) error {
	path := filepath.Join(dir, name)
	if at, err := os.Lstat(path); err == nil && at.IsDir() {
		return fmt.Errorf("%s: is a directory", name)
	}
	if info.IsDir() {
		return fmt.Errorf("%s: a directory cannot be written as a file", name)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer file.Close()
	if n, err := io.Copy(file, content); err != nil || n != info.Size() {
		return fmt.Errorf("%s: %d of %d bytes: %v", name, n, info.Size(), err)
	}
	if err := file.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}
