// Package wings is what the backup adapters of Pterodactyl's and Pelican's Wings need, with types of
// the standard library only. docs/wings.md has the adapters.
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

// Layout is where archives lie below the backup directory.
type Layout int

const (
	// Pterodactyl has {uuid}.tar.gz.
	Pterodactyl Layout = iota
	// Pelican has {server}/{uuid}.tar.gz.
	Pelican
)

// Config is a node's, of config.yml mostly.
type Config struct {
	// Engine that does the work; nil for wingback.Default.
	Engine *wingback.Engine
	// Directory is system.backup_directory.
	Directory string
	Layout    Layout
	// CompressionLevel is system.backups.compression_level: none, best_speed (also where it is empty) or
	// best_compression.
	CompressionLevel string
	// WriteLimit is system.backups.write_limit: MiB a second, of all backups together; 0 is without
	// limit.
	WriteLimit int
	// Slots are how many backups run at once; nil is without limit.
	Slots *wingback.Slots
	// ReadAll makes each backup from the server's files alone. Otherwise what has not changed since its
	// last local backup is copied from that, with the same bytes as a result.
	ReadAll bool
	// TrustMtime has a file with its old mtime be unchanged whatever its ctime: Wings gives all files to
	// their owner at each start of a server, which makes every ctime new.
	TrustMtime bool
	// Cache keeps the last archive of each server, to make the next one from, where they go to S3.
	Cache wingback.Cache
	// OnProgress is called with what a backup has come to, on the goroutine that makes it.
	OnProgress func(uuid string, progress wingback.Progress)
}

// A Node makes and restores the backups of its servers. There is one for a daemon, so that they share
// its limits.
type Node struct {
	config Config
	level  wingback.Level
	limit  *wingback.Limiter
}

// NewNode looks at the configuration; nothing is started yet.
func NewNode(config Config) (*Node, error) {
	if config.Directory == "" {
		return nil, errors.New("wings: there is no backup directory")
	}
	levels := map[string]wingback.Level{
		"": wingback.Fast, "best_speed": wingback.Fast,
		"none": wingback.Uncompressed, "best_compression": wingback.Best,
	}
	level, known := levels[config.CompressionLevel]
	if !known {
		return nil, fmt.Errorf("wings: there is no compression level %q", config.CompressionLevel)
	}
	node := &Node{config: config, level: level, limit: wingback.NewLimiter(0)}
	return node, node.SetWriteLimit(config.WriteLimit)
}

// SetWriteLimit changes the limit, in MiB a second, also of what runs.
func (n *Node) SetWriteLimit(mebibytes int) error {
	if mebibytes < 0 {
		return fmt.Errorf("wings: a write limit of %d MiB a second", mebibytes)
	}
	n.limit.SetRate(uint64(mebibytes) << 20)
	return nil
}

// A Backup is one of a server's: to be made, or made earlier.
type Backup struct {
	node         *Node
	uuid, server string

	mu     sync.Mutex
	report *wingback.Report
}

// Details are what the Panel is told of a backup.
type Details struct {
	Checksum     string // in hexadecimal
	ChecksumType string // "sha1"
	Size         int64
	Parts        []wingback.Part
	// Report has what was skipped, too.
	Report *wingback.Report
}

// Backup gives the one with this UUID. The server's is needed for Pelican's layout only.
func (n *Node) Backup(uuid, server string) (*Backup, error) {
	uuid = strings.ToLower(uuid)
	if !isUUID(uuid) {
		return nil, fmt.Errorf("wings: the backup's identifier %q is no UUID", uuid)
	}
	if n.config.Layout == Pelican && !isUUID(strings.ToLower(server)) {
		return nil, fmt.Errorf("wings: the server's identifier %q is no UUID", server)
	}
	return &Backup{node: n, uuid: uuid, server: server}, nil
}

// isUUID knows the one form in which the Panel writes them.
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

// Path is where the archive is, or would be.
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
		// Wings has read the ignore file itself where the request had none.
		IgnoreFile: wingback.NoIgnoreFile,
		Rules:      wingback.WingsRules,
		Profile:    wingback.WingsProfile,
		Level:      b.node.level,
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

// Generate makes the archive of a server's directory, without what the text `ignore` excludes, by
// the rules that Wings has. It is there under its name only once it is whole.
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
	// The engine makes the directory, and syncs the names of what it makes.
	report, err := job.Run(ctx, wingback.LocalStore{Dir: b.dir(), Names: "{uuid}.tar.gz"})
	if err != nil {
		b.removeEmptyDir()
		return nil, err
	}
	return b.made(report), nil
}

// latest is the symlink to the last archive of a server, whose directory Wings names after it.
func (b *Backup) latest(source string) string {
	return filepath.Join(b.dir(), "."+filepath.Base(filepath.Clean(source))+".latest")
}

// remember has the symlink point here. Where that fails, the next backup reads everything.
func (b *Backup) remember(latest string) {
	fresh := latest + "-" + b.uuid
	if os.Symlink(filepath.Base(b.Path()), fresh) == nil && os.Rename(fresh, latest) != nil {
		_ = os.Remove(fresh)
	}
}

// forget removes the symlink that points here.
func (b *Backup) forget() {
	links, _ := filepath.Glob(filepath.Join(b.dir(), ".*.latest"))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == filepath.Base(b.Path()) {
			_ = os.Remove(link)
		}
	}
}

// AskFunc asks the Panel for the URLs of an archive of at most so many bytes. Each call begins an
// upload there, so it is called once.
type AskFunc func(ctx context.Context, size int64) (urls []string, partSize int64, err error)

// Upload makes the archive while its parts go up: nothing of it is on a disk here, unless parts are
// over 256 MiB, and then in the backup directory. The Panel is asked with an upper bound of the size,
// and not all URLs need be used.
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

// UploadStaged makes the archive in the backup directory, uploads it and removes it, as Wings does: it
// costs the space, and asks with the very size.
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
		err = fmt.Errorf("wings: the Panel has parts of %d bytes", partSize)
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

// ErrNotMade is what is said of an archive before it was made. Of one that was made by another Backup
// the checksum is not known here.
var ErrNotMade = errors.New("wings: the backup was not made yet")

// Details are those of the archive that this Backup has made; nothing is read for them.
func (b *Backup) Details() (*Details, error) {
	b.mu.Lock()
	report := b.report
	b.mu.Unlock()
	if report == nil {
		return nil, ErrNotMade
	}
	return detailsOf(report), nil
}

// Checksum is the archive's SHA-1.
func (b *Backup) Checksum() ([]byte, error) {
	details, err := b.Details()
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(details.Checksum)
}

// Size is the archive's: as it was made, or of the file that is there.
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

// Locate says what there is at Path; fs.ErrNotExist where there is nothing.
func (b *Backup) Locate() (fs.FileInfo, error) {
	info, err := os.Stat(b.Path())
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("wings: %s is no regular file", b.Path())
	}
	return info, nil
}

// Remove removes the archive, and Pelican's folder of the server with its last one.
func (b *Backup) Remove() error {
	err := os.Remove(b.Path())
	b.forget()
	b.removeEmptyDir()
	return err
}

func (b *Backup) removeEmptyDir() {
	if b.node.config.Layout == Pelican {
		// It fails where something is in it, as it should.
		_ = os.Remove(b.dir())
	}
}
