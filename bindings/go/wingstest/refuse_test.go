package wingstest

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// Every name that a restore refuses is refused before files are removed, and costs no other member after.
func TestRefusedMembersAreKnownBeforeFilesAreRemoved(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Size: 5, Mode: 0o644} }
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeLink, Mode: 0o644}
	}
	for name, header := range map[string]tar.Header{
		"":                       link("empty link", "empty"),
		"leads out":              file("../out"),
		"/leads out":             file("/out"),
		"too long":               file(strings.Repeat("n", 256)),
		"path is too long":       file(strings.Repeat("n/", 2048) + "x"),
		"does not have the targ": link("link", "nowhere"),
	} {
		b, err := node(t, wings.Pterodactyl).Backup(id, "")
		tree.Must(t, err)
		archive, err := os.Create(b.Path())
		tree.Must(t, err)
		zipped := gzip.NewWriter(archive)
		writer := tar.NewWriter(zipped)
		empty := tar.Header{Name: "empty", Mode: 0o644}
		for _, header := range []tar.Header{file("first"), empty, header, file(tree.Odd)} {
			tree.Must(t, writer.WriteHeader(&header))
			_, err := io.WriteString(writer, "bytes"[:header.Size])
			tree.Must(t, err)
		}
		tree.Must(t, errors.Join(writer.Close(), zipped.Close(), archive.Close()))
		want, is := []string{"first", "empty", tree.Odd}, func(err error) bool {
			return errors.Is(err, wings.ErrRefused) && strings.Contains(err.Error(), strings.TrimPrefix(name, "/"))
		}
		if name == "" {
			want, is = []string{"first", "empty", "empty link", tree.Odd}, func(err error) bool { return err == nil }
		}
		if err := b.Verify(ctx, nil); !is(err) {
			t.Errorf("%q: %v", name, err)
		}
		var got []string
		into := wings.Into{File: func(name string, _ fs.FileInfo, content io.ReadCloser) error {
			got = append(got, name)
			_, err := io.Copy(io.Discard, content)
			return err
		}}
		if err := b.Restore(ctx, nil, into); !is(err) || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %q", name, err, got)
		}
	}
}
