//go:build go1.24

package wingback_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestTheEngineKnowsEveryOptionOfAStoreInS3(t *testing.T) {
	store := wingback.S3Store{
		Bucket:       "bucket",
		Credentials:  &wingback.Credentials{AccessKey: "a", SecretKey: "b", SessionToken: "c"},
		Endpoint:     "http://127.0.0.1:9",
		Region:       "eu-west-3",
		PathStyle:    true,
		Prefix:       "servers/",
		Names:        "{uuid}.tar.gz",
		PartSize:     8 << 20,
		StorageClass: "STANDARD_IA",
		Encryption:   "aws:kms",
		KMSKeyID:     "key",
		DeadAfter:    time.Hour,
		Transfer: wingback.Transfer{
			Parallel: 2, RetryFor: 100 * time.Millisecond, StallAfter: time.Second,
		},
	}
	objects := func() error {
		_, err := shared.Objects(background(), store)
		return err
	}
	// Nobody listens there, but the engine asks.
	if err := objects(); !errors.Is(err, wingback.IO) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("all options: %v", err)
	}
	store.PartSize = 5
	if err := objects(); !errors.Is(err, wingback.InvalidInput) || !strings.Contains(err.Error(), "part_size") {
		t.Errorf("a part size of 5: %v", err)
	}
}
