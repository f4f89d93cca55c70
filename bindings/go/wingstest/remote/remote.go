// Package remote is a stand-in for Wings' package.
package remote

import "context"

// Client sends requests to the Panel.
type Client interface {
	GetBackupRemoteUploadURLs(ctx context.Context, backup string, size int64) (BackupRemoteUploadResponse, error)
}

// BackupRemoteUploadResponse is the Panel's answer with part URLs.
type BackupRemoteUploadResponse struct {
	Parts    []string `json:"parts"`
	PartSize int64    `json:"part_size"`
	// MaxConcurrentUploads is the most parts to upload at once; 0 if the Panel does not say.
	MaxConcurrentUploads int `json:"max_concurrent_uploads"`
}

// BackupPart is an uploaded part.
type BackupPart struct {
	ETag       string `json:"etag"`
	PartNumber int    `json:"part_number"`
}

// BackupRequest is the result of a backup for the Panel.
type BackupRequest struct {
	Checksum     string       `json:"checksum"`
	ChecksumType string       `json:"checksum_type"`
	Size         int64        `json:"size"`
	Successful   bool         `json:"successful"`
	Parts        []BackupPart `json:"parts"`
}
