//go:build go1.24

package wingback_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func background() context.Context { return context.Background() }

func TestABackupIsStoredAndRestored(t *testing.T) {
	dir, store := source(t), t.TempDir()
	report := made(t, wingback.Backup{Source: dir}, store)
	archive, err := os.ReadFile(report.Location)
	must(t, err)
	sum := sha1.Sum(archive)
	if report.SHA1 != hex.EncodeToString(sum[:]) || report.Size != int64(len(archive)) {
		t.Errorf("the report says %s and %d bytes", report.SHA1, report.Size)
	}
	if report.Files != 8 || report.Directories != 5 || report.Symlinks != 2 || report.Partial {
		t.Errorf("%+v", report)
	}
	target := filepath.Join(t.TempDir(), "restored")
	wrong := strings.Repeat("0", 40)
	if _, err := (wingback.Extract{Dir: target, SHA1: wrong}).Run(background(), file(report.Location)); !errors.Is(err, wingback.Mismatch) {
		t.Error(err)
	}
	if _, err := (wingback.Restore{Dir: target, SHA1: wrong}).Run(background(), file(report.Location)); !errors.Is(err, wingback.Mismatch) {
		t.Error(err)
	}
	unpacked, err := wingback.Restore{Dir: target, SHA1: report.SHA1}.Run(background(), file(report.Location))
	must(t, err)
	if unpacked.Files != 8 || unpacked.Symlinks != 2 || unpacked.ReadMethod != "indexed" {
		t.Errorf("%+v", unpacked)
	}
	same(t, dir, target)
	if link, err := os.Readlink(filepath.Join(target, "level")); err != nil || link != "world/level.dat" {
		t.Error(link, err)
	}
	// Other tools can read the archive.
	other := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", report.Location, "-C", other).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	same(t, dir, other)
}

func TestABackupNeedsOnlyASource(t *testing.T) {
	store := wingback.LocalStore{Dir: t.TempDir()}
	keys := map[string]bool{}
	for range 2 {
		report, err := wingback.Backup{Source: source(t)}.Run(background(), store)
		must(t, err)
		if !regexp.MustCompile(`^backup-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.tar\.gz$`).MatchString(report.Key) {
			t.Error(report.Key)
		}
		keys[report.Key] = true
	}
	if len(keys) != 2 {
		t.Error("two backups have one name")
	}
}

func same(t *testing.T, a, b string) {
	t.Helper()
	if out, err := exec.Command("diff", "-r", "--no-dereference", a, b).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	must(t, filepath.WalkDir(a, func(path string, entry fs.DirEntry, err error) error {
		rest, _ := filepath.Rel(a, path)
		one, err1 := os.Lstat(path)
		two, err2 := os.Lstat(filepath.Join(b, rest))
		if err := errors.Join(err, err1, err2); err != nil {
			return err
		}
		if rest != "." && one.Mode() != two.Mode() {
			t.Errorf("%s is %v and %v", rest, one.Mode(), two.Mode())
		}
		return nil
	}))
}

func TestAnArchiveIsWrittenToAWriterAndReadFromAReader(t *testing.T) {
	dir := source(t)
	var archive bytes.Buffer
	report, err := wingback.Backup{Source: dir, Engine: shared}.WriteTo(background(), &archive)
	must(t, err)
	sum := sha1.Sum(archive.Bytes())
	if report.SHA1 != hex.EncodeToString(sum[:]) {
		t.Error("the SHA-1 differs from the report's")
	}
	stream := func() *wingback.Archive {
		archive := wingback.Stream(bytes.NewReader(archive.Bytes()))
		archive.Engine = shared
		return archive
	}
	verified, err := wingback.Verify{SHA1: report.SHA1}.Run(background(), stream())
	must(t, err)
	if !verified.Whole || verified.SHA1Matches == nil || !*verified.SHA1Matches {
		t.Errorf("%+v", verified)
	}
	content := map[string]string{}
	var names []string
	for entry, err := range stream().Entries(background()) {
		must(t, err)
		names = append(names, entry.Path)
		if entry.Kind == wingback.RegularFile && entry.Path != "world/level.dat" {
			bytes, err := io.ReadAll(entry)
			must(t, err)
			content[entry.Path] = string(bytes)
		}
		if entry.Path == "level" && entry.Target != "world/level.dat" {
			t.Errorf("%+v", entry.Member)
		}
	}
	if len(names) != 15 || content["server.properties"] != "motd=a server\n" || len(content["world/region/r.0.0.mca"]) != 1_600_000 {
		t.Error(names)
	}
}

