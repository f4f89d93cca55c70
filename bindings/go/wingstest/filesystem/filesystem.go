// Package filesystem is a stand-in for Wings' package.
package filesystem

// Filesystem is the directory of a server.
type Filesystem struct{ root string }

// New returns the file system of a directory.
func New(root string) *Filesystem { return &Filesystem{root} }

// Path returns the path of the directory.
func (fs *Filesystem) Path() string { return fs.root }
