//go:build linux

package wingback

import (
	"context"
	"encoding/json"
)

// A PreviewEntry is an entry of the source, and whether a backup would contain it.
type PreviewEntry struct {
	Path string
	// Kind is empty for a socket, and for a path that the source does not have. A hard link is a RegularFile.
	Kind MemberKind
	// Size is the number of bytes of content that the backup would store.
	Size     int64
	Included bool
	// Skipped is the reason why the backup would skip the entry. Of an included directory, it would skip only the
	// content. It is nil if nothing is skipped, or if a pattern excludes the entry.
	Skipped *Skipped
	// Pattern is the last pattern that matches: it excludes the entry, or includes it again. It is nil if no pattern
	// matches, and if the backup would skip the entry.
	Pattern *PatternMatch
}

// A PatternMatch is the pattern that decides about a path.
type PatternMatch struct {
	// Origin is a word for programs: "ignore-file", or "caller" for Exclude.
	Origin string
	// Line is the number of its line there, counted from 1. The texts of Exclude are one text.
	Line int
	// Pattern is the line, without its line end.
	Pattern string
	// Negated is whether it begins with "!", so that it includes the path.
	Negated bool
}

// UnmarshalJSON decodes the engine's answer.
func (p *PatternMatch) UnmarshalJSON(text []byte) error {
	var said struct {
		Origin     string
		Line       int
		Pattern    string
		PatternB64 []byte `json:"pattern_b64"`
		Negated    bool
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*p = PatternMatch{said.Origin, said.Line, wirePath{said.Pattern, said.PatternB64}.path(), said.Negated}
	return nil
}

// UnmarshalJSON decodes the engine's answer.
func (e *PreviewEntry) UnmarshalJSON(text []byte) error {
	var said struct {
		wirePath
		Kind     MemberKind
		Size     int64
		Included bool
		Skipped  *Skipped
		Pattern  *PatternMatch
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*e = PreviewEntry{said.path(), said.Kind, said.Size, said.Included, said.Skipped, said.Pattern}
	if e.Skipped != nil {
		e.Skipped.Path = e.Path
	}
	return nil
}

// A Preview is what a backup would contain.
type Preview struct {
	// Estimate counts the included entries.
	Estimate
	// Excluded is the number of entries that a pattern excludes. The content of a directory that was not entered is
	// not counted.
	Excluded uint64
	// Skipped are paths that the backup would skip for other reasons. It has at most 1,000.
	Skipped     []Skipped
	SkippedMore uint64 `json:"skipped_more"`
	Warnings    []Warning
	// Partial is whether content would be missing that should be in the archive.
	Partial bool
}

// Preview shows what a backup would contain, and writes nothing. It calls onEntry, which may be nil, with each entry of
// the source, in the order of the archive. A directory whose content is left out is one entry. onEntry is called on
// another goroutine, and not after the end of the call.
//
// Only the fields that choose the files count, and OnProgress. Locks and unfinished archives in a store inside of the
// source are included.
func (b Backup) Preview(ctx context.Context, onEntry func(PreviewEntry)) (*Preview, error) {
	args := map[string]any{"source": b.source(), "include_archives": b.IncludeArchives, "allow_empty": b.AllowEmpty}
	if len(b.MaxLen) > 0 {
		args["max_len"] = b.maxLens()
	}
	each := decoded(onEntry)
	var preview Preview
	if err := b.Engine.lines(ctx, "preview", args, nil, nil, each, b.OnProgress, &preview); err != nil {
		return nil, err
	}
	return &preview, nil
}
