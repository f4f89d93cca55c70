//go:build linux

package wingback

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"
)

// Rules is the language of exclude patterns.
type Rules string

const (
	// GitRules match as git matches .gitignore. They are the default.
	GitRules Rules = "git"
	// WingsRules match as Wings matches .pteroignore, which sometimes differs from git.
	WingsRules Rules = "wings"
)

// IgnoreFileMode is the use of the ignore file in the root of the source.
type IgnoreFileMode string

const (
	// MergeIgnoreFile puts its patterns before those of the caller. It is the default.
	MergeIgnoreFile IgnoreFileMode = "merge"
	// ReplaceIgnoreFile uses it only if the caller gives no patterns.
	ReplaceIgnoreFile IgnoreFileMode = "replace"
	// NoIgnoreFile ignores it.
	NoIgnoreFile IgnoreFileMode = "none"
)

// Profile is the kinds of members that the tar gets.
type Profile string

const (
	// FullProfile is files, symlinks and directories. It is the default.
	FullProfile Profile = "full"
	// WingsProfile is regular files only, because Wings' own restore writes every member as a file.
	// Symlinks and directories are only in the index.
	WingsProfile Profile = "wings"
)

// Level is a compression level.
type Level string

// The levels; Fast is the default.
const (
	Uncompressed Level = "none"
	Fast         Level = "fast"
	Best         Level = "best"
)

// Encoder is the code that compresses.
type Encoder string

// The encoders; EncoderWingback is the default. [Info] says which ones the engine has.
const (
	// EncoderWingback serves every level, and every engine has it. A tree always gives the same archive.
	EncoderWingback Encoder = "wingback"
	// EncoderISAL is ISA-L of Intel, only for the level Fast. It needs less processor time. Its bytes differ
	// between processors.
	EncoderISAL Encoder = "isa-l"
)

// Phase is a phase of a job.
type Phase string

// The phases, in their order. Later versions may add others.
const (
	Starting   Phase = "starting"
	Reading    Phase = "reading"
	SourceRead Phase = "source-read" // the source has been read and is not needed any more
	Committing Phase = "committing"  // the result is made durable and visible
)

// Progress is how far a job is. The counts never become smaller.
type Progress struct {
	Phase Phase  `json:"phase"`
	Files uint64 `json:"files"`
	// Bytes of content that have been read or written.
	Bytes uint64 `json:"bytes"`
	// Written is how many bytes of the archive the destination has accepted.
	Written uint64 `json:"written"`
	// Uploaded is how many of them were sent to a service, which has confirmed them.
	Uploaded uint64 `json:"uploaded"`
	// CopiedInStore is how many of them a service has copied from the previous archive in the same store.
	CopiedInStore uint64 `json:"copied_in_store"`
	// ExpectedFiles and ExpectedBytes are the expected numbers at the end; 0 if they are unknown.
	ExpectedFiles uint64 `json:"expected_files"`
	ExpectedBytes uint64 `json:"expected_bytes"`
	// Rate is the current speed: bytes of Bytes per second. It is the mean over the time since the job began
	// to read, in which the weight of a moment falls to 37 % in 5 seconds.
	Rate uint64 `json:"rate"`
	// TimeLeft is the estimated time until Bytes reaches ExpectedBytes, at this rate; 0 if it is unknown.
	TimeLeft time.Duration `json:"-"`
}

