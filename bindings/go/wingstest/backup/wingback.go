package backup

import (
	"context"
	"io"
	"sync"

	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/config"
	"github.com/wingback/wingback/bindings/go/wingstest/filesystem"
	"github.com/wingback/wingback/bindings/go/wingstest/remote"
)

// All backups of the daemon share one engine and one write limit. WingbackBinary may be set to the command,
// from go:embed, before CheckWingback. Otherwise the command is found in PATH.
var (
	WingbackBinary []byte
	WingbackLayout = wings.Pterodactyl // or wings.Pelican

	wingbackEngine = sync.OnceValue(func() *wingback.Engine {
		return wingback.NewEngine(wingback.Options{Embedded: WingbackBinary})
	})
	// The configuration is read for each backup.
	wingbackNode = wings.NewNode(func() wings.Config {
		system := config.Get().System
		return wings.Config{
			Engine:           wingbackEngine(),
			Directory:        system.BackupDirectory,
			Layout:           WingbackLayout,
			CompressionLevel: system.Backups.CompressionLevel,
			WriteLimit:       system.Backups.WriteLimit,
		}
	})
)

func usesWingback() bool { return config.Get().System.Backups.Engine == "wingback" }

// CheckWingback starts the engine if the configuration selects it. Call it when Wings starts, and log the
// error: without the command, every backup fails.
func CheckWingback(ctx context.Context) error {
	if !usesWingback() {
		return nil
	}
	return wingbackNode.Check(ctx)
}

// WithEngine returns the adapter of the configured engine for one of Wings' own adapters.
func WithEngine(stock BackupInterface, server string) BackupInterface {
	if usesWingback() {
		switch stock := stock.(type) {
		case *LocalBackup:
			return &WingbackLocal{stock, server}
		case *S3Backup:
			return &WingbackS3{stock, server}
		}
	}
	return stock
}

// BeginBackup is WithEngine for the request for a new backup. If the backup exists or is being made, the
// error is os.ErrExist. The Panel must then not be notified, because that would end the other request.
// Call `end` after the Panel has been notified of the result.
func BeginBackup(stock BackupInterface, server string) (adapter BackupInterface, end func(), err error) {
	if !usesWingback() {
		return stock, func() {}, nil
	}
	archive, err := wingbackNode.Backup(stock.Identifier(), server)
	if err != nil {
		return nil, nil, err
	}
	end, err = archive.Claim()
	return WithEngine(stock, server), end, err
}

// VerifyBeforeRestore returns an error if a local archive is damaged, or has a member that a restore
// refuses. Call it before the files of a server are removed. It reads the whole archive.
func VerifyBeforeRestore(ctx context.Context, stock BackupInterface, server string) error {
	if _, local := WithEngine(stock, server).(*WingbackLocal); !local {
		return nil
	}
	archive, err := wingbackNode.Backup(stock.Identifier(), server)
	if err != nil {
		return err
	}
	return archive.Verify(ctx)
}

// WingbackLocal makes and restores archives on this machine. Other methods are Wings' own.
type WingbackLocal struct {
	*LocalBackup
	server string
}

var _ BackupInterface = (*WingbackLocal)(nil)

func (b *WingbackLocal) Generate(ctx context.Context, fsys *filesystem.Filesystem, ignore string) (*ArchiveDetails, error) {
	archive, err := wingbackNode.Backup(b.Identifier(), b.server)
	if err != nil {
		return nil, err
	}
	b.log().WithField("path", b.Path()).Info("creating backup for server")
	details, err := archive.Generate(ctx, fsys.Path(), ignore)
	if err != nil {
		return nil, err
	}
	return b.created(details), nil
}

func (b *WingbackLocal) Restore(ctx context.Context, _ io.Reader, callback RestoreCallback) error {
	archive, err := wingbackNode.Backup(b.Identifier(), b.server)
	if err != nil {
		return err
	}
	return archive.Restore(ctx, nil, wings.Into{File: wings.RestoreFunc(callback)})
}

func (b *WingbackLocal) Remove() error {
	archive, err := wingbackNode.Backup(b.Identifier(), b.server)
	if err != nil {
		return err
	}
	return archive.Remove()
}

// WingbackS3 uploads archives through the Panel's URLs while they are made. Other methods are Wings' own.
type WingbackS3 struct {
	*S3Backup
	server string
}

var _ BackupInterface = (*WingbackS3)(nil)

func (b *WingbackS3) Generate(ctx context.Context, fsys *filesystem.Filesystem, ignore string) (*ArchiveDetails, error) {
	archive, err := wingbackNode.Backup(b.Identifier(), b.server)
	if err != nil {
		return nil, err
	}
	b.log().Info("creating backup for server")
	details, err := archive.Upload(ctx, fsys.Path(), ignore, func(ctx context.Context, size int64) (wingback.PartURLs, error) {
		urls, err := b.client.GetBackupRemoteUploadURLs(ctx, b.Identifier(), size)
		return wingback.PartURLs{
			URLs:     urls.Parts,
			PartSize: uint64(urls.PartSize),
			Transfer: wingback.Transfer{Parallel: urls.MaxConcurrentUploads},
		}, err
	})
	if err != nil {
		return nil, err
	}
	return b.created(details), nil
}

func (b *WingbackS3) Restore(ctx context.Context, r io.Reader, callback RestoreCallback) error {
	archive, err := wingbackNode.Backup(b.Identifier(), b.server)
	if err != nil {
		return err
	}
	return archive.Restore(ctx, r, wings.Into{File: wings.RestoreFunc(callback)})
}

// created logs the result, and returns what Wings reports to the Panel.
func (b *Backup) created(made *wings.Details) *ArchiveDetails {
	report, warnings := made.Report, 0
	for _, skipped := range report.Skipped {
		if skipped.Loss && warnings < 10 {
			warnings++
			b.log().WithField("path", skipped.Path).WithField("reason", skipped.Message).Warn("the backup does not have a file")
		}
	}
	b.log().WithField("size", made.Size).
		WithField("skipped", uint64(len(report.Skipped))+report.SkippedMore).
		WithField("took", report.Duration).
		Info("created backup successfully")
	details := &ArchiveDetails{Checksum: made.Checksum, ChecksumType: made.ChecksumType, Size: made.Size}
	for _, part := range made.Parts {
		details.Parts = append(details.Parts, remote.BackupPart{ETag: part.ETag, PartNumber: part.Number})
	}
	return details
}
