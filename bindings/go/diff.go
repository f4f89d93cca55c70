//go:build linux

package wingback

import (
	"context"
	"encoding/json"
)

// Diff compares an archive with another archive, or with a directory. All fields may be zero.
type Diff struct {
	// Select names paths, with everything below them, or gitignore patterns; without any, all paths are compared.
	Select []string
	// Content compares contents even if the times say that they are equal.
	Content bool
	// Excluded also compares the paths of a directory that the archive's own patterns exclude.
	Excluded bool
	// MaxMembers is how many members an archive without an index may have; 0 for the default of the engine.
	MaxMembers uint64
	// OnDifference gets each difference, in the order of paths. It is called on another goroutine, and not after
	// the end of the call.
	OnDifference func(Difference)
	OnProgress   func(Progress)
}

// A Difference is a path that differs.
type Difference struct {
	// Kind is a word for programs: "added", "removed", "changed" or "metadata" (only mode, owner or time differ).
	Kind string
	Path string
	// Changes are words for programs: "kind", "content", "target", "mode", "owner", "mtime".
	Changes []string
	// Before and After are the member on each side; nil if the path was added or removed.
	Before, After *Member
}

// UnmarshalJSON decodes the engine's answer.
func (d *Difference) UnmarshalJSON(text []byte) error {
	var said struct {
		wirePath
		Kind          string
		Changes       []string
		Before, After *Member
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*d = Difference{said.Kind, said.path(), said.Changes, said.Before, said.After}
	return nil
}

// Compared is the result of a Diff.
type Compared struct {
	Equal bool
	// Numbers of paths.
	Added, Removed, Changed, Metadata, Unchanged uint64
	// Bytes of content of these paths; of changed ones, on the second side.
	AddedBytes   uint64 `json:"added_bytes"`
	RemovedBytes uint64 `json:"removed_bytes"`
	ChangedBytes uint64 `json:"changed_bytes"`
	// Read is the number of bytes of content that were read.
	Read uint64
	// Excluded is the number of paths of the directory that the archive's own patterns exclude.
	Excluded uint64
	// Skipped are paths that could not be read, and were not compared. It has at most 1,000.
	Skipped     []Skipped
	SkippedMore uint64 `json:"skipped_more"`
	// Unmatched are the selected paths and patterns that matched nothing.
	Unmatched []string
	// ReadMethod is how the archive was read, and OtherReadMethod how the other one; empty for a directory.
	ReadMethod      string `json:"read_method"`
	OtherReadMethod string `json:"other_read_method"`
}

// Run compares two archives. The engine of the first one does it, and its ReadLimit is for both together.
func (d Diff) Run(ctx context.Context, before, after *Archive) (*Compared, error) {
	return d.run(ctx, before, after, nil)
}

// RunDir compares an archive with a directory. The ReadLimit of the archive is for both together.
func (d Diff) RunDir(ctx context.Context, archive *Archive, dir string) (*Compared, error) {
	return d.run(ctx, archive, nil, map[string]any{"dir": wireText(dir)})
}

func (d Diff) run(ctx context.Context, before, after *Archive, with map[string]any) (*Compared, error) {
	args := map[string]any{"select": texts(d.Select), "content": d.Content, "excluded": d.Excluded, "with": with}
	if d.MaxMembers > 0 {
		args["max_members"] = d.MaxMembers
	}
	open := func(job *job, failed func()) (fed []*pump, err error) {
		var pump *pump
		args["archive"], pump, err = before.open(job, failed)
		fed = append(fed, pump)
		if err == nil && after != nil {
			var other any
			other, pump, err = after.open(job, failed)
			fed, args["with"] = append(fed, pump), map[string]any{"archive": other}
		}
		return fed, err
	}
	each := decoded(d.OnDifference)
	var compared Compared
	if err := before.Engine.lines(ctx, "diff", args, before.ReadLimit, open, each, d.OnProgress, &compared); err != nil {
		return nil, err
	}
	return &compared, nil
}
