package backup

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/server/filesystem"
)

// S3Backup keeps archives in a bucket.
type S3Backup struct{ Backup }

// NewS3 returns a backup in a bucket.
func NewS3(client remote.Client, uuid, ignore string) *S3Backup {
	return &S3Backup{Backup{client: client, Uuid: uuid, Ignore: ignore, adapter: S3BackupAdapter}}
}

// WithLogContext sets fields of the log.
func (b *S3Backup) WithLogContext(c map[string]interface{}) { b.logContext = c }

// Remove removes the archive that is uploaded.
func (b *S3Backup) Remove() error { return os.Remove(b.Path()) }

// Generate makes the archive on the disk, uploads its parts one after another, and removes it.
func (b *S3Backup) Generate(ctx context.Context, fsys *filesystem.Filesystem, _ string) (*ArchiveDetails, error) {
	file, err := os.Create(b.Path())
	if err != nil {
		return nil, err
	}
	defer b.Remove()
	defer file.Close()
	if err := Archive(fsys.Path(), file); err != nil {
		return nil, err
	}
	size, err := b.Size()
	if err != nil {
		return nil, err
	}
	urls, err := b.client.GetBackupRemoteUploadURLs(ctx, b.Uuid, size)
	if err != nil {
		return nil, err
	}
	var parts []remote.BackupPart
	for i, link := range urls.Parts {
		start := int64(i) * urls.PartSize
		part := io.NewSectionReader(file, start, min(urls.PartSize, size-start))
		tag, err := put(ctx, link, part)
		if err != nil {
			return nil, err
		}
		parts = append(parts, remote.BackupPart{ETag: tag, PartNumber: i + 1})
	}
	return b.Details(ctx, parts)
}

func put(ctx context.Context, link string, part *io.SectionReader) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, link, part)
	if err != nil {
		return "", err
	}
	request.ContentLength = part.Size()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	return response.Header.Get("ETag"), nil
}

// Restore restores an archive.
func (b *S3Backup) Restore(_ context.Context, r io.Reader, callback RestoreCallback) error {
	return Extract(r, callback)
}
