package wingback_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestAnArchiveSaysWhatItIsABackupOf(t *testing.T) {
	dir := source(t)
	tags := []wingback.Tag{{Key: "plan", Value: "gold=1"}, {Key: "näme", Value: ""}}
	before := time.Now().Add(-time.Second)
	report := made(t, wingback.Backup{
		Source: dir, Label: "caf\xe9", Tags: tags, Exclude: []string{"*.log", "caf\xe9"}, Profile: wingback.WingsProfile,
	}, t.TempDir())
	info, err := file(report.Location).Info(background())
	must(t, err)
	if info.Label != "caf\xe9" || !reflect.DeepEqual(info.Tags, tags) || info.Excludes != "*.log\ncaf\xe9\n" {
		t.Errorf("%+v", info)
	}
	path, err := filepath.EvalSymlinks(dir)
	must(t, err)
	host, err := os.Hostname()
	must(t, err)
	if info.Source != path || info.Host != host || info.Made.Before(before) || info.Made.After(time.Now()) {
		t.Errorf("%+v", info)
	}
	if info.Tool != "wingback "+wingback.Version || info.Encoder != "wingback" || info.EncoderLevel != 1 ||
		info.Profile != wingback.WingsProfile || info.Rules != wingback.GitRules {
		t.Errorf("%+v", info)
	}
	if info.Files != report.Files || info.Directories != report.Directories || info.Symlinks != report.Symlinks ||
		info.Content != report.Content || info.Segments != report.Segments || info.Size != report.Size ||
		info.Skipped != 0 || info.OmitsUnnamed || info.TarLen <= info.Content {
		t.Errorf("%+v and %+v", info, report)
	}
}

func TestAReproducibleArchiveSaysNothingOfItsPlaceAndTime(t *testing.T) {
	report := made(t, wingback.Backup{Source: source(t), Reproducible: true}, t.TempDir())
	info, err := file(report.Location).Info(background())
	must(t, err)
	if info.Label != "" || info.Source != "" || info.Host != "" || !info.Made.IsZero() || info.Tags == nil || len(info.Tags) != 0 {
		t.Errorf("%+v", info)
	}
}

func TestAnArchiveWithoutAnIndexHasNoInfo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tar.tar.gz")
	must(t, exec.Command("tar", "-czf", path, "-C", source(t), ".").Run())
	if info, err := file(path).Info(background()); info != nil || err != nil {
		t.Error(info, err)
	}
	var archive bytes.Buffer
	_, err := wingback.Backup{Source: source(t), Engine: shared}.WriteTo(background(), &archive)
	must(t, err)
	stream := wingback.Stream(&archive)
	stream.Engine = shared
	if info, err := stream.Info(background()); info != nil || err != nil {
		t.Error(info, err)
	}
	if _, err := file("/nowhere").Info(background()); !errors.Is(err, wingback.NotFound) {
		t.Error(err)
	}
}

func TestALabelThatIsTooLongIsAnError(t *testing.T) {
	for what, backup := range map[string]wingback.Backup{
		"the label has more than 255 bytes":  {Label: strings.Repeat("l", 256)},
		"there are more than 32 tags":        {Tags: make([]wingback.Tag, 33)},
		"the key \"\" of a tag is empty":     {Tags: make([]wingback.Tag, 1)},
		"the value of the tag a has more":    {Tags: []wingback.Tag{{Key: "a", Value: strings.Repeat("v", 513)}}},
		"the key \"a=b\" of a tag is empty,": {Tags: []wingback.Tag{{Key: "a=b"}}},
	} {
		backup.Source, backup.Engine = source(t), shared
		store := t.TempDir()
		_, err := backup.Run(background(), wingback.LocalStore{Dir: store})
		if !errors.Is(err, wingback.InvalidInput) || !strings.Contains(err.Error(), what) || entries(store) != 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
}
