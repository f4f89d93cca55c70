// Package backup is a stand-in for Wings' server/backup: its interface, and adapters with the methods and
// fields of its own.
package backup

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wingback/wingback/bindings/go/wingstest/config"
	"github.com/wingback/wingback/bindings/go/wingstest/filesystem"
	"github.com/wingback/wingback/bindings/go/wingstest/log"
	"github.com/wingback/wingback/bindings/go/wingstest/remote"
)

// AdapterType is the kind of destination of a backup.
type AdapterType string

// The adapters.
const (
	LocalBackupAdapter AdapterType = "wings"
	S3BackupAdapter    AdapterType = "s3"
)

// RestoreCallback writes one file.
type RestoreCallback func(file string, info fs.FileInfo, r io.ReadCloser) error

// BackupInterface is an adapter.
type BackupInterface interface {
	SetClient(remote.Client)
	Identifier() string
	WithLogContext(map[string]interface{})
	Generate(context.Context, *filesystem.Filesystem, string) (*ArchiveDetails, error)
	Ignored() string
	Checksum() ([]byte, error)
	Size() (int64, error)
	Path() string
	Details(context.Context, []remote.BackupPart) (*ArchiveDetails, error)
	Remove() error
	Restore(context.Context, io.Reader, RestoreCallback) error
}

// ArchiveDetails describe an archive for the Panel.
type ArchiveDetails struct {
	Checksum     string              `json:"checksum"`
	ChecksumType string              `json:"checksum_type"`
	Size         int64               `json:"size"`
	Parts        []remote.BackupPart `json:"parts"`
}

// Backup is the common part of the adapters.
type Backup struct {
	Uuid, Ignore string
	client       remote.Client
	adapter      AdapterType
	logContext   map[string]interface{}
}

// SetClient sets the client of the Panel.
func (b *Backup) SetClient(c remote.Client) { b.client = c }

// Identifier returns the UUID.
func (b *Backup) Identifier() string { return b.Uuid }

// Ignored returns the patterns of the request.
func (b *Backup) Ignored() string { return b.Ignore }

// Path returns the path of the archive.
func (b *Backup) Path() string {
	return filepath.Join(config.Get().System.BackupDirectory, b.Uuid+".tar.gz")
}

// Size returns the size of the archive.
func (b *Backup) Size() (int64, error) {
	info, err := os.Stat(b.Path())
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Checksum returns the SHA-1 of the archive.
func (b *Backup) Checksum() ([]byte, error) {
	archive, err := os.ReadFile(b.Path())
	sum := sha1.Sum(archive)
	return sum[:], err
}

// Details returns the details of the archive.
func (b *Backup) Details(_ context.Context, parts []remote.BackupPart) (*ArchiveDetails, error) {
	sum, err := b.Checksum()
	if err != nil {
		return nil, err
	}
	size, err := b.Size()
	return &ArchiveDetails{hex.EncodeToString(sum), "sha1", size, parts}, err
}

func (b *Backup) log() *log.Entry {
	entry := log.WithField("backup", b.Identifier()).WithField("adapter", b.adapter)
	for key, value := range b.logContext {
		entry = entry.WithField(key, value)
	}
	return entry
}

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

// S3Backup keeps archives in a bucket.
type S3Backup struct{ Backup }

// NewS3 returns a backup in a bucket.
func NewS3(client remote.Client, uuid, ignore string) *S3Backup {
	return &S3Backup{Backup{client: client, Uuid: uuid, Ignore: ignore, adapter: S3BackupAdapter}}
}

// WithLogContext sets fields of the log.
func (b *S3Backup) WithLogContext(c map[string]interface{}) { b.logContext = c }

// Remove removes the archive that is uploaded.
func (b *S3Backup) Remove() error { return os.Remove(b.Path()) }

// Generate is not a part of the stand-in.
func (b *S3Backup) Generate(context.Context, *filesystem.Filesystem, string) (*ArchiveDetails, error) {
	panic("the stand-in uploads nothing")
}

// Restore restores an archive.
func (b *S3Backup) Restore(_ context.Context, r io.Reader, callback RestoreCallback) error {
	return Extract(r, callback)
}
