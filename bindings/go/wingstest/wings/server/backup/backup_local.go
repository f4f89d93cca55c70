package backup

import (
	"context"
	"io"
	"os"

	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/server/filesystem"
)

// LocalBackup keeps archives on this machine.
type LocalBackup struct{ Backup }

// NewLocal returns a local backup.
func NewLocal(client remote.Client, uuid, ignore string) *LocalBackup {
	return &LocalBackup{Backup{client: client, Uuid: uuid, Ignore: ignore, adapter: LocalBackupAdapter}}
}

// LocateLocal finds an archive.
func LocateLocal(client remote.Client, uuid string) (*LocalBackup, os.FileInfo, error) {
	b := NewLocal(client, uuid, "")
	info, err := os.Stat(b.Path())
	return b, info, err
}

// WithLogContext sets fields of the log.
func (b *LocalBackup) WithLogContext(c map[string]interface{}) { b.logContext = c }

// Remove removes the archive.
func (b *LocalBackup) Remove() error { return os.Remove(b.Path()) }

// Generate makes the archive.
func (b *LocalBackup) Generate(ctx context.Context, fsys *filesystem.Filesystem, _ string) (*ArchiveDetails, error) {
	file, err := os.Create(b.Path())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := Archive(fsys.Path(), file); err != nil {
		return nil, err
	}
	return b.Details(ctx, nil)
}

// Restore restores the archive.
func (b *LocalBackup) Restore(_ context.Context, _ io.Reader, callback RestoreCallback) error {
	archive, err := os.Open(b.Path())
	if err != nil {
		return err
	}
	defer archive.Close()
	return Extract(archive, callback)
}
