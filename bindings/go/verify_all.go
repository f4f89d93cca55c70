//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"time"
)

// VerifyAll verifies the archives of a store. All fields may be zero.
type VerifyAll struct {
	// Label is the label of the archives; empty for all archives.
	Label string
	// Sample is a percentage of all bytes: it takes the archives whose last check is the oldest. 0 takes all.
	Sample float64
	// Place names the store in the record of checks, such as its path. If it is empty, no record is kept.
	Place string
	// StateDir is the directory of the record; empty for the default of the engine.
	StateDir string
	// Restart begins a new pass over all archives even if one was interrupted.
	Restart    bool
	Threads    int
	Background bool
	// ReadLimit limits how fast the archives are read, all together; nil for no limit.
	ReadLimit *Limiter
	// OnCheck gets the result of each archive. It is called on another goroutine, and not after the end of the
	// call.
	OnCheck    func(ArchiveCheck)
	OnProgress func(Progress)
	// Engine reads the archives; nil for Default.
	Engine *Engine
}

// An ArchiveCheck is the check of one archive: Verified, or the reason why it could not be read.
type ArchiveCheck struct {
	ArchiveTime
	Verified *Verified
	Unread   *Unread
}

// UnmarshalJSON decodes the engine's answer.
func (c *ArchiveCheck) UnmarshalJSON(text []byte) error {
	var said struct {
		Type, Key, Message string
		Kind               Kind
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*c = ArchiveCheck{}
	if err := json.Unmarshal(text, &c.ArchiveTime); err != nil {
		return err
	}
	if said.Type == "unverified" {
		c.Unread = &Unread{said.Key, said.Kind, said.Message}
		return nil
	}
	c.Verified = new(Verified)
	return json.Unmarshal(text, c.Verified)
}

// VerifiedAll is the result of a VerifyAll.
type VerifiedAll struct {
	// Whole is whether no damage is known, and every archive could be read.
	Whole bool
	// Archives is the number of archives, Verified that of those that were read now, and Bytes their size.
	Archives, Verified, Bytes uint64
	// Earlier is the number of archives that the interrupted pass had read, and Resumed its start.
	Earlier uint64
	Resumed time.Time
	// Damaged are the keys of archives whose last check found damage. It has at most 1,000.
	Damaged     []string
	DamagedMore uint64
	// Failed is the number of archives that could not be read now, and Never that of those without a check.
	Failed, Never uint64
	// Oldest is the time of the oldest of the last checks; zero without any.
	Oldest time.Time
}

// UnmarshalJSON decodes the engine's answer.
func (v *VerifiedAll) UnmarshalJSON(text []byte) error {
	type plain VerifiedAll
	said := struct {
		*plain
		DamagedMore uint64 `json:"damaged_more"`
		ResumedNS   *int64 `json:"resumed_ns"`
		OldestNS    *int64 `json:"oldest_ns"`
	}{plain: (*plain)(v)}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	v.DamagedMore, v.Resumed, v.Oldest = said.DamagedMore, timeOf(said.ResumedNS), timeOf(said.OldestNS)
	return nil
}

// Run verifies the archives of a store. Damage is not an error; see Whole.
func (v VerifyAll) Run(ctx context.Context, store Store) (*VerifiedAll, error) {
	args := map[string]any{"store": store.wire(), "restart": v.Restart, "background": v.Background}
	if v.Label != "" {
		args["label"] = wireText(v.Label)
	}
	if v.Sample > 0 {
		args["sample"] = v.Sample
	}
	if v.Place != "" {
		record := map[string]any{"place": wireText(v.Place)}
		if v.StateDir != "" {
			record["state_dir"] = wireText(v.StateDir)
		}
		args["record"] = record
	}
	if v.Threads > 0 {
		args["threads"] = v.Threads
	}
	each := decoded(v.OnCheck)
	var verified VerifiedAll
	if err := v.Engine.lines(ctx, "verify-all", args, v.ReadLimit, nil, each, v.OnProgress, &verified); err != nil {
		return nil, err
	}
	return &verified, nil
}
