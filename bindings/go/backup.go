//go:build linux

package wingback

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
)

// Rules are the language of exclude patterns.
type Rules string

const (
	// GitRules are those of .gitignore; the default.
	GitRules Rules = "git"
	// WingsRules answer as Wings does with .pteroignore, which is not git in every case.
	WingsRules Rules = "wings"
)

// IgnoreFileMode is what the ignore file in the source is used for.
type IgnoreFileMode string

const (
	// MergeIgnoreFile has its patterns come before the caller's; the default.
	MergeIgnoreFile IgnoreFileMode = "merge"
	// ReplaceIgnoreFile uses it only if the caller gave no patterns.
	ReplaceIgnoreFile IgnoreFileMode = "replace"
	// NoIgnoreFile leaves it alone.
	NoIgnoreFile IgnoreFileMode = "none"
)

// Profile is what gets a place in the tar.
type Profile string

const (
	// FullProfile is files, symlinks and directories; the default.
	FullProfile Profile = "full"
	// WingsProfile is regular files only, since Wings' own restore writes everything as a file.
	// Symlinks and directories are in the index.
	WingsProfile Profile = "wings"
)

// Level is how hard to compress.
type Level string

// The levels; Fast is the default.
const (
	Uncompressed Level = "none"
	Fast         Level = "fast"
	Best         Level = "best"
)

// Phase is where a job is.
type Phase string

// The phases, in their order. Others may come with later versions.
const (
	Starting   Phase = "starting"
	Reading    Phase = "reading"
	SourceRead Phase = "source-read" // the source is not needed any more
)

// Progress is how far a job is.
type Progress struct {
	Phase Phase  `json:"phase"`
	Files uint64 `json:"files"`
	// Bytes of content that were read or written.
	Bytes uint64 `json:"bytes"`
	// Written bytes of the archive.
	Written uint64 `json:"written"`
	// Uploaded bytes of them have arrived at a service.
	Uploaded uint64 `json:"uploaded"`
	// What it will be, where that is known; otherwise 0.
	ExpectedFiles uint64 `json:"expected_files"`
	ExpectedBytes uint64 `json:"expected_bytes"`
}

// A Backup makes an archive of a directory. The zero value of a field is its default.
type Backup struct {
	// Source is the directory.
	Source string
	// UUID names the archive by the store's template; Key is a name as it is, instead.
	UUID, Key string

	// Exclude has patterns, one or many lines each; later ones win. A list that is over the limits in
	// docs/command.md is an InvalidInput before anything is written.
	Exclude        []string
	Rules          Rules
	IgnoreFile     IgnoreFileMode
	IgnoreFileName string // of the ignore file; empty for ".pteroignore"
	StrictPatterns bool   // fail on an odd pattern, before anything is written
	OneFileSystem  bool   // do not enter other file systems
	StateDir       string // of restores (see Restore); empty for the engine's default
	Profile        Profile

	Level Level
	// Threads that compress; 0 for one for each processor.
	Threads int
	// Background gives way to other work.
	Background bool
	ReadLimit  *Limiter
	WriteLimit *Limiter
	// MaxLen backs up only so many bytes of the files of these paths.
	MaxLen map[string]uint64
	// Reproducible leaves out what differs between copies of a tree.
	Reproducible bool
	// CountFirst walks the source first, so that progress knows what to expect.
	CountFirst bool

	// Previous archive, from which what is unchanged is copied; the zero value is none.
	Previous Previous
	// TrustMtime has a file with its old mtime be unchanged whatever its ctime.
	TrustMtime bool
	// ReuseAny also copies what another encoder or level has compressed.
	ReuseAny bool
	// Cache keeps a copy of the archive, and is where the previous one comes from unless Previous says so.
	Cache Cache

	// Slots to wait for, before anything is done.
	Slots *Slots
	// OnProgress is called on the goroutine of the caller, up to ten times a second.
	OnProgress func(Progress)
	// Engine that does it; nil for Default.
	Engine *Engine
}

