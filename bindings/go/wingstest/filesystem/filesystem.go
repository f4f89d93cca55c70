// Package filesystem stands in for Wings' own.
package filesystem

// Filesystem is a server's.
type Filesystem struct{ root string }

// New gives the one of a directory.
func New(root string) *Filesystem { return &Filesystem{root} }

// Path is where it is.
func (fs *Filesystem) Path() string { return fs.root }
