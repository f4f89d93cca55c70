//go:build linux

package wingback

import "context"

// PartURLs are the URLs for the parts of one archive, in their order, as a panel issues them.
type PartURLs struct {
	URLs     []string
	PartSize uint64
	// Staging is the directory for parts that have no room in memory (Options.MemoryLimit); empty for $TMPDIR
	// or /var/tmp.
	Staging  string
	Transfer Transfer
}

func (u PartURLs) wire() any {
	return struct {
		URLs     []string     `json:"urls"`
		PartSize uint64       `json:"part_size"`
		Staging  wireText     `json:"staging,omitempty"`
		Transfer wireTransfer `json:"transfer"`
	}{u.URLs, u.PartSize, wireText(u.Staging), u.Transfer.wire()}
}

// Send uploads the archive through part URLs while it is made. Report.Parts has what the call that
// completes the multipart upload needs. Estimate returns an upper bound for the size of the archive.
func (b Backup) Send(ctx context.Context, urls PartURLs) (*Report, error) {
	return b.SendLate(ctx, func(context.Context) (PartURLs, error) { return urls, nil })
}

// SendLate is Send with URLs that are asked for late, because their life is short and an unused request may
// leave an unfinished upload. It calls `ask` once, when the backup has its slot and the engine runs. It does
// not call it if the backup fails before that.
func (b Backup) SendLate(ctx context.Context, ask func(context.Context) (PartURLs, error)) (*Report, error) {
	return b.run(ctx, func(*job) (any, error) {
		urls, err := ask(ctx)
		return map[string]any{"part-urls": urls.wire()}, err
	})
}

// Upload uploads an archive that is a file through part URLs, several parts at once.
func (e *Engine) Upload(ctx context.Context, file string, urls PartURLs, onProgress func(Progress)) ([]Part, error) {
	args := map[string]any{"file": wireText(file), "to": urls.wire()}
	var sent struct{ Parts []Part }
	err := e.or().call(ctx, "upload", func(*job) (any, error) { return args, nil }, nil, handlers{progress: onProgress}, &sent)
	return sent.Parts, err
}
