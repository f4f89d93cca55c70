package wings

import (
	"context"
	"fmt"
	"math"

	wingback "github.com/wingback/wingback/bindings/go"
)

// AskFunc asks the Panel for the part URLs of an archive of at most `size` bytes. It is called once,
// because each call begins an upload. URLs and PartSize are required. Transfer.Parallel is the most parts
// that the Panel allows at once (max_concurrent_uploads); 0 if it does not say. An upload uses fewer where
// the parts are large, because they are in memory.
type AskFunc func(ctx context.Context, size int64) (wingback.PartURLs, error)

// Upload makes the archive and uploads its parts at the same time. Nothing is written to a disk, unless
// parts are over 256 MiB; they are then written to the backup directory. The Panel gets an upper bound of
// the size, so some URLs may stay unused.
func (b *Backup) Upload(ctx context.Context, source, ignore string, ask AskFunc) (*Details, error) {
	job := b.job(source, ignore)
	job.Cache = b.config.Cache
	estimate, err := job.Estimate(ctx)
	if err != nil {
		return nil, err
	}
	urls, err := b.ask(ctx, ask, int64(estimate.ArchiveMax))
	if err != nil {
		return nil, err
	}
	report, err := job.Send(ctx, urls)
	if err != nil {
		return nil, err
	}
	return detailsOf(report), nil
}

// UploadStaged makes the archive in the backup directory, uploads it and removes it, as Wings does. It
// needs the space, and the Panel gets the exact size.
func (b *Backup) UploadStaged(ctx context.Context, source, ignore string, ask AskFunc) (*Details, error) {
	job := b.job(source, ignore)
	job.Cache = b.config.Cache
	details, err := b.generate(ctx, job)
	if err != nil {
		return nil, err
	}
	defer b.Remove()
	urls, err := b.ask(ctx, ask, details.Size)
	if err != nil {
		return nil, err
	}
	report := details.Report
	report.Parts, err = b.config.Engine.Upload(ctx, b.Path(), urls, job.OnProgress)
	if err != nil {
		return nil, err
	}
	return detailsOf(report), nil
}

// The most parts of one upload that are sent at once, and the most bytes of them, unless one part has more.
const (
	parallelMax = 4
	inFlightMax = 256 << 20
)

func (b *Backup) ask(ctx context.Context, ask AskFunc, size int64) (wingback.PartURLs, error) {
	urls, err := ask(ctx, size)
	if err == nil && (urls.PartSize == 0 || urls.PartSize > math.MaxInt64) {
		err = fmt.Errorf("wings: the Panel asks for parts of %d bytes", int64(urls.PartSize))
	}
	if err != nil {
		return wingback.PartURLs{}, err
	}
	parallel := parallelMax
	if urls.Transfer.Parallel > 0 {
		parallel = min(parallel, urls.Transfer.Parallel)
	}
	urls.Transfer.Parallel = max(1, min(parallel, int(inFlightMax/urls.PartSize)))
	if urls.Staging == "" {
		urls.Staging = b.config.Directory
	}
	return urls, nil
}
