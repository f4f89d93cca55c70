// Package backup is a stand-in for Wings' package: its interface, and adapters with the methods and fields
// of its own.
package backup

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/apex/log"

	"github.com/pterodactyl/wings/config"
	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/server/filesystem"
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

// ToRequest returns the notification for the Panel.
func (d *ArchiveDetails) ToRequest(successful bool) remote.BackupRequest {
	return remote.BackupRequest{
		Checksum: d.Checksum, ChecksumType: d.ChecksumType, Size: d.Size, Successful: successful, Parts: d.Parts,
	}
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
	archive, err := os.Open(b.Path())
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	sum := sha1.New()
	// Wings reads 4 KiB at a time.
	_, err = io.CopyBuffer(sum, struct{ io.Reader }{archive}, make([]byte, 4<<10))
	return sum.Sum(nil), err
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
