//go:build linux

package wingback

import (
	"context"
	"encoding/json"
	"time"
)

// A Store is a place for archives: a [LocalStore] or an [S3Store].
type Store interface {
	wire() any
}

// A LocalStore keeps archives in a directory. An archive gets its name when it is complete and on the
// disk.
type LocalStore struct {
	Dir string
	// Names is the template for the names of new archives; empty for "backup-{uuid}.tar.gz".
	Names string
	// Reserve is the number of bytes of the file system that must stay free. A backup fails with NoSpace
	// when less is left.
	Reserve uint64
	// Mkdir makes Dir if it does not exist. Otherwise a backup fails with NotFound.
	Mkdir bool
}

// An S3Store keeps archives in a bucket.
type S3Store struct {
	Bucket string
	// Credentials are the keys; nil for those that AWS's own tools find.
	Credentials *Credentials
	// Endpoint is the URL of the service; empty for Amazon's.
	Endpoint string
	Region   string
	// PathStyle puts the bucket into the path of URLs. Otherwise it goes where the service is known to
	// need it.
	PathStyle bool
	// Prefix is the text before each name, such as "servers/".
	Prefix string
	// Names is the template for the names of new archives; empty for "backup-{uuid}.tar.gz".
	Names string
	// PartSize is the size of a part in bytes; 0 for the default of the engine.
	PartSize uint64
	// StorageClass is the storage class of archives, such as "STANDARD_IA".
	StorageClass string
	// Encryption is the algorithm that the service encrypts archives with: "AES256" or "aws:kms".
	Encryption string
	// KMSKeyID is the ID of the key for "aws:kms".
	KMSKeyID string
	// DeadAfter is the age after which [Engine.Sweep] aborts an unfinished upload, in whole seconds; 0
	// for one day.
	DeadAfter time.Duration
	Transfer  Transfer
}

// Credentials are the keys for an [S3Store].
type Credentials struct {
	AccessKey, SecretKey string
	// SessionToken is the token of temporary credentials; empty for others.
	SessionToken string
}

// String hides the credentials.
func (Credentials) String() string { return "{…}" }

// GoString hides the credentials.
func (Credentials) GoString() string { return "wingback.Credentials{…}" }

// Transfer sets how bytes are sent over a network.
type Transfer struct {
	// Parallel is the number of requests at once, from 1 to 256; 0 for the default of the engine.
	Parallel int
	// RetryFor is how long a request is retried after temporary failures, in whole milliseconds; 0 for
	// three minutes.
	RetryFor time.Duration
	// StallAfter is how long a connection may be silent, in whole milliseconds; 0 for one minute.
	StallAfter time.Duration
	// CAFile is a PEM file with certificates to trust in addition to the system's.
	CAFile string
	// PublicOnly connects only to public addresses, also after redirects and DNS, for URLs that somebody
	// else chose. Another address is an error of kind InvalidInput.
	PublicOnly bool
	// PublicExcept are hosts, addresses and networks such as "10.1.0.0/16" that PublicOnly allows as well.
	PublicExcept []string
}

type wireTransfer struct {
	Parallel     int       `json:"parallel,omitempty"`
	RetryForMS   int64     `json:"retry_for_ms,omitempty"`
	StallAfterMS int64     `json:"stall_after_ms,omitempty"`
	CAFile       wireText  `json:"ca_file,omitempty"`
	PublicOnly   *[]string `json:"public_only,omitempty"`
}

func (t Transfer) wire() wireTransfer {
	var public *[]string
	if t.PublicOnly {
		except := append([]string{}, t.PublicExcept...)
		public = &except
	}
	return wireTransfer{
		t.Parallel, t.RetryFor.Milliseconds(), t.StallAfter.Milliseconds(), wireText(t.CAFile), public,
	}
}

func (s LocalStore) wire() any {
	return map[string]any{"local": struct {
		Dir     wireText `json:"dir"`
		Names   wireName `json:"names,omitempty"`
		Reserve uint64   `json:"reserve,omitempty"`
		Mkdir   bool     `json:"mkdir,omitempty"`
	}{wireText(s.Dir), wireName(s.Names), s.Reserve, s.Mkdir}}
}

