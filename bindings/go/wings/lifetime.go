package wings

import (
	"math"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

const (
	// The life of part URLs until the Panel has issued some: the default of BACKUP_PRESIGNED_URL_LIFESPAN.
	usualLife = time.Hour
	// The speed of an upload until there was one, in bytes of content per second.
	usualSpeed = 40 << 20
	// Shorter uploads say nothing about the speed.
	learnFrom = time.Second
)

// uploads is the knowledge of a node about uploads, from those since its start.
type uploads struct {
	mu sync.Mutex
	// Bytes of content per second while an archive is made and sent; 0 if unknown.
	content float64
	// Bytes of the archive per second while it is only sent; 0 if unknown.
	sent float64
	life time.Duration
}

// streamed returns the expected time to make and send an archive. The limit is in bytes of the archive per
// second; 0 means none.
func (u *uploads) streamed(estimate *wingback.Estimate, limit uint64) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	speed := u.content
	if speed == 0 {
		speed = usualSpeed
	}
	expected := duration(float64(estimate.Content), speed)
	if limit > 0 {
		expected = max(expected, duration(float64(estimate.ArchiveMax), float64(limit)))
	}
	return expected
}

// sending returns the expected time to send an archive that is made; 0 if it is unknown.
func (u *uploads) sending(size int64) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sent == 0 {
		return 0
	}
	return duration(float64(size), u.sent)
}

func duration(bytes, speed float64) time.Duration {
	return time.Duration(min(bytes/speed*float64(time.Second), math.MaxInt64/2))
}

// lifetime returns the expected life of part URLs.
func (u *uploads) lifetime() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.life == 0 {
		return usualLife
	}
	return u.life
}

// answered remembers the life of issued URLs, and returns it. URLs with an unknown signature have the usual
// life.
func (u *uploads) answered(urls []string) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.life = usualLife
	if len(urls) > 0 {
		if expires, is := expiry(urls[0]); is {
			u.life = max(time.Until(expires), 1)
		}
	}
	return u.life
}

// learn remembers the speed of an upload: content in the time to make and send it, and bytes in the time to
// send them only.
func (u *uploads) learn(content uint64, took time.Duration, size int64, sending time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	mean := func(of *float64, bytes float64, took time.Duration) {
		if took < learnFrom {
			return
		}
		speed := max(bytes/took.Seconds(), 1)
		if *of > 0 {
			speed = (*of + speed) / 2
		}
		*of = speed
	}
	mean(&u.content, float64(content), took)
	mean(&u.sent, float64(size), sending)
}

// expiry returns the time at which a URL with a signature of version 4 expires.
func expiry(link string) (time.Time, bool) {
	parsed, err := url.Parse(link)
	if err != nil {
		return time.Time{}, false
	}
	query := parsed.Query()
	signed, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	if err != nil {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(query.Get("X-Amz-Expires"), 10, 32)
	return signed.Add(time.Duration(seconds) * time.Second), err == nil
}

// hasSpace reports whether the file system of a directory has space for a file.
func hasSpace(dir string, size uint64) bool {
	var found syscall.Statfs_t
	return syscall.Statfs(dir, &found) == nil && uint64(found.Bavail) > size/uint64(found.Bsize)
}
