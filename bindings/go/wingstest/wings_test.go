package wingstest

import (
	"archive/tar"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/pgzip"
	"github.com/mholt/archives"

	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/backup"
	"github.com/wingback/wingback/bindings/go/wingstest/config"
	"github.com/wingback/wingback/bindings/go/wingstest/filesystem"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

const (
	id     = "6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11"
	other  = "0b6c1c39-6a34-4d0e-a4f4-5d0c9d0e8a11"
	server = "1d7a6c55-21b8-4c29-8b1f-9d0f6d6f7a01"
)

var ctx = context.Background()

// The adapters have one node and one directory for the process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "wings")
	if err != nil {
		panic(err)
	}
	var c config.Configuration
	c.System.BackupDirectory = dir
	c.System.Backups.CompressionLevel = "best_speed"
	c.System.Backups.Engine = "wingback"
	config.Set(&c)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// leftOut skips the rest of a test. `what` is "the case: why", and the same in each run. tests/left-out.sh
// compares the file that WINGBACK_LEFT_OUT names with the committed list.
func leftOut(t testing.TB, what string) {
	t.Helper()
	if path := os.Getenv("WINGBACK_LEFT_OUT"); path != "" {
		list, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		_, err = list.WriteString(what + "\n")
		must(t, err)
		must(t, list.Close())
	}
	t.Skip("left out: " + what)
}

const ignore = "*.tmp\n# caches\n/cache/old\n"

func local(t *testing.T, source string) *backup.WingbackLocal {
	t.Helper()
	b := backup.NewWingbackLocal(nil, id, server, ignore)
	t.Cleanup(func() { _ = b.Remove() })
	details, err := b.Generate(ctx, filesystem.New(source), b.Ignored())
	must(t, err)
	archive, err := os.ReadFile(b.Path())
	must(t, err)
	sum := sha1.Sum(archive)
	checksum, err := b.Checksum()
	must(t, err)
	size, err := b.Size()
	must(t, err)
	if details.Checksum != hex.EncodeToString(sum[:]) || string(checksum) != string(sum[:]) ||
		details.ChecksumType != "sha1" || details.Size != int64(len(archive)) || size != details.Size {
		t.Errorf("%+v", details)
	}
	return b
}

func TestStockRestoresWhatWeMake(t *testing.T) {
	source := tree.Volume(t)
	b := local(t, source)
	for name, extract := range map[string]func(io.Reader, backup.RestoreCallback) error{
		"archives v0.1.5": func(r io.Reader, callback backup.RestoreCallback) error {
			format := archives.CompressedArchive{Compression: archives.Gz{}, Archival: archives.Tar{}, Extraction: archives.Tar{}}
			return format.Extract(ctx, r, func(_ context.Context, f archives.FileInfo) error {
				content, err := f.Open()
				if err != nil {
					return err
				}
				defer content.Close()
				return callback(f.NameInArchive, f.FileInfo, content)
			})
		},
		"pgzip and archive/tar": func(r io.Reader, callback backup.RestoreCallback) error {
			unzipped, err := pgzip.NewReader(r)
			if err != nil {
				return err
			}
			for reader := tar.NewReader(unzipped); ; {
				header, err := reader.Next()
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
				if err := callback(header.Name, header.FileInfo(), io.NopCloser(reader)); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree.Targets(t, func(dir string) {
				archive, err := os.Open(b.Path())
				must(t, err)
				defer archive.Close()
				must(t, extract(archive, tree.Writer(dir)))
				tree.Same(t, source, dir)
			})
		})
	}
}

// stock makes an archive as Wings does.
func stock(t testing.TB, source string, to io.Writer) {
	zipped, err := pgzip.NewWriterLevel(to, pgzip.BestSpeed)
	must(t, err)
	must(t, zipped.SetConcurrency(1<<20, 1))
	writer := tar.NewWriter(zipped)
	buf := make([]byte, 4<<10)
	must(t, filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		if header.Name, err = filepath.Rel(source, path); err != nil {
			return err
		}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{writer}, struct{ io.Reader }{file}, buf)
		return err
	}))
	must(t, writer.Close())
	must(t, zipped.Close())
}

