package wingstest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex/log"
	"github.com/mholt/archives"

	"github.com/pterodactyl/wings/config"
	"github.com/pterodactyl/wings/server/backup"
	"github.com/pterodactyl/wings/server/filesystem"
	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

const (
	id     = "6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11"
	other  = "0b6c1c39-6a34-4d0e-a4f4-5d0c9d0e8a11"
	server = "1d7a6c55-21b8-4c29-8b1f-9d0f6d6f7a01"
)

var ctx = context.Background()

// All adapters of the process share one engine and one directory.
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
	log.SetHandler(log.HandlerFunc(quiet))
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const ignore = "*.tmp\n# caches\n/cache/old\n"

func local(t *testing.T, source string) backup.BackupInterface {
	t.Helper()
	b := backup.WithEngine(backup.NewLocal(nil, id, ignore), server)
	t.Cleanup(func() { _ = b.Remove() })
	details, err := b.Generate(ctx, filesystem.New(source), b.Ignored())
	tree.Must(t, err)
	// Another object describes the archive in the same way.
	again, err := backup.WithEngine(backup.NewLocal(nil, id, ""), server).Details(ctx, nil)
	tree.Must(t, err)
	if details.Checksum != again.Checksum || details.ChecksumType != again.ChecksumType || details.Size != again.Size {
		t.Errorf("%+v and %+v", details, again)
	}
	return b
}

func TestStockWingsRestoresOurArchives(t *testing.T) {
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
		"pgzip and archive/tar": backup.Extract,
	} {
		t.Run(name, func(t *testing.T) {
			tree.Targets(t, func(dir string) {
				archive, err := os.Open(b.Path())
				tree.Must(t, err)
				defer archive.Close()
				tree.Must(t, extract(archive, tree.Writer(dir)))
				tree.Same(t, source, dir)
			})
		})
	}
}

func TestArchivesAreRestoredFromFilesAndStreams(t *testing.T) {
	for name, engine := range map[string]string{"of stock Wings": "stock", "of wingback": "wingback"} {
		t.Run(name, func(t *testing.T) {
			source := tree.Volume(t)
			use(t, func(c *config.Configuration) { c.System.Backups.Engine = engine })
			local(t, source)
			use(t, func(c *config.Configuration) { c.System.Backups.Engine = "wingback" })
			stock := backup.NewLocal(nil, id, "")
			verified, err := node(t, wings.Pterodactyl, config.Get().System.BackupDirectory).Backup(id, server)
			tree.Must(t, err)
			tree.Must(t, verified.Verify(ctx, nil))
			tree.Targets(t, func(dir string) {
				tree.Must(t, backup.WithEngine(stock, server).Restore(ctx, nil, tree.Writer(dir)))
				tree.Same(t, source, dir)
			})
			tree.Targets(t, func(dir string) {
				archive, err := os.Open(stock.Path())
				tree.Must(t, err)
				defer archive.Close()
				b := backup.WithEngine(backup.NewS3(nil, id, ""), server)
				tree.Must(t, b.Restore(ctx, archive, tree.Writer(dir)))
				tree.Same(t, source, dir)
			})
		})
	}
}

// use changes the configuration for the rest of the test.
func use(t *testing.T, change func(*config.Configuration)) {
	before, c := config.Get(), config.Get()
	change(c)
	config.Set(c)
	t.Cleanup(func() { config.Set(before) })
}

func node(t *testing.T, layout wings.Layout, dirs ...string) *wings.Node {
	dir := append(dirs, t.TempDir())[0]
	return wings.NewNode(func() wings.Config { return wings.Config{Directory: dir, Layout: layout} })
}

