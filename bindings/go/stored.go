//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"time"
)

// Archives lists the archives in a store. An archive is recognized by its content, whatever its name is.
type Archives struct {
	// Label is the label of the archives to list; empty for all archives.
	Label string
	// Since is the time since which the archives to list were made; the zero time for all archives.
	Since time.Time
	// Engine reads the store; nil for Default.
	Engine *Engine
}

// A StoredArchive is an archive in a store.
type StoredArchive struct {
	Key  string
	Size int64
	// ModTime is the time at which the archive became complete; zero if the store does not know it.
	ModTime time.Time
	// Made is the time when the backup began. If the archive does not have it, it is ModTime.
	Made time.Time
	// Whole is whether the archive has its full length and an index. Only a [Verify] finds other damage.
	Whole bool
	// Locked is whether the archive has a lock: see [Archive.Lock].
	Locked bool
	// ContentChange is the number of bytes of content more or fewer than in the archive before it with the
	// same label and host; nil without such an archive, and for an archive without a label.
	ContentChange *int64 `json:"content_change"`
	// Info is what the archive says about itself, without Excludes; nil if the archive is not whole.
	Info *ArchiveInfo
	// Location is the path or URL of the archive.
	Location string
}

// UnmarshalJSON decodes the engine's answer.
func (a *StoredArchive) UnmarshalJSON(text []byte) error {
	type fields StoredArchive
	var said struct {
		fields
		wireLocation
		Modified *int64 `json:"modified_ns"`
		MadeNS   *int64 `json:"made_ns"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*a = StoredArchive(said.fields)
	a.Location = said.wireLocation.location()
	if said.Modified != nil {
		a.ModTime = time.Unix(0, *said.Modified)
	}
	if said.MadeNS != nil {
		a.Made = time.Unix(0, *said.MadeNS)
	}
	return nil
}

// Run lists the archives, newest first. It reads the last 64 KiB of each.
func (a Archives) Run(ctx context.Context, store Store) ([]StoredArchive, error) {
	args := map[string]any{"store": store.wire()}
	if a.Label != "" {
		args["label"] = wireText(a.Label)
	}
	if !a.Since.IsZero() {
		args["since_ns"] = max(a.Since.UnixNano(), 0)
	}
	var found struct{ Archives []StoredArchive }
	err := a.Engine.or().ask(ctx, "archives", args, &found)
	return found.Archives, err
}
