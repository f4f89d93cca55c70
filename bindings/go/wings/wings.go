// Package wings makes and restores backups for the adapters of Pterodactyl's and Pelican's Wings. Its
// types depend only on the standard library. The program in wings/patch adds the adapters to Wings;
// docs/wings.md describes them.
//
//	node := wings.NewNode(func() wings.Config { return wings.Config{Directory: "/var/lib/pterodactyl/backups"} })
//	backup, err := node.Backup(uuid, "")
//	details, err := backup.Generate(ctx, "/var/lib/pterodactyl/volumes/…", ignore)
package wings

import (
	"context"
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
	// CompressionLevel is system.backups.compression_level: "none", "best_speed" or "best_compression". As
	// in Wings, anything else is "best_speed".
	CompressionLevel string
	// Encoder compresses; see wingback.Backup.Encoder.
	Encoder wingback.Encoder
	// WriteLimit is system.backups.write_limit: the limit for all backups together, in MiB per second. As in
	// Wings, less than 1 means no limit.
	WriteLimit int
	// Slots limit how many backups run at once; nil for no limit.
	Slots *wingback.Slots
	// ReadAll reads all files for each backup. Otherwise unchanged data is copied from the server's last
	// local backup; the archive has the same members either way.
	ReadAll bool
	// TrustMtime treats a file with an unchanged mtime as unchanged even if its ctime is new. Wings sets
	// the owner of all files at each start of a server, which makes every ctime new.
	TrustMtime bool
	// Cache keeps the last archive of each server for the next backup, if archives go to S3.
	Cache wingback.Cache
	// OnProgress is called with the progress of a backup, on the goroutine that makes it.
	OnProgress func(uuid string, progress wingback.Progress)
}

func (c Config) level() wingback.Level {
	switch c.CompressionLevel {
	case "none":
		return wingback.Uncompressed
	case "best_compression":
		return wingback.Best
	}
	return wingback.Fast
}

// rate returns the write limit in bytes per second; 0 means no limit.
func (c Config) rate() uint64 {
	return min(uint64(max(c.WriteLimit, 0)), 1<<40) << 20
}

// A Node makes and restores the backups of its servers. A daemon has one, so that all backups share its
// limits.
type Node struct {
	config func() Config
	limit  *wingback.Limiter

	mu      sync.Mutex
	claimed map[string]bool
	uploads uploads
}

// NewNode returns a node, and starts nothing. It calls `config` for each backup, so that a change applies
// to the next one. A new write limit also applies to running backups.
func NewNode(config func() Config) *Node {
	return &Node{config: config, limit: wingback.NewLimiter(0), claimed: map[string]bool{}}
}

// Check starts the engine. Call it when the daemon starts, so that a missing or unusable command is known
// before the first backup.
func (n *Node) Check(ctx context.Context) error {
	_, err := n.config().Engine.Start(ctx)
	return err
}

// A Backup is a backup of a server. It may exist already.
type Backup struct {
	node         *Node
	config       Config // at the time of Node.Backup
	uuid, server string

	// OnSourceRead is called as soon as the server's files have been read; see wingback.Backup.OnSourceRead. Let
	// the server save again there, and after an error, if it does not save during the backup.
	OnSourceRead func() error
	// OnWarning gets sentences about an upload that may fail, before it begins. It may be nil.
	OnWarning func(text string)
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

// MissingFiles returns the first files that the backup should have but does not, at most `most`.
func (d *Details) MissingFiles(most int) (missing []wingback.Skipped) {
	for _, skipped := range d.Report.Skipped {
		if skipped.Loss && len(missing) < most {
			missing = append(missing, skipped)
		}
	}
	return missing
}

// Backup returns the backup with this UUID. `server` is the UUID of the server; only Pelican's layout
// needs it.
func (n *Node) Backup(uuid, server string) (*Backup, error) {
	config := n.config()
	if config.Directory == "" {
		return nil, errors.New("wings: Config.Directory is empty")
	}
	n.limit.SetRate(config.rate())
	uuid = strings.ToLower(uuid)
	if !isUUID(uuid) {
		return nil, fmt.Errorf("wings: the backup's identifier %q is not a UUID", uuid)
	}
	if config.Layout == Pelican && !isUUID(strings.ToLower(server)) {
		return nil, fmt.Errorf("wings: the server's identifier %q is not a UUID", server)
	}
	return &Backup{node: n, config: config, uuid: uuid, server: server}, nil
}

// Claim reserves the UUID for one request, until `release` is called. If another request has claimed it,
// or the archive exists, the error is fs.ErrExist; the Panel must then not be notified, because that
// would end the other backup. Release it after the Panel has been notified of the result.
func (b *Backup) Claim() (release func(), err error) {
	n := b.node
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err = os.Lstat(b.Path())
	if n.claimed[b.uuid] || err == nil {
		return nil, fmt.Errorf("wings: the backup %s: %w", b.uuid, fs.ErrExist)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	n.claimed[b.uuid] = true
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.claimed, b.uuid)
	}, nil
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
	if b.config.Layout == Pelican {
		return filepath.Join(b.config.Directory, b.server)
	}
	return b.config.Directory
}

func (b *Backup) job(source, ignore string) wingback.Backup {
	config := b.config
	job := wingback.Backup{
		Source: source, UUID: b.uuid,
		// If the request had no patterns, Wings has read the ignore file itself.
		IgnoreFile: wingback.NoIgnoreFile,
		Rules:      wingback.WingsRules,
		Profile:    wingback.WingsProfile,
		Label:      b.server,
		Level:      config.level(),
		Encoder:    config.Encoder,
		WriteLimit: b.node.limit,
		TrustMtime: config.TrustMtime,
		// A new server is empty. Details.Report has the warning "empty".
		AllowEmpty: true,
		Slots:      config.Slots,
		Engine:     config.Engine,

		OnSourceRead: b.OnSourceRead,
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
	if b.config.ReadAll {
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
	// Wings has made the directory. The engine makes that of the server, and syncs it.
	store := wingback.LocalStore{Dir: b.config.Directory, Names: "{uuid}.tar.gz"}
	if b.config.Layout == Pelican {
		store.Names = b.server + "/" + store.Names
	}
	report, err := job.Run(ctx, store)
	if err != nil {
		b.removeEmptyDir()
		return nil, err
	}
	return detailsOf(report), nil
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

func detailsOf(report *wingback.Report) *Details {
	return &Details{
		Checksum: report.SHA1, ChecksumType: "sha1", Size: report.Size, Parts: report.Parts,
		Report: report,
	}
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
// empty. It is an error if the archive has a lock: see [wingback.Archive.Lock].
func (b *Backup) Remove() error {
	if _, err := os.Lstat(b.Path() + ".lock"); err == nil {
		return fmt.Errorf("wings: %s has a lock", b.Path())
	}
	err := os.Remove(b.Path())
	b.forget()
	b.removeEmptyDir()
	return err
}

func (b *Backup) removeEmptyDir() {
	if b.config.Layout == Pelican {
		// This fails if the directory is not empty, as it should.
		_ = os.Remove(b.dir())
	}
}
