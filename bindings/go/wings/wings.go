// Package wings makes and restores backups for the adapters of Pterodactyl's and Pelican's Wings. Its
// types depend only on the standard library. docs/wings.md has the adapters.
//
//	node, err := wings.NewNode(wings.Config{Directory: "/var/lib/pterodactyl/backups"})
//	backup, err := node.Backup(uuid, "")
//	details, err := backup.Generate(ctx, "/var/lib/pterodactyl/volumes/…", ignore)
package wings

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	wingback "github.com/wingback/wingback/bindings/go"
)

// Layout is the place of archives below the backup directory.
type Layout int

const (
	// Pterodactyl has {uuid}.tar.gz.
	Pterodactyl Layout = iota
	// Pelican has {server}/{uuid}.tar.gz.
	Pelican
)

// Config configures a node. Most values come from the config.yml of Wings.
type Config struct {
	// Engine runs the jobs; nil for wingback.Default.
	Engine *wingback.Engine
	// Directory is system.backup_directory.
	Directory string
	Layout    Layout
	// CompressionLevel is system.backups.compression_level: "none", "best_speed" or "best_compression".
	// Empty is "best_speed".
	CompressionLevel string
	// Encoder compresses; see wingback.Backup.Encoder.
	Encoder wingback.Encoder
	// WriteLimit is system.backups.write_limit: the limit for all backups together, in MiB per second; 0
	// means no limit.
	WriteLimit int
	// Slots limit how many backups run at once; nil for no limit.
	Slots *wingback.Slots
	// ReadAll reads all files for each backup. Otherwise unchanged data is copied from the server's last
	// local backup; the archive has the same bytes either way.
	ReadAll bool
	// TrustMtime treats a file with an unchanged mtime as unchanged even if its ctime is new. Wings sets
	// the owner of all files at each start of a server, which makes every ctime new.
	TrustMtime bool
	// Cache keeps the last archive of each server for the next backup, if archives go to S3.
	Cache wingback.Cache
	// OnProgress is called with the progress of a backup, on the goroutine that makes it.
	OnProgress func(uuid string, progress wingback.Progress)
}

// A Node makes and restores the backups of its servers. A daemon has one, so that all backups share its
// limits.
type Node struct {
	config Config
	level  wingback.Level
	limit  *wingback.Limiter
}

// NewNode checks the configuration and returns a node. It starts nothing.
func NewNode(config Config) (*Node, error) {
	if config.Directory == "" {
		return nil, errors.New("wings: Config.Directory is empty")
	}
	levels := map[string]wingback.Level{
		"": wingback.Fast, "best_speed": wingback.Fast,
		"none": wingback.Uncompressed, "best_compression": wingback.Best,
	}
	level, known := levels[config.CompressionLevel]
	if !known {
		return nil, fmt.Errorf("wings: the compression level %q is unknown", config.CompressionLevel)
	}
	node := &Node{config: config, level: level, limit: wingback.NewLimiter(0)}
	return node, node.SetWriteLimit(config.WriteLimit)
}

// SetWriteLimit changes the write limit, also for running backups. It is in MiB per second; 0 means no
// limit.
func (n *Node) SetWriteLimit(mebibytes int) error {
	if mebibytes < 0 {
		return fmt.Errorf("wings: the write limit of %d MiB per second is negative", mebibytes)
	}
	n.limit.SetRate(uint64(mebibytes) << 20)
	return nil
}

// A Backup is a backup of a server. It may exist already.
type Backup struct {
	node         *Node
	uuid, server string

	mu     sync.Mutex
	report *wingback.Report
}

// Details are what Wings reports about a backup to the Panel.
type Details struct {
	Checksum     string // in hexadecimal
	ChecksumType string // "sha1"
	Size         int64
	Parts        []wingback.Part
	// Report is the whole report of the backup.
	Report *wingback.Report
}

