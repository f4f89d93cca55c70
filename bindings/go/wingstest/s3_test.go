package wingstest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/pterodactyl/wings/remote"
	"github.com/pterodactyl/wings/server/backup"
	"github.com/pterodactyl/wings/server/filesystem"
	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

// A realS3 issues URLs and completes uploads as the Panel does, on a real S3 server.
type realS3 struct {
	core     *minio.Core
	partSize int64
	uploads  map[string]string
	asked    []int64
}

const bucket = "backups"

func newRealS3(t *testing.T) *realS3 {
	t.Helper()
	name := cmp.Or(os.Getenv("WINGBACK_S3_SERVER"), "versitygw")
	cache, _ := os.UserCacheDir()
	found, _ := filepath.Glob(filepath.Join(cache, "wingback/bin", name+"-*"))
	if len(found) == 0 {
		t.Fatalf("%s is missing in the cache folder: tests/s3-servers.sh builds it", name)
	}
	binary := found[len(found)-1]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	tree.Must(t, err)
	address := listener.Addr().String()
	tree.Must(t, listener.Close())
	// MinIO refuses writes if its file system is 99 % full, whatever its size.
	data, err := os.MkdirTemp("/dev/shm", "wingback-s3")
	if err != nil {
		data = t.TempDir()
	}
	server := exec.Command(binary, "server", "--address", address, data)
	if name == "versitygw" {
		sidecar, objects := filepath.Join(data, "sidecar"), filepath.Join(data, "objects")
		tree.Must(t, os.Mkdir(sidecar, 0o700))
		tree.Must(t, os.Mkdir(objects, 0o700))
		server = exec.Command(binary, "--port", address, "posix", "--sidecar", sidecar, objects)
	}
	server.Env = append(os.Environ(), "MINIO_ROOT_USER=wingback", "MINIO_ROOT_PASSWORD=wingback-secret", "MINIO_BROWSER=off",
		"ROOT_ACCESS_KEY=wingback", "ROOT_SECRET_KEY=wingback-secret")
	tree.Must(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		_ = os.RemoveAll(data)
	})
	core, err := minio.NewCore(address, &minio.Options{Creds: credentials.NewStaticV4("wingback", "wingback-secret", "")})
	tree.Must(t, err)
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := core.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
		if err == nil {
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatal(err)
		}
	}
	return &realS3{core: core, partSize: 5 << 20, uploads: map[string]string{}}
}

func (p *realS3) GetBackupRemoteUploadURLs(ctx context.Context, backup string, size int64) (remote.BackupRemoteUploadResponse, error) {
	var answer remote.BackupRemoteUploadResponse
	p.asked = append(p.asked, size)
	if size == 0 {
		return answer, errors.New("the panel: size must not be 0")
	}
	upload, err := p.core.NewMultipartUpload(ctx, bucket, backup, minio.PutObjectOptions{})
	if err != nil {
		return answer, err
	}
	p.uploads[backup] = upload
	answer.PartSize = p.partSize
	for number := 1; int64(number-1)*p.partSize < size; number++ {
		query := url.Values{"uploadId": {upload}, "partNumber": {strconv.Itoa(number)}}
		link, err := p.core.Presign(ctx, "PUT", bucket, backup, time.Hour, query)
		if err != nil {
			return answer, err
		}
		answer.Parts = append(answer.Parts, link.String())
	}
	return answer, nil
}

func (p *realS3) SetBackupStatus(context.Context, string, remote.BackupRequest) error { return nil }
func (p *realS3) SendRestorationStatus(context.Context, string, bool) error           { return nil }

func (p *realS3) ask(ctx context.Context, size int64) (wingback.PartURLs, error) {
	urls, err := p.GetBackupRemoteUploadURLs(ctx, id, size)
	return wingback.PartURLs{URLs: urls.Parts, PartSize: uint64(urls.PartSize)}, err
}

func (p *realS3) complete(name string, parts []remote.BackupPart) error {
	var all []minio.CompletePart
	for _, part := range parts {
		all = append(all, minio.CompletePart{PartNumber: part.PartNumber, ETag: part.ETag})
	}
	_, err := p.core.CompleteMultipartUpload(ctx, bucket, name, p.uploads[name], all, minio.PutObjectOptions{})
	return err
}

// incompressible adds files that need several parts.
func incompressible(t *testing.T, dir string) {
	noise := make([]byte, 7<<20)
	seed := uint32(1)
	for i := range noise {
		seed = seed*1664525 + 1013904223
		noise[i] = byte(seed >> 24)
	}
	for i := range 2 {
		path := filepath.Join(dir, fmt.Sprintf("noise%d", i))
		tree.Must(t, os.WriteFile(path, noise[i<<20:], 0o640))
		// Go's tar writer rounds times.
		tree.Must(t, os.Chtimes(path, time.Time{}, time.Unix(1_700_000_000, 0)))
	}
}

func TestABackupIsUploadedToPartURLsAndRestoredFromAStream(t *testing.T) {
	panel := newRealS3(t)
	source := tree.Volume(t)
	incompressible(t, source)
	b := backup.WithEngine(backup.NewS3(panel, id, ignore), server)
	details, err := b.Generate(ctx, filesystem.New(source), b.Ignored())
	tree.Must(t, err)
	if len(details.Parts) != 3 || len(panel.asked) != 1 || panel.asked[0] < details.Size {
		t.Errorf("%+v, asked for %d", details, panel.asked)
	}
	tree.Must(t, panel.complete(id, details.Parts))
	object, _, _, err := panel.core.GetObject(ctx, bucket, id, minio.GetObjectOptions{})
	tree.Must(t, err)
	defer object.Close()
	var archive bytes.Buffer
	_, err = archive.ReadFrom(object)
	tree.Must(t, err)
	sum := sha1.Sum(archive.Bytes())
	if details.Checksum != hex.EncodeToString(sum[:]) || details.Size != int64(archive.Len()) {
		t.Errorf("%+v", details)
	}
	tree.Targets(t, func(dir string) {
		again, _, _, err := panel.core.GetObject(ctx, bucket, id, minio.GetObjectOptions{})
		tree.Must(t, err)
		defer again.Close()
		tree.Must(t, b.Restore(ctx, again, tree.Writer(dir)))
		tree.Same(t, source, dir)
	})
}

func TestAStagedArchiveIsUploadedAndLeavesNothing(t *testing.T) {
	panel := newRealS3(t)
	source := tree.Volume(t)
	incompressible(t, source)
	b, err := node(t, wings.Pelican).Backup(id, server)
	tree.Must(t, err)
	details, err := b.UploadStaged(ctx, source, ignore, panel.ask)
	tree.Must(t, err)
	if panel.asked[0] != details.Size || len(details.Parts) != 3 {
		t.Errorf("%+v", details)
	}
	if _, err := os.Stat(filepath.Dir(b.Path())); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// A failure of the Panel leaves nothing, either.
	refused := errors.New("the panel: 409")
	_, err = b.UploadStaged(ctx, source, ignore, func(context.Context, int64) (wingback.PartURLs, error) {
		return wingback.PartURLs{}, refused
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(b.Path())); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestACancelledUploadEndsSoon(t *testing.T) {
	panel := newRealS3(t)
	source := tree.Volume(t)
	incompressible(t, source)
	dir := t.TempDir()
	n := wings.NewNode(func() wings.Config { return wings.Config{Directory: dir, WriteLimit: 1} })
	b, err := n.Backup(id, "")
	tree.Must(t, err)
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = b.Upload(ctx, source, ignore, panel.ask)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 5*time.Second {
		t.Error(err, time.Since(begun))
	}
}
