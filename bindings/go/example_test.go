//go:build go1.24

package wingback_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	wingback "github.com/wingback/wingback/bindings/go"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server := filepath.Join(dir, "server")
	if err := errors.Join(os.Mkdir(server, 0o755), os.WriteFile(filepath.Join(server, "motd"), []byte("hello"), 0o644)); err != nil {
		panic(err)
	}

	ctx := context.Background()
	report, err := wingback.Backup{Source: server, UUID: id}.Run(ctx, wingback.LocalStore{Dir: filepath.Join(dir, "backups"), Mkdir: true})
	if err != nil {
		panic(err)
	}
	fmt.Println(report.Files, "file,", filepath.Base(report.Location))

	files, err := wingback.File(report.Location).FS(ctx)
	if err != nil {
		panic(err)
	}
	motd, err := fs.ReadFile(files, "motd")
	fmt.Println(string(motd), err)
	// Output:
	// 1 file, backup-6f1e5c2a-0f9e-4b56-9d5c-3c0f4bde1f11.tar.gz
	// hello <nil>
}

func ExampleBackup_Run_errors() {
	_, err := wingback.Backup{Source: "/no/such/server", UUID: id}.Run(context.Background(), wingback.LocalStore{Dir: os.TempDir()})
	var failure *wingback.Error
	fmt.Println(errors.Is(err, fs.ErrNotExist), errors.As(err, &failure))
	fmt.Println(failure.Kind == wingback.NotFound, failure.Path)
	// Output:
	// true true
	// true /no/such/server
}

func ExampleArchive_Entries() {
	archive := wingback.File("/no/such/archive.tar.gz")
	for entry, err := range archive.Entries(context.Background()) {
		if err != nil {
			fmt.Println(errors.Is(err, fs.ErrNotExist))
			return
		}
		fmt.Println(entry.Path, entry.Size) // its content: io.ReadAll(entry)
	}
	// Output: true
}
