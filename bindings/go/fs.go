//go:build linux

package wingback

import (
	"context"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// FS returns the archive as a file system. The members are listed now; a file is read when it is opened.
// ctx is used for all of that. Of several members with one path, the file system has the last one. A
// hard link is the file that it names. The archive must not change, and must not be a Stream. Members
// with paths that a file system cannot have ("/…", "..") are left out. Names are bytes: unlike other file
// systems of io/fs, this one has and opens names that are not UTF-8.
func (a *Archive) FS(ctx context.Context) (fs.FS, error) {
	if a.reader != nil {
		return nil, invalid("open the archive", "a stream can be read only once")
	}
	tree := &tree{ctx: ctx, archive: a, nodes: map[string]*node{}}
	tree.directory(".")
	var failed error
	a.Members(ctx)(func(member Member, err error) bool {
		if failed = err; err == nil {
			tree.add(member)
		}
		return err == nil
	})
	if failed != nil {
		return nil, failed
	}
	for _, node := range tree.nodes {
		slices.SortFunc(node.entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return tree, nil
}

type tree struct {
	ctx     context.Context
	archive *Archive
	nodes   map[string]*node
}

// A node is a member, as fs.FileInfo and fs.DirEntry.
type node struct {
	member  Member
	name    string
	entries []fs.DirEntry
}

func (t *tree) add(member Member) {
	name := member.Path
	if name == "" {
		name = "."
	}
	if !isValid(name) {
		return
	}
	if member.Kind == Directory {
		t.directory(name).member = member
		return
	}
	if old := t.nodes[name]; old != nil {
		// Paths are unique in the list, so this is a directory made for the path of another member.
		return
	}
	t.insert(&node{member: member, name: path.Base(name)}, name)
}

// directory returns the directory of that name. It makes those that are not members of the archive.
func (t *tree) directory(name string) *node {
	if dir := t.nodes[name]; dir != nil {
		return dir
	}
	dir := &node{member: Member{Path: name, Kind: Directory, Mode: fs.ModeDir | 0o555}, name: path.Base(name)}
	t.insert(dir, name)
	return dir
}

func (t *tree) insert(node *node, name string) {
	t.nodes[name] = node
	if name != "." {
		parent := t.directory(path.Dir(name))
		parent.entries = append(parent.entries, node)
	}
}

// isValid is fs.ValidPath for names of any bytes.
func isValid(name string) bool { return filepath.IsLocal(name) && path.Clean(name) == name }

func (t *tree) find(op, name string) (*node, error) {
	if !isValid(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	node := t.nodes[name]
	if node == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return node, nil
}

// Open opens a file. Anything without content reads as empty.
func (t *tree) Open(name string) (fs.File, error) {
	node, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if node.IsDir() {
		return &dirFile{node: node, name: name}, nil
	}
	if !node.member.Mode.IsRegular() {
		return &file{node, io.NopCloser(strings.NewReader(""))}, nil
	}
	content, err := t.archive.Open(t.ctx, name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{node, content}, nil
}

// Stat returns what the list has; it does not read the archive.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	node, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return node, nil
}

// ReadDir returns what the list has; it does not read the archive.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	node, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !node.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return slices.Clone(node.entries), nil
}

func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return n.member.Size }
func (n *node) Mode() fs.FileMode          { return n.member.Mode }
func (n *node) ModTime() time.Time         { return n.member.ModTime }
func (n *node) IsDir() bool                { return n.member.Mode.IsDir() }
func (n *node) Type() fs.FileMode          { return n.member.Mode.Type() }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }
func (n *node) String() string             { return fs.FormatFileInfo(n) }

// Sys returns the *Member.
func (n *node) Sys() any { return &n.member }

type file struct {
	*node
	io.ReadCloser
}

func (f *file) Stat() (fs.FileInfo, error) { return f.node, nil }

type dirFile struct {
	*node
	name string
	at   int
}

func (d *dirFile) Stat() (fs.FileInfo, error) { return d.node, nil }
func (d *dirFile) Close() error               { return nil }

func (d *dirFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fs.ErrInvalid}
}

func (d *dirFile) ReadDir(n int) ([]fs.DirEntry, error) {
	left := d.entries[d.at:]
	if n > 0 {
		if len(left) == 0 {
			return nil, io.EOF
		}
		left = left[:min(n, len(left))]
	}
	d.at += len(left)
	return slices.Clone(left), nil
}
