package wingstest

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pterodactyl/wings/remote"
	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

const token = "the-id.the-token"

// A panel is a double of the Panel and of its bucket. It fails the test for a request that the Panel would
// refuse.
type panel struct {
	*httptest.Server
	t        *testing.T
	partSize int64
	life     time.Duration

	mu sync.Mutex
	// Requests of the daemon, in their order: the method and the path below /api/remote.
	calls []string
	// Statuses of the next answers to a call, instead of the usual one. A part is "PUT PART-NUMBER".
	answers map[string][]int
	asked   []int64
	parts   map[int][]byte
	reports []remote.BackupRequest
	results []bool // of restores
	object  []byte
}

func newPanel(t *testing.T) *panel {
	t.Helper()
	p := &panel{t: t, partSize: 5 << 20, life: time.Hour, answers: map[string][]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/remote/backups/{backup}", p.remote(p.uploadURLs))
	mux.HandleFunc("POST /api/remote/backups/{backup}", p.remote(p.report))
	mux.HandleFunc("POST /api/remote/backups/{backup}/restore", p.remote(p.restored))
	mux.HandleFunc("PUT /bucket/{part}", p.part)
	mux.HandleFunc("GET /bucket/object", p.download)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// remote checks a request of the daemon, and answers as the test has set.
func (p *panel) remote(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+token {
			p.t.Error(r.URL, r.Header)
		}
		call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/remote")
		p.calls = append(p.calls, strings.ReplaceAll(call, id, "ID"))
		if status := p.answer(call); status != 0 {
			w.WriteHeader(status)
			return
		}
		handle(w, r)
	}
}

func (p *panel) answer(call string) int {
	call = strings.ReplaceAll(call, id, "ID")
	statuses := p.answers[call]
	if len(statuses) == 0 {
		return 0
	}
	p.answers[call] = statuses[1:]
	return statuses[0]
}

func (p *panel) uploadURLs(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	if err != nil || size <= 0 {
		p.t.Error(r.URL)
	}
	p.asked = append(p.asked, size)
	if p.parts != nil {
		p.t.Error("a second upload was begun")
	}
	p.parts = map[int][]byte{}
	answer := map[string]any{"part_size": p.partSize, "max_concurrent_uploads": 2}
	var links []string
	for number := 1; int64(number-1)*p.partSize < size; number++ {
		links = append(links, fmt.Sprintf("%s/bucket/%d?X-Amz-Date=%s&X-Amz-Expires=%d", p.URL, number,
			time.Now().UTC().Format("20060102T150405Z"), int(p.life.Seconds())))
	}
	answer["parts"] = links
	tree.Must(p.t, json.NewEncoder(w).Encode(answer))
}

func tag(part []byte) string { return fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum(part))) }

func (p *panel) part(w http.ResponseWriter, r *http.Request) {
	part, err := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	number, _ := strconv.Atoi(r.PathValue("part"))
	if err != nil || int64(len(part)) != r.ContentLength || p.parts == nil {
		p.t.Error(err, r.URL, r.ContentLength)
	}
	if status := p.answer(fmt.Sprint("PUT ", number)); status != 0 {
		w.WriteHeader(status)
		return
	}
	p.parts[number] = part
	w.Header().Set("ETag", tag(part))
}

// decode decodes a body that may have only the fields of `into`.
func (p *panel) decode(r *http.Request, into any) {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil || r.Header.Get("Content-Type") != "application/json" {
		p.t.Error(r.URL, err)
	}
}

func (p *panel) report(w http.ResponseWriter, r *http.Request) {
	var report remote.BackupRequest
	p.decode(r, &report)
	p.reports = append(p.reports, report)
	if report.Successful {
		if report.ChecksumType != "sha1" || len(report.Checksum) != 40 || report.Size <= 0 {
			p.t.Errorf("%+v", report)
		}
		// As S3 does to complete an upload.
		var object bytes.Buffer
		for i, part := range report.Parts {
			content := p.parts[i+1]
			last := i+1 == len(report.Parts)
			if part.PartNumber != i+1 || part.ETag != tag(content) || !last && int64(len(content)) != p.partSize {
				p.t.Errorf("%+v, %d bytes", part, len(content))
			}
			object.Write(content)
		}
		if p.object = object.Bytes(); p.parts != nil && int64(len(p.object)) != report.Size {
			p.t.Errorf("%d bytes, %+v", len(p.object), report)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *panel) restored(w http.ResponseWriter, r *http.Request) {
	var result struct {
		Successful *bool `json:"successful"`
	}
	if p.decode(r, &result); result.Successful == nil {
		p.t.Error("there is no result")
		return
	}
	p.results = append(p.results, *result.Successful)
	w.WriteHeader(http.StatusNoContent)
}

func (p *panel) download(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-gzip")
	if status := p.answer("GET object"); status != 0 {
		w.WriteHeader(status)
		return
	}
	_, _ = w.Write(p.object)
}
