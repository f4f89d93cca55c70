//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"
)

// An Archive is a .tar.gz to read, made by wingback or by another program.
type Archive struct {
	input  any
	reader io.Reader
	// Engine reads the archive; nil for Default.
	Engine *Engine
	// ReadLimit limits how fast the archive is read, and WriteLimit how fast Extract, Restore, CopyFile and
	// Open write what they take out of it; nil for no limit. Info, Lock, Unlock and Remove read only a few
	// bytes, so they have no limit.
	ReadLimit, WriteLimit *Limiter
}

// File returns an archive that is a file.
func File(path string) *Archive {
	return &Archive{input: map[string]any{"file": wireText(path)}}
}

// Stored returns an archive in a store.
func Stored(store Store, name Name) *Archive {
	return &Archive{input: map[string]any{"store": []any{store.wire(), name.wire()}}}
}

// Link returns an archive behind an http or https link.
func Link(url string, transfer Transfer) *Archive {
	return &Archive{input: map[string]any{"link": []any{url, transfer.wire()}}}
}

// Stream returns an archive that comes from r, such as the body of a download. It can be read once, from
// its start to its end. If the context is done or the job fails while r blocks, the call returns, but a
// goroutine goes on reading until r returns. Close r to end it.
func Stream(r io.Reader) *Archive { return &Archive{reader: r} }

// open returns the archive as requests name it. If the archive has a reader and that fails, `failed` is
// called.
func (a *Archive) open(job *job, failed func()) (any, *pump, error) {
	if a.reader == nil {
		return a.input, nil, nil
	}
	number, ours, err := job.stream()
	if err != nil {
		return nil, nil, err
	}
	return map[string]any{"stream": number}, feed(ours, a.reader, failed), nil
}

// limits returns the limits that apply to an operation.
func (a *Archive) limits(op string) limits {
	switch op {
	case "info", "lock", "unlock", "remove":
		return limits{}
	case "copy", "extract", "restore":
		return limits{a.ReadLimit, a.WriteLimit}
	}
	return limits{read: a.ReadLimit}
}

// job runs a job that reads the archive. If `take` is not nil, it gets the stream that the job writes to.
func (a *Archive) job(ctx context.Context, op string, args map[string]any, take func(*os.File), onProgress func(Progress), result any) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var fed *pump
	limits := a.limits(op)
	err := a.Engine.or().call(running, op, func(job *job) (any, error) {
		limits.put(args, job.conn)
		if take != nil {
			number, ours, err := job.stream()
			if err != nil {
				return nil, err
			}
			take(ours)
			args["to"] = number
		}
		var err error
		args["archive"], fed, err = a.open(job, cancel)
		return args, err
	}, limits.list(), handlers{progress: onProgress}, result)
	return fed.end(ctx, err)
}

// A Member is a file, directory, link or device in an archive.
type Member struct {
	// Path is the path in the archive, without a slash at the end; empty for the root.
	Path    string
	Kind    MemberKind
	Size    int64
	Mode    fs.FileMode // permission bits and type
	UID     uint64
	GID     uint64
	ModTime time.Time
	// Target is the target of a symlink or hard link. A listing by the index has no targets of symlinks.
	Target string
}

// MemberKind is the kind of a member.
type MemberKind string

// The kinds of member.
const (
	RegularFile MemberKind = "file"
	HardLink    MemberKind = "hard-link"
	Symlink     MemberKind = "symlink"
	Directory   MemberKind = "directory"
	FIFO        MemberKind = "fifo"
	CharDevice  MemberKind = "char-device"
	BlockDevice MemberKind = "block-device"
)

