//go:build linux

package wingback

import (
	"context"
	"encoding/json"
)

// Unpack sets how members are written, and the limits for them. The zero value of a field is its default.
type Unpack struct {
	Threads    int
	Background bool
	// Owner is the owner of the files. If it is nil and the engine runs as root, the owners are those in the
	// archive. If it is nil for another user, the files belong to that user. An owner that cannot be set is
	// a warning.
	Owner *Owner
	// Reserve is the number of bytes of the file system that must stay free.
	Reserve uint64
	// MaxBytes and MaxMembers limit the content and the number of members, MaxRatio the ratio of the
	// content to the size of the archive. 0 means 5,000,000 members, and no limit for the others. Each
	// 128 bytes of a member's path and target count as another member.
	MaxBytes, MaxMembers, MaxRatio uint64
	// SkipRefused skips members that cannot be used, such as a path that leads out of the directory, and
	// lists them in Skipped. Otherwise the first one is an error.
	SkipRefused bool
}

// Owner is a user and a group, with FromArchive those in the archive, or with Keep the user who runs the engine.
type Owner struct {
	UID, GID          uint32
	FromArchive, Keep bool
}

func (u Unpack) wire() any {
	var owner any
	if o := u.Owner; o != nil {
		owner = map[string]any{"ids": []uint32{o.UID, o.GID}}
		switch {
		case o.FromArchive:
			owner = "archive"
		case o.Keep:
			owner = "keep"
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

// Unpacked is the result of an Extract, and a part of the result of a Restore.
type Unpacked struct {
	Files, Directories, Symlinks uint64
	HardLinks                    uint64 `json:"hard_links"`
	Content                      uint64
	Skipped                      []NotExtracted
	// Damage has the damaged places; only an Extract with Salvage has any.
	Damage []Damage
	// SkippedMore and DamageMore are the numbers of entries that the lists leave out; each list has at
	// most 1,000.
	SkippedMore uint64 `json:"skipped_more"`
	// Refused is the number of skipped members that cannot be used.
	Refused    uint64
	DamageMore uint64 `json:"damage_more"`
	// Unmatched has the patterns of an Extract with Salvage that matched nothing. Without Salvage they are
	// an error.
	Unmatched []string
	Warnings  []Warning
	// ReadMethod is "indexed", or "sequential".
	ReadMethod string `json:"read_method"`
}

// Restored is the result of a Restore. Each list has at most 1,000 paths, and the field with More the number of
// the others.
type Restored struct {
	Unpacked
	// Added has the paths that were not in the directory before, each directory before its content.
	Added     Paths
	AddedMore uint64 `json:"added_more"`
	// Replaced has the paths of files, symlinks and others that were replaced.
	Replaced     Paths
	ReplacedMore uint64 `json:"replaced_more"`
	// Removed has the paths that were removed, each directory after its content. Empty without Delete.
	Removed     Paths
	RemovedMore uint64 `json:"removed_more"`
	// Unchanged is the number of files and symlinks that are equal in the directory and the archive.
	Unchanged uint64
	// Recovered is the result for an earlier, interrupted restore; empty if there was none.
	Recovered string
}

// Paths are paths in a directory.
type Paths []string

// UnmarshalJSON decodes the engine's answer.
func (p *Paths) UnmarshalJSON(text []byte) error {
	var said []wirePath
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*p = nil
	for _, path := range said {
		*p = append(*p, path.path())
	}
	return nil
}

// NotExtracted is a skipped member.
type NotExtracted struct {
	Path, Reason, Message string
}

// UnmarshalJSON decodes the engine's answer.
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

// Extract writes members of an archive to a directory.
type Extract struct {
	Dir string
	// Select has paths or patterns: members that they match are extracted, with all members below those.
	// Empty for all members.
	Select    []string
	Overwrite bool
	Salvage   bool // extract a damaged archive as far as possible
	// SHA1 is the SHA-1 that the archive must have, in hexadecimal; empty for any. The archive is verified
	// before anything is written. A stream is compared at its end. It cannot be combined with Salvage.
	SHA1       string
	Unpack     Unpack
	OnProgress func(Progress)
}

// Run extracts the archive. If it fails, complete files stay.
func (x Extract) Run(ctx context.Context, archive *Archive) (*Unpacked, error) {
	var unpacked Unpacked
	args := map[string]any{
		"dir": wireText(x.Dir), "select": texts(x.Select), "overwrite": x.Overwrite,
		"salvage": x.Salvage, "unpack": x.Unpack.wire(),
	}
	if x.SHA1 != "" {
		args["sha1"] = x.SHA1
	}
	if err := archive.job(ctx, "extract", args, nil, x.OnProgress, &unpacked); err != nil {
		return nil, err
	}
	return &unpacked, nil
}

// Restore restores the files of an archive into a directory. They replace those of the directory. Files that the
// archive does not have stay, unless Delete is set. Nothing is changed before the archive is known to be
// undamaged. After a crash, Recover finishes or undoes the restore.
type Restore struct {
	Dir string
	// Delete removes files that the archive does not have, except those that the patterns of the backup had
	// excluded. If the archive does not record its patterns because it has no index, the error is InvalidInput.
	Delete bool
	// DeleteExcluded lets Delete also remove files that the patterns of the backup had excluded. Then Dir gets
	// exactly the tree of the archive.
	DeleteExcluded bool
	// Select has paths or patterns: members that they match are restored, with all members below those. With
	// Delete, only files that they match are removed. If one matches nothing in the archive, the error is
	// InvalidInput, and nothing is changed. Empty for all members.
	Select []string
	// DryRun reads the archive and the directory, and changes nothing. The result is the one that a restore
	// would have.
	DryRun bool
	// InPlace needs no space for a second copy of the files that differ: it verifies the archive, and writes
	// over the old files. A failure after that leaves a part of the tree.
	InPlace bool
	// Keep has paths or patterns; what they match stays as it is. If one matches nothing in Dir, the error
	// is InvalidInput, and nothing is changed; if Dir is empty or does not exist, that is a warning.
	Keep []string
	// Staging is a directory to unpack into, on the same file system as Dir and outside of it.
	Staging string
	// StateDir is the directory for the records of restores. Nobody else may be able to write to it. Empty
	// for the default of the engine. Recover and Backup find an interrupted restore only with the same
	// directory.
	StateDir string
	// SHA1 is the SHA-1 that the archive must have, in hexadecimal; empty for any.
	SHA1       string
	Unpack     Unpack
	OnProgress func(Progress)
}

// Run restores the directory.
func (r Restore) Run(ctx context.Context, archive *Archive) (*Restored, error) {
	args := map[string]any{
		"dir": wireText(r.Dir), "delete": r.Delete, "delete_excluded": r.DeleteExcluded,
		"select": texts(r.Select), "dry_run": r.DryRun, "in_place": r.InPlace, "keep": texts(r.Keep),
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
	var restored Restored
	if err := archive.job(ctx, "restore", args, nil, r.OnProgress, &restored); err != nil {
		return nil, err
	}
	return &restored, nil
}

// Recover finishes or undoes an interrupted restore of Dir, and returns which it did; empty if there was
// none. Of the other fields, only StateDir is used.
func (r Restore) Recover(ctx context.Context, engine *Engine) (string, error) {
	args := map[string]any{"dir": wireText(r.Dir)}
	if r.StateDir != "" {
		args["state_dir"] = wireText(r.StateDir)
	}
	var recovered struct{ Recovered string }
	err := engine.or().ask(ctx, "recover", args, &recovered)
	return recovered.Recovered, err
}
