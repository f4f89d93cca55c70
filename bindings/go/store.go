//go:build linux

package wingback

import (
	"context"
)

// A Store is where archives live: a [LocalStore] or an [S3Store].
type Store interface {
	wire() any
}

// A LocalStore keeps archives in a directory, each under its name only once it is whole and on the
// disk.
type LocalStore struct {
	Dir string
	// Names is the template of archives' names; empty for "backup-{uuid}.tar.gz".
	Names string
	// Reserve is how many bytes of the file system are to stay free; a backup that would go below
	// fails with NoSpace.
	Reserve uint64
}

// An S3Store keeps archives in a bucket.
type S3Store struct {
	Bucket string
	// Credentials; nil for those that AWS's own tools would find.
	Credentials *Credentials
	// Endpoint is the service's URL; empty for Amazon's.
	Endpoint string
	Region   string
	// PathStyle has the bucket's name in the path; otherwise it is where the service is known to want it.
	PathStyle bool
	// Prefix stands before names, with its slash.
	Prefix string
	// Names is the template of archives' names; empty for "backup-{uuid}.tar.gz".
	Names        string
	PartSize     uint64
	StorageClass string
	Transfer     Transfer
}

// Credentials for an [S3Store].
type Credentials struct {
	AccessKey, SecretKey string
	// SessionToken of temporary ones.
	SessionToken string
}

// String hides them.
func (Credentials) String() string { return "{…}" }

// GoString hides them.
func (Credentials) GoString() string { return "wingback.Credentials{…}" }

// Transfer is how requests travel.
type Transfer struct {
	// Parallel requests; 0 for the engine's own number.
	Parallel int
	// CAFile has certificates of authorities to trust besides the system's.
	CAFile string
}

type wireTransfer struct {
	Parallel int      `json:"parallel,omitempty"`
	CAFile   wireText `json:"ca_file,omitempty"`
}

func (t Transfer) wire() wireTransfer {
	return wireTransfer{Parallel: t.Parallel, CAFile: wireText(t.CAFile)}
}

func (s LocalStore) wire() any {
	return map[string]any{"local": struct {
		Dir     wireText `json:"dir"`
		Names   string   `json:"names,omitempty"`
		Reserve uint64   `json:"reserve,omitempty"`
	}{wireText(s.Dir), s.Names, s.Reserve}}
}

func (s S3Store) wire() any {
	type keys struct {
		Access string `json:"access"`
		Secret string `json:"secret"`
		Token  string `json:"token,omitempty"`
	}
	var credentials *keys
	if c := s.Credentials; c != nil {
		credentials = &keys{c.AccessKey, c.SecretKey, c.SessionToken}
	}
	return map[string]any{"s3": struct {
		Bucket       string       `json:"bucket"`
		Credentials  *keys        `json:"credentials,omitempty"`
		Endpoint     string       `json:"endpoint,omitempty"`
		Region       string       `json:"region,omitempty"`
		PathStyle    bool         `json:"path_style,omitempty"`
		Prefix       string       `json:"prefix,omitempty"`
		Names        string       `json:"names,omitempty"`
		PartSize     uint64       `json:"part_size,omitempty"`
		StorageClass string       `json:"storage_class,omitempty"`
		Travel       wireTransfer `json:"travel"`
	}{
		s.Bucket, credentials, s.Endpoint, s.Region, s.PathStyle, s.Prefix, s.Names, s.PartSize,
		s.StorageClass, s.Transfer.wire(),
	}}
}

// A Name is an archive's in a store: that of a UUID by the store's template, or any other.
type Name struct {
	UUID string
	Key  string
}

func (n Name) wire() any {
	if n.Key != "" {
		return map[string]string{"key": n.Key}
	}
	return map[string]string{"uuid": n.UUID}
}

// An Object is an archive in a store.
type Object struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	// Location is a path or a URL, for people.
	Location string `json:"location"`
}

// Objects lists a store's archives, in the order of their keys.
func (e *Engine) Objects(ctx context.Context, store Store) ([]Object, error) {
	var found struct{ Objects []Object }
	err := e.or().ask(ctx, "objects", map[string]any{"store": store.wire()}, &found)
	return found.Objects, err
}

// Head says what there is under a name; NotFound if there is nothing.
func (e *Engine) Head(ctx context.Context, store Store, name Name) (Object, error) {
	var found Object
	err := e.or().ask(ctx, "head", map[string]any{"store": store.wire(), "name": name.wire()}, &found)
	return found, err
}

// Delete removes an archive; NotFound if there is none.
func (e *Engine) Delete(ctx context.Context, store Store, name Name) error {
	return e.or().ask(ctx, "delete", map[string]any{"store": store.wire(), "name": name.wire()}, nil)
}

// Sweep removes what killed backups left unfinished, never what is being written, and says what.
func (e *Engine) Sweep(ctx context.Context, store Store) ([]string, error) {
	var swept struct{ Removed []string }
	err := e.or().ask(ctx, "sweep", map[string]any{"store": store.wire()}, &swept)
	return swept.Removed, err
}

// ask is a call without streams, limits and progress.
func (e *Engine) ask(ctx context.Context, op string, args, result any) error {
	return e.call(ctx, op, func(*job) (any, error) { return args, nil }, nil, nil, result)
}
