//go:build linux

package wingback

import (
	"encoding/json"
	"time"
)

// A Report describes an archive, and the parts of the source that it does not contain.
type Report struct {
	// Location is the path or URL of the archive; empty if it went to a writer or part URLs.
	Location string
	// Key is the name of the archive in its store.
	Key string

	Size int64 // in bytes
	// SHA1 of the archive's bytes, in hexadecimal.
	SHA1                                    string
	Files, Directories, Symlinks, HardLinks uint64
	Content, Read                           uint64 // bytes of file content in the archive, and bytes read
	Copied                                  uint64 // bytes copied from the previous archive
	Compressed                              uint64 // bytes of the tar that were compressed
	Uploaded                                uint64 // bytes sent to a service
	CopiedInStore                           uint64 // bytes that a service copied from the previous archive
	Segments, Excluded                      uint64
	Skipped                                 []Skipped
	Changed                                 []Changed
	// SkippedMore and ChangedMore are the numbers of paths that the lists leave out; each list has at most
	// 1,000.
	SkippedMore, ChangedMore uint64
	Warnings                 []Warning
	// Partial is whether content is missing that should be in the archive.
	Partial  bool
	Duration time.Duration
	// Parts are the parts that went to part URLs.
	Parts []Part
}

// A Skipped file is not in the archive.
type Skipped struct {
	Path    string
	Reason  string // a word for programs
	Message string
	Loss    bool // whether it should have been
}

// UnmarshalJSON decodes the engine's answer.
func (s *Skipped) UnmarshalJSON(text []byte) error {
	var said struct {
		wirePath
		Reason, Message string
		Loss            bool
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*s = Skipped{said.path(), said.Reason, said.Message, said.Loss}
	return nil
}

// A Changed file changed while it was read.
type Changed struct {
	Path   string
	Change string // a word for programs
}

// A Warning is something that the caller should know and that does not fail the job.
type Warning struct {
	Code    string // a word for programs
	Message string
	// Path is the path that the warning is about, or empty.
	Path string
}

// UnmarshalJSON decodes the engine's answer.
func (w *Warning) UnmarshalJSON(text []byte) error {
	var said struct {
		wirePath
		Code, Message string
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*w = Warning{said.Code, said.Message, said.path()}
	return nil
}

func (w Warning) String() string { return w.Message }

// A Part is a part of a multipart upload. The call that completes the upload needs both fields.
type Part struct {
	Number int    `json:"number"`
	ETag   string `json:"etag"`
}

// UnmarshalJSON decodes the engine's answer.
func (r *Report) UnmarshalJSON(text []byte) error {
	var said struct {
		wireLocation
		Key         string
		Size        int64
		SHA1        string
		Files       uint64
		Directories uint64
		Symlinks    uint64
		HardLinks   uint64 `json:"hard_links"`
		Content     uint64
		Read        uint64
		Copied      uint64
		Compressed  uint64
		Uploaded    uint64
		InStore     uint64 `json:"copied_in_store"`
		Segments    uint64
		Excluded    uint64
		Skipped     []Skipped
		Changed     []struct {
			wirePath
			Change string
		}
		SkippedMore uint64 `json:"skipped_more"`
		ChangedMore uint64 `json:"changed_more"`
		Warnings    []Warning
		Partial     bool
		DurationMS  int64 `json:"duration_ms"`
		Parts       []Part
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*r = Report{
		Location: said.location(), Key: said.Key, Size: said.Size, SHA1: said.SHA1, Files: said.Files,
		Directories: said.Directories, Symlinks: said.Symlinks, HardLinks: said.HardLinks,
		Content: said.Content, Read: said.Read, Copied: said.Copied, Compressed: said.Compressed,
		Uploaded: said.Uploaded, CopiedInStore: said.InStore,
		Segments: said.Segments, Excluded: said.Excluded, Skipped: said.Skipped,
		SkippedMore: said.SkippedMore, ChangedMore: said.ChangedMore,
		Warnings: said.Warnings, Partial: said.Partial,
		Duration: time.Duration(said.DurationMS) * time.Millisecond, Parts: said.Parts,
	}
	for _, c := range said.Changed {
		r.Changed = append(r.Changed, Changed{c.path(), c.Change})
	}
	return nil
}