func TestWeRestoreWhatStockMakes(t *testing.T) {
	source := tree.Volume(t)
	b := backup.NewWingbackLocal(nil, id, server, "")
	t.Cleanup(func() { _ = b.Remove() })
	file, err := os.Create(b.Path())
	must(t, err)
	stock(t, source, file)
	must(t, file.Close())
	must(t, b.Verify(ctx))
	tree.Targets(t, func(dir string) {
		must(t, b.Restore(ctx, nil, tree.Writer(dir)))
		tree.Same(t, source, dir)
	})
	tree.Targets(t, func(dir string) {
		archive, err := os.Open(b.Path())
		must(t, err)
		defer archive.Close()
		must(t, backup.NewWingbackS3(nil, id, server, "").Restore(ctx, archive, tree.Writer(dir)))
		tree.Same(t, source, dir)
	})
}

func TestWeRestoreWhatWeMake(t *testing.T) {
	source := tree.Volume(t)
	b := local(t, source)
	must(t, b.Verify(ctx))
	tree.Targets(t, func(dir string) {
		must(t, b.Restore(ctx, nil, tree.Writer(dir)))
		tree.Same(t, source, dir)
	})
	tree.Targets(t, func(dir string) {
		archive, err := os.Open(b.Path())
		must(t, err)
		defer archive.Close()
		must(t, backup.NewWingbackS3(nil, id, server, "").Restore(ctx, archive, tree.Writer(dir)))
		tree.Same(t, source, dir)
	})
}

func node(t *testing.T, layout wings.Layout) *wings.Node {
	t.Helper()
	node, err := wings.NewNode(wings.Config{Directory: t.TempDir(), Layout: layout})
	must(t, err)
	return node
}