// Backup returns the backup with this UUID. `server` is the UUID of the server; only Pelican's layout
// needs it.
func (n *Node) Backup(uuid, server string) (*Backup, error) {
	uuid = strings.ToLower(uuid)
	if !isUUID(uuid) {
		return nil, fmt.Errorf("wings: the backup's identifier %q is not a UUID", uuid)
	}
	if n.config.Layout == Pelican && !isUUID(strings.ToLower(server)) {
		return nil, fmt.Errorf("wings: the server's identifier %q is not a UUID", server)
	}
	return &Backup{node: n, uuid: uuid, server: server}, nil
}

// isUUID reports whether text is a UUID in the form that the Panel uses.
func isUUID(text string) bool {
	for i, c := range []byte(text) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
				return false
			}
		}
	}
	return len(text) == 36
}

// Path returns the path of the archive. The archive need not exist.
func (b *Backup) Path() string {
	return filepath.Join(b.dir(), b.uuid+".tar.gz")
}

func (b *Backup) dir() string {
	if b.node.config.Layout == Pelican {
		return filepath.Join(b.node.config.Directory, b.server)
	}
	return b.node.config.Directory
}

func (b *Backup) job(source, ignore string) wingback.Backup {
	config := b.node.config
	job := wingback.Backup{
		Source: source, UUID: b.uuid,
		// If the request had no patterns, Wings has read the ignore file itself.
		IgnoreFile: wingback.NoIgnoreFile,
		Rules:      wingback.WingsRules,
		Profile:    wingback.WingsProfile,
		Label:      b.server,
		Level:      b.node.level,
		Encoder:    config.Encoder,
		WriteLimit: b.node.limit,
		TrustMtime: config.TrustMtime,
		Slots:      config.Slots,
		Engine:     config.Engine,
	}
	if ignore != "" {
		job.Exclude = []string{ignore}
	}
	if report := config.OnProgress; report != nil {
		job.OnProgress = func(progress wingback.Progress) { report(b.uuid, progress) }
	}
	return job
}

// Generate makes the archive of a server's directory. `ignore` has exclude patterns, which match as in
// Wings. The archive gets its name when it is complete.
func (b *Backup) Generate(ctx context.Context, source, ignore string) (*Details, error) {
	job, latest := b.job(source, ignore), b.latest(source)
	if b.node.config.ReadAll {
		return b.generate(ctx, job)
	}
	if _, err := os.Stat(latest); err == nil {
		job.Previous.File = latest
	}
	details, err := b.generate(ctx, job)
	if err == nil {
		b.remember(latest)
	}
	return details, err
}

func (b *Backup) generate(ctx context.Context, job wingback.Backup) (*Details, error) {
	// The engine makes the directory, and syncs it.
	report, err := job.Run(ctx, wingback.LocalStore{Dir: b.dir(), Names: "{uuid}.tar.gz"})
	if err != nil {
		b.removeEmptyDir()
		return nil, err
	}
	return b.made(report), nil
}

// latest returns the path of the symlink to the last archive of a server. Wings names the directory of a
// server after its UUID.
func (b *Backup) latest(source string) string {
	return filepath.Join(b.dir(), "."+filepath.Base(filepath.Clean(source))+".latest")
}

// remember sets the symlink to this backup. If that fails, the next backup reads all files.
func (b *Backup) remember(latest string) {
	fresh := latest + "-" + b.uuid
	if os.Symlink(filepath.Base(b.Path()), fresh) == nil && os.Rename(fresh, latest) != nil {
		_ = os.Remove(fresh)
	}
}

// forget removes the symlink if it points to this backup.
func (b *Backup) forget() {
	links, _ := filepath.Glob(filepath.Join(b.dir(), ".*.latest"))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == filepath.Base(b.Path()) {
			_ = os.Remove(link)
		}
	}
}

// AskFunc asks the Panel for the part URLs of an archive of at most `size` bytes. It is called once,
// because each call begins an upload.
type AskFunc func(ctx context.Context, size int64) (urls []string, partSize int64, err error)

