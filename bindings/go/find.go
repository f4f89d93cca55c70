//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"time"
)

// Find searches all archives of a store for versions of files. Only the indexes are read. All fields may be zero.
type Find struct {
	// Select names paths, with everything below them, or gitignore patterns; without any, it finds all files.
	Select []string
	// Label is the label of the archives; empty for all archives.
	Label string
	// MaxMembers is how many members may match; 0 for the default of the engine.
	MaxMembers uint64
	// ReadLimit limits how fast the archives are read, all together; nil for no limit.
	ReadLimit  *Limiter
	OnProgress func(Progress)
	// Engine does the search; nil for Default.
	Engine *Engine
}

// A FileVersion is a version of a file or symlink, and the archives that contain it.
type FileVersion struct {
	// Member is the member of the newest of the archives.
	Member
	// Archives are the archives, newest first.
	Archives []ArchiveTime
}

// An ArchiveTime is an archive of a store, with its label and time.
type ArchiveTime struct {
	Key string
	// Label is the label of the archive; empty if it has none.
	Label string
	// Made is the time at which the backup began; zero if it is unknown.
	Made time.Time
}

// UnmarshalJSON decodes the engine's answer.
func (v *FileVersion) UnmarshalJSON(text []byte) error {
	var said struct{ Archives []ArchiveTime }
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	v.Archives = said.Archives
	return json.Unmarshal(text, &v.Member)
}

// UnmarshalJSON decodes the engine's answer.
func (a *ArchiveTime) UnmarshalJSON(text []byte) error {
	var said struct {
		Key, Label string
		LabelB64   []byte `json:"label_b64"`
		Made       *int64 `json:"made_ns"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*a = ArchiveTime{said.Key, wirePath{said.Label, said.LabelB64}.path(), timeOf(said.Made)}
	return nil
}

// timeOf converts nanoseconds since 1970; nil is an unknown time.
func timeOf(ns *int64) time.Time {
	if ns == nil {
		return time.Time{}
	}
	return time.Unix(0, *ns)
}

// Found is the result of a Find.
type Found struct {
	// Versions are in the order of their paths; of one path, the version in the newest archive comes first.
	Versions []FileVersion `json:"-"`
	// Paths is the number of paths, and Searched that of the archives.
	Paths, Searched uint64
	// Unsearched are archives that could not be searched. It has at most 1,000.
	Unsearched     []Unread
	UnsearchedMore uint64 `json:"unsearched_more"`
	// Unmatched are the selected paths and patterns that matched nothing.
	Unmatched []string
}

// An Unread is an archive that could not be read.
type Unread struct {
	Key     string
	Kind    Kind
	Message string
}

// Run searches the archives of a store.
func (f Find) Run(ctx context.Context, store Store) (*Found, error) {
	args := map[string]any{"store": store.wire(), "select": texts(f.Select)}
	if f.Label != "" {
		args["label"] = wireText(f.Label)
	}
	if f.MaxMembers > 0 {
		args["max_members"] = f.MaxMembers
	}
	var versions []FileVersion
	each := decoded(func(version FileVersion) { versions = append(versions, version) })
	var found Found
	if err := f.Engine.lines(ctx, "find", args, f.ReadLimit, nil, each, f.OnProgress, &found); err != nil {
		return nil, err
	}
	found.Versions = versions
	return &found, nil
}
