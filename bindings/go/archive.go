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

// An Archive is a .tar.gz to be read, of this package or of any other program.
type Archive struct {
	input  any
	reader io.Reader
	// Engine that reads it; nil for Default.
	Engine *Engine
}

// File is an archive that is a file.
func File(path string) *Archive {
	return &Archive{input: map[string]any{"file": wireText(path)}}
}

// Stored is an archive in a store.
func Stored(store Store, name Name) *Archive {
	return &Archive{input: map[string]any{"store": []any{store.wire(), name.wire()}}}
}

// Link is what an http or https link leads to.
func Link(url string, transfer Transfer) *Archive {
	return &Archive{input: map[string]any{"link": []any{url, transfer.wire()}}}
}

// Stream is an archive whose bytes come from its start to its end, such as the body of a download.
// It can be read once. Should a context be done, or the job fail, while r waits for bytes, the call
// returns and r is read from until it gives some: close it.
func Stream(r io.Reader) *Archive { return &Archive{reader: r} }

// open gives what a request names the archive by. An error of the reader's ends the job by `failed`.
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

// job runs what reads an archive; `take` gets the stream that it writes to, and is nil for one that
// writes to none.
func (a *Archive) job(ctx context.Context, op string, args map[string]any, take func(*os.File), onProgress func(Progress), result any) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var fed *pump
	err := a.Engine.or().call(running, op, func(job *job) (any, error) {
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
	}, nil, onProgress, result)
	return fed.end(ctx, err)
}

// A Member is one of an archive's.
type Member struct {
	// Path in the archive, without a slash behind it; empty for the root.
	Path    string
	Kind    MemberKind
	Size    int64
	Mode    fs.FileMode // with the type
	UID     uint64
	GID     uint64
	ModTime time.Time
	// Target of a symlink or hard link. A listing by the index has none of symlinks.
	Target string
}

// MemberKind is what a member is.
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

// UnmarshalJSON reads what the engine says.
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

// CopyFile writes one file of the archive to w. With an index that is a read of the index and one of
// what the file lies in.
func (a *Archive) CopyFile(ctx context.Context, path string, w io.Writer) (Member, error) {
	var member Member
	var drained *pump
	args := map[string]any{"path": wireText(path)}
	err := a.job(ctx, "copy", args, func(ours *os.File) { drained = drain(ours, w) }, nil, &member)
	return member, drained.end(ctx, err)
}

// A Verified archive was read to its end.
type Verified struct {
	// Whole is whether nothing is damaged.
	Whole bool
	Size  int64
	SHA1  string
	// SHA1Matches is nil where no SHA-1 was given to compare.
	SHA1Matches *bool `json:"sha1_matches"`
	Segments    uint64
	Files       uint64
	Damage      []Damage
	// DamageMore is how many damaged places there are beyond the 1,000 that are listed.
	DamageMore uint64 `json:"damage_more"`
	// ReadMethod is "indexed", or "sequential".
	ReadMethod string
}

// Damage is a part of an archive that cannot be had.
type Damage struct {
	Problem    string
	Start, End uint64
	// Members that it costs; TruncatesRest if also what came behind, which nobody knows.
	Members       []string
	TruncatesRest bool
}

// UnmarshalJSON reads what the engine says.
func (d *Damage) UnmarshalJSON(text []byte) error {
	var said struct {
		Problem       string
		Start, End    uint64
		Members       []wirePath
		TruncatesRest bool `json:"truncates_rest"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*d = Damage{Problem: said.Problem, Start: said.Start, End: said.End, TruncatesRest: said.TruncatesRest}
	for _, member := range said.Members {
		d.Members = append(d.Members, member.path())
	}
	return nil
}

// Verify checks every checksum of an archive.
type Verify struct {
	// SHA1 to compare, in hexadecimal; empty for none.
	SHA1       string
	Threads    int
	Background bool
	OnProgress func(Progress)
}

// Run reads the archive. A damaged one is no error; see Whole.
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
