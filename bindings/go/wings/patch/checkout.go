package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

const (
	module  = "github.com/wingback/wingback/bindings/go"
	version = "v0.1.0"
)

// The new files, at their paths in the checkout. They are written for Pterodactyl.
//
//go:embed files
var files embed.FS

const pterodactyl = "github.com/pterodactyl/wings"

// The layouts of archives, by the module paths of the forks.
var layouts = map[string]string{
	pterodactyl:                    "Pterodactyl",
	"github.com/pelican/wings":     "Pelican",
	"github.com/pelican-dev/wings": "Pelican",
}

// A checkout is a directory with the source of Wings, and its new content.
type checkout struct {
	dir    string
	module string
	// The new content of changed files, by their paths below the directory.
	changed map[string][]byte
	log     []string
}

func open(dir string) (*checkout, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("%s is not a checkout of Wings: %w", dir, err)
	}
	found := regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`).FindSubmatch(text)
	if found == nil || layouts[string(found[1])] == "" {
		return nil, fmt.Errorf("%s is not a checkout of Wings: go.mod has none of the module paths that are known", dir)
	}
	return &checkout{dir: dir, module: string(found[1]), changed: map[string][]byte{}}, nil
}

// read returns the content of a file, with the changes so far.
func (c *checkout) read(name string) ([]byte, error) {
	if text, is := c.changed[name]; is {
		return text, nil
	}
	return os.ReadFile(filepath.Join(c.dir, name))
}

func (c *checkout) set(name string, text []byte, what string) {
	c.changed[name] = text
	c.log = append(c.log, name+": "+what)
}

// addFiles adds the files of the adapter.
func (c *checkout) addFiles() error {
	return fs.WalkDir(files, "files", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		replaced := strings.NewReplacer(
			pterodactyl, c.module, "wings.Pterodactyl", "wings."+layouts[c.module],
		).Replace(string(text))
		text, err = format.Source([]byte(replaced))
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "files/"), ".txt")
		before, err := c.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.set(name, text, "new file")
		case err != nil:
			return err
		case !bytes.Equal(before, text):
			c.set(name, text, "replaced by the file of this version")
		}
		return nil
	})
}

// require adds the module to go.mod. If `replace` is not empty, the module is taken from that directory.
func (c *checkout) require(replace string) error {
	before, err := c.read("go.mod")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "wings-patch")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "go.mod")
	if err := os.WriteFile(copied, before, 0o600); err != nil {
		return err
	}
	args := []string{"mod", "edit", "-require=" + module + "@" + version}
	if replace != "" {
		absolute, err := filepath.Abs(replace)
		if err != nil {
			return err
		}
		args = append(args, "-replace="+module+"="+absolute)
	}
	if text, err := exec.Command("go", append(args, copied)...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, text)
	}
	after, err := os.ReadFile(copied)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		c.set("go.mod", after, "requires "+module)
	}
	return nil
}

// write writes all changes, and prints them.
func (c *checkout) write(out io.Writer) error {
	var names []string
	for name := range c.changed {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(c.dir, name), c.changed[name], 0o644); err != nil {
			return err
		}
	}
	if len(c.log) == 0 {
		c.log = []string{"nothing to change"}
	}
	_, err := fmt.Fprintf(out, "%s\n", strings.Join(c.log, "\n"))
	return err
}
