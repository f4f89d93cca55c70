// Package filesystem is a stand-in for Wings' package.
package filesystem

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Filesystem is the directory of a server.
type Filesystem struct{ root string }

// New returns the file system of a directory.
func New(root string) *Filesystem { return &Filesystem{root} }

// Path returns the path of the directory.
func (fs *Filesystem) Path() string { return fs.root }

// TruncateRootDirectory removes all files.
func (fs *Filesystem) TruncateRootDirectory() error {
	if err := os.RemoveAll(fs.root); err != nil {
		return err
	}
	return os.Mkdir(fs.root, 0o755)
}

// Write writes a file of this size.
func (fs *Filesystem) Write(name string, r io.Reader, size int64, mode fs.FileMode) error {
	path := filepath.Join(fs.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer file.Close()
	if n, err := io.Copy(file, r); err != nil || n != size {
		return fmt.Errorf("%s has %d bytes and not %d: %w", name, n, size, err)
	}
	return nil
}

// Chtimes sets the times of a file.
func (fs *Filesystem) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(filepath.Join(fs.root, name), atime, mtime)
}