func TestSymlinksAndDirectoriesAreRestored(t *testing.T) {
	b, err := node(t, wings.Pelican).Backup(id, server)
	tree.Must(t, err)
	source, dir := tree.Volume(t), t.TempDir()
	_, err = b.Generate(ctx, source, ignore)
	tree.Must(t, err)
	contents, err := b.Preflight(ctx, 0)
	tree.Must(t, err)
	if contents.Files != 7 || contents.Symlinks != 3 || contents.Directories != 5 || contents.Bytes != 1_612_020 {
		t.Errorf("%+v", contents)
	}
	if _, err := b.Preflight(ctx, contents.Bytes-1); !errors.Is(err, wingback.NoSpace) {
		t.Error(err)
	}
	_, err = b.Preflight(ctx, contents.Bytes)
	tree.Must(t, err)
	tree.Must(t, b.Restore(ctx, nil, wings.Into{
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

func TestHardLinksOfForeignArchivesAreRestoredAsFiles(t *testing.T) {
	b, err := node(t, wings.Pterodactyl).Backup(id, "")
	tree.Must(t, err)
	source := tree.Volume(t)
	out, err := exec.Command("tar", "-czf", b.Path(), "-C", source, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	tree.Must(t, b.Restore(ctx, nil, wings.Into{File: wings.RestoreFunc(tree.Writer(dir))}))
	tree.Same(t, source, dir)

	archive, err := os.Open(b.Path())
	tree.Must(t, err)
	defer archive.Close()
	err = b.Restore(ctx, archive, wings.Into{File: wings.RestoreFunc(tree.Writer(t.TempDir()))})
	if err == nil || !strings.Contains(err.Error(), "hard link") {
		t.Error(err)
	}
}

func TestALockedArchiveIsNotRemoved(t *testing.T) {
	b, err := node(t, wings.Pelican).Backup(id, server)
	tree.Must(t, err)
	_, err = b.Generate(ctx, tree.Volume(t), "")
	tree.Must(t, err)
	_, err = wingback.File(b.Path()).Lock(ctx)
	tree.Must(t, err)
	if err := b.Remove(); err == nil || !strings.Contains(err.Error(), "has a lock") {
		t.Error(err)
	}
	if _, err := os.Stat(b.Path()); err != nil {
		t.Error(err)
	}
	_, err = wingback.File(b.Path()).Unlock(ctx)
	tree.Must(t, err)
	tree.Must(t, b.Remove())
}

func TestTheFolderOfPelicanIsRemovedWithItsLastArchive(t *testing.T) {
	n := node(t, wings.Pelican)
	one, err := n.Backup(id, server)
	tree.Must(t, err)
	two, err := n.Backup(other, server)
	tree.Must(t, err)
	source := tree.Volume(t)
	for _, b := range []*wings.Backup{one, two} {
		_, err := b.Generate(ctx, source, "")
		tree.Must(t, err)
	}
	if !strings.HasSuffix(one.Path(), "/"+server+"/"+id+".tar.gz") {
		t.Error(one.Path())
	}
	folder := filepath.Dir(one.Path())
	tree.Must(t, one.Remove())
	if _, err := os.Stat(folder); err != nil {
		t.Error(err)
	}
	tree.Must(t, two.Remove())
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

func TestABackupReusesTheLastArchiveOfItsServer(t *testing.T) {
	source := tree.Volume(t)
	copied := func(n *wings.Node, id string) uint64 {
		t.Helper()
		b, err := n.Backup(id, server)
		tree.Must(t, err)
		details, err := b.Generate(ctx, source, "")
		tree.Must(t, err)
		if len(details.Report.Warnings) != 0 {
			t.Error(details.Report.Warnings)
		}
		return details.Report.Copied
	}
	for _, layout := range []wings.Layout{wings.Pterodactyl, wings.Pelican} {
		config := wings.Config{Directory: t.TempDir(), Layout: layout}
		n := wings.NewNode(func() wings.Config { return config })
		if n := copied(n, id); n != 0 {
			t.Errorf("the first backup copied %d bytes", n)
		}
		// A process that is started later can do so, too.
		n = wings.NewNode(func() wings.Config { return config })
		if copied(n, other) == 0 {
			t.Error("nothing was copied")
		}
		config.ReadAll = true
		if n := copied(n, server); n != 0 {
			t.Errorf("%d bytes were copied", n)
		}
		config.ReadAll = false
		for _, id := range []string{id, other, server} {
			b, err := n.Backup(id, server)
			tree.Must(t, err)
			tree.Must(t, b.Remove())
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

func TestInvalidArgumentsAreRejectedEarly(t *testing.T) {
	n := node(t, wings.Pterodactyl)
	for _, uuid := range []string{"", "..", "../" + id, id + "0", strings.ReplaceAll(id, "-", "")} {
		if _, err := n.Backup(uuid, ""); err == nil {
			t.Errorf("%q is a UUID", uuid)
		}
		if _, _, err := backup.BeginBackup(backup.NewLocal(nil, uuid, ""), server); err == nil {
			t.Errorf("%q is a UUID", uuid)
		}
		b := backup.WithEngine(backup.NewLocal(nil, uuid, ""), server)
		if _, err := b.Generate(ctx, filesystem.New(t.TempDir()), ""); err == nil {
			t.Errorf("%q is a UUID", uuid)
		}
	}
	if _, err := wings.NewNode(func() wings.Config { return wings.Config{} }).Backup(id, ""); err == nil {
		t.Error("a node without a directory")
	}
	b, err := n.Backup(id, "")
	tree.Must(t, err)
	if err := b.Verify(ctx, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	_, err = b.Generate(ctx, tree.Volume(t), "")
	tree.Must(t, err)
	// Damage is reported before a restore removes files.
	archive, err := os.ReadFile(b.Path())
	tree.Must(t, err)
	archive[len(archive)/3] ^= 1
	tree.Must(t, os.WriteFile(b.Path(), archive, 0o600))
	if err := b.Verify(ctx, nil); !errors.Is(err, wingback.Corrupt) {
		t.Error(err)
	}
}
