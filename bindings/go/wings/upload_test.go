package wings

import (
	"context"
	"testing"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestPartsInMemoryAreLimited(t *testing.T) {
	b, err := NewNode(func() Config { return Config{Directory: "/backups"} }).Backup("6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		partSize          uint64
		allowed, parallel int
	}{
		{5 << 20, 0, 4}, {5 << 20, 10, 4}, {5 << 20, 3, 3}, {5 << 20, 1, 1}, {5 << 20, -1, 4},
		{64 << 20, 10, 4}, {128 << 20, 10, 2}, {256 << 20, 10, 1}, {5 << 30, 10, 1},
	} {
		ask := func(context.Context, int64) (wingback.PartURLs, error) {
			return wingback.PartURLs{PartSize: c.partSize, Transfer: wingback.Transfer{Parallel: c.allowed}}, nil
		}
		urls, err := b.ask(context.Background(), ask, 1)
		if err != nil || urls.Transfer.Parallel != c.parallel || urls.Staging != "/backups" {
			t.Errorf("%+v: %+v, %v", c, urls, err)
		}
	}
	negative := int64(-1)
	for _, size := range []uint64{0, uint64(negative)} {
		ask := func(context.Context, int64) (wingback.PartURLs, error) { return wingback.PartURLs{PartSize: size}, nil }
		if _, err := b.ask(context.Background(), ask, 1); err == nil {
			t.Errorf("parts of %d bytes", int64(size))
		}
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