func TestLinksAndDirectoriesComeBackWhereTheyAreWanted(t *testing.T) {
	b, err := node(t, wings.Pelican).Backup(id, server)
	must(t, err)
	source, dir := tree.Volume(t), t.TempDir()
	_, err = b.Generate(ctx, source, ignore)
	must(t, err)
	contents, err := b.Preflight(ctx, 0)
	must(t, err)
	if contents.Files != 5 || contents.Symlinks != 2 || contents.Directories != 4 || contents.Bytes != 1_612_014 {
		t.Errorf("%+v", contents)
	}
	if _, err := b.Preflight(ctx, contents.Bytes-1); !errors.Is(err, wingback.NoSpace) {
		t.Error(err)
	}
	_, err = b.Preflight(ctx, contents.Bytes)
	must(t, err)
	must(t, b.Restore(ctx, nil, wings.Into{
		File: wings.RestoreFunc(tree.Writer(dir)),
		Directory: func(name string, info fs.FileInfo) error {
			return os.MkdirAll(filepath.Join(dir, name), info.Mode().Perm())
		},
		Symlink: func(name, target string, _ fs.FileInfo) error {
			return os.Symlink(target, filepath.Join(dir, name))
		},
	}))
	if out, err := exec.Command("diff", "-r", "--no-dereference", "-x", "*.tmp", source, dir).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestHardLinksOfOtherArchivesAreFiles(t *testing.T) {
	b, err := node(t, wings.Pterodactyl).Backup(id, "")
	must(t, err)
	source := tree.Volume(t)
	out, err := exec.Command("tar", "-czf", b.Path(), "-C", source, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	must(t, b.Restore(ctx, nil, wings.Into{File: wings.RestoreFunc(tree.Writer(dir))}))
	tree.Same(t, source, dir)

	archive, err := os.Open(b.Path())
	must(t, err)
	defer archive.Close()
	err = b.Restore(ctx, archive, wings.Into{File: wings.RestoreFunc(tree.Writer(t.TempDir()))})
	if err == nil || !strings.Contains(err.Error(), "hard link") {
		t.Error(err)
	}
}

func TestPelicansFolderGoesWithItsLastArchive(t *testing.T) {
	n := node(t, wings.Pelican)
	one, err := n.Backup(id, server)
	must(t, err)
	two, err := n.Backup(other, server)
	must(t, err)
	source := tree.Volume(t)
	for _, b := range []*wings.Backup{one, two} {
		_, err := b.Generate(ctx, source, "")
		must(t, err)
	}
	if !strings.HasSuffix(one.Path(), "/"+server+"/"+id+".tar.gz") {
		t.Error(one.Path())
	}
	folder := filepath.Dir(one.Path())
	must(t, one.Remove())
	if _, err := os.Stat(folder); err != nil {
		t.Error(err)
	}
	must(t, two.Remove())
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := two.Remove(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// A failed backup leaves no directory, either.
	if _, err := two.Generate(ctx, "/nowhere", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestAServersLastArchiveIsRemembered(t *testing.T) {
	source := tree.Volume(t)
	copied := func(n *wings.Node, id string) uint64 {
		t.Helper()
		b, err := n.Backup(id, server)
		must(t, err)
		details, err := b.Generate(ctx, source, "")
		must(t, err)
		if len(details.Report.Warnings) != 0 {
			t.Error(details.Report.Warnings)
		}
		return details.Report.Copied
	}
	for _, layout := range []wings.Layout{wings.Pterodactyl, wings.Pelican} {
		config := wings.Config{Directory: t.TempDir(), Layout: layout}
		n, err := wings.NewNode(config)
		must(t, err)
		if n := copied(n, id); n != 0 {
			t.Errorf("the first copied %d bytes", n)
		}
		// A process that is started later can do so, too.
		n, err = wings.NewNode(config)
		must(t, err)
		if copied(n, other) == 0 {
			t.Error("nothing was copied")
		}
		config.ReadAll = true
		stubborn, err := wings.NewNode(config)
		must(t, err)
		if n := copied(stubborn, server); n != 0 {
			t.Errorf("%d bytes were copied", n)
		}
		for _, id := range []string{id, other, server} {
			b, err := n.Backup(id, server)
			must(t, err)
			must(t, b.Remove())
		}
		left, err := os.ReadDir(config.Directory)
		if err != nil || len(left) != 0 {
			t.Error(left, err)
		}
		if n := copied(n, id); n != 0 {
			t.Errorf("%d bytes were copied from nothing", n)
		}
	}
}

func TestWhatIsWrongIsSaidAtOnce(t *testing.T) {
	n := node(t, wings.Pterodactyl)
	for _, uuid := range []string{"", "..", "../" + id, id + "0", strings.ReplaceAll(id, "-", "")} {
		if _, err := n.Backup(uuid, ""); err == nil {
			t.Errorf("%q is a UUID", uuid)
		}
		b := backup.NewWingbackLocal(nil, uuid, "", "")
		if _, err := b.Generate(ctx, filesystem.New(t.TempDir()), ""); err == nil || b.Path() != "" {
			t.Errorf("%q is a UUID", uuid)
		}
	}
	for _, config := range []wings.Config{
		{}, {Directory: "/b", CompressionLevel: "hardest"}, {Directory: "/b", WriteLimit: -1},
	} {
		if _, err := wings.NewNode(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
	b, err := n.Backup(id, "")
	must(t, err)
	if _, err := b.Checksum(); !errors.Is(err, wings.ErrNotMade) {
		t.Error(err)
	}
	if err := b.Verify(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	source := tree.Volume(t)
	_, err = b.Generate(ctx, source, "")
	must(t, err)
	if _, err := b.Generate(ctx, source, ""); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	// Damage is reported before files are removed for a restore.
	archive, err := os.ReadFile(b.Path())
	must(t, err)
	archive[len(archive)/3] ^= 1
	must(t, os.WriteFile(b.Path(), archive, 0o600))
	if err := b.Verify(ctx); !errors.Is(err, wingback.Corrupt) {
		t.Error(err)
	}
}

func TestTheSwitchGivesTheStockAdapter(t *testing.T) {
	c := config.Get()
	before := *c
	t.Cleanup(func() { config.Set(&before) })
	stock := &backup.WingbackLocal{}
	give := func() backup.BackupInterface { return stock }
	if b := backup.New(backup.S3BackupAdapter, nil, id, server, "", give); b == stock {
		t.Error("the stock one")
	} else if _, is := b.(*backup.WingbackS3); !is {
		t.Errorf("%T", b)
	}
	var _ backup.PelicanInterface = (*backup.WingbackLocal)(nil)
	c.System.Backups.Engine = "stock"
	config.Set(c)
	if b := backup.New(backup.LocalBackupAdapter, nil, id, server, "", give); b != stock {
		t.Errorf("%T", b)
	}
}

// docs/wings.md contains the adapter that is compiled here.
func TestTheDocumentationHasTheAdapter(t *testing.T) {
	_, here, _, _ := runtime.Caller(0)
	doc, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../docs/wings.md"))
	must(t, err)
	code, err := os.ReadFile("backup/wingback.go")
	must(t, err)
	text := strings.NewReplacer(
		"github.com/wingback/wingback/bindings/go/wingstest/config", "github.com/pterodactyl/wings/config",
		"github.com/wingback/wingback/bindings/go/wingstest/remote", "github.com/pterodactyl/wings/remote",
		"github.com/wingback/wingback/bindings/go/wingstest/filesystem", "github.com/pterodactyl/wings/server/filesystem",
	).Replace(string(code))
	if !strings.Contains(string(doc), "```go\n"+text+"```\n") {
		t.Error("docs/wings.md has another adapter than backup/wingback.go")
	}
}