func TestALocalArchiveIsAFileSystem(t *testing.T) {
	report := made(t, wingback.Backup{Source: source(t)}, t.TempDir())
	files, err := file(report.Location).FS(background())
	must(t, err)
	must(t, fstest.TestFS(files, "server.properties", "world/level.dat", "world/region/r.0.0.mca", "logs/old.log", "plugins"))
	level, err := fs.ReadFile(files, "world/level.dat")
	must(t, err)
	if string(level) != strings.Repeat("level ", 1000) {
		t.Error("the content differs")
	}
	for _, name := range []string{odd + "/" + odd, "second" + odd} {
		if found, err := fs.ReadFile(files, name); string(found) != "odd" || err != nil {
			t.Errorf("%q: %q, %v", name, found, err)
		}
	}
	if link, err := fs.Stat(files, "link"+odd); err != nil || link.Mode().Type() != fs.ModeSymlink {
		t.Error(link, err)
	}
	for _, name := range []string{"", "/" + odd, odd + "/", "./" + odd, odd + "/../" + odd, odd + "//" + odd} {
		if _, err := files.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := fs.Stat(files, "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// GNU tar has appended members to the archive: a second one of a path, and hard links to earlier ones.
func TestAForeignArchiveHasTheContentThatExtractGivesIt(t *testing.T) {
	dir := t.TempDir()
	script := `mkdir d; echo old >d/a; ln d/a d/b; ln -s a d/l; ln d/l d/m; tar -cf x.tar d/a d/b d/l d/m
		rm d/a; echo newer >d/a; tar -rf x.tar ./d//a; tar --transform s,^lost,/lost, -Prf x.tar --no-recursion d; echo lost >lost
		tar --transform s,^lost,/lost, -Prf x.tar lost; gzip x.tar`
	command := exec.Command("sh", "-ec", script)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	archive := filepath.Join(dir, "x.tar.gz")
	want := map[string]string{"d/a": "newer\n", "d/b": "old\n"}
	files, err := file(archive).FS(background())
	must(t, err)
	for name, content := range want {
		found, err := fs.ReadFile(files, name)
		must(t, err)
		info, err := fs.Stat(files, name)
		must(t, err)
		if string(found) != content || info.Size() != int64(len(content)) || !info.Mode().IsRegular() {
			t.Errorf("%s: %q, %v", name, found, info)
		}
	}
	for _, name := range []string{"d/l", "d/m"} {
		if info, err := fs.Stat(files, name); err != nil || info.Mode().Type() != fs.ModeSymlink {
			t.Error(name, info, err)
		}
	}
	target := filepath.Join(dir, "target")
	restore := wingback.Restore{Dir: target}
	if _, err := restore.Run(background(), file(archive)); !errors.Is(err, wingback.InvalidInput) {
		t.Error(err)
	}
	restore.Unpack.SkipRefused = true
	restored, err := restore.Run(background(), file(archive))
	must(t, err)
	if len(restored.Skipped) != 1 || restored.Skipped[0].Path != "/lost" {
		t.Errorf("%+v", restored.Skipped)
	}
	for name, content := range want {
		if found, err := os.ReadFile(filepath.Join(target, name)); string(found) != content {
			t.Error(name, string(found), err)
		}
	}
}

// tarOf returns the SHA-1 of an archive's tar stream.
func tarOf(t *testing.T, path string) [sha1.Size]byte {
	t.Helper()
	archive, err := os.Open(path)
	must(t, err)
	defer archive.Close()
	unzipped, err := gzip.NewReader(archive)
	must(t, err)
	tar, err := io.ReadAll(unzipped)
	must(t, err)
	return sha1.Sum(tar)
}

func TestABackupCopiesFromThePreviousOne(t *testing.T) {
	dir, store := source(t), t.TempDir()
	count := 0
	made := func(t testing.TB, b wingback.Backup, dir string) *wingback.Report {
		count++
		b.UUID = fmt.Sprintf("00000000-0000-4000-8000-%012d", count)
		return made(t, b, dir)
	}
	full := made(t, wingback.Backup{Source: dir}, store)
	if full.Copied != 0 || full.Compressed == 0 {
		t.Errorf("%+v", full)
	}
	cache := wingback.Cache{Dir: filepath.Join(t.TempDir(), "cache"), MaxBytes: 1 << 30}
	made(t, wingback.Backup{Source: dir, Cache: cache}, store)
	for name, backup := range map[string]wingback.Backup{
		"file":   {Previous: wingback.Previous{File: full.Location}},
		"key":    {Previous: wingback.Previous{Key: full.Key}},
		"latest": {Previous: wingback.Previous{Latest: true}, TrustMtime: true},
		"cache":  {Cache: cache},
	} {
		backup.Source = dir
		next := made(t, backup, store)
		// The index has the time of the backup.
		if tarOf(t, next.Location) != tarOf(t, full.Location) || next.Copied == 0 || len(next.Warnings) != 0 {
			t.Errorf("%s: %+v", name, next)
		}
	}
	other := wingback.Backup{Source: dir, Level: wingback.Best, Previous: wingback.Previous{File: full.Location}}
	if report := made(t, other, store); report.Copied != 0 || len(report.Warnings) != 1 || report.Warnings[0].Code != "previous-unused" {
		t.Errorf("%+v", report)
	}
	other.ReuseAny = true
	if report := made(t, other, store); report.Copied == 0 || len(report.Warnings) != 0 {
		t.Errorf("%+v", report)
	}
}

func TestAClosedWriterIsAnError(t *testing.T) {
	dir := source(t)
	report := made(t, wingback.Backup{Source: dir}, t.TempDir())
	closed, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	must(t, closed.Close())
	if _, err := (wingback.Backup{Source: dir, Engine: shared}).WriteTo(background(), closed); err == nil {
		t.Error("an incomplete write is not an error")
	}
	// So few bytes that all were in the socket when the job ended.
	if _, err := file(report.Location).CopyFile(background(), "server.properties", closed); err == nil {
		t.Error("an incomplete write is not an error")
	}
}

func TestMembersAreListed(t *testing.T) {
	report := made(t, wingback.Backup{Source: source(t)}, t.TempDir())
	archive := file(report.Location)
	var paths []string
	for member, err := range archive.Members(background(), "world", "*.sh") {
		must(t, err)
		paths = append(paths, member.Path)
		if member.Path == "start.sh" && member.Mode != 0o755 {
			t.Errorf("%+v", member)
		}
	}
	slices.Sort(paths)
	if want := "[start.sh world world/level.dat world/region world/region/r.0.0.mca]"; fmt.Sprint(paths) != want {
		t.Error(paths)
	}
	var last error
	for _, err := range archive.Members(background(), "missing") {
		last = err
	}
	if !errors.Is(last, wingback.NotFound) {
		t.Error(last)
	}
	// Stopping early leaks nothing.
	for range archive.Members(background()) {
		break
	}
	for range archive.Entries(background()) {
		break
	}
	var level bytes.Buffer
	member, err := archive.CopyFile(background(), "world/level.dat", &level)
	must(t, err)
	if member.Size != 6000 || level.Len() != 6000 {
		t.Errorf("%+v", member)
	}
}

func TestObjectsAreListedAndDeleted(t *testing.T) {
	store := wingback.LocalStore{Dir: t.TempDir(), Names: "{uuid}.tar.gz"}
	backup := wingback.Backup{Source: source(t), UUID: id, Engine: shared}
	report, err := backup.Run(background(), store)
	must(t, err)
	objects, err := shared.Objects(background(), store)
	must(t, err)
	object, err := shared.Head(background(), store, wingback.Name{UUID: id})
	must(t, err)
	if len(objects) != 1 || objects[0] != object || object.Key != id+".tar.gz" || object.Size != report.Size {
		t.Error(objects, object)
	}
	if info, err := os.Stat(object.Location); err != nil || !object.ModTime.Equal(info.ModTime()) {
		t.Error(object, info, err)
	}
	must(t, shared.Delete(background(), store, wingback.Name{Key: object.Key}))
	removed, err := shared.Sweep(background(), store)
	if err != nil || len(removed) != 0 {
		t.Error(removed, err)
	}
	only(t, store.Dir, 0)
}

func TestProgressIsReportedOnTheCallersGoroutine(t *testing.T) {
	var seen []wingback.Progress // without a lock: the race detector would report another goroutine
	limit := wingback.NewLimiter(4 << 20)
	_, err := wingback.Backup{
		Source: large(t), UUID: id, WriteLimit: limit, Engine: shared,
		OnProgress: func(p wingback.Progress) {
			seen = append(seen, p)
			if len(seen) == 3 {
				limit.SetRate(0)
			}
		},
	}.Run(background(), wingback.LocalStore{Dir: t.TempDir()})
	must(t, err)
	if len(seen) < 3 {
		t.Fatal(seen)
	}
	if last := seen[len(seen)-1]; last.ExpectedBytes != 8<<20 || last.Bytes == 0 || last.Phase == "" {
		t.Errorf("%+v", last)
	}
}

func TestProgressHasTheRateAndTheTimeLeft(t *testing.T) {
	for _, skip := range []bool{false, true} {
		limit := wingback.NewLimiter(4 << 20)
		var reading []wingback.Progress
		_, err := wingback.Backup{
			Source: large(t), UUID: id, ReadLimit: limit, SkipCount: skip, Engine: shared,
			OnProgress: func(p wingback.Progress) {
				if p.Phase == wingback.Reading && p.Bytes > 0 {
					reading = append(reading, p)
				}
			},
		}.Run(background(), wingback.LocalStore{Dir: t.TempDir()})
		must(t, err)
		if len(reading) == 0 {
			t.Fatal("8 MiB at 4 MiB/s show no progress")
		}
		for _, p := range reading {
			if p.Rate == 0 || skip && (p.ExpectedBytes != 0 || p.TimeLeft != 0) {
				t.Errorf("%+v", p)
			}
		}
		if last := reading[len(reading)-1]; !skip && last.Bytes < last.ExpectedBytes && last.TimeLeft <= 0 {
			t.Errorf("%+v", last)
		}
	}
}

func TestALimiterIsShared(t *testing.T) {
	dir := large(t)
	limit := wingback.NewLimiter(8 << 20)
	begun := time.Now()
	var wait sync.WaitGroup
	for range 2 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			backup := wingback.Backup{Source: dir, UUID: id, ReadLimit: limit, Engine: shared}
			if _, err := backup.Run(background(), wingback.LocalStore{Dir: t.TempDir()}); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	// Two times 8 MiB at 8 MiB per second; with a limit each, both would end after one second.
	if took := time.Since(begun); took < 1800*time.Millisecond {
		t.Error(took)
	}
}

func TestSlotsAreAssignedInOrder(t *testing.T) {
	slots := wingback.NewSlots(1)
	must(t, slots.Acquire(background()))
	var order []int
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range 5 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := slots.Acquire(background()); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			slots.Release()
		}()
		waitFor(t, "the next waiter in the queue", func() bool { return slots.Usage().Waiting == i+1 })
	}
	ctx, cancel := context.WithTimeout(background(), 20*time.Millisecond)
	defer cancel()
	if err := slots.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if usage := slots.Usage(); usage.Used != 1 || usage.Waiting != 5 || usage.OldestWait <= 0 {
		t.Errorf("%+v", usage)
	}
	slots.Release()
	wait.Wait()
	if !slices.IsSorted(order) {
		t.Error(order)
	}
	if usage := slots.Usage(); usage.Used != 0 || usage.Waiting != 0 {
		t.Errorf("%+v", usage)
	}
	must(t, slots.Acquire(background()))
	waiting := make(chan error)
	go func() { waiting <- slots.Acquire(background()) }()
	slots.Resize(2)
	must(t, <-waiting)
}

func TestBackupsAreCounted(t *testing.T) {
	before := shared.Counters()
	report := made(t, wingback.Backup{Source: source(t), Slots: wingback.NewSlots(1)}, t.TempDir())
	_, err := wingback.Backup{Source: "/nowhere", UUID: id, Engine: shared}.Run(background(), wingback.LocalStore{Dir: t.TempDir()})
	if err == nil {
		t.Fatal("no error")
	}
	after := shared.Counters()
	if after.MadeTotal != before.MadeTotal+1 || after.FailedTotal != before.FailedTotal+1 ||
		after.ArchivedBytesTotal != before.ArchivedBytesTotal+uint64(report.Size) || after.Running != 0 || after.Queued != 0 {
		t.Errorf("%+v, then %+v", before, after)
	}
}

func TestAnEstimateCountsFilesAndBytes(t *testing.T) {
	dir := source(t)
	estimate, err := wingback.Backup{Source: dir, Exclude: []string{"logs/"}, Engine: shared}.Estimate(background())
	must(t, err)
	if estimate.Files != 6 || estimate.Symlinks != 2 || estimate.Content != 1_606_030 || estimate.ArchiveMax < estimate.Content {
		t.Errorf("%+v", estimate)
	}
}

func TestPathsNeedNotBeUTF8(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, odd), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, odd, odd), []byte("odd"), 0o644))
	must(t, os.Symlink(odd, filepath.Join(dir, "link")))
	must(t, os.Mkdir(filepath.Join(dir, odd+"s"), 0o755))
	report := made(t, wingback.Backup{Source: filepath.Join(dir, odd)}, filepath.Join(dir, odd+"s"))
	var content bytes.Buffer
	_, err := file(report.Location).CopyFile(background(), odd, &content)
	must(t, err)
	if content.String() != "odd" || !strings.Contains(report.Location, odd) {
		t.Error(report.Location)
	}
	report = made(t, wingback.Backup{Source: dir, Exclude: []string{"caf\xe9*"}}, t.TempDir())
	for entry, err := range file(report.Location).Entries(background()) {
		must(t, err)
		if entry.Target != odd {
			t.Errorf("%+v", entry.Member)
		}
	}
}

// The engine takes these as text. Encoding them would replace bytes, and so name something else.
func TestANameThatMustBeTextIsNotChanged(t *testing.T) {
	dir := t.TempDir()
	store := wingback.LocalStore{Dir: dir}
	for name, backup := range map[string]wingback.Backup{
		"key":         {Key: odd},
		"previous":    {Previous: wingback.Previous{Key: odd}},
		"ignore file": {IgnoreFileName: odd},
	} {
		backup.Source, backup.Engine = source(t), shared
		if _, err := backup.Run(background(), store); !errors.Is(err, wingback.InvalidInput) || !strings.Contains(err.Error(), `caf\xe9`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s3 := wingback.S3Store{Bucket: "bucket", Prefix: odd}
	for name, store := range map[string]wingback.Store{"template": wingback.LocalStore{Dir: dir, Names: odd + "{uuid}"}, "prefix": s3} {
		if _, err := shared.Objects(background(), store); !errors.Is(err, wingback.InvalidInput) || !strings.Contains(err.Error(), `caf\xe9`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	only(t, dir, 0)
}
