// Package backup is a stand-in for Wings' server/backup: its interface, and the types of its adapters.
package backup

import (
	"context"
	"io"
	"io/fs"

	"github.com/wingback/wingback/bindings/go/wingstest/filesystem"
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

// PelicanInterface is the interface of Pelican, which also has the server.
type PelicanInterface interface {
	BackupInterface
	ServerId() string
}

// ArchiveDetails describe an archive for the Panel.
type ArchiveDetails struct {
	Checksum     string              `json:"checksum"`
	ChecksumType string              `json:"checksum_type"`
	Size         int64               `json:"size"`
	Parts        []remote.BackupPart `json:"parts"`
}