func (s S3Store) wire() any {
	type keys struct {
		AccessKey    string `json:"access_key"`
		SecretKey    string `json:"secret_key"`
		SessionToken string `json:"session_token,omitempty"`
	}
	var credentials *keys
	if c := s.Credentials; c != nil {
		credentials = &keys{c.AccessKey, c.SecretKey, c.SessionToken}
	}
	return map[string]any{"s3": struct {
		Bucket       wireName     `json:"bucket"`
		Credentials  *keys        `json:"credentials,omitempty"`
		Endpoint     string       `json:"endpoint,omitempty"`
		Region       string       `json:"region,omitempty"`
		PathStyle    bool         `json:"path_style,omitempty"`
		Prefix       wireName     `json:"prefix,omitempty"`
		Names        wireName     `json:"names,omitempty"`
		PartSize     uint64       `json:"part_size,omitempty"`
		StorageClass string       `json:"storage_class,omitempty"`
		Encryption   string       `json:"encryption,omitempty"`
		KMSKeyID     string       `json:"kms_key_id,omitempty"`
		DeadAfterS   int64        `json:"dead_after_s,omitempty"`
		Transfer     wireTransfer `json:"transfer"`
	}{
		wireName(s.Bucket), credentials, s.Endpoint, s.Region, s.PathStyle, wireName(s.Prefix), wireName(s.Names), s.PartSize,
		s.StorageClass, s.Encryption, s.KMSKeyID, int64(s.DeadAfter / time.Second), s.Transfer.wire(),
	}}
}

// A Name is the name of an archive in a store. Key is the name itself; without it, the store's template
// makes the name from UUID. If the template has other fields, this gives only the name of a new archive.
// A name that is not UTF-8 is InvalidInput.
type Name struct {
	UUID string
	Key  string
}

func (n Name) wire() any {
	if n.Key != "" {
		return map[string]wireName{"key": wireName(n.Key)}
	}
	return map[string]wireName{"uuid": wireName(n.UUID)}
}

// An Object is an object in a store: an archive, or a file beside it such as a lock.
type Object struct {
	Key  string
	Size int64
	// ModTime is the time at which the archive became complete; zero if the store does not know it.
	ModTime time.Time
	// Location is the path or URL of the archive.
	Location string
}

// UnmarshalJSON decodes the engine's answer.
func (o *Object) UnmarshalJSON(text []byte) error {
	var said struct {
		wireLocation
		Key      string
		Size     int64
		Modified *int64 `json:"modified_ns"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	*o = Object{Key: said.Key, Size: said.Size, Location: said.location()}
	if said.Modified != nil {
		o.ModTime = time.Unix(0, *said.Modified)
	}
	return nil
}

// Objects lists all objects in a store, sorted by key. [Archives] lists the archives.
func (e *Engine) Objects(ctx context.Context, store Store) ([]Object, error) {
	var found struct{ Objects []Object }
	err := e.or().ask(ctx, "objects", map[string]any{"store": store.wire()}, &found)
	return found.Objects, err
}

// Head describes one archive in a store. The error is NotFound if there is none.
func (e *Engine) Head(ctx context.Context, store Store, name Name) (Object, error) {
	var found Object
	err := e.or().ask(ctx, "head", map[string]any{"store": store.wire(), "name": name.wire()}, &found)
	return found, err
}

// Delete removes an archive from a store, even if it has a lock. The error is NotFound if the store
// has no such archive.
func (e *Engine) Delete(ctx context.Context, store Store, name Name) error {
	return e.or().ask(ctx, "delete", map[string]any{"store": store.wire(), "name": name.wire()}, nil)
}

// Sweep removes files and uploads that killed backups left unfinished, and returns their locations. It
// never removes those that a process is still writing.
func (e *Engine) Sweep(ctx context.Context, store Store) ([]string, error) {
	var swept struct{ Removed []wireLocation }
	err := e.or().ask(ctx, "sweep", map[string]any{"store": store.wire()}, &swept)
	var locations []string
	for _, removed := range swept.Removed {
		locations = append(locations, removed.location())
	}
	return locations, err
}

// ask runs a job without streams, limits or progress.
func (e *Engine) ask(ctx context.Context, op string, args, result any) error {
	return e.call(ctx, op, func(*job) (any, error) { return args, nil }, nil, handlers{}, result)
}