// A Backup makes an archive of a directory. Only Source is required: the zero value of every other field
// is its default.
type Backup struct {
	// Source is the directory to back up.
	Source string
	// Key is the name of the archive in the store. If it is empty, the store's template makes the name
	// from UUID. If that is empty too, Run takes a random UUID; Report.Key has the name.
	UUID, Key string

	// Select has the only paths to back up, with everything beneath them and the directories that lead to them.
	// They are relative to Source, and are not patterns; one that is absolute or has ".." is InvalidInput.
	// Excludes apply to them as well. Report.Skipped has a path that the source does not have, with the reason
	// "missing". Nil selects everything, and an empty slice nothing.
	Select []string
	// Exclude has exclude patterns; a string may have several lines. The last pattern that matches a path
	// decides. A list that exceeds the limits in docs/command.md is InvalidInput, before anything is
	// written.
	Exclude        []string
	Rules          Rules
	IgnoreFile     IgnoreFileMode
	IgnoreFileName string // name of the ignore file; empty for ".pteroignore"
	StrictPatterns bool   // fail on a suspicious pattern, before anything is written
	OneFileSystem  bool   // do not enter other file systems
	StateDir       string // state directory of restores (see Restore); empty for the default of the engine
	Profile        Profile

	Level Level
	// Encoder is EncoderWingback if it is empty. An encoder that the engine does not have is Unsupported. One
	// that does not serve the level is InvalidInput.
	Encoder Encoder
	// Threads is the number of threads that compress; 0 for one for each processor.
	Threads int
	// Background runs the backup at the lowest priority for the processor and the disk.
	Background bool
	// ReadLimit and WriteLimit limit the reading of the source and the writing of the archive; nil for no
	// limit.
	ReadLimit  *Limiter
	WriteLimit *Limiter
	// MaxLen limits the length of single files: it maps a path, relative to Source, to a number of bytes.
	MaxLen map[string]uint64
	// Reproducible leaves ctimes, inode numbers, host, path and time out of the index, so that copies of a
	// tree give the same bytes.
	Reproducible bool
	// Align aligns parts of the archive with the blocks of file systems, so that these can share the equal
	// parts of two archives. The archive becomes about 0.3 % larger.
	Align bool
	// IncludeArchives backs up archives of wingback in the source as well. Otherwise Report.Skipped lists them
	// with the reason "own-backup".
	IncludeArchives bool
	// AllowEmpty makes an archive also if it has no members, with the warning "empty". Otherwise such a backup is
	// InvalidInput, before anything is committed.
	AllowEmpty bool
	// SkipCount leaves out the count of the source while the backup begins. Without the count, Progress has no
	// expected numbers and no time left.
	SkipCount bool

	// Label says what the archive is a backup of, such as the UUID of a server. It may hold any bytes, at
	// most 255. Empty for the name of the source directory.
	Label string
	// Tags are more that the archive says about itself; see ArchiveInfo.
	Tags []Tag

	// Previous is an earlier archive, from which unchanged data is copied; the zero value is none.
	Previous Previous
	// TrustMtime treats a file with an unchanged mtime as unchanged even if its ctime is new.
	TrustMtime bool
	// ReuseAny also copies data that another encoder or level has compressed.
	ReuseAny bool
	// Cache keeps a copy of the archive, and gives the previous archive unless Previous is set.
	Cache Cache

	// Slots limit how many backups run at once; nil for no limit.
	Slots *Slots
	// OnProgress is called on the goroutine of the caller, at most ten times per second.
	OnProgress func(Progress)
	// OnSourceRead is called once, as soon as the source has been read completely. It is for a server that does
	// not save during a backup, and may save again now. It runs on the goroutine of the caller, and the archive
	// is not visible in the store before it has returned. Its error does not fail the backup: it is a Warning
	// with the code "hook" in the report. It is not called for a backup that fails or is cancelled before that,
	// so the caller of Run lets the server save again after an error.
	OnSourceRead func() error
	// Engine runs the job; nil for Default.
	Engine *Engine
}

// Previous names the archive of an earlier backup of the same source, from which unchanged data is
// copied. The new archive has the same bytes as without it, except for its recorded time. If the previous archive cannot be used, the
// report has a warning. Nobody but the caller may be able to write to it.
type Previous struct {
	File   string // the path of the archive
	Key    string // or its name in the local store that the backup goes to
	Latest bool   // or the newest archive in that store
}

func (p Previous) wire() any {
	switch {
	case p.File != "":
		return map[string]any{"file": wireText(p.File)}
	case p.Key != "":
		return map[string]any{"key": wireName(p.Key)}
	case p.Latest:
		return "latest"
	}
	return nil
}

// Cache is a directory that keeps the last archive of each source, for backups to a remote store. The
// zero value is none. If an archive cannot be kept, the report has a warning.
type Cache struct {
	Dir string
	// MaxBytes limits the size of the directory.
	MaxBytes uint64
}

func (c Cache) wire() any {
	if c.Dir == "" {
		return nil
	}
	return map[string]any{"dir": wireText(c.Dir), "max_bytes": c.MaxBytes}
}

// Run makes the archive in a store. If ctx is done, Run returns soon and leaves no part of the archive.
func (b Backup) Run(ctx context.Context, store Store) (*Report, error) {
	name := Name{UUID: b.UUID, Key: b.Key}
	if name == (Name{}) {
		name.UUID = newUUID()
	}
	to := map[string]any{"store": []any{store.wire(), name.wire()}}
	return b.run(ctx, func(*job) (any, error) { return to, nil })
}

