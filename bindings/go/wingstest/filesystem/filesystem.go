// Package filesystem replaces Wings' own.
package filesystem

// Filesystem is the file system of a server.
type Filesystem struct{ root string }

// New returns the file system of a directory.
func New(root string) *Filesystem { return &Filesystem{root} }

// Path returns its directory.
func (fs *Filesystem) Path() string { return fs.root }
