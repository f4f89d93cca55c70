package wings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

// AskFunc asks the Panel for the part URLs of an archive of at most `size` bytes. It is called once,
// because each answer with URLs begins an upload. The Panel may not have saved the backup yet: after an
// error that is fs.ErrNotExist, it is called again for a minute. URLs and PartSize are required.
// Transfer.Parallel is the most parts that the Panel allows at once (max_concurrent_uploads); 0 if it does
// not say.
type AskFunc func(ctx context.Context, size int64) (wingback.PartURLs, error)

// Upload makes the archive and uploads its parts at the same time. Parts for which Options.MemoryLimit of the
// engine leaves no room are written to the backup directory until they are sent. The Panel is asked as soon as the
// backup may begin. It gets an upper bound of the size, so some URLs may stay unused.
//
// If the backup is expected to take more than half the life of its URLs, and the backup directory has space
// for the archive, Upload does the same as UploadStaged.
func (b *Backup) Upload(ctx context.Context, source, ignore string, ask AskFunc) (*Details, error) {
	job := b.job(source, ignore)
	job.Cache = b.config.Cache
	estimate, err := job.Estimate(ctx)
	if err != nil {
		return nil, err
	}
	expected := b.node.uploads.streamed(estimate, b.config.rate())
	if expected > b.node.uploads.lifetime()/2 {
		if hasSpace(b.config.Directory, estimate.ArchiveMax) {
			return b.uploadStaged(ctx, job, ask)
		}
		b.warn("there is no space to make the archive before its upload")
	}
	var begun time.Time
	report, err := job.SendLate(ctx, func(ctx context.Context) (wingback.PartURLs, error) {
		urls, err := b.ask(ctx, ask, int64(estimate.ArchiveMax), expected)
		begun = time.Now()
		return urls, err
	})
	if errors.Is(err, wingback.URLExpired) {
		// The next backup of this size is made before its URLs are asked for.
		b.node.uploads.learn(estimate.Content, time.Since(begun), 0, 0)
	}
	if err != nil {
		return nil, err
	}
	b.node.uploads.learn(report.Content, time.Since(begun), 0, 0)
	return detailsOf(report), nil
}

// UploadStaged makes the archive in the backup directory, uploads it and removes it, as Wings does. It
// needs the space. The Panel is asked after the archive is made, so the life of the URLs covers only the
// sending, and it gets the exact size.
func (b *Backup) UploadStaged(ctx context.Context, source, ignore string, ask AskFunc) (*Details, error) {
	job := b.job(source, ignore)
	job.Cache = b.config.Cache
	return b.uploadStaged(ctx, job, ask)
}

func (b *Backup) uploadStaged(ctx context.Context, job wingback.Backup, ask AskFunc) (*Details, error) {
	begun := time.Now()
	details, err := b.generate(ctx, job)
	if err != nil {
		return nil, err
	}
	defer b.Remove()
	making := time.Since(begun)
	urls, err := b.ask(ctx, ask, details.Size, b.node.uploads.sending(details.Size))
	if err != nil {
		return nil, err
	}
	begun = time.Now()
	report := details.Report
	report.Parts, err = b.config.Engine.Upload(ctx, b.Path(), urls, job.OnProgress)
	if err != nil {
		return nil, err
	}
	sending := time.Since(begun)
	b.node.uploads.learn(report.Content, max(making, sending), details.Size, sending)
	return detailsOf(report), nil
}

// The most parts of one upload that are sent at once.
const parallelMax = 4

// How long and how often the Panel is asked if it does not know the backup. A test shortens them.
var (
	unknownFor = time.Minute
	askAgain   = time.Second
)

// ask asks for URLs that are needed for the time `expected`.
func (b *Backup) ask(ctx context.Context, ask AskFunc, size int64, expected time.Duration) (wingback.PartURLs, error) {
	until := time.Now().Add(unknownFor)
	urls, err := ask(ctx, size)
	for errors.Is(err, fs.ErrNotExist) && time.Now().Before(until) {
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return wingback.PartURLs{}, context.Cause(ctx)
		}
		urls, err = ask(ctx, size)
	}
	if err == nil && (urls.PartSize == 0 || urls.PartSize > math.MaxInt64) {
		err = fmt.Errorf("wings: the Panel asks for parts of %d bytes", int64(urls.PartSize))
	}
	if err != nil {
		return wingback.PartURLs{}, err
	}
	if life := b.node.uploads.answered(urls.URLs); expected > life {
		b.warn(fmt.Sprintf("the upload is expected to take %v, and its URLs are valid for %v: raise BACKUP_PRESIGNED_URL_LIFESPAN of the Panel",
			expected.Round(time.Second), life.Round(time.Second)))
	}
	if allowed := urls.Transfer.Parallel; allowed < 1 || allowed > parallelMax {
		urls.Transfer.Parallel = parallelMax
	}
	if urls.Staging == "" {
		urls.Staging = b.config.Directory
	}
	return urls, nil
}

func (b *Backup) warn(text string) {
	if b.OnWarning != nil {
		b.OnWarning("the backup may fail: " + text)
	}
}