// UnmarshalJSON decodes the engine's answer.
func (m *Member) UnmarshalJSON(text []byte) error {
	var said struct {
		wirePath
		Kind      MemberKind
		Size      int64
		Mode      string
		UID       uint64
		GID       uint64
		MTime     int64 `json:"mtime_ns"`
		Target    string
		TargetB64 []byte `json:"target_b64"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	bits, err := strconv.ParseUint(said.Mode, 8, 32)
	if err != nil {
		return err
	}
	*m = Member{
		Path: said.path(), Kind: said.Kind, Size: said.Size, Mode: mode(uint32(bits), said.Kind),
		UID: said.UID, GID: said.GID, ModTime: time.Unix(0, said.MTime), Target: said.Target,
	}
	if len(said.TargetB64) > 0 {
		m.Target = string(said.TargetB64)
	}
	return nil
}

func mode(bits uint32, kind MemberKind) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for _, special := range []struct {
		bit  uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if bits&special.bit != 0 {
			mode |= special.mode
		}
	}
	switch kind {
	case Symlink:
		mode |= fs.ModeSymlink
	case Directory:
		mode |= fs.ModeDir
	case FIFO:
		mode |= fs.ModeNamedPipe
	case CharDevice:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case BlockDevice:
		mode |= fs.ModeDevice
	}
	return mode
}

// CopyFile writes one file of the archive to w. With an index, it reads only the index and the segments
// that contain the file. The content of w is known to be correct only if CopyFile returns no error.
func (a *Archive) CopyFile(ctx context.Context, path string, w io.Writer) (Member, error) {
	var member Member
	var drained *pump
	args := map[string]any{"path": wireText(path)}
	err := a.job(ctx, "copy", args, func(ours *os.File) { drained = drain(ours, w) }, nil, &member)
	return member, drained.end(ctx, err)
}

// Lock locks the archive, so that a prune and the daemon do not remove it. It returns false if the archive
// has a lock already. The lock is an object beside the archive with the name of the archive and ".lock".
// [Engine.Delete] does not look at it.
func (a *Archive) Lock(ctx context.Context) (bool, error) {
	var done struct{ Changed bool }
	err := a.job(ctx, "lock", map[string]any{}, nil, nil, &done)
	return done.Changed, err
}

// Unlock removes the lock of the archive. It returns false if the archive has none.
func (a *Archive) Unlock(ctx context.Context) (bool, error) {
	var done struct{ Changed bool }
	err := a.job(ctx, "unlock", map[string]any{}, nil, nil, &done)
	return done.Changed, err
}

// Verified is the result of a Verify.
type Verified struct {
	// Whole is whether the archive is undamaged.
	Whole bool
	Size  int64
	SHA1  string
	// SHA1Matches is whether the SHA-1 is the expected one; nil if none was given.
	SHA1Matches *bool `json:"sha1_matches"`
	Segments    uint64
	Files       uint64
	Damage      []Damage
	// DamageMore is the number of damaged places that Damage leaves out; it has at most 1,000.
	DamageMore uint64 `json:"damage_more"`
	// ReadMethod is "indexed", or "sequential".
	ReadMethod string `json:"read_method"`
}

// Damage is a part of an archive that cannot be read.
type Damage struct {
	// Code is a word for programs: "segment", "gzip", "index" or "rest".
	Code       string
	Problem    string
	Start, End uint64
	// Members are the lost members. TruncatesRest is whether everything after the damage is lost as well;
	// the names of those members are unknown.
	Members       []string
	TruncatesRest bool
}

// UnmarshalJSON decodes the engine's answer.
func (d *Damage) UnmarshalJSON(text []byte) error {
	var said struct {
		Code, Problem string
		Start, End    uint64
		Members       []wirePath
		TruncatesRest bool `json:"truncates_rest"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*d = Damage{
		Code: said.Code, Problem: said.Problem, Start: said.Start, End: said.End,
		TruncatesRest: said.TruncatesRest,
	}
	for _, member := range said.Members {
		d.Members = append(d.Members, member.path())
	}
	return nil
}

// Verify checks every checksum of an archive.
type Verify struct {
	// SHA1 is the expected SHA-1, in hexadecimal; empty if it is unknown.
	SHA1       string
	Threads    int
	Background bool
	OnProgress func(Progress)
}

// Run reads the archive. Damage is not an error; see Whole.
func (v Verify) Run(ctx context.Context, archive *Archive) (*Verified, error) {
	args := map[string]any{"background": v.Background}
	if v.SHA1 != "" {
		args["sha1"] = v.SHA1
	}
	if v.Threads > 0 {
		args["threads"] = v.Threads
	}
	var verified Verified
	if err := archive.job(ctx, "verify", args, nil, v.OnProgress, &verified); err != nil {
		return nil, err
	}
	return &verified, nil
}
