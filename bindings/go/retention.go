//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"time"
)

// Retention has rules for which archives of a store to keep. The archives are divided into groups, and the rules
// apply to each group by itself. An archive is kept if one of them keeps it; without rules all are kept. The newest
// good archive of each group and archives with a lock are always kept (docs/command.md, "Removing old archives").
// All fields may be zero.
type Retention struct {
	// Last is how many of the newest archives are kept.
	Last int
	// Hourly keeps the newest archive of each of the last hours that have one. Daily and the others do so for their
	// periods. Periods are in UTC.
	Hourly, Daily, Weekly, Monthly, Yearly int
	// Within keeps archives that are at most this much older than the newest good one of their group.
	Within time.Duration
	// KeepTags keeps archives with one of these tags.
	KeepTags []Tag
	// MaxBytes limits the bytes of all kept archives together: the oldest of all groups are removed. 0 means no
	// limit.
	MaxBytes uint64
	// GroupBy is GroupByLabelAndHost if it is empty.
	GroupBy GroupBy
	// Unidentified applies the rules also to archives without a label, as one more group.
	Unidentified bool
	// Label is the label of the archives; empty for all archives.
	Label      string
	OnProgress func(Progress)
	// Engine reads the store; nil for Default.
	Engine *Engine
}

// GroupBy is what the archives of a group have in common.
type GroupBy string

// The ways to divide archives into groups. GroupByLabelAndHost is the default.
const (
	GroupByLabelAndHost GroupBy = "label,host"
	GroupByLabel        GroupBy = "label"
	GroupByNone         GroupBy = "none"
)

// An ArchiveGroup has archives to which the rules apply together.
type ArchiveGroup struct {
	// Label and Host are those of the archives; empty if they are not grouped by it, or do not have it.
	Label, Host string
	// Unidentified is whether these are the archives without a label.
	Unidentified bool
	// Archives are the archives, newest first.
	Archives []PlannedArchive
}

// Verdict says what happens to an archive.
type Verdict string

// The verdicts. Later versions may add others.
const (
	VerdictKeep         Verdict = "keep"
	VerdictRemove       Verdict = "remove"
	VerdictNotWhole     Verdict = "not-whole"    // left alone: a restore cannot use it
	VerdictUnidentified Verdict = "unidentified" // left alone: it has no label
	VerdictUndated      Verdict = "undated"      // left alone: its time is not known
	VerdictInFuture     Verdict = "in-future"    // left alone: a wrong clock has dated it
)

// A PlannedArchive is an archive in a plan.
type PlannedArchive struct {
	StoredArchive
	Verdict Verdict
	// Reason is why the archive is kept, as a word: "locked", "newest", "last", "hourly", "daily", "weekly",
	// "monthly", "yearly", "within", "tag" or "any"; empty if the verdict is not VerdictKeep.
	Reason string
	// Suspicious is whether the archive has no members, or lost most of its content. The source may have been lost.
	Suspicious bool
}

// UnmarshalJSON decodes the engine's answer.
func (a *PlannedArchive) UnmarshalJSON(text []byte) error {
	var said struct {
		Verdict    Verdict
		Reason     string
		Suspicious bool
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	a.Verdict, a.Reason, a.Suspicious = said.Verdict, said.Reason, said.Suspicious
	return json.Unmarshal(text, &a.StoredArchive)
}

// Plan returns the verdicts on the archives of a store, in groups. It removes nothing. [Archive.Remove] carries out
// VerdictRemove.
func (r Retention) Plan(ctx context.Context, store Store) ([]ArchiveGroup, error) {
	args := map[string]any{
		"store": store.wire(), "last": r.Last, "hourly": r.Hourly, "daily": r.Daily, "weekly": r.Weekly,
		"monthly": r.Monthly, "yearly": r.Yearly, "within_ns": r.Within, "unidentified": r.Unidentified,
	}
	if len(r.KeepTags) > 0 {
		args["keep_tags"] = r.KeepTags
	}
	if r.MaxBytes > 0 {
		args["max_bytes"] = r.MaxBytes
	}
	if r.GroupBy != "" {
		args["group_by"] = r.GroupBy
	}
	if r.Label != "" {
		args["label"] = wireText(r.Label)
	}
	var groups []ArchiveGroup
	each := func(line []byte) error {
		var said struct {
			Type         string
			Label        string
			LabelB64     []byte `json:"label_b64"`
			Host         string
			Unidentified bool
		}
		if err := json.Unmarshal(line, &said); err != nil {
			return err
		}
		if said.Type == "group" {
			label := wirePath{said.Label, said.LabelB64}.path()
			groups = append(groups, ArchiveGroup{Label: label, Host: said.Host, Unidentified: said.Unidentified})
			return nil
		}
		var archive PlannedArchive
		if err := json.Unmarshal(line, &archive); err != nil {
			return err
		}
		group := &groups[len(groups)-1]
		group.Archives = append(group.Archives, archive)
		return nil
	}
	err := r.Engine.lines(ctx, "plan", args, nil, nil, each, r.OnProgress, nil)
	if err != nil {
		return nil, err
	}
	return groups, nil
}

// Remove removes the archive from its store, unless it has a lock. It returns false if the archive has one. An
// archive that does not exist counts as removed.
func (a *Archive) Remove(ctx context.Context) (bool, error) {
	var done struct{ Removed bool }
	err := a.job(ctx, "remove", map[string]any{}, nil, nil, &done)
	return done.Removed, err
}