// Previous names an archive of an earlier backup of the same source: the new one is made from it, with
// the bytes that it would have had anyway. One that cannot be used is a warning in the report. It
// must be one that nobody else could have written.
type Previous struct {
	File   string // a path
	Key    string // or one in the local store that the backup goes to
	Latest bool   // or the newest there
}

func (p Previous) wire() any {
	switch {
	case p.File != "":
		return map[string]any{"file": wireText(p.File)}
	case p.Key != "":
		return map[string]any{"key": p.Key}
	case p.Latest:
		return "latest"
	}
	return nil
}

// Cache is a directory with the last archive of each source, for backups that go far away. The zero value
// is none. What cannot be kept is a warning in the report.
type Cache struct {
	Dir string
	// MaxBytes that may stay there, of all sources together.
	MaxBytes uint64
}

func (c Cache) wire() any {
	if c.Dir == "" {
		return nil
	}
	return map[string]any{"dir": wireText(c.Dir), "max_bytes": c.MaxBytes}
}

// Run makes the archive in a store. Once ctx is done it ends soon, and nothing of the archive is left.
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
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// WriteTo writes the archive to w while it is made. Where it fails, w has a part of an archive, which
// no reader takes for a whole one.
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
	err = engine.call(ctx, "backup", args, []*Limiter{b.ReadLimit, b.WriteLimit}, b.OnProgress, &report)
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
	IgnoreFileName string         `json:"ignore_file_name,omitempty"`
	StrictPatterns bool           `json:"strict_patterns,omitempty"`
	OneFileSystem  bool           `json:"one_file_system,omitempty"`
	StateDir       wireText       `json:"state_dir,omitempty"`
	Profile        Profile        `json:"profile,omitempty"`
}

func (b Backup) source() wireSource {
	return wireSource{
		wireText(b.Source), texts(b.Exclude), b.Rules, b.IgnoreFile, b.IgnoreFileName,
		b.StrictPatterns, b.OneFileSystem, wireText(b.StateDir), b.Profile,
	}
}

func (b Backup) args(conn *conn, to any) any {
	type maxLen [2]any
	var lens []maxLen
	for path, len := range b.MaxLen {
		lens = append(lens, maxLen{wireText(path), len})
	}
	return struct {
		Source       wireSource `json:"source"`
		To           any        `json:"to"`
		Level        Level      `json:"level,omitempty"`
		Threads      int        `json:"threads,omitempty"`
		Background   bool       `json:"background,omitempty"`
		ReadLimit    *uint64    `json:"read_limit,omitempty"`
		WriteLimit   *uint64    `json:"write_limit,omitempty"`
		MaxLen       []maxLen   `json:"max_len,omitempty"`
		Reproducible bool       `json:"reproducible,omitempty"`
		CountFirst   bool       `json:"count_first,omitempty"`
		Previous     any        `json:"previous,omitempty"`
		TrustMtime   bool       `json:"trust_mtime,omitempty"`
		ReuseAny     bool       `json:"reuse_any,omitempty"`
		Cache        any        `json:"cache,omitempty"`
	}{
		b.source(), to, b.Level, b.Threads, b.Background, b.ReadLimit.on(conn), b.WriteLimit.on(conn),
		lens, b.Reproducible, b.CountFirst, b.Previous.wire(), b.TrustMtime, b.ReuseAny, b.Cache.wire(),
	}
}

// An Estimate is what a walk over a source has counted.
type Estimate struct {
	Files       uint64 `json:"files"`
	Directories uint64 `json:"directories"`
	Symlinks    uint64 `json:"symlinks"`
	// Content is the bytes of the files.
	Content uint64 `json:"content"`
	// ArchiveMax is more bytes than the archive can have.
	ArchiveMax uint64 `json:"archive_max"`
}

// Estimate counts the source, and says how large its archive can become.
func (b Backup) Estimate(ctx context.Context) (*Estimate, error) {
	var estimate Estimate
	if err := b.Engine.or().ask(ctx, "estimate", b.source(), &estimate); err != nil {
		return nil, err
	}
	return &estimate, nil
}
