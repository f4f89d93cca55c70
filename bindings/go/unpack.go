//go:build linux

package wingback

import (
	"context"
	"encoding/json"
)

// Unpack is how members are written, and how much of them at most.
type Unpack struct {
	Threads    int
	Background bool
	// Owner of the files; nil for whoever writes them.
	Owner *Owner
	// Reserve is how many bytes of the file system are to stay free.
	Reserve uint64
	// MaxBytes, MaxMembers and MaxRatio (of content to archive) are not to be exceeded; 0 is 5,000,000
	// members, and no limit for the others. A member counts once more for each 128 bytes of its path and
	// target.
	MaxBytes, MaxMembers, MaxRatio uint64
	// SkipRefused leaves out members that cannot be used, such as a path that leads outside, and lists
	// them in Skipped. Otherwise the first one is an error.
	SkipRefused bool
}

// Owner is a user and a group, or what the archive says.
type Owner struct {
	UID, GID    uint32
	FromArchive bool
}

func (u Unpack) wire() any {
	var owner any
	if o := u.Owner; o != nil {
		owner = map[string]any{"ids": []uint32{o.UID, o.GID}}
		if o.FromArchive {
			owner = "archive"
		}
	}
	return struct {
		Threads    int    `json:"threads,omitempty"`
		Background bool   `json:"background,omitempty"`
		Owner      any    `json:"owner,omitempty"`
		Reserve    uint64 `json:"reserve,omitempty"`
		MaxBytes   uint64 `json:"max_bytes,omitempty"`
		MaxMembers uint64 `json:"max_members,omitempty"`
		MaxRatio   uint64 `json:"max_ratio,omitempty"`
		Skip       bool   `json:"skip_refused,omitempty"`
	}{u.Threads, u.Background, owner, u.Reserve, u.MaxBytes, u.MaxMembers, u.MaxRatio, u.SkipRefused}
}

// Unpacked is what was written.
type Unpacked struct {
	Files, Directories, Symlinks uint64
	HardLinks                    uint64 `json:"hard_links"`
	Content                      uint64
	Skipped                      []NotExtracted
	// Damage that was passed over; only of an Extract with Salvage.
	Damage []Damage
	// SkippedMore and DamageMore are how many there are beyond the 1,000 that are listed.
	SkippedMore uint64 `json:"skipped_more"`
	// Refused is how many of the skipped members could not be used.
	Refused    uint64
	DamageMore uint64 `json:"damage_more"`
	// Unmatched patterns of an Extract with Salvage; without it, one that matches nothing is InvalidInput.
	Unmatched []string
	// Recovered says what a Restore had to do with an interrupted one before: nothing where empty.
	Recovered string
	Warnings  []string
	// ReadMethod is "indexed", or "sequential".
	ReadMethod string
}

// NotExtracted is a member that was not written.
type NotExtracted struct {
	Path, Reason, Message string
}

// UnmarshalJSON reads what the engine says.
func (n *NotExtracted) UnmarshalJSON(text []byte) error {
	var said struct {
		wirePath
		Reason, Message string
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*n = NotExtracted{said.path(), said.Reason, said.Message}
	return nil
}

// Extract takes members out of an archive, into a directory.
type Extract struct {
	Dir string
	// Select paths with all beneath them, or patterns; empty for everything.
	Select     []string
	Overwrite  bool
	Salvage    bool // take what can be had of a damaged archive
	Unpack     Unpack
	OnProgress func(Progress)
}

// Run extracts.
func (x Extract) Run(ctx context.Context, archive *Archive) (*Unpacked, error) {
	var unpacked Unpacked
	args := map[string]any{
		"dir": wireText(x.Dir), "select": texts(x.Select), "overwrite": x.Overwrite,
		"salvage": x.Salvage, "unpack": x.Unpack.wire(),
	}
	if err := archive.job(ctx, "extract", args, nil, x.OnProgress, &unpacked); err != nil {
		return nil, err
	}
	return &unpacked, nil
}

// Restore brings a directory to an archive's state. Nothing in it is touched before the archive is
// known to be good, and a crash on the way leaves what Recover finishes or undoes.
type Restore struct {
	Dir string
	// Merge puts the archive's files over what is there, instead of ending with exactly its tree.
	Merge bool
	// InPlace removes the old files first, once the archive is verified.
	InPlace bool
	// Keep leaves what matches as it is. One that matches nothing in Dir is InvalidInput, with nothing
	// touched; if Dir is empty or not there, it is a warning.
	Keep []string
	// Staging is a directory on the same file system to unpack into.
	Staging string
	// StateDir has the records of restores; nobody else may write to it. Empty for the engine's
	// default. Recover and Backup find a restore that was interrupted only by the same directory.
	StateDir string
	// SHA1 that the archive must have, in hexadecimal.
	SHA1       string
	Unpack     Unpack
	OnProgress func(Progress)
}

// Run restores.
func (r Restore) Run(ctx context.Context, archive *Archive) (*Unpacked, error) {
	args := map[string]any{
		"dir": wireText(r.Dir), "merge": r.Merge, "in_place": r.InPlace, "keep": texts(r.Keep),
		"unpack": r.Unpack.wire(),
	}
	if r.Staging != "" {
		args["staging"] = wireText(r.Staging)
	}
	if r.StateDir != "" {
		args["state_dir"] = wireText(r.StateDir)
	}
	if r.SHA1 != "" {
		args["sha1"] = r.SHA1
	}
	var unpacked Unpacked
	if err := archive.job(ctx, "restore", args, nil, r.OnProgress, &unpacked); err != nil {
		return nil, err
	}
	return &unpacked, nil
}

// Recover finishes or undoes a restore of Dir that was interrupted, and says which; empty if there
// was none. Of the other fields only StateDir counts.
func (r Restore) Recover(ctx context.Context, engine *Engine) (string, error) {
	args := map[string]any{"dir": wireText(r.Dir)}
	if r.StateDir != "" {
		args["state_dir"] = wireText(r.StateDir)
	}
	var recovered struct{ Recovered string }
	err := engine.or().ask(ctx, "recover", args, &recovered)
	return recovered.Recovered, err
}