// Upload makes the archive and uploads its parts at the same time. Nothing is written to a disk, unless
// parts are over 256 MiB; they are then written to the backup directory. The Panel gets an upper bound of
// the size, so some URLs may stay unused.
func (b *Backup) Upload(ctx context.Context, source, ignore string, ask AskFunc) (*Details, error) {
	job := b.job(source, ignore)
	job.Cache = b.node.config.Cache
	estimate, err := job.Estimate(ctx)
	if err != nil {
		return nil, err
	}
	urls, err := b.ask(ctx, ask, int64(estimate.ArchiveMax))
	if err != nil {
		return nil, err
	}
	report, err := job.Send(ctx, urls)
	if err != nil {
		return nil, err
	}
	return b.made(report), nil
}

// UploadStaged makes the archive in the backup directory, uploads it and removes it, as Wings does. It
// needs the space, and the Panel gets the exact size.
func (b *Backup) UploadStaged(ctx context.Context, source, ignore string, ask AskFunc) (*Details, error) {
	job := b.job(source, ignore)
	job.Cache = b.node.config.Cache
	details, err := b.generate(ctx, job)
	if err != nil {
		return nil, err
	}
	defer b.Remove()
	urls, err := b.ask(ctx, ask, details.Size)
	if err != nil {
		return nil, err
	}
	report := details.Report
	report.Parts, err = b.node.config.Engine.Upload(ctx, b.Path(), urls, job.OnProgress)
	if err != nil {
		return nil, err
	}
	return b.made(report), nil
}

func (b *Backup) ask(ctx context.Context, ask AskFunc, size int64) (wingback.PartURLs, error) {
	urls, partSize, err := ask(ctx, size)
	if err == nil && partSize <= 0 {
		err = fmt.Errorf("wings: the Panel asks for parts of %d bytes", partSize)
	}
	if err != nil {
		return wingback.PartURLs{}, err
	}
	return wingback.PartURLs{URLs: urls, PartSize: uint64(partSize), Staging: b.node.config.Directory}, nil
}

func (b *Backup) made(report *wingback.Report) *Details {
	b.mu.Lock()
	b.report = report
	b.mu.Unlock()
	return detailsOf(report)
}

func detailsOf(report *wingback.Report) *Details {
	return &Details{
		Checksum: report.SHA1, ChecksumType: "sha1", Size: report.Size, Parts: report.Parts,
		Report: report,
	}
}

// ErrNotMade is the error for details of a backup that this Backup has not made. The checksum of an
// archive that another Backup has made is not known.
var ErrNotMade = errors.New("wings: the backup has not been made yet")

// Details returns the details of the archive that this Backup has made. It does not read the archive.
func (b *Backup) Details() (*Details, error) {
	b.mu.Lock()
	report := b.report
	b.mu.Unlock()
	if report == nil {
		return nil, ErrNotMade
	}
	return detailsOf(report), nil
}

// Checksum returns the SHA-1 of the archive that this Backup has made.
func (b *Backup) Checksum() ([]byte, error) {
	details, err := b.Details()
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(details.Checksum)
}

// Size returns the size of the archive in bytes. If this Backup has not made it, that is the size of the
// file.
func (b *Backup) Size() (int64, error) {
	if details, err := b.Details(); err == nil {
		return details.Size, nil
	}
	info, err := b.Locate()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Locate describes the file at Path. The error is fs.ErrNotExist if there is none.
func (b *Backup) Locate() (fs.FileInfo, error) {
	info, err := os.Stat(b.Path())
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("wings: %s is not a regular file", b.Path())
	}
	return info, nil
}

// Remove removes the archive. In Pelican's layout it also removes the directory of the server if that is
// empty.
func (b *Backup) Remove() error {
	err := os.Remove(b.Path())
	b.forget()
	b.removeEmptyDir()
	return err
}

func (b *Backup) removeEmptyDir() {
	if b.node.config.Layout == Pelican {
		// This fails if the directory is not empty, as it should.
		_ = os.Remove(b.dir())
	}
}
