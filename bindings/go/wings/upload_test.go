package wings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func testBackup(t *testing.T, config Config) *Backup {
	t.Helper()
	config.Directory = "/backups"
	b, err := NewNode(func() Config { return config }).Backup("6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11", "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPartsAtOnceAreLimited(t *testing.T) {
	for allowed, parallel := range map[int]int{-1: 4, 0: 4, 1: 1, 3: 3, 4: 4, 10: 4} {
		ask := func(context.Context, int64) (wingback.PartURLs, error) {
			return wingback.PartURLs{PartSize: 1, Transfer: wingback.Transfer{Parallel: allowed}}, nil
		}
		urls, err := testBackup(t, Config{}).ask(context.Background(), ask, 1, 0)
		if err != nil || urls.Transfer.Parallel != parallel || urls.Staging != "/backups" {
			t.Errorf("%d are allowed: %+v, %v", allowed, urls, err)
		}
	}
	negative := int64(-1)
	for _, size := range []uint64{0, uint64(negative)} {
		ask := func(context.Context, int64) (wingback.PartURLs, error) { return wingback.PartURLs{PartSize: size}, nil }
		if _, err := testBackup(t, Config{}).ask(context.Background(), ask, 1, 0); err == nil {
			t.Errorf("parts of %d bytes", int64(size))
		}
	}
}

// Only the answer that the backup does not exist begins no upload, so only that one is not final.
func TestThePanelIsAskedAgainOnlyIfItDoesNotKnowTheBackup(t *testing.T) {
	unknownFor, askAgain = 100*time.Millisecond, time.Millisecond
	t.Cleanup(func() { unknownFor, askAgain = time.Minute, time.Second })
	missing := &fs.PathError{Op: "ask", Path: "backup", Err: fs.ErrNotExist}
	refused := errors.New("403")
	for name, c := range map[string]struct {
		answers []error
		want    error
		asked   int
	}{
		"known": {nil, nil, 1}, "known later": {[]error{missing, missing}, nil, 3}, "refused": {[]error{refused}, refused, 1},
		"refused later": {[]error{missing, refused}, refused, 2}, "unknown": {nil, fs.ErrNotExist, -1},
	} {
		asked := 0
		ask := func(context.Context, int64) (wingback.PartURLs, error) {
			asked++
			if c.asked < 0 {
				return wingback.PartURLs{}, missing
			}
			if asked <= len(c.answers) {
				return wingback.PartURLs{}, c.answers[asked-1]
			}
			return wingback.PartURLs{PartSize: 1}, nil
		}
		_, err := testBackup(t, Config{}).ask(context.Background(), ask, 1, 0)
		if !errors.Is(err, c.want) || c.asked > 0 && asked != c.asked || c.asked < 0 && asked < 3 {
			t.Errorf("%s: %v, asked %d times", name, err, asked)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ask := func(context.Context, int64) (wingback.PartURLs, error) { cancel(); return wingback.PartURLs{}, missing }
	askAgain = time.Hour
	if _, err := testBackup(t, Config{}).ask(ctx, ask, 1, 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func issued(at time.Time, life time.Duration) string {
	return fmt.Sprintf("https://s3.example/b/k?partNumber=1&X-Amz-Date=%s&X-Amz-Expires=%d&X-Amz-Signature=0",
		at.UTC().Format("20060102T150405Z"), int(life.Seconds()))
}

func TestTheLifeOfURLsIsRead(t *testing.T) {
	now := time.Now()
	for link, want := range map[string]time.Duration{
		issued(now, 2*time.Hour):                                                2 * time.Hour,
		issued(now.Add(-time.Minute), 5*time.Minute):                            4 * time.Minute,
		issued(now.Add(-time.Hour), time.Minute):                                0,
		"https://s3.example/b/k?Expires=1":                                      usualLife,
		"https://s3.example/b/k?X-Amz-Date=soon":                                usualLife,
		"https://s3.example/b/k?X-Amz-Date=20261130T120000Z&X-Amz-Expires=long": usualLife,
		"://": usualLife,
	} {
		var u uploads
		if u.lifetime() != usualLife {
			t.Error(u.lifetime())
		}
		life := u.answered([]string{link})
		if d := life - want; d > 2*time.Second || d < -2*time.Second || u.lifetime() != life {
			t.Errorf("%s: %v, not %v", link, life, want)
		}
	}
}

func TestTheTimeOfAnUploadIsExpectedFromEarlierOnes(t *testing.T) {
	var u uploads
	source := &wingback.Estimate{Content: 400 << 20, ArchiveMax: 410 << 20}
	if got := u.streamed(source, 0); got != 10*time.Second {
		t.Error(got)
	}
	// The write limit is about the archive.
	if got := u.streamed(source, 1<<20); got != 410*time.Second {
		t.Error(got)
	}
	if got := u.sending(1 << 20); got != 0 {
		t.Error(got)
	}
	u.learn(100<<20, time.Millisecond, 0, 0) // too short
	u.learn(100<<20, 100*time.Second, 10<<20, 10*time.Second)
	if streamed, sending := u.streamed(source, 0), u.sending(10<<20); streamed != 400*time.Second || sending != 10*time.Second {
		t.Error(streamed, sending)
	}
	u.learn(300<<20, 100*time.Second, 0, 0) // the mean of 1 and 3 MiB/s
	if got := u.streamed(source, 0); got != 200*time.Second {
		t.Error(got)
	}
	u.learn(0, 100*time.Second, 0, 0)
	if got := u.streamed(&wingback.Estimate{Content: 1 << 62}, 0); got <= 0 {
		t.Error(got)
	}
}

func TestAnUploadThatOutlastsItsURLsIsAWarning(t *testing.T) {
	for life, warns := range map[time.Duration]bool{time.Hour: true, 3 * time.Hour: false} {
		b := testBackup(t, Config{})
		var warnings []string
		b.OnWarning = func(text string) { warnings = append(warnings, text) }
		ask := func(context.Context, int64) (wingback.PartURLs, error) {
			return wingback.PartURLs{URLs: []string{issued(time.Now(), life)}, PartSize: 1}, nil
		}
		if _, err := b.ask(context.Background(), ask, 1, 2*time.Hour); err != nil {
			t.Error(err)
		}
		if warned := len(warnings) == 1 && strings.Contains(warnings[0], "2h0m0s"); warned != warns {
			t.Errorf("%v: %q", life, warnings)
		}
		// A warning without a function for it is ignored.
		b.OnWarning = nil
		b.warn("it is")
	}
}

func TestAWriteLimitBelowOneIsNoLimit(t *testing.T) {
	for mebibytes, rate := range map[int]uint64{-5: 0, -1: 0, 0: 0, 1: 1 << 20, 100: 100 << 20, 1<<62 + 1: 1 << 60} {
		limit := mebibytes
		n := NewNode(func() Config { return Config{Directory: "/backups", WriteLimit: limit} })
		if _, err := n.Backup("6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11", ""); err != nil || n.limit.Rate() != rate {
			t.Errorf("%d: %d, %v", mebibytes, n.limit.Rate(), err)
		}
	}
}