// newUUID returns a random UUID (version 4 of RFC 9562).
func newUUID() string {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // the system has no random numbers
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// WriteTo writes the archive to w while it is made. If it fails, w has an incomplete archive, which
// readers detect as such.
func (b Backup) WriteTo(ctx context.Context, w io.Writer) (*Report, error) {
	var pump *pump
	report, err := b.run(ctx, func(job *job) (any, error) {
		number, ours, err := job.stream()
		if err != nil {
			return nil, err
		}
		pump = drain(ours, w)
		return map[string]any{"stream": number}, nil
	})
	if err := pump.end(ctx, err); err != nil {
		return nil, err
	}
	return report, nil
}

func (b Backup) run(ctx context.Context, to func(*job) (any, error)) (*Report, error) {
	engine := b.Engine.or()
	engine.counters.queued.Add(1)
	err := b.Slots.Acquire(ctx)
	engine.counters.queued.Add(-1)
	if err != nil {
		engine.counters.count(nil, err)
		return nil, err
	}
	defer b.Slots.Release()
	engine.counters.running.Add(1)
	defer engine.counters.running.Add(-1)
	args := func(job *job) (any, error) {
		to, err := to(job)
		if err != nil {
			return nil, err
		}
		return b.args(job.conn, to), nil
	}
	var report Report
	limits, on := []*Limiter{b.ReadLimit, b.WriteLimit}, handlers{b.OnProgress, b.OnSourceRead}
	err = engine.call(ctx, "backup", args, limits, on, &report)
	engine.counters.count(&report, err)
	if err != nil {
		return nil, err
	}
	return &report, nil
}

type wireSource struct {
	Dir            wireText       `json:"dir"`
	Exclude        []wireText     `json:"exclude,omitempty"`
	Rules          Rules          `json:"rules,omitempty"`
	IgnoreFile     IgnoreFileMode `json:"ignore_file,omitempty"`
	IgnoreFileName wireName       `json:"ignore_file_name,omitempty"`
	StrictPatterns bool           `json:"strict_patterns,omitempty"`
	OneFileSystem  bool           `json:"one_file_system,omitempty"`
	StateDir       wireText       `json:"state_dir,omitempty"`
	Profile        Profile        `json:"profile,omitempty"`
	Select         []wireText     `json:"select"` // nil selects everything
}

func (b Backup) source() wireSource {
	var selected []wireText
	if b.Select != nil {
		selected = texts(b.Select)
	}
	return wireSource{
		wireText(b.Source), texts(b.Exclude), b.Rules, b.IgnoreFile, wireName(b.IgnoreFileName),
		b.StrictPatterns, b.OneFileSystem, wireText(b.StateDir), b.Profile, selected,
	}
}

// maxLens returns the pairs of MaxLen.
func (b Backup) maxLens() (lens [][2]any) {
	for path, len := range b.MaxLen {
		lens = append(lens, [2]any{wireText(path), len})
	}
	return lens
}

func (b Backup) args(conn *conn, to any) any {
	return struct {
		Source          wireSource `json:"source"`
		To              any        `json:"to"`
		Level           Level      `json:"level,omitempty"`
		Encoder         Encoder    `json:"encoder,omitempty"`
		Threads         int        `json:"threads,omitempty"`
		Background      bool       `json:"background,omitempty"`
		ReadLimit       *uint64    `json:"read_limit,omitempty"`
		WriteLimit      *uint64    `json:"write_limit,omitempty"`
		MaxLen          [][2]any   `json:"max_len,omitempty"`
		Reproducible    bool       `json:"reproducible,omitempty"`
		Align           bool       `json:"align,omitempty"`
		IncludeArchives bool       `json:"include_archives,omitempty"`
		AllowEmpty      bool       `json:"allow_empty,omitempty"`
		CountFirst      bool       `json:"count_first"`
		Previous        any        `json:"previous,omitempty"`
		TrustMtime      bool       `json:"trust_mtime,omitempty"`
		ReuseAny        bool       `json:"reuse_any,omitempty"`
		Cache           any        `json:"cache,omitempty"`
		Label           wireText   `json:"label,omitempty"`
		Tags            []Tag      `json:"tags,omitempty"`
		SourceRead      bool       `json:"source_read,omitempty"`
	}{
		b.source(), to, b.Level, b.Encoder, b.Threads, b.Background, b.ReadLimit.on(conn), b.WriteLimit.on(conn),
		b.maxLens(), b.Reproducible, b.Align, b.IncludeArchives, b.AllowEmpty, !b.SkipCount, b.Previous.wire(), b.TrustMtime, b.ReuseAny, b.Cache.wire(),
		wireText(b.Label), b.Tags, b.OnSourceRead != nil,
	}
}

// An Estimate is the size of a source.
type Estimate struct {
	Files       uint64 `json:"files"`
	Directories uint64 `json:"directories"`
	Symlinks    uint64 `json:"symlinks"`
	// Content is the number of bytes in the files.
	Content uint64 `json:"content"`
	// ArchiveMax is an upper bound for the size of the archive in bytes.
	ArchiveMax uint64 `json:"archive_max"`
}

// Estimate counts the source without reading its files.
func (b Backup) Estimate(ctx context.Context) (*Estimate, error) {
	var estimate Estimate
	if err := b.Engine.or().ask(ctx, "estimate", b.source(), &estimate); err != nil {
		return nil, err
	}
	return &estimate, nil
}
