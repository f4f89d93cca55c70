package backup

import (
	"context"
	"io"
	"os"
	"sync"

	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/config"
	"github.com/wingback/wingback/bindings/go/wingstest/filesystem"
	"github.com/wingback/wingback/bindings/go/wingstest/remote"
)

// All backups of the daemon share one node and its limits. WingbackBinary may be set to the command, from
// go:embed, before the first backup. Otherwise the command is found in PATH.
var (
	WingbackBinary []byte
	WingbackLayout = wings.Pterodactyl // or wings.Pelican

	wingbackNode = sync.OnceValues(func() (*wings.Node, error) {
		system := config.Get().System
		return wings.NewNode(wings.Config{
			Engine:           wingback.NewEngine(wingback.Options{Embedded: WingbackBinary}),
			Directory:        system.BackupDirectory,
			Layout:           WingbackLayout,
			CompressionLevel: system.Backups.CompressionLevel,
			WriteLimit:       system.Backups.WriteLimit,
		})
	})
)

// wingbackBackup is the common part of the two adapters.
type wingbackBackup struct {
	uuid, server, ignore string
	client               remote.Client
	archive              *wings.Backup
	err                  error // the UUID or the configuration is not valid
}

func newWingback(client remote.Client, uuid, server, ignore string) wingbackBackup {
	b := wingbackBackup{uuid: uuid, server: server, ignore: ignore, client: client}
	var node *wings.Node
	if node, b.err = wingbackNode(); b.err == nil {
		b.archive, b.err = node.Backup(uuid, server)
	}
	return b
}

func (b *wingbackBackup) SetClient(c remote.Client)             { b.client = c }
func (b *wingbackBackup) Identifier() string                    { return b.uuid }
func (b *wingbackBackup) ServerId() string                      { return b.server }
func (b *wingbackBackup) Ignored() string                       { return b.ignore }
func (b *wingbackBackup) WithLogContext(map[string]interface{}) {}

func (b *wingbackBackup) Path() string {
	if b.err != nil {
		return ""
	}
	return b.archive.Path()
}

func (b *wingbackBackup) Checksum() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.archive.Checksum()
}

func (b *wingbackBackup) Size() (int64, error) {
	if b.err != nil {
		return 0, b.err
	}
	return b.archive.Size()
}

func (b *wingbackBackup) Details(_ context.Context, parts []remote.BackupPart) (*ArchiveDetails, error) {
	if b.err != nil {
		return nil, b.err
	}
	details, err := b.archive.Details()
	if err != nil {
		return nil, err
	}
	return archiveDetails(details, parts), nil
}

func archiveDetails(d *wings.Details, parts []remote.BackupPart) *ArchiveDetails {
	for _, part := range d.Parts {
		parts = append(parts, remote.BackupPart{ETag: part.ETag, PartNumber: part.Number})
	}
	return &ArchiveDetails{Checksum: d.Checksum, ChecksumType: d.ChecksumType, Size: d.Size, Parts: parts}
}

func (b *wingbackBackup) Remove() error {
	if b.err != nil {
		return b.err
	}
	return b.archive.Remove()
}

// Verify checks the archive. Call it before the files of a server are removed.
func (b *wingbackBackup) Verify(ctx context.Context) error {
	if b.err != nil {
		return b.err
	}
	return b.archive.Verify(ctx)
}

// WingbackLocal keeps archives on this machine.
type WingbackLocal struct{ wingbackBackup }

var _ BackupInterface = (*WingbackLocal)(nil)

func NewWingbackLocal(client remote.Client, uuid, server, ignore string) *WingbackLocal {
	return &WingbackLocal{newWingback(client, uuid, server, ignore)}
}

// LocateWingbackLocal finds an archive of wingback or of Wings.
func LocateWingbackLocal(client remote.Client, uuid, server string) (*WingbackLocal, os.FileInfo, error) {
	b := NewWingbackLocal(client, uuid, server, "")
	if b.err != nil {
		return nil, nil, b.err
	}
	info, err := b.archive.Locate()
	if err != nil {
		return nil, nil, err
	}
	return b, info, nil
}

func (b *WingbackLocal) Generate(ctx context.Context, fsys *filesystem.Filesystem, ignore string) (*ArchiveDetails, error) {
	if b.err != nil {
		return nil, b.err
	}
	details, err := b.archive.Generate(ctx, fsys.Path(), ignore)
	if err != nil {
		return nil, err
	}
	return archiveDetails(details, nil), nil
}

func (b *WingbackLocal) Restore(ctx context.Context, _ io.Reader, callback RestoreCallback) error {
	if b.err != nil {
		return b.err
	}
	return b.archive.Restore(ctx, nil, wings.Into{File: wings.RestoreFunc(callback)})
}

// WingbackS3 uploads archives through the Panel's URLs while they are made.
type WingbackS3 struct{ wingbackBackup }

var _ BackupInterface = (*WingbackS3)(nil)

func NewWingbackS3(client remote.Client, uuid, server, ignore string) *WingbackS3 {
	return &WingbackS3{newWingback(client, uuid, server, ignore)}
}

func (b *WingbackS3) Generate(ctx context.Context, fsys *filesystem.Filesystem, ignore string) (*ArchiveDetails, error) {
	if b.err != nil {
		return nil, b.err
	}
	details, err := b.archive.Upload(ctx, fsys.Path(), ignore, func(ctx context.Context, size int64) ([]string, int64, error) {
		urls, err := b.client.GetBackupRemoteUploadURLs(ctx, b.uuid, size)
		return urls.Parts, urls.PartSize, err
	})
	if err != nil {
		return nil, err
	}
	return archiveDetails(details, nil), nil
}

// Remove does nothing, because no archive is on this machine.
func (b *WingbackS3) Remove() error { return b.err }

func (b *WingbackS3) Restore(ctx context.Context, r io.Reader, callback RestoreCallback) error {
	if b.err != nil {
		return b.err
	}
	return b.archive.Restore(ctx, r, wings.Into{File: wings.RestoreFunc(callback)})
}

// New returns the adapter that system.backups.engine sets: one of wingback, or the result of stock.
func New(kind AdapterType, client remote.Client, uuid, server, ignore string, stock func() BackupInterface) BackupInterface {
	switch {
	case config.Get().System.Backups.Engine != "wingback":
		return stock()
	case kind == S3BackupAdapter:
		return NewWingbackS3(client, uuid, server, ignore)
	default:
		return NewWingbackLocal(client, uuid, server, ignore)
	}
}
