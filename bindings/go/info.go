//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"time"
)

// A Tag is a key with a value in the identity of an archive. At most 32 tags, keys of 255 bytes without
// "=", and values of 512 bytes are possible.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ArchiveInfo is what an archive says about itself. Nobody has confirmed it. An archive of a backup with
// Reproducible has no Source, Host and Made.
type ArchiveInfo struct {
	// Label is the label of the Backup, otherwise the name of the source directory. It may hold any bytes.
	Label string
	// Source is the path of the source.
	Source string
	// Host is the name of the host that made the archive.
	Host string
	// Made is the time when the backup began; the zero time if it is unknown.
	Made time.Time
	// Tool is the name and version of the program that made the archive.
	Tool string
	// Encoder is a word; docs/command.md lists the words. EncoderLevel is the level of that encoder.
	Encoder      string
	EncoderLevel int
	Profile      Profile
	// Excludes are the patterns that were in force, one a line: the ignore file, then those of the Backup.
	// Rules is their language.
	Excludes string
	Rules    Rules

	Files, Directories, Symlinks uint64
	Content                      uint64 // bytes of the files
	Skipped                      uint64 // paths that the archive lacks because they could not be read
	// OmitsUnnamed says that the archive lacks paths of the source that no pattern in Excludes names.
	OmitsUnnamed     bool
	TarLen, Segments uint64 // bytes and segments of the tar stream
	Size             int64  // bytes of the archive
	Tags             []Tag
}

// UnmarshalJSON decodes the engine's answer.
func (i *ArchiveInfo) UnmarshalJSON(text []byte) error {
	var said struct {
		Label        string
		LabelB64     []byte `json:"label_b64"`
		Source       string
		SourceB64    []byte `json:"source_b64"`
		Host         string
		Made         *int64 `json:"made_ns"`
		Tool         string
		Encoder      string
		EncoderLevel int `json:"encoder_level"`
		Profile      Profile
		Excludes     string
		ExcludesB64  []byte `json:"excludes_b64"`
		Rules        Rules
		Files        uint64
		Directories  uint64
		Symlinks     uint64
		Content      uint64
		Skipped      uint64
		OmitsUnnamed bool   `json:"omits_unnamed"`
		TarLen       uint64 `json:"tar_len"`
		Segments     uint64
		Size         int64
		Tags         []Tag
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*i = ArchiveInfo{
		Label: wirePath{said.Label, said.LabelB64}.path(), Source: wirePath{said.Source, said.SourceB64}.path(),
		Host: said.Host, Tool: said.Tool, Encoder: said.Encoder, EncoderLevel: said.EncoderLevel,
		Profile: said.Profile, Excludes: wirePath{said.Excludes, said.ExcludesB64}.path(), Rules: said.Rules,
		Files: said.Files, Directories: said.Directories, Symlinks: said.Symlinks, Content: said.Content,
		Skipped: said.Skipped, OmitsUnnamed: said.OmitsUnnamed, TarLen: said.TarLen, Segments: said.Segments, Size: said.Size, Tags: said.Tags,
	}
	if said.Made != nil {
		i.Made = time.Unix(0, *said.Made)
	}
	return nil
}

// Info reads what the archive says about itself. It returns nil without an error if the archive has no
// index to use: another program made it, its end is missing or damaged, or it is a stream. It reads the
// last 64 KiB of the archive, and further parts only for many patterns.
func (a *Archive) Info(ctx context.Context) (*ArchiveInfo, error) {
	var info *ArchiveInfo
	if err := a.job(ctx, "info", map[string]any{}, nil, nil, &info); err != nil {
		return nil, err
	}
	return info, nil
}
